"""The sources of the simulated auditory and visual study: where they are and when they respond."""

from dataclasses import dataclass

import numpy as np

CENTRE = np.array([0.0, 0.0, 0.040])  # of the head's sphere, head frame, metres
CONDITIONS = ("audio/600Hz", "vis/checker")


@dataclass(frozen=True)
class PairedSource:
    """Two dipoles, one in each hemisphere, with one time course.

    Attributes
    ----------
    name : str
        Name of the source.
    condition : int
        Index in `CONDITIONS` of the stimulus that it answers to.
    lobes : tuple of (float, float, float)
        Amplitude of each dipole in ampere metre, peak and standard deviation in seconds.
    positions, orientations : ndarray of shape (2, 3)
        Left and right, head frame, metres; orientations of length one.
    """

    name: str
    condition: int
    lobes: tuple
    positions: np.ndarray
    orientations: np.ndarray

    def response(self, times):
        """Time course in ampere metre at `times` after the stimulus."""
        parts = [A * np.exp(-((times - peak) ** 2) / (2 * sd**2)) for A, peak, sd in self.lobes]
        return np.sum(parts, axis=0)


def _source(name, lobes, position, orientation, right_position=None, right_orientation=None):
    """Give a source from nanoampere metre, milliseconds and millimetres; mirrored by default."""
    mirror = np.array([-1.0, 1.0, 1.0])
    left, direction = np.array(position, float), np.array(orientation, float)
    right = mirror * left if right_position is None else np.array(right_position, float)
    opposite = mirror * direction if right_orientation is None else np.array(right_orientation)
    orientations = np.array([direction, opposite], float)
    return PairedSource(
        name=name,
        condition=0 if name.startswith("aud") else 1,
        lobes=tuple((1e-9 * A, 1e-3 * peak, 1e-3 * sd) for A, peak, sd in lobes),
        positions=1e-3 * np.array([left, right]),
        orientations=orientations / np.linalg.norm(orientations, axis=1, keepdims=True),
    )


# Equivalent dipoles at places, latencies and strengths such as studies of auditory and visual
# evoked fields report; nearly tangential, because a radial dipole has no magnetic field outside.
SOURCES = (
    _source("aud_P50m", [(20, 50, 8), (-6, 70, 10)], (-40, 2, 54), (0.25, 0.75, -0.61)),
    _source(
        "aud_N100m",
        [(35, 95, 15), (-9, 135, 20)],
        (-50, 10, 49),
        (0, 0.2, 0.98),
        (50, 12, 50),
        (0, 0.2, 0.98),
    ),
    _source("aud_P200m", [(22, 185, 26), (-6, 250, 35)], (-48, 24, 44), (0.35, 0.6, -0.72)),
    _source("aud_late", [(14, 330, 55)], (-30, 45, 75), (0.2, 0.6, -0.75)),
    _source(
        "vis_M75",
        [(15, 75, 9), (-5, 96, 12)],
        (-8, -58, 45),
        (0.95, 0, 0.3),
        (9, -58, 46),
        (0.95, 0, 0.3),
    ),
    _source("vis_M100", [(28, 108, 14), (-8, 145, 18)], (-32, -52, 52), (0.45, -0.35, -0.82)),
    _source("vis_M170", [(20, 170, 22), (-6, 225, 30)], (-38, -30, 22), (-0.3, 0.1, 0.95)),
    _source("vis_late", [(15, 300, 50)], (-25, -35, 90), (0.3, 0.8, 0.5)),
)
NAMES = tuple(source.name for source in SOURCES)


def responses(times, delays=None, dilations=None):
    """Time courses of all sources in all conditions.

    Parameters
    ----------
    times : ndarray of shape (n_times,)
        Seconds after the stimulus.
    delays, dilations : ndarray of shape (p,), default=None
        A peak at T moves to ``dilation * T + delay``; None leaves it in place.

    Returns
    -------
    sources : ndarray of shape (n_conditions, n_times, p)
        In ampere metre; a source is zero in the condition that is not its own.
    """
    delays = np.zeros(len(SOURCES)) if delays is None else delays
    dilations = np.ones(len(SOURCES)) if dilations is None else dilations
    S = np.zeros((len(CONDITIONS), len(times), len(SOURCES)))
    for j, source in enumerate(SOURCES):
        S[source.condition, :, j] = source.response((times - delays[j]) / dilations[j])
    return S
