"""The report on a group: what it says, what it must not say, and that it needs no display."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from mvica import AVICA, MVICAD, GroupICA, MultiViewICA, SharedResponseModel, ShICAML
from mvica.timing_statistics import normalise_timing, regress

mne = pytest.importorskip("mne")
pytest.importorskip("matplotlib")

from mvica.meg import MEGGroup  # noqa: E402
from mvica.meg import _report_sections as sections  # noqa: E402
from mvica.meg._report_facts import gathered  # noqa: E402
from mvica.meg.report import group_report  # noqa: E402

NAMES = ["CC999901", "CC999902", "CC999903", "CC999904"]
AGES = np.array([23.4, 41.0, 67.9, np.nan])
SECTIONS = ["Data", "Settings", "Convergence", "Components", "Noise", "Stability", "Reproduction"]


class Reader(HTMLParser):
    """Text that a reader sees, addresses that a browser would load, and ids."""

    def __init__(self, html):
        super().__init__()
        self.words, self.addresses, self.ids, self.hidden = [], [], [], 0
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.hidden += tag in ("script", "style")
        given = dict(attributes)
        self.ids.append(given.get("id"))
        self.addresses += [(tag, given[key]) for key in ("src", "href") if key in given]

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style")

    def handle_data(self, data):
        if not self.hidden and data.strip():
            self.words.append(data.strip())


def recordings(folder, info_of, n=4, shift=0):
    """Averages of two conditions with three shared sources, as files that tell whose they are."""
    rng = np.random.default_rng(0)
    times = np.arange(100) / 200 - 0.1
    peaks = np.array([0.05, 0.12, 0.22])
    paths = []
    for v in range(n):
        late = shift * (v - 1.5) / 200
        waves = np.exp(-0.5 * ((times[:, None] - peaks - late) / 0.02) ** 2)
        gains = np.array([[1.0, 0.2, 0.7], [0.3, 1.0, -0.8]])
        info = info_of()
        with info._unlock():
            info["subject_info"] = {"his_id": NAMES[v], "last_name": "Zyxwvut"}
            info["meas_date"] = datetime(1987, 6, 5, tzinfo=UTC)
        A = rng.normal(size=(len(info.ch_names), 3))
        evokeds = []
        for gain, name in zip(gains, ("audio", "vis"), strict=True):
            field = 1e-6 * (A @ (gain * waves).T + 0.02 * rng.normal(size=(len(A), 100)))
            evoked = mne.EvokedArray(field, info, tmin=-0.1, comment=name, nave=30)
            evokeds.append(evoked.set_eeg_reference("average", verbose="ERROR"))
        paths.append(folder / f"sub-{NAMES[v]}_passive-ave.fif")
        mne.write_evokeds(paths[-1], evokeds, verbose="ERROR")
    return paths


def eeg_info():
    montage = mne.channels.make_standard_montage("biosemi16")
    return mne.create_info(montage.ch_names, 200.0, "eeg").set_montage(montage)


def fit(estimator, paths, **settings):
    settings = {"picks": "eeg", "n_components": 6, **settings}
    return MEGGroup(estimator, **settings).fit(paths, subjects=NAMES[: len(paths)])


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return recordings(tmp_path_factory.mktemp("secret_place"), eeg_info)


@pytest.fixture(scope="module")
def group(paths):
    return fit(MultiViewICA(n_components=3, random_state=7), paths)


@pytest.fixture(scope="module")
def delayed(tmp_path_factory):
    """A group that MVICAD fits: later and later subjects."""
    late = recordings(tmp_path_factory.mktemp("late"), eeg_info, shift=3)
    model = MVICAD(n_components=3, max_delay=8, random_state=0)
    return fit(model, late)


@pytest.fixture(scope="module")
def written(group, tmp_path_factory):
    """The report of the group, and its file."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    return group_report(group, ages=AGES, fname=path), path


@pytest.fixture(scope="module")
def html(written):
    return written[1].read_text(encoding="utf-8")


def page_of(add, *arguments):
    """What the readers of one section see."""
    page = mne.Report(verbose="ERROR")
    add(page, *arguments)
    return Reader("".join(page.html))


# What it says ------------------------------------------------------------------------------------


def test_sections_stand_in_order(html):
    reader = Reader(html)
    found = [name for name in reader.ids if name in SECTIONS]
    assert found == SECTIONS


