"""Simulated responses and noise as the recordings of one subject: Evoked, Epochs or Raw of MNE."""

import numpy as np

from mvica.datasets._evoked_recipe import CENTRE, CONDITIONS

LEAD = 1.0  # seconds of a continuous recording before the first and after the last trial
RESPONSE = 1.2  # seconds after a stimulus within which every source is silent again
BLINK_SD = 0.08  # seconds, of the Gaussian shape of a blink


def evokeds(rng, info, design, respond, noise):
    """Averages of the trials of each condition.

    Parameters
    ----------
    rng : numpy.random.Generator
    info : mne.Info
    design : Design
    respond : callable
        From times to the noiseless response, (n_conditions, n_channels, n_times).
    noise : callable
        From a number of segments and a number of samples to noise of single trials.

    Returns
    -------
    evokeds : list of mne.Evoked
    """
    import mne

    loud = _mark_bads(rng, info, design)
    data = respond(design.times)
    data = data + noise(len(data), len(design.times), loud) / np.sqrt(design.n_trials)
    return [
        mne.EvokedArray(
            x, info, tmin=design.times[0], comment=name, nave=design.n_trials, verbose="ERROR"
        )
        for x, name in zip(data, CONDITIONS, strict=True)
    ]


def epochs(rng, info, design, respond, noise):
    """Single trials, in random order; parameters as of `evokeds`.

    Returns
    -------
    epochs : mne.EpochsArray
    """
    import mne

    loud = _mark_bads(rng, info, design)
    codes = _trial_order(rng, design)
    gains = _trial_gains(rng, design, len(codes))
    data = gains[:, None, None] * respond(design.times)[codes]
    data += noise(len(codes), len(design.times), loud)
    for k in np.flatnonzero(rng.uniform(size=len(codes)) < design.jump_rate):
        start = rng.integers(len(design.times))
        data[k, _jumping_channel(rng, info), start:] += design.jump_size
    spacing = round((design.trial_interval + design.trial_jitter) * design.sfreq)
    onsets = np.arange(1, len(codes) + 1) * spacing
    events = np.column_stack([onsets, np.zeros(len(codes), int), codes + 1])
    return mne.EpochsArray(
        data,
        info,
        events=events,
        tmin=design.times[0],
        event_id={name: c + 1 for c, name in enumerate(CONDITIONS)},
        verbose="ERROR",
    )


def raw(rng, info, design, respond, noise, blink=None):
    """Continuous recording with the stimuli as annotations; parameters as of `evokeds`.

    Parameters
    ----------
    blink : ndarray of shape (n_channels,) or None
        Field of the eyes' dipoles.

    Returns
    -------
    raw : mne.io.RawArray
    """
    import mne

    loud = _mark_bads(rng, info, design)
    codes = _trial_order(rng, design)
    gaps = design.trial_interval + rng.uniform(0, design.trial_jitter, size=len(codes))
    onsets = np.round((LEAD + np.cumsum(gaps) - gaps[0]) * design.sfreq).astype(int)
    after = np.arange(round(RESPONSE * design.sfreq))
    before = round(-0.2 * design.sfreq)  # dilated responses begin with the stimulus at most
    window = np.concatenate([np.arange(before, 0), after])
    n = onsets[-1] + len(after) + round(LEAD * design.sfreq)
    data = noise(1, n, loud)[0]
    shapes = respond(window / design.sfreq)
    for onset, code, gain in zip(onsets, codes, _trial_gains(rng, design, len(codes)), strict=True):
        data[:, onset + window[0] : onset + window[-1] + 1] += gain * shapes[code]
        if rng.uniform() < design.jump_rate:
            data[_jumping_channel(rng, info), onset + rng.integers(len(design.times)) :] += (
                design.jump_size
            )
    if blink is not None:
        data += np.outer(blink, _blinks(rng, design, n))
    recording = mne.io.RawArray(data, info, verbose="ERROR")
    recording.set_annotations(
        mne.Annotations(onsets / design.sfreq, 0.0, [CONDITIONS[code] for code in codes])
    )
    if design.sss:
        recording = mne.preprocessing.maxwell_filter(
            recording, origin=CENTRE, coord_frame="head", verbose="ERROR"
        )
    return recording


def _trial_order(rng, design):
    return rng.permutation(np.repeat(np.arange(len(CONDITIONS)), design.n_trials))


def _trial_gains(rng, design, n):
    return rng.normal(1, design.trial_gain_sd, size=n)


def _mark_bads(rng, info, design):
    """Name zero to `max_bads` channels bad, and return their indices."""
    if not design.max_bads:
        return []
    n_bads = rng.integers(design.max_bads + 1)
    loud = sorted(int(i) for i in rng.choice(len(info["ch_names"]), n_bads, replace=False))
    info["bads"] = [info["ch_names"][i] for i in loud]
    return loud


def _jumping_channel(rng, info):
    """Draw a magnetometer or electrode; a gradiometer where there are only these."""
    kinds = np.array(info.get_channel_types())
    others = np.flatnonzero(kinds != "grad")
    return rng.choice(others if len(others) else len(kinds))


def _blinks(rng, design, n):
    """Time course of the eyes' dipoles, (n,), in ampere metre."""
    times = np.arange(n) / design.sfreq
    signal = np.zeros(n)
    for moment in rng.uniform(0, times[-1], size=rng.poisson(design.blink_rate * times[-1] / 60)):
        signal += np.exp(-((times - moment) ** 2) / (2 * BLINK_SD**2))
    return design.blink_size * signal
