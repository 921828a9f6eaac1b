"""The record that every reader of public data returns."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class PublicDataset:
    """Real data in several views, with the names and the terms that go with them.

    Attributes
    ----------
    name : str
        Short name, also that of the folder.
    views : list of m ndarrays of shape (n_samples, n_features_v)
        The data, in float64, as published: neither centred nor scaled.
    view_names : tuple of m str
        Subject, session or modality of each view.
    feature_names : tuple of m tuples of str
        Names of the features of each view.
    targets : dict of str to ndarray of shape (n_samples,)
        What is known of each sample; empty where there is nothing.
    description : str
        What the data are.
    origin : str
        Where they come from.
    license : str
        Terms of use.
    citation : str
        What to cite when results are published.

    Examples
    --------
    >>> import numpy as np
    >>> from mvica.data_fetchers import PublicDataset
    >>> PublicDataset(name="mice", views=[np.ones((40, 2)), np.ones((40, 1))],
    ...               view_names=("gene", "lipid"), feature_names=(("a", "b"), ("c",)),
    ...               description="", origin="", license="", citation="",
    ...               targets={"diet": np.ones(40)})
    PublicDataset(mice: 2 views of 40 samples; gene 2, lipid 1; targets diet)
    """

    name: str
    views: list
    view_names: tuple
    feature_names: tuple
    description: str
    origin: str
    license: str
    citation: str
    targets: dict[str, np.ndarray] = field(default_factory=dict)

    def __repr__(self):
        sizes = ", ".join(
            f"{name} {X.shape[1]}" for name, X in zip(self.view_names, self.views, strict=True)
        )
        targets = f"; targets {', '.join(self.targets)}" if self.targets else ""
        return (
            f"{type(self).__name__}({self.name}: {len(self.views)} views of"
            f" {len(self.views[0])} samples; {sizes}{targets})"
        )
