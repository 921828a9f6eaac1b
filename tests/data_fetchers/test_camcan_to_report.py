"""From a copy of Cam-CAN to a report, in each layout."""

import numpy as np
import pytest

from mvica import MultiViewICA
from mvica.data_fetchers import fetch_camcan, make_fake_camcan
from mvica.meg import MEGGroup

mne = pytest.importorskip("mne")
if not hasattr(mne.channels, "read_meg_canonical_info"):
    pytest.skip("fake copies need the sensor table of MNE 1.12", allow_module_level=True)


@pytest.mark.filterwarnings("ignore:.*repeated rows", "ignore:No participants.tsv")
@pytest.mark.parametrize(
    ("layout", "kind"),
    [("release005", "raw"), ("release004", "sss_transdef"), ("custom", "epochs")],
)
def test_whole_path(tmp_path, layout, kind):
    make_fake_camcan(tmp_path, 3, layout=layout, kind=kind)
    camcan = fetch_camcan(tmp_path, kind=kind, sfreq=None, min_trials=1, check="full")
    views = camcan.to_views(picks="mag", condition=["audio", "vis"], n_components=6)
    assert views.view_names == camcan.subjects
    assert [s["condition"] for s in views.segments] == ["audio", "vis"]
    model = MultiViewICA(n_components=3, reduction="pca", random_state=0)
    group = MEGGroup(model).fit(views)
    epochs = camcan.epochs(0)
    ica = group.icas_[0]
    same = ica.apply(epochs.copy().pick("mag"), exclude=[], verbose="ERROR").get_data()
    given = epochs.get_data(picks="mag")
    np.testing.assert_allclose(same, given, rtol=0, atol=1e-10 * np.abs(given).max())
    own = ica.get_sources(epochs["audio"].average(picks="mag")).data
    unmixed = (views.views[0] - group.mean_[0]) @ group.components_[0].T
    np.testing.assert_allclose(own.T, unmixed[: own.shape[1]], rtol=0, atol=1e-8)
    group.report(tmp_path / "report.html", ages=camcan.ages, dipoles=False)
    html = (tmp_path / "report.html").read_text()
    assert "MultiViewICA on 3 subjects" in html
    assert "CC9999" not in html
