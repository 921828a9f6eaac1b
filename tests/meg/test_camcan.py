"""Events and epochs of Cam-CAN recordings, with invented triggers."""

from datetime import UTC, datetime

import numpy as np
import pytest

from mvica.meg import camcan_epochs
from mvica.meg.camcan_events import (
    EVENT_ID,
    correct_latencies,
    decode_triggers,
    measure_audio_latency,
    read_events,
)

mne = pytest.importorskip("mne")
NAMES = ["STI001", "STI002", "STI003", "STI004", "STI101"]


def recording(pulses, *, sfreq=1000.0, first_samp=0, n=20000, day=datetime(2012, 3, 1, tzinfo=UTC)):
    """Noise of six magnetometers with trigger pulses (start, length, code)."""
    lines = np.zeros((5, n))
    for start, length, code in pulses:
        if code == 99:
            lines[4, start : start + length] += 4096
            continue
        lines[:4, start : start + length] = 5.0 * np.array([[code >> bit & 1] for bit in range(4)])
        lines[4, start : start + length] += code
    rng = np.random.default_rng(0)
    mags = [f"MEG{k}111" for k in range(6)]
    info = mne.create_info([*mags, *NAMES], sfreq, ["mag"] * 6 + ["stim"] * 5)
    data = np.concatenate([1e-13 * rng.normal(size=(6, n)), lines])
    raw = mne.io.RawArray(data, info, first_samp=first_samp, verbose="ERROR")
    return raw.set_meas_date(day)


def test_decodes_every_code_and_drops_wrong_pulses():
    codes = [6, 9, 7, 8, 1, 2, 3, 4, 5]
    pulses = [(1000 + 1000 * k, 30, code) for k, code in enumerate(codes)]
    raw = recording([*pulses, (500, 300, 9), (700, 1, 6), (12345, 50, 99)], first_samp=777)
    events = decode_triggers(raw)
    np.testing.assert_array_equal(events[:, 2], [*codes, 99])
    np.testing.assert_array_equal(events[:9, 0], [777 + start for start, _, _ in pulses])
    assert events[-1].tolist() == [777 + 12345, 0, 99]
    assert np.all(events[:, 1] == 0)


def test_lines_that_rise_one_after_the_other_make_one_event():
    raw = recording([(1000, 30, 7)])
    raw._data[6, 1000:1002] = 0  # the lowest line is two samples late
    assert decode_triggers(raw).tolist() == [[1000, 0, 7]]


def test_the_sum_channel_is_not_believed():
    raw = recording([(1000, 30, 6)])
    raw._data[10] = 0
    raw._data[10, 2000:2030] = 9
    assert decode_triggers(raw).tolist() == [[1000, 0, 6]]


def test_names_with_spaces_and_missing_lines():
    raw = recording([(1000, 30, 6)])
    spaced = raw.copy().rename_channels({name: f"STI {name[3:]}" for name in NAMES})
    assert decode_triggers(spaced).tolist() == [[1000, 0, 6]]
    with pytest.raises(ValueError, match="lacks the stimulus channels STI001, STI002"):
        decode_triggers(raw.pick("mag"))


@pytest.mark.parametrize(
    ("day", "tone"), [(datetime(2011, 12, 8), 13), (datetime(2011, 12, 9), 26)]
)
def test_latencies_by_the_day_of_the_recording(day, tone):
    events = [[1000 * code, 0, code] for code in (1, 2, 3, 4, 5, 6, 7, 8, 9, 99)]
    moved = correct_latencies(events, 2000.0, meas_date=day)
    shift = (moved[:, 0] - np.array(events)[:, 0]) / 2
    both = (34 + tone) / 2
    np.testing.assert_allclose(shift, [both] * 3 + [0, 0] + [tone] * 3 + [34, 0])
    np.testing.assert_array_equal(moved[:, 2], np.array(events)[:, 2])


def test_latencies_are_not_guessed():
    events = [[1000, 0, 6]]
    with pytest.raises(ValueError, match=r"dated 1914-06-01: an anonymised date"):
        correct_latencies(events, 1000.0, meas_date=datetime(1914, 6, 1))
    with pytest.raises(ValueError, match="pass audio_latency"):
        correct_latencies(events, 1000.0)
    assert correct_latencies(events, 1000.0, audio_latency=0.013)[0, 0] == 1013


