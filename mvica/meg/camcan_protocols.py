"""The published analyses of Cam-CAN on the sensors: settings, fit and outcome measure."""

from dataclasses import dataclass, field

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from mvica.metrics import match_sources
from mvica.timing_statistics import normalise_timing, regress

__all__ = [
    "ProtocolResult",
    "delay_artificially",
    "run_avica",
    "run_multiview_ica",
    "run_mvicad",
    "run_mvicad2",
    "run_shica",
]

WINDOW = (-0.2, 0.5)  # seconds; 701 samples at 1000 Hz, the stimulus at sample 200
STIMULI = {"passive": "audio", "smt": "audiovis"}
PITCHES = ("300Hz", "600Hz", "1200Hz")
MAX_DELAY = 0.040  # seconds
# Largest dilation and shift (share of the window) by modality, and the sources whose timing was
# averaged, counted from 1 in order of latency.
DILATED = {"audio": (1.3, 0.025, (1, 2, 4)), "vis": (1.25, 0.05, (2, 5))}


@dataclass(frozen=True, eq=False)
class ProtocolResult:
    """What a protocol found.

    Attributes
    ----------
    name : str
        The protocol.
    group : MEGGroup
        Fitted.
    ages : ndarray of shape (m,)
        Of the fitted subjects.
    header, rows : list
        The outcome measure as a table.
    notes : tuple of str
        What was done, in words.
    others : dict of str to object
        Further fitted estimators and arrays, by name.
    """

    name: str
    group: object
    ages: np.ndarray
    header: list
    rows: list
    notes: tuple
    others: dict = field(default_factory=dict)


def run_multiview_ica(
    camcan, *, modality="audio", n_subjects=200, n_components=20, dipoles=True, random_state=0,
    **options,
):  # fmt: skip
    """Find sources in order of time, their maps, and a dipole for each: MultiView ICA's protocol.

    Parameters
    ----------
    camcan : CamCAN
        Recordings.
    modality : {"audio", "vis", "audiovis"}, default="audio"
        Stimuli whose average response is analysed.
    n_subjects : int, default=200
        Subjects drawn at random; all, where there are not so many.
    n_components : int, default=20
        Principal components of each subject, and sources.
    dipoles : bool, default=True
        Fit a dipole to each map, about a third of a second each.
    random_state : int, RandomState or None, default=0
        For the subjects and the start.
    **options
        `epochs` (parameters of `camcan_epochs`), `n_jobs`, `memory`, `verbose`.

    Returns
    -------
    result : ProtocolResult
        The measure is the latency of each source and, with `dipoles`, the median goodness of fit
        and the median distance of dipoles from the group's median position, in millimetres.

    References
    ----------
    Richard, Gresele, Hyvarinen, Thirion, Gramfort, Ablin (2020), Modeling shared responses in
    neuroimaging studies through MultiView ICA, NeurIPS.
    """
    from mvica import MultiViewICA

    model = MultiViewICA(
        n_components, reduction="pca", noise=1.0, init="permica", random_state=random_state
    )
    group, ages = _fit(
        camcan, model, n_subjects, n_components, random_state, options, condition=modality
    )
    times = group.views_.times
    peaks = 1e3 * times[np.abs(group.sources_).argmax(axis=0)]
    header, columns = ["component", "latency ms"], [peaks]
    if dipoles:
        fitted = group.fit_dipoles()
        header += ["goodness of fit %", "distance from the median mm"]
        columns += [np.median(fitted.gof, axis=0), 1e3 * np.median(fitted.distances, axis=0)]
    notes = (f"Average response to {modality}, magnetometers, one principal component analysis a"
             " subject, MultiViewICA with noise variance 1, started from PermICA.",)  # fmt: skip
    return ProtocolResult("multiview_ica", group, ages, header, _numbered(columns), notes)


