"""MNE-Python recordings in and out."""

from importlib import import_module

_PUBLIC = {
    "GroupDipoles": "mvica.meg.dipoles",
    "MEGGroup": "mvica.meg.group",
    "MEGViews": "mvica.meg.records",
    "camcan_epochs": "mvica.meg.camcan",
    "SubjectRecord": "mvica.meg.records",
    "fit_dipoles": "mvica.meg.dipoles",
    "group_report": "mvica.meg.report",
    "patterns_to_evoked": "mvica.meg.patterns",
    "sensor_patterns": "mvica.meg.patterns",
    "sources_to_mne": "mvica.meg.sources",
    "to_mne_ica": "mvica.meg.ica",
    "to_views": "mvica.meg.views",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mvica.meg' has no attribute {name!r}")


def __dir__():
    return __all__
