"""From recordings to a folder with a causal graph: fit, tables, pictures and report."""

import io
import warnings
from dataclasses import dataclass

import numpy as np

from mvica import report
from mvica._job import DPI, FitError, with_files, write_csv
from mvica.causal.bootstrap import Bootstrap
from mvica.causal.plotting import plot_adjacency, plot_graph, plot_order_stability
from mvica.persistence import save

MAX_ROWS = 60  # edges listed in the report


@dataclass(frozen=True)
class CausalFit:
    """A fitted causal estimator, and what there is to say about it.

    Attributes
    ----------
    estimator : estimator
        Fitted.
    recordings : list of Recording
        One a view.
    confidence : ndarray of shape (p - 1,) or None
        Nats between neighbours in the order; None with one view or own orders.
    bootstrap : Bootstrap or None
    messages : list of str
        Warnings, for the user.
    """

    estimator: object
    recordings: list
    confidence: np.ndarray | None
    bootstrap: Bootstrap | None
    messages: list


def fit_recordings(estimator, recordings, *, n_boot=0, block=None, random_state=0, verbose=0):
    """Fit a causal estimator to recordings of the same variables.

    Raises
    ------
    FitError
        If the recordings differ in their variables, or the estimator refuses them.
    """
    names = recordings[0].feature_names
    for recording in recordings:
        if tuple(recording.feature_names) != tuple(names):
            raise FitError(
                f"{recording.path} has the columns {', '.join(recording.feature_names)}, "
                f"{recordings[0].path} has {', '.join(names)}: causal discovery needs the same "
                "variables, in the same order, in every file (--picks chooses columns)"
            )
    views, messages, resampled = [recording.data for recording in recordings], [], None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator.fit_named(views, names)
            if n_boot:
                resampled = estimator.bootstrap(
                    views, n_boot, block=block, random_state=random_state, verbose=verbose
                )
        except (ValueError, TypeError) as error:
            raise FitError(with_files(str(error), recordings)) from error
    messages += dict.fromkeys(with_files(str(w.message), recordings) for w in caught)
    shared = estimator.causal_order_.ndim == 1 and len(views) > 1
    confidence = estimator.order_confidence() if shared else None
    return CausalFit(estimator, recordings, confidence, resampled, messages)


def headline(fit):
    """One sentence with the order, or that there is one for each view."""
    est = fit.estimator
    if est.causal_order_.ndim == 2:
        return f"{len(est.causal_order_)} views, each with a causal order of its own."
    return "Causal order: " + ", ".join(est.variable_names_[j] for j in est.causal_order_) + "."


# Tables ------------------------------------------------------------------------------------------


def write_tables(fit, folder):
    """Write the model, the tables and the graph as text into `folder`."""
    save(fit.estimator, folder / "model.npz")
    write_csv(folder / "edges.csv", *edges_table(fit))
    write_csv(folder / "strengths.csv", *_strengths_table(fit))
    write_csv(folder / "order.csv", *order_table(fit))
    (folder / "graph.dot").write_text(fit.estimator.to_dot(), encoding="utf-8")


def edges_table(fit):
    """Every edge, strongest first; with its share of bootstrap replicates where there are any."""
    est, names = fit.estimator, list(fit.estimator.variable_names_)
    records = est.edge_records()
    head = list(records[0]) if records else ["cause", "effect"]
    rows = [list(record.values()) for record in records]
    if fit.bootstrap is not None:
        share = fit.bootstrap.edge_probability()
        low, high = fit.bootstrap.confidence_interval()
        head += ["replicates_with_edge", "ci95_low", "ci95_high"]
        for row in rows:
            edge = names.index(row[1]), names.index(row[0])
            row += [float(share[edge]), float(low[edge]), float(high[edge])]
    return head, rows


def order_table(fit):
    """Place of every variable; nats that the order is ahead of a swap with the next one."""
    est, names = fit.estimator, fit.estimator.variable_names_
    if est.causal_order_.ndim == 2:
        rows = [
            [recording.name, place + 1, names[j]]
            for recording, order in zip(fit.recordings, est.causal_order_, strict=True)
            for place, j in enumerate(order)
        ]
        return ["view", "place", "variable"], rows
    known = [None] * (len(names) - 1) if fit.confidence is None else fit.confidence.tolist()
    places = zip(est.causal_order_, [*known, None], strict=True)
    rows = [[k + 1, names[j], gap] for k, (j, gap) in enumerate(places)]
    return ["place", "variable", "nats_ahead_of_swap_with_next"], rows


