"""The reference problems, drawn once."""

import pytest

from mvica.joint_diagonalization.scenarios import (
    make_lagged_set,
    make_matrix_set,
    make_meg_windows,
    make_sample_covariances,
)

SCENARIOS = {
    "exact": lambda: make_matrix_set(100, 40, random_state=0),
    "noisy": lambda: make_matrix_set(100, 40, noise=0.1, random_state=0),
    "meg": lambda: make_meg_windows(random_state=0),
    "lagged": lambda: make_lagged_set(random_state=0),
    "few": lambda: make_sample_covariances(10, 20, random_state=0),
}


@pytest.fixture(scope="session")
def scenario():
    """Return a reference problem by name."""
    drawn = {}

    def get(name):
        if name not in drawn:
            drawn[name] = SCENARIOS[name]()
        return drawn[name]

    return get
