"""A simulated group of MEG recordings: VectorView helmets, auditory and visual evoked fields."""

from dataclasses import dataclass

import numpy as np

from mvica.datasets._dipole_field import coil_points, lead_field
from mvica.datasets._evoked_recipe import CENTRE
from mvica.datasets._evoked_study import check_design, simulate
from mvica.datasets._evoked_subjects import Spread, Timing


def make_meg_group(
    n_subjects=20,
    *,
    kind="evoked",
    ch_types=("mag", "grad"),
    sfreq=500.0,
    tmin=-0.2,
    tmax=0.5,
    head_translation=Spread.head_translation,
    head_translation_sd=Spread.head_translation_sd,
    head_rotation=Spread.head_rotation,
    head_rotation_sd=Spread.head_rotation_sd,
    head_size_sd=Spread.head_size_sd,
    position_sd=Spread.position_sd,
    orientation_sd=Spread.orientation_sd,
    gain_sd=Spread.gain_sd,
    hemisphere_gain_sd=Spread.hemisphere_gain_sd,
    ages=None,
    age_range=(18.0, 88.0),
    reference_age=Timing.reference_age,
    vis_delay_per_year=Timing.vis_delay_per_year,
    vis_delay_sd=Timing.vis_delay_sd,
    vis_dilation_sd=Timing.vis_dilation_sd,
    aud_dilation_per_year=Timing.aud_dilation_per_year,
    aud_dilation_sd=Timing.aud_dilation_sd,
    aud_delay_sd=Timing.aud_delay_sd,
    source_delay_sd=Timing.source_delay_sd,
    source_dilation_sd=Timing.source_dilation_sd,
    n_noise_dipoles=Spread.n_noise_dipoles,
    brain_noise=140e-15,
    mag_noise=18e-15,
    grad_noise=4e-13,
    noise_level_sd=Spread.noise_level_sd,
    n_trials=60,
    trial_gain_sd=0.2,
    trial_interval=1.0,
    trial_jitter=0.3,
    max_bads=0,
    jump_rate=0.0,
    jump_size=3e-12,
    blink_rate=0.0,
    blink_size=100e-9,
    sss=False,
    forward="sphere",
    random_state=None,
):
    """Simulate a group of subjects who hear tones and see checkerboards in an MEG scanner.

    Eight sources, four auditory and four visual, each a pair of dipoles, drive 306 sensors of a
    VectorView helmet through the field equations of a sphere. Subjects differ in head position and
    size, in place, direction and strength of the dipoles, in ongoing brain activity, in the level
    of noise, and in timing: visual responses come later with age, auditory ones are slower.

    Parameters
    ----------
    n_subjects : int, default=20
        Number of subjects m.
    kind : {"evoked", "epochs", "raw"}, default="evoked"
        Averages of each condition, single trials, or a continuous recording with annotations.
        Raw recordings of 306 channels at 500 Hz take 0.3 GB a subject.
    ch_types : sequence of {"mag", "grad"}, default=("mag", "grad")
        Channels to return: 102 magnetometers, 204 planar gradiometers.
    sfreq : float, default=500.0
        Samples per second, at least 100.
    tmin, tmax : float, default=(-0.2, 0.5)
        First and last time around the stimulus, in seconds.
    head_translation, head_translation_sd : sequence of 3 float
        Origin of the device in the head frame, in metres: mean (0, 0.005, 0.058) and standard
        deviation (0.003, 0.004, 0.005) over subjects.
    head_rotation, head_rotation_sd : sequence of 3 float
        Rotation of the device about x, y and z, in degrees: (8, 0, 0) and (4, 3, 3).
    head_size_sd : float, default=0.03
        Standard deviation of the factor on dipole positions about the centre of the head.
    position_sd : float, default=0.005
        Standard deviation of dipole positions along each axis, in metres.
    orientation_sd : float, default=15.0
        Standard deviation of the rotations of dipoles about each axis, in degrees.
    gain_sd : float, default=0.25
        Standard deviation of the logarithm of the strength of a source.
    hemisphere_gain_sd : float, default=0.15
        Standard deviation of the strength of each hemisphere about one.
    ages : sequence of m float, default=None
        Ages in years; None draws them uniformly from `age_range`.
    age_range : tuple of 2 float, default=(18.0, 88.0)
        Youngest and oldest.
    reference_age : float, default=53.0
        Age without systematic delay or dilation.
    vis_delay_per_year : float, default=0.25e-3
        Delay of visual responses, in seconds a year.
    vis_delay_sd : float, default=3e-3
        Standard deviation of a subject's visual delay, in seconds.
    vis_dilation_sd : float, default=0.01
        Standard deviation of a subject's visual dilation about one.
    aud_dilation_per_year : float, default=0.0015
        Growth of the auditory dilation a year.
    aud_dilation_sd : float, default=0.015
        Standard deviation of a subject's auditory dilation.
    aud_delay_sd : float, default=2e-3
        Standard deviation of a subject's auditory delay, in seconds.
    source_delay_sd, source_dilation_sd : float, default=(1.5e-3, 0.005)
        Standard deviations of what every source adds to the timing of its subject.
    n_noise_dipoles : int, default=200
        Dipoles that make the ongoing activity, drawn anew for each subject.
    brain_noise : float, default=140e-15
        Median over magnetometers of the standard deviation of ongoing activity within a single
        trial, in tesla.
    mag_noise, grad_noise : float, default=(18e-15, 4e-13)
        Standard deviation of the sensors' own noise, in tesla and in tesla per metre.
    noise_level_sd : float, default=0.25
        Standard deviation of the logarithm of a subject's factor on all noise.
    n_trials : int, default=60
        Trials of each condition. Averages have noise divided by its square root.
    trial_gain_sd : float, default=0.2
        Standard deviation about one of the strength of the response in a trial.
    trial_interval, trial_jitter : float, default=(1.0, 0.3)
        Seconds from one trial of a continuous recording to the next: the first, plus up to the
        second.
    max_bads : int, default=0
        Up to so many channels of each subject are marked bad and have ten times the sensor noise.
    jump_rate, jump_size : float, default=(0.0, 3e-12)
        Share of trials in which one magnetometer jumps, and how far, in tesla.
    blink_rate, blink_size : float, default=(0.0, 100e-9)
        Blinks a minute in continuous recordings, and the moment of each eye, in ampere metre.
    sss : bool, default=False
        Apply signal space separation to continuous recordings, which leaves about 72 dimensions.
    forward : {"sphere", "mne"}, default="sphere"
        Who computes the fields: mvica (fast) or MNE-Python. They agree to seven digits.
    random_state : int, RandomState or None, default=None
        An int gives the same bits on every call. The truth does not depend on `kind`, `ch_types`,
        `sfreq` or the noise, and the first subjects of a group do not depend on its size.

    Returns
    -------
    group : SimulatedGroup
        Recordings in `data`, everything that was drawn in the other attributes.

    Raises
    ------
    ImportError
        Without MNE-Python 1.12 or later, which has the table of sensors.
    ValueError
        If a parameter does not make sense.

    See Also
    --------
    make_eeg_group : The same study in EEG.
    make_evoked_group : A simpler group that does not need MNE.

    Notes
    -----
    Amplitudes and noise are set to those of real recordings: single-trial noise has 138 fT on
    magnetometers and 38 fT/cm on gradiometers in the noise covariance of MNE's sample data. The
    slopes are a choice of ours; that visual responses shift and auditory responses stretch with age
    is the finding of Price et al. The source "aud_P50m" is weak on purpose.

    References
    ----------
    J. Sarvas (1987), Basic mathematical and electromagnetic concepts of the biomagnetic inverse
    problem, Physics in Medicine and Biology 32.

    D. Price et al. (2017), Age-related delay in visual and auditory evoked responses is mediated by
    white- and grey-matter differences, Nature Communications 8.

    Examples
    --------
    >>> from mvica.datasets import make_meg_group
    >>> group = make_meg_group(3, ch_types=("mag",), sfreq=250, random_state=0)
    >>> [evoked.comment for evoked in group.data[0]]
    ['audio/600Hz', 'vis/checker']
    >>> group.sources.shape, group.mixing.shape
    ((3, 352, 8), (3, 102, 8))
    """
    if forward not in ("sphere", "mne"):
        raise ValueError(f"forward={forward!r}; expected 'sphere' or 'mne'.")
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
        blink_rate=blink_rate,
        blink_size=blink_size,
        sss=sss,
    )
    spread = Spread(
        head_translation=head_translation,
        head_translation_sd=head_translation_sd,
        head_rotation=head_rotation,
        head_rotation_sd=head_rotation_sd,
        head_size_sd=head_size_sd,
        position_sd=position_sd,
        orientation_sd=orientation_sd,
        gain_sd=gain_sd,
        hemisphere_gain_sd=hemisphere_gain_sd,
        noise_level_sd=noise_level_sd,
        n_noise_dipoles=n_noise_dipoles,
    )
    timing = Timing(
        reference_age=reference_age,
        vis_delay_per_year=vis_delay_per_year,
        vis_delay_sd=vis_delay_sd,
        vis_dilation_sd=vis_dilation_sd,
        aud_dilation_per_year=aud_dilation_per_year,
        aud_dilation_sd=aud_dilation_sd,
        aud_delay_sd=aud_delay_sd,
        source_delay_sd=source_delay_sd,
        source_dilation_sd=source_dilation_sd,
    )
    return simulate(
        _helmet(tuple(ch_types), float(sfreq), mag_noise, grad_noise, forward),
        design,
        spread,
        timing,
        n_subjects=n_subjects,
        ages=ages,
        age_range=age_range,
        brain=brain_noise,
        random_state=random_state,
    )


