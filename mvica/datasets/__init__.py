"""Simulators: views with the truth that made them."""

from mvica.datasets.causal import CausalDataset, make_limvam
from mvica.datasets.delayed import DelayedDataset, make_mvicad, make_mvicad2
from mvica.datasets.eeg_group import make_eeg_group
from mvica.datasets.evoked import EvokedGroup, make_evoked_group
from mvica.datasets.meg_group import make_meg_group
from mvica.datasets.record import MultiViewDataset
from mvica.datasets.simulated import make_multiview_ica, make_shica
from mvica.datasets.simulated_group import SimulatedGroup

__all__ = [
    "CausalDataset",
    "DelayedDataset",
    "EvokedGroup",
    "MultiViewDataset",
    "SimulatedGroup",
    "make_eeg_group",
    "make_evoked_group",
    "make_limvam",
    "make_meg_group",
    "make_multiview_ica",
    "make_mvicad",
    "make_mvicad2",
    "make_shica",
]