def run_shica(camcan, *, n_subjects=100, n_components=10, random_state=0, **options):
    """Do two halves of the trials give the same sources? The Shared ICA protocol.

    Averages of three stimuli in two halves each are concatenated, so that a view has six chunks.

    Parameters
    ----------
    camcan : CamCAN
        Recordings of the passive task (three pitches) or of the sensorimotor task.
    n_subjects : int, default=100
        Subjects drawn at random.
    n_components : int, default=10
        Principal components of each subject, and sources.
    random_state : int, RandomState or None, default=0
        For the subjects and the starts.
    **options
        `epochs` (parameters of `camcan_epochs`), `n_jobs`, `memory`, `verbose`.

    Returns
    -------
    result : ProtocolResult
        The measure is the mean squared difference between the shared sources of the two halves,
        for each method and stimulus, relative to their variance. The group is that of ShICAML.

    References
    ----------
    Richard, Ablin, Thirion, Gramfort, Hyvarinen (2021), Shared Independent Component Analysis for
    Multi-Subject Neuroimaging, NeurIPS.
    """
    from mvica import GroupICA, MultiViewICA, PermICA, ShICAJ, ShICAML

    settings = {"reduction": "pca"}
    models = {
        "ShICAML": ShICAML(n_components, random_state=random_state, **settings),
        "ShICAJ": ShICAJ(n_components, **settings),
        "MultiViewICA": MultiViewICA(n_components, random_state=random_state, **settings),
        "PermICA": PermICA(n_components, random_state=random_state, **settings),
        "GroupICA": GroupICA(n_components, random_state=random_state, **settings),
    }
    group, ages = _fit(
        camcan, models["ShICAML"], n_subjects, n_components, random_state, options,
        condition=_stimuli(camcan), n_splits=2,
    )  # fmt: skip
    rows = []
    for name, model in models.items():
        fitted = group if name == "ShICAML" else clone(group).set_params(estimator=model)
        if fitted is not group:
            fitted.fit(group.views_)
        rows += [[name, c, float(d)] for c, d in repeat_distances(fitted).items()]
    notes = ("Three stimuli, two interleaved halves of the trials each, concatenated; the distance"
             " is between the halves' shared sources.",)  # fmt: skip
    return ProtocolResult(
        "shica", group, ages, ["method", "stimulus", "distance between halves"], rows, notes
    )


