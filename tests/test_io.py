import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from mvica._recording_checks import shared_columns
from mvica.io import Recording, RecordingError, read_recordings, view_names

DATA = Path(os.environ.get("MVICA_TEST_DATA", "../shared/data"))
NUMBERS = np.array([[1.5, -2.0, 3e-13], [4.25, 5.0, 6.0], [-7.0, 8.5, 9.0], [0.1, 0.2, 0.3]])


def write_text(path, rows, mark, header=None):
    lines = [] if header is None else [header]
    lines += [mark.join(repr(float(value)) for value in row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read_one(path, **options):
    (recording,) = read_recordings([path], min_views=1, **options)
    return recording


def problem(*paths, **options):
    with pytest.raises(RecordingError) as caught:
        read_recordings(list(paths), **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


# Text tables -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", ["\t", ",", ";", " ", "   ", ", "])
@pytest.mark.parametrize("header", [False, True])
def test_text_tables_come_back_exactly(tmp_path, mark, header):
    names = mark.join(["a", "b1", "c"]) if header else None
    recording = read_one(write_text(tmp_path / "x.csv", NUMBERS, mark, names))
    np.testing.assert_array_equal(recording.data, NUMBERS)
    assert recording.feature_names == (("a", "b1", "c") if header else ("1", "2", "3"))


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ('"left, x","right","mid"', ("left, x", "right", "mid")),
        ("# a,b,c", ("a", "b", "c")),
        ("% a,b,c", ("a", "b", "c")),
        ("\ufeffa,b,c", ("a", "b", "c")),
        ("# made by hand, with care, on Monday, twice", ("1", "2", "3")),
        ("X1,2,3", ("X1", "2", "3")),
    ],
)
def test_headers(tmp_path, header, names):
    recording = read_one(write_text(tmp_path / "x.csv", NUMBERS, ",", header))
    np.testing.assert_array_equal(recording.data, NUMBERS)
    assert recording.feature_names == names


def test_latin_1_header(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes("a (\xb5V),b\n1,2\n3,5\n".encode("latin-1"))
    assert read_one(path).feature_names == ("a (\xb5V)", "b")


@pytest.mark.parametrize("header", ["0,1,2,3", "1,2,3,4", "0,1,2,label", "0,1,2,0"])
def test_a_header_of_column_numbers_is_no_sample(tmp_path, header):
    rows = np.arange(12).reshape(3, 4) / 7
    recording = read_one(write_text(tmp_path / "x.csv", rows, ",", header))
    np.testing.assert_array_equal(recording.data, rows)
    assert recording.feature_names == tuple(header.split(","))


@pytest.mark.parametrize("header", ["a,b", ",a,b"])
def test_row_names_are_left_out(tmp_path, header):
    path = tmp_path / "x.csv"
    path.write_text(f"{header}\n0,1.5,2\n1,3,4\n2,5,7\n")
    recording = read_one(path)
    np.testing.assert_array_equal(recording.data, [[1.5, 2], [3, 4], [5, 7]])
    assert recording.feature_names == ("a", "b")
    assert any("row names" in note for note in recording.notes)


def test_text_row_names_are_left_out(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text("a\tb\nmouse 1\t1.5\t2\nmouse 2\t3\t4\n")
    np.testing.assert_array_equal(read_one(path).data, [[1.5, 2], [3, 4]])


def test_picks_and_exclude_choose_columns_and_skip_text(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("who,a,b c,d\nann,1,2,3\nben,4,5,7\n")
    np.testing.assert_array_equal(read_one(path, exclude=["who"]).data, [[1, 2, 3], [4, 5, 7]])
    np.testing.assert_array_equal(read_one(path, picks=["d", "b c"]).data, [[2, 3], [5, 7]])
    assert "does not have (it has who, a, b c, d)" in problem(path, exclude=["z"])


def test_transpose(tmp_path):
    path = write_text(tmp_path / "x.csv", NUMBERS.T, ",")
    np.testing.assert_array_equal(read_one(path, transpose=True).data, NUMBERS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"  \n \n", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"a,b\n", "column names and no samples"),
        (b"a,b\n1,2\n3\n", "has 1 values in line 3 where 2 are expected"),
        (b"a,b,c\n1\n2\n", "3 column names in line 1 and 1 values in line 2"),
        (b"a,b\n1,2\n3,x\n", "column 2 (b) is not numeric: 'x' in line 3"),
        (b"1,2\n3,x\n", "column 2 is not numeric: 'x' in line 2"),
        (b"ann,2\nben,3\n", "column 1 is not numeric: 'ann' in line 1"),
        (b"a;b\n1,5;2\n3;4\n", "with a point"),
        (b"a,b\n1,2\n3,\n,NA\n", "has 3 missing values (NaN), the first in row 2, column 2 (b)"),
        (b"a,b\n1,2\nnan,3\n4,inf\n", "has 2 missing or infinite values (NaN, inf), the first in "),
        (b"1,2\n", "has one sample"),
        (b"1,2\n1,2\n1,2\n", "is constant"),
        ("a,b\n1,2\n3,5\n".encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04\0\0", "is not a text table"),
    ],
)
def test_bad_text_says_what_is_wrong(tmp_path, content, words):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    text = problem(path, min_views=1)
    assert text.startswith(f"{path}: ")
    assert words in text


# Arrays ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8", ">f4", "i2", "?", "f2"])
def test_npy_keeps_floats_and_converts_the_rest(tmp_path, dtype):
    array = (NUMBERS > 1 if dtype == "?" else NUMBERS * 3).astype(dtype)
    np.save(tmp_path / "x.npy", np.asfortranarray(array))
    recording = read_one(tmp_path / "x.npy")
    np.testing.assert_array_equal(recording.data, array)
    assert recording.data.dtype == (np.float32 if dtype[-2:] == "f4" else np.float64)


def test_large_npy_stays_on_disk(tmp_path):
    np.save(tmp_path / "x.npy", NUMBERS)
    assert isinstance(read_one(tmp_path / "x.npy").data, np.memmap)


@pytest.mark.parametrize("suffix", [".npz", ".mat"])
def test_files_of_several_arrays(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    save = np.savez if suffix == ".npz" else scipy.io.savemat
    arrays = {"left": NUMBERS, "right": -2 * NUMBERS}
    save(path, **arrays) if suffix == ".npz" else save(path, arrays)
    text = problem(path, min_views=1)
    assert "left (4, 3), right (4, 3)" in text
    assert f"choose one as {path}:left" in text
    recordings = read_recordings([f"{path}:right", f"{path}:left"])
    assert [recording.name for recording in recordings] == ["x:right", "x:left"]
    np.testing.assert_array_equal(recordings[0].data, -2 * NUMBERS)
    assert "holds no array 'middle'" in problem(f"{path}:middle")


@pytest.mark.parametrize("suffix", [".npz", ".mat"])
def test_files_of_one_array(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    if suffix == ".npz":
        np.savez_compressed(path, anything=NUMBERS)
    else:
        scipy.io.savemat(path, {"anything": NUMBERS}, do_compression=True)
    np.testing.assert_array_equal(read_one(path).data, NUMBERS)


def test_sparse_mat(tmp_path):
    scipy.io.savemat(tmp_path / "x.mat", {"X": scipy.sparse.csc_array(NUMBERS)})
    np.testing.assert_array_equal(read_one(tmp_path / "x.mat").data, NUMBERS)


def test_an_array_chosen_for_a_whole_folder(tmp_path):
    for k in (1, 2):
        np.savez(tmp_path / f"s{k}.npz", X=k * NUMBERS, sfreq=np.array(100.0))
    recordings = read_recordings([f"{tmp_path}:X"])
    np.testing.assert_array_equal(recordings[1].data, 2 * NUMBERS)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 4, 5)), "shape (3, 4, 5); a view is 2D"),
        (np.arange(5.0), "shape (5,); a view is 2D"),
        (np.zeros((0, 4)), "is empty: its array is of shape (0, 4)"),
        (np.zeros((4, 3)) + 1j, "type complex128"),
        (np.array([["a", "b"]] * 3), "is not numeric"),
        (np.full((4, 3), 2.0), "is constant"),
        (np.where(np.eye(4) > 0, np.nan, 1.0), "has 4 missing or infinite values"),
        (np.ones((1, 4)), "has one sample"),
    ],
)
def test_bad_arrays_say_what_is_wrong(tmp_path, array, words):
    np.save(tmp_path / "x.npy", array)
    text = problem(tmp_path / "x.npy", min_views=1)
    assert text.startswith(f"{tmp_path / 'x.npy'}: ")
    assert words in text


