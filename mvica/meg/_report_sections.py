"""Sections of the report on a group: words, tables and figures put into an mne.Report."""

import platform

import numpy as np
import scipy
import sklearn

import mvica
from mvica import plotting, report
from mvica.meg._mne import import_mne
from mvica.meg._report_facts import age_text
from mvica.meg._report_page import add_figure, add_html
from mvica.meg.dipoles import fit_dipoles
from mvica.plotting.canvas import p_text
from mvica.plotting.maps import common_maps
from mvica.timing_statistics import normalise_timing, regress
from mvica.uncertainty import split_half_correlations

LEAST_SPLIT = 4  # views, for halves of two
MAX_ROWS, MAX_COLUMNS = 6, 10  # subjects and sources in a grid of maps
HIDDEN = ("memory", "noise_cov")  # parameters that may hold paths


# Data and settings -----------------------------------------------------------------------------


def add_data(page, facts):
    """Who and what was recorded: one line a subject, and the segments."""
    views, records = facts.group.views_, facts.records
    numbers = [
        (facts.m, "subjects"),
        (facts.sources.shape[0], "samples"),
        (f"{views.sfreq:g}", "samples per second"),
        (views.views[0].shape[1], "principal components a subject"),
        (facts.p, "sources"),
    ]
    if not np.isnan(facts.agreement).all():
        numbers.append((f"{np.nanmean(facts.agreement):.2f}", "mean agreement of a subject"))
    rows = []
    for v, record in enumerate(records):
        kinds = [f"{record.ch_types.count(t)} {t}" for t in dict.fromkeys(record.ch_types)]
        trials = [count for count in record.n_trials or () if count is not None]
        rows.append(
            (
                facts.names[v],
                age_text(facts, v),
                ", ".join(kinds),
                int(record.rank),
                len(record.bads),
                ", ".join(map(str, trials[:6])) + (" ..." if len(trials) > 6 else ""),
                float(np.sqrt(np.mean(facts.noise[v] ** 2))),
                len(record.warnings),
            )
        )
    head = ("subject", "age", "channels", "rank", "bads", "trials", "noise", "warnings")
    keep = [i for i, name in enumerate(head) if name != "age" or facts.ages is not None]
    table = report.table([head[i] for i in keep], [[row[i] for i in keep] for row in rows])
    note = (
        "Trials: those behind each segment. Noise: standard deviation of what a subject adds to a "
        "shared source, relative to that source, mean square over sources. Warnings: raised while "
        "the subject was read."
    )
    add_html(page, "Subjects", "Data", report.facts(numbers) + table + report.paragraph(note))
    add_html(page, "Segments", "Data", _segments(views))
    told = zip(facts.names, records, strict=True)
    texts = [f"{name}: {text}" for name, record in told for text in record.warnings]
    if texts and not facts.anonymous:
        listed = "".join(report.paragraph(text, kind="warning") for text in texts)
        add_html(page, "Warnings while reading", "Data", listed)


def _segments(views):
    rows = [
        (s["condition"] or "continuous", s["split"] + 1, s["tmin"], s["n_times"])
        for s in views.segments[:20]
    ]
    more = len(views.segments) - len(rows)
    note = report.paragraph(f"{more} more segments are not listed.") if more else ""
    return report.table(("condition", "batch", "first time (s)", "samples"), rows) + note


def add_settings(page, facts):
    """Every parameter of the group and of its estimator."""
    of_group = facts.group.get_params(deep=False)
    of_group.pop("estimator")
    given = facts.estimator.get_params(deep=False)
    add_html(page, facts.estimator_name, "Settings", _parameters(given, facts.anonymous))
    add_html(page, "Views of the recordings", "Settings", _parameters(of_group, facts.anonymous))


def _parameters(parameters, anonymous):
    rows = [(name, _value(name, value, anonymous)) for name, value in sorted(parameters.items())]
    return report.table(("parameter", "value"), rows)


