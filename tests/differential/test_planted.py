"""Derived tables say of planted courses what was planted; the oracle decodes their events."""

from __future__ import annotations

import datetime
import gzip
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import oracle
import oracle_event_tables
from commands import run
from derived import rows_of, write_events
from edxlogs.edx.event_tables import event_tables
from planted import Planted, differences, plant

TEACHER = 900
TABLES = ("course_items", "sessions", "time_on_task", "video_viewings", "person_video")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
Row = dict[str, Any]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"), courses=2)


@pytest.fixture(scope="module")
def derived(planted: Planted) -> Path:
    """Derived tables of the planted courses."""
    folder = planted.package.parent
    done = run("db", "convert", planted.package, "-o", folder / "db", cwd=folder)
    assert done.code == 0, done.stderr
    write_events(folder / "events", decoded(planted))
    inputs = ("--events", folder / "events", "--db", folder / "db")
    done = run("derive", *inputs, "-o", folder / "derived", cwd=folder)
    assert done.code == 0, done.stderr
    return folder / "derived"


def decoded(planted: Planted) -> dict[str, list[Row]]:
    """The rows of event tables by the oracle."""
    found: dict[str, list[Row]] = defaultdict(list)
    for event, place in events(planted):
        for table, rows in oracle_event_tables.rows(event, place).items():
            moments = [name for name, kind in event_tables()[table].schema if kind == "timestamp"]
            found[table] += [
                row | {name: moment(row[name]) for name in moments if row[name] is not None}
                for row in rows
            ]
    return found


def events(planted: Planted) -> Iterator[tuple[Any, oracle_event_tables.Place]]:
    for path in planted.logs:
        for number, line in enumerate(gzip.decompress(path.read_bytes()).splitlines(), 1):
            (event,) = oracle.read_events(line).events
            yield event, oracle_event_tables.Place("prod", path.name, number, 0)


def moment(micros: int) -> datetime.datetime:
    return EPOCH + datetime.timedelta(microseconds=micros)


@pytest.mark.parametrize("table", TABLES)
def test_what_is_derived_is_what_was_planted(table: str, planted: Planted, derived: Path) -> None:
    rows = [row for row in rows_of(derived, table) if row.get("user_id") != TEACHER]
    assert differences(table, planted.truth[table], rows) == []
