"""Figures: from a fitted estimator, or from plain arrays."""

from mvica.plotting.agreement import plot_agreement
from mvica.plotting.canvas import figure as _figure  # noqa: F401  (used by mvica.causal.plotting)
from mvica.plotting.canvas import shortened as _shortened  # noqa: F401
from mvica.plotting.convergence import plot_objective
from mvica.plotting.mixings import plot_mixings
from mvica.plotting.sources import plot_sources
from mvica.plotting.traces import MAX_POINTS

__all__ = ["MAX_POINTS", "plot_agreement", "plot_mixings", "plot_objective", "plot_sources"]
