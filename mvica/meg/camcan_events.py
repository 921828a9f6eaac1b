"""Events of Cam-CAN recordings: what codes mean, triggers of the stimulus channels, latencies."""

import csv
from datetime import date
from pathlib import Path

import numpy as np

__all__ = [
    "EVENT_ID",
    "correct_latencies",
    "decode_triggers",
    "measure_audio_latency",
    "read_events",
]

EVENT_ID = {
    "audiovis/300Hz": 1,
    "audiovis/600Hz": 2,
    "audiovis/1200Hz": 3,
    "catch/0": 4,
    "catch/1": 5,
    "audio/300Hz": 6,
    "audio/600Hz": 7,
    "audio/1200Hz": 8,
    "vis/checker": 9,
    "button": 99,
}
TASK_CODES = {"passive": (6, 7, 8, 9), "smt": (1, 2, 3, 4, 5, 99), "rest": ()}
BIT_CHANNELS = ("STI001", "STI002", "STI003", "STI004")
BIT_VOLTAGE = 5.0
BUTTON_LEVEL = 4000  # value of STI101 that only the response button exceeds
PULSE_SECONDS = (0.002, 0.2)  # shortest and longest trigger pulse

# Seconds from trigger to stimulus, measured by the dataset's authors: the projector, and the
# sound card, which was replaced after this day.
VISUAL_LATENCY = 0.034
AUDIO_LATENCIES = (0.013, 0.026)
LAST_DAY_OF_FIRST_CARD = date(2011, 12, 8)
FIRST_POSSIBLE_DAY = date(2000, 1, 1)  # earlier ones are dates shifted for anonymity


def read_events(path, first_samp=0):
    r"""Read the events of a BIDS table.

    Parameters
    ----------
    path : path-like
        The file ``*_events.tsv``, with the columns sample and value.
    first_samp : int, default=0
        First sample of the recording: BIDS counts from its start, MNE from the acquisition's.

    Returns
    -------
    events : ndarray of int, shape (n_events, 3)
        As in MNE: sample, 0, code.

    Raises
    ------
    ValueError
        If a column is missing or holds no numbers.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from mvica.meg.camcan_events import read_events
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "events.tsv")
    ...     _ = file.write_text("onset\tsample\tvalue\n0.1\t100\t6\n")
    ...     read_events(file, first_samp=5000)
    array([[5100,    0,    6]])
    """
    path = Path(path)
    with open(path, newline="", encoding="utf-8-sig") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    if not rows:
        return np.zeros((0, 3), int)
    missing = [name for name in ("sample", "value") if name not in rows[0]]
    if missing:
        raise ValueError(f"{path.name} lacks column {missing[0]}; found {list(rows[0])}")
    try:
        table = [(int(float(row["sample"])), int(float(row["value"]))) for row in rows]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path.name} holds an event without number: {error}") from error
    samples, codes = np.array(table).T
    return np.column_stack([samples + first_samp, np.zeros_like(samples), codes])


def decode_triggers(raw):
    """Rebuild the trigger codes of a recording from the lines of its stimulus channels.

    The sum channel STI101 has an acquisition fault, so the code is put together from the lines
    STI001 to STI004 of 5 V each. Pulses longer than 0.2 s are dropped. The response button is read
    from STI101, where nothing else exceeds 4000.

    Parameters
    ----------
    raw : mne.io.Raw

    Returns
    -------
    events : ndarray of int, shape (n_events, 3)
        As in MNE: sample, 0, code; at the triggers, without correction of latencies.

    Raises
    ------
    ValueError
        If a channel is missing.

    Examples
    --------
    >>> import mne, numpy as np
    >>> from mvica.meg.camcan_events import decode_triggers
    >>> names = ["STI001", "STI002", "STI003", "STI004"]
    >>> lines = np.zeros((4, 1000))
    >>> lines[[1, 2], 300:310] = 5.0
    >>> raw = mne.io.RawArray(lines, mne.create_info(names, 1000.0, "stim"), verbose="ERROR")
    >>> decode_triggers(raw)
    array([[300,   0,   6]])
    """
    names = {name.replace(" ", ""): name for name in raw.ch_names}
    missing = [name for name in BIT_CHANNELS if name not in names]
    if missing:
        raise ValueError(f"The recording lacks the stimulus channels {', '.join(missing)}.")
    lines = raw.get_data(picks=[names[name] for name in BIT_CHANNELS])
    bits = np.rint(lines / BIT_VOLTAGE).astype(int) > 0
    codes = (bits * 2 ** np.arange(len(BIT_CHANNELS))[:, None]).sum(axis=0)
    events = []
    for start, stop in _pulses(codes > 0, raw.info["sfreq"]):
        # Lines may rise one sample after each other: the longest held code is meant.
        values, counts = np.unique(codes[start:stop], return_counts=True)
        events.append((start, values[counts.argmax()]))
    if "STI101" in names:
        pressed = raw.get_data(picks=[names["STI101"]])[0] > BUTTON_LEVEL
        starts = np.flatnonzero(np.diff(pressed.astype(int), prepend=0) == 1)
        events += [(start, EVENT_ID["button"]) for start in starts]
    if not events:
        return np.zeros((0, 3), int)
    samples, values = np.array(sorted(events)).T
    return np.column_stack([samples + raw.first_samp, np.zeros_like(samples), values])


