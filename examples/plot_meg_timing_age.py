"""
Do brain responses slow down with age?
======================================

With age, the response to a picture comes later by the same time at every latency, while the
response to a tone is stretched: the later the wave, the later it comes. MVICAD2 tells the two
apart. It finds sources that all people share, and gives everyone's clock a delay and a dilation of
its own. Here both are fitted to a simulated cohort whose truth is known, and regressed on age.
"""

import matplotlib.pyplot as plt
import numpy as np

from mvica import MVICAD2
from mvica.datasets import make_meg_group
from mvica.meg import MEGGroup
from mvica.plotting import (
    plot_estimated_vs_true,
    plot_source_image,
    plot_sources,
    plot_timing_vs_age,
)
from mvica.timing_statistics import normalise_timing, regress

# %%
# The cohort
# ----------
# Thirty-six people from 18 to 88 years, 102 magnetometers each, average responses to tones and to
# checkerboards. Every year, visual responses come 0.25 ms later and auditory ones are stretched by
# 0.15 %. Besides, people differ, and the noise is as in real recordings.

cohort = make_meg_group(36, ch_types=("mag",), sfreq=250, random_state=0)
print(f"{len(cohort.data)} people, conditions {cohort.conditions}")

# %%
# One fit a modality
# ------------------
# All sources of a modality share the clock of the person (`shared_warps`): with so few people this
# is far more precise than a clock for every source. `MEGGroup` reads the Evokeds, scales and
# reduces them, and tells the estimator where time zero is.


def fit(condition):
    estimator = MVICAD2(
        n_components=6, max_delay=10, max_dilation=1.15, shared_warps=True, random_state=0
    )
    return MEGGroup(estimator, condition=condition, n_components=12).fit(cohort.data)


visual, auditory = fit("vis/checker"), fit("audio/600Hz")

# %%
# The sources
# -----------
# Left, everyone on the shared clock; right, as recorded: the old, in yellow, come late.

times = visual.views_.times
own = np.stack(visual.transform())
aligned = np.stack([evoked.data.T for (evoked,) in visual.get_sources(aligned=True)])
plot_sources(visual.sources_, aligned, times, own_time=own, ages=cohort.ages, show=True)

# %%
# The first source that all agree on, the youngest on top, with the fitted latency of its peak.

shared = visual.estimator_.agreement_.mean(axis=0)[visual.order_]
best = int(np.flatnonzero(shared > 0.9)[0])
peak = times[np.abs(visual.sources_[:, best]).argmax()]
latencies = peak * visual.dilations_[:, best] + visual.delays_[:, best]
plot_source_image(own[:, :, best], times, sort_by=cohort.ages, latencies=latencies, show=True)

# %%
# Timing against age
# ------------------
# Visual responses shift, auditory ones are stretched. The numbers are there without the figure too.

for name, group in (("visual", visual), ("auditory", auditory)):
    plot_timing_vs_age(group.delays_, group.dilations_, cohort.ages, robust=True, show=True)
    delays, dilations = normalise_timing(group.delays_, group.dilations_)
    by_delay = regress(cohort.ages, 1e3 * delays.mean(axis=1))
    by_dilation = regress(cohort.ages, 100 * dilations.mean(axis=1))
    print(f"{name}: {by_delay.slope:+.2f} ms a year (p = {by_delay.pearson_p:.1g})", end=", ")
    print(f"{by_dilation.slope:+.2f} % a year (p = {by_dilation.pearson_p:.1g})")

# %%
# Against the truth
# -----------------
# What a real study cannot show: delays of the visual, dilations of the auditory responses.

is_visual = np.array(cohort.condition) == "vis/checker"
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
true_delays, true_dilations = normalise_timing(cohort.delays, cohort.dilations)
plot_estimated_vs_true(
    1e3 * normalise_timing(visual.delays_, visual.dilations_)[0].mean(axis=1),
    1e3 * true_delays[:, is_visual].mean(axis=1),
    label="visual delay (ms)",
    ax=left,
)
plot_estimated_vs_true(
    100 * normalise_timing(auditory.delays_, auditory.dilations_)[1].mean(axis=1),
    100 * true_dilations[:, ~is_visual].mean(axis=1),
    label="auditory dilation (%)",
    ax=right,
)

plt.show()
