"""Solvers under generalized orthogonality, and the eigenproblems, CCA and ICA built on them."""

from importlib import import_module

# Public name -> module that defines it. Imported at first use, as the estimators need scikit-learn.
_PUBLIC = {
    "CCA": "cca",
    "Eigenpairs": "eigen",
    "GCCA": "gcca",
    "LandingICA": "ica_estimator",
    "MCCA": "gcca",
    "adequacy": "cca_selection",
    "correlation_test": "cca_selection",
    "generalized_eigh": "eigen",
    "held_out_correlations": "cca_selection",
    "landing": "deterministic",
    "loadings": "cca_selection",
    "redundancy": "cca_selection",
    "riemannian_descent": "riemannian",
    "saga_landing": "variance_reduction",
    "stochastic_landing": "stochastic",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(set(globals()) | set(__all__))
