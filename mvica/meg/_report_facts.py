"""What a report on a group says, as arrays in the order of the group's sources."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mvica.metrics import view_agreement

SHOWN = 4  # subjects whose own maps are drawn


@dataclass(frozen=True, eq=False)
class GroupFacts:
    """A fitted group, ready to be shown.

    Attributes
    ----------
    group : MEGGroup
    names : tuple of m str
        What the subjects are called.
    ages : ndarray of shape (m,) or None
    shown : list of int
        Subjects whose own maps are drawn.
    anonymous : bool
    sources : ndarray of shape (n, p)
        Average sources, unit variance.
    aligned, own : ndarray of shape (m, n, p)
        Sources of the subjects in the shared time and in their own.
    noise : ndarray of shape (m, p)
        Noise standard deviations relative to the average source.
    agreement : ndarray of shape (m, p)
        Correlation with the mean of the other subjects; NaN for one subject.
    delays, dilations : ndarray of shape (m, p) or None
        Delays in seconds.
    times : ndarray of shape (n,)
    marks : list of (str, int)
        Segments, as plots take them.
    """

    group: object
    names: tuple
    ages: np.ndarray | None
    shown: list
    anonymous: bool
    sources: np.ndarray
    aligned: np.ndarray
    own: np.ndarray
    noise: np.ndarray
    agreement: np.ndarray
    delays: np.ndarray | None
    dilations: np.ndarray | None
    times: np.ndarray
    marks: list

    @property
    def m(self):
        """Number of subjects."""
        return len(self.own)

    @property
    def p(self):
        """Number of sources."""
        return self.sources.shape[1]

    @property
    def records(self):
        """Records of the subjects."""
        return self.group.views_.records

    @property
    def estimator(self):
        """The fitted estimator."""
        return self.group.estimator_

    @property
    def estimator_name(self):
        """Its class."""
        return type(self.estimator).__name__

    @property
    def component_names(self):
        """Names of the sources, as in the MNE objects."""
        return [f"MV{c:03d}" for c in range(self.p)]

    @property
    def timed(self):
        """Whether subjects have delays of their own."""
        return self.delays is not None


def gathered(group, ages, subjects, anonymous):
    """Gather the facts of a fitted group.

    Raises
    ------
    ValueError
        If `ages` is not one number a subject, or a subject is unknown.
    """
    check_is_fitted(group)
    m = len(group.subjects_)
    names = [f"S{v + 1:03d}" for v in range(m)] if anonymous else list(map(str, group.subjects_))
    if ages is not None:
        ages = np.asarray(ages, dtype=float)
        if ages.shape != (m,):
            raise ValueError(f"ages has shape {ages.shape}, expected ({m},): one a subject")
    own = np.stack(group.transform())
    aligned = np.stack(group._aligned())
    residual = np.sqrt(np.mean((aligned - group.sources_) ** 2, axis=1))
    return GroupFacts(
        group=group,
        names=tuple(names),
        ages=ages,
        shown=_shown(group, subjects),
        anonymous=anonymous,
        sources=group.sources_,
        aligned=aligned,
        own=own,
        noise=_noise(group, residual),
        agreement=view_agreement(list(aligned)),
        delays=getattr(group, "delays_", None),
        dilations=getattr(group, "dilations_", None),
        times=np.asarray(group.views_.times),
        marks=_marks(group.views_),
    )


def _shown(group, subjects):
    if subjects is None:
        return list(range(min(SHOWN, len(group.subjects_))))
    chosen = []
    for subject in subjects:
        known = subject in group.subjects_ or subject in range(len(group.subjects_))
        if not known:
            raise ValueError(
                f"subject {subject!r} is neither a name nor an index of the "
                f"{len(group.subjects_)} fitted subjects"
            )
        chosen.append(group.subjects_.index(subject) if isinstance(subject, str) else subject)
    return chosen


def _noise(group, residual):
    """Noise levels of the fit; where it has none, what differs from the average source."""
    variances = getattr(group.estimator_, "noise_variances_", None)
    return residual if variances is None else np.sqrt(variances[:, group.order_])


def _marks(views):
    """Name and first sample of each segment; none for a continuous recording."""
    several = len({segment["split"] for segment in views.segments}) > 1
    marks = []
    for segment, start in zip(views.segments, views.boundaries, strict=False):
        name = segment["condition"] or "continuous"
        number = f" ({segment['split'] + 1})" if several else ""
        marks.append((f"{name}{number}", int(start)))
    return marks


def age_text(facts, v):
    """Age of a subject as the table shows it."""
    if facts.ages is None or not np.isfinite(facts.ages[v]):
        return "unknown"
    if not facts.anonymous:
        return f"{facts.ages[v]:.0f}"
    decade = int(facts.ages[v] // 10) * 10
    return f"{decade}-{decade + 9}"
