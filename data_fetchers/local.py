"""Find and check a local copy of public data; nothing here uses the network."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "MVICA_TEST_DATA"


@dataclass(frozen=True)
class LocalCopy:
    """What a local copy must hold, and what to say of the data where it is missing.

    Attributes
    ----------
    name : str
        Sub-folder of the folder that the environment variable names.
    md5 : dict of str to str
        File name to checksum.
    description, origin, license, citation : str
        As in `PublicDataset`.
    """

    name: str
    md5: dict[str, str]
    description: str
    origin: str
    license: str
    citation: str

    @property
    def about(self):
        """Fields to pass on to the record."""
        names = ("name", "description", "origin", "license", "citation")
        return {name: getattr(self, name) for name in names}

    def files(self, path=None):
        """Return the paths of the files by name, after their checksums were verified.

        Parameters
        ----------
        path : str, Path or None
            Folder of the files. With None, the sub-folder of ``$MVICA_TEST_DATA``.

        Returns
        -------
        files : dict of str to Path

        Raises
        ------
        FileNotFoundError
            If the folder or a file of it is missing.
        ValueError
            If a file is not the published one.
        """
        folder = self._folder(path)
        missing = [file for file in self.md5 if not (folder / file).is_file()]
        if missing:
            listed = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            raise FileNotFoundError(
                f"{len(missing)} of {len(self.md5)} files are not in {folder}: {listed}."
                f" {self._help()}"
            )
        for file, expected in self.md5.items():
            found = hashlib.md5((folder / file).read_bytes(), usedforsecurity=False).hexdigest()
            if found != expected:
                raise ValueError(
                    f"{folder / file} is not the published file: its md5 is {found}, expected"
                    f" {expected}. Replace it by an unchanged copy. Origin: {self.origin}"
                )
        return {file: folder / file for file in self.md5}

    def _folder(self, path):
        if path is not None:
            return Path(path)
        if VARIABLE not in os.environ:
            raise FileNotFoundError(f"No path was given and {VARIABLE} is not set. {self._help()}")
        return Path(os.environ[VARIABLE]) / self.name

    def _help(self):
        return (
            f"{self.name}: {self.description} Origin: {self.origin} This reader downloads nothing:"
            " get the files there, then pass their folder as `path`, or set the environment"
            f" variable {VARIABLE} to the folder that contains {self.name}/."
        )
