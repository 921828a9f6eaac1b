"""
Canonical correlations of a stream
==================================

Two instruments watch the same process and send a batch of samples every second, for as long as they
run. Nothing is stored. Canonical correlation analysis learns from each batch as it comes, and every
new batch first tells how good the directions are that the earlier ones taught.
"""

import pickle

import matplotlib.pyplot as plt
import numpy as np

from mvica import CCA

# %%
# The stream
# ----------
# A generator: it gives batches and keeps none. Four signals are shared; each instrument mixes them
# with many others of its own, some a thousand times stronger.

N_FEATURES, N_SHARED, BATCH = 40, 4, 200


def instruments(n_batches, seed=0):
    fixed = np.random.default_rng(0)
    powers = np.geomspace(1, 1e-3, N_FEATURES)
    mixings = [
        np.linalg.qr(fixed.standard_normal((N_FEATURES, N_FEATURES)))[0] * powers for _ in range(2)
    ]
    strength = np.sqrt([0.9, 0.8, 0.65, 0.5])
    rng = np.random.default_rng(seed)
    for _ in range(n_batches):
        shared = rng.standard_normal((BATCH, N_SHARED))
        own = rng.standard_normal((2, BATCH, N_FEATURES))
        # Shared signals enter by the weakest of the mixed directions.
        own[:, :, -N_SHARED:] *= np.sqrt(1 - strength**2)
        own[:, :, -N_SHARED:] += strength * shared
        yield [rows @ A.T for rows, A in zip(own, mixings, strict=True)]


# %%
# Learning as it comes
# --------------------
# The score of a batch is taken *before* the batch is learned, so it is held out. The solver
# "landing" takes one step a batch and keeps only directions and a preconditioner made of the first
# rows; "auto" keeps all covariances, and is exact.

streams = {
    "landing": CCA(N_SHARED, solver="landing", random_state=0),
    "covariances": CCA(N_SHARED),
}
held_out = {name: [] for name in streams}
for number, batch in enumerate(instruments(150)):
    for name, cca in streams.items():
        if number > 0:
            held_out[name].append(cca.correlations(batch)[0, 1])
        cca.partial_fit(batch)

for name, found in held_out.items():
    late = np.mean(found[-50:], axis=0)
    print(f"{name}: held-out correlations of the last 50 batches {np.round(late, 2)}")

# %%
# The true correlations are 0.9, 0.8, 0.65 and 0.5.

fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
window = np.ones(10) / 10
for (name, found), style in zip(held_out.items(), ("-", ":"), strict=True):
    for component, values in enumerate(np.array(found).T):
        ax.plot(
            np.convolve(values, window, "valid"),
            style,
            color=f"C{component}",
            label=name if component == 0 else None,
        )
for value in (0.9, 0.8, 0.65, 0.5):
    ax.axhline(value, color="0.8", linewidth=1, zorder=0)
ax.set(xlabel="batch", ylabel="held-out correlation, mean of 10", ylim=(0, 1))
ax.legend()

# %%
# Stopping and going on
# ---------------------
# All that a stream has taught is in the estimator. Stored and read again, tomorrow or elsewhere, it
# goes on where it was.

resumed = pickle.loads(pickle.dumps(streams["landing"]))
for batch in instruments(20, seed=1):
    resumed.partial_fit(batch)
print(f"steps: {resumed.n_iter_}, samples: {resumed.n_samples_seen_}")

# %%
# Data that do not fit in memory
# ------------------------------
# If they can be read again and again, give `fit` a function that starts a new pass at every call.

disk = CCA(N_SHARED, solver="lobpcg", random_state=0).fit(lambda: instruments(150))
print(f"{disk.n_iter_} passes: {np.round(disk.canonical_correlations_, 2)}")

plt.show()
