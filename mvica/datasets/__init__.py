"""Simulators: views with the truth that made them."""

from mvica.datasets.evoked import EvokedGroup, make_evoked_group
from mvica.datasets.record import MultiViewDataset
from mvica.datasets.simulated import make_multiview_ica, make_shica

__all__ = [
    "EvokedGroup",
    "MultiViewDataset",
    "make_evoked_group",
    "make_multiview_ica",
    "make_shica",
]
