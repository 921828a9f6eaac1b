"""The report on a group: one HTML file with data, fit, sources, maps, noise, timing, stability."""

from mvica.meg import _report_sections as sections
from mvica.meg._mne import QUIET, import_mne
from mvica.meg._report_facts import gathered
from mvica.meg._report_page import CSS

__all__ = ["group_report"]


def group_report(
    group, ages=None, fname="group_report.html", subjects=None, anonymize=True, *, dipoles=True
):
    """Write a report on a fitted group as one self-contained HTML file.

    Parameters
    ----------
    group : MEGGroup
        Fitted.
    ages : array-like of shape (n_subjects,), default=None
        Ages in years, NaN where unknown: for timing and noise against age.
    fname : path-like or None, default="group_report.html"
        Where to write; an existing file is replaced. None writes nothing.
    subjects : sequence of int or str, default=None
        Which subjects' own maps and dipoles are shown, by index or fitted name. None takes the
        first four. Everything else is about all subjects.
    anonymize : bool, default=True
        Call the subjects S001, S002, ... in the order of the fit, round ages down to decades in
        tables, and leave out paths, dates, and texts that may hold names. Figures against age
        show the ages, without saying whose.
    dipoles : bool, default=True
        Fit dipoles to the maps of the shown subjects, where the position of the head is known.
        A tenth of a second each.

    Returns
    -------
    report : mne.Report
        To add to, and save again.

    Raises
    ------
    ImportError
        If MNE-Python is not installed.
    ValueError
        If `ages` is not one number a subject, or a subject is unknown.

    Examples
    --------
    >>> import mne, numpy as np
    >>> from mvica import MultiViewICA
    >>> from mvica.meg import MEGGroup, group_report
    >>> rng = np.random.default_rng(0)
    >>> montage = mne.channels.make_standard_montage("biosemi16")
    >>> info = mne.create_info(montage.ch_names, 100.0, "eeg").set_montage(montage)
    >>> S = rng.laplace(size=(2, 200))
    >>> fields = [1e-6 * rng.normal(size=(16, 2)) @ S for _ in range(3)]
    >>> data = [mne.EvokedArray(x + 1e-7 * rng.normal(size=x.shape), info) for x in fields]
    >>> group = MEGGroup(MultiViewICA(n_components=2, random_state=0), picks="eeg").fit(data)
    >>> report = group_report(group, fname=None, dipoles=False)
    >>> len(report.html)  # sections
    7
    """
    mne = import_mne()
    facts = gathered(group, ages, subjects, anonymize)
    report = mne.Report(title=f"{facts.estimator_name} on {facts.m} subjects", **QUIET)
    report.add_custom_css(CSS)
    sections.add_data(report, facts)
    sections.add_settings(report, facts)
    sections.add_convergence(report, facts)
    sections.add_components(report, facts, dipoles)
    sections.add_noise(report, facts)
    sections.add_timing(report, facts)
    sections.add_stability(report, facts)
    sections.add_reproduction(report, facts)
    if fname is not None:
        report.save(fname, open_browser=False, overwrite=True, **QUIET)
    return report
