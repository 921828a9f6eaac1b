"""From recordings to a folder of results: fit, model, tables, pictures and report."""

import csv
import io
import re
import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from mvica import plotting
from mvica._recording_checks import shared_columns
from mvica.persistence import save
from mvica.views import MultiViewData

DPI = 130
EXCERPT = 500  # samples
HIGH_CHANCE = 0.8  # agreement above it is hardly told from what noise reaches
CHANCE_DRAWS = 3
CHANCE_ITERATIONS = 20  # views that share nothing have nothing to converge to


class FitError(ValueError):
    """Data or options that the estimator refuses."""


@dataclass(frozen=True)
class Fit:
    """A fitted estimator, its data, and what there is to say about both.

    Attributes
    ----------
    estimator : estimator
        Fitted.
    recordings : list of Recording
        One a view.
    X : MultiViewData
        Their data.
    sources : ndarray of shape (n_samples, p)
        Shared sources.
    variance_explained : ndarray of shape (m,)
        Share of each view's variance that a regression on the shared sources explains.
    chance : float
        Agreement of the best component when the views are shifted against each other in time.
    messages : list of str
        Warnings, for the user.
    """

    estimator: object
    recordings: list
    X: MultiViewData
    sources: np.ndarray
    variance_explained: np.ndarray
    chance: float
    messages: list


