"""The folder of results of a command: whole or not at all."""

import os
import secrets
import shutil
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
    "sources_excerpt.png",  # of long recordings only
    "agreement.png",
    "mixings.png",
)
GROUP_OUTPUTS = (
    "report.html",
    "model.npz",
    "sources.csv",
    "timing.csv",  # of models with delays only
    "measures.csv",
)
CAUSAL_OUTPUTS = (
    "report.html",
    "model.npz",
    "edges.csv",
    "strengths.csv",
    "order.csv",
    "graph.dot",
    "graph.png",
    "adjacency.png",
    "order_stability.png",  # with a bootstrap only
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
    draft = _sibling(out, "part")
    try:
        draft.mkdir()
        yield draft
        _check(path, out, force)
        _put_in_place(draft, out)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _sibling(out, ending):
    """Give a new hidden name beside `out`: chosen before it is made, so a break cannot lose it."""
    return out.with_name(f".{out.name}.{secrets.token_hex(4)}.{ending}")


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
    foreign = sorted(set(os.listdir(out)) - {*OUTPUTS, *GROUP_OUTPUTS, *CAUSAL_OUTPUTS})
    if foreign:
        raise OutputError(f"{path}: holds {foreign[0]}, which mvica did not write; nothing done")


def _put_in_place(draft, out):
    """Rename `draft` to `out`; a former result goes only once the new one stands."""
    if not out.exists():
        draft.rename(out)
        return
    former = _sibling(out, "old")
    try:
        out.rename(former)
        draft.rename(out)
    finally:
        if not out.exists() and former.exists():
            former.rename(out)
        shutil.rmtree(former, ignore_errors=True)
