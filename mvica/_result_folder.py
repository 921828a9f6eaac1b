"""The folder of results of a command: whole or not at all."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

OUTPUTS = (
    "report.html",
    "model.npz",
    "sources.csv",
    "sources.npy",
    "views.csv",
    "components.csv",
    "mixings.csv",
    "objective.png",
    "sources.png",
    "agreement.png",
    "mixings.png",
)


class OutputError(Exception):
    """The folder asked for cannot be written."""


@contextmanager
def result_folder(path, *, force=False):
    """Give a folder to write into; it becomes `path` when all went well, and vanishes otherwise.

    Parameters
    ----------
    path : str or path-like
        The folder to make.
    force : bool, default=False
        Replace an existing one, if it holds nothing but a former result.

    Yields
    ------
    draft : Path
        A new folder beside `path`.

    Raises
    ------
    OutputError
        If `path` exists, or cannot be written.
    """
    out = Path(path).resolve()
    _check(path, out, force)
    try:
        draft = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        yield draft
        draft.chmod(0o777 & ~_umask())
        _check(path, out, force)
        _put_in_place(draft, out)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _check(path, out, force):
    """Refuse a folder that cannot be made, or that holds anything but a former result."""
    if not out.parent.is_dir():
        raise OutputError(f"{path}: the folder {out.parent} does not exist")
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise OutputError(f"{path}: is a file; expected the name of a folder")
    if not force:
        raise OutputError(f"{path}: exists already; --force replaces a former result")
    foreign = sorted(set(os.listdir(out)) - set(OUTPUTS))
    if foreign:
        raise OutputError(f"{path}: holds {foreign[0]}, which mvica did not write; nothing done")


def _put_in_place(draft, out):
    """Rename `draft` to `out`; a former result goes only once the new one stands."""
    if not out.exists():
        draft.rename(out)
        return
    former = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".old", dir=out.parent))
    try:
        out.rename(former / out.name)
        try:
            draft.rename(out)
        except BaseException:
            (former / out.name).rename(out)
            raise
    finally:
        shutil.rmtree(former, ignore_errors=True)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