def _value(name, value, anonymous):
    if name in HIDDEN and value is not None and anonymous:
        return "given"
    if isinstance(value, np.ndarray) or (
        isinstance(value, (list, tuple)) and any(np.ndim(item) for item in value)
    ):
        return "given array"
    text = repr(value)
    return text if len(text) <= 300 else text[:299] + "…"


def add_convergence(page, facts):
    """How the fit ended, and its course."""
    found = facts.estimator
    converged = getattr(found, "converged_", None)
    if converged is None:
        line = report.paragraph(f"{facts.estimator_name} has no iterations to follow.")
    else:
        state = "converged" if converged else "did NOT converge"
        line = f"{facts.estimator_name} {state} in {found.n_iter_} iterations"
        gradient = getattr(found, "gradient_norm_", None)
        line += "." if gradient is None else f" (largest gradient entry {gradient:.1e})."
        line = report.paragraph(line, kind="good" if converged else "warning")
    if facts.timed and hasattr(found, "at_bounds_"):
        share = float(np.mean(found.at_bounds_))
        line += report.paragraph(
            f"{share:.0%} of the timings lie at the end of the range that was searched.",
            kind="warning" if share > 0.1 else None,
        )
    add_html(page, "End of the fit", "Convergence", line)
    if len(getattr(found, "objective_history_", ())) > 1:
        history = np.asarray(found.objective_history_)
        figure = plotting.plot_convergence(history)
        add_figure(page, figure, "Objective", "Convergence", "svg")


# Components ------------------------------------------------------------------------------------


def add_components(page, facts, dipoles):
    """All sources and maps together, then each source with its subjects and maps."""
    figure = plotting.plot_sources(
        facts.sources,
        facts.aligned,
        facts.times,
        segments=facts.marks,
        own_time=facts.own if facts.timed else None,
        ages=facts.ages,
        band=True,
        names=facts.component_names,
    )
    note = "Thick: the shared source. Thin: the subjects. Shaded: 95 % bootstrap interval."
    add_figure(page, figure, "All sources", "Components", "png", note)
    infos = [record.info for record in facts.records]
    mappable = _has_positions(infos)
    if mappable:
        note = (
            "Field of a source of one standard deviation. r: mean absolute correlation between the "
            "maps of two subjects."
        )
        for start in range(0, facts.p, MAX_COLUMNS):
            chosen = range(start, min(start + MAX_COLUMNS, facts.p))
            figure = _map_grid(facts, infos, chosen)
            title = "All maps" if start == 0 else f"Maps from {facts.component_names[start]} on"
            add_figure(page, figure, title, "Components", "png", note)
    add_html(page, "Dipoles", "Components", _dipoles(facts, dipoles))
    common = common_maps(facts.group.patterns_, infos) if mappable else None
    for c in range(facts.p):
        _add_component(page, facts, c, common)


def _add_component(page, facts, c, common):
    """One source: its traces, the image of all subjects, and its median map."""
    from matplotlib.figure import Figure

    fig = Figure(figsize=(10, 4.6), layout="constrained")
    if common is None:
        top, bottom = fig.subplots(2, 1, height_ratios=[1, 1.3])
    else:
        panels = fig.subplot_mosaic([["map", "traces"], ["map", "image"]], width_ratios=[1, 4.2])
        top, bottom = panels["traces"], panels["image"]
        maps, info = common
        median = np.median(maps[:, :, [c]], axis=0)
        plotting.plot_topomaps(
            [median], info, component_names=["median map"], median=False, axes=[panels["map"]]
        )
        panels["map"].set_ylabel("")
    plotting.plot_sources(
        facts.sources[:, [c]],
        facts.aligned[:, :, [c]],
        facts.times,
        segments=facts.marks,
        band=True,
        names=[facts.component_names[c]],
        axes=[top],
    )
    top.collections[0].set_rasterized(True)
    top.set(xlabel="", ylabel="standard deviations")
    plotting.plot_source_image(
        facts.own[:, :, c],
        facts.times,
        sort_by=facts.ages if facts.ages is not None else _delay_ms(facts, c),
        sort_label="age (years)" if facts.ages is not None else "delay (ms)",
        latencies=_latencies(facts, c),
        segments=facts.marks,
        ax=bottom,
    )
    note = "Above, all subjects; below, one row each, in units of its own standard deviation."
    if facts.timed:
        note = "Above, aligned. Below, each subject in its own time, with the fitted latency."
    add_figure(page, fig, facts.component_names[c], "Components", "svg", note)