def test_latency_of_tones_from_corrected_events():
    triggers = np.array([[1000, 0, 6], [2000, 0, 9], [2500, 0, 99], [3000, 0, 8]])
    for latency in (0.013, 0.026):
        events = correct_latencies(triggers, 1000.0, audio_latency=latency)
        assert measure_audio_latency(events, triggers, 1000.0) == latency
    with pytest.raises(ValueError, match=r"20 ms after .* expected 13 or 26 ms"):
        measure_audio_latency(triggers + [20, 0, 0], triggers, 1000.0)
    with pytest.raises(ValueError, match="not those of the 3 triggers"):
        measure_audio_latency(triggers[1:], triggers, 1000.0)


def test_epochs_hold_the_responses_of_their_stimuli(tmp_path):
    starts = 1000 + 1200 * np.arange(12)
    codes = np.tile([6, 7, 8, 9], 3)
    raw = recording([(s, 30, c) for s, c in zip(starts, codes, strict=True)], first_samp=50)
    for start, code in zip(starts, codes, strict=True):
        latency = 34 if code == 9 else 26
        raw._data[0, start + latency + 100] = 1e-12 * code
    settings = {"h_freq": None, "baseline": None, "reject": None}
    epochs = camcan_epochs(raw, correct_latency=True, **settings)
    assert epochs.event_id == {
        "audio/300Hz": 6, "audio/600Hz": 7, "audio/1200Hz": 8, "vis/checker": 9,
    }  # fmt: skip
    assert len(epochs.times) == 701
    assert len(epochs["audio"]) == 9
    for name, code in epochs.event_id.items():
        data = epochs[name].get_data(picks=[0])[:, 0]
        np.testing.assert_array_equal(data.argmax(axis=1), 300)
        np.testing.assert_allclose(data[:, 300], 1e-12 * code)
    # the same from a table, which counts from the start of the recording
    table = tmp_path / "sub-CC999901_events.tsv"
    moved = correct_latencies(
        np.column_stack([starts, 0 * starts, codes]), 1000.0, audio_latency=0.026
    )
    lines = [f"{s / 1000}\t{s}\t{c}" for s, _, c in moved]
    table.write_text("\n".join(["onset\tsample\tvalue", *lines]))
    np.testing.assert_array_equal(
        camcan_epochs(raw, table, **settings).get_data(), epochs.get_data()
    )
    assert raw.ch_names[-1] == "STI101"  # the recording is as it was


def test_epochs_are_filtered_rejected_thinned_and_centred_before_the_stimulus():
    pulses = [(1000 + 1500 * k, 30, 6 + k % 4) for k in range(10)]
    raw = recording(pulses)
    times = np.arange(20000) / 1000
    raw._data[1] += 1e-11 * np.sin(2 * np.pi * 300 * times)  # a line of the position coils
    raw._data[2, 2500 + 26] += 9e-10  # a jump in the second trial
    assert camcan_epochs(raw, correct_latency=True, decim=5).info["sfreq"] == 200
    epochs = camcan_epochs(raw, correct_latency=True)
    assert len(epochs) == 9
    assert np.abs(epochs.get_data(picks=[1])).max() < 1e-12
    before = epochs.get_data()[..., epochs.times <= 0]
    np.testing.assert_allclose(before.mean(axis=-1), 0, atol=1e-25)
    assert len(camcan_epochs(raw, correct_latency=True, reject=None)) == 10


def test_refuses_to_correct_twice_and_unknown_codes(tmp_path):
    raw = recording([(1000, 30, 6)])
    table = tmp_path / "events.tsv"
    table.write_text("sample\tvalue\n1026\t6\n")
    assert len(camcan_epochs(raw, table)) == 1
    with pytest.raises(ValueError, match="holds the onsets of the stimuli already"):
        camcan_epochs(raw, table, correct_latency=True)
    with pytest.raises(ValueError, match="correct_latency is for decoded triggers"):
        camcan_epochs(raw, np.array([[1026, 0, 6]]), correct_latency=True)
    with pytest.raises(ValueError, match="anonymised date"):
        camcan_epochs(raw.set_meas_date(datetime(1914, 6, 1, tzinfo=UTC)), correct_latency=True)
    with pytest.raises(ValueError, match="Unknown event codes 11"):
        camcan_epochs(recording([(1000, 30, 11)]))
    with pytest.raises(ValueError, match="no events"):
        camcan_epochs(recording([]))
    table.write_text("sample\tcode\n1026\t6\n")
    with pytest.raises(ValueError, match=r"lacks column value; found \['sample', 'code'\]"):
        read_events(table)
    assert EVENT_ID["button"] == 99
