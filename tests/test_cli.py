import csv
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import mvica
from mvica import MultiViewICA
from mvica._result_folder import OUTPUTS
from mvica.cli import METHODS, _parser, main
from mvica.datasets import make_multiview_ica
from mvica.persistence import load

pytest.importorskip("matplotlib")

DATA = Path(os.environ.get("MVICA_TEST_DATA", "../shared/data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}: set MVICA_TEST_DATA")
SHORT_OUTPUTS = [name for name in OUTPUTS if name != "sources_excerpt.png"]
COMMAND = [sys.executable, "-m", "mvica.cli"]


def empty_pictures(_, folder):
    pictures = {name: b"" for name in SHORT_OUTPUTS if name.endswith(".png")}
    for name in pictures:
        (folder / name).write_bytes(b"")
    return pictures


@pytest.fixture(scope="module")
def study():
    return make_multiview_ica(4, 400, 3, n_features=[5, 6, 7, 5], noise_std=0.3, random_state=0)


@pytest.fixture
def recordings(study, tmp_path, monkeypatch):
    """Files of a study, for tests that do not look at the pictures: these are not drawn."""
    monkeypatch.setattr("mvica._job.draw_pictures", empty_pictures)
    folder = tmp_path / "data"
    folder.mkdir()
    for name, view in zip(("ann", "ben", "cleo", "dan"), study.views, strict=True):
        head = ",".join(f"sensor {i}" for i in range(view.shape[1]))
        np.savetxt(
            folder / f"{name}.csv", view, delimiter=",", header=head, comments="", fmt="%.17g"
        )
    return folder


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run_for_error(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("mvica: error: ")
    return error


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# What a fit says -------------------------------------------------------------------------------


def test_the_summary_on_the_terminal(recordings, capsys):
    out = recordings.parent / "out"
    assert main(["fit", str(recordings), "-n", "3", "-o", str(out)]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0] == "4 views, 400 samples, features a view: 5, 6, 7"
    assert lines[1].startswith("MultiViewICA converged in ")
    assert lines[2].startswith("3 of 3 components agree between the views better than chance")
    assert lines[3] == f"report: {out / 'report.html'}"
    assert printed.err == ""
    assert names(recordings.parent) == ["data", "out"]


def test_equal_commands_give_equal_files(recordings, monkeypatch):
    monkeypatch.chdir(recordings.parent)
    contents = []
    for _ in range(2):
        assert main(["fit", "data", "-n", "2", "-o", "out", "--force"]) == 0
        contents.append({name: Path("out", name).read_bytes() for name in SHORT_OUTPUTS})
    assert contents[0] == contents[1]


@pytest.mark.parametrize("method", METHODS)
def test_methods_and_options_reach_the_estimator(recordings, method):
    out = recordings.parent / "out"
    options = "-n 2 --reduction pca --density extended --max-iter 77 --tol 1e-4 --random-state 5"
    arguments = ["fit", str(recordings), "--method", method, *options.split(), "-o", str(out)]
    assert main(arguments + (["--noise", "0.5"] if method == "multiview_ica" else [])) == 0
    params = load(out / "model.npz").get_params()
    assert type(load(out / "model.npz")).__name__ == METHODS[method]
    expected = {"n_components": 2, "reduction": "pca", "density": "extended", "max_iter": 77}
    assert expected.items() <= params.items()
    assert (params["tol"], params["random_state"]) == (1e-4, 5)
    assert params.get("noise", 0.5) == 0.5


def test_the_choices_offered_are_those_of_the_estimators():
    fit = _parser()._subparsers._group_actions[0].choices["fit"]
    choices = {action.dest: action.choices for action in fit._actions}
    for option in ("reduction", "density"):
        for choice in choices[option]:
            MultiViewICA(n_components=1, **{option: choice})._validate_params()
    assert all(hasattr(mvica, name) for name in METHODS.values())


def test_long_recordings_show_an_excerpt(tmp_path):
    data = make_multiview_ica(2, 5000, 2, n_features=3, random_state=0)
    for v, view in enumerate(data.views):
        np.save(tmp_path / f"s{v}.npy", view)
    assert main(["fit", str(tmp_path), "-n", "2", "-o", str(tmp_path / "out")]) == 0
    assert set(names(tmp_path / "out")) == set(OUTPUTS)
    html = (tmp_path / "out" / "report.html").read_text()
    assert html.count("data:image/png;base64,") == 5
    assert "samples 2500 to 2999" in html


def test_twenty_components_at_most_by_default(tmp_path, monkeypatch):
    monkeypatch.setattr("mvica._job.draw_pictures", empty_pictures)
    rng = np.random.default_rng(0)
    S = rng.laplace(size=(300, 22))
    for v, d in enumerate((25, 30)):
        np.save(tmp_path / f"s{v}.npy", S @ rng.normal(size=(22, d)) + rng.normal(size=(300, d)))
    assert main(["fit", str(tmp_path), "--max-iter", "2", "-o", str(tmp_path / "out")]) == 0
    assert np.load(tmp_path / "out" / "sources.npy").shape == (300, 20)


# Warnings ----------------------------------------------------------------------------------------


def test_no_convergence_is_said_everywhere(recordings, capsys):
    out = recordings.parent / "out"
    assert main(["fit", str(recordings), "-n", "3", "--max-iter", "1", "-o", str(out)]) == 0
    printed = capsys.readouterr()
    assert "did NOT converge in 1 iterations" in printed.out
    assert re.match("mvica: warning: MultiViewICA did not converge .* max_iter", printed.err)
    assert "did not converge" in (out / "report.html").read_text()


def test_a_column_that_all_views_share_is_pointed_out(study, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mvica._job.draw_pictures", empty_pictures)
    clock = np.arange(400.0)[:, None]
    for v, view in enumerate(study.views):
        rows = np.hstack([view[:, :4], clock])
        head = "a,b,c,d,seconds"
        np.savetxt(tmp_path / f"s{v}.csv", rows, delimiter=",", header=head, comments="")
    assert main(["fit", str(tmp_path), "-n", "3", "-o", str(tmp_path / "out")]) == 0
    assert "mvica: warning: seconds: the same numbers in every view" in capsys.readouterr().err
    arguments = ["fit", str(tmp_path), "--exclude", "seconds", "-n", "3"]
    assert main([*arguments, "-o", str(tmp_path / "out2")]) == 0
    assert capsys.readouterr().err == ""


def test_agreement_by_chance_unmasks_what_views_do_not_share(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mvica._job.draw_pictures", empty_pictures)
    rng = np.random.default_rng(0)
    for v in range(3):  # drifts without relation, on which a fit finds agreement nonetheless
        np.save(tmp_path / f"s{v}.npy", rng.normal(size=(200, 20)).cumsum(axis=0))
    assert main(["fit", str(tmp_path), "-n", "3", "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    agreement, chance = re.search(r"to ([\d.]+); chance ([\d.]+)", printed.out).groups()
    assert float(agreement) > 0.9
    assert float(chance) > 0.9
    assert f"even views that share nothing reach an agreement of {chance}" in printed.err
    assert f"agreement of {chance}" in (tmp_path / "out" / "report.html").read_text()


# Errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("a,b\n1,2\nx,4\n", "column 1 (a) is not numeric: 'x' in line 3"),
        ("a,b\n1,2\n3,nan\n5,6\n", "NaN"),
        ("a,b\n1,2\n3,5\n", "has 2 samples where 4 others have 400"),
    ],
)
def test_a_bad_file_is_named_and_nothing_is_written(recordings, capsys, content, words):
    bad = recordings / "eve.csv"
    bad.write_text(content)
    error = run_for_error(capsys, "fit", recordings, "-o", recordings.parent / "out")
    assert error.startswith(f"mvica: error: {bad}: ")
    assert words in error
    assert names(recordings.parent) == ["data"]


def test_one_file_is_not_enough(recordings, capsys):
    out = recordings.parent / "out"
    error = run_for_error(capsys, "fit", recordings / "ann.csv", "-o", out)
    assert "ann.csv: is one view, and at least 2 are needed" in error


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("-n 9", "n_components=9 is too large"),
        ("-n 0", "n_components"),
        ("--tol=-1", "'tol' parameter"),
        ("--noise 0", "'noise' parameter"),
        ("--method permica --noise 2", "--noise is not for --method permica"),
        ("--sfreq 0", "--sfreq 0: expected a positive number"),
        ("--sfreq nan", "--sfreq nan: expected a positive number"),
        ("--picks nose", "asks for 'nose', which it does not have (it has sensor 0"),
    ],
)
def test_options_that_do_not_fit(recordings, capsys, options, words):
    out = recordings.parent / "out"
    assert words in run_for_error(capsys, "fit", recordings, *options.split(), "-o", out)
    assert names(recordings.parent) == ["data"]


def test_errors_of_the_estimator_name_the_file(recordings, capsys):
    error = run_for_error(capsys, "fit", recordings, "-n", "9", "-o", recordings.parent / "out")
    assert f"view 0 ({recordings / 'ann.csv'})" in error


def test_a_file_name_cannot_break_the_line(tmp_path, capsys):
    bad = tmp_path / "a\nmvica: fine\x1b[2J.csv"
    bad.write_text("")
    error = run_for_error(capsys, "fit", bad, "-o", tmp_path / "out")
    assert "\x1b" not in error
    assert "is empty" in error


def test_usage_errors_exit_with_2(capsys):
    for arguments in ([], ["fit"], ["fit", "x.csv"], ["fit", "x.csv", "-o", "y", "-n", "two"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    assert "usage: mvica" in capsys.readouterr().err


# The folder --------------------------------------------------------------------------------------


def test_a_folder_is_replaced_only_with_force(recordings, capsys):
    out = recordings.parent / "out"
    arguments = ["fit", recordings, "-n", "2", "-o", out]
    assert main(list(map(str, arguments))) == 0
    before = (out / "model.npz").read_bytes()
    capsys.readouterr()
    assert "exists already; --force" in run_for_error(capsys, *arguments)
    bad = recordings / "eve.csv"
    bad.write_text("x")
    run_for_error(capsys, *arguments, "--force")
    assert (out / "model.npz").read_bytes() == before
    bad.unlink()
    assert main([*map(str, arguments), "-n", "3", "--force"]) == 0
    assert load(out / "model.npz").n_components == 3
    assert names(recordings.parent) == ["data", "out"]


def test_force_never_removes_what_is_not_a_result(recordings, capsys):
    arguments = ["fit", recordings, "-o", recordings, "--force"]
    assert "holds ann.csv, which mvica did not write" in run_for_error(capsys, *arguments)
    assert names(recordings) == ["ann.csv", "ben.csv", "cleo.csv", "dan.csv"]
    file = recordings / "ann.csv"
    assert "is a file" in run_for_error(capsys, "fit", recordings, "-o", file, "--force")
    assert file.stat().st_size > 0
    missing = recordings.parent / "no" / "out"
    assert "does not exist" in run_for_error(capsys, "fit", recordings, "-o", missing)


def test_a_full_disk_leaves_the_former_result(recordings, capsys, monkeypatch):
    out = recordings.parent / "out"
    arguments = ["fit", str(recordings), "-n", "2", "-o", str(out)]
    assert main(arguments) == 0
    before = {name: (out / name).read_bytes() for name in SHORT_OUTPUTS}
    capsys.readouterr()

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mvica._fit_report.write_report", fail)
    assert main([*arguments, "--force"]) == 2
    assert capsys.readouterr().err == f"mvica: error: {out}: cannot be written: {os.strerror(28)}\n"
    assert {name: (out / name).read_bytes() for name in SHORT_OUTPUTS} == before
    assert names(recordings.parent) == ["data", "out"]


def test_an_output_that_is_a_link_keeps_its_target_in_place(recordings):
    target = recordings.parent / "target"
    link = recordings.parent / "link"
    target.mkdir()
    link.symlink_to(target)
    assert main(["fit", str(recordings), "-n", "2", "-o", str(link), "--force"]) == 0
    assert link.is_symlink()
    assert (target / "report.html").exists()


# Interruption ------------------------------------------------------------------------------------


def test_ctrl_c_that_a_solver_catches_still_stops_the_command(recordings, capsys, monkeypatch):
    out, before = recordings.parent / "out", signal.getsignal(signal.SIGINT)
    plain = MultiViewICA._solve

    def interrupted(self, *arguments):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            return plain(self, *arguments)

    monkeypatch.setattr(MultiViewICA, "_solve", interrupted)
    assert main(["fit", str(recordings), "-n", "2", "-o", str(out)]) == 130
    assert "interrupted, nothing was written" in capsys.readouterr().err
    assert names(recordings.parent) == ["data"]
    assert signal.getsignal(signal.SIGINT) is before, "the caller's handler is back"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_leave_nothing_behind(tmp_path, number, status):
    rng = np.random.default_rng(0)
    for v in range(3):
        np.save(tmp_path / f"s{v}.npy", rng.laplace(size=(30_000, 20)))
    command = [*COMMAND, "fit", tmp_path, "--max-iter", "100000", "--tol", "1e-300", "-o"]
    process = subprocess.Popen([*command, tmp_path / "out"], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".out.*.part")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    error = process.communicate(timeout=60)[1]
    # Python ends itself by the signal when it comes inside an import; a shell sees 130 both times.
    assert process.returncode in (status, -number), error
    assert names(tmp_path) == ["s0.npy", "s1.npy", "s2.npy"]


def test_the_command_runs_outside_the_main_thread(recordings):
    status = []
    arguments = ["fit", str(recordings), "-n", "2", "-o", str(recordings.parent / "out")]
    thread = threading.Thread(target=lambda: status.append(main(arguments)))
    thread.start()
    thread.join()
    assert status == [0]


# The command as a process ------------------------------------------------------------------------


def run(*arguments):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True)


def test_exit_codes_of_the_process(recordings):
    out = recordings.parent / "out"
    done = run("fit", recordings, "-n", 2, "-o", out)
    assert (done.returncode, done.stderr) == (0, "")
    done = run("fit", recordings / "no.csv", "-o", out)
    assert done.returncode == 2
    assert done.stderr == f"mvica: error: {out}: exists already; --force replaces a former result\n"
    done = run("fit", recordings / "no.csv", "-o", out, "--force")
    assert done.returncode == 2
    assert done.stderr == f"mvica: error: {recordings / 'no.csv'}: no such file\n"


def test_version_and_help():
    assert run("--version").stdout == f"mvica {mvica.__version__}\n"
    help_text = run("fit", "--help").stdout
    assert "--views {files,conditions}" in help_text
    assert "mvica fit ann-ave.fif --views conditions" in help_text


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from mvica.cli import main\n"
        "try: main(['fit', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'sklearn', 'numba', 'matplotlib', 'mne'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_demo_finds_the_known_sources(tmp_path, capsys):
    mne = pytest.importorskip("mne")
    if not hasattr(mne.channels, "read_meg_canonical_info"):
        pytest.skip("the sensor table of MNE 1.12")
    out = tmp_path / "demo"
    assert main(["demo", "-o", str(out)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "20 subjects, evoked, 306 channels" in printed[0]
    assert printed[1] == "6 of 8 true sources found with a correlation above 0.9"
    assert printed[2] == f"report: {out / 'report.html'}"
    assert set(names(out)) == {
        "measures.csv", "model.npz", "report.html", "sources.csv", "timing.csv",
    }  # fmt: skip
    rows = {row["true source"]: row for row in table(out / "measures.csv")}
    assert len(rows) == 8
    for name in ("aud_N100m", "vis_M100"):
        assert float(rows[name]["correlation"]) > 0.93
        assert float(rows[name]["latency correlation"]) > 0.8
        assert float(rows[name]["latency error ms"]) < 5
    assert len(table(out / "timing.csv")) == 20 * 12
    times = [float(row["time"]) for row in table(out / "sources.csv")]
    assert (times[0], times[351], len(times)) == (-0.2, -0.2, 702)
    html = (out / "report.html").read_text()
    assert "aud_N100m" in html
    assert "MVICAD on 20 subjects" in html
    assert load(out / "model.npz").delays_.shape == (20, 12)


# Real data ---------------------------------------------------------------------------------------


@needs_data
def test_real_fmri(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mvica._job.draw_pictures", empty_pictures)
    files = sorted((DATA / "limvam_fmri").glob("sub*.txt"))
    out = tmp_path / "out"
    arguments = ["fit", *map(str, files), "--n-components", "5", "-o", str(out)]
    assert main(arguments) == 0
    assert "I: the same numbers in every view" in capsys.readouterr().err
    assert shlex.join(["mvica", *arguments[:2]]) in (out / "report.html").read_text()
    sources = np.load(out / "sources.npy")
    task = np.loadtxt(files[0], skiprows=1)[:, 8]
    assert abs(np.corrcoef(sources[:, 0], task)[0, 1]) > 0.999
    rows = table(out / "views.csv")
    assert [row["name"] for row in rows][:2] == ["sub001", "sub004"]
    assert {row["rank"] for row in rows} == {"9"}


@needs_data
def test_real_evoked_conditions(tmp_path, capsys):
    pytest.importorskip("mne")
    path = DATA / "meg" / "test_elekta-ave.fif"
    out = tmp_path / "out"
    options = ["--views", "conditions", "--picks", "mag", "--reduction", "pca", "-n", "5"]
    assert main(["fit", str(path), *options, "-o", str(out)]) == 0
    rows = table(out / "sources.csv")
    assert len(rows) == 351
    assert float(rows[0]["time"]) == pytest.approx(-0.05)
    mixings = table(out / "mixings.csv")
    assert len(mixings) == 7 * 102
    assert {row["type"] for row in mixings} == {"mag"}
    assert mixings[0]["feature"] == "MEG0111"
    views = table(out / "views.csv")
    assert views[3]["name"] == "Test event 3"
    assert all(0 < float(row["variance_explained"]) < 1 for row in views)
