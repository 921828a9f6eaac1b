"""Fitted estimators to one file and back, without pickle: nothing in a file is ever executed."""

import hashlib
import io
import json
import os
import re
import secrets
import struct
import zipfile
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

import mvica

FORMAT = "mvica-model"
FORMAT_VERSION = 1
HEADER = "header.json"
DIGEST_LENGTH = 64
NUMERIC_KINDS = "biufc"
# Records that parameters and fitted attributes may hold -> module that defines them. They are
# dataclasses, or classes with the methods `state` and `from_state`.
RECORDS = {
    "Mixture": "mvica.ica.mixture",
    "Moments": "mvica.reduction.moments",
    "CholeskyInverse": "mvica.stiefel.preconditioner",
    "IcaStream": "mvica.stiefel.ica_stream",
    "JointCovariance": "mvica.stiefel.cca_covariance",
    "LandingState": "mvica.stiefel.stochastic",
    "LandingStream": "mvica.stiefel.cca_stream",
    "PriorKnowledge": "mvica.causal.knowledge",
    "SpectralInverse": "mvica.stiefel.preconditioner",
    "SourceDensities": "mvica.ica.mixture",
    "TimingTest": "mvica.ica.dilations_errors",
}

__all__ = ["load", "save"]


def save(estimator, path):
    """Write a fitted estimator to one file.

    The file is an uncompressed .npz archive: `numpy.load` opens its arrays too. It ends with a
    SHA-256 digest, so damage is seen when it is loaded. It appears under its name only when it is
    complete.

    Parameters
    ----------
    estimator : estimator
        A fitted public estimator of mvica.
    path : str or path-like
        The file; an existing one is replaced. ``.npz`` is the usual ending.

    Raises
    ------
    TypeError
        If the estimator is not a public one of mvica, or a parameter or attribute cannot be stored:
        a random number generator, a function, an object of the user's.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    load : The way back.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from mvica import MultiViewICA
    >>> from mvica.persistence import load, save
    >>> rng = np.random.default_rng(0)
    >>> S = rng.laplace(size=(500, 2))
    >>> views = [S @ rng.normal(size=(2, 3)) + 0.1 * rng.normal(size=(500, 3)) for _ in range(3)]
    >>> model = MultiViewICA(n_components=2, random_state=0).fit(views)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(model, Path(folder, "model.npz"))
    ...     loaded = load(Path(folder, "model.npz"))
    >>> np.array_equal(loaded.transform(views), model.transform(views))
    True
    """
    name = type(estimator).__name__
    if _public_class(name) is not type(estimator):
        raise TypeError(f"{name} is not a public estimator of mvica: it cannot be saved")
    check_is_fitted(estimator)
    params = estimator.get_params(deep=False)
    state = {key: value for key, value in vars(estimator).items() if key not in params}
    arrays = []
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "mvica_version": mvica.__version__,
        "class": name,
        "params": {
            key: _encode(value, arrays, f"parameter {key}") for key, value in params.items()
        },
        "state": {key: _encode(value, arrays, f"attribute {key}") for key, value in state.items()},
    }
    _write(Path(path), json.dumps(header), arrays)


def load(path):
    """Read an estimator that `save` wrote.

    Safe on files from others: only classes of mvica are made, from numbers and text; no code of the
    file runs and no more memory is asked for than the file has bytes.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    estimator : estimator
        With the same parameters and fitted attributes, bit for bit.

    Raises
    ------
    ValueError
        If the file is not a model of mvica, is damaged, or was written by a newer version.
    FileNotFoundError
        If there is no such file.

    See Also
    --------
    save : Writes the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import mvica
    >>> from mvica.datasets import make_multiview_ica
    >>> data = make_multiview_ica(n_views=3, n_samples=200, n_components=2, random_state=0)
    >>> model = mvica.MultiViewICA(random_state=0).fit(data.views)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     mvica.save(model, Path(folder) / "model.npz")
    ...     again = mvica.load(Path(folder) / "model.npz")
    >>> bool((again.transform(data.views) == model.transform(data.views)).all())
    True
    """
    path = Path(path)
    try:
        _check_digest(path)
        with zipfile.ZipFile(path) as archive:
            header, arrays = _read(archive, path.stat().st_size)
        return _rebuild(header, arrays)
    except _CORRUPT as error:
        raise ValueError(f"{path}: not a readable mvica model: {error}") from error


# What the parsers raise on content that no `save` wrote.
_CORRUPT = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    EOFError,
    RecursionError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
)


# Values ----------------------------------------------------------------------------------------


