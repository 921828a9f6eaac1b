"""Frames and back: exact, one signal at a time or many parts at once."""

import numpy as np
import pytest

from mvica.joint_diagonalization import frame_signal, overlap_add

SIGNAL = np.random.default_rng(0).standard_normal(103)


@pytest.mark.parametrize("n_window", [2, 4, 10, 40, 206, 300])
@pytest.mark.parametrize("n_samples", [1, 2, 5, 40, 103])
def test_overlap_add_restores_the_signal(n_window, n_samples):
    signal = SIGNAL[:n_samples]
    frames = frame_signal(signal, n_window)
    assert frames.shape == (int(np.ceil(2 * n_samples / n_window)) + 1, n_window)
    np.testing.assert_allclose(overlap_add(frames, n_samples), signal, atol=1e-14)
    filled = overlap_add(frames)
    np.testing.assert_allclose(filled[:n_samples], signal, atol=1e-14)
    assert not filled[n_samples:].any()


def test_frames_are_windowed_stretches_half_a_window_apart():
    frames = frame_signal(SIGNAL, 10)
    window = np.sin(np.pi * (np.arange(10) + 0.5) / 10)
    np.testing.assert_allclose(frames[3], window * SIGNAL[10:20], atol=1e-15)
    assert not frames[0, :5].any()
    np.testing.assert_allclose(frames[0, 5:], window[5:] * SIGNAL[:5], atol=1e-15)


def test_frames_keep_the_power_of_the_signal():
    frames = frame_signal(SIGNAL, 10)
    assert np.sum(frames**2) == pytest.approx(np.sum(SIGNAL**2), rel=1e-12)


def test_changed_frames_give_the_nearest_signal():
    # What a projection leaves is orthogonal to the frames of every signal.
    rng = np.random.default_rng(0)
    changed = rng.standard_normal((11, 8))
    left = changed - frame_signal(overlap_add(changed), 8)
    assert abs(np.vdot(left, frame_signal(rng.standard_normal(40), 8))) < 1e-12


def test_parts_are_added_one_by_one():
    parts = np.stack([frame_signal(factor * SIGNAL, 10) for factor in (1.0, -2.0, 3.0)])
    signals = overlap_add(parts, 103)
    assert signals.shape == (3, 103)
    np.testing.assert_allclose(signals, np.outer([1.0, -2.0, 3.0], SIGNAL), atol=1e-14)


def test_float32_is_kept():
    frames = frame_signal(SIGNAL.astype(np.float32), 10)
    assert frames.dtype == overlap_add(frames).dtype == np.float32
    np.testing.assert_allclose(overlap_add(frames, 103), SIGNAL, atol=1e-6)


@pytest.mark.parametrize(
    ("signal", "n_window", "message"),
    [
        (SIGNAL, 9, "n_window=9 must be an even number"),
        (SIGNAL, 0, "n_window=0 must be an even number"),
        (SIGNAL[:, None], 10, r"signal has shape \(103, 1\), expected one channel"),
        ([0.0, np.nan], 2, "NaN"),
    ],
)
def test_bad_signals(signal, n_window, message):
    with pytest.raises(ValueError, match=message):
        frame_signal(signal, n_window)


@pytest.mark.parametrize(
    ("frames", "n_samples", "message"),
    [
        (np.zeros((4, 9)), None, r"\(4, 9\), expected .* n_window even"),
        (np.zeros(10), None, r"\(10,\), expected"),
        (np.zeros((4, 10)), 16, "n_samples=16, but 4 frames of 10 samples hold 15"),
    ],
)
def test_bad_frames(frames, n_samples, message):
    with pytest.raises(ValueError, match=message):
        overlap_add(frames, n_samples)
