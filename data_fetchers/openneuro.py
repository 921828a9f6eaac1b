"""Files of OpenNeuro studies, such as MEG and EEG of 16 people who see faces."""

import fnmatch
import json
import re
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree

from mvica.data_fetchers import download as downloads
from mvica.data_fetchers.download import DatasetNotFound, fetch_file, is_offline
from mvica.data_fetchers.public_files import PublicFiles

__all__ = ["fetch_openneuro", "fetch_wakeman_henson", "fetch_wakeman_henson_evoked"]

BUCKET = "https://s3.amazonaws.com/openneuro.org"
FIGSHARE = "https://api.figshare.com/v2/articles/25192793"
FACES = {
    "description": (
        "16 people who see famous, unfamiliar and scrambled faces: 306 MEG and 70 EEG channels."
    ),
    "citation": (
        "Wakeman, Henson, A multi-subject, multi-modal human neuroimaging dataset, Scientific Data"
        " 2, 2015."
    ),
}
_SUBJECT = re.compile(r"sub-[A-Za-z0-9]+")


def fetch_openneuro(
    dataset, include="*", *, prefix="", data_home=None, download=True, progress=False
):
    """Return files of an OpenNeuro study, downloading those that are not there.

    Parameters
    ----------
    dataset : str
        Such as "ds000117".
    include : str or sequence of str, default="*"
        Patterns of paths within the study, such as ``"*/meg/*_meg.fif"``; ``*`` crosses folders.
    prefix : str, default=""
        Start of the paths, which keeps the list that the server sends short.
    data_home : path-like, default=None
        Folder of downloaded data, see `mvica.data_fetchers.data_home`.
    download : bool, default=True
        False only takes files that are there, as does ``MVICA_OFFLINE=1``.
    progress : bool, default=False
        Show a progress bar for each file.

    Returns
    -------
    files : PublicFiles
        Verified against the server's md5 where it has one; larger files are trusted on first use.

    Raises
    ------
    DatasetNotFound
        If nothing matches, or files are not there and may not be downloaded.

    Examples
    --------
    >>> from mvica.data_fetchers import fetch_openneuro
    >>> study = fetch_openneuro("ds000117", "*_events.tsv")  # doctest: +SKIP
    """
    if not re.fullmatch(r"ds\d{6}", dataset):
        raise ValueError(f"dataset={dataset!r}; expected ds and six digits.")
    patterns = [include] if isinstance(include, str) else list(include)
    folder = _folder(data_home) / "openneuro" / dataset
    if is_offline(download):
        paths = _matching(
            ((p.relative_to(folder).as_posix(), p) for p in sorted(folder.rglob("*"))),
            patterns, prefix,
        )  # fmt: skip
        paths = [p for p in paths if p.is_file() and p.suffix not in (".part", ".lock", ".sha256")]
        if not paths:
            raise DatasetNotFound(
                f"No file of {dataset} that matches {patterns} is in {folder}, and downloads are"
                f" off (download=False, MVICA_OFFLINE). By hand: https://openneuro.org/datasets/"
                f"{dataset}"
            )
    else:
        listed = _list_bucket(f"{dataset}/{prefix}")
        entries = ((key.removeprefix(f"{dataset}/"), (key, size, tag)) for key, size, tag in listed)
        chosen = _matching(entries, patterns, prefix)
        if not chosen:
            raise DatasetNotFound(f"No file of {dataset} matches {patterns} below {prefix!r}.")
        paths = [
            fetch_file(
                f"{BUCKET}/{urllib.parse.quote(key)}",
                _inside(folder, key.removeprefix(f"{dataset}/")),
                md5=None if "-" in tag else tag,  # tags of uploads in parts are no md5
                size=size,
                progress=progress,
            )
            for key, size, tag in chosen
        ]
    return PublicFiles(
        name=dataset,
        folder=folder,
        paths=paths,
        subjects=_subjects(paths, folder),
        description=f"OpenNeuro study {dataset}, see https://openneuro.org/datasets/{dataset}.",
        license="CC0 unless its dataset_description.json says otherwise.",
        citation="See the study's dataset_description.json.",
    )


