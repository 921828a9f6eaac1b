"""
From epochs of several people to a figure
=========================================

Eight people heard tones and saw checkerboards in an MEG scanner. Which brain responses do they have
in common, when, and where? This page goes from their epochs to time courses, maps, dipoles, and a
figure with all of these; then back to objects of MNE-Python.
"""

import matplotlib.pyplot as plt
import numpy as np

from mvica import MultiViewICA
from mvica.datasets import make_meg_group
from mvica.meg import MEGGroup, fit_dipoles
from mvica.plotting import plot_sources, plot_topomaps

# %%
# The recordings
# --------------
# One `mne.Epochs` a person. Here they are simulated: every head has its own position and size, its
# own noise, and some bad channels. Your own may be paths of files as well, of epochs, averages or
# continuous recordings.

study = make_meg_group(
    8, kind="epochs", ch_types=("mag",), sfreq=250, n_trials=40, max_bads=3, random_state=0
)
print(study.data[0])
print("bad channels:", [len(epochs.info["bads"]) for epochs in study.data])

# %%
# The fit
# -------
# `MEGGroup` averages the epochs of each condition, puts the averages end to end, scales and reduces
# each person to ten principal components, and fits the estimator: the sources of all people at
# once. Bad channels are left out; people need not have the same ones.

group = MEGGroup(
    MultiViewICA(n_components=8, random_state=0), baseline=(None, 0), n_components=10
).fit(study.data)

# %%
# When: the sources
# -----------------
# They come in the order of their peaks. The agreement of a source is the correlation of a person's
# time course with the mean of the others'. A source of low agreement is hardly shared.

views = group.views_
segments = list(zip(("tone", "checkerboard"), views.boundaries, strict=False))
by_person = np.stack(group.transform())
plot_sources(group.sources_, by_person, views.times, segments=segments, band=True, show=True)

# %%
# Where: the maps
# ---------------
# Every person has a map of each source, in femtotesla for one standard deviation of the source. The
# heads are not in the same place, so maps differ; above, the median over people.

infos = [record.info for record in views.records]
plot_topomaps(group.patterns_, infos, subjects=range(3), show=True)

# %%
# A figure for the paper
# ----------------------
# The sources that people share best: time course, median map, and a dipole for each person, fitted
# to the sensors over the left hemisphere because these responses have two sides.

agreement = group.estimator_.agreement_.mean(axis=0)[group.order_]
best = np.sort(np.argsort(agreement)[-3:])
patterns = [pattern[:, best] for pattern in group.patterns_]
dipoles = [fit_dipoles(*one, hemisphere="left") for one in zip(patterns, infos, strict=True)]

fig, axes = plt.subplots(
    len(best), 3, figsize=(10, 6), width_ratios=[4, 1.3, 1.5], layout="constrained"
)
head = 90 * np.exp(2j * np.pi * np.linspace(0, 1, 100))
for i, c in enumerate(best):
    traces, map_, place = axes[i]
    plot_sources(
        group.sources_[:, [c]],
        by_person[:, :, [c]],
        views.times,
        segments=segments,
        band=True,
        names=[f"source {c}"],
        axes=[traces],
    )
    median = [pattern[:, [i]] for pattern in patterns]
    plot_topomaps(median, infos, subjects=(), component_names=[""], spread=False, axes=[map_])
    map_.set_ylabel("")
    x, y, _ = 1e3 * np.array([dipole.pos[i] for dipole in dipoles]).T
    good = np.array([dipole.gof[i] for dipole in dipoles]) > 80
    place.plot(head.real, head.imag, color="0.6", linewidth=1)
    place.plot([-8, 0, 8], [90, 102, 90], color="0.6", linewidth=1)
    place.plot(x[good], y[good], "o", color="#d55e00", markersize=4, alpha=0.8)
    place.set(aspect="equal", xticks=[-50, 0, 50], yticks=[-50, 0, 50])
    place.tick_params(labelsize=7)
    place.set_title(f"{good.sum()} of {len(x)} people", fontsize=9)
for ax in axes[:-1, 0]:
    ax.set_xlabel("")
axes[-1, 2].set_xlabel("left to right (mm)", fontsize=9)
fig.suptitle("Responses that eight people share: time course, median map, dipoles (fit above 80 %)")

# %%
# Back to MNE-Python
# ------------------
# A person's unmixing is an `mne.preprocessing.ICA`, sources are Evokeds, and maps are an Evoked
# whose times are the sources: everything that MNE can do with these works.

ica = group.icas_[0]
print(ica)
(tones, _) = group.get_sources(subjects=[group.subjects_[0]])[0]
print(tones)

evoked = study.data[0]["audio"].average()
late = int(best[np.abs(group.sources_[: views.boundaries[1], best]).max(axis=0).argmax()])
without = ica.apply(evoked.copy(), exclude=[late], verbose="ERROR")
peak = np.abs(group.sources_[: views.boundaries[1], late]).argmax()
before, after = (1e15 * np.abs(inst.data[:, peak]).max() for inst in (evoked, without))
print(f"source {late} at its peak: {before:.0f} fT with it, {after:.0f} fT without it")

# %%
# ``group.report("report.html")`` writes one page with all of this and more: data, settings,
# convergence, noise, and how stable the sources are. It names nobody unless you ask for it.

plt.show()
