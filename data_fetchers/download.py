"""Download a file once, whole and checked: resumed, verified, put in place in one step."""

import hashlib
import http.client
import os
import tarfile
import time
import urllib.error
import urllib.request
import warnings
from contextlib import contextmanager
from pathlib import Path

__all__ = ["DatasetNotFound", "data_home", "fetch_file", "unpack_tar"]

WAITS = (1.0, 4.0, 16.0)  # seconds before each further try
TIMEOUT = 60.0  # seconds without a byte
BLOCK = 1 << 20
TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)


class DatasetNotFound(FileNotFoundError):
    """Data that are not on this machine and may not, or cannot, be downloaded now."""


class _Interrupted(OSError):
    """A transfer that broke off and may be taken up again."""


def data_home(path=None):
    """Find the folder of downloaded data.

    Parameters
    ----------
    path : path-like, default=None
        The folder itself. None takes the environment variable ``MVICA_DATA``, then
        ``$XDG_DATA_HOME/mvica``, then ``~/mvica_data``.

    Returns
    -------
    folder : Path
        It need not exist.

    Examples
    --------
    >>> from mvica.data_fetchers import data_home
    >>> data_home("studies").name
    'studies'
    """
    if path is not None:
        return Path(path).expanduser()
    if os.environ.get("MVICA_DATA"):
        return Path(os.environ["MVICA_DATA"]).expanduser()
    if os.environ.get("XDG_DATA_HOME"):
        return Path(os.environ["XDG_DATA_HOME"]) / "mvica"
    return Path.home() / "mvica_data"


def is_offline(download=True):
    """Whether nothing may be downloaded: by the argument or by ``MVICA_OFFLINE``."""
    return not download or os.environ.get("MVICA_OFFLINE", "0") not in ("", "0")