def fetch_wakeman_henson(subjects=None, **settings):
    """Return the recordings after MaxFilter of people who see faces (OpenNeuro ds000117).

    Parameters
    ----------
    subjects : sequence of int, default=None
        From 1 to 16; None takes all, some 50 gigabytes.
    **settings
        `data_home`, `download` and `progress` as in `fetch_openneuro`.

    Returns
    -------
    files : PublicFiles

    Examples
    --------
    >>> from mvica.data_fetchers import fetch_wakeman_henson
    >>> faces = fetch_wakeman_henson([1, 2])  # doctest: +SKIP
    """
    names = ["sub-*"] if subjects is None else [f"sub-{int(s):02d}" for s in subjects]
    root = "derivatives/meg_derivatives/"
    include = [f"{root}{name}/*_meg.fif" for name in names]
    found = fetch_openneuro("ds000117", include, prefix=root, **settings)
    return PublicFiles(
        name="wakeman_henson", folder=found.folder, paths=found.paths, subjects=found.subjects,
        license="CC0.", **FACES,
    )  # fmt: skip


def fetch_wakeman_henson_evoked(*, data_home=None, download=True, progress=False):
    """Return averages of faces and scrambled faces of 16 people, with lead fields (390 MB).

    Parameters
    ----------
    data_home : path-like, default=None
        Folder of downloaded data, see `mvica.data_fetchers.data_home`.
    download : bool, default=True
        False only takes files that are there, as does ``MVICA_OFFLINE=1``.
    progress : bool, default=False
        Show a progress bar for each file.

    Returns
    -------
    files : PublicFiles

    Raises
    ------
    DatasetNotFound
        If files are not there and may not be downloaded.

    Examples
    --------
    >>> from mvica.data_fetchers import fetch_wakeman_henson_evoked
    >>> faces = fetch_wakeman_henson_evoked()  # doctest: +SKIP
    """
    folder = _folder(data_home) / "wakeman_henson_evoked"
    index = folder / "index.json"
    if not is_offline(download):
        entries = json.loads(_read(FIGSHARE))["files"]
        folder.mkdir(parents=True, exist_ok=True)
        kept = ("name", "download_url", "size", "computed_md5")
        index.write_text(json.dumps([{key: e[key] for key in kept} for e in entries], indent=1))
    elif not index.is_file():
        raise DatasetNotFound(
            f"The averages are not in {folder}, and downloads are off (download=False,"
            " MVICA_OFFLINE). By hand: https://doi.org/10.6084/m9.figshare.25192793 (390 MB)"
        )
    paths = [
        fetch_file(
            entry["download_url"],
            _inside(folder, entry["name"]),
            md5=entry["computed_md5"],
            size=entry["size"],
            download=download,
            progress=progress,
        )
        for entry in json.loads(index.read_text())
    ]
    return PublicFiles(
        name="wakeman_henson_evoked", folder=folder, paths=paths,
        subjects=_subjects(paths, folder), license="As stated on figshare 25192793.", **FACES,
    )  # fmt: skip


def _folder(path):
    return downloads.data_home(path)


def _matching(entries, patterns, prefix):
    return [
        value
        for name, value in entries
        if name.startswith(prefix) and any(fnmatch.fnmatchcase(name, p) for p in patterns)
    ]


def _inside(folder, name):
    """Join a name that a server sent, refusing one that would leave the folder."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"The server names a file outside its study: {name!r}.")
    return folder / name


def _subjects(paths, folder):
    found = [_SUBJECT.search(p.relative_to(folder).as_posix()) for p in paths]
    return tuple(match[0] if match else "" for match in found)


def _list_bucket(prefix):
    """All keys below a prefix, with sizes and tags; a page holds a thousand."""
    listed, token = [], None
    while True:
        query = {"list-type": "2", "prefix": prefix}
        if token:
            query["continuation-token"] = token
        page = ElementTree.fromstring(_read(f"{BUCKET}?{urllib.parse.urlencode(query)}"))
        space = page.tag.partition("}")[0] + "}" if page.tag.startswith("{") else ""
        for entry in page.iter(f"{space}Contents"):
            key, size, tag = (entry.findtext(f"{space}{n}") for n in ("Key", "Size", "ETag"))
            if not key.endswith("/"):
                listed.append((key, int(size), tag.strip('"')))
        token = page.findtext(f"{space}NextContinuationToken")
        if not token:
            return listed


def _read(url):
    """Text that a server answers; short lists only."""
    request = urllib.request.Request(url, headers={"User-Agent": "mvica"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()
    except OSError as error:
        raise DatasetNotFound(f"{url} cannot be read: {error}.") from error
