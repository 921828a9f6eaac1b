"""Magnetic field of current dipoles in a conducting sphere, seen by the coils of an MEG helmet."""

import numpy as np

MU0_OVER_4PI = 1e-7  # tesla metre per ampere

# Points that stand for the area of a coil, in its own frame, in metres, with their weights: four
# by four on the square loop of a VectorView magnetometer, two by two on each of the two loops of
# a planar gradiometer (weights in 1/m make a difference quotient). FIF coil type -> (points,
# weights). The geometry is the manufacturer's; these rules are those of highest accuracy.
_SIDE = np.array([-7.875e-3, -2.625e-3, 2.625e-3, 7.875e-3])
_HEIGHT = 0.3e-3
_MAGNETOMETER = (
    np.array([(x, y, _HEIGHT) for x in _SIDE for y in _SIDE]),
    np.full(16, 1 / 16),
)
_GRADIOMETER = (
    np.array(
        [
            (x, y, _HEIGHT)
            for x in (10.79e-3, 5.891e-3, -5.891e-3, -10.79e-3)
            for y in (6.713e-3, -6.713e-3)
        ]
    ),
    np.repeat([14.9858, -14.9858], 4),
)
COILS = {3022: _MAGNETOMETER, 3023: _MAGNETOMETER, 3024: _MAGNETOMETER, 3012: _GRADIOMETER}


def coil_points(locs, coil_types, device_to_head):
    """Return the integration points of channels in the head frame.

    Parameters
    ----------
    locs : ndarray of shape (n_channels, 12)
        Centre and the three axes of each coil in the device frame; the third is the normal.
    coil_types : sequence of int
        FIF coil types, keys of `COILS`.
    device_to_head : ndarray of shape (4, 4)
        Homogeneous transform, in metres.

    Returns
    -------
    points, normals : ndarray of shape (n_points, 3)
    weights : ndarray of shape (n_points,)
    starts : ndarray of shape (n_channels,)
        First point of each channel.
    """
    rotation, translation = device_to_head[:3, :3], device_to_head[:3, 3]
    points, normals, weights = [], [], []
    for loc, coil_type in zip(locs, coil_types, strict=True):
        own, weight = COILS[int(coil_type)]
        axes = loc[3:].reshape(3, 3)
        points.append((loc[:3] + own @ axes) @ rotation.T + translation)
        normals.append(np.tile(rotation @ axes[2], (len(own), 1)))
        weights.append(weight)
    starts = np.cumsum([0] + [len(w) for w in weights[:-1]])
    return np.concatenate(points), np.concatenate(normals), np.concatenate(weights), starts


def sphere_field(positions, moments, points, normals):
    """Field of dipoles along the normals at points outside a conducting sphere.

    The closed form for a sphere (Sarvas 1987): volume currents are included, and the radius and
    the conductivity do not matter.

    Parameters
    ----------
    positions, moments : ndarray of shape (n_dipoles, 3)
        Relative to the centre of the sphere, in metres, and in ampere metre.
    points, normals : ndarray of shape (n_points, 3)
        Relative to the same centre; unit normals.

    Returns
    -------
    field : ndarray of shape (n_points, n_dipoles)
        In tesla.
    """
    inner = points @ positions.T
    r2 = np.sum(points**2, axis=1)[:, None]
    r = np.sqrt(r2)
    a = np.sqrt(r2 - 2 * inner + np.sum(positions**2, axis=1))
    across = np.cross(moments, positions)
    F = a * (r * a + r2 - inner)
    along = (r2 - inner) / a
    gradient = (a**2 / r + along + 2 * (a + r)) * np.sum(points * normals, axis=1)[:, None]
    gradient -= (a + 2 * r + along) * (normals @ positions.T)
    return MU0_OVER_4PI * (normals @ across.T - (points @ across.T) * gradient / F) / F


def lead_field(positions, moments, coils, centre):
    """Values of MEG channels for dipoles in a sphere.

    Parameters
    ----------
    positions, moments : ndarray of shape (n_dipoles, 3)
        In the head frame, in metres and in ampere metre.
    coils : tuple
        What `coil_points` returns.
    centre : ndarray of shape (3,)
        Of the sphere, in the head frame.

    Returns
    -------
    values : ndarray of shape (n_channels, n_dipoles)
        In tesla for magnetometers, tesla per metre for gradiometers.
    """
    points, normals, weights, starts = coils
    field = sphere_field(positions - centre, moments, points - centre, normals)
    return np.add.reduceat(weights[:, None] * field, starts, axis=0)
