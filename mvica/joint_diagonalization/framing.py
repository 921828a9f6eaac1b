"""Signals to overlapping frames and back, exactly."""

import numpy as np
from sklearn.utils import check_array


def frame_signal(signal, n_window):
    """Cut a signal into windowed frames that overlap by half.

    Parameters
    ----------
    signal : array-like of shape (n_samples,)
        One channel, or the time course of one component.
    n_window : int
        Samples of a frame, an even number: ``2 * floor(seconds * sampling_rate / 2)``.

    Returns
    -------
    frames : ndarray of shape (n_frames, n_window)
        ``n_frames = ceil(2 * n_samples / n_window) + 1``. The signal has half a frame of zeros in
        front, and enough behind for full frames.

    Raises
    ------
    ValueError
        If `n_window` is not even and positive, or the signal is not one-dimensional and finite.

    See Also
    --------
    overlap_add : The way back.

    Notes
    -----
    The window is ``sin(pi (j + 1/2) / n_window)``. It is nowhere zero, and its squares add up to 1
    where frames overlap, so that `overlap_add` restores the signal.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.joint_diagonalization import frame_signal, overlap_add
    >>> signal = np.sin(np.arange(1000.0))
    >>> frames = frame_signal(signal, 20)
    >>> frames.shape
    (101, 20)
    >>> np.allclose(overlap_add(frames, 1000), signal)
    True
    """
    signal = check_array(
        signal, dtype=[np.float64, np.float32], ensure_2d=False, input_name="signal"
    )
    if signal.ndim != 1:
        raise ValueError(f"signal has shape {signal.shape}, expected one channel: (n_samples,).")
    if n_window < 2 or n_window % 2:
        raise ValueError(f"n_window={n_window} must be an even number of samples, at least 2.")
    hop = n_window // 2
    n_frames = -(-len(signal) // hop) + 1
    padded = np.zeros((n_frames + 1) * hop, dtype=signal.dtype)
    padded[hop : hop + len(signal)] = signal
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_window)[::hop]
    return frames * _window(n_window).astype(signal.dtype)


def overlap_add(frames, n_samples=None):
    """Put the signal together from the frames that `frame_signal` cuts.

    Parameters
    ----------
    frames : array-like of shape (..., n_frames, n_window)
        Frames, one signal for every leading index, such as the parts that
        `TransformLearningNMF.separate` gives.
    n_samples : int, default=None
        Length of the signal. None keeps the zeros that filled the last frame.

    Returns
    -------
    signal : ndarray of shape (..., n_samples)
        For frames that were changed, the signal whose frames are nearest in mean square.

    Raises
    ------
    ValueError
        If the frames have an odd length or hold fewer samples than `n_samples`.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.joint_diagonalization import overlap_add
    >>> overlap_add(np.zeros((3, 11, 20))).shape
    (3, 100)
    """
    frames = np.asarray(frames)
    if frames.ndim < 2 or frames.shape[-1] < 2 or frames.shape[-1] % 2:
        raise ValueError(
            f"frames have shape {frames.shape}, expected (..., n_frames, n_window), n_window even."
        )
    *leading, n_frames, n_window = frames.shape
    hop = n_window // 2
    longest = (n_frames - 1) * hop
    if n_samples is not None and not 0 <= n_samples <= longest:
        raise ValueError(
            f"n_samples={n_samples}, but {n_frames} frames of {n_window} samples hold {longest}."
        )
    windowed = frames * _window(n_window).astype(frames.dtype)
    signal = windowed[..., :-1, hop:] + windowed[..., 1:, :hop]
    return signal.reshape(*leading, longest)[..., :n_samples]


def _window(n_window):
    return np.sin(np.pi * (np.arange(n_window) + 0.5) / n_window)
