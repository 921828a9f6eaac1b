"""MNE-Python, imported on demand: the error without it, and what a recording is."""

QUIET = {"verbose": "ERROR"}
COLLECT = {"verbose": "WARNING"}  # at "ERROR" MNE keeps its warnings to itself

# Channel types that measure something of the brain; the others never enter a view.
DATA_TYPES = (
    "mag",
    "grad",
    "eeg",
    "seeg",
    "ecog",
    "dbs",
    "hbo",
    "hbr",
    "fnirs_cw_amplitude",
    "fnirs_fd_ac_amplitude",
    "fnirs_fd_phase",
    "fnirs_od",
    "csd",
)


def import_mne():
    """Return the module `mne`.

    Raises
    ------
    ImportError
        If MNE-Python is not installed, naming the extra that brings it.
    """
    try:
        import mne
    except ImportError as error:
        raise ImportError('mvica.meg needs MNE-Python: pip install "mvica[meg]"') from error
    return mne


def kind_of(inst):
    """Say what a recording is: "raw", "epochs", "evoked", or None for anything else."""
    mne = import_mne()
    for kind, classes in (
        ("raw", mne.io.BaseRaw),
        ("epochs", mne.BaseEpochs),
        ("evoked", mne.Evoked),
    ):
        if isinstance(inst, classes):
            return kind
    return None


def listed(items, at_most=5):
    """Join items for a message, the first few of them and how many more there are."""
    items = [str(item) for item in items]
    more = len(items) - at_most
    return ", ".join(items[:at_most]) + (f" ({more} more)" if more > 0 else "")
