"""Workloads with known causal structure."""

import functools
import os
from pathlib import Path

import numpy as np
import pytest

from mvica.data_fetchers import load_limvam_fmri
from mvica.datasets import make_limvam

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("MVICA_TEST_DATA", ROOT / ".." / "shared" / "data"))
# name -> (kind, views, variables, samples, seeds, correlation): published settings
WORKLOADS = {
    "gauss": ("gauss", 6, 5, 1000, 5, 1.0),
    "shared_half": ("shared", 5, 4, 1000, 5, 1.0),
    "wide": ("elliptic", 8, 12, 1000, 3, 1.0),
    "weak_small": ("gauss", 4, 8, 100, 20, 0.4),
}


@functools.cache
def _workload(name):
    kind, m, p, n, seeds, correlation = WORKLOADS[name]
    return [
        make_limvam(kind, m, n, p, correlation=correlation, random_state=seed)
        for seed in range(seeds)
    ]


@pytest.fixture(scope="session")
def workload():
    """A function: the data sets of a workload, one a seed."""
    return _workload


@pytest.fixture(scope="session")
def fmri():
    """Nine subjects, nine variables, centred and scaled; the names of the variables."""
    folder = DATA / "limvam_fmri"
    if not folder.is_dir():
        pytest.skip(f"no local copy of limvam_fmri in {DATA}; set MVICA_TEST_DATA to test it")
    data = load_limvam_fmri(folder)
    return [(X - X.mean(axis=0)) / X.std(axis=0) for X in data.views], data.feature_names[0]


@pytest.fixture
def rng():
    return np.random.default_rng(0)
