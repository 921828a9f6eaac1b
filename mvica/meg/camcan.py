"""Epochs of Cam-CAN recordings, with the names of the stimuli and their true onsets."""

from pathlib import Path

import numpy as np

from mvica.meg._mne import import_mne
from mvica.meg.camcan_events import EVENT_ID, correct_latencies, decode_triggers, read_events

__all__ = ["camcan_epochs"]

REJECT = {"mag": 4e-12, "grad": 4000e-13}


def camcan_epochs(
    raw,
    events=None,
    *,
    tmin=-0.2,
    tmax=0.5,
    baseline=(None, 0),
    l_freq=None,
    h_freq=40.0,
    reject=REJECT,
    decim=1,
    correct_latency=False,
    audio_latency=None,
):
    """Cut a Cam-CAN recording of the passive or the sensorimotor task into epochs.

    Parameters
    ----------
    raw : mne.io.Raw or path-like
        The recording; it is not changed.
    events : ndarray of shape (n_events, 3), path-like or None, default=None
        Events of MNE; the path of an ``events.tsv``; or None, which decodes the trigger lines.
    tmin, tmax : float, default=(-0.2, 0.5)
        First and last time around the stimulus, in seconds.
    baseline : tuple of (float or None, float or None) or None, default=(None, 0)
        Interval whose mean is subtracted from each epoch and channel.
    l_freq, h_freq : float or None, default=(None, 40.0)
        Edges of the pass band in hertz. The low-pass also removes the lines of the head position
        coils, 293 to 321 Hz. Use the baseline, not a high-pass, for evoked responses.
    reject : dict or None, default={"mag": 4e-12, "grad": 4000e-13}
        Largest peak-to-peak values of a good epoch, in SI units, for the types that are there.
    decim : int, default=1
        Keep every so many samples.
    correct_latency : bool, default=False
        Move decoded triggers to the onset of the stimulus. Tables of events of the BIDS release
        are right already.
    audio_latency : float, default=None
        Latency of tones in seconds, where the date of the recording cannot tell it.

    Returns
    -------
    epochs : mne.Epochs
        Loaded; event names such as "audio/600Hz", "vis/checker" or "button", so that
        ``epochs["audio"]`` are the three pitches.

    Raises
    ------
    ValueError
        If there are no events, codes are unknown, latencies would be corrected twice, or the date
        is anonymised.

    Examples
    --------
    >>> from mvica.data_fetchers import fetch_camcan
    >>> from mvica.meg import camcan_epochs
    >>> camcan = fetch_camcan("/data/camcan")  # doctest: +SKIP
    >>> epochs = camcan_epochs(camcan.paths[0], camcan.events_paths[0])  # doctest: +SKIP
    >>> epochs["vis"].average().times.size  # doctest: +SKIP
    701
    """
    mne = import_mne()
    if isinstance(raw, (str, Path)):
        raw = mne.io.read_raw_fif(raw, allow_maxshield="yes", verbose="ERROR")
    events = camcan_events(
        raw, events, correct_latency=correct_latency, audio_latency=audio_latency
    )
    unknown = sorted(set(events[:, 2]) - set(EVENT_ID.values()))
    if unknown:
        raise ValueError(
            f"Unknown event codes {', '.join(map(str, unknown))}; known are"
            f" {', '.join(f'{code} ({name})' for name, code in EVENT_ID.items())}."
        )
    picks = mne.pick_types(raw.info, meg=True, eeg=False, ref_meg=False, exclude=[])
    raw = raw.copy().pick(picks, verbose="ERROR")
    with mne.use_log_level("ERROR"):
        mne.channels.fix_mag_coil_types(raw.info)
    if l_freq is not None or h_freq is not None:
        raw.load_data(verbose="ERROR")
        raw.filter(l_freq, h_freq, verbose="ERROR")
    types = set(raw.get_channel_types())
    reject = {kind: limit for kind, limit in (reject or {}).items() if kind in types}
    present = {name: code for name, code in EVENT_ID.items() if code in events[:, 2]}
    return mne.Epochs(
        raw,
        events,
        present,
        tmin,
        tmax,
        baseline=baseline,
        reject=reject or None,
        decim=decim,
        preload=True,
        on_missing="raise",
        verbose="ERROR",
    )


def camcan_events(raw, events=None, *, correct_latency=False, audio_latency=None):
    """Find the events of a recording, at the onset of the stimuli.

    Parameters are those of `camcan_epochs`.

    Returns
    -------
    events : ndarray of int, shape (n_events, 3)
    """
    if isinstance(events, (str, Path)):
        if correct_latency:
            raise ValueError(
                f"{Path(events).name} holds the onsets of the stimuli already: correct_latency is"
                " for decoded triggers (events=None)."
            )
        events = read_events(events, raw.first_samp)
    elif events is None:
        events = decode_triggers(raw)
        if correct_latency:
            events = correct_latencies(
                events,
                raw.info["sfreq"],
                meas_date=raw.info["meas_date"],
                audio_latency=audio_latency,
            )
    elif correct_latency:
        raise ValueError("correct_latency is for decoded triggers (events=None), got events.")
    events = np.asarray(events)
    if not len(events):
        raise ValueError("The recording has no events.")
    return events