def fetch_file(
    url, target, *, sha256=None, md5=None, size=None, what=None, download=True, progress=False,
    waits=WAITS,
):  # fmt: skip
    """Return a file that is on disk, or download it.

    The transfer is written to ``<name>.part`` and taken up where it broke off, if the server can;
    then it is verified and renamed, so that `target` is whole whenever it exists. Two processes
    that want the same file wait for each other.

    Parameters
    ----------
    url : str
        http or https.
    target : path-like
        Where the file belongs.
    sha256, md5 : str, default=None
        Checksum in hexadecimal. With neither, the first download is trusted: its sha256 is written
        to ``<name>.sha256`` and verified from then on.
    size : int, default=None
        Bytes to expect, for messages.
    what : str, default=None
        What the file is, for messages; None says its name.
    download : bool, default=True
        False only takes a file that is there, as does the environment variable
        ``MVICA_OFFLINE=1``.
    progress : bool, default=False
        Show a progress bar.
    waits : sequence of float, default=(1, 4, 16)
        Seconds before each further try.

    Returns
    -------
    target : Path

    Raises
    ------
    DatasetNotFound
        If the file is not there and may not or cannot be downloaded; the message says what to do
        by hand.
    ValueError
        If the file is not the expected one.

    Examples
    --------
    >>> from mvica.data_fetchers import fetch_file
    >>> fetch_file("https://example.org/a.txt", "a.txt")  # doctest: +SKIP
    PosixPath('a.txt')
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no address of http or https.")
    target = Path(target)
    help_text = _by_hand(url, target, size, what)
    if not target.is_file():
        if is_offline(download):
            raise DatasetNotFound(f"{help_text} Downloads are off (download=False, MVICA_OFFLINE).")
        target.parent.mkdir(parents=True, exist_ok=True)
        with _lock(target):
            if not target.is_file():  # another process may have brought it
                _download(url, target, sha256, md5, progress, waits, help_text)
                return target
    _verify(target, target, sha256, md5)
    return target


def _by_hand(url, target, size, what):
    weight = f" ({_megabytes(size)})" if size else ""
    return (
        f"{what or target.name}{weight} is not at {target}. To bring it by hand, open {url} and"
        f" save the file there."
    )


def _megabytes(size):
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


# Transfer ----------------------------------------------------------------------------------------


def _download(url, target, sha256, md5, progress, waits, help_text):
    part = _beside(target, "part")
    for wait in (*waits, None):
        try:
            _transfer(url, part, progress, known=sha256 or md5)
            break
        except urllib.error.HTTPError as error:
            if error.code not in TRY_AGAIN or wait is None:
                raise DatasetNotFound(f"{help_text} The server said: {error}.") from error
        except (OSError, http.client.HTTPException) as error:
            if wait is None:
                reason = getattr(error, "reason", error)
                raise DatasetNotFound(f"{help_text} The transfer failed: {reason}.") from error
        time.sleep(wait)
    try:
        _verify(part, target, sha256, md5)
    except ValueError:
        part.unlink()
        raise
    finally:
        _beside(part, "etag").unlink(missing_ok=True)
    os.replace(part, target)


def _transfer(url, part, progress, known):
    """Append to `part` what is missing of it."""
    etag = _beside(part, "etag")
    done = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": "mvica"}
    tag = etag.read_text() if etag.is_file() else None
    if done and (known or tag):  # else the rest might be of another version, unnoticed
        headers["Range"] = f"bytes={done}-"
        if tag:
            headers["If-Range"] = tag
    else:
        done = 0
    request = urllib.request.Request(url, headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # the part is whole already, or longer than the file
            raise
        total = (error.headers.get("Content-Range") or "").rpartition("/")[2]
        if total == str(done):
            return
        part.unlink()
        raise _Interrupted("the part on disk is longer than the file") from error
    with answer:
        if answer.status != 206 or _first_byte(answer) != done:
            done = 0
        found = answer.headers.get("ETag", "")
        if found and not found.startswith("W/"):
            etag.write_text(found)
        else:
            etag.unlink(missing_ok=True)
        length = answer.headers.get("Content-Length")
        total = done + int(length) if length else None
        with open(part, "ab" if done else "wb") as file, _bar(progress, part, done, total) as bar:
            while block := answer.read(BLOCK):
                file.write(block)
                bar(len(block))
            written = file.tell()
    if total is not None and written != total:
        raise _Interrupted(f"{written} of {total} bytes came")


def _first_byte(answer):
    span = (answer.headers.get("Content-Range") or "").removeprefix("bytes ")
    start = span.partition("-")[0]
    return int(start) if start.isdigit() else None


@contextmanager
def _bar(progress, part, done, total):
    if not progress:
        yield lambda n: None
        return
    from tqdm import tqdm

    with tqdm(
        total=total, initial=done, unit="B", unit_scale=True, desc=part.name.removesuffix(".part")
    ) as bar:
        yield bar.update


def _beside(path, ending):
    return path.with_name(f"{path.name}.{ending}")


# Checks ------------------------------------------------------------------------------------------


def _verify(file, target, sha256, md5):
    """Compare `file`, which is or will be `target`, with the checksum that is known of it."""
    kind, expected = ("sha256", sha256) if sha256 else ("md5", md5)
    record = _beside(target, "sha256")
    if not expected and record.is_file():
        kind, expected = "sha256", record.read_text().split()[0]
    found = checksum(file, kind if expected else "sha256")
    if not expected:
        record.write_text(f"{found}  {target.name}\n")
        warnings.warn(
            f"No checksum of {target.name} is published. The copy now at hand is trusted; its"
            f" sha256 {found} is in {record.name} and will be verified from now on.",
            UserWarning,
            stacklevel=4,
        )
    elif found != expected.lower():
        raise ValueError(
            f"{target} is not the expected file: its {kind} is {found}, expected {expected}."
            " Remove it to download it anew."
        )


def checksum(path, kind="sha256"):
    """Compute the checksum of a file.

    Parameters
    ----------
    path : path-like
    kind : {"sha256", "md5"}, default="sha256"

    Returns
    -------
    digest : str
        In hexadecimal.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.new(kind, usedforsecurity=False)
        ).hexdigest()


@contextmanager
def _lock(target):
    """Hold a lock file beside `target`; it is free as soon as its process ends."""
    with open(_beside(target, "lock"), "a+b") as file:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            while True:
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
                except OSError:  # it gives up after ten seconds
                    continue
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


# Archives ----------------------------------------------------------------------------------------


def unpack_tar(archive, folder):
    """Unpack a tar archive, refusing members that would land outside the folder.

    Parameters
    ----------
    archive : path-like
        Compressed or not.
    folder : path-like
        Where to unpack.

    Returns
    -------
    files : list of Path
        The files unpacked.

    Raises
    ------
    ValueError
        If a member has an absolute path or ``..`` in it, or is no plain file or folder. Nothing is
        unpacked then.
    """
    folder = Path(folder)
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        for member in members:
            parts = Path(member.name.replace("\\", "/")).parts
            outside = Path(member.name).is_absolute() or ".." in parts or ":" in member.name
            if outside or not (member.isfile() or member.isdir()):
                raise ValueError(f"{archive}: refuses to unpack {member.name!r}.")
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        tar.extractall(folder, members=members, **safe)
    return [folder / member.name for member in members if member.isfile()]
