"""What differs between the subjects of a simulated evoked study: head, dipoles, timing, noise."""

from dataclasses import dataclass

import numpy as np

from mvica.datasets._evoked_recipe import CENTRE, SOURCES


@dataclass(frozen=True)
class Spread:
    """Standard deviations of what differs between subjects.

    Attributes
    ----------
    head_translation, head_translation_sd : sequence of 3 float
        Device origin in the head frame, in metres.
    head_rotation, head_rotation_sd : sequence of 3 float
        About x, y and z, in degrees.
    head_size_sd : float
        Of the factor on all dipole positions.
    position_sd : float
        Of dipoles, each axis, in metres.
    orientation_sd : float
        Of rotations of dipoles about each axis, in degrees.
    gain_sd, hemisphere_gain_sd : float
        Of the logarithm of a source's gain, and of each hemisphere's gain about one.
    noise_level_sd : float
        Of the logarithm of the subject's noise factor.
    n_noise_dipoles : int
        Dipoles that make the brain noise.
    """

    head_translation: tuple = (0.0, 0.005, 0.058)
    head_translation_sd: tuple = (0.003, 0.004, 0.005)
    head_rotation: tuple = (8.0, 0.0, 0.0)
    head_rotation_sd: tuple = (4.0, 3.0, 3.0)
    head_size_sd: float = 0.03
    position_sd: float = 0.005
    orientation_sd: float = 15.0
    gain_sd: float = 0.25
    hemisphere_gain_sd: float = 0.15
    noise_level_sd: float = 0.25
    n_noise_dipoles: int = 200


@dataclass(frozen=True)
class Timing:
    """How the timing of the responses depends on age; seconds, years, factors.

    Attributes
    ----------
    reference_age : float
    vis_delay_per_year, vis_delay_sd, vis_dilation_sd : float
    aud_dilation_per_year, aud_dilation_sd, aud_delay_sd : float
    source_delay_sd, source_dilation_sd : float
        Of what each source adds.
    """

    reference_age: float = 53.0
    vis_delay_per_year: float = 0.25e-3
    vis_delay_sd: float = 3e-3
    vis_dilation_sd: float = 0.01
    aud_dilation_per_year: float = 0.0015
    aud_dilation_sd: float = 0.015
    aud_delay_sd: float = 2e-3
    source_delay_sd: float = 1.5e-3
    source_dilation_sd: float = 0.005


@dataclass(frozen=True)
class Subject:
    """One subject's truth.

    Attributes
    ----------
    device_to_head : ndarray of shape (4, 4)
    positions, moments : ndarray of shape (p, 2, 3)
        Dipoles in the head frame, in metres; moments are gains times unit orientations.
    noise_positions, noise_moments : ndarray of shape (n_noise_dipoles, 3)
    noise_exponents, noise_bumps : ndarray of shape (n_noise_dipoles,)
        Of the 1/f spectrum, and height of the 10 Hz peak.
    noise_level : float
        Factor on brain and sensor noise.
    """

    device_to_head: np.ndarray
    positions: np.ndarray
    moments: np.ndarray
    noise_positions: np.ndarray
    noise_moments: np.ndarray
    noise_exponents: np.ndarray
    noise_bumps: np.ndarray
    noise_level: float


def draw_subject(rng, spread):
    """Draw the head, the dipoles and the noise dipoles of one subject.

    Parameters
    ----------
    rng : numpy.random.Generator
    spread : Spread

    Returns
    -------
    subject : Subject
    """
    transform = np.eye(4)
    angles = np.add(spread.head_rotation, np.multiply(spread.head_rotation_sd, rng.normal(size=3)))
    transform[:3, :3] = rotation_matrix(np.deg2rad(angles))
    shift = np.multiply(spread.head_translation_sd, rng.normal(size=3))
    transform[:3, 3] = np.add(spread.head_translation, shift)
    size = rng.normal(1, spread.head_size_sd)
    p = len(SOURCES)
    positions = np.array([source.positions for source in SOURCES])
    positions = positions + rng.normal(0, spread.position_sd, size=(p, 2, 3))
    turns = rng.normal(0, np.deg2rad(spread.orientation_sd), size=(p, 2, 3))
    moments = np.array(
        [
            [rotation_matrix(turns[j, h]) @ source.orientations[h] for h in range(2)]
            for j, source in enumerate(SOURCES)
        ]
    )
    gains = np.exp(rng.normal(0, spread.gain_sd, size=(p, 1)))
    gains = gains * rng.normal(1, spread.hemisphere_gain_sd, size=(p, 2))
    noise_positions, noise_moments = _noise_dipoles(rng, spread.n_noise_dipoles)
    posterior = noise_positions[:, 1] < -0.020
    return Subject(
        device_to_head=transform,
        positions=CENTRE + size * (positions - CENTRE),
        moments=gains[..., None] * moments,
        noise_positions=CENTRE + size * (noise_positions - CENTRE),
        noise_moments=noise_moments,
        noise_exponents=rng.uniform(0.8, 1.4, size=len(noise_positions)),
        noise_bumps=rng.uniform(0, 6, size=len(noise_positions)) * posterior,
        noise_level=float(np.exp(rng.normal(0, spread.noise_level_sd))),
    )


def draw_timing(rng, age, timing):
    """Draw the delays and dilations of one subject's sources.

    Parameters
    ----------
    rng : numpy.random.Generator
    age : float
    timing : Timing

    Returns
    -------
    delays, dilations : ndarray of shape (p,)
        Seconds, factors.
    """
    years = age - timing.reference_age
    delays = np.array(
        [
            rng.normal(0, timing.aud_delay_sd),
            timing.vis_delay_per_year * years + rng.normal(0, timing.vis_delay_sd),
        ]
    )
    dilations = np.array(
        [
            1 + timing.aud_dilation_per_year * years + rng.normal(0, timing.aud_dilation_sd),
            rng.normal(1, timing.vis_dilation_sd),
        ]
    )
    condition = [source.condition for source in SOURCES]
    own_delays = rng.normal(0, timing.source_delay_sd, size=len(SOURCES))
    own_dilations = rng.normal(0, timing.source_dilation_sd, size=len(SOURCES))
    return delays[condition] + own_delays, dilations[condition] + own_dilations


def _noise_dipoles(rng, n):
    """Places over the upper part of the brain, and random directions, both (n, 3)."""
    directions = rng.normal(size=(n, 3))
    directions[:, 2] = np.abs(directions[:, 2]) - 0.35
    radii = rng.uniform(0.030, 0.072, size=(n, 1))
    moments = rng.normal(size=(n, 3))
    return CENTRE + radii * _unit(directions), _unit(moments)


def _unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def rotation_matrix(angles):
    """Rotation by angles (3,) in radians about x, then y, then z: Rz Ry Rx.

    Parameters
    ----------
    angles : sequence of 3 float

    Returns
    -------
    rotation : ndarray of shape (3, 3)
    """
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    return np.array(
        [
            [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
            [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
            [-sy, cy * sx, cy * cx],
        ]
    )
