"""MEGGroup: from the recordings of several subjects to sources, maps and MNE objects."""

from itertools import pairwise

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from mvica.meg._mne import listed
from mvica.meg._settings import checked_settings
from mvica.meg._subject import projected, read_samples, samples_of
from mvica.meg.dipoles import fit_dipoles, group_dipoles
from mvica.meg.ica import to_mne_ica
from mvica.meg.patterns import patterns_to_evoked, sensor_patterns
from mvica.meg.records import MEGViews
from mvica.meg.sources import raw_sources, segment_sources, sources_to_mne
from mvica.meg.views import to_views
from mvica.views import MultiViewData

__all__ = ["MEGGroup"]

ORDERS = ("latency", "variance", None)


class MEGGroup(BaseEstimator):
    """Fit any mvica estimator to MNE recordings, and give back sources, maps and MNE objects.

    Parameters
    ----------
    estimator : estimator
        A multi-view estimator with `components_`: `MultiViewICA`, `ShICAML`, `MVICAD2`, ... It is
        cloned, never changed. Where it has a parameter `epochs`, left at 1, it is told the
        segments of the views; where it has `onset`, left at 0, the sample of time 0.
    picks, condition, average, n_splits, split, tmin, tmax, resample, l_freq, h_freq, baseline, \
channels, scale, noise_cov, n_components, dtype, n_jobs, memory, on_bad, on_error, verbose
        As in `to_views`. `n_components` is the number of principal components of the views, not
        of sources: None keeps all that every subject has.
    pattern : {"regression", "pinv"}, default="regression"
        How the maps are computed, see `sensor_patterns`.
    order : {"latency", "variance", None}, default="latency"
        Order of the sources: when the average source has its extremum; how much variance of the
        sensors their maps explain, most first; or as the estimator gives them.

    Attributes
    ----------
    views_ : MEGViews
        The views of the fitted subjects.
    subjects_ : tuple of str
        Their names.
    estimator_ : estimator
        The fitted clone.
    order_ : ndarray of shape (n_components,)
        Which component of `estimator_` each source is.
    components_ : list of ndarray of shape (n_components, k)
        Unmixing of each reduced view. The average source has unit variance and the extremum that
        is larger in size is positive; all subjects have the same sign.
    mean_ : list of ndarray of shape (k,)
        Mean of each reduced view.
    sources_ : ndarray of shape (n_samples, n_components)
        Average sources, aligned where the estimator knows delays.
    patterns_ : list of ndarray of shape (n_channels, n_components)
        Maps of each subject in SI units, for sources of unit variance in this subject.
    delays_ : ndarray of shape (n_subjects, n_components)
        Delays in seconds, for estimators with delays.
    dilations_ : ndarray of shape (n_subjects, n_components)
        Dilations, for estimators with dilations.
    icas_ : list of mne.preprocessing.ICA
        One a subject, made at first use.

    Examples
    --------
    >>> import mne, numpy as np
    >>> from mvica import MultiViewICA
    >>> from mvica.meg import MEGGroup
    >>> rng = np.random.default_rng(0)
    >>> S = rng.laplace(size=(3, 500))
    >>> info = mne.create_info(6, 100.0, "mag")
    >>> fields = [1e-13 * rng.normal(size=(6, 3)) @ S for _ in range(4)]
    >>> data = [mne.EvokedArray(x + 1e-14 * rng.normal(size=x.shape), info) for x in fields]
    >>> group = MEGGroup(MultiViewICA(n_components=3, random_state=0)).fit(data)
    >>> group.sources_.shape, group.patterns_[0].shape
    ((500, 3), (6, 3))
    >>> bool(np.abs(np.corrcoef(S, group.sources_.T)[:3, 3:]).max(axis=1).min() > 0.99)
    True
    """

    def __init__(
        self,
        estimator,
        *,
        picks="mag",
        condition=None,
        average="condition",
        n_splits=1,
        split="interleaved",
        tmin=None,
        tmax=None,
        resample=None,
        l_freq=None,
        h_freq=None,
        baseline=None,
        channels="union",
        scale="type",
        noise_cov=None,
        n_components=None,
        dtype="float64",
        n_jobs=1,
        memory=None,
        on_bad="drop",
        on_error="raise",
        pattern="regression",
        order="latency",
        verbose=0,
    ):
        self.estimator = estimator
        self.picks = picks
        self.condition = condition
        self.average = average
        self.n_splits = n_splits
        self.split = split
        self.tmin = tmin
        self.tmax = tmax
        self.resample = resample
        self.l_freq = l_freq
        self.h_freq = h_freq
        self.baseline = baseline
        self.channels = channels
        self.scale = scale
        self.noise_cov = noise_cov
        self.n_components = n_components
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.memory = memory
        self.on_bad = on_bad
        self.on_error = on_error
        self.pattern = pattern
        self.order = order
        self.verbose = verbose

    def fit(self, data, subjects=None):
        """Make views of the recordings and fit the estimator.

        Parameters
        ----------
        data : sequence or MEGViews
            What `to_views` takes, one entry a subject; or its result, which is used as it is.
        subjects : sequence of str, default=None
            Names of the subjects.

        Returns
        -------
        self : object
            The fitted group.

        Raises
        ------
        ValueError
            If subjects cannot be used, or a setting is none of the allowed ones.
        TypeError
            If the estimator gives no `components_`.
        """
        if self.order not in ORDERS:
            raise ValueError(f"order={self.order!r}, expected one of {ORDERS}.")
        if isinstance(data, MEGViews):
            self.views_ = data
        else:
            self.views_ = to_views(data, subjects=subjects, **self._view_settings())
        self.subjects_ = self.views_.view_names
        self._icas = None
        self.estimator_ = _told_of_segments(self.estimator, self.views_).fit(self._plain_views())
        if not hasattr(self.estimator_, "components_"):
            raise TypeError(
                f"{type(self.estimator_).__name__} gives no components_: MEGGroup needs a "
                "multi-view estimator such as MultiViewICA."
            )
        self._name_sources()
        return self

    def _view_settings(self):
        own = ("estimator", "pattern", "order")
        parameters = self.get_params(deep=False)
        return {name: value for name, value in parameters.items() if name not in own}

    def _plain_views(self):
        return MultiViewData(self.views_.views, view_names=self.subjects_)

    def _name_sources(self):
        """Order the sources, fix their signs and scale, and compute their maps."""
        found = self.estimator_
        average = np.asarray(found.transform(self._plain_views()), dtype=np.float64)
        sign = np.where(average.max(axis=0) + average.min(axis=0) >= 0, 1.0, -1.0)
        factor = sign / average.std(axis=0)
        records = self.views_.records
        patterns = [
            sensor_patterns(factor[:, None] * W, record, self.pattern)
            for W, record in zip(found.components_, records, strict=True)
        ]
        self._factor = factor
        self.order_ = order = self._ordered(average, patterns)
        self.patterns_ = [A[:, order] for A in patterns]
        self.components_ = [(factor[:, None] * W)[order] for W in found.components_]
        self.mean_ = list(found.mean_)
        self.sources_ = (average * factor)[:, order]
        if hasattr(found, "delays_"):
            self.delays_ = found.delays_[:, order] / self.views_.sfreq
        if hasattr(found, "dilations_"):
            self.dilations_ = found.dilations_[:, order]

    def _ordered(self, average, patterns):
        if self.order is None:
            return np.arange(average.shape[1])
        if self.order == "latency":
            return np.argsort(np.abs(average).argmax(axis=0), kind="stable")
        power = [
            np.sum(A**2, axis=0) / np.sum(A**2)
            for A in map(_in_scaled_units, patterns, self.views_.records)
        ]
        return np.argsort(-np.mean(power, axis=0), kind="stable")

    def transform(self, data=None, subjects=None):
        """Estimate the sources of each subject, every subject in its own time.

        Parameters
        ----------
        data : sequence, default=None
            Recordings of fitted subjects, one entry a subject, prepared as in `fit` (channels,
            projections, filters, crop, averages) with the scales and axes of `fit`. None takes the
            data of `fit`.
        subjects : sequence of str, default=None
            Which of the fitted subjects they are. None means all, in order.

        Returns
        -------
        sources : list of ndarray of shape (n_samples, n_components)
            The sources of each subject; numbers of samples may differ.

        Raises
        ------
        ValueError
            If a subject was not fitted, or lacks channels.
        """
        check_is_fitted(self)
        indices = self._indices(subjects)
        if data is None:
            return [self._unmix(self.views_.views[v], v) for v in indices]
        others = ("noise_cov", "n_jobs", "memory", "on_error", "verbose")
        given = {k: x for k, x in self._view_settings().items() if k not in others}
        settings = checked_settings(**given)
        sources = []
        for source, v in zip(self._paired(data, indices), indices, strict=True):
            record = self.views_.records[v]
            x = read_samples(source, record, settings)
            sources.append(self._unmix(record.reduce(x, self.components_[v].shape[1]), v))
        return sources

    def _paired(self, data, indices):
        """Check that there is one recording a subject."""
        data = list(data)
        if len(data) != len(indices):
            raise ValueError(
                f"data has {len(data)} entries for {len(indices)} subjects: subjects=[...] says "
                "whose they are."
            )
        return data

    def _indices(self, subjects):
        """Find the indices of subjects given by name."""
        if subjects is None:
            return list(range(len(self.subjects_)))
        unknown = [name for name in subjects if name not in self.subjects_]
        if unknown:
            raise ValueError(f"not among the fitted subjects: {listed(unknown)}.")
        return [self.subjects_.index(name) for name in subjects]

    def _unmix(self, z, v):
        return (z - self.mean_[v]) @ self.components_[v].T

    def get_sources(self, kind="evoked", data=None, *, subjects=None, aligned=False):
        """Put the sources in objects of MNE, every subject in its own time.

        Parameters
        ----------
        kind : {"raw", "epochs", "evoked"}, default="evoked"
            What to make: of the views, Evokeds, one a segment, or a Raw if the views are of Raws;
            of `data`, what they are, or averages of Epochs.
        data : sequence, default=None
            Recordings of fitted subjects, taken as they are: no filter, no crop, no average.
            Projections are applied. None takes the data of `fit`.
        subjects : sequence of str, default=None
            Which of the fitted subjects. None means all, in order.
        aligned : bool, default=False
            Undo delays and dilations, of the data of `fit` only.

        Returns
        -------
        sources : list
            One entry a subject: see `sources_to_mne`; for the data of `fit` and "evoked" a list of
            EvokedArray, one a segment.

        Raises
        ------
        ValueError
            If a subject was not fitted, lacks channels, or `kind` cannot be made of its data.
        """
        check_is_fitted(self)
        indices = self._indices(subjects)
        if data is None:
            S = self._aligned() if aligned else self.transform()
            return [self._as_mne(S[v], v, kind, aligned) for v in indices]
        if aligned:
            raise ValueError("aligned=True is for the data of fit: data must be None.")
        return [
            self._sources_of(source, self.views_.records[v], v, kind)
            for source, v in zip(self._paired(data, indices), indices, strict=True)
        ]

    def _aligned(self):
        """Bring the sources of each subject to the shared time."""
        if not hasattr(self, "delays_"):
            return self.transform()
        found = self.estimator_.transform_views(self._plain_views(), aligned=True)
        return [Y[:, self.order_] * self._factor[self.order_] for Y in found]

    def _as_mne(self, S, v, kind, aligned):
        """Make Evokeds, one a segment, or a Raw, of sources of the fitted data of a subject."""
        record = self.views_.records[v]
        if kind == "raw" and record.kind == "raw":
            return raw_sources(S, record.info, record.first_samp, record.annotations)
        if kind != "evoked":
            raise ValueError(
                f"kind={kind!r} cannot be made of views of {record.kind} recordings: give `data`."
            )
        return segment_sources(S, record, self.views_.segments, " (aligned)" if aligned else "")

    def _sources_of(self, source, record, v, kind):
        opened = projected(source, record)
        x = samples_of(opened)
        S = self._unmix(record.reduce(x, self.components_[v].shape[1]), v)
        like = opened.instances if len(opened.instances) > 1 else opened.instances[0]
        return sources_to_mne(S, like, kind=None if kind == opened.kind else kind)

    @property
    def icas_(self):
        """One `mne.preprocessing.ICA` a subject, made at first use."""
        check_is_fitted(self)
        if self._icas is None:
            self._icas = [
                to_mne_ica(W, record, mean=mean, fit_params=self._fit_params(v))
                for v, (W, record, mean) in enumerate(
                    zip(self.components_, self.views_.records, self.mean_, strict=True)
                )
            ]
        return self._icas

    def _fit_params(self, v):
        """Gather the estimator's settings and a subject's timing, as JSON holds them."""
        plain = (str, int, float, bool, type(None))
        settings = self.estimator_.get_params(deep=False)
        kept = {name: value for name, value in settings.items() if isinstance(value, plain)}
        params = {"estimator": type(self.estimator_).__name__, "settings": kept}
        if hasattr(self, "delays_"):
            params["delay_s"] = self.delays_[v].tolist()
        if hasattr(self, "dilations_"):
            params["dilation"] = self.dilations_[v].tolist()
        return params

    def fit_dipoles(self, subjects=None, *, noise_cov=None, bem=None, hemisphere=None):
        """Fit one current dipole to each map of each subject.

        Parameters
        ----------
        subjects : sequence of str, default=None
            Which of the fitted subjects. None means all, in order.
        noise_cov, bem, hemisphere : object
            See `mvica.meg.fit_dipoles`.

        Returns
        -------
        dipoles : GroupDipoles
            Dipoles, positions, goodness of fit and distances from the median of the group.
        """
        check_is_fitted(self)
        indices = self._indices(subjects)
        options = {"noise_cov": noise_cov, "bem": bem, "hemisphere": hemisphere}
        fitted = [
            fit_dipoles(self.patterns_[v], self.views_.records[v].info, **options) for v in indices
        ]
        return group_dipoles([self.subjects_[v] for v in indices], fitted)

    def patterns_evoked(self, subject):
        """Put the maps of one subject in an Evoked, one time a source.

        Parameters
        ----------
        subject : int or str
            Index or name of the subject.

        Returns
        -------
        evoked : mne.EvokedArray
            See `patterns_to_evoked`.
        """
        check_is_fitted(self)
        v = self._indices([subject])[0] if isinstance(subject, str) else subject
        return patterns_to_evoked(self.patterns_[v], self.views_.records[v].info)

    def report(self, fname, ages=None, **options):
        """Write a report on the group.

        Parameters
        ----------
        fname : path-like
            The HTML file.
        ages : array-like of shape (n_subjects,), default=None
            Ages in years, for timing against age.
        **options : dict
            Passed on to `mvica.meg.group_report`.

        Returns
        -------
        report : mne.Report
            The report.
        """
        from mvica.meg.report import group_report

        check_is_fitted(self)
        return group_report(self, ages=ages, fname=fname, **options)


def _told_of_segments(estimator, views):
    """Clone an estimator that gives shared sources, told of epochs and onset if it has them."""
    told, known = clone(estimator), estimator.get_params(deep=False)
    if "output" in known:
        told.set_params(output="shared")
    lengths = np.diff(views.boundaries).tolist()
    if len(lengths) > 1 and _is_left_at(known, "epochs", 1):
        told.set_params(epochs=lengths)
    onsets = {_onset(views.times[start:stop]) for start, stop in pairwise(views.boundaries)}
    if _is_left_at(known, "onset", 0) and len(onsets) == 1 and None not in onsets:
        told.set_params(onset=onsets.pop())
    return told


def _is_left_at(parameters, name, default):
    value = parameters.get(name)
    return isinstance(value, int) and value == default


def _onset(times):
    """Sample nearest to time 0, None where the segment does not hold it."""
    sample = int(np.argmin(np.abs(times)))
    step = times[1] - times[0] if len(times) > 1 else 0.0
    return sample if abs(times[sample]) <= 0.5 * step else None


def _in_scaled_units(pattern, record):
    """Bring maps of all channel types to comparable units."""
    if record.whitener is not None:
        return record.whitener @ pattern
    return pattern if record.scale is None else pattern / record.scale[:, None]
