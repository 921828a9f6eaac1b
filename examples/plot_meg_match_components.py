"""
Matching components across subjects
===================================

One ICA a person, then find the component that is "the same" in everybody: with MNE-Python that is
`mne.preprocessing.corrmap`, which looks for components whose maps resemble a template. It needs a
template, a threshold, and sensors that mean the same place in every head. Multi-view ICA needs none
of these: component 3 of one person is component 3 of all. This page does both on the same data.
"""

import matplotlib.pyplot as plt
import mne
import numpy as np

from mvica import MultiViewICA
from mvica.datasets import make_meg_group
from mvica.meg import MEGGroup, to_views
from mvica.plotting import plot_matching

mne.set_log_level("ERROR")

# %%
# A group whose truth is known
# ----------------------------
# Twelve people, two conditions, eight sources. Heads differ in position, size and anatomy, so the
# field of the same source differs on the same sensors.

study = make_meg_group(12, ch_types=("mag",), sfreq=250, random_state=0)
views = to_views(study.data, n_components=10)
truth = study.sources  # (people, samples, sources), each person's own
target = study.names.index("vis_M100")

# %%
# One ICA a person, matched by maps
# ---------------------------------
# The template is the component that follows the true source best in any person, and the threshold
# is the one that serves this source best: luxuries that no real study has. `corrmap` then picks, in
# everybody, the components whose maps correlate with the template.

continuous = [
    mne.io.RawArray(np.hstack([evoked.data for evoked in evokeds]), evokeds[0].info)
    for evokeds in study.data
]
icas = [
    mne.preprocessing.ICA(10, method="infomax", fit_params={"extended": True}, random_state=0)
    for _ in continuous
]
for ica, raw in zip(icas, continuous, strict=True):
    ica.fit(raw)
by_ica = [ica.get_sources(raw).get_data().T for ica, raw in zip(icas, continuous, strict=True)]


def follows(sources, person):
    """Absolute correlation of each column with the person's true source."""
    true = truth[person][:, target]
    return np.abs(np.corrcoef(np.column_stack([true, sources]).T)[0, 1:])


fits = [follows(sources, v) for v, sources in enumerate(by_ica)]
person = int(np.argmax([r.max() for r in fits]))
template = (person, int(np.argmax(fits[person])))
mne.preprocessing.corrmap(icas, template=template, threshold=0.8, label="M100", plot=False)
picked = [ica.labels_.get("M100", []) for ica in icas]
print("components picked in each person:", [list(map(int, own)) for own in picked])

# %%
# One multi-view ICA
# ------------------
# The same samples. The components come matched, and each tells how well people agree on it.

group = MEGGroup(MultiViewICA(n_components=8, random_state=0)).fit(views)
by_group = group.transform()
chosen = int(np.argmax(follows(group.sources_, 0)))
agreement = group.estimator_.agreement_[:, group.order_[chosen]]
print(f"source {chosen}: agreement {agreement.min():.2f} to {agreement.max():.2f}")

# %%
# Which is right?
# ---------------
# For each person, how well the picked component follows the true source; where `corrmap` picked
# several, the best of them. An ICA of one person alone has only these 350 samples to learn from,
# while multi-view ICA learns from all people's: this is half of its advantage, and the other half
# is that it matches time courses, which people share, rather than maps, which they do not.

maps = [follows(by_ica[v][:, own], v).max() if len(own) else np.nan for v, own in enumerate(picked)]
shared = [follows(by_group[v][:, [chosen]], v)[0] for v in range(len(by_group))]

fig, ax = plt.subplots(figsize=(9, 3.6), layout="constrained")
people = np.arange(len(maps))
ax.bar(people - 0.2, np.nan_to_num(maps), 0.38, color="#e69f00", label="ICA a person + corrmap")
ax.bar(people + 0.2, shared, 0.38, color="#0072b2", label="MultiViewICA")
ax.set(
    xlabel="person",
    ylabel="correlation with the true source",
    title=f"Component matched to {study.names[target]}",
    xticks=people,
    ylim=(0, 1.25),
)
ax.legend(ncols=2, frameon=False, loc="upper right")
for name, r in (("corrmap", maps), ("MultiViewICA", shared)):
    print(f"{name}: the right component, above 0.8, in {np.sum(np.array(r) > 0.8)} people")

# %%
# All sources at once
# -------------------
# The shared sources next to the true ones: matching is only needed to compare with the truth.

plot_matching(group.sources_, study.template, names=study.names, show=True)

# %%
# Already have one ICA object a person?
# -------------------------------------
# `group.icas_` are such objects: use them wherever `corrmap` labels would be used. The same number
# is the same source in all of them, so one list of components to leave out serves everybody.

cleaned = [
    ica.apply(evokeds[1].copy(), exclude=[chosen])
    for ica, evokeds in zip(group.icas_, study.data, strict=True)
]
at = np.argmin(np.abs(study.times - 0.108))
before = np.mean([np.abs(evokeds[1].data[:, at]).max() for evokeds in study.data])
after = np.mean([np.abs(evoked.data[:, at]).max() for evoked in cleaned])
print(f"largest field at 108 ms, mean over people: {1e15 * before:.0f} -> {1e15 * after:.0f} fT")

plt.show()
