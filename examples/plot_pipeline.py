"""
Multi-view ICA inside a pipeline
================================

What do shared sources help to predict? Here a multi-view estimator is the first step of a
scikit-learn pipeline, judged by cross-validation and tuned by a grid search. `MultiViewData` makes
it possible: it holds views of unequal width and is indexed by sample, so every fold learns the
sources from its own training samples.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from mvica import MultiViewData, MultiViewICA
from mvica.datasets import make_multiview_ica

# %%
# Data with labels
# ----------------
# Six views share four sources; each view adds strong signals of its own and noise. The label tells
# whether one shared source, say a rhythm, is strong or weak: its size matters and not its sign, so
# no weighted sum of features shows it before the source is unmixed.

data = make_multiview_ica(
    n_views=6,
    n_samples=400,
    n_components=4,
    n_features=[30, 35, 40, 30, 35, 40],
    private_rank=15,
    private_scale=3.0,
    sensor_noise_std=2.0,
    random_state=0,
)
X = MultiViewData(data.views)
size = np.abs(data.sources[:, 0])
y = size > np.median(size)
print(f"{X.n_views} views of sizes {X.view_sizes}, {X.n_samples} samples")

# %%
# Three ways to predict the label
# -------------------------------
# A classifier of sizes on the features of one view, on all features side by side, and on sources
# that the views share. Any estimator of scikit-learn sees the container as one wide table.

folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=0)


by_size = (
    StandardScaler(),
    FunctionTransformer(np.abs),
    LogisticRegression(C=0.1, max_iter=1000),
)
on_features = make_pipeline(*by_size)
on_sources = make_pipeline(MultiViewICA(n_components=4, random_state=0), *by_size)
scores = {
    "one view": cross_validate(on_features, X.views[0], y, cv=folds)["test_score"],
    "all features": cross_validate(on_features, X, y, cv=folds)["test_score"],
    "shared sources": cross_validate(on_sources, X, y, cv=folds)["test_score"],
}
for name, accuracy in scores.items():
    print(f"{name}: accuracy {accuracy.mean():.2f}")

# %%
# How many components?
# --------------------
# Parameters of the multi-view step are searched like any other. Accuracy on the left-out samples
# grows until all shared sources are there.

search = GridSearchCV(on_sources, {"multiviewica__n_components": [2, 3, 4, 5, 6]}, cv=folds).fit(
    X, y
)
print(f"best: {search.best_params_['multiviewica__n_components']} components")

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
left.boxplot(list(scores.values()))
left.set_xticks(range(1, len(scores) + 1), list(scores))
left.set(ylabel="accuracy on left-out samples", title="Five folds, three inputs")
tried = search.cv_results_["param_multiviewica__n_components"].astype(int)
mean, spread = search.cv_results_["mean_test_score"], search.cv_results_["std_test_score"]
right.errorbar(tried, mean, spread, marker="o", capsize=3)
right.axvline(data.n_components, color="0.5", linestyle=":", label="shared sources in the data")
right.set(xlabel="n_components", xticks=tried, title="Grid search: mean and spread over folds")
right.legend(loc="lower right")
for ax in (left, right):
    ax.axhline(0.5, color="tab:red", linewidth=0.8)
    ax.grid(alpha=0.3)
left.annotate("chance", (3.1, 0.485), color="tab:red", fontsize=9)

plt.show()
