"""How sure an answer is: bootstrap over samples and views, and tests of what is shared."""

from mvica.uncertainty.bootstrap import bootstrap
from mvica.uncertainty.replicates import Replicates
from mvica.uncertainty.shared_components import SharedComponentsTest, shared_components_test
from mvica.uncertainty.split_half import split_half_correlations

__all__ = [
    "Replicates",
    "SharedComponentsTest",
    "bootstrap",
    "shared_components_test",
    "split_half_correlations",
]
