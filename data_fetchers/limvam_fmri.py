"""Reader of the rhyming-task fMRI series of nine subjects."""

import numpy as np

from mvica.data_fetchers.local import LocalCopy
from mvica.data_fetchers.record import PublicDataset

_COPY = LocalCopy(
    name="limvam_fmri",
    md5={
        "sub001.cent-table.9.dat.txt": "49c55e9c3464f50afcc8003fce0e4229",
        "sub004.cent-table.9.dat.txt": "a5951f195704f4a680df83d2910f832e",
        "sub005.cent-table.9.dat.txt": "9e1dc9831220bcebed32cfa4d8f4c809",
        "sub009.cent-table.9.dat.txt": "bc45d6cbd37f175656ce5091830413cd",
        "sub010.cent-table.9.dat.txt": "9977974fd162af4014f4ddb5b8b96cda",
        "sub013.cent-table.9.dat.txt": "0eed99a512bdba1d523d7adcae85335d",
        "sub014.cent-table.9.dat.txt": "df485683558d29b50f9c2cedd0ce677b",
        "sub016.cent-table.9.dat.txt": "cd6ab1aaf962b37d4ef50784d1fd1211",
        "sub017.cent-table.9.dat.txt": "99e76e4186dce2aaa28d6d58923367f5",
    },
    description=(
        "fMRI of nine subjects judging rhymes: 160 volumes of eight brain regions, and the task"
        " input."
    ),
    origin=(
        "folder experiments_fmri/data of the LiMVAM project (Heurtebise, Chehab, Ablin, Gramfort,"
        " Hyvarinen), taken from the rhyming task of the Feedback-Discovery project; raw images"
        " are OpenfMRI ds000003."
    ),
    license="MIT as distributed by the LiMVAM project, copyright 2025 of its authors.",
    citation=(
        "Ramsey, Hanson, Hanson, Halchenko, Poldrack, Glymour, Six problems for causal inference"
        " from fMRI, NeuroImage 49, 2010. Sanchez-Romero, Ramsey, Zhang, Glymour, Huang, Glymour,"
        " Estimating feedforward and feedback effective connections from fMRI time series, Network"
        " Neuroscience 3(2), 2019."
    ),
)


def load_limvam_fmri(path=None):
    """Read the rhyming-task fMRI series of nine subjects from a local copy.

    Parameters
    ----------
    path : str, Path or None, default=None
        Folder of the nine text files. With None, the sub-folder ``limvam_fmri`` of the folder
        named by the environment variable ``MVICA_TEST_DATA``.

    Returns
    -------
    data : PublicDataset
        Nine views of shape (160, 9), one a subject. Eight columns are regions (left and right
        occipital, anterior cingulate, inferior frontal, inferior parietal) in scanner units; the
        last one, "I", is the task input: the same series in every subject, so its covariance
        between subjects has rank one. Published analyses centre and scale each column first.

    Raises
    ------
    FileNotFoundError
        If there is no copy; the message says what the data are and where they come from.
    ValueError
        If a file is not the published one.

    References
    ----------
    Ramsey et al., "Six problems for causal inference from fMRI", NeuroImage 49, 2010.
    Sanchez-Romero et al., "Estimating feedforward and feedback effective connections from fMRI
    time series", Network Neuroscience 3(2), 2019.

    Examples
    --------
    >>> from mvica.data_fetchers import load_limvam_fmri
    >>> data = load_limvam_fmri("folder/of/the/files")  # doctest: +SKIP
    >>> data.views[0].shape, data.feature_names[0][-1]  # doctest: +SKIP
    ((160, 9), 'I')
    """
    files = _COPY.files(path)
    headers = [_header(file) for file in files.values()]
    return PublicDataset(
        **_COPY.about,
        views=[np.loadtxt(file, skiprows=1) for file in files.values()],
        view_names=tuple(name.split(".")[0] for name in files),
        feature_names=tuple(headers),
    )


def _header(file):
    with open(file, encoding="ascii") as lines:
        return tuple(lines.readline().split())