def _delay_ms(facts, c):
    return None if facts.delays is None else 1e3 * facts.delays[:, c]


def _latencies(facts, c):
    """Where the peak of the source is in each subject: seconds, or samples of several segments."""
    if not facts.timed:
        return None
    peak = int(np.argmax(np.abs(facts.sources[:, c])))
    dilations = 1.0 if facts.dilations is None else facts.dilations[:, c]
    latency = facts.times[peak] * dilations + facts.delays[:, c]
    if len(facts.marks) < 2:
        return latency
    return peak + (latency - facts.times[peak]) * facts.group.views_.sfreq


def _has_positions(infos):
    kinds = set(infos[0].get_channel_types(unique=True)) & {"mag", "grad", "eeg"}
    places = np.array([channel["loc"][:3] for info in infos for channel in info["chs"]])
    return bool(kinds) and bool(np.isfinite(places).all() and (places != 0).any(axis=1).all())


def _map_grid(facts, infos, components):
    return plotting.plot_topomaps(
        facts.group.patterns_,
        infos,
        components=list(components),
        subjects=facts.shown[:MAX_ROWS],
        component_names=facts.component_names,
        subject_names=facts.names,
    )


def _can_be_located(info):
    """Whether a dipole can be fitted to these channels."""
    kinds = info.get_channel_types(unique=True)
    averaged = any("Average EEG" in projection["desc"] for projection in info["projs"])
    if "eeg" in kinds and not (averaged or info["custom_ref_applied"]):
        return False
    return _has_positions([info]) and (kinds == ["eeg"] or info["dev_head_t"] is not None)


def _dipoles(facts, wanted):
    if not wanted:
        return report.paragraph("Dipoles were not asked for.")
    known = [v for v in facts.shown if _can_be_located(facts.records[v].info)]
    if not known:
        return report.paragraph(
            "No dipoles can be fitted: MEG needs a device-to-head transform, and EEG the places of "
            "the electrodes and an average reference."
        )
    found = [fit_dipoles(facts.group.patterns_[v], facts.records[v].info) for v in known]
    positions = 1e3 * np.array([dipole.pos for dipole in found])
    gof = np.array([dipole.gof for dipole in found])
    away = np.linalg.norm(positions - np.median(positions, axis=0), axis=2)
    rows = []
    for c, name in enumerate(facts.component_names):
        for i, v in enumerate(known):
            place = ", ".join(f"{x:.0f}" for x in positions[i, c])
            rows.append((name, facts.names[v], place, f"{gof[i, c]:.0f}", f"{away[i, c]:.0f}"))
    head = ("source", "subject", "x, y, z (mm, head)", "fit (%)", "from the median (mm)")
    return report.table(head, rows) + report.paragraph(
        "One dipole a map, in a spherical head. One dipole cannot explain a field from both "
        "hemispheres: a low fit says so."
    )


# Noise, timing, stability ----------------------------------------------------------------------


def add_noise(page, facts):
    """Noise level of every subject."""
    figure = plotting.plot_noise_levels(facts.noise, facts.ages, view_names=facts.names)
    note = "Orange: above the median by more than three median absolute deviations."
    add_figure(page, figure, "Noise levels", "Noise", "png", note)


