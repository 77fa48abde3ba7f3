"""Derived tables say of planted courses what was planted: from logs and a package to the rows."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import edxlogs
import twins_compat
from commands import run
from derived import digests, rows_of
from edxlogs.derived.definition import PEERS, read_definitions
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


def test_of_two_snapshots_the_newest_counts_or_that_of_the_day_asked_for(
    planted: Planted, folder: Path, tmp_path: Path
) -> None:
    older = tmp_path / "plantedx-2016-03-01.zip"
    with zipfile.ZipFile(planted.package) as newest, zipfile.ZipFile(older, "w") as package:
        for member in newest.infolist():
            package.writestr(member.filename, newest.read(member))
    words = ("db", "convert", planted.package, older, "-o", tmp_path / "db", "--snapshots", "all")
    assert run(*words, cwd=tmp_path).code == 0
    table = "person_problem"
    inputs: dict[str, Any] = {"events": folder / "events", "db": tmp_path / "db", "table": table}
    edxlogs.derive(tmp_path / "newest", **inputs)
    alone = {path: its for path, its in digests(folder / "derived").items() if table in path}
    assert digests(tmp_path / "newest") == alone
    edxlogs.derive(tmp_path / "older", **inputs, as_of="2016-04-01")
    told = {
        pq.read_metadata(path).metadata[b"edxlogs.packages"]
        for path in (tmp_path / "older").rglob("*.parquet")
    }
    assert told == {b"plantedx-2016-03-01 of 2016-03-01"}


def test_names_of_peers_stand_over_ours(folder: Path, tmp_path: Path) -> None:
    inputs: dict[str, Any] = {"events": folder / "events", "db": folder / "db"}
    tables = [one.name for one in read_definitions(peers=PEERS).tables]
    wanted = [name for name in tables if name.startswith("simeon_")]
    done = edxlogs.derive(tmp_path / "out", **inputs, table=wanted, compat="simeon")
    assert all(done.rows[name] for name in wanted)
    for table, (ours, _) in twins_compat.RENAMED.items():
        rows = rows_of(folder / "derived", ours)
        if table == "simeon_course_axis":
            rows = [row for row in rows if row["index"] is not None]
        if table == "simeon_pc_forum":
            rows = [
                row for row in rows if row["n_threads"] + row["n_responses"] + row["n_comments"]
            ]
        made = twins_compat.theirs(table, rows_of(tmp_path / "out", table))
        assert made == twins_compat.renamed(table, rows), table
    sums = {
        (row["course_id"], row["username"]): row["sum_dt"]
        for row in rows_of(tmp_path / "out", "simeon_person_course")
    }
    days: dict[Any, float] = defaultdict(float)
    for row in rows_of(tmp_path / "out", "simeon_person_course_day"):
        days[row["course_id"], row["username"]] += row["sum_dt"] or 0
    for person, total in days.items():
        assert round(total, 5) <= round(sums[person] or 0, 5)  # days without an act have no row
    (path, *_) = (tmp_path / "out" / "simeon_time_on_task").rglob("*.parquet")
    assert b"total_time_30" in pq.read_metadata(path).metadata[b"edxlogs.differs"]
