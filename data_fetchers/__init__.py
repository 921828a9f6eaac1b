"""Find, check and download public data."""

from mvica.data_fetchers.camcan import fetch_camcan
from mvica.data_fetchers.camcan_record import CamCAN
from mvica.data_fetchers.download import DatasetNotFound, data_home, fetch_file, unpack_tar
from mvica.data_fetchers.fake_camcan import FakeCamCAN, make_fake_camcan
from mvica.data_fetchers.hcp_rest import load_hcp_rest
from mvica.data_fetchers.limvam_fmri import load_limvam_fmri
from mvica.data_fetchers.mfeat import load_mfeat
from mvica.data_fetchers.mne_datasets import fetch_eegbci, fetch_mne
from mvica.data_fetchers.nutrimouse import load_nutrimouse
from mvica.data_fetchers.openneuro import (
    fetch_openneuro,
    fetch_wakeman_henson,
    fetch_wakeman_henson_evoked,
)
from mvica.data_fetchers.public_files import PublicFiles
from mvica.data_fetchers.record import PublicDataset
from mvica.data_fetchers.sherlock import fetch_sherlock

__all__ = [
    "CamCAN",
    "DatasetNotFound",
    "FakeCamCAN",
    "PublicDataset",
    "PublicFiles",
    "data_home",
    "fetch_camcan",
    "fetch_eegbci",
    "fetch_file",
    "fetch_mne",
    "fetch_openneuro",
    "fetch_sherlock",
    "fetch_wakeman_henson",
    "fetch_wakeman_henson_evoked",
    "load_hcp_rest",
    "load_limvam_fmri",
    "load_mfeat",
    "load_nutrimouse",
    "make_fake_camcan",
    "unpack_tar",
]
