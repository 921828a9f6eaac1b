"""mvica: multi-view statistics, the shared sources of many recordings."""

from importlib import import_module

from mvica._version import __version__

# Public name -> module that defines it. Imported at first use, so `import mvica` stays fast.
_PUBLIC = {
    "GroupICA": "mvica.ica.baselines",
    "MultiViewICA": "mvica.ica.estimators",
    "PermICA": "mvica.ica.baselines",
    "MultiViewData": "mvica.views",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mvica' has no attribute {name!r}")


def __dir__():
    return sorted(set(globals()) | set(__all__))
