"""Joint diagonalisation of sets of matrices, and the source separation built on it."""

from mvica.joint_diagonalization.function import joint_diagonalize, joint_diagonalize_many
from mvica.joint_diagonalization.record import Diagonalization
from mvica.joint_diagonalization.scenarios import make_matrix_set

__all__ = [
    "Diagonalization",
    "joint_diagonalize",
    "joint_diagonalize_many",
    "make_matrix_set",
]
