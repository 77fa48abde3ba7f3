"""Derived tables say of planted courses what was planted: from logs and a package to the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import edxlogs
from commands import run
from derived import digests, rows_of
from planted import KEYS, Planted, differences, plant

TEACHER = 900
Row = dict[str, Any]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"), courses=2)


@pytest.fixture(scope="module")
def folder(planted: Planted) -> Path:
    """Tables of events, of the package, and derived ones of the planted courses."""
    folder = planted.package.parent
    inputs = ("--events", folder / "events", "--db", folder / "db")
    steps: list[tuple[str | Path, ...]] = [
        ("tables", *planted.logs, "-o", folder / "events"),
        ("db", "convert", planted.package, "-o", folder / "db"),
        ("derive", *inputs, "-o", folder / "derived"),
    ]
    for words in steps:
        done = run(*words, cwd=folder)
        assert done.code == 0, done.stderr
    return folder


@pytest.mark.parametrize("table", KEYS)
def test_what_is_derived_is_what_was_planted(table: str, planted: Planted, folder: Path) -> None:
    rows = [row for row in rows_of(folder / "derived", table) if row.get("user_id") != TEACHER]
    assert differences(table, planted.truth[table], rows) == []


def test_any_order_threads_and_size_give_the_same_bytes(
    planted: Planted, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edxlogs.derived.engine._SMALL_ROWS", 0)
    monkeypatch.setattr("edxlogs.store.inputs.GROUP_INPUTS", 1)
    edxlogs.write_event_tables([*reversed(planted.logs)], tmp_path / "events")
    edxlogs.derive(
        tmp_path / "derived",
        events=tmp_path / "events",
        db=folder / "db",
        threads=3,
        memory=150_000_000,
    )
    assert digests(tmp_path / "derived") == digests(folder / "derived")


def test_names_of_peers_stand_over_ours(folder: Path, tmp_path: Path) -> None:
    table = "simeon_time_on_task"
    inputs: dict[str, Any] = {"events": folder / "events", "db": folder / "db"}
    edxlogs.derive(tmp_path / "out", **inputs, table=table, compat="simeon")
    theirs = rows_of(tmp_path / "out", table)
    ours = {
        (row["course_id"], row["username"], row["day"]): row
        for row in rows_of(folder / "derived", "time_on_task")
    }
    assert len(theirs) == len(ours) > 0
    for row in theirs:
        key = row["course_id"], row["username"], row["date"]
        key = row["course_id"], row["username"], row["date"]
        assert row["total_time_30"] == ours[key]["time_s"]
        assert row["total_video_time_5"] is None
    (path, *_) = (tmp_path / "out" / table).rglob("*.parquet")
    assert b"total_time_30" in pq.read_metadata(path).metadata[b"edxlogs.differs"]
