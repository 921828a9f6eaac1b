"""The outcome of a selection: scores, the choice, and what it means in words."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Selection:
    """Scores of the values tried, and the value to take.

    Attributes
    ----------
    parameter : str
        What was chosen: "n_components" or "noise".
    method : str
        How.
    values : ndarray of shape (k,)
        Values tried; where each component is judged by itself, 1 to the number judged.
    scores : ndarray of shape (k, n_splits)
        Score of each value in each split, larger is better.
    threshold : float or None
        Score above which a component counts as shared, where each is judged by itself.
    best : int or float
        The value to take. 0 components where nothing is above `threshold`.
    n_failures : int
        Fits that did not converge.
    """

    parameter: str
    method: str
    values: np.ndarray
    scores: np.ndarray
    threshold: float | None
    best: int | float
    n_failures: int

    @property
    def mean_scores(self):
        """Mean (k,) of the scores over splits."""
        return self.scores.mean(axis=1)

    @property
    def standard_errors(self):
        """Standard errors (k,) of the difference to the value of the best mean score."""
        n_splits = self.scores.shape[1]
        if n_splits == 1:
            return np.full(len(self.values), np.nan)
        gaps = self.scores - self.scores[np.argmax(self.mean_scores)]
        return gaps.std(axis=1, ddof=1) / np.sqrt(n_splits)

    @property
    def recommendation(self):
        """The choice, how sure it is, and what to do about it, in plain words."""
        words = [_CHOICES[self.threshold is not None](self)]
        if self.parameter == "n_components" and self.best == 0:
            words.append(
                "Check that the samples of the views are aligned, or that they share anything."
            )
        elif self.best == self.values[-1]:
            words.append(f"It is the largest {self.parameter} tried: try larger ones.")
        elif self.best == self.values[0] and self.threshold is None:
            words.append(f"It is the smallest {self.parameter} tried: try smaller ones.")
        if self.n_failures:
            words.append(
                f"Fits that did not converge: {self.n_failures}; that is common with more "
                "components than the views share."
            )
        return " ".join(words)

    def plot(self, ax=None, *, show=False):
        """Draw the scores of the values tried and the choice.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure, which stays out of `pyplot`.
        show : bool, default=False
            Show the figure in a window.

        Returns
        -------
        fig : matplotlib Figure
        """
        from mvica.plotting.selection import plot_selection

        return plot_selection(self, ax=ax, show=show)

    def __repr__(self):
        return f"Selection({self.parameter}={self.best}, method={self.method!r})"


def smallest_within_one_error(values, scores):
    """Smallest value whose scores are within one standard error of the best mean.

    Parameters
    ----------
    values : ndarray of shape (k,)
        Increasing.
    scores : ndarray of shape (k, n_splits)
        Larger is better. Splits differ much more than values do, so gaps are taken split by split.

    Returns
    -------
    value : element of `values`
    """
    gaps = scores[np.argmax(scores.mean(axis=1))] - scores
    errors = gaps.std(axis=1, ddof=1) / np.sqrt(scores.shape[1]) if scores.shape[1] > 1 else 0.0
    return values[np.flatnonzero(gaps.mean(axis=1) <= errors)[0]].item()


def leading_above(scores, threshold):
    """Count the components, in decreasing order, whose median over splits is above a threshold."""
    above = np.median(scores, axis=1) > threshold
    return len(above) if above.all() else int(np.argmin(above))


def _in_words_of_cross_validation(selection):
    top = selection.values[np.argmax(selection.mean_scores)].item()
    text = f"Take {selection.parameter}={_short(selection.best)}"
    if top == selection.best:
        return f"{text}: it has the best {selection.method} on held-out data."
    return (
        f"{text}: {_short(top)} has the best {selection.method} on held-out data, by less than a "
        "standard error."
    )


def _in_words_of_components(selection):
    scores = np.median(selection.scores, axis=1)
    count, kind = selection.best, selection.method
    if count == 0:
        return (
            f"Nothing is shared: the {kind} of the best component is {scores[0]:.2g}, and "
            f"chance reaches {selection.threshold:.2g}."
        )
    text = (
        f"Take n_components={count}: the {kind} of the last of them is {scores[count - 1]:.2g}, "
        f"where chance reaches {selection.threshold:.2g}"
    )
    return text + (f", the next one {scores[count]:.2g}." if count < len(scores) else ".")


def _short(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)


_CHOICES = {False: _in_words_of_cross_validation, True: _in_words_of_components}
