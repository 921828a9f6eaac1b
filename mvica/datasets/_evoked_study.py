"""Put a simulated evoked study together: subjects, fields, noise, recordings."""

from dataclasses import dataclass, fields

import numpy as np
from sklearn.utils import check_random_state

from mvica.datasets._checks import check_sizes
from mvica.datasets._evoked_noise import brain_noise, sensor_noise, trial_std
from mvica.datasets._evoked_recipe import CONDITIONS, NAMES, SOURCES, responses
from mvica.datasets._evoked_recordings import epochs, evokeds, raw
from mvica.datasets._evoked_subjects import Spread, Timing, draw_subject, draw_timing
from mvica.datasets.record import seed_of
from mvica.datasets.simulated_group import SimulatedGroup

# Two dipoles at the eyes, for blinks: places and vertical directions that are nearly tangential.
EYES = np.array([(-0.030, 0.070, 0.005), (0.030, 0.070, 0.005)])
EYE_DIRECTIONS = np.array([(0.0, 0.45, 0.89), (0.0, 0.45, 0.89)])


@dataclass(frozen=True)
class Design:
    """How subjects are recorded: the parameters of the simulators that are not about subjects."""

    kind: str
    times: np.ndarray
    sfreq: float
    n_trials: int
    trial_gain_sd: float
    trial_interval: float
    trial_jitter: float
    max_bads: int
    jump_rate: float
    jump_size: float
    blink_rate: float
    blink_size: float
    sss: bool


def split_recipe(recipe):
    """Sort keyword parameters into `Spread` and `Timing`.

    Parameters
    ----------
    recipe : dict of str to float

    Returns
    -------
    spread : Spread
    timing : Timing
    rest : dict
        What belongs to neither.
    """
    parts = []
    for kind in (Spread, Timing):
        names = {field.name for field in fields(kind)}
        parts.append(kind(**{key: value for key, value in recipe.items() if key in names}))
        recipe = {key: value for key, value in recipe.items() if key not in names}
    return *parts, recipe


def check_design(*, kind, sfreq, tmin, tmax, n_trials, **others):
    """Return the `Design`, or say what is wrong with a parameter."""
    if kind not in ("evoked", "epochs", "raw"):
        raise ValueError(f"kind={kind!r}; expected 'evoked', 'epochs' or 'raw'.")
    if not (np.isfinite(sfreq) and sfreq >= 100):
        raise ValueError(f"sfreq={sfreq!r}; expected at least 100 samples per second.")
    if not -1 <= tmin < 0 < tmax <= 2:
        raise ValueError(f"tmin={tmin!r}, tmax={tmax!r}; expected -1 <= tmin < 0 < tmax <= 2.")
    if n_trials != int(n_trials) or n_trials < 1:
        raise ValueError(f"n_trials={n_trials!r}; expected a positive whole number.")
    for name in ("sss", "blink_rate"):
        if others[name] and kind != "raw":
            raise ValueError(f"{name}={others[name]!r} needs kind='raw', got kind={kind!r}.")
    if others["jump_rate"] and kind == "evoked":
        raise ValueError(f"jump_rate={others['jump_rate']!r} needs kind='epochs' or 'raw'.")
    negative = [name for name, value in others.items() if value < 0]
    if negative:
        raise ValueError(f"{negative[0]}={others[negative[0]]!r}; expected no negative number.")
    times = np.arange(round(tmin * sfreq), round(tmax * sfreq) + 1) / sfreq
    return Design(kind=kind, times=times, sfreq=sfreq, n_trials=int(n_trials), **others)