def add_timing(page, facts):
    """Delays and dilations, and how they go with age."""
    if not facts.timed:
        return
    delays, dilations = normalise_timing(facts.delays, facts.dilations)
    known = facts.ages is not None and np.isfinite(facts.ages).sum() >= 3
    if known and np.ptp(facts.ages[np.isfinite(facts.ages)]) > 0:
        shown = None if facts.dilations is None else dilations
        figure = plotting.plot_timing_vs_age(delays, shown, facts.ages, robust=True)
        note = "Mean over the sources. Timing of the average subject: 0 ms, 100 %."
        add_figure(page, figure, "Mean timing and age", "Timing vs age", "svg", note)
        add_html(page, "Regression on age", "Timing vs age", _regressions(facts, delays, dilations))
    else:
        words = "Ages are not known for three subjects or more: timing alone."
        add_html(page, "Regression on age", "Timing vs age", report.paragraph(words))
    options = {"view_names": facts.names, "view_label": "subject"}
    figure = plotting.plot_view_matrix(1e3 * delays, label="delay (ms)", centre=0, **options)
    add_figure(page, figure, "Delays", "Timing vs age", "png")
    if facts.dilations is not None:
        figure = plotting.plot_view_matrix(
            100 * dilations, label="dilation (%)", centre=100, **options
        )
        add_figure(page, figure, "Dilations", "Timing vs age", "png")


def _regressions(facts, delays, dilations):
    columns = [("delay", "ms", 1e3 * delays)]
    if facts.dilations is not None:
        columns.append(("dilation", "%", 100 * dilations))
    rows = []
    for what, unit, values in columns:
        named = [("mean", values.mean(axis=1)), *zip(facts.component_names, values.T, strict=True)]
        if np.ptp(values, axis=1).max() <= 1e-9 * np.abs(values).max():
            named = [("all sources", values[:, 0])]  # they share one clock
        for name, y in named:
            line = regress(facts.ages, y)
            low, high = line.theil_sen_interval
            rows.append(
                (
                    f"{what} of {name} ({unit}/year)",
                    f"{line.slope:+.3f} ± {line.slope_std:.3f}",
                    f"{line.r2:.2f}",
                    f"{line.pearson:+.2f} ({p_text(line.pearson_p)})",
                    f"{line.spearman:+.2f} ({p_text(line.spearman_p)})",
                    f"{line.theil_sen:+.3f} ({low:+.3f} to {high:+.3f})",
                    line.n,
                )
            )
    head = ("timing", "slope", "R²", "Pearson", "Spearman", "Theil-Sen (95 %)", "subjects")
    return report.table(head, rows) + report.paragraph(
        "p values are not corrected for the number of sources."
    )


def add_stability(page, facts):
    """Agreement of each subject with the others, and of halves of the group."""
    if np.isnan(facts.agreement).all():
        words = "One subject alone has nothing to agree with."
        add_html(page, "Agreement", "Stability", report.paragraph(words))
        return
    figure = plotting.plot_view_matrix(
        facts.agreement, label="correlation", view_names=facts.names, view_label="subject"
    )
    note = "Correlation of a subject's source with the mean of the other subjects' (leave one out)."
    add_figure(page, figure, "Agreement with the others", "Stability", "png", note)
    if facts.m < LEAST_SPLIT:
        return
    r = split_half_correlations(facts.aligned)
    figure = plotting.plot_stability(r, names=facts.component_names)
    note = (
        "Correlation of the mean source of a random half of the subjects with that of the others, "
        "50 times. The unmixings are those of the whole group."
    )
    add_figure(page, figure, "Split halves", "Stability", "svg", note)


def add_reproduction(page, facts):
    """Versions, seed, and the code that makes the fit again."""
    mne = import_mne()
    versions = [
        ("mvica", mvica.__version__),
        ("MNE-Python", mne.__version__),
        ("NumPy", np.__version__),
        ("SciPy", scipy.__version__),
        ("scikit-learn", sklearn.__version__),
        ("Python", platform.python_version()),
    ]
    seed = facts.estimator.get_params(deep=False).get("random_state")
    rows = [*versions, ("random_state", "none: other runs may differ" if seed is None else seed)]
    add_html(page, "Versions and seed", "Reproduction", report.table(("what", "value"), rows))
