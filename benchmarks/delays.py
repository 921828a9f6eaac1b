"""Delays and dilations: accuracy and time on simulated workloads, next to no timing."""

import time
import warnings
from dataclasses import dataclass
from statistics import median

import numpy as np
from scipy.optimize import linear_sum_assignment

from mvica.datasets import make_mvicad, make_mvicad2
from mvica.ica.warps import centre_clock
from mvica.metrics import amari_distance


@dataclass(frozen=True)
class Workload:
    """Simulated views; `exact` is None for whole delays (MVICAD)."""

    name: str
    n_views: int
    n_samples: int
    n_components: int
    max_delay: int
    noise_std: float
    n_epochs: int = 1
    shared: bool = False
    max_dilation: float = 1.15
    onset: int = 0
    exact: bool | None = None

    def generate(self, seed):
        sizes = self.n_views, self.n_samples, self.n_components
        same = {"n_epochs": self.n_epochs, "max_delay": self.max_delay, "random_state": seed}
        same["noise_std"] = self.noise_std
        if self.exact is None:
            return make_mvicad(*sizes, shared_delays=self.shared, **same)
        timing = {"max_dilation": self.max_dilation, "onset": self.onset, "exact": self.exact}
        return make_mvicad2(*sizes, **timing, **same)

    def models(self):
        """Estimators by name."""
        from mvica import MVICAD, MVICAD2, MultiViewICA

        same = {"max_delay": self.max_delay, "epochs": self.n_epochs, "random_state": 0}
        models = {"MultiViewICA": MultiViewICA(random_state=0)}
        if self.exact is None:
            return models | {"MVICAD": MVICAD(shared_delays=self.shared, **same)}
        timed = MVICAD2(max_dilation=self.max_dilation, onset=self.onset, **same)
        return models | {"MVICAD": MVICAD(**same), "MVICAD2": timed}


# A delay is the latency at the onset: far from the sources' energy its error is the dilation's.
WORKLOADS = (
    Workload("d_paper", 5, 600, 2, 10, 0.5),
    Workload("d_mid", 10, 600, 5, 20, 0.1),
    Workload("d_shared", 10, 1000, 5, 20, 0.2, shared=True),
    Workload("d_meg", 40, 700, 10, 40, 0.2),
    Workload("dd_small", 5, 600, 3, 30, 0.01, n_epochs=5, onset=200, exact=False),
    Workload("dd_p5", 10, 600, 5, 30, 0.01, n_epochs=3, onset=200, exact=False),
    Workload("dd_exact", 8, 500, 4, 25, 0.01, n_epochs=3, onset=200, exact=True),
    Workload("dd_meg", 20, 700, 5, 35, 0.01, n_epochs=2, max_dilation=1.3, onset=200, exact=False),
    Workload("dd_p7", 10, 600, 7, 30, 0.01, n_epochs=5, exact=False),
    Workload("dd_p10", 10, 600, 10, 30, 0.01, n_epochs=5, exact=False),
    Workload("dd_noise", 10, 600, 3, 30, 0.1, n_epochs=5, exact=False),
)


def run(repeats, workloads=WORKLOADS):
    """Return the lines of the table: medians over `repeats` data seeds."""
    rows = []
    for workload in workloads:
        scores = {}
        for seed in range(repeats):
            data = workload.generate(seed)
            for name, model in workload.models().items():
                if seed == 0:
                    _fit(model, data)  # loads the kernels
                seconds = _fit(model, data)
                scores.setdefault(name, []).append((seconds, *errors(model, data)))
        for name, lines in scores.items():
            seconds, amari, delay, exact, dilation = (
                median(column) for column in zip(*lines, strict=True)
            )
            rows.append({
                "workload": workload.name,
                "size": f"m{workload.n_views} p{workload.n_components} "
                f"n{workload.n_samples * workload.n_epochs}",
                "solver": name,
                "seconds": seconds,
                "amari": amari,
                "delay error": delay,
                "exact delays": exact,
                "dilation error": dilation,
                "worst amari": max(line[1] for line in lines),
                "seeds": repeats,
            })  # fmt: skip
    return rows


def _fit(model, data):
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(data.views)
    return time.process_time() - start


def errors(model, data):
    """Amari distance, mean error of delays (samples), share of exact ones, error of dilations."""
    products = np.abs(np.stack(model.components_) @ np.stack(data.mixings))
    products /= np.linalg.norm(products, axis=2, keepdims=True)
    order = linear_sum_assignment(-products.mean(axis=0))[1]
    true = data.delays[:, order], data.dilations[:, order]
    delays = getattr(model, "delays_", np.zeros_like(true[0]))
    dilations = getattr(model, "dilations_", np.ones_like(true[1]))
    amari = amari_distance(model.components_, data.mixings)
    if np.issubdtype(data.delays.dtype, np.integer):
        wrong = delays - true[0]
        wrong = np.abs(wrong - np.round(np.median(wrong, axis=0)))
        return amari, float(wrong.mean()), float(np.mean(wrong == 0)), 0.0
    true = centre_clock(*true)
    wrong = np.abs(delays - true[0]).mean(), np.abs(dilations - true[1]).mean()
    return amari, float(wrong[0]), 0.0, float(wrong[1])