# Sensors -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Helmet:
    """The sensors of a VectorView helmet, which subjects put their heads into."""

    info: object
    kept: np.ndarray
    reference: np.ndarray
    stds: np.ndarray
    forward: str

    def place(self, subject):
        """Info of the channels kept, and the function that gives the fields of dipoles."""
        import mne

        info = self.info.copy()
        info["dev_head_t"] = mne.Transform("meg", "head", subject.device_to_head)
        kept = mne.pick_info(info, self.kept, copy=True, verbose="ERROR")
        if self.forward == "mne":
            return kept, lambda places, moments: _mne_field(info, places, moments)
        locs = np.array([channel["loc"] for channel in info["chs"]])
        kinds = [channel["coil_type"] for channel in info["chs"]]
        coils = coil_points(locs, kinds, subject.device_to_head)
        return kept, lambda places, moments: lead_field(places, moments, coils, CENTRE)


def _helmet(ch_types, sfreq, mag_noise, grad_noise, forward):
    if not ch_types or set(ch_types) - {"mag", "grad"}:
        raise ValueError(f"ch_types={ch_types!r}; expected 'mag', 'grad' or both.")
    info = vectorview_info(sfreq)
    kinds = np.array(info.get_channel_types())
    # Magnetometers are always computed: the noise level is set on them.
    import mne

    used = np.flatnonzero(np.isin(kinds, ("mag", *ch_types)))
    info, kinds = mne.pick_info(info, used, verbose="ERROR"), kinds[used]
    return _Helmet(
        info=info,
        kept=np.flatnonzero(np.isin(kinds, ch_types)),
        reference=np.flatnonzero(kinds == "mag"),
        stds=np.where(kinds == "mag", mag_noise, grad_noise),
        forward=forward,
    )


