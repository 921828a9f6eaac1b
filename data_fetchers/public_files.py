"""The record of downloaded files: where they are, and the terms that go with them."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, eq=False, kw_only=True)
class PublicFiles:
    """Files of a public study, on disk.

    Attributes
    ----------
    name : str
        Short name of the study.
    folder : Path
        Where the files are.
    paths : list of Path
        The files.
    description, license, citation : str
        What they are, the terms of use, what to cite.
    subjects : tuple of str
        The subject of each file, where files are of subjects.

    Examples
    --------
    >>> from pathlib import Path
    >>> from mvica.data_fetchers import PublicFiles
    >>> PublicFiles(name="study", folder=Path("data"), paths=[Path("data/a")], description="",
    ...             license="", citation="").paths[0].name
    'a'
    """

    name: str
    folder: Path
    paths: list = field(repr=False)
    description: str
    license: str
    citation: str
    subjects: tuple = ()
