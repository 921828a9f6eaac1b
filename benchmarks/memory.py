"""Peak memory of one large fit, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

N_VIEWS, N_COMPONENTS, N_SAMPLES = 200, 20, 5000


def peak_memory():
    """Largest resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux: getrusage would also count the parent's memory at the fork
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    import resource

    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def draw_views(n_views, n_components, n_samples):
    """Draw float32 views of shared Laplace sources one by one: no copy adds to the peak."""
    rng = np.random.default_rng(0)
    sources = rng.laplace(size=(n_samples, n_components)).astype(np.float32)
    return [_draw_view(rng, sources) for _ in range(n_views)]


def _draw_view(rng, sources):
    mixing = rng.standard_normal((sources.shape[1],) * 2, dtype=np.float32)
    return (sources + rng.standard_normal(sources.shape, dtype=np.float32)) @ mixing.T


def measure_here():
    """Fit in this process; return the peak before and after, and the size of the data, in MiB."""
    from mvica import MultiViewICA

    MultiViewICA(random_state=0).fit(draw_views(4, 3, 500))  # compiles or loads the kernels
    views = draw_views(N_VIEWS, N_COMPONENTS, N_SAMPLES)
    before = peak_memory()
    estimator = MultiViewICA(random_state=0).fit(views)
    return {
        "views": N_VIEWS,
        "components": N_COMPONENTS,
        "samples": N_SAMPLES,
        "data MiB": round(sum(view.nbytes for view in views) / 2**20, 1),
        "peak before the fit MiB": round(before, 1),
        "peak of the fit beyond it MiB": round(peak_memory() - before, 1),
        "iterations": estimator.n_iter_,
    }


def measure():
    """Return :func:`measure_here` of a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory"],
        cwd=Path(__file__).resolve().parents[1],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


if __name__ == "__main__":
    print(json.dumps(measure_here()))
