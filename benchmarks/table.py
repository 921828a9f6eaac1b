"""Tables of the results, for people (Markdown) and for programs (CSV)."""

import csv
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from threadpoolctl import threadpool_info

OURS = ("mvica", "numpy", "scipy", "numba")
PEERS = ("multiviewica", "python-picard", "mvlearn", "qndiag", "pyriemann", "lingam", "cca-zoo")


def cpu_name():
    """Return the model of this machine's processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def versions():
    """Versions of the packages that take part, and of the BLAS below them."""
    found = {"python": platform.python_version()}
    found |= {package: version(package) for package in OURS}
    found |= {package: _version_if_installed(package) for package in PEERS}
    for library in threadpool_info():
        if library["user_api"] == "blas":
            architecture = library.get("architecture", "")
            found[library["internal_api"]] = f"{library['version']} {architecture}".strip()
    return found


def _version_if_installed(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def header(repeats):
    """Say where, when and with what the figures were measured."""
    with_versions = ", ".join(f"{name} {number}" for name, number in versions().items())
    return (
        f"Measured on {date.today()}, {cpu_name()}, one thread, medians of up to {repeats} runs "
        f"that take turns, in processor seconds.\nVersions: {with_versions}.\n"
    )


def markdown(records):
    """Return a Markdown table of dictionaries that share their keys."""
    columns = list(records[0])
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(column, record[column]) for column in columns] for record in records]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def write_csv(path, records):
    """Write dictionaries that share their keys, at full precision."""
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(records[0]))
        writer.writeheader()
        writer.writerows(records)


def _cell(column, value):
    if value is None:
        return ""
    if column == "objective":
        return f"{value:.6f}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
