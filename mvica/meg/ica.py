"""The unmixing of one subject as a complete `mne.preprocessing.ICA`."""

import json
from functools import cache

import numpy as np

from mvica.meg._mne import QUIET, import_mne
from mvica.meg.records import SubjectRecord

__all__ = ["to_mne_ica"]


def to_mne_ica(components, record, *, mean=None, fit_params=None):
    """Give the unmixing of one subject as an ICA object of MNE.

    It unmixes, plots, removes components and is saved like any other. It can be applied to every
    recording of the subject that has the channels, whatever its length: nothing outside the
    components is lost.

    Parameters
    ----------
    components : array-like of shape (n_components, k)
        Unmixing of the reduced view, k principal components, to sources.
    record : SubjectRecord
        How the view was made.
    mean : array-like of shape (k,), default=None
        Mean of the reduced view that is subtracted before the unmixing. None is zero.
    fit_params : dict, default=None
        Anything that JSON holds, kept with the object: name of the estimator, delays, ...

    Returns
    -------
    ica : mne.preprocessing.ICA
        Its sources are ``(record.reduce(x, k) - mean) @ components.T``.

    Raises
    ------
    ImportError
        If MNE-Python is not installed.
    ValueError
        If the shapes do not fit.
    RuntimeError
        If this version of MNE computes sources in another way than the object is made for.

    Notes
    -----
    The object carries no projections: its unmixing already ignores what they remove, so that data
    projected or not give the same sources, and removing components leaves the rest as it was.
    Its `get_components` are maps of scaled (or whitened) channels; `sensor_patterns` gives them
    in SI units.

    Examples
    --------
    >>> import mne, numpy as np
    >>> from mvica.meg import to_mne_ica, to_views
    >>> rng = np.random.default_rng(0)
    >>> info = mne.create_info(5, 100.0, "mag")
    >>> raw = mne.io.RawArray(1e-13 * rng.normal(size=(5, 200)), info, verbose="ERROR")
    >>> views = to_views([raw], n_components=3)
    >>> ica = to_mne_ica(np.eye(3)[:2], views.records[0])
    >>> np.allclose(ica.get_sources(raw).get_data().T, views.views[0][:, :2])
    True
    """
    import_mne()
    _check_internals()
    W = np.asarray(components, dtype=np.float64)
    if W.ndim != 2 or not 1 <= len(W) <= W.shape[1] <= record.rank:
        raise ValueError(
            f"components has shape {W.shape}, expected (n_components, k) with n_components <= k "
            f"<= {record.rank}, the rank of {record.subject}."
        )
    axes = record.pca_components[: W.shape[1]]
    centre = record.mean if mean is None else record.mean + axes.T @ np.asarray(mean)
    return _ica(
        _unmixing(W @ axes, record), centre, record, {} if fit_params is None else fit_params
    )


def _unmixing(U, record):
    """Unmixing of scaled channels that ignores what projections removed."""
    if record.whitener is not None:
        left, absent, _, _ = _spectrum(record.whitener)
        return U - (U @ left[:, absent]) @ left[:, absent].T
    if record.projector is None:
        return U
    scale = np.ones(U.shape[1]) if record.scale is None else record.scale
    return (U / scale) @ record.projector * scale


def _ica(U, centre, record, fit_params):
    """ICA object of an unmixing U (p, n_channels) of scaled channels, centred at `centre`."""
    mne = import_mne()
    p = len(U)
    # The rows of Q beyond p complete the space of all channels, so that `apply` loses nothing.
    L, s, Q = np.linalg.svd(U, full_matrices=True)
    ica = mne.preprocessing.ICA(n_components=p, max_iter=1, **QUIET)
    # Projections would be applied to data that the unmixing is made for.
    ica.info = mne.Info({**record.info.copy(), "projs": [], "bads": []})
    ica.ch_names = list(record.ch_names)
    ica.noise_cov, ica.pre_whitener_ = _pre_whitening(record)
    ica.pca_mean_ = np.array(centre, dtype=np.float64)
    ica.pca_components_ = Q
    ica.pca_explained_variance_ = _variances_along(Q, record)
    ica.n_components_ = p
    ica.n_pca_components = None
    ica.unmixing_matrix_ = L * s
    ica.mixing_matrix_ = np.linalg.pinv(L * s)
    ica._ica_names = [f"ICA{i:03d}" for i in range(p)]
    ica.n_samples_ = int(record.n_samples)
    ica.n_iter_ = 1
    ica.reject_ = None
    ica.labels_ = {}
    ica.exclude = []
    ica.method = "mvica"
    ica.fit_params = {"mvica": json.loads(json.dumps(fit_params))}
    ica.current_fit = "raw" if record.kind == "raw" else "epochs"
    return ica


