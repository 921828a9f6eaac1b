"""
Shared responses of a group
===========================

Eight people are measured with sensors of their own, in units of their own. The same few sources,
brain areas that respond to a stimulus, drive all recordings through mixings that differ from person
to person. MultiView ICA finds the sources that all share.
"""

import matplotlib.pyplot as plt
import numpy as np

from mvica import GroupICA, MultiViewICA, PermICA
from mvica.datasets import make_evoked_group
from mvica.metrics import match_sources
from mvica.plotting import plot_agreement, plot_objective, plot_sources

# %%
# The recordings
# --------------
# A simulated group, so that the truth is known: six conditions end to end, and in every view
# rhythms and drifts that no other view has. No sensor shows a source alone.

group = make_evoked_group(n_views=8, n_components=5, random_state=0)
times = np.tile(group.times, len(group.conditions))
segments = [(name, c * len(group.times)) for c, name in enumerate(group.conditions)]

fig, axes = plt.subplots(3, 1, figsize=(10, 5), sharex=True, layout="constrained")
one_condition = slice(len(group.times))
for ax, X_v, name, unit in zip(axes, group.views, group.view_names, group.units, strict=False):
    ax.plot(group.times, X_v[one_condition], color="0.5", linewidth=0.5)
    ax.axvline(0, color="tab:red", linestyle=":")
    ax.set(title=f"{name}: {X_v.shape[1]} sensors", ylabel=unit)
axes[-1].set_xlabel("time (s)")
fig.suptitle("What the first three people's sensors record in condition 1")

# %%
# The fit
# -------
# One estimator takes the list of views. The number of sensors may differ; the samples are the same.

model = MultiViewICA(n_components=5, random_state=0).fit(group.views)
plot_objective(model, fig=plt.figure())

# %%
# The shared sources
# ------------------
# Dark: what all views share. Grey: the same source as every single view sees it.

plot_sources(model, group.views, times, segments=segments, fig=plt.figure())

# %%
# The agreement tells which person, and which source, stands apart.

plot_agreement(model, view_names=group.view_names, fig=plt.figure())

# %%
# Against the truth
# -----------------
# Every true source is matched with an estimate: order and sign are free. Methods that run one ICA
# per person, or one for the whole group, come less close.

methods = {
    "MultiViewICA": model,
    "PermICA": PermICA(n_components=5, random_state=0).fit(group.views),
    "GroupICA": GroupICA(n_components=5, random_state=0).fit(group.views),
}
fig, ax = plt.subplots(figsize=(8, 3.5), layout="constrained")
for i, (name, estimator) in enumerate(methods.items()):
    found = np.abs(match_sources(estimator.transform(group.views), group.sources).correlations)
    ax.bar(np.arange(5) + 0.27 * (i - 1), 1 - found, width=0.25, label=name)
    print(f"{name}: mean correlation with the true sources {found.mean():.3f}")
ax.set(
    xlabel="true source",
    ylabel="1 - correlation",
    title="Error of each source (smaller is better)",
    xticks=range(5),
)
ax.legend()

# %%
# The patterns
# ------------
# The mixing matrix of a view says how strongly each of its sensors sees each source. For the first
# person, seen from above, nose up: the true patterns and the estimated ones.

match = match_sources(model.transform(group.views), group.sources)
x, y = group.positions[0].T
fig, axes = plt.subplots(2, 5, figsize=(10, 4.6), layout="constrained")
for source, component in enumerate(match.permutation):
    estimated = match.signs[source] * model.mixing_[0][:, component]
    for ax, pattern in zip(axes[:, source], (group.mixings[0][:, source], estimated), strict=True):
        limit = np.abs(pattern).max()
        ax.scatter(x, y, c=pattern, cmap="RdBu_r", vmin=-limit, vmax=limit, s=45, edgecolor="0.6")
        ax.add_patch(plt.Circle((0, 0), 1.08, fill=False, color="0.6"))
        ax.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal", xticks=[], yticks=[])
    axes[0, source].set_title(f"source {source}")
axes[0, 0].set_ylabel("true")
axes[1, 0].set_ylabel("estimated")
fig.suptitle(f"Patterns of the sources on the sensors of {group.view_names[0]}")

plt.show()