def test_tables_give_the_facts(html, group):
    words = Reader(html).words
    for v, record in enumerate(group.views_.records):
        row = words.index(f"S{v + 1:03d}")
        age = ("20-29", "40-49", "60-69", "unknown")[v]
        noise = np.sqrt(np.mean(group.estimator_.noise_variances_[v]))
        assert words[row + 1 : row + 7] == [
            age, "16 eeg", str(record.rank), "0", "30, 30", f"{noise:.3f}",
        ]  # fmt: skip
    assert words[words.index("random_state") + 1] == "7"
    state = "converged" if group.estimator_.converged_ else "did NOT converge"
    assert any(w.startswith(f"MultiViewICA {state} in {group.estimator_.n_iter_}") for w in words)
    assert mne.__version__ in words


def test_every_component_has_a_figure(html, group):
    reader = Reader(html)
    for c in range(3):
        assert f"Components-MV{c:03d}" in reader.ids
    assert html.count('<svg role="img"') == 1 + 3 + 1  # objective, components, split halves


def test_timing_is_regressed_on_age(delayed):
    ages = np.array([20.0, 40.0, 60.0, 80.0])
    facts = gathered(delayed, ages, None, True)
    slope = regress(ages, 1e3 * facts.delays.mean(axis=1)).slope
    assert slope == pytest.approx(15 / 20, rel=0.1)  # 3 samples in 20 years

    late = np.array([[-0.02], [-0.01], [0.005], [0.03]])
    together = replace(facts, delays=late * np.ones(3))
    words = page_of(sections.add_timing, together).words
    line = regress(ages, 1e3 * normalise_timing(late)[0][:, 0])
    row = words.index("delay of all sources (ms/year)")
    assert words[row + 1] == f"{line.slope:+.3f} ± {line.slope_std:.3f}"
    assert not any(word.startswith("delay of MV") for word in words)

    own = replace(facts, delays=late * [1.0, 2.0, -1.0], dilations=1 + late * np.ones(3))
    words = page_of(sections.add_timing, own).words
    delays, dilations = normalise_timing(own.delays, own.dilations)
    for name, values in (
        ("delay of mean (ms/year)", 1e3 * delays.mean(axis=1)),
        ("delay of MV001 (ms/year)", 1e3 * delays[:, 1]),
        ("dilation of all sources (%/year)", 100 * dilations[:, 0]),
    ):
        line = regress(ages, values)
        row = words.index(name)
        assert words[row + 1] == f"{line.slope:+.3f} ± {line.slope_std:.3f}"
        assert words[row + 2] == f"{line.r2:.2f}"


def test_without_ages_timing_is_still_shown(delayed):
    reader = page_of(sections.add_timing, gathered(delayed, None, None, True))
    assert "Delays" in reader.words
    assert not any(word.startswith("delay of") for word in reader.words)


def test_models_without_timing_have_no_such_section(group):
    assert page_of(sections.add_timing, gathered(group, AGES, None, True)).words == []


