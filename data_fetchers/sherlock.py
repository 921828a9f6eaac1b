"""fMRI of people who watch the same film: the Sherlock study."""

from mvica.data_fetchers import download as downloads
from mvica.data_fetchers.public_files import PublicFiles

__all__ = ["fetch_sherlock"]

URL = (
    "https://dataspace.princeton.edu/bitstream/88435/dsp01nz8062179/7/SherlockMovies_published.tgz"
)


def fetch_sherlock(*, data_home=None, download=True, progress=False):
    """Return fMRI of 17 people who watch an episode of Sherlock, TR 1.5 s.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder of downloaded data, see `mvica.data_fetchers.data_home`.
    download : bool, default=True
        False only takes files that are there, as does ``MVICA_OFFLINE=1``.
    progress : bool, default=False
        Show a progress bar.

    Returns
    -------
    files : PublicFiles
        NIfTI images. No checksum is published: the first download is trusted and remembered.

    Raises
    ------
    DatasetNotFound
        If the archive is not there and may not or cannot be downloaded.

    Examples
    --------
    >>> from mvica.data_fetchers import fetch_sherlock
    >>> film = fetch_sherlock()  # doctest: +SKIP
    """
    folder = downloads.data_home(data_home) / "sherlock"
    archive = downloads.fetch_file(
        URL, folder / "SherlockMovies_published.tgz", what="The Sherlock archive",
        download=download, progress=progress,
    )  # fmt: skip
    done = folder / "unpacked"
    if not done.is_file():
        downloads.unpack_tar(archive, folder)
        done.touch()
    paths = sorted(p for p in folder.rglob("*") if p.name.endswith((".nii", ".nii.gz")))
    return PublicFiles(
        name="sherlock",
        folder=folder,
        paths=paths,
        description="fMRI of people who watch the same film.",
        license="As stated at Princeton DataSpace 88435/dsp01nz8062179.",
        citation=(
            "Chen et al., Shared memories reveal shared structure in neural activity across"
            " individuals, Nature Neuroscience 20, 2017."
        ),
    )