def _pre_whitening(record):
    """Covariance and pre-whitener in the forms that MNE's ICA has for them."""
    mne = import_mne()
    names = list(record.ch_names)
    if record.whitener is None:
        scale = np.ones(len(names)) if record.scale is None else record.scale
        return None, scale.reshape(-1, 1)
    full = _completed(record.whitener)
    inverse = np.linalg.inv(full)
    covariance = mne.Covariance(inverse @ inverse.T, names, [], [], 0, **QUIET)
    return covariance, full


def _completed(whitener):
    """Make a whitener invertible, without a change to what it whitens.

    The directions that it drops (projections, Maxwell filtering) get the typical gain of the
    others, and land where the unmixing does not look.
    """
    left, absent, gains, right = _spectrum(whitener)
    gains = np.where(absent, np.exp(np.mean(np.log(gains[~absent]))), gains)
    return (left * gains) @ right


def _spectrum(whitener):
    """Left vectors, which of them the whitener drops, gains and right vectors."""
    left, gains, right = np.linalg.svd(whitener)
    return left, gains < 1e-10 * gains[0], gains, right


def _variances_along(Q, record):
    """Variances of the scaled training data along the rows of Q."""
    along = Q @ record.pca_components.T
    return np.maximum((along**2) @ record.explained_variance, np.finfo(float).tiny)


@cache
def _check_internals():
    """Compare an object of this version of MNE with the plain formulas, once a process.

    Raises
    ------
    RuntimeError
        If they differ: the private attributes that the object is made of have changed.
    """
    mne = import_mne()
    rng = np.random.default_rng(0)
    info = mne.create_info(4, 100.0, "mag", **QUIET)
    x, U = rng.normal(size=(4, 20)), rng.normal(size=(2, 4))
    scale, centre = rng.uniform(1, 2, size=4), rng.normal(size=4)
    whitener = rng.normal(size=(4, 4))
    for whiten in (None, whitener):
        scaled = (x / scale[:, None] if whiten is None else whiten @ x) - centre[:, None]
        S = U @ scaled
        first = np.outer(np.linalg.pinv(U)[:, 0], S[0])
        back = scale[:, None] * first if whiten is None else np.linalg.solve(whiten, first)
        ica = _ica(U, centre, _plain_record(info, scale, whiten), {})
        raw = mne.io.RawArray(x, info, copy="both", **QUIET)
        found = [
            ica.get_sources(raw).get_data(),
            ica.apply(raw.copy(), exclude=[], **QUIET).get_data(),
            ica.apply(raw.copy(), exclude=[0], **QUIET).get_data(),
        ]
        if not all(map(np.allclose, found, (S, x, x - back))):
            raise RuntimeError(
                f"MNE {mne.__version__} has changed what its ICA objects are made of: mvica "
                "cannot make them for this version. Please report it, and use an older MNE."
            )


def _plain_record(info, scale, whitener):
    """Make the record of a recording that nothing was done to."""
    d = len(info["ch_names"])
    return SubjectRecord(
        subject="",
        path=None,
        kind="raw",
        info=info,
        ch_names=tuple(info["ch_names"]),
        ch_types=("mag",) * d,
        bads=(),
        scale=scale if whitener is None else None,
        whitener=whitener,
        projector=None,
        n_samples=1,
        first_samp=0,
        mean=np.zeros(d),
        rank=d,
        pca_components=np.eye(d),
        explained_variance=np.ones(d),
        n_trials=(None,),
        events=None,
        event_id=None,
        annotations=None,
        warnings=[],
    )
