"""Ages, sexes and hands of Cam-CAN participants, from the tables that come with a copy."""

import csv
import warnings
from pathlib import Path

import numpy as np

PLAUSIBLE_AGES = (18, 90)
# Names of columns, lower case, that hold the same thing in tables of different releases.
COLUMNS = {
    "id": ("participant_id", "ccid", "subject", "observations"),
    "age": ("age", "age at first interview", "fixed_age"),
    "sex": ("gender_text", "sex", "gender", "gender_code"),
    "hand": ("hand", "handedness"),
}
SEXES = {"1": "male", "2": "female", "m": "male", "f": "female"}


def read_people(tables):
    """Read the first of some tables that exists.

    Parameters
    ----------
    tables : sequence of Path

    Returns
    -------
    people : dict of str to dict
        Identifier without prefix to "age" (float, NaN if unknown), "sex" and "hand" (str, "" if
        unknown).
    table : Path or None
        The table read.

    Raises
    ------
    ValueError
        If the table lacks the column of identifiers or of ages.
    """
    table = next((table for table in tables if table.is_file()), None)
    if table is None:
        return {}, None
    delimiter = "," if table.suffix == ".csv" else "\t"
    with open(table, newline="", encoding="utf-8-sig") as lines:
        rows = list(csv.DictReader(lines, delimiter=delimiter))
        header = list(rows[0]) if rows else []
    columns = {what: _column(header, names) for what, names in COLUMNS.items()}
    for what, name in (("id", "participant_id"), ("age", "age")):
        if columns[what] is None:
            raise ValueError(f"{table.name} lacks column {name}; found {header}")
    return _people(rows, columns, table), table


def _column(header, names):
    lower = {str(name).strip().lower(): name for name in header}
    return next((lower[name] for name in names if name in lower), None)


def _people(rows, columns, table):
    people, repeated, odd, implausible = {}, 0, [], []
    for row in rows:
        subject = (row[columns["id"]] or "").strip().removeprefix("sub-")
        if subject in people:
            repeated += 1
            continue
        age = _age(row[columns["age"]])
        if np.isnan(age):
            implausible.append(subject)
        elif not _in_decade(subject, age):
            odd.append(subject)
        people[subject] = {
            "age": age,
            "sex": _sex(_value(row, columns["sex"])),
            "hand": _value(row, columns["hand"]),
        }
    told = []
    if repeated:
        told.append(f"{repeated} repeated rows were dropped, the first of each person kept")
    if implausible:
        told.append(f"no age between 18 and 90 for {_few(implausible)}")
    if odd:
        told.append(f"the age does not fit the identifier's decade for {_few(odd)}")
    if told:
        warnings.warn(f"{table.name}: {'; '.join(told)}.", UserWarning, stacklevel=5)
    return people


def _value(row, column):
    text = (row[column] or "").strip() if column is not None else ""
    return "" if text.lower() in ("n/a", "nan") else text


def _age(text):
    try:
        age = float(text)
    except (TypeError, ValueError):
        return np.nan
    return age if PLAUSIBLE_AGES[0] <= age <= PLAUSIBLE_AGES[1] else np.nan


def _sex(text):
    return SEXES.get(text.lower().removesuffix(".0"), text.lower())


def _in_decade(subject, age):
    """Whether the age fits the first digit of the identifier: 1 is 18 to 28, 7 is 78 to 88."""
    digit = subject.removeprefix("CC")[:1]
    if digit not in "1234567" or not digit:
        return True
    start = 8 + 10 * int(digit)
    return start <= age <= start + 11


def _few(subjects, limit=3):
    more = f" and {len(subjects) - limit} more" if len(subjects) > limit else ""
    return ", ".join(subjects[:limit]) + more


def given_people(participants):
    """Read demographics that the user gives: the path of a table, or ages by identifier.

    Parameters
    ----------
    participants : path-like or dict of str to float

    Returns
    -------
    people : dict of str to dict
        As of `read_people`.

    Raises
    ------
    FileNotFoundError
        If there is no such table.
    """
    if isinstance(participants, dict):
        return {
            str(subject).removeprefix("sub-"): {"age": _age(age), "sex": "", "hand": ""}
            for subject, age in participants.items()
        }
    table = Path(participants)
    if not table.is_file():
        raise FileNotFoundError(f"participants={str(participants)!r}: no such file.")
    return read_people([table])[0]
