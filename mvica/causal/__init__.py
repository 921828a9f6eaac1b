"""Causal discovery from many views at once, Gaussian or not."""

from importlib import import_module

_PUBLIC = {
    "CrossCovariances": "mvica.causal.covariances",
    "DirectLiMVAM": "mvica.causal.estimators",
    "GaussianLiMVAM": "mvica.causal.gaussian",
    "Identifiability": "mvica.causal.diagnostics",
    "PairwiseLiMVAM": "mvica.causal.estimators",
    "PriorKnowledge": "mvica.causal.knowledge",
    "cross_covariances": "mvica.causal.covariances",
    "direction_test": "mvica.causal.diagnostics",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mvica.causal' has no attribute {name!r}")


def __dir__():
    return __all__