def fit_recordings(estimator, recordings):
    """Fit `estimator` to the recordings, and measure the fit.

    Raises
    ------
    FitError
        If the estimator refuses the data or its parameters.
    """
    names = [recording.name for recording in recordings]
    X = MultiViewData([recording.data for recording in recordings], view_names=names)
    messages = []
    same = shared_columns(recordings)
    if same:
        messages.append(
            f"{', '.join(same[:5])}{', ...' if len(same) > 5 else ''}: the same numbers in every "
            "view, so a component that says nothing about the views; leave out with --exclude"
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator.fit(X)
        except (ValueError, TypeError) as error:
            raise FitError(with_files(str(error), recordings)) from error
    messages += dict.fromkeys(str(warning.message) for warning in caught)
    sources = estimator.transform(X)
    explained = np.array([_explained(X_v, sources) for X_v in X.views])
    chance = chance_agreement(estimator, X.views)
    if chance > HIGH_CHANCE:
        messages.append(
            f"even views that share nothing reach an agreement of {chance:.2f} here: there are few "
            "samples, or slow signals, for so many features. --reduction pca, fewer components or "
            "features, or more samples help"
        )
    return Fit(estimator, recordings, X, sources, explained, chance, messages)


def with_files(message, recordings):
    """Name the file behind every "view 0" of an estimator's message."""

    def named(found):
        v = int(found[1])
        return f"{found[0]} ({recordings[v].path})" if v < len(recordings) else found[0]

    return re.sub(r"\bview (\d+)\b", named, message)


def _explained(X_v, S):
    """Share of the variance of X_v (n, d) that the sources (n, p) explain, constant included."""
    S = np.asarray(S - S.mean(axis=0), dtype=float)
    X_v = np.asarray(X_v - X_v.mean(axis=0, dtype=float), dtype=float)
    Q = np.linalg.qr(S)[0]
    scale = np.abs(X_v).max() or 1.0
    return float(np.sum((Q.T @ (X_v / scale)) ** 2) / np.sum((X_v / scale) ** 2))


def chance_agreement(estimator, views):
    """Agreement that the same fit reaches on views that share nothing any more.

    Each view is moved by a random number of samples, round the end, so that it keeps its own course
    in time. With few samples, slow signals or many features even such views can be made to agree.

    Parameters
    ----------
    estimator : estimator
        Fitted. Its parameters are used; `max_iter` is at most 20 here.
    views : sequence of m ndarrays of shape (n_samples, n_features_v)

    Returns
    -------
    agreement : float
        Mean over views, of the component that agrees best in three draws.
    """
    rng, n = np.random.default_rng(0), len(views[0])
    null = clone(estimator).set_params(
        n_components=estimator.components_[0].shape[0],
        max_iter=min(estimator.max_iter, CHANCE_ITERATIONS),
        verbose=0,
    )
    best = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of course it does not converge
        for _ in range(CHANCE_DRAWS):
            null.fit([np.roll(X_v, rng.integers(n), axis=0) for X_v in views])
            best.append(null.agreement_.mean(axis=0).max())
    return float(max(best))


# Tables ------------------------------------------------------------------------------------------


def write_tables(fit, folder):
    """Write the model and the tables into `folder`."""
    save(fit.estimator, folder / "model.npz")
    np.save(folder / "sources.npy", fit.sources)
    write_csv(folder / "sources.csv", *sources_table(fit))
    write_csv(folder / "views.csv", *views_table(fit))
    write_csv(folder / "components.csv", *components_table(fit))
    write_csv(folder / "mixings.csv", *_mixings_table(fit))


def component_names(fit):
    """Column names of the components, in every table."""
    return [f"component{c}" for c in range(fit.sources.shape[1])]


def sources_table(fit):
    """Shared sources, with the time and the condition of each sample where they are known."""
    first = fit.recordings[0]
    columns, heads = [], []
    if len(first.segments) > 1:
        heads.append("condition")
        starts = [start for _, start in first.segments]
        lengths = np.diff([*starts, len(fit.sources)])
        labels = [label for label, _ in first.segments]
        columns.append([label for label, k in zip(labels, lengths, strict=True) for _ in range(k)])
    heads.append("sample" if first.times is None else "time")
    columns.append(range(len(fit.sources)) if first.times is None else first.times.tolist())
    rows = zip(*columns, *fit.sources.T.tolist(), strict=True)
    return [*heads, *component_names(fit)], rows


def views_table(fit):
    """Quality of every view."""
    head = (
        "name",
        "file",
        "n_samples",
        "n_features",
        "rank",
        "variance_explained",
        "noise_variance",
        "agreement",
    )
    est = fit.estimator
    rows = [
        (
            recording.name,
            recording.path,
            *recording.data.shape,
            int(est.rank_[v]),
            float(fit.variance_explained[v]),
            float(est.noise_variances_[v].mean()),
            float(est.agreement_[v].mean()),
        )
        for v, recording in enumerate(fit.recordings)
    ]
    return head, rows


def components_table(fit):
    """Quality of every component; the agreement of the views, also of the least agreeing one."""
    est = fit.estimator
    head = (
        "component",
        "agreement",
        "least_agreement",
        "least_agreeing_view",
        "variance_explained",
        "noise_variance",
    )
    rows = []
    for c, column in enumerate(est.agreement_.T):
        rows.append(
            (
                c,
                float(column.mean()),
                float(column.min()),
                fit.recordings[int(np.argmin(column))].name,
                float(est.explained_variance_ratio_[:, c].mean()),
                float(est.noise_variances_[:, c].mean()),
            )
        )
    return head, rows


def _mixings_table(fit):
    """Mixing matrices under each other; `divided_by` is what the reader scaled the feature with."""
    head = ["view", "feature", "type", "divided_by", *component_names(fit)]
    rows = []
    for recording, A in zip(fit.recordings, fit.estimator.mixing_, strict=True):
        d = len(A)
        types = recording.feature_types or [""] * d
        scale = np.ones(d) if recording.scale is None else recording.scale
        for i in range(d):
            name = recording.feature_names[i]
            rows.append([recording.name, name, types[i], float(scale[i]), *A[i].tolist()])
    return head, rows


def write_csv(path, head, rows):
    """Write UTF-8; a file name that is not text keeps its bytes visible."""
    with open(path, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)


# Pictures ----------------------------------------------------------------------------------------


def draw_pictures(fit, folder):
    """Draw the figures and write them into `folder`.

    Returns
    -------
    pictures : dict of str to bytes
        The PNG of each, by file name.
    """
    first, est = fit.recordings[0], fit.estimator
    names = fit.X.view_names
    features = [recording.feature_names for recording in fit.recordings]
    figures = {
        "sources.png": plotting.plot_sources(est, fit.X, first.times, segments=first.segments),
        "agreement.png": plotting.plot_agreement(est, view_names=names),
        "mixings.png": plotting.plot_mixings(est, fit.X, feature_names=features),
    }
    if len(fit.X) > plotting.MAX_POINTS:
        rows = excerpt_rows(fit)
        times = None if first.times is None else first.times[rows]
        figures["sources_excerpt.png"] = plotting.plot_sources(est, fit.X[rows], times)
    if len(est.objective_history_) > 1:
        figures["objective.png"] = plotting.plot_objective(est)
    pictures = {}
    for name, figure in figures.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI)
        pictures[name] = buffer.getvalue()
        (folder / name).write_bytes(pictures[name])
    return pictures


def excerpt_rows(fit):
    """Rows of a part that is short enough to see: from the middle, or of the middle condition."""
    n = len(fit.X)
    starts = [start for _, start in fit.recordings[0].segments] or [n // 2]
    start = starts[len(starts) // 2]
    end = next((later for later in starts if later > start), n)
    return slice(start, min(end, start + EXCERPT))
