"""Simulated frames whose learned spectrogram is known, which tests and benchmarks factorise."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils import check_random_state


@dataclass(frozen=True)
class Frames:
    """Frames of the Gaussian model of `TransformLearningNMF`, with the truth.

    Attributes
    ----------
    frames : ndarray of shape (n_frames, n_window)
        The data.
    transform : ndarray of shape (n_window, n_window)
        Orthogonal, one atom a row: ``frames @ transform.T`` are independent Gaussian coefficients.
    dictionary : ndarray of shape (n_components, n_window)
        Power spectra over the atoms, of sum 1.
    activations : ndarray of shape (n_frames, n_components)
        Powers of the components; ``activations @ dictionary`` are the variances.
    """

    frames: np.ndarray
    transform: np.ndarray
    dictionary: np.ndarray
    activations: np.ndarray


def make_frames(n_frames, n_window, n_components, *, random_state=None):
    """Draw frames whose coefficients in a random transform have variances of low rank.

    Spectra are squares of exponential variables, scaled to sum 1; activations are exponential, of
    mean `n_window`; the transform is uniform.

    Parameters
    ----------
    n_frames, n_window, n_components : int
        Sizes.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw. Give a fit that starts at random another one.

    Returns
    -------
    Frames

    Examples
    --------
    >>> from mvica.joint_diagonalization import make_frames
    >>> truth = make_frames(100, 8, 2, random_state=0)
    >>> truth.frames.shape, truth.dictionary.shape, truth.activations.shape
    ((100, 8), (2, 8), (100, 2))
    """
    rng = check_random_state(random_state)
    transform = np.linalg.qr(rng.standard_normal((n_window, n_window)))[0]
    spectra = rng.exponential(size=(n_window, n_components)) ** 2
    dictionary = np.ascontiguousarray((spectra / spectra.sum(axis=0)).T)
    powers = n_window * rng.exponential(size=(n_components, n_frames))
    activations = np.ascontiguousarray(powers.T)
    noise = rng.standard_normal((n_window, n_frames)).T
    coefficients = np.sqrt(activations @ dictionary) * noise
    return Frames(coefficients @ transform, transform, dictionary, activations)


def recovery(transform, truth):
    """Return the mean over atoms of the largest absolute cosine with a true one.

    Parameters
    ----------
    transform, truth : ndarray of shape (n_window, n_window)
        Orthogonal, one atom a row.

    Returns
    -------
    float
        1 for the same atoms in any order and sign; about 0.39 for random ones of length 40.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.joint_diagonalization.transform_scenarios import recovery
    >>> float(recovery(-np.eye(4)[::-1], np.eye(4)))
    1.0
    """
    return np.abs(transform @ truth.T).max(axis=1).mean()
