"""The page on MEG groups: its code runs, its tables name what exists, its links lead somewhere."""

import re
from pathlib import Path

import numpy as np
import pytest

from mvica import plotting

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "doc" / "meg.md").read_text(encoding="utf-8")


def test_the_code_of_the_page_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("mne", minversion="1.12")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(block, "meg.md", "exec"), names)
    np.testing.assert_allclose(names["same"].data, names["tones"].data, atol=1e-22)
    assert np.abs(names["cleaned"].data - names["tones"].data).max() > 1e-14
    assert "ms a year" in capsys.readouterr().out


def test_its_tables_name_what_there_is():
    from mvica.meg import MEGGroup

    settings = set(MEGGroup.__init__.__kwdefaults__)
    steps = PAGE[PAGE.index("## What goes in") : PAGE.index("## Which estimator")]
    rows = re.findall(r"^\| [^|]+ \| ([^|]*) \|", steps, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert len(named) > 10
    assert named <= settings
    pictures = PAGE[PAGE.index("## Pictures") : PAGE.index("## Timing")]
    assert set(re.findall(r"`(plot_\w+)`", pictures)) <= set(plotting.__all__)


def test_its_links_lead_to_files():
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", PAGE)
    assert links
    assert [link for link in links if not (ROOT / "doc" / link).exists()] == []