def test_position_of_the_first_missing_value(tmp_path):
    bad = NUMBERS.copy()
    bad[2, 1] = bad[3, 0] = np.inf
    np.save(tmp_path / "x.npy", bad)
    assert "has 2 missing" in problem(tmp_path / "x.npy")
    assert "in row 3, column 2" in problem(tmp_path / "x.npy")


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_never_unpickles(tmp_path, monkeypatch, suffix):
    monkeypatch.chdir(tmp_path)
    array = np.array([Bomb(), Bomb()], dtype=object)
    path = tmp_path / f"x{suffix}"
    np.save(path, array) if suffix == ".npy" else np.savez(path, X=array)
    assert "never unpickles" in problem(path)
    path.write_bytes(pickle.dumps(Bomb()))
    assert "x.np" in problem(path)
    assert not Path("exploded").exists()


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".mat"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.7, 0.95])
def test_truncated_files(tmp_path, suffix, kept):
    path = tmp_path / f"x{suffix}"
    if suffix == ".mat":
        scipy.io.savemat(path, {"X": NUMBERS})
    else:
        (np.save if suffix == ".npy" else np.savez)(path, NUMBERS)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    assert problem(path, min_views=1).startswith(f"{path}: ")


def test_new_matlab_files_are_named_as_such(tmp_path):
    path = tmp_path / "x.mat"
    head = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    path.write_bytes(head.ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n")
    assert "v7.3 (HDF5) file" in problem(path)


# Which files -------------------------------------------------------------------------------------


def test_folders_are_read_in_natural_order(tmp_path):
    for k in (10, 2, 1):
        np.save(tmp_path / f"sub{k}_run.npy", k * NUMBERS)
    (tmp_path / ".hidden.npy").write_bytes(b"")
    (tmp_path / "README.md").write_text("not a recording")
    names = [recording.name for recording in read_recordings([tmp_path])]
    assert names == ["sub1", "sub2", "sub10"]
    matched = read_recordings([tmp_path / "sub1*.npy"])
    assert [recording.name for recording in matched] == ["sub1", "sub10"]


def test_files_that_are_not_there(tmp_path):
    (tmp_path / "notes.docx").write_text("x")
    assert "no such file" in problem(tmp_path / "no.csv")
    assert "no file matches" in problem(tmp_path / "*.csv")
    assert "unknown format" in problem(tmp_path / "notes.docx")
    assert "holds no recording" in problem(tmp_path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs permissions that bind")
def test_unreadable_file(tmp_path):
    path = write_text(tmp_path / "x.csv", NUMBERS, ",")
    path.chmod(0)
    assert "Permission denied" in problem(path)


def test_a_folder_that_is_called_like_a_file(tmp_path):
    (tmp_path / "x.csv").mkdir()
    assert "holds no recording" in problem(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["d/sub1.csv", "d/sub2.csv"], ["sub1", "sub2"]),
        (["sub1.cent.dat.txt", "sub4.cent.dat.txt"], ["sub1", "sub4"]),
        (["a-ave.fif.gz", "b-ave.fif"], ["a", "b"]),
        (["mon/ann.npy", "tue/ann.npy"], ["mon/ann", "tue/ann"]),
        (["x.csv", "x.npy"], ["x.csv", "x.npy"]),
        (["_run.csv", "a_run.csv"], ["_run", "a_run"]),
        (["one.mat:left", "one.mat:right"], ["one:left", "one:right"]),
        (["alone.csv"], ["alone"]),
    ],
)
def test_names_are_short_and_distinct(paths, names):
    assert view_names(paths) == names