def simulate(sensors, design, spread, timing, *, n_subjects, ages, age_range, brain, random_state):
    """Draw the group.

    Parameters
    ----------
    sensors : object
        With `place(subject)`, which returns an Info and a function from dipoles (k, 3), (k, 3) to
        their field (n_channels, k); `stds` (n_channels,) of the sensor noise; `reference`, indices
        of the channels whose noise is set to `brain`; and `kept`, indices of channels returned.
    design, spread, timing : Design, Spread, Timing
    n_subjects : int
    ages : sequence of n_subjects float or None
    age_range : tuple of 2 float
    brain : float
        Median standard deviation of the brain noise in a trial.
    random_state : int, RandomState or None

    Returns
    -------
    group : SimulatedGroup
    """
    (m,) = check_sizes(n_subjects=n_subjects)
    seeds = check_random_state(random_state).randint(2**31 - 1, size=m)
    ages = _check_ages(ages, m, age_range, seeds)
    drawn = []
    for v in range(m):
        # A stream of its own for each purpose: the truth is the same for every kind of data.
        truth = np.random.default_rng([seeds[v], 1])
        subject = draw_subject(truth, spread)
        delays, dilations = draw_timing(truth, ages[v], timing)
        made = _subject_data(sensors, design, subject, delays, dilations, brain, seeds[v])
        drawn.append((*made, delays, dilations, subject.noise_level))
    data, mixing, delays, dilations, levels = zip(*drawn, strict=True)
    n_sources = len(SOURCES)
    return SimulatedGroup(
        data=list(data),
        subjects=tuple(f"sub-{v + 1:02d}" for v in range(m)),
        ages=ages,
        times=design.times,
        template=responses(design.times).reshape(-1, n_sources),
        sources=np.array(
            [
                responses(design.times, *warp).reshape(-1, n_sources)
                for warp in zip(delays, dilations, strict=True)
            ]
        ),
        delays=np.array(delays),
        dilations=np.array(dilations),
        mixing=np.array(mixing),
        noise_level=np.array(levels),
        infos=[(d[0] if design.kind == "evoked" else d).info for d in data],
        names=NAMES,
        condition=tuple(CONDITIONS[source.condition] for source in SOURCES),
        conditions=CONDITIONS,
        seed=seed_of(random_state),
    )


def _check_ages(ages, m, age_range, seeds):
    if ages is None:
        return np.array([np.random.default_rng([seed, 0]).uniform(*age_range) for seed in seeds])
    ages = np.asarray(ages, dtype=float)
    if ages.shape != (m,) or not np.all(np.isfinite(ages)):
        raise ValueError(f"ages has shape {ages.shape}; expected {m} numbers, one a subject.")
    return ages


def _subject_data(sensors, design, subject, delays, dilations, brain, seed):
    """Return the recording and the mixing of one subject."""
    info, field = sensors.place(subject)
    p = len(SOURCES)
    gains = field(
        np.concatenate([subject.positions.reshape(-1, 3), subject.noise_positions]),
        np.concatenate([subject.moments.reshape(-1, 3), subject.noise_moments]),
    )
    mixing = gains[:, : 2 * p].reshape(-1, p, 2).sum(axis=2)
    noise = _NoiseSource(
        np.random.default_rng([seed, 2]), sensors, subject, gains[:, 2 * p :], brain, design
    )
    trials = np.random.default_rng([seed, 3])
    mixing = mixing[sensors.kept]

    def respond(times):
        return mixing @ responses(times, delays, dilations).transpose(0, 2, 1)

    if design.kind == "evoked":
        made = evokeds(trials, info, design, respond, noise)
    elif design.kind == "epochs":
        made = epochs(trials, info, design, respond, noise)
    else:
        blink = None
        if design.blink_rate:
            blink = field(EYES, EYE_DIRECTIONS).sum(axis=1)[sensors.kept]
        made = raw(trials, info, design, respond, noise, blink)
    return made, mixing


@dataclass
class _NoiseSource:
    """Noise of one subject on the channels that are returned."""

    rng: np.random.Generator
    sensors: object
    subject: object
    gains: np.ndarray
    level: float
    design: Design

    def __call__(self, n_segments, n_times, loud=()):
        """Draw (n_segments, n_kept, n_times); the sensor noise of channels `loud` is ten-fold."""
        sensors, subject, sfreq = self.sensors, self.subject, self.design.sfreq
        brain = brain_noise(self.rng, subject, self.gains, n_segments, n_times, sfreq)
        # One factor for all channels, set where the reference channels see typical noise.
        stds = trial_std(brain[:, sensors.reference], min(n_times, len(self.design.times)))
        factor = self.level / np.median(stds)
        own = sensors.stds[sensors.kept].copy()
        own[list(loud)] *= 10
        noise = brain[:, sensors.kept] * factor
        noise += sensor_noise(self.rng, own, n_segments, n_times, sfreq)
        return subject.noise_level * noise