@pytest.mark.parametrize(
    "estimator",
    [
        ShICAML(n_components=2, random_state=0),
        AVICA(n_components=2, random_state=0),
        GroupICA(n_components=2, random_state=0),
        SharedResponseModel(n_components=2, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_other_estimators(estimator, paths):
    group = fit(estimator, paths)
    facts = gathered(group, None, None, True)
    np.testing.assert_allclose(facts.own, np.stack(group.transform()))
    assert facts.noise.shape == facts.agreement.shape == (4, 2)
    assert facts.agreement.min() > 0.7
    for add in (sections.add_data, sections.add_settings, sections.add_convergence):
        assert page_of(add, facts).words


def test_aligned_sources_are_those_of_the_group(delayed):
    facts = gathered(delayed, None, None, True)
    np.testing.assert_allclose(facts.own, np.stack(delayed.transform()), atol=1e-12)
    np.testing.assert_allclose(facts.aligned.mean(axis=0), facts.sources, atol=1e-8)
    assert facts.agreement.mean() > 0.95
    for c in range(3):  # the latencies drawn are where the subjects peak
        peaks = np.abs(facts.own[:, :, c]).argmax(axis=1)
        np.testing.assert_allclose(sections._latencies(facts, c), peaks, atol=3)


def test_dipoles_where_the_head_is_known():
    if not hasattr(mne.channels, "read_meg_canonical_info"):
        pytest.skip("the table of sensors came with MNE 1.12")
    from mvica.datasets import make_meg_group

    study = make_meg_group(2, ch_types=("mag",), sfreq=200, random_state=0)
    group = MEGGroup(MultiViewICA(n_components=2, random_state=0), n_components=6).fit(study.data)
    words = Reader(sections._dipoles(gathered(group, None, [1], True), True)).words
    evoked = group.patterns_evoked(1)
    cov = mne.make_ad_hoc_cov(evoked.info, verbose="ERROR")
    sphere = mne.make_sphere_model((0, 0, 0.04), None, verbose="ERROR")
    dipole = mne.fit_dipole(evoked, cov, sphere, verbose="ERROR")[0]
    row = words.index("source")
    head = words[row : row + 5]
    assert head[2:4] == ["x, y, z (mm, head)", "fit (%)"]
    assert words[row + 5 : row + 9] == [
        "MV000", "S002", ", ".join(f"{1e3 * x:.0f}" for x in dipole.pos[0]), f"{dipole.gof[0]:.0f}",
    ]  # fmt: skip


def test_no_dipoles_where_the_head_is_unknown(group):
    facts = gathered(group, None, [0, 2], True)
    assert sections._dipoles(facts, True).count("<tr>") == 1 + 3 * 2
    lost = []
    for record in group.views_.records:
        info = record.info.copy()
        for channel in info["chs"]:
            channel["loc"] = np.zeros(12)
        lost.append(replace(record, info=info))
    views = SimpleNamespace(**{**vars(group.views_), "records": lost})
    facts = replace(facts, group=SimpleNamespace(**{**vars(group), "views_": views}))
    assert "No dipoles can be fitted" in sections._dipoles(facts, True)


# What it must not say ----------------------------------------------------------------------------


def test_it_tells_nobody_who_was_recorded(html, paths):
    place = str(paths[0].parent)
    for secret in (*NAMES, "CC9999", "Zyxwvut", "secret_place", place, ".fif", "1987-06"):
        assert secret not in html
    assert not any("1987" in word for word in Reader(html).words)
    assert not any("23.4" in word for word in Reader(html).words)
    assert not re.search(r"(?<![\w.<])/(home|root|tmp|Users|work)/", html)


def test_names_are_shown_where_they_may_be(group):
    words = page_of(sections.add_data, gathered(group, AGES, None, False)).words
    assert words[words.index("CC999902") + 1] == "41"
    assert "S001" not in words


def test_it_loads_nothing_from_outside(html):
    loaded = [where for tag, where in Reader(html).addresses if tag != "a" and where]
    assert all(where.startswith(("data:", "#")) for where in loaded)


def test_settings_with_paths_are_not_written_out(paths, tmp_path):
    group = fit(
        MultiViewICA(n_components=2, random_state=0), paths, memory=str(tmp_path / "hidden_cache")
    )
    for anonymous in (True, False):
        words = page_of(sections.add_settings, gathered(group, None, None, anonymous)).words
        assert any("hidden_cache" in word for word in words) != anonymous


# How it is made ----------------------------------------------------------------------------------


def test_no_display_and_no_open_figures(paths, tmp_path):
    code = f"""
import warnings
from pathlib import Path
from mvica import MultiViewICA
from mvica.meg import MEGGroup
from mvica.meg.report import group_report
paths = {[str(path) for path in paths]!r}
group = MEGGroup(MultiViewICA(1, random_state=0), picks="eeg", n_components=6).fit(paths)
group_report(group, fname="r.html", dipoles=False)
import matplotlib.pyplot as plt
print(Path("r.html").stat().st_size > 10000, plt.get_fignums())
"""
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "MPLBACKEND")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.split("\n")[0] == "True []", done.stderr


def test_report_can_be_added_to_and_written_again(written, tmp_path):
    report, _ = written
    assert isinstance(report, mne.Report)
    report.add_html("<p>seen by two readers</p>", "Note")
    report.save(tmp_path / "again.html", open_browser=False, verbose="ERROR")
    assert "seen by two readers" in (tmp_path / "again.html").read_text()


def test_what_does_not_fit_is_refused(group):
    with pytest.raises(ValueError, match=r"ages has shape \(2,\), expected \(4,\)"):
        group_report(group, ages=[20, 30], fname=None)
    with pytest.raises(ValueError, match="subject 'CC9' is neither a name nor an index"):
        group_report(group, subjects=["CC9"], fname=None)