def run_avica(camcan, *, n_subjects=100, n_components=10, n_draws=10, random_state=0, **options):
    """Levels of noise of the subjects, and sources that stay when subjects are drawn anew.

    Parameters
    ----------
    camcan : CamCAN
        Recordings.
    n_subjects : int, default=100
        Subjects drawn at random.
    n_components : int, default=10
        Principal components of each subject, and sources.
    n_draws : int, default=10
        Fits to random halves of the subjects.
    random_state : int, RandomState or None, default=0
        For the subjects and the starts.
    **options
        `epochs` (parameters of `camcan_epochs`), `n_jobs`, `memory`, `verbose`.

    Returns
    -------
    result : ProtocolResult
        The measure is, for each source, the mean correlation with the source that matches it in a
        fit to a random half of the subjects, and the least, median and largest noise variance.

    References
    ----------
    Richard, Ablin, Thirion, Gramfort, Hyvarinen (2021), Adaptive multi-view ICA: estimation of
    noise levels for optimal inference, arXiv 2102.10964.
    """
    from mvica import AVICA
    from mvica.views import MultiViewData

    model = AVICA(n_components, reduction="pca", random_state=random_state)
    group, ages = _fit(
        camcan, model, n_subjects, n_components, random_state, options,
        condition=_stimuli(camcan), n_splits=2,
    )  # fmt: skip
    rng = check_random_state(random_state)
    m, stability = len(group.subjects_), []
    for _ in range(n_draws):
        half = rng.permutation(m)[: max(2, m // 2)]
        X = MultiViewData([group.views_.views[v] for v in half])
        again = clone(group.estimator_).fit(X)
        stability.append(np.abs(match_sources(again.transform(X), group.sources_).correlations))
    noise = group.estimator_.noise_variances_[:, group.order_]
    columns = [np.mean(stability, axis=0), noise.min(0), np.median(noise, 0), noise.max(0)]
    header = ["component", "stability", "least noise", "median noise", "largest noise"]
    notes = (f"Noise variances learned; {n_draws} fits to random halves of the subjects.",)
    return ProtocolResult("avica", group, ages, header, _numbered(columns), notes)


def run_mvicad(
    camcan, *, modality="audio", n_subjects=None, n_components=20, max_delay=MAX_DELAY,
    random_state=0, **options,
):  # fmt: skip
    """Delay of each source against age: the protocol of MultiView ICA with delays.

    Parameters
    ----------
    camcan : CamCAN
        Recordings.
    modality : {"audio", "vis", "audiovis"}, default="audio"
        Stimuli whose average response is analysed.
    n_subjects : int, default=None
        Subjects drawn at random; None takes all.
    n_components : int, default=20
        Principal components of each subject, and sources.
    max_delay : float, default=0.04
        Largest delay in seconds.
    random_state : int, RandomState or None, default=0
        For the subjects and the start.
    **options
        `epochs` (parameters of `camcan_epochs`), `n_jobs`, `memory`, `verbose`.

    Returns
    -------
    result : ProtocolResult
        The measure is the regression of the delays on age: slope in milliseconds a year, share of
        variance and p value, for each source and their mean.

    References
    ----------
    Heurtebise, Ablin, Gramfort (2023), Multiview Independent Component Analysis with Delays,
    IEEE International Workshop on Machine Learning for Signal Processing.
    """
    from mvica import MVICAD

    model = MVICAD(n_components, max_iter=1000, tol=1e-4, random_state=random_state)
    sfreq = _rate(camcan, options)
    model.set_params(max_delay=max(1, round(max_delay * sfreq)))
    group, ages = _fit(
        camcan, model, n_subjects, n_components, random_state, options, condition=modality
    )
    delays, _ = normalise_timing(1e3 * group.delays_)
    rows = [_regression(f"{j + 1}", ages, delays[:, j]) for j in range(delays.shape[1])]
    rows.append(_regression("mean", ages, delays.mean(axis=1)))
    notes = (f"Average response to {modality}; whole delays of up to {1e3 * max_delay:g} ms; mean"
             " delay 0.",)  # fmt: skip
    return ProtocolResult("mvicad", group, ages, ["component", *REGRESSION], rows, notes)


def run_mvicad2(
    camcan, *, modality="audio", n_subjects=100, n_components=8, n_splits=2, sources="published",
    random_state=0, **options,
):  # fmt: skip
    """Dilation and shift against age: the protocol of MVICAD2.

    Unlike the published data, batches of trials are interleaved, and lie end to end in time for
    each sensor; delays never cross their joins.

    Parameters
    ----------
    camcan : CamCAN
        Recordings.
    modality : {"audio", "vis"}, default="audio"
        Stimuli whose average responses are analysed.
    n_subjects : int, default=100
        Subjects drawn at random.
    n_components : int, default=8
        Principal components of each subject, and sources.
    n_splits : int, default=2
        Batches of trials that are averaged.
    sources : "published", "all" or sequence of int, default="published"
        Sources whose timing is averaged, counted from 1 in order of latency. Published are 1, 2
        and 4 for tones, 2 and 5 for checkerboards. Look at the sources of the fit: numbers need
        not mean the same in other people.
    random_state : int, RandomState or None, default=0
        For the subjects and the start.
    **options
        `epochs` (parameters of `camcan_epochs`), `n_jobs`, `memory`, `verbose`.

    Returns
    -------
    result : ProtocolResult
        The measure is the regression on age of dilation (in percent) and shift (in milliseconds),
        averaged over the sources, on the clock of the average subject.

    Raises
    ------
    ValueError
        If the modality has no published setting, or a source is not there.

    References
    ----------
    Heurtebise, Chehab, Ablin, Gramfort (2025), MVICAD2: Multi-View Independent Component Analysis
    with Delays and Dilations, IEEE Transactions on Biomedical Engineering.
    """
    from mvica import MVICAD2

    if modality not in DILATED:
        raise ValueError(f"modality={modality!r}; expected one of {', '.join(DILATED)}.")
    largest, shift, published = DILATED[modality]
    chosen = published if sources == "published" else sources
    chosen = range(1, n_components + 1) if sources == "all" else chosen
    if not all(1 <= j <= n_components for j in chosen):
        raise ValueError(f"sources={list(chosen)}; expected numbers from 1 to {n_components}.")
    window = round((WINDOW[1] - WINDOW[0]) * _rate(camcan, options)) + 1
    model = MVICAD2(
        n_components, max_dilation=largest, max_delay=shift * window, random_state=random_state
    )
    group, ages = _fit(
        camcan, model, n_subjects, n_components, random_state, options,
        condition=modality, n_splits=n_splits,
    )  # fmt: skip
    delays, dilations = normalise_timing(1e3 * group.delays_, group.dilations_)
    kept = [j - 1 for j in chosen]
    rows = [
        _regression("dilation %", ages, 100 * dilations[:, kept].mean(axis=1)),
        _regression("shift ms", ages, delays[:, kept].mean(axis=1)),
    ]
    notes = (f"{n_splits} interleaved batches of {modality} trials end to end; dilations up to"
             f" {largest:g}, shifts up to {shift:g} of the window; mean over the sources"
             f" {', '.join(str(j) for j in chosen)}.",)  # fmt: skip
    return ProtocolResult("mvicad2", group, ages, ["timing", *REGRESSION], rows, notes)


PROTOCOLS = {
    "multiview_ica": run_multiview_ica,
    "shica": run_shica,
    "avica": run_avica,
    "mvicad": run_mvicad,
    "mvicad2": run_mvicad2,
}


# Measures ----------------------------------------------------------------------------------------

REGRESSION = ("slope a year", "R2", "Pearson p", "subjects")


def _regression(label, ages, values):
    if np.isfinite(ages).sum() < 3 or np.ptp(ages[np.isfinite(ages)]) == 0:
        return [label, np.nan, np.nan, np.nan, int(np.isfinite(ages).sum())]
    line = regress(ages, values)
    return [label, float(line.slope), float(line.r2), float(line.pearson_p), line.n]


def repeat_distances(group):
    """Compare the shared sources of the two halves of the trials of each stimulus.

    Parameters
    ----------
    group : MEGGroup
        Fitted to views with two splits.

    Returns
    -------
    distances : dict of str to float
        Mean squared difference relative to the variance, by stimulus: 0 for equal halves, 2 for
        unrelated ones.
    """
    views, halves = group.views_, {}
    for k, segment in enumerate(views.segments):
        S = group.sources_[views.boundaries[k] : views.boundaries[k + 1]]
        halves.setdefault(segment["condition"], []).append(S - S.mean(axis=0))
    distances = {}
    for stimulus, (one, other) in halves.items():
        both = 0.5 * (one.var(axis=0) + other.var(axis=0))
        distances[stimulus] = float(np.mean(((one - other) ** 2).mean(axis=0) / both))
    return distances


def delay_artificially(views, max_delay, *, shared=False, n_components=None, random_state=0):
    """Delay sources by known whole samples, to see whether a model of delays finds them.

    The published test: views are mixtures of unmixed sources, which are rolled within each
    segment, by subject or by subject and source.

    Parameters
    ----------
    views : MEGViews
        Reduced views.
    max_delay : int
        Largest delay in samples.
    shared : bool, default=False
        One delay a subject instead of one a subject and source.
    n_components : int, default=None
        Sources that are delayed; None takes the width of the views.
    random_state : int, RandomState or None, default=0
        For the delays and the unmixing.

    Returns
    -------
    delayed : list of ndarray
        The views, delayed.
    delays : ndarray of int, shape (m, n_components)
        True delays.
    sources : ndarray of shape (n_samples, n_components)
        Shared sources before the delays.

    References
    ----------
    Heurtebise, Ablin, Gramfort (2023), Multiview Independent Component Analysis with Delays,
    IEEE International Workshop on Machine Learning for Signal Processing.
    """
    from mvica import MultiViewICA
    from mvica.views import MultiViewData

    rng = check_random_state(random_state)
    X = MultiViewData(views.views)
    model = MultiViewICA(n_components, reduction="pca", random_state=rng.randint(2**31 - 1)).fit(X)
    S = model.transform(X)
    m, p = len(views.views), S.shape[1]
    delays = rng.randint(-max_delay, max_delay + 1, size=(m, 1 if shared else p))
    delays = np.broadcast_to(delays, (m, p)).copy()
    delayed = []
    for v, own in enumerate(model.transform_views(X)):
        moved = np.empty_like(own)
        for start, stop in zip(views.boundaries[:-1], views.boundaries[1:], strict=True):
            for j in range(p):
                moved[start:stop, j] = np.roll(own[start:stop, j], delays[v, j])
        delayed.append(moved @ model.mixing_[v].T)
    return delayed, delays, S


# Views -------------------------------------------------------------------------------------------


def _stimuli(camcan):
    """Labels of the three pitches of a task."""
    if camcan.task not in STIMULI:
        raise ValueError(f"The task {camcan.task!r} has no stimuli; expected passive or smt.")
    return [f"{STIMULI[camcan.task]}/{pitch}" for pitch in PITCHES]


def _rate(camcan, options):
    """Find the samples per second of the epochs that will be cut."""
    decim = (options.get("epochs") or {}).get("decim", 1)
    return camcan.read(0).info["sfreq"] / decim


def _fit(camcan, model, n_subjects, n_components, random_state, options, **settings):
    """Draw subjects, make views of magnetometers, and fit; give the group and the ages."""
    from mvica.meg import MEGGroup

    unknown = set(options) - {"epochs", "n_jobs", "memory", "verbose"}
    if unknown:
        raise TypeError(f"unexpected parameter {sorted(unknown)[0]!r}")
    if n_subjects is not None and n_subjects < len(camcan):
        rng = check_random_state(random_state)
        camcan = camcan.select(np.sort(rng.permutation(len(camcan))[:n_subjects]))
    epochs = options.get("epochs")
    reading = {name: value for name, value in options.items() if name != "epochs"}
    group = MEGGroup(
        model,
        picks="mag",
        n_components=n_components,
        tmin=WINDOW[0],
        tmax=WINDOW[1],
        on_error="skip",
        **settings,
        **reading,
    )
    group.fit(camcan.readers(epochs), subjects=camcan.subjects)
    ages = dict(zip(camcan.subjects, camcan.ages, strict=True))
    return group, np.array([ages[subject] for subject in group.subjects_])


def _numbered(columns):
    return [[str(j + 1), *(float(c[j]) for c in columns)] for j in range(len(columns[0]))]
