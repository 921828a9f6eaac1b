"""Joint diagonalisation of sets of matrices, and the source separation built on it."""

from importlib import import_module

# Public name -> module that defines it. Imported at first use, as the estimators need scikit-learn.
_PUBLIC = {
    "Diagonalization": "record",
    "JointDiagonalization": "estimator",
    "NonStationaryJD": "nonstationary",
    "SOBI": "sobi",
    "SpectralJD": "spectral",
    "TransformFactorization": "transform_learning_nmf",
    "TransformLearningNMF": "transform_learning_estimator",
    "frame_signal": "framing",
    "joint_diagonalize": "function",
    "joint_diagonalize_many": "function",
    "learn_transform": "transform_learning_nmf",
    "make_frames": "transform_scenarios",
    "make_matrix_set": "scenarios",
    "overlap_add": "framing",
    "tl_nmf": "transform_learning_nmf",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(set(globals()) | set(__all__))
