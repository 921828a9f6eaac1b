import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mvica.data_fetchers import load_limvam_fmri, load_mfeat, load_nutrimouse
from mvica.data_fetchers.local import LocalCopy

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("MVICA_TEST_DATA", ROOT / ".." / "shared" / "data"))
LOADERS = {"limvam_fmri": load_limvam_fmri, "mfeat": load_mfeat, "nutrimouse": load_nutrimouse}


def folder_of(name):
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"no local copy of {name} in {DATA}; set MVICA_TEST_DATA to have it tested")
    return folder


# Real copies -------------------------------------------------------------------------------------


def test_limvam_fmri():
    data = load_limvam_fmri(folder_of("limvam_fmri"))
    assert [X.shape for X in data.views] == [(160, 9)] * 9
    assert data.view_names[0] == "sub001"
    assert data.view_names[-1] == "sub017"
    regions = ("LOCC", "LACC", "LIFG", "LIPL", "ROCC", "RACC", "RIFG", "RIPL", "I")
    assert data.feature_names == (regions,) * 9
    assert data.views[0][0, 0] == 8839.3928
    inputs = np.array([X[:, -1] for X in data.views])
    np.testing.assert_allclose(np.corrcoef(inputs), 1, atol=1e-6)
    assert min(X[:, :-1].mean() for X in data.views) > 1000  # scanner units
    assert data.targets == {}
    assert "ds000003" in data.origin


def test_mfeat():
    data = load_mfeat(folder_of("mfeat"))
    assert [X.shape for X in data.views] == [(2000, d) for d in (76, 216, 64, 240, 47, 6)]
    assert [len(names) for names in data.feature_names] == [76, 216, 64, 240, 47, 6]
    assert data.feature_names[5][0] == "mor0"
    np.testing.assert_array_equal(np.bincount(data.targets["digit"]), [200] * 10)
    np.testing.assert_allclose(data.views[5][0], [1, 0, 0, 133.15, 1.3117, 1620.2])
    # the digits are the same in all views: a class mean of one view predicts the others'
    for X in data.views:
        means = np.array([X[data.targets["digit"] == k].mean(axis=0) for k in range(10)])
        scaled = (means - X.mean(axis=0)) / X.std(axis=0)
        assert np.mean(scaled**2) > 0.1  # between-class share of the variance; chance is 0.005


def test_nutrimouse():
    data = load_nutrimouse(folder_of("nutrimouse"))
    assert [X.shape for X in data.views] == [(40, 120), (40, 21)]
    assert data.view_names == ("gene", "lipid")
    assert data.feature_names[0][:2] == ("X36b4", "ACAT1")
    assert data.feature_names[1][0] == "C14.0"
    assert data.views[1][0, 1] == 26.45
    assert dict(zip(*np.unique(data.targets["diet"], return_counts=True), strict=True)) == (
        {"coc": 8, "fish": 8, "lin": 8, "ref": 8, "sun": 8}
    )
    assert sorted(set(data.targets["genotype"])) == ["ppar", "wt"]
    np.testing.assert_allclose(data.views[1].sum(axis=1), 100, atol=2)  # percentages
    assert repr(data) == (
        "PublicDataset(nutrimouse: 2 views of 40 samples; gene 120, lipid 21;"
        " targets diet, genotype)"
    )


@pytest.mark.parametrize("name", LOADERS)
def test_environment_variable_names_the_parent_folder(name, monkeypatch):
    folder = folder_of(name)
    monkeypatch.setenv("MVICA_TEST_DATA", str(folder.parent))
    by_variable, by_path = LOADERS[name](), LOADERS[name](str(folder))
    for a, b in zip(by_variable.views, by_path.views, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == np.float64
        assert a.flags.c_contiguous


# Missing and broken copies -----------------------------------------------------------------------


@pytest.mark.parametrize("name", LOADERS)
def test_no_copy_says_what_and_where(name, monkeypatch, tmp_path):
    monkeypatch.delenv("MVICA_TEST_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="No path was given") as raised:
        LOADERS[name]()
    for words in ("Origin: ", "pass their folder as `path`", f"contains {name}/"):
        assert words in str(raised.value)
    with pytest.raises(FileNotFoundError, match=r"\d of \d files are not in .*absent"):
        LOADERS[name](tmp_path / "absent")
    monkeypatch.setenv("MVICA_TEST_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=rf"are not in .*{name}"):
        LOADERS[name]()


def test_local_copy_is_found_and_verified(tmp_path, monkeypatch):
    md5 = {"a.txt": "900150983cd24fb0d6963f7d28e17f72"}  # of "abc", from RFC 1321
    copy = LocalCopy("toy", md5, description="Toys.", origin="a shop.", license="", citation="")
    (tmp_path / "toy").mkdir()
    file = tmp_path / "toy" / "a.txt"
    file.write_text("abc")
    monkeypatch.setenv("MVICA_TEST_DATA", str(tmp_path))
    assert copy.files() == copy.files(file.parent) == {"a.txt": file}
    file.write_text("abd")
    with pytest.raises(ValueError, match=r"md5 is 4911e516.*expected 90015098.*Origin: a shop"):
        copy.files()
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 1 files .*toy: a.txt\. toy: Toys\. Origin"):
        copy.files()


@pytest.mark.parametrize("name", LOADERS)
def test_an_incomplete_copy_names_the_missing_file(name, tmp_path):
    copy = shutil.copytree(folder_of(name), tmp_path / name)
    removed = sorted(copy.glob("*.csv")) + sorted(copy.glob("*.txt"))
    removed[1].unlink()
    with pytest.raises(FileNotFoundError, match=rf"1 of \d files .*: {removed[1].name}\."):
        LOADERS[name](copy)


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("damage", ["one digit", "cut short", "empty"])
def test_a_changed_file_is_refused(name, damage, tmp_path):
    copy = shutil.copytree(folder_of(name), tmp_path / name)
    file = (sorted(copy.glob("*.csv")) + sorted(copy.glob("*.txt")))[-1]
    content = file.read_bytes()
    changed = {"one digit": content[:-2] + b"~\n", "cut short": content[:-9], "empty": b""}
    file.write_bytes(changed[damage])
    with pytest.raises(ValueError, match=rf"{file.name} is not the published file: its md5 is"):
        LOADERS[name](copy)
