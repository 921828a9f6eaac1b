"""The data of `mvica demo`: a simulated group, in the form in which files are read."""

import numpy as np

from mvica._recording import Recording
from mvica.datasets import make_evoked_group

RECIPE = """\
from mvica import load
from mvica.datasets import make_evoked_group

group = make_evoked_group(random_state=0)
model = load({model})
sources = model.transform(group.views)"""


def demo_recordings():
    """Simulate the group of the demonstration.

    Returns
    -------
    recordings : list of Recording
    truth : ndarray of shape (n_samples, p)
        The shared sources.
    """
    group = make_evoked_group(random_state=0)
    times = np.tile(group.times, len(group.conditions))
    starts = range(0, len(times), len(group.times))
    segments = tuple(zip(group.conditions, starts, strict=True))
    recordings = [
        Recording(
            name=name,
            path="(simulated)",
            data=X_v,
            feature_names=tuple(f"sensor {i + 1}" for i in range(X_v.shape[1])),
            times=times,
            segments=segments,
            notes=(f"recorded in {unit}",),
        )
        for name, X_v, unit in zip(group.view_names, group.views, group.units, strict=True)
    ]
    return recordings, group.sources
