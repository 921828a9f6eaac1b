"""Causal discovery from many views at once, Gaussian or not."""

from importlib import import_module

_PUBLIC = {
    "Bootstrap": "mvica.causal.bootstrap",
    "CrossCovariances": "mvica.causal.covariances",
    "DirectLiMVAM": "mvica.causal.estimators",
    "GaussianLiMVAM": "mvica.causal.gaussian",
    "ICALiMVAM": "mvica.causal.ica",
    "Identifiability": "mvica.causal.diagnostics",
    "PairwiseLiMVAM": "mvica.causal.estimators",
    "PriorKnowledge": "mvica.causal.knowledge",
    "adjacency_error": "mvica.causal.metrics",
    "cross_covariances": "mvica.causal.covariances",
    "direction_test": "mvica.causal.diagnostics",
    "hsic_test": "mvica.causal.hsic",
    "order_correlation": "mvica.causal.metrics",
    "order_error": "mvica.causal.metrics",
    "plot_adjacency": "mvica.causal.plotting",
    "plot_graph": "mvica.causal.plotting",
    "plot_order_stability": "mvica.causal.plotting",
    "reversed_edges": "mvica.causal.metrics",
    "structural_hamming_distance": "mvica.causal.metrics",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mvica.causal' has no attribute {name!r}")


def __dir__():
    return __all__
