"""One subject's segments to a reduced view: scale, centre, rank, principal components."""

import numpy as np

from mvica.kernels.moments import mean_and_covariance
from mvica.meg._mne import COLLECT, import_mne, listed
from mvica.meg._reading import key

# Of the largest singular value: below lies what float32 storage leaves of absent dimensions.
RANK_THRESHOLD = 1e-5


def channel_scales(X, types):
    """Give each channel the standard deviation of all values of its type.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_channels)
    types : sequence of str

    Returns
    -------
    scale : ndarray of shape (n_channels,)

    Raises
    ------
    ValueError
        If all channels of a type are constant and equal.
    """
    types, scale = np.asarray(types), np.empty(len(types))
    for kind in dict.fromkeys(types):
        chosen = types == kind
        deviation = X[:, chosen].std()
        if not deviation > 0:
            raise ValueError(f"all its {kind} channels are flat")
        scale[chosen] = deviation
    return scale


def whitener_of(noise_cov, inst, projector=None):
    """Square matrix that whitens the noise of the channels of a recording.

    Raises
    ------
    ValueError
        If the covariance lacks channels.
    """
    mne = import_mne()
    info = inst.info
    noise_cov = _for_channels(mne, noise_cov, info["ch_names"])
    rank = "info" if has_sss(info) else None
    whitener = mne.cov.compute_whitener(noise_cov, info, rank=rank, pca=False, **COLLECT)[0]
    # What is projected out may be a million times the rest: not even rounding may let it through.
    return whitener if projector is None else whitener @ projector


def _for_channels(mne, cov, names):
    """Covariance of these channels, matched without regard to spaces."""
    positions = {key(name): i for i, name in enumerate(cov.ch_names)}
    missing = [name for name in names if key(name) not in positions]
    if missing:
        raise ValueError(f"noise_cov lacks the channels {listed(missing)}")
    rows = [positions[key(name)] for name in names]
    data = np.diag(cov.data[rows]) if cov["diag"] else cov.data[np.ix_(rows, rows)]
    return mne.Covariance(data, names, [], cov["projs"], cov["nfree"])


def has_sss(info):
    """Say whether Maxwell filtering went over the recording."""
    return any(entry.get("max_info") for entry in info.get("proc_history") or ())


def principal_axes(X, inst):
    """Mean, rank, principal axes and their variances of scaled data.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_channels)
        Scaled samples.
    inst : Raw, Epochs or Evoked
        Where they come from: after Maxwell filtering its history bounds the rank.

    Returns
    -------
    mean : ndarray of shape (n_channels,)
    axes : ndarray of shape (rank, n_channels)
        Orthonormal rows, by decreasing variance.
    variances : ndarray of shape (rank,)
    """
    mean, covariance = mean_and_covariance(X)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]
    rank = int(np.sum(values > values[0] * RANK_THRESHOLD**2))
    if has_sss(inst.info):
        ranks = import_mne().compute_rank(inst, rank="info", **COLLECT)
        rank = min(rank, sum(ranks.values()))
    axes = vectors[:, :rank].T
    signs = np.sign(axes[np.arange(rank), np.argmax(np.abs(axes), axis=1)])
    return mean, np.ascontiguousarray(axes * signs[:, None]), values[:rank].copy()


def scaled_samples(X, scale, whitener):
    """Bring samples to units of their scale, or whiten them."""
    if whitener is not None:
        return X @ whitener.T
    return X if scale is None else X / scale


def check_finite(segments, inst):
    """Refuse NaN and infinity, naming the channels."""
    for segment in segments:
        bad = ~np.isfinite(segment.data).all(axis=1)
        if bad.any():
            names = [inst.ch_names[i] for i in np.flatnonzero(bad)]
            raise ValueError(f"NaN or infinity in the channels {listed(names)}")


def kept_projector(projector, axes, scale):
    """Return the projector, or None where the axes already lie in the space that it keeps.

    Axes of data projected type by type do; those of data of several types in units of their own
    do not where a projection mixes the types.
    """
    if projector is None:
        return None
    spatial = axes if scale is None else axes / scale
    moved = np.linalg.norm(spatial @ projector - spatial)
    return None if moved <= 1e-10 * np.linalg.norm(spatial) else projector
