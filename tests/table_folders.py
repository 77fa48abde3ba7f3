"""Tables of events as tests see them: logs of acts, rows by the oracle, and rows of a folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import edxlogs
import oracle
import oracle_event_tables as tables
from event_shapes import Event, each_event, line_of
from oracle_event_tables import Place
from small_logs import plain

Row = dict[str, Any]
FOLDERS = (*sorted(tables.TABLES), *sorted(set(tables.CHILDREN) - {"problem_forms"}))
"""The tables that there are unless told."""

_SITE = re.compile(r"-(prod|edge)-events-")
_COURSES = (
    "course-v1:UniversityX+CS101+2014_T1",
    "course-v1:UniversityX+CS102+2014_T1",
    "UniversityX/CS101/2013_Fall",
)


def lines_of(events: Iterable[Event]) -> bytes:
    """A log of events."""
    return b"".join(map(line_of, events))


def acts() -> list[Event]:
    """Events of every act, of three courses in turn."""
    return [
        one | {"context": {**one["context"], "course_id": _COURSES[number % 3]}}
        for number, one in enumerate(each_event())
    ]


def expected(*paths: Path, no_text: bool = False, **conditions: Any) -> dict[str, list[Row]]:
    """The rows of files by table, in order, by the oracle; tables without rows are empty."""
    made: dict[str, list[Row]] = {name: [] for name in (*tables.TABLES, *tables.CHILDREN)}
    for path in paths:
        site = _SITE.search(path.name)
        for number, outcome in oracle.read_lines(path):
            for item, one in enumerate(outcome.events):
                if not oracle.matches(one, oracle.row(one), **conditions):
                    continue
                place = Place(site[1] if site else None, path.name, number, item)
                for table, rows in tables.rows(one, place, no_text=no_text).items():
                    made[table] += rows
    return made


def rows_of(folder: Path, table: str) -> list[Row]:
    """The rows of a table of a folder, in the order of their events."""
    rows = plain(edxlogs.dataset(folder / table).to_table())
    return sorted(rows, key=lambda row: (row["source"], row["line"], row["line_item"]))


def by_place(rows: list[Row]) -> list[Row]:
    """Rows in that order."""
    return sorted(rows, key=lambda row: (row["source"], row["line"], row["line_item"]))


def assert_tables(folder: Path, wanted: dict[str, list[Row]], names: Iterable[str]) -> None:
    """Fail unless a folder has just those tables, with those rows."""
    names = sorted(names)
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        rows = rows_of(folder, name)
        for row, one in zip(rows, by_place(wanted[name]), strict=True):
            assert row == one, name
            assert list(row) == list(one), name
