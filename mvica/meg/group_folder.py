"""The folder of results of a group of MEG recordings: report, model and tables."""

import csv

import numpy as np

from mvica.persistence import save


def write_group(group, folder, *, ages=None, subjects=None):
    """Write the model and the tables of a fitted group.

    Parameters
    ----------
    group : MEGGroup
        Fitted.
    folder : Path
        Where to write ``model.npz``, ``sources.csv`` and ``timing.csv``.
    ages : ndarray of shape (n_subjects,), default=None
        In years.
    subjects : sequence of str, default=None
        Names for the tables; None takes S001, S002, ...
    """
    save(group.estimator_, folder / "model.npz")
    write_rows(folder / "sources.csv", *_source_rows(group))
    if hasattr(group, "delays_"):
        m = len(group.subjects_)
        names = [f"S{v + 1:03d}" for v in range(m)] if subjects is None else subjects
        write_rows(folder / "timing.csv", *_timing_rows(group, names, ages))


def write_rows(path, header, rows):
    """Write a table as CSV.

    Parameters
    ----------
    path : Path
    header : sequence of str
    rows : iterable of sequences
        Floats are written with six significant digits.
    """
    with open(path, "w", newline="", encoding="utf-8") as lines:
        table = csv.writer(lines, lineterminator="\n")
        table.writerow(header)
        for row in rows:
            table.writerow([f"{x:.6g}" if isinstance(x, float) else x for x in row])


def _source_rows(group):
    views, p = group.views_, group.sources_.shape[1]
    header = ["condition", "split", "time", *(f"component {j}" for j in range(p))]
    rows = []
    for k, segment in enumerate(views.segments):
        for i in range(views.boundaries[k], views.boundaries[k + 1]):
            values = [float(x) for x in group.sources_[i]]
            rows.append([segment["condition"], segment["split"], float(views.times[i]), *values])
    return header, rows


def _timing_rows(group, names, ages):
    m, p = group.delays_.shape
    ages = np.full(m, np.nan) if ages is None else np.asarray(ages, float)
    dilations = getattr(group, "dilations_", np.ones((m, p)))
    header = ["subject", "age", "component", "delay_ms", "dilation"]
    rows = [
        [names[v], float(ages[v]), j, 1e3 * float(group.delays_[v, j]), float(dilations[v, j])]
        for v in range(m)
        for j in range(p)
    ]
    return header, rows
