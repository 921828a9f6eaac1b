"""Data and helpers that the ICA tests share."""

import numpy as np
import pytest

from mvica.datasets import make_multiview_ica
from mvica.ica.densities import initial_kinds, score_step_for
from mvica.ica.objective import MultiViewObjective
from mvica.ica.stacked import StackedViews
from mvica.reduction.reduce import reduce_views, stack_reduced


@pytest.fixture(scope="session")
def group():
    """Five views of five shared sources, moderate noise: the small published workload."""
    return make_multiview_ica(
        n_views=5, n_samples=1000, n_components=5, noise_std=0.5, random_state=0
    )


def stacked(views, n_components=None):
    """Whitened, stacked views and their reduction."""
    reduction = reduce_views(views, n_components, random_state=0)
    return StackedViews(stack_reduced(views, reduction), len(views)), reduction


def objective(views, *, noise=1.0, density="logcosh"):
    """Objective of stacked views."""
    kinds = initial_kinds(density, views.n_components)
    return MultiViewObjective(views, noise, score_step_for(views.Z, density, kinds))


def random_unmixings(m, p, seed=0):
    """Well-conditioned unmixings without structure."""
    rng = np.random.default_rng(seed)
    return np.eye(p) + 0.3 * rng.standard_normal((m, p, p))