def _pulses(high, sfreq):
    """Find starts and ends of the pulses that are neither too short nor too long."""
    edges = np.diff(high.astype(int), prepend=0, append=0)
    spans = zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)
    shortest, longest = (seconds * sfreq for seconds in PULSE_SECONDS)
    return [(start, stop) for start, stop in spans if shortest <= stop - start <= longest]


def correct_latencies(events, sfreq, *, meas_date=None, audio_latency=None):
    """Move events from the trigger to the stimulus.

    Visual stimuli come 34 ms after their trigger; tones 13 ms in recordings until 8 December 2011,
    26 ms after; audiovisual events move by the mean of both. Catch trials and the button stay.

    Parameters
    ----------
    events : ndarray of int, shape (n_events, 3)
        What `decode_triggers` returns.
    sfreq : float
        Samples per second.
    meas_date : datetime.datetime, default=None
        When the recording was made: chooses the latency of tones.
    audio_latency : float, default=None
        The latency of tones in seconds, where it is known otherwise.

    Returns
    -------
    events : ndarray of int, shape (n_events, 3)

    Raises
    ------
    ValueError
        If the date is unknown or not the true one: anonymised recordings have dates long before
        2000, and tables of events whose latencies are already right.

    Examples
    --------
    >>> from datetime import datetime
    >>> from mvica.meg.camcan_events import correct_latencies
    >>> events = [[1000, 0, 6], [2000, 0, 9], [3000, 0, 1], [4000, 0, 99]]
    >>> correct_latencies(events, 1000.0, meas_date=datetime(2012, 5, 1))[:, 0]
    array([1026, 2034, 3030, 4000])
    """
    if audio_latency is None:
        audio_latency = _audio_latency(meas_date)
    events = np.array(events, dtype=int).reshape(-1, 3)
    both = (audio_latency + VISUAL_LATENCY) / 2
    latencies = {1: both, 2: both, 3: both, 6: audio_latency, 7: audio_latency, 8: audio_latency}
    latencies[9] = VISUAL_LATENCY
    shifts = np.array([latencies.get(int(code), 0.0) for code in events[:, 2]])
    events[:, 0] += np.rint(shifts * sfreq).astype(int)
    return events


def _audio_latency(meas_date):
    if meas_date is None:
        raise ValueError(
            "The latency of tones depends on the day of the recording, which has none: pass"
            " audio_latency=0.013 (until 8 December 2011) or 0.026 (after), in seconds."
        )
    day = meas_date.date() if hasattr(meas_date, "date") else meas_date
    if day < FIRST_POSSIBLE_DAY:
        raise ValueError(
            f"The recording is dated {day}: an anonymised date. Latencies cannot be corrected by"
            " it, and events.tsv of the anonymised release is corrected already. Pass"
            " audio_latency in seconds to correct decoded triggers."
        )
    return AUDIO_LATENCIES[int(day > LAST_DAY_OF_FIRST_CARD)]


def measure_audio_latency(events, triggers, sfreq):
    """Find the latency of tones as the distance of corrected events from their triggers.

    Parameters
    ----------
    events, triggers : ndarray of int, shape (n_events, 3)
        Corrected events and decoded triggers of one recording.
    sfreq : float
        Samples per second.

    Returns
    -------
    latency : float
        0.013 or 0.026 seconds.

    Raises
    ------
    ValueError
        If codes differ, or the distances are none of the known latencies.

    Examples
    --------
    >>> from mvica.meg.camcan_events import measure_audio_latency
    >>> triggers = [[1000, 0, 6], [2000, 0, 9]]
    >>> measure_audio_latency([[1026, 0, 6], [2034, 0, 9]], triggers, 1000.0)
    0.026
    """
    events, triggers = np.array(events), np.array(triggers)
    events, triggers = (
        events[np.isin(events[:, 2], range(1, 10))],
        triggers[np.isin(triggers[:, 2], range(1, 10))],
    )
    if len(events) != len(triggers) or np.any(events[:, 2] != triggers[:, 2]):
        raise ValueError(
            f"The {len(events)} events are not those of the {len(triggers)} triggers: the latency"
            " of tones cannot be found."
        )
    for latency in AUDIO_LATENCIES:
        moved = correct_latencies(triggers, sfreq, audio_latency=latency)
        if np.all(np.abs(moved[:, 0] - events[:, 0]) <= 1):
            return latency
    found = np.unique(events[:, 0] - triggers[:, 0]) / sfreq * 1000
    raise ValueError(
        "Events lie"
        f" {', '.join(f'{ms:g}' for ms in found[:5])} ms after their triggers; expected 13 or 26"
        " ms for tones and 34 ms for checkerboards."
    )
