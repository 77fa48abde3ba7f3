"""The site of the documentation: it builds without a warning, and is read and searched as files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pages

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_site_is_searched_without_a_network(tmp_path: Path) -> None:
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(site)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert 'id="edxlogs.watching.Watcher"' in (site / "reference/api.html").read_text()
    index = (site / "index.html").as_uri()
    page = pages.drawn(f"{index}?q=edx.forum.thread.viewed", tmp_path)
    assert "event-types.html?h=edx.forum.thread.viewed#forum" in page
