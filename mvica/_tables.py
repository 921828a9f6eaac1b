"""Text tables of numbers: finds the delimiter, header and row names, then names what is wrong."""

import codecs
import csv
from dataclasses import dataclass

import numpy as np

from mvica._recording import RecordingError, chosen_features, position_of

MISSING = {"", "na", "n/a", "nan", "null", "none", "."}
COMMENTS = ("#", "%")
HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class Layout:
    """How a text table is written; `delimiter` None is blanks, `skip` counts lines before data."""

    encoding: str
    delimiter: str | None
    skip: int
    names: tuple | None
    width: int
    index_column: bool


def read_table(path, *, picks=None, exclude=None):
    """Read a text table of numbers, samples in rows.

    Fields are separated by tabs, semicolons, commas or blanks. A first line of names is recognised,
    also behind ``#``; a column of row numbers or names without a heading is left out.

    Parameters
    ----------
    path : str or path-like
        The file.
    picks, exclude : sequence of str or None, default=None
        Columns to keep or to leave out, by name.

    Returns
    -------
    data : ndarray of shape (n_samples, n_columns), float64
    names : tuple of str
        Column names; ``"1"``, ``"2"``, ... in a file without header.
    notes : list of str
        What was recognised.

    Raises
    ------
    RecordingError
        With the line and column of the first problem.
    """
    layout = _layout(path)
    names, columns = _columns(path, layout, picks, exclude)
    try:
        data = np.loadtxt(
            path,
            delimiter=layout.delimiter,
            skiprows=layout.skip,
            usecols=columns,
            encoding=layout.encoding,
            quotechar='"',
            ndmin=2,
        )
    except ValueError as error:
        raise RecordingError(path, _diagnosis(path, layout, columns, names) or error) from error
    notes = ["first line read as column names"] if layout.names else []
    if layout.index_column:
        notes.append("first column read as row names and left out")
    return data, tuple(names), notes


def _columns(path, layout, picks, exclude):
    """Names and positions of the columns to read."""
    first = int(layout.index_column)
    if layout.names is None:
        names = [str(i + 1) for i in range(layout.width)]
    else:
        names = list(layout.names)
    try:
        kept = chosen_features(names, picks=picks, exclude=exclude)
    except ValueError as error:
        raise RecordingError(path, error) from error
    return [names[i] for i in kept], [i + first for i in kept]


def _layout(path):
    encoding = _encoding(path)
    lines = _content_lines(path, encoding)
    comment, first, second = None, None, None
    for number, line in lines:
        if first is None and line.startswith(COMMENTS):
            comment = line.lstrip("".join(COMMENTS)).strip()
        elif first is None:
            first = (number, line)
        else:
            second = (number, line)
            break
    if first is None:
        raise RecordingError(path, "is empty: it has no line of numbers")
    delimiter = _delimiter((second or first)[1])
    body = _split((second or first)[1], delimiter)
    head = _split(first[1], _delimiter(first[1]))
    if len(body) > 1 and len(head) not in (len(body), len(body) - 1):
        head = _split(first[1], delimiter)  # a comma inside a name of a table with blanks
    if not _is_header(head, body if second else None):
        names = _commented_names(comment, delimiter, len(head))
        return Layout(encoding, delimiter, first[0] - 1, names, len(head), False)
    if second is None:
        raise RecordingError(path, "has a line of column names and no samples")
    if len(head) == len(body) - 1:
        return Layout(encoding, delimiter, first[0], tuple(head), len(body), True)
    if len(head) != len(body):
        raise RecordingError(
            path,
            f"has {len(head)} column names in line {first[0]} and {len(body)} values in line "
            f"{second[0]}",
        )
    index_column = head[0] == "" and len(head) > 1
    names = tuple(head[1:] if index_column else head)
    return Layout(encoding, delimiter, first[0], names, len(head), index_column)


def _encoding(path):
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    if not head.strip():
        raise RecordingError(path, "is empty")
    if b"\0" in head or head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise RecordingError(path, "is not a text table (binary or UTF-16; save it as UTF-8 text)")
    try:
        codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def _content_lines(path, encoding):
    """Numbered lines (from 1) that are not blank."""
    with open(path, encoding=encoding, errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line.rstrip("\r\n")


def _delimiter(line):
    return next((mark for mark in "\t;," if mark in line), None)


def _split(line, delimiter):
    fields = line.split() if delimiter is None else next(csv.reader([line], delimiter=delimiter))
    return [field.strip().strip('"') for field in fields]


def _is_number(field):
    try:
        float(field)
    except ValueError:
        return False
    return "_" not in field  # float() takes 1_000, numpy does not


def _is_header(head, body):
    """Whether `head` names the columns of which `body` is the first row."""
    text = [field.lower() not in MISSING and not _is_number(field) for field in head]
    if body is None:
        return all(text)
    if len(head) == len(body) - 1:
        return any(text)
    turns = zip(text, body, strict=False)
    if any(word and (_is_number(field) or field.lower() in MISSING) for word, field in turns):
        return True
    return all(text) or _counts_columns(head, body)


def _counts_columns(head, body):
    """Whether `head` is 0, 1, 2, ... or 1, 2, ...: the header of a table saved without names.

    The last column may be named otherwise: it is often a label that was added.
    """
    named = head[1:] if head[0] == "" else head
    counts = [[str(i + start) for i in range(len(named))] for start in (0, 1)]
    return (
        len(named) > 3 and named[:-1] in [c[:-1] for c in counts] and body[-len(named) :] != named
    )


def _commented_names(comment, delimiter, width):
    names = _split(comment, delimiter) if comment else []
    return tuple(names) if len(names) == width and not any(map(_is_number, names)) else None


def _diagnosis(path, layout, columns, names):
    """First thing that keeps the table from being numbers, or None."""
    n_missing, first_missing, row = 0, None, 0
    for number, line in _content_lines(path, layout.encoding):
        if number <= layout.skip or line.startswith("#"):
            continue
        row += 1
        fields = _split(line, layout.delimiter)
        if len(fields) != layout.width:
            return f"has {len(fields)} values in line {number} where {layout.width} are expected"
        for column, name in zip(columns, names, strict=True):
            field = fields[column]
            if field.lower() in MISSING:
                n_missing += 1
                first_missing = first_missing or position_of(row, column, name)
            elif not _is_number(field):
                return _not_a_number(field, number, column, name, layout.names is not None)
    if n_missing:
        return f"has {n_missing} missing values (NaN), the first {first_missing}"
    return None


def _not_a_number(field, number, column, name, named):
    text = f"column {column + 1} ({name})" if named else f"column {column + 1}"
    problem = f"{text} is not numeric: {field!r} in line {number}"
    if _is_number(field.replace(",", ".", 1)):
        return problem + " (write decimals with a point)"
    return problem + f" (leave the column out with --exclude {name!r})" if named else problem
