"""How many components, how much noise: choices made on data that the fit has not seen."""

from mvica.model_selection.select import select_n_components, select_noise
from mvica.model_selection.selection import Selection
from mvica.model_selection.splitters import BlockKFold, LeaveViewsOut

__all__ = [
    "BlockKFold",
    "LeaveViewsOut",
    "Selection",
    "select_n_components",
    "select_noise",
]
