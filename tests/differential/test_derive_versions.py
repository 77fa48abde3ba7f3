"""Two versions of DuckDB derive equal rows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

import edxlogs
from derived import digests
from planted import plant

OTHER = "1.5.6" if duckdb.__version__.startswith("2.") else "2.0.1"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with another version of DuckDB."""
    folder = tmp_path_factory.mktemp("duckdb")
    words: list[str | Path] = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        folder,
        f"duckdb=={OTHER}",
    ]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"pip cannot install DuckDB {OTHER}: {done.stderr.strip()[-200:]}")
    return folder


def _tables(folder: Path) -> dict[Path, Any]:
    """The table of each course, by its folder."""
    return {Path(path).parent: pq.read_table(folder / path) for path in digests(folder)}


@pytest.mark.slow
def test_two_versions_of_duckdb_give_equal_rows(other: Path, tmp_path: Path) -> None:
    planted = plant(tmp_path, courses=2)
    edxlogs.write_event_tables(planted.logs, tmp_path / "events")
    edxlogs.convert(planted.package, tmp_path / "db")
    edxlogs.derive(tmp_path / "ours", events=tmp_path / "events", db=tmp_path / "db")
    script = f"import duckdb, edxlogs; assert duckdb.__version__ == '{OTHER}'\n"
    script += "edxlogs.derive('theirs', events='events', db='db')"
    paths = [os.fspath(other), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)
    ours, theirs = (_tables(tmp_path / of) for of in ("ours", "theirs"))
    assert ours.keys() == theirs.keys()
    for name, table in ours.items():
        assert table.equals(theirs[name]), name