def vectorview_info(sfreq):
    """Info of the 306 channels of a VectorView helmet, from the table in MNE-Python.

    Parameters
    ----------
    sfreq : float
        Samples per second.

    Returns
    -------
    info : mne.Info

    Raises
    ------
    ImportError
        Without MNE-Python 1.12 or later.

    Examples
    --------
    >>> from mvica.datasets.meg_group import vectorview_info
    >>> info = vectorview_info(1000.0)
    >>> len(info["ch_names"]), info["ch_names"][0]
    (306, 'MEG 0113')
    """
    try:
        import mne
    except ImportError as error:
        raise ImportError('make_meg_group needs MNE-Python: pip install "mvica[meg]"') from error
    if not hasattr(mne.channels, "read_meg_canonical_info"):
        raise ImportError(
            "make_meg_group needs the table of sensors of MNE-Python 1.12 or later, found"
            f' {mne.__version__}: pip install -U "mne>=1.12". make_eeg_group and make_evoked_group'
            " do without it."
        )
    table = mne.channels.read_meg_canonical_info("neuromag")
    info = mne.create_info(table["ch_names"], sfreq, table.get_channel_types(), verbose="ERROR")
    for channel, known in zip(info["chs"], table["chs"], strict=True):
        for key in ("loc", "coil_type", "unit", "coord_frame", "kind"):
            channel[key] = np.copy(known[key]) if key == "loc" else known[key]
    return info


def _mne_field(info, places, moments):
    """Fields as MNE-Python computes them, (n_channels, n_dipoles)."""
    import mne

    sphere = mne.make_sphere_model(r0=CENTRE, head_radius=None, verbose="ERROR")
    return forward_of_dipoles(info, sphere, places, moments)


def forward_of_dipoles(info, sphere, places, moments):
    """Field of dipoles by MNE-Python's forward code.

    Parameters
    ----------
    info : mne.Info
    sphere : mne.bem.ConductorModel
    places, moments : ndarray of shape (n_dipoles, 3)
        Head frame, metres, ampere metre.

    Returns
    -------
    field : ndarray of shape (n_channels, n_dipoles)
    """
    import mne

    n, strength = len(places), np.linalg.norm(moments, axis=1)
    dipole = mne.Dipole(
        times=np.arange(n),
        pos=places,
        amplitude=np.ones(n),
        ori=moments / strength[:, None],
        gof=np.full(n, 100.0),
    )
    forward, _ = mne.make_forward_dipole(dipole, sphere, info, verbose="ERROR")
    return forward["sol"]["data"] * strength