# Groups ------------------------------------------------------------------------------------------


def save_group(folder, arrays):
    paths = []
    for k, array in enumerate(arrays):
        paths.append(folder / f"s{k}.npy")
        np.save(paths[-1], array)
    return paths


def test_one_file_is_not_a_group(tmp_path):
    (path,) = save_group(tmp_path, [NUMBERS])
    assert problem(path) == f"{path}: is one view, and at least 2 are needed"


def test_unequal_numbers_of_samples_list_the_odd_files(tmp_path):
    rng = np.random.default_rng(0)
    paths = save_group(tmp_path, [rng.normal(size=(n, 3)) for n in (20, 20, 19, 20, 7)])
    text = problem(*paths)
    assert text.startswith(f"{paths[2]}: has 19 samples where 3 others have 20")
    assert "s2: 19, s4: 7" in text
    assert "--transpose" in text


def test_the_same_file_twice(tmp_path):
    (path,) = save_group(tmp_path, [NUMBERS])
    (tmp_path / "link.npy").symlink_to(path)
    assert "is given twice" in problem(path, tmp_path / "link.npy")
    assert "is given twice" in problem(path, tmp_path)


def test_a_copy_of_a_file(tmp_path):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(20, 3)) for _ in range(2)]
    paths = save_group(tmp_path, [*arrays, arrays[0]])
    assert problem(*paths) == f"{paths[2]}: is a copy of {paths[0]}: s2 = s0"


