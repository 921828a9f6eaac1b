"""Independent component analysis of many views at once."""

from importlib import import_module

_PUBLIC = {
    "AVICA": "mvica.ica.noisy_estimators",
    "Density": "mvica.ica.densities",
    "GroupICA": "mvica.ica.baselines",
    "MVICAD": "mvica.ica.delays_estimator",
    "MVICAD2": "mvica.ica.dilations_estimator",
    "Mixture": "mvica.ica.mixture",
    "MultiViewICA": "mvica.ica.estimators",
    "PermICA": "mvica.ica.baselines",
    "ShICAJ": "mvica.ica.shica_j_estimator",
    "ShICAML": "mvica.ica.noisy_estimators",
    "avica": "mvica.ica.noisy_functions",
    "groupica": "mvica.ica.functions",
    "latencies": "mvica.ica.warps",
    "multiview_ica": "mvica.ica.functions",
    "multiview_ica_objective": "mvica.ica.solve",
    "permica": "mvica.ica.functions",
    "shica_j": "mvica.ica.noisy_functions",
    "shica_ml": "mvica.ica.noisy_functions",
    "unwarp": "mvica.ica.warps",
    "warp": "mvica.ica.warps",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mvica.ica' has no attribute {name!r}")


def __dir__():
    return __all__
