import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted(Path(__file__).parent.parent.glob("examples/**/*.py"))


def test_there_are_examples():
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_without_a_warning(path, tmp_path):
    pytest.importorskip("matplotlib")
    if "_meg_" in path.stem:
        pytest.importorskip("mne", minversion="1.12")  # which has the table of sensors
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONWARNINGS": ""}
    command = [sys.executable, "-W", "error", "-W", "ignore:FigureCanvasAgg is", path]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert path.read_text(encoding="utf-8").startswith('"""\n')  # the title of its gallery page
    assert list(tmp_path.iterdir()) == []
