"""Groups of views whose number of shared components is known, from five simulators."""

import numpy as np

from mvica.datasets import make_evoked_group, make_multiview_ica, make_shica

NAMES = ("private", "gauss", "laplace", "half", "evoked")


def draw(name, seed):
    """Views of one of five scenarios, and their number of shared components."""
    if name == "private":
        data = make_multiview_ica(
            8, 1000, 5, n_features=20, noise_std=0.5, private_rank=5, private_scale=3,
            sensor_noise_std=0.5, random_state=seed,
        )  # fmt: skip
        return data.views, 5
    if name == "evoked":
        data = make_evoked_group(8, random_state=seed)
        return data.views, data.sources.shape[1]
    rng = np.random.default_rng(seed)
    data = make_shica(name, random_state=seed)
    return [_with_activity_of_its_own(X, rng) for X in data.views], data.sources.shape[1]


def _with_activity_of_its_own(X, rng, width=12, n_private=3):
    """Rotate a view into more features, beside private signals and sensor noise."""
    n, p = X.shape
    signals = np.concatenate([X / X.std(), rng.standard_normal((n, n_private))], axis=1)
    rotation = np.linalg.qr(rng.standard_normal((width, width)))[0][: p + n_private]
    return signals @ rotation + 0.3 * rng.standard_normal((n, width))
