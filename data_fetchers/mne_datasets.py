"""Recordings that MNE-Python downloads: single persons, phantoms, and 109 people with EEG."""

import os
from pathlib import Path

from mvica.data_fetchers.download import DatasetNotFound, is_offline
from mvica.data_fetchers.public_files import PublicFiles

__all__ = ["fetch_eegbci", "fetch_mne"]

# Name -> (module below mne.datasets, description, licence, citation)
DATASETS = {
    "sample": ("sample", "One person, tones and checkerboards, 306 MEG and 60 EEG channels.",
               "As stated by MNE-Python; OpenNeuro ds000248.",
               "Gramfort et al., MNE software for MEG and EEG data, NeuroImage 86, 2014."),
    "phantom": ("brainstorm.bst_phantom_elekta",
                "A phantom with dipoles at known places in a 306-channel scanner.",
                "Terms of the Brainstorm project.",
                "Tadel et al., Brainstorm, Computational Intelligence and Neuroscience, 2011."),
    "somato": ("somato", "One person, stimulation of the median nerve, MEG.",
               "As stated by MNE-Python.", "See mne.datasets.somato."),
    "multimodal": ("multimodal", "One person, auditory, visual and somatosensory stimuli, MEG.",
                   "As stated by MNE-Python.", "See mne.datasets.multimodal."),
    "phantom_kit": ("phantom_kit", "A phantom in a KIT scanner.", "As stated by MNE-Python.",
                    "See mne.datasets.phantom_kit."),
}  # fmt: skip


def fetch_mne(name, *, path=None, download=True):
    """Return a study that MNE-Python keeps, or have MNE-Python download it.

    Parameters
    ----------
    name : {"sample", "phantom", "somato", "multimodal", "phantom_kit"}
        Which study.
    path : path-like, default=None
        Folder of MNE's data; None takes MNE's own setting, else ``~/mne_data``.
    download : bool, default=True
        False only looks whether it is there, as does ``MVICA_OFFLINE=1``.

    Returns
    -------
    files : PublicFiles
        The paths are all FIF and CTF files and folders at any depth.

    Raises
    ------
    ImportError
        Without MNE-Python.
    DatasetNotFound
        If the study is not there and may not be downloaded.
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> from mvica.data_fetchers import fetch_mne
    >>> fetch_mne("sample").folder.name  # doctest: +SKIP
    'MNE-sample-data'
    """
    if name not in DATASETS:
        raise ValueError(f"name={name!r}; expected one of {', '.join(DATASETS)}.")
    module, description, terms, citation = DATASETS[name]
    datasets = _import_mne().datasets
    for part in module.split("."):
        datasets = getattr(datasets, part)
    where = None if path is None else str(path)
    online = not is_offline(download)
    options = {"accept": True} if module.startswith("brainstorm") and online else {}
    found = datasets.data_path(path=where, download=online, verbose="ERROR", **options)
    if not str(found) or str(found) == "." or not Path(found).is_dir():
        raise DatasetNotFound(
            f"MNE's data set {name!r} is not on this machine, and downloads are off"
            f" (download=False, MVICA_OFFLINE). Where there is a network:"
            f" mne.datasets.{module}.data_path()"
        )
    return PublicFiles(
        name=name,
        folder=Path(found),
        paths=sorted(p for p in Path(found).rglob("*") if p.suffix in (".fif", ".ds", ".sqd")),
        description=description,
        license=terms,
        citation=citation,
    )


def fetch_eegbci(subjects=range(1, 110), runs=(6, 10, 14), *, path=None, download=True):
    """Return EEG of up to 109 people who imagine and perform movements.

    Parameters
    ----------
    subjects : sequence of int, default=range(1, 110)
        From 1 to 109.
    runs : sequence of int, default=(6, 10, 14)
        Runs of each subject, 1 to 14; the default is imagined movement of hands and feet.
    path : path-like, default=None
        Folder of MNE's data; None takes MNE's own setting, else ``~/mne_data``.
    download : bool, default=True
        False only takes files that are there, as does ``MVICA_OFFLINE=1``.

    Returns
    -------
    files : PublicFiles
        One path a subject and run, EDF with 64 channels at 160 Hz.

    Raises
    ------
    ImportError
        Without MNE-Python.
    DatasetNotFound
        If a file is not there and may not be downloaded.

    Examples
    --------
    >>> from mvica.data_fetchers import fetch_eegbci
    >>> len(fetch_eegbci([1, 2], [6]).paths)  # doctest: +SKIP
    2
    """
    mne = _import_mne()
    subjects, runs = [int(s) for s in subjects], [int(r) for r in runs]
    folder = _mne_folder(mne, path) / "MNE-eegbci-data" / "files" / "eegmmidb" / "1.0.0"
    wanted = {
        (s, r): folder / f"S{s:03d}" / f"S{s:03d}R{r:02d}.edf" for s in subjects for r in runs
    }
    missing = sorted({s for (s, _), file in wanted.items() if not file.is_file()})
    if missing and is_offline(download):
        raise DatasetNotFound(
            f"EEGBCI recordings of {len(missing)} subjects are not in {folder}, and downloads are"
            " off (download=False, MVICA_OFFLINE). By hand: https://physionet.org/content/eegmmidb"
        )
    for subject in missing:
        mne.datasets.eegbci.load_data(
            subject, runs, path=None if path is None else str(path), update_path=False,
            verbose="ERROR",
        )  # fmt: skip
    return PublicFiles(
        name="eegbci",
        folder=folder,
        paths=list(wanted.values()),
        subjects=tuple(f"S{s:03d}" for s, _ in wanted),
        description="EEG, 64 channels at 160 Hz, of people who move or imagine to move.",
        license="Open Data Commons Attribution License 1.0.",
        citation=(
            "Schalk et al., BCI2000: a general-purpose brain-computer interface system, IEEE"
            " Transactions on Biomedical Engineering 51, 2004. Goldberger et al., PhysioBank,"
            " PhysioToolkit, and PhysioNet, Circulation 101, 2000."
        ),
    )


def _mne_folder(mne, path):
    if path is not None:
        return Path(path)
    known = mne.get_config("MNE_DATASETS_EEGBCI_PATH") or mne.get_config("MNE_DATA")
    return Path(known or os.path.expanduser("~/mne_data"))


def _import_mne():
    try:
        import mne
    except ImportError as error:
        raise ImportError('This data set needs MNE-Python: pip install "mvica[meg]"') from error
    return mne
