"""A simulated group of EEG recordings: the sources of the MEG group, seen by 64 electrodes."""

from dataclasses import dataclass

import numpy as np

from mvica.datasets._evoked_recipe import CENTRE
from mvica.datasets._evoked_study import check_design, simulate, split_recipe
from mvica.datasets.meg_group import forward_of_dipoles


def make_eeg_group(
    n_subjects=20,
    *,
    kind="evoked",
    sfreq=500.0,
    tmin=-0.2,
    tmax=0.5,
    ages=None,
    age_range=(18.0, 88.0),
    brain_noise=8e-6,
    sensor_noise=0.5e-6,
    n_trials=60,
    trial_gain_sd=0.2,
    trial_interval=1.0,
    trial_jitter=0.3,
    max_bads=0,
    jump_rate=0.0,
    jump_size=100e-6,
    random_state=None,
    **recipe,
):
    """Simulate a group of subjects who hear tones and see checkerboards, in EEG.

    The subjects, sources and timing are those of `make_meg_group` with the same `random_state`;
    64 electrodes see them through a head of three concentric shells, with the average reference.

    Parameters
    ----------
    n_subjects : int, default=20
        Number of subjects m.
    kind : {"evoked", "epochs", "raw"}, default="evoked"
        Averages of each condition, single trials, or a continuous recording with annotations.
    sfreq : float, default=500.0
        Samples per second, at least 100.
    tmin, tmax : float, default=(-0.2, 0.5)
        First and last time around the stimulus, in seconds.
    ages : sequence of m float, default=None
        Ages in years; None draws them uniformly from `age_range`.
    age_range : tuple of 2 float, default=(18.0, 88.0)
        Youngest and oldest.
    brain_noise : float, default=8e-6
        Median over electrodes of the standard deviation of ongoing activity within a single trial,
        in volt.
    sensor_noise : float, default=0.5e-6
        Standard deviation of the electrodes' own noise, in volt.
    n_trials : int, default=60
        Trials of each condition.
    trial_gain_sd : float, default=0.2
        Standard deviation about one of the strength of the response in a trial.
    trial_interval, trial_jitter : float, default=(1.0, 0.3)
        Seconds from one trial of a continuous recording to the next: the first, plus up to the
        second.
    max_bads : int, default=0
        Up to so many channels of each subject are marked bad and have ten times the sensor noise.
    jump_rate, jump_size : float, default=(0.0, 100e-6)
        Share of trials in which one electrode jumps, and how far, in volt.
    random_state : int, RandomState or None, default=None
        An int gives the same bits on every call.
    **recipe : float
        What differs between subjects: parameters of `make_meg_group`, from `head_size_sd` to
        `noise_level_sd`.

    Returns
    -------
    group : SimulatedGroup
        Recordings of rank 63 in `data`, everything that was drawn in the other attributes. The
        mixing is in volt per ampere metre.

    Raises
    ------
    ImportError
        Without MNE-Python.
    ValueError
        If a parameter does not make sense.

    See Also
    --------
    make_meg_group : The same study in MEG.

    Examples
    --------
    >>> from mvica.datasets import make_eeg_group
    >>> make_eeg_group(2, sfreq=250, random_state=0)
    SimulatedGroup(2 subjects, evoked, 64 channels, 2 x 176 samples at 250 Hz, 8 sources, seed 0)
    """
    spread, timing, unknown = split_recipe(recipe)
    if unknown:
        raise TypeError(f"make_eeg_group() got an unexpected parameter {sorted(unknown)[0]!r}")
    design = check_design(
        kind=kind,
        sfreq=sfreq,
        tmin=tmin,
        tmax=tmax,
        n_trials=n_trials,
        trial_gain_sd=trial_gain_sd,
        trial_interval=trial_interval,
        trial_jitter=trial_jitter,
        max_bads=max_bads,
        jump_rate=jump_rate,
        jump_size=jump_size,
        blink_rate=0.0,
        blink_size=0.0,
        sss=False,
    )
    group = simulate(
        _cap(float(sfreq), sensor_noise),
        design,
        spread,
        timing,
        n_subjects=n_subjects,
        ages=ages,
        age_range=age_range,
        brain=brain_noise,
        random_state=random_state,
    )
    for recording in group.data:
        for part in recording if isinstance(recording, list) else [recording]:
            part.set_eeg_reference("average", projection=False, verbose="ERROR")
    return group


@dataclass(frozen=True)
class _Cap:
    """Electrodes, which sit at the same places on every head."""

    info: object
    sphere: object
    kept: np.ndarray
    reference: np.ndarray
    stds: np.ndarray

    def place(self, subject):
        """Info, and the function that gives the potentials of dipoles, average-referenced."""
        shift = self.sphere["r0"] - CENTRE

        def field(places, moments):
            potentials = forward_of_dipoles(self.info, self.sphere, places + shift, moments)
            return potentials - potentials.mean(axis=0)

        return self.info.copy(), field


def _cap(sfreq, sensor_noise):
    try:
        import mne
    except ImportError as error:
        raise ImportError('make_eeg_group needs MNE-Python: pip install "mvica[meg]"') from error
    montage = mne.channels.make_standard_montage("biosemi64")
    info = mne.create_info(montage.ch_names, sfreq, "eeg", verbose="ERROR")
    info.set_montage(montage, verbose="ERROR")
    sphere = mne.make_sphere_model("auto", "auto", info, verbose="ERROR")
    channels = np.arange(len(montage.ch_names))
    stds = np.full(len(channels), sensor_noise)
    return _Cap(info=info, sphere=sphere, kept=channels, reference=channels, stds=stds)
