"""mvica: multi-view statistics, the shared sources of many recordings."""

from importlib import import_module

from mvica._version import __version__

# Public name -> module that defines it. Imported at first use, so `import mvica` stays fast.
_PUBLIC = {
    "AVICA": "mvica.ica.noisy_estimators",
    "CCA": "mvica.stiefel.cca",
    "DirectLiMVAM": "mvica.causal.estimators",
    "GCCA": "mvica.stiefel.gcca",
    "GaussianLiMVAM": "mvica.causal.gaussian",
    "GroupICA": "mvica.ica.baselines",
    "GroupPCA": "mvica.reduction.estimators",
    "ICALiMVAM": "mvica.causal.ica",
    "JointDiagonalization": "mvica.joint_diagonalization.estimator",
    "LandingICA": "mvica.stiefel.ica_estimator",
    "MCCA": "mvica.stiefel.gcca",
    "MVICAD": "mvica.ica.delays_estimator",
    "MVICAD2": "mvica.ica.dilations_estimator",
    "MultiViewData": "mvica.views",
    "MultiViewICA": "mvica.ica.estimators",
    "MultisetCCA": "mvica.reduction.mcca_estimator",
    "NonStationaryJD": "mvica.joint_diagonalization.nonstationary",
    "PairwiseLiMVAM": "mvica.causal.estimators",
    "PermICA": "mvica.ica.baselines",
    "SOBI": "mvica.joint_diagonalization.sobi",
    "ShICAJ": "mvica.ica.shica_j_estimator",
    "ShICAML": "mvica.ica.noisy_estimators",
    "SharedResponseModel": "mvica.reduction.shared_response",
    "SpectralJD": "mvica.joint_diagonalization.spectral",
    "TransformLearningNMF": "mvica.joint_diagonalization.transform_learning_estimator",
    "ViewPCA": "mvica.reduction.estimators",
    "joint_diagonalize": "mvica.joint_diagonalization.function",
    "joint_diagonalize_many": "mvica.joint_diagonalization.function",
    "load": "mvica.persistence",
    "save": "mvica.persistence",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mvica' has no attribute {name!r}")


def __dir__():
    return sorted(set(globals()) | set(__all__))
