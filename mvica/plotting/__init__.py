"""Figures: from a fitted estimator, or from plain arrays."""

from mvica.plotting.agreement import plot_agreement
from mvica.plotting.causal_graph import plot_causal_graph
from mvica.plotting.convergence import plot_convergence, plot_objective
from mvica.plotting.maps import plot_topomaps
from mvica.plotting.matching import plot_matching, plot_stability
from mvica.plotting.mixings import plot_mixings
from mvica.plotting.noise import plot_noise_levels
from mvica.plotting.selection import plot_selection
from mvica.plotting.source_image import plot_source_image
from mvica.plotting.sources import plot_sources
from mvica.plotting.timing import plot_estimated_vs_true, plot_timing_vs_age, plot_view_matrix
from mvica.plotting.traces import MAX_POINTS

__all__ = [
    "MAX_POINTS",
    "plot_agreement",
    "plot_causal_graph",
    "plot_convergence",
    "plot_estimated_vs_true",
    "plot_matching",
    "plot_mixings",
    "plot_noise_levels",
    "plot_objective",
    "plot_selection",
    "plot_source_image",
    "plot_sources",
    "plot_stability",
    "plot_timing_vs_age",
    "plot_topomaps",
    "plot_view_matrix",
]
