"""What users install and read first: the wheel, the imports, the public names and the README."""

import importlib
import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from numpydoc.docscrape import FunctionDoc
from sklearn.base import BaseEstimator

import mvica

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = [name for name in mvica.__all__ if not name.startswith("__")]
NOT_FOR_THE_BUILD = shutil.ignore_patterns(
    ".git", ".venv", ".*_cache", "build", "dist", "*.egg-info", "__pycache__", "results"
)


def run(*command, cwd, **environment):
    """Run a command to its end, and return what it printed; its errors become the test's."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# --- The wheel -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy so that old build folders cannot leak into it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(ROOT, folder / "source", ignore=NOT_FOR_THE_BUILD)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run(*build, "--wheel-dir", str(folder), str(source), cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder that holds the installed wheel, without its dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    run(*install, "--target", str(folder), str(wheel), cwd=folder)
    return folder


def test_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"mvica", f"mvica-{mvica.__version__}.dist-info"}
    assert "mvica/py.typed" in names
    assert "mvica/data_fetchers/__init__.py" in names
    assert not [name for name in names if "test" in Path(name).parts[1].split("_")[:1]]


def test_wheel_holds_every_module_of_the_source(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    root = wheel.parent / "source"
    source = {p.relative_to(root).as_posix() for p in (root / "mvica").rglob("*.py")}
    fetchers = {f"mvica/data_fetchers/{p.name}" for p in (root / "data_fetchers").glob("*.py")}
    assert {"mvica/views.py"} < source | fetchers <= names


def test_installed_wheel_imports_from_anywhere(installed, tmp_path):
    code = f"""
import mvica, mvica.data_fetchers
print(mvica.__file__)
print(mvica.data_fetchers.__file__)
for name in {PUBLIC!r}:
    getattr(mvica, name)
"""
    printed = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(installed))
    package, fetchers = printed.splitlines()
    assert Path(package) == installed / "mvica" / "__init__.py"
    assert Path(fetchers) == installed / "mvica" / "data_fetchers" / "__init__.py"


def test_installed_command_says_its_version(installed, tmp_path):
    command = installed / "bin" / "mvica"
    printed = run(str(command), "--version", cwd=tmp_path, PYTHONPATH=str(installed))
    assert mvica.__version__ in printed


def test_listed_packages_are_the_folders_that_exist():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {p.parent.relative_to(ROOT) for p in (ROOT / "mvica").rglob("__init__.py")}
    expected = {".".join(folder.parts) for folder in folders} | {"mvica.data_fetchers"}
    assert sorted(listed) == sorted(expected)


# --- Imports ---------------------------------------------------------------------------------


def test_import_loads_no_heavy_package(tmp_path):
    heavy = ["mne", "matplotlib", "dask", "distributed", "cupy", "pandas", "numba", "torch"]
    code = f"import sys, mvica; print(sorted(set({heavy!r}) & set(sys.modules)))"
    assert run(sys.executable, "-c", code, cwd=tmp_path).strip() == "[]"


def test_public_names_load_no_optional_package(tmp_path):
    optional = ["mne", "matplotlib", "dask", "distributed", "cupy", "torch"]
    code = f"""
import sys, mvica
for name in {PUBLIC!r}:
    getattr(mvica, name)
print(sorted(set({optional!r}) & set(sys.modules)))
"""
    assert run(sys.executable, "-c", code, cwd=tmp_path).strip() == "[]"


def test_imports_compile_nothing(tmp_path):
    code = f"""
from numba.core import event
with event.install_recorder("numba:compile") as compiled:
    import mvica
    for name in {PUBLIC!r}:
        getattr(mvica, name)
print(len(compiled.buffer))
"""
    assert run(sys.executable, "-c", code, cwd=tmp_path).strip() == "0"


# --- Public names ----------------------------------------------------------------------------


def test_public_names_are_unique_and_listed_by_dir():
    assert len(set(mvica.__all__)) == len(mvica.__all__)
    assert set(mvica.__all__) <= set(dir(mvica))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'MultiVeiwICA'"):
        _ = mvica.MultiVeiwICA


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_has_an_example(name):
    value = getattr(mvica, name)
    if inspect.ismodule(value):
        assert value.__doc__
        return
    assert re.search(r"^Examples\n-{8}$", inspect.getdoc(value) or "", re.MULTILINE)
    assert ">>> " in inspect.getdoc(value)


def documented_functions():
    """Public functions of the package and of its modules that say what is public in `__all__`."""
    names = [info.name for info in pkgutil.walk_packages(mvica.__path__, "mvica.")]
    modules = [importlib.import_module(name) for name in names if "._" not in name]
    modules.append(importlib.import_module("mvica.data_fetchers"))
    found = {f"mvica.{name}": getattr(mvica, name) for name in PUBLIC}
    for module in modules:
        found |= {
            f"{module.__name__}.{n}": getattr(module, n) for n in getattr(module, "__all__", ())
        }
    return {name: value for name, value in sorted(found.items()) if inspect.isfunction(value)}


@pytest.mark.parametrize("name", documented_functions())
def test_function_documents_its_parameters_in_order(name):
    function = documented_functions()[name]
    documented = [
        part.strip("` *")
        for entry in FunctionDoc(function)["Parameters"]
        for part in entry.name.split(",")
    ]
    assert documented == list(inspect.signature(function).parameters)


# --- Texts -----------------------------------------------------------------------------------


def test_readme_code_runs(tmp_path, monkeypatch):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    assert blocks
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in blocks:
        if "mvica.meg" not in block or has_sensor_table():
            exec(compile(block, "README.md", "exec"), namespace)


def has_sensor_table():
    """Whether there is an MNE that knows the sensors of MEG scanners: 1.12 or later."""
    try:
        import mne
    except ImportError:
        return False
    return hasattr(mne.channels, "read_meg_canonical_info")


def test_readme_table_lists_the_public_estimators():
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    values = {name: getattr(mvica, name) for name in PUBLIC}
    estimators = [
        n for n, v in values.items() if inspect.isclass(v) and issubclass(v, BaseEstimator)
    ]
    assert sorted(table) == sorted(estimators)


def test_readme_links_to_files_that_exist():
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)[^)]*\)", (ROOT / "README.md").read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_citation_names_this_version():
    assert f"\nversion: {mvica.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_no_text_names_a_machine_path():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: the tracked files are unknown")
    tracked = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    path = re.compile(rb"(?<![\w.])/(work|root|home|Users|tmp/plan)/")
    found = [name for name in tracked if name and path.search(_bytes(ROOT / name))]
    assert found == []


def _bytes(path):
    return path.read_bytes() if path.is_file() else b""