def test_times_from_the_sampling_rate(tmp_path):
    paths = save_group(tmp_path, [NUMBERS, 2 * NUMBERS])
    first, second = read_recordings(paths, sfreq=4)
    np.testing.assert_array_equal(first.times, [0, 0.25, 0.5, 0.75])
    np.testing.assert_array_equal(second.times, first.times)
    assert read_recordings(paths)[0].times is None


def test_columns_that_every_view_shares():
    rng = np.random.default_rng(0)
    clock = np.arange(20.0)
    recordings = []
    for k in range(3):
        data = np.column_stack([rng.normal(size=20), clock, np.ones(20)])
        recordings.append(Recording(f"v{k}", f"v{k}", data, ("a", "time", "one")))
    assert shared_columns(recordings) == ["time"]


def test_options_that_do_not_fit_the_format(tmp_path):
    path = write_text(tmp_path / "x.csv", NUMBERS, ",")
    assert "FILE:NAME is for" in problem(f"{path}:left")
    assert "has no conditions" in problem(path, views="conditions")


# Real data ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no test data in {DATA}: set MVICA_TEST_DATA")
def test_real_tables():
    recordings = read_recordings([DATA / "limvam_fmri"])
    assert [r.name for r in recordings][:2] == ["sub001", "sub004"]
    assert {r.data.shape for r in recordings} == {(160, 9)}
    assert recordings[0].feature_names[-1] == "I"
    assert shared_columns(recordings) == ["I"]
    expected = np.loadtxt(recordings[3].path, skiprows=1)
    np.testing.assert_array_equal(recordings[3].data, expected)
    assert {len(r.data) for r in read_recordings([DATA / "mfeat"])} == {2000}
    genes, lipids = read_recordings([DATA / "nutrimouse" / f for f in ("gene.csv", "lipid.csv")])
    assert genes.data.shape == (40, 120)
    assert lipids.feature_names[0] == "C14.0"
    assert "column 1 (diet) is not numeric: 'lin'" in problem(DATA / "nutrimouse")