def _encode(value, arrays, where):
    """JSON for `value`; its arrays go to `arrays` and leave their number."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray) and value.dtype == object and _all_text(value):
        return {"names": list(value)}
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in NUMERIC_KINDS:
        arrays.append(np.asarray(value))
        return {"array" if isinstance(value, np.ndarray) else "scalar": len(arrays) - 1}
    if type(value) in (list, tuple):
        items = [_encode(item, arrays, where) for item in value]
        return {type(value).__name__: items}
    if type(value) is dict and all(type(key) is str for key in value):
        return {"dict": {key: _encode(item, arrays, where) for key, item in value.items()}}
    name = type(value).__name__
    if name in RECORDS and type(value) is _record_class(name):
        entries = {key: _encode(part, arrays, where) for key, part in _state(value).items()}
        return {"record": {"class": name, "fields": entries}}
    raise TypeError(
        f"{where} is of type {type(value).__name__}, which a model file cannot hold: use a number, "
        "a name or an array (for random_state an int or None), or pickle the estimator"
    )


def _all_text(array):
    return array.ndim == 1 and all(type(item) is str for item in array)


def _decode(value, arrays):
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is not dict or len(value) != 1:
        raise ValueError("a value of its header has an unknown form")
    ((tag, content),) = value.items()
    if tag in ("array", "scalar") and type(content) is int and 0 <= content < len(arrays):
        return arrays[content] if tag == "array" else arrays[content][()]
    if tag in ("list", "tuple") and type(content) is list:
        items = [_decode(item, arrays) for item in content]
        return items if tag == "list" else tuple(items)
    if tag == "dict" and type(content) is dict:
        return {key: _decode(item, arrays) for key, item in content.items()}
    if tag == "names" and type(content) is list and all(type(item) is str for item in content):
        return np.array([*content, None], dtype=object)[:-1]
    if tag == "record" and type(content) is dict and content.get("class") in RECORDS:
        entries = {key: _decode(item, arrays) for key, item in content["fields"].items()}
        cls = _record_class(content["class"])
        return cls(**entries) if is_dataclass(cls) else cls.from_state(**entries)
    raise ValueError(f"a value of its header has the unknown form {tag!r}")


def _state(record):
    if is_dataclass(record):
        return {field.name: getattr(record, field.name) for field in fields(record)}
    return record.state()


def _record_class(name):
    return getattr(import_module(RECORDS[name]), name)


# Classes ---------------------------------------------------------------------------------------


def _public_class(name):
    """Give the public estimator of mvica called `name`, or None; imports nothing else."""
    if name not in mvica.__all__ or name not in mvica._PUBLIC:
        return None
    found = getattr(import_module(mvica._PUBLIC[name]), name)
    return found if isinstance(found, type) and issubclass(found, BaseEstimator) else None


def _rebuild(header, arrays):
    if header.get("format") != FORMAT:
        raise ValueError("it has no header of a model")
    version = header.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(
            f"it is of format version {version!r}, this mvica ({mvica.__version__}) reads "
            f"{FORMAT_VERSION}"
        )
    name = header["class"]
    cls = _public_class(name) if isinstance(name, str) else None
    if cls is None:
        raise ValueError(f"{name!r} is not an estimator of this mvica ({mvica.__version__})")
    if not isinstance(header["params"], dict) or not isinstance(header["state"], dict):
        raise ValueError("its header has an unknown form")
    params = {key: _decode(value, arrays) for key, value in header["params"].items()}
    expected = set(cls().get_params(deep=False))
    if set(params) != expected:
        raise ValueError(f"its parameters do not fit {name}: {sorted(set(params) ^ expected)}")
    estimator = cls(**params)
    for key, value in header["state"].items():
        if not re.fullmatch(r"(_?[A-Za-z]\w*_|_[A-Za-z]\w*)", key) or hasattr(cls, key):
            raise ValueError(f"{key!r} is not a fitted attribute")
        setattr(estimator, key, _decode(value, arrays))
    return estimator


# Bytes -----------------------------------------------------------------------------------------


def _write(path, header, arrays):
    """Write the archive beside `path`, sign it with its digest, then give it its name."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with zipfile.ZipFile(draft, "x", zipfile.ZIP_STORED) as archive:
            archive.writestr(_member(HEADER), header)
            for i, array in enumerate(arrays):
                with archive.open(_member(_array_name(i)), "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, array, allow_pickle=False)
            archive.comment = b"0" * DIGEST_LENGTH
        with open(draft, "r+b") as file:
            digest = _digest(file)
            file.seek(-DIGEST_LENGTH, os.SEEK_END)
            file.write(digest)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _member(name):
    """Archive entry with a fixed date: equal models give equal files."""
    return zipfile.ZipInfo(name)


def _array_name(i):
    return f"array{i}.npy"


def _digest(file):
    """SHA-256, in hexadecimal, of all bytes but the last ones that hold it."""
    digest = hashlib.sha256()
    left = file.seek(0, os.SEEK_END) - DIGEST_LENGTH
    file.seek(0)
    while left > 0:
        chunk = file.read(min(left, 1 << 20))
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest().encode()


def _check_digest(path):
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is not an archive, or is cut short")
        digest = _digest(file)
        if file.read(DIGEST_LENGTH) != digest:
            raise ValueError("its content does not match its digest: it is damaged")


def _read(archive, file_size):
    """Header and arrays of the archive, every declared size held against the file's."""
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if names != [HEADER, *map(_array_name, range(len(names) - 1))]:
        raise ValueError("its entries are not those of a model")
    for entry in entries:
        stored = entry.compress_type == zipfile.ZIP_STORED
        if not stored or entry.file_size != entry.compress_size or entry.file_size > file_size:
            raise ValueError(f"its entry {entry.filename} declares a wrong size")
    if sum(entry.file_size for entry in entries) > file_size:
        raise ValueError("its entries declare more bytes than it has")
    header = json.loads(archive.read(HEADER))
    if not isinstance(header, dict):
        raise ValueError("it has no header of a model")
    return header, [_array(archive.read(name)) for name in names[1:]]


def _array(content):
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array has an unknown format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in NUMERIC_KINDS or any(length < 0 for length in shape):
        raise ValueError(f"an array is not of numbers ({dtype})")
    n_bytes = dtype.itemsize
    for length in shape:
        n_bytes *= length
    if n_bytes != len(content) - file.tell():
        raise ValueError(f"an array declares shape {shape} and holds fewer or more bytes")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)
