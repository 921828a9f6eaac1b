"""The record of a Cam-CAN copy: recordings that passed the checks, and how to open them."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mvica.data_fetchers.camcan_checks import read_recording, same_samples
from mvica.data_fetchers.camcan_layouts import ACCESS, Layout, raw_recording

DESCRIPTION = (
    "MEG (306 channels, VectorView, 1000 Hz) of adults aged 18 to 88 at rest, in a sensorimotor"
    " task (smt) and listening and watching passively."
)
LICENSE = (
    f"Given to researchers who apply at {ACCESS}. Neither the data nor derivatives of single"
    " participants may be passed on."
)
CITATION = (
    "Taylor et al., The Cambridge Centre for Ageing and Neuroscience (Cam-CAN) data repository,"
    " NeuroImage 144, 2017. Shafto et al., The Cam-CAN study protocol, BMC Neurology 14, 2014."
)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CamCAN:
    """Recordings of a Cam-CAN copy that passed the checks, sorted by identifier.

    Attributes
    ----------
    subjects : tuple of m str
        Identifiers without prefix.
    paths : tuple of m Path
        Recordings.
    events_paths : tuple of m (Path or None)
        Tables of events; None where there is none: triggers are decoded then.
    ages : ndarray of shape (m,)
        In years; NaN where unknown.
    sex, hand : tuple of m str
        As in the table of participants; "" where unknown.
    participants : pandas.DataFrame or dict of str to list
        The same as a table, a DataFrame where pandas is installed.
    missing : dict of str to str
        Identifiers left out, with the reason.
    layout, task, kind : str
        What was found and asked for.
    correct_latency : bool
        Whether events are triggers that must be moved to the onset of the stimulus.
    description, license, citation : str
        What the data are, the terms of use, what to cite.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from mvica.data_fetchers import fetch_camcan, make_fake_camcan
    >>> with TemporaryDirectory() as folder:  # doctest: +SKIP
    ...     _ = make_fake_camcan(folder, n_subjects=3)
    ...     fetch_camcan(folder, sfreq=None)
    CamCAN(passive, raw, release005: 3 subjects, 0 missing, ages 23 to 71)
    """

    subjects: tuple
    paths: tuple
    events_paths: tuple
    ages: np.ndarray
    sex: tuple
    hand: tuple
    missing: dict
    layout: str
    task: str
    kind: str
    correct_latency: bool
    description: str = DESCRIPTION
    license: str = LICENSE
    citation: str = CITATION
    _folders: Layout

    def __len__(self):
        return len(self.subjects)

    def __repr__(self):
        known = self.ages[np.isfinite(self.ages)]
        ages = f"ages {known.min():.0f} to {known.max():.0f}" if len(known) else "ages unknown"
        return (
            f"CamCAN({self.task}, {self.kind}, {self.layout}: {len(self)} subjects,"
            f" {len(self.missing)} missing, {ages})"
        )

    @property
    def participants(self):
        """Demographics of the subjects as a table."""
        table = {
            "participant_id": list(self.subjects),
            "age": self.ages,
            "sex": list(self.sex),
            "hand": list(self.hand),
        }
        try:
            import pandas
        except ImportError:
            return table
        return pandas.DataFrame(table)

    def read(self, i):
        """Open the recording of one subject without loading its samples.

        Parameters
        ----------
        i : int
            Index of the subject.

        Returns
        -------
        recording : mne.io.Raw or mne.Epochs
        """
        return read_recording(self.paths[i], self.kind)

    def events(self, i):
        """Find the events of one subject, at the onset of the stimuli.

        Processed recordings take the table of the raw one where both have the same samples; where
        they have not, their triggers are decoded and moved by the latencies that the raw recording
        shows.

        Parameters
        ----------
        i : int
            Index of the subject.

        Returns
        -------
        events : ndarray of int, shape (n_events, 3)
            As in MNE: sample, 0, code.

        Raises
        ------
        ValueError
            If the latencies cannot be known.
        """
        from mvica.meg.camcan import camcan_events
        from mvica.meg.camcan_events import (
            correct_latencies,
            decode_triggers,
            measure_audio_latency,
            read_events,
        )

        raw, table = self.read(i), self.events_paths[i]
        if table is None:
            if not self.correct_latency:
                raise ValueError(
                    f"{self.subjects[i]} has no events.tsv, and the dates of this release are"
                    " anonymised: the latencies of its triggers are unknown."
                )
            return camcan_events(raw, correct_latency=True)
        if self.kind == "raw" or table.parent == self.paths[i].parent:
            return camcan_events(raw, table)
        source = raw_recording(self._folders, self.subjects[i], self.task)
        if source is None:
            return camcan_events(raw, table)
        original = read_recording(source, "raw")
        if same_samples(raw, original):
            return camcan_events(raw, table)
        latency = measure_audio_latency(
            read_events(table, original.first_samp),
            decode_triggers(original),
            original.info["sfreq"],
        )
        return correct_latencies(decode_triggers(raw), raw.info["sfreq"], audio_latency=latency)

    def epochs(self, i, **settings):
        """Epochs of one subject, named after the stimuli.

        Parameters
        ----------
        i : int
            Index of the subject.
        **settings
            Parameters of `mvica.meg.camcan_epochs`; none for ``kind="epochs"``.

        Returns
        -------
        epochs : mne.Epochs
            Loaded.
        """
        if self.kind == "epochs":
            if settings:
                raise ValueError(f"kind='epochs' is cut already: {sorted(settings)} do not apply.")
            return self.read(i).load_data()
        from mvica.meg.camcan import camcan_epochs

        return camcan_epochs(self.read(i), self.events(i), **settings)

    def evoked(self, i, condition, **settings):
        """Average of the trials of one subject and condition.

        Parameters
        ----------
        i : int
            Index of the subject.
        condition : str
            Such as "audio", "audio/600Hz" or "vis".
        **settings
            Parameters of `mvica.meg.camcan_epochs`.

        Returns
        -------
        evoked : mne.Evoked
        """
        evoked = self.epochs(i, **settings)[condition].average()
        evoked.comment = condition
        return evoked

    def to_views(self, *, epochs=None, **settings):
        """Make views of all subjects from averages of epochs, with `mvica.meg.to_views`.

        Parameters
        ----------
        epochs : dict or None, default=None
            Parameters of `mvica.meg.camcan_epochs`.
        **settings
            Parameters of `mvica.meg.to_views`.

        Returns
        -------
        views : mvica.meg.MEGViews
        """
        from mvica.meg import to_views

        settings.setdefault("subjects", self.subjects)
        return to_views(self.readers(epochs), **settings)

    def readers(self, epochs=None):
        """Functions without arguments that cut one subject's epochs each, for `to_views`.

        Parameters
        ----------
        epochs : dict or None, default=None
            Parameters of `mvica.meg.camcan_epochs`.

        Returns
        -------
        readers : list of m callables
            For the task "rest" they open the continuous recording.
        """
        if self.task == "rest" and self.kind != "epochs":
            return [partial(self.read, i) for i in range(len(self))]
        return [partial(self.epochs, i, **(epochs or {})) for i in range(len(self))]

    def select(self, mask):
        """Keep some of the subjects.

        Parameters
        ----------
        mask : ndarray of bool, shape (m,), or sequence of int
            Which ones.

        Returns
        -------
        camcan : CamCAN
        """
        kept = np.arange(len(self))[np.asarray(mask)]
        per_subject = ("subjects", "paths", "events_paths", "sex", "hand")
        fields = {name: tuple(getattr(self, name)[i] for i in kept) for name in per_subject}
        return replace(self, ages=self.ages[kept], **fields)

    def summary(self):
        """Describe the copy in a few lines, without identifiers.

        Returns
        -------
        text : str
        """
        reasons = Counter(self.missing.values())
        lines = [repr(self)]
        lines += [f"  {count} without: {reason}" for reason, count in reasons.most_common()]
        sexes = Counter(sex or "unknown" for sex in self.sex)
        lines.append(f"  sex: {', '.join(f'{n} {sex}' for sex, n in sorted(sexes.items()))}")
        decoded = sum(table is None for table in self.events_paths)
        if decoded and self.task != "rest":
            lines.append(f"  triggers to decode: {decoded}")
        return "\n".join(lines)
