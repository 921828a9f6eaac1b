"""What the report of a fit says: its sections, in words, tables and pictures."""

import platform

import numpy as np
import scipy
import sklearn

import mvica
from mvica import report
from mvica._job import components_table, excerpt_rows, views_table
from mvica._recording_checks import sampling_rate


def write_report(fit, pictures, path, *, command, recipe):
    """Write the report of a fit as one HTML file.

    Parameters
    ----------
    fit : mvica._job.Fit
        The fit.
    pictures : dict of str to bytes
        PNG of each figure, by file name.
    path : path-like
        Where to write.
    command : str
        Command line that made it.
    recipe : str
        Python code that reads the same data as `recordings`.
    """
    sections = [
        ("Summary", _summary(fit)),
        ("Data", _data(fit)),
        ("Convergence", _convergence(fit, pictures)),
        ("Components", _components(fit, pictures)),
        ("Views", _views(fit, pictures)),
        ("Mixing matrices", _mixings(pictures)),
        ("Settings", _settings(fit, command)),
        ("Use it in Python", _usage(recipe)),
    ]
    p = fit.sources.shape[1]
    subtitle = f"{type(fit.estimator).__name__} with {p} components on {fit.X.n_views} views"
    page = report.render_page("Shared sources", subtitle, sections)
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(page)


def headline(fit):
    """One sentence on how many components the views share."""
    agreement = fit.estimator.agreement_.mean(axis=0)
    above, p = int(np.sum(agreement > fit.chance)), len(agreement)
    return (
        f"{above} of {p} components agree between the views better than chance "
        f"(mean correlation {agreement.min():.2f} to {agreement.max():.2f}; chance "
        f"{fit.chance:.2f})."
    )


def convergence_line(fit):
    """One sentence on the solver's end."""
    est = fit.estimator
    state = "converged" if est.converged_ else "did NOT converge"
    return (
        f"{type(est).__name__} {state} in {est.n_iter_} iterations "
        f"(gradient {est.gradient_norm_:.1e})."
    )


def _summary(fit):
    n, p = fit.sources.shape
    agreement = fit.estimator.agreement_.mean(axis=0)
    above = np.all(agreement > fit.chance)
    parts = [
        report.facts(
            [
                (fit.X.n_views, "views"),
                (n, "samples"),
                (_range(fit.X.view_sizes), "features a view"),
                (p, "components"),
                (f"{agreement.mean():.2f}", "mean agreement"),
                (f"{fit.chance:.2f}", "agreement by chance"),
                (f"{fit.variance_explained.mean():.0%}", "variance explained"),
            ]
        ),
        report.paragraph(
            convergence_line(fit), kind="good" if fit.estimator.converged_ else "warning"
        ),
        report.paragraph(headline(fit), kind="good" if above else "warning"),
    ]
    parts += [report.paragraph(message, kind="warning") for message in fit.messages]
    parts.append(
        report.paragraph(
            "Agreement is the correlation of a view's own estimate of a source with the mean of "
            "the other views' estimates, on the data of the fit. Chance is what the best component "
            "reaches when the views are moved against each other in time, so that they share "
            "nothing: a component near or below it may be made of noise."
        )
    )
    return "\n".join(parts)


def _range(numbers):
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def _data(fit):
    first = fit.recordings[0]
    parts = []
    if first.times is not None:
        rate = sampling_rate(first.times)
        text = f"Time axis: {first.times.min():.4g} to {first.times.max():.4g} s"
        parts.append(
            report.paragraph(text + (f", {rate:.5g} samples per second." if rate else "."))
        )
    if len(first.segments) > 1:
        labels = ", ".join(label for label, _ in first.segments)
        parts.append(report.paragraph(f"Conditions, end to end in every view: {labels}."))
    notes = any(recording.notes for recording in fit.recordings)
    head = ["view", "file", "samples", "features", "rank"] + (["notes"] if notes else [])
    rows = []
    for recording, rank in zip(fit.recordings, fit.estimator.rank_, strict=True):
        row = [recording.name, recording.path, *recording.data.shape, int(rank)]
        rows.append(row + (["; ".join(recording.notes)] if notes else []))
    parts.append(report.table(head, rows))
    return "\n".join(parts)


def _convergence(fit, pictures):
    line = report.paragraph(convergence_line(fit))
    if "objective.png" not in pictures:
        return line
    return line + report.picture(
        pictures["objective.png"], "Objective over the iterations, and its distance to the end."
    )


def _components(fit, pictures):
    head = ("component", "agreement", "least", "in view", "variance explained", "noise variance")
    parts = [
        report.table(head, components_table(fit)[1]),
        report.picture(
            pictures["sources.png"],
            "Shared sources (dark) and the same sources as every view sees them (grey), in units "
            "of the shared source's standard deviation.",
        ),
    ]
    if "sources_excerpt.png" in pictures:
        rows = excerpt_rows(fit)
        caption = f"A part of the same, larger: samples {rows.start} to {rows.stop - 1}."
        parts.append(report.picture(pictures["sources_excerpt.png"], caption))
    parts.append(report.paragraph("The values are in sources.csv and sources.npy."))
    return "\n".join(parts)


def _views(fit, pictures):
    rows = views_table(fit)[1]
    keep = [0, 5, 6, 7]
    names = ("view", "variance explained", "mean noise variance", "agreement with the others")
    return (
        report.table(names, [[row[i] for i in keep] for row in rows])
        + report.picture(
            pictures["agreement.png"],
            "Correlation of every view's source with the mean of the other views'. A dark row is a "
            "view unlike the others; a dark column is a component that is not shared.",
        )
        + report.paragraph(
            "Noise variances are relative to shared sources of variance 1. The table is in "
            "views.csv."
        )
    )


def _mixings(pictures):
    return report.picture(
        pictures["mixings.png"],
        "How a component shows in the features of each view: change of the feature, in its own "
        "standard deviations, for one standard deviation of the view's source.",
    ) + report.paragraph(
        "The mixing matrices in the units of the data are in mixings.csv; where the reader divided "
        "a feature by a number, that number is in the column divided_by."
    )


def _settings(fit, command):
    rows = [[name, str(value)] for name, value in sorted(fit.estimator.get_params().items())]
    versions = [
        ("mvica", mvica.__version__),
        ("Python", platform.python_version()),
        ("NumPy", np.__version__),
        ("SciPy", scipy.__version__),
        ("scikit-learn", sklearn.__version__),
    ]
    made_by = ", ".join(f"{name} {version}" for name, version in versions)
    return (
        report.code(command)
        + report.table(["parameter", "value"], rows)
        + report.paragraph(f"Made by {made_by}.")
    )


def _usage(recipe):
    return report.paragraph(
        "The model holds everything that transform needs. Run this in the folder where the command "
        "was run:"
    ) + report.code(recipe)
