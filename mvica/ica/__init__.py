"""Independent component analysis of many views at once."""

from importlib import import_module

_PUBLIC = {
    "Density": "mvica.ica.densities",
    "GroupICA": "mvica.ica.baselines",
    "MultiViewICA": "mvica.ica.estimators",
    "PermICA": "mvica.ica.baselines",
    "groupica": "mvica.ica.functions",
    "multiview_ica": "mvica.ica.functions",
    "multiview_ica_objective": "mvica.ica.solve",
    "permica": "mvica.ica.functions",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mvica.ica' has no attribute {name!r}")


def __dir__():
    return __all__
