"""Find, check and download public data."""

from mvica.data_fetchers.camcan import CamCAN, fetch_camcan
from mvica.data_fetchers.fake_camcan import FakeCamCAN, make_fake_camcan
from mvica.data_fetchers.limvam_fmri import load_limvam_fmri
from mvica.data_fetchers.mfeat import load_mfeat
from mvica.data_fetchers.nutrimouse import load_nutrimouse
from mvica.data_fetchers.record import PublicDataset

__all__ = [
    "CamCAN",
    "FakeCamCAN",
    "PublicDataset",
    "fetch_camcan",
    "load_limvam_fmri",
    "load_mfeat",
    "load_nutrimouse",
    "make_fake_camcan",
]
