"""Where two readers of the same lines differ, without values: types, lengths, known keys."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from edxlogs.edx.categories import categories
from edxlogs.edx.event_tables import event_tables
from edxlogs.jobs.looks.shapes import REQUESTS
from edxlogs.plain import reader as plain
from edxlogs.plain.times import microseconds

PLACE = ("line", "line_item")
EVENTS = "events in a line"
"""Stands in place of a column for the number of rows."""
Row = Mapping[str, str | None]
_CELL = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^",\n]*))([,\n])')
_UNREADABLE = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which the readers differ.

    Attributes:
        column: the column, or `EVENTS`.
        event_type: a documented type, `/…` for requests, or "another type".
        plain: what the plain reader has: a type with its length.
        fast: what edxlogs has.
    """

    column: str
    event_type: str
    plain: str
    fast: str


@dataclass(slots=True)
class Comparison:
    """The result of comparing lines.

    Attributes:
        lines: lines by what they are: event, blank or odd. Odd lines need a mend, or more than
            plain rules, and are not compared.
        values: number of values compared, by column.
        differences: how often each difference occurred.
    """

    lines: Counter[str] = field(default_factory=Counter)
    values: Counter[str] = field(default_factory=Counter)
    differences: Counter[Difference] = field(default_factory=Counter)

    def add(self, line: bytes, rows: Sequence[Row]) -> None:
        """Compare a line as the plain reader reads it with the rows that edxlogs made of it."""
        expected = plain.read(line)
        if expected is None and not plain.is_blank(line):
            self.lines["odd"] += 1
            return
        self.lines["blank" if expected is None else "event"] += 1
        count = 0 if expected is None else 1
        kind = _known_type(expected)
        if len(rows) != count:
            self.differences[Difference(EVENTS, kind, str(count), str(len(rows)))] += 1
            return
        for column, value in (expected or {}).items():
            self.values[column] += 1
            found = _value(column, rows[0][column])
            if found != value:
                told = _told(column, value, found)
                self.differences[Difference(column, kind, *told)] += 1


def cells(text: str) -> Iterator[list[str | None]]:
    """The records of CSV as edxlogs writes it: an empty cell is None, and `""` is empty text."""
    record: list[str | None] = []
    for cell in _CELL.finditer(text):
        quoted, bare, end = cell.groups()
        record.append(bare or None if quoted is None else quoted.replace('""', '"'))
        if end == "\n":
            yield record
            record = []


def _value(column: str, cell: str | None) -> Any:
    """Convert a cell to the type that the plain reader has."""
    if cell is None:
        return None
    try:
        if column in plain.TIMES:
            return microseconds(cell)
        if column in plain.DOCUMENTS:
            return plain.document(cell)
        return int(cell) if column == "user_id" else cell
    except ValueError:
        return _UNREADABLE


@functools.cache
def _documented_types() -> frozenset[str]:
    return frozenset(name for names in categories().values() for name in names)


@functools.cache
def _documented_keys() -> frozenset[str]:
    """Keys of payloads and contexts that the table definitions read."""
    columns = (column for table in event_tables().values() for column in table.columns)
    places = (column.paths for column in columns)
    paths = chain.from_iterable(chain(its.otherwise, *its.instead.values()) for its in places)
    steps = chain.from_iterable(path.steps for path in paths)
    return frozenset(step for step in steps if isinstance(step, str)) | {"course_id", "org_id"}


def _known_type(row: Mapping[str, Any] | None) -> str:
    name = (row or {}).get("event_type")
    if isinstance(name, str) and name.startswith("/"):
        return REQUESTS
    return name if name in _documented_types() else "another type"


def _told(column: str, value: Any, found: Any) -> tuple[str, str]:
    """Describe both sides at the place where they begin to differ."""
    if column in plain.TIMES and None not in (value, found):
        return "a time", f"a time {_apart(abs(value - found))} off"
    if column in plain.DOCUMENTS:
        return _first(value, found)
    return _shape(value), _shape(found)


def _apart(micros: int) -> str:
    if micros % 3_600_000_000 == 0:
        return "whole hours"
    return "less than a second" if micros < 1_000_000 else "a second or more"


def _first(value: Any, found: Any, where: str = "") -> tuple[str, str]:
    """The first place at which two documents differ."""
    is_pair = isinstance(value, tuple) and isinstance(found, tuple) and value[0] == found[0]
    if is_pair and value[0] == "object" and len(value[1]) == len(found[1]):
        for (key, one), (other_key, other) in zip(value[1], found[1], strict=True):
            if key != other_key:
                return f"{where}key {_key(key)}", f"{where}key {_key(other_key)}"
            if one != other:
                return _first(one, other, f"{where}{_key(key)}: ")
    if is_pair and value[0] == "list" and len(value) == len(found):
        for one, other in zip(value[1:], found[1:], strict=True):
            if one != other:
                return _first(one, other, f"{where}an item: ")
    return f"{where}{_shape(value)}", f"{where}{_shape(found)}"


def _key(key: str) -> str:
    return f"`{key}`" if key in _documented_keys() else f"another key of {len(key)} characters"


def _shape(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int():
            return f"number of {len(str(abs(value)))} digits"
        case str():
            return f"text of {len(value)} characters"
        case ("number", str(digits)):
            return f"number of {len(digits)} characters"
        case ("object", pairs):
            return f"object of {len(pairs)} members"
        case ("list", *items):
            return f"list of {len(items)} items"
    return "no value that can be read"