def _strengths_table(fit):
    est = fit.estimator
    rows = []
    for v, recording in enumerate(fit.recordings):
        B, errors = est.adjacency_matrices_[v], est.adjacency_se_[v]
        for i, j in np.argwhere(B != 0):
            cause, effect = est.variable_names_[j], est.variable_names_[i]
            rows.append([recording.name, cause, effect, float(B[i, j]), float(errors[i, j])])
    return ["view", "cause", "effect", "strength", "standard_error"], rows


# Pictures and report -----------------------------------------------------------------------------


def draw_pictures(fit, folder):
    """Draw the figures, write them into `folder`, and return the PNG of each by file name."""
    figures = {
        "graph.png": plot_graph(fit.estimator),
        "adjacency.png": plot_adjacency(fit.estimator),
    }
    if fit.bootstrap is not None:
        names = fit.estimator.variable_names_
        figures["order_stability.png"] = plot_order_stability(fit.bootstrap, names)
    pictures = {}
    for name, figure in figures.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=DPI)
        pictures[name] = buffer.getvalue()
        (folder / name).write_bytes(pictures[name])
    return pictures


def write_report(fit, pictures, path, *, command, recipe):
    """Write the report as one HTML file."""
    est = fit.estimator
    sections = [
        ("Summary", _summary(fit)),
        ("Causal graph", _graph(pictures)),
        ("Order", _order(fit, pictures)),
        ("Edges", _edges(fit, pictures)),
        ("Settings", _settings(fit, command)),
        (
            "Use it in Python",
            report.paragraph("Run this in the folder where the command was run:")
            + report.code(recipe),
        ),
    ]
    p = len(est.variable_names_)
    subtitle = f"{type(est).__name__}: {p} variables in {est.n_views_} views"
    page = report.render_page("Causal graph", subtitle, sections)
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(page)


def _summary(fit):
    est = fit.estimator
    edges = int((est.adjacency_matrices_ != 0).any(axis=0).sum())
    facts = [
        (est.n_views_, "views"),
        (est.n_samples_, "samples"),
        (len(est.variable_names_), "variables"),
        (edges, "edges"),
    ]
    if np.isfinite(getattr(est, "order_margin_", np.nan)):
        facts.append((f"{est.order_margin_:.2f}", "nats to the second best order"))
    parts = [report.facts(facts), report.paragraph(headline(fit))]
    parts += [report.paragraph(message, kind="warning") for message in fit.messages]
    if fit.confidence is not None and len(fit.confidence) and fit.confidence.min() < 3:
        parts.append(
            report.paragraph(
                "Some neighbours in the order are worth less than 3 nats: the data hardly tell "
                "which comes first. See the order below before reading a direction off the graph.",
                kind="warning",
            )
        )
    return "\n".join(parts)


def _graph(pictures):
    return report.picture(
        pictures["graph.png"],
        "Left: causes stand left of their effects; lines are as wide as the median effect is "
        "strong, red positive, blue negative. Right: the same edges in every view (dots) and their "
        "median (bar). Strengths in standard deviations of the effect for one of the cause.",
    )


def _order(fit, pictures):
    head, rows = order_table(fit)
    parts = [report.table([name.replace("_", " ") for name in head], rows[:MAX_ROWS])]
    if fit.confidence is not None:
        parts.append(
            report.paragraph(
                "Nats: by how much the log-likelihood falls when a variable trades places with the "
                "next one. Near zero the data do not tell; negative, they prefer the swap. "
                "Autocorrelated samples overstate them."
            )
        )
    if "order_stability.png" in pictures:
        parts.append(
            report.picture(
                pictures["order_stability.png"],
                "How often each variable took each place when the rows were drawn again, the same "
                "rows in all views.",
            )
        )
    return "\n".join(parts)


def _edges(fit, pictures):
    head, rows = edges_table(fit)
    table = report.table([name.replace("_", " ") for name in head], rows[:MAX_ROWS])
    more = f" {len(rows) - MAX_ROWS} more are in edges.csv." if len(rows) > MAX_ROWS else ""
    return (
        table
        + report.paragraph(
            "Strength: median over views, in the units of the data, with mean, standard deviation, "
            "least and largest view; standardised: the median in standard deviations; agreement: "
            "share of views with the sign of the median; p: joint test over views that the effect "
            "is zero in all, given the order, among all "
            "edges that it allows. The strengths of each view are in strengths.csv." + more
        )
        + report.picture(pictures["adjacency.png"], "Median direct effects, in causal order.")
    )


def _settings(fit, command):
    rows = [[name, str(value)] for name, value in sorted(fit.estimator.get_params().items())]
    return report.code(command) + report.table(["parameter", "value"], rows)
