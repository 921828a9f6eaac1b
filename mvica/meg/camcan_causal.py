"""Causal order of cortical envelopes in Cam-CAN's sensorimotor task: the LiMVAM protocol."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.signal import hilbert
from sklearn.utils import check_random_state

from mvica.meg._mne import QUIET, import_mne

__all__ = [
    "PARCELS",
    "EnvelopeResult",
    "envelopes",
    "parcel_courses",
    "press_epochs",
    "run_limvam",
]

# Ten parcels of fsaverage's annotation aparc_sub.
PARCELS = (
    "superiortemporal_3-lh",
    "superiortemporal_5-rh",
    "pericalcarine_1-lh",
    "pericalcarine_4-rh",
    "postcentral_6-lh",
    "postcentral_8-lh",
    "postcentral_7-rh",
    "postcentral_8-rh",
    "precentral_11-lh",
    "precentral_7-rh",
)
EPOCH = (-1.5, 3.0)  # seconds around the press
BASELINE = (-1.5, -1.0)
REJECT = {"grad": 4000e-13, "mag": 4e-12}
BAND = (8.0, 27.0)  # hertz
LAST_STIMULUS = 1.0  # seconds before the press
EDGE = 20  # samples that the Hilbert transform spoils
N_BATCHES = 40
ENVELOPE_RATE = 10.0  # hertz
LAMBDA2 = 1 / 9


@dataclass(frozen=True, eq=False)
class EnvelopeResult:
    """What the protocol found.

    Attributes
    ----------
    header, rows : list
        The strongest effects of each model: cause, effect, median strength over subjects, and in
        how many of the runs with few subjects it is among the strongest.
    strengths : dict of str to ndarray of shape (p, p)
        Median over subjects of the adjacency matrices, by model; ``[i, j]`` is j on i.
    n_subjects : int
        Subjects with enough epochs.
    note : str
        What was done.
    """

    header: list
    rows: list
    strengths: dict = field(repr=False)
    n_subjects: int
    note: str


# Epochs ------------------------------------------------------------------------------------------


def press_epochs(raw, events, *, reject=REJECT):
    """Cut epochs around single presses of the button that follow an audiovisual stimulus.

    Parameters
    ----------
    raw : mne.io.Raw
        Sensorimotor task, already filtered.
    events : ndarray of int, shape (n_events, 3)
        At the onset of the stimuli, presses included, with the codes of Cam-CAN.
    reject : dict or None
        Largest peak-to-peak values.

    Returns
    -------
    epochs : mne.Epochs
        From 1.5 s before to 3 s after presses whose last audiovisual stimulus is less than 1 s
        before, and that are alone in the epoch.

    Raises
    ------
    ValueError
        If no press is left.
    """
    mne = import_mne()
    events = np.asarray(events)
    chosen = single_presses(events, raw.info["sfreq"])
    if not len(chosen):
        raise ValueError(
            "No press of the button is alone in its epoch and follows a stimulus by less than 1 s."
        )
    types = set(raw.get_channel_types())
    reject = {kind: limit for kind, limit in (reject or {}).items() if kind in types}
    return mne.Epochs(
        raw,
        chosen,
        {"button": 99},
        *EPOCH,
        baseline=BASELINE,
        reject=reject or None,
        preload=True,
        **QUIET,
    )


def single_presses(events, sfreq):
    """Choose the events of presses that the protocol keeps.

    Parameters
    ----------
    events : ndarray of int, shape (n_events, 3)
    sfreq : float

    Returns
    -------
    presses : ndarray of int, shape (n_presses, 3)
    """
    presses = events[events[:, 2] == 99]
    stimuli = events[np.isin(events[:, 2], (1, 2, 3)), 0]
    kept = []
    for press in presses:
        since = (presses[:, 0] - press[0]) / sfreq
        alone = np.count_nonzero((since >= EPOCH[0]) & (since <= EPOCH[1])) == 1
        before = stimuli[stimuli <= press[0]]
        if alone and len(before) and (press[0] - before[-1]) / sfreq < LAST_STIMULUS:
            kept.append(press)
    return np.array(kept, dtype=int).reshape(-1, 3)


def parcel_courses(
    raw,
    events,
    *,
    subject,
    subjects_dir,
    bem,
    trans,
    noise_raw=None,
    calibration=None,
    cross_talk=None,
    parcels=PARCELS,
):
    """Estimate the time courses of cortical parcels around presses of the button.

    Signal space separation, 8 to 27 Hz, epochs, and a minimum-norm estimate on fsaverage's source
    space, morphed to the subject.

    Parameters
    ----------
    raw : mne.io.Raw
        Sensorimotor task, as measured.
    events : ndarray of int, shape (n_events, 3)
        See `press_epochs`.
    subject : str
        Name of the subject's folder in `subjects_dir`.
    subjects_dir : path-like
        FreeSurfer's folder, with ``fsaverage`` in it.
    bem : path-like
        Solution of the subject's boundary element model.
    trans : path-like
        Coregistration, ``sub-...-trans.fif``.
    noise_raw : mne.io.Raw, default=None
        Recording that the noise covariance is made of; None takes `raw` itself, as published.
    calibration, cross_talk : path-like, default=None
        Fine calibration and cross-talk of the scanner, for the separation.
    parcels : sequence of str
        Labels of fsaverage's annotation ``aparc_sub``.

    Returns
    -------
    courses : ndarray of shape (n_epochs, n_parcels, n_times)

    Raises
    ------
    FileNotFoundError
        If one of the files is missing: all of them are listed.
    """
    mne = import_mne()
    subjects_dir = Path(subjects_dir)
    needed = [
        subjects_dir / "fsaverage" / "surf" / "lh.white",
        subjects_dir / "fsaverage" / "label" / "lh.aparc_sub.annot",
        subjects_dir / subject / "surf" / "lh.sphere.reg",
        *(Path(p) for p in (bem, trans, calibration, cross_talk) if p is not None),
    ]
    missing = [str(file) for file in needed if not file.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} files that the source estimate needs are missing:"
            f" {', '.join(missing)}. Surfaces and labels come from FreeSurfer, fsaverage from"
            " mne.datasets.fetch_fsaverage and mne.datasets.fetch_aparc_sub_parcellation."
        )
    raw = _separated(mne, raw, calibration, cross_talk)
    epochs = press_epochs(raw, events)
    noise = raw if noise_raw is None else _separated(mne, noise_raw, calibration, cross_talk)
    cov = mne.compute_raw_covariance(noise, **QUIET)
    original = mne.setup_source_space(
        "fsaverage", "ico5", subjects_dir=subjects_dir, add_dist=False, **QUIET
    )
    src = mne.morph_source_spaces(original, subject, subjects_dir=subjects_dir, **QUIET)
    forward = mne.make_forward_solution(epochs.info, trans, src, bem, meg=True, eeg=False, **QUIET)
    inverse = mne.minimum_norm.make_inverse_operator(epochs.info, forward, cov, **QUIET)
    estimates = mne.minimum_norm.apply_inverse_epochs(
        epochs, inverse, LAMBDA2, method="MNE", pick_ori="normal", **QUIET
    )
    estimates = [e.to_original_src(original, subject_orig=subject) for e in estimates]
    labels = mne.read_labels_from_annot(
        "fsaverage", "aparc_sub", subjects_dir=subjects_dir, **QUIET
    )
    named = {label.name: label for label in labels}
    return np.array(
        mne.extract_label_time_course(
            estimates, [named[name] for name in parcels], original, mode="mean_flip", **QUIET
        )
    )


def _separated(mne, raw, calibration, cross_talk):
    raw = raw.copy().load_data(**QUIET)
    with mne.use_log_level("ERROR"):
        mne.channels.fix_mag_coil_types(raw.info)
    if not any(entry.get("max_info") for entry in raw.info["proc_history"]):
        raw = mne.preprocessing.maxwell_filter(
            raw, calibration=calibration, cross_talk=cross_talk, **QUIET
        )
    return raw.pick("meg", **QUIET).filter(*BAND, **QUIET)


# Envelopes ---------------------------------------------------------------------------------------


def envelopes(courses, *, sfreq=1000.0, tmin=EPOCH[0], baseline=BASELINE, n_batches=N_BATCHES):
    """Turn time courses of epochs into slow envelopes of averages, end to end.

    Time courses are divided by their standard deviation in the baseline, after their mean there is
    subtracted; the Hilbert amplitude loses 20 samples at each edge and its mean over time; it is
    averaged over batches of consecutive epochs, smoothed over a tenth of a second and thinned to
    10 Hz.

    Parameters
    ----------
    courses : ndarray of shape (n_epochs, n_parcels, n_times)
    sfreq : float, default=1000.0
        Samples per second.
    tmin : float, default=-1.5
        Time of the first sample, in seconds.
    baseline : tuple of 2 float, default=(-1.5, -1.0)
        For the standard deviation, in seconds.
    n_batches : int, default=40
        Batches of epochs; the first ones have one more where numbers do not divide.

    Returns
    -------
    X : ndarray of shape (n_batches * n_kept, n_parcels)
        1760 samples of epochs of 4.5 s.
    times : ndarray of shape (n_kept,)
        Centre of the smoothing window of each sample of a batch, in seconds.

    Raises
    ------
    ValueError
        If there are fewer epochs than batches, or no baseline.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.meg.camcan_causal import envelopes
    >>> courses = np.random.default_rng(0).normal(size=(45, 2, 4501))
    >>> X, times = envelopes(courses)
    >>> X.shape, times.shape
    ((1760, 2), (44,))
    """
    courses = np.asarray(courses, dtype=float)
    n_epochs, _, n_times = courses.shape
    if n_epochs < n_batches:
        raise ValueError(f"{n_epochs} epochs; expected at least {n_batches}, one a batch.")
    times = tmin + np.arange(n_times) / sfreq
    before = (times >= baseline[0] - 1e-9) & (times <= baseline[1] + 1e-9)
    if np.count_nonzero(before) < 2:
        raise ValueError(
            f"baseline={baseline} holds no samples of {times[0]:g} to {times[-1]:g} s."
        )
    rest = courses[..., before]
    scaled = (courses - rest.mean(axis=-1, keepdims=True)) / rest.std(axis=-1, keepdims=True)
    amplitude = np.abs(hilbert(scaled, axis=-1))[..., EDGE:-EDGE]
    amplitude -= amplitude.mean(axis=-1, keepdims=True)
    batches = np.array([b.mean(axis=0) for b in np.array_split(amplitude, n_batches)])
    width = int(sfreq // ENVELOPE_RATE)
    total = np.cumsum(np.pad(batches, ((0, 0), (0, 0), (1, 0))), axis=-1)
    smooth = (total[..., width:] - total[..., :-width]) / width
    centres = times[EDGE:-EDGE][: smooth.shape[-1]] + 0.5 * (width - 1) / sfreq
    thinned = smooth[..., ::width]
    return thinned.transpose(0, 2, 1).reshape(-1, courses.shape[1]), centres[::width]


# Causal discovery --------------------------------------------------------------------------------


def run_limvam(
    courses, *, sfreq=1000.0, tmin=EPOCH[0], parcels=None, n_subjects=None, n_runs=50,
    run_subjects=30, n_strongest=10, random_state=0,
):  # fmt: skip
    """Find which parcels' envelopes drive which, with three models, and how stable that is.

    Parameters
    ----------
    courses : sequence of ndarrays of shape (n_epochs_v, n_parcels, n_times)
        What `parcel_courses` returns, one entry a subject.
    sfreq : float, default=1000.0
        Samples per second.
    tmin : float, default=-1.5
        Time of the first sample, in seconds.
    parcels : sequence of str, default=None
        Names; None takes `PARCELS` where there are ten.
    n_subjects : int, default=None
        Subjects drawn at random; None takes all.
    n_runs, run_subjects : int, default=(50, 30)
        Fits to random subjects, for stability; all but one subject, where there are fewer.
    n_strongest : int, default=10
        Effects that are listed for each model.
    random_state : int, RandomState or None, default=0
        For the subjects.

    Returns
    -------
    result : EnvelopeResult

    Raises
    ------
    ValueError
        If fewer than two subjects have 40 epochs.

    References
    ----------
    Heurtebise, Chehab, Ablin, Gramfort, Hyvarinen, Multi-view causal discovery without
    non-Gaussianity: identifiability and algorithms, arXiv 2502.20115.
    """
    from mvica import DirectLiMVAM, ICALiMVAM, PairwiseLiMVAM

    rng = check_random_state(random_state)
    enough = [c for c in courses if len(c) >= N_BATCHES]
    if n_subjects is not None and n_subjects < len(enough):
        enough = [enough[i] for i in np.sort(rng.permutation(len(enough))[:n_subjects])]
    if len(enough) < 2:
        raise ValueError(
            f"{len(enough)} of {len(courses)} subjects have {N_BATCHES} epochs; expected two."
        )
    views = [envelopes(c, sfreq=sfreq, tmin=tmin)[0] for c in enough]
    m, p = len(views), views[0].shape[1]
    if parcels is None:
        parcels = PARCELS if p == len(PARCELS) else [f"parcel {i + 1}" for i in range(p)]
    models = {"ICA-LiMVAM": ICALiMVAM, "Pairwise-LiMVAM": PairwiseLiMVAM}
    models["Direct-LiMVAM"] = DirectLiMVAM
    size = min(run_subjects, m - 1) if m > 2 else m
    draws = [rng.permutation(m)[:size] for _ in range(n_runs)]
    rows, strengths = [], {}
    for name, model in models.items():
        B = _median_effects(model, views)
        strengths[name] = B
        counts = np.zeros((p, p))
        for draw in draws:
            again = _median_effects(model, [views[v] for v in draw])
            counts[_strongest(again, n_strongest)] += 1
        for i, j in zip(*_strongest(B, n_strongest), strict=True):
            share = float(counts[i, j] / n_runs) if n_runs else np.nan
            rows.append([name, parcels[j], parcels[i], float(B[i, j]), share])
    note = (
        f"Envelopes of {p} parcels, {len(views[0])} samples, {m} of {len(courses)} subjects with at"
        f" least {N_BATCHES} epochs; stability over {n_runs} runs of {size} random subjects."
    )
    header = ["model", "cause", "effect", "median strength", "share of runs"]
    return EnvelopeResult(header, rows, strengths, m, note)


def _median_effects(model, views):
    return np.median(model().fit(views).adjacency_matrices_, axis=0)


def _strongest(B, n):
    """Rows and columns of the largest entries, the largest first; zeros never count."""
    order = np.argsort(-np.abs(B), axis=None, kind="stable")
    order = order[: min(n, np.count_nonzero(B))]
    return np.unravel_index(order, B.shape)


def read_parcels(path, pattern):
    """Read saved time courses of parcels.

    Parameters
    ----------
    path : path-like
        Folder.
    pattern : str
        Glob of .npy files below it; each path names its subject.

    Returns
    -------
    subjects : list of str
    courses : list of ndarrays of shape (n_epochs, n_parcels, n_times)

    Raises
    ------
    FileNotFoundError
        If there are no such files.
    ValueError
        If an array has another number of axes, or numbers of parcels or times differ.
    """
    from mvica.data_fetchers.camcan_layouts import files_of_pattern

    files = files_of_pattern(Path(path), pattern, "smt")
    if not files:
        raise FileNotFoundError(f"{pattern!r} finds no .npy file of a subject under {path}.")
    courses = [np.load(found[-1], allow_pickle=False) for found in files.values()]
    shapes = sorted({c.shape[1:] for c in courses})
    if any(c.ndim != 3 for c in courses) or len(shapes) > 1:
        raise ValueError(f"Expected (epochs, parcels, times), found parcels and times {shapes}.")
    return list(files), courses
