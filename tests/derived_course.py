"""Derived tables made of rows that stand in a test: inputs as the engine has them, in one DuckDB.

An input is a list of dicts; columns that a row lacks are null, inputs that are not given are
missing. `make` gives the rows of a table, after all that it needs.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

import edxlogs
from edxlogs.edx.event_tables import event_tables
from edxlogs.edx.event_tables.definition import SPINE, Kind
from edxlogs.edx.tables import joined_table, tables

SQL = Path(edxlogs.__file__).parent / "derived" / "sql"
Row = dict[str, Any]
Inputs = Mapping[str, Sequence[Row]]

TYPES: Mapping[str, pa.DataType] = {
    "string": pa.string(),
    "text": pa.string(),
    "json": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
}
DEFAULTS: Mapping[str, Any] = {
    "course_id": "course-v1:UniX+CS1+2020",
    "gap": 1_800_000_000,
    "cap": 300_000_000,
    "cap_long": 1_800_000_000,
    "tz": "UTC",
    "as_of": None,
    "min_n": 10,
}
_OF_PACKAGE = (("site", "string"), ("snapshot_date", "date"), ("course_id", "string"))
_OLX = {
    "olx_blocks": (
        ("block_key", "text"),
        ("block_id", "text"),
        ("block_type", "text"),
        ("video_s", "float64"),
        ("labels", "text"),
    ),
    "olx_policy": (
        ("assignment_type", "text"),
        ("short_label", "text"),
        ("weight", "float64"),
        ("min_count", "int64"),
        ("drop_count", "int64"),
    ),
    "olx_cutoffs": (("letter", "text"), ("cutoff", "float64")),
}


# Until their definitions have landed.
_HOME = SPINE[Kind.HOME]
_BLOCK = [(f"block_{part}", "string") for part in ("key", "type", "id", "from")]
_PENDING = {
    "requests": (
        *_HOME,
        *_BLOCK,
        ("path", "string"),
        ("route", "string"),
        ("forum_action", "string"),
        ("thread_id", "string"),
        ("comment_id", "string"),
        ("commentable_id", "string"),
    ),
    "ora_events": (
        *_HOME,
        *_BLOCK,
        ("submission_uuid", "string"),
        ("submitted_at", "timestamp"),
        ("points", "float64"),
        ("points_possible", "float64"),
    ),
    "content_events": (*_HOME, *_BLOCK),
    "other_events": (*_HOME, ("payload", "string")),
}


class Definition(NamedTuple):
    """What a file of SQL says of itself: what it makes, each key of its header, its columns."""

    kind: str
    keys: Mapping[str, str]
    columns: Sequence[tuple[str, str]]
    statement: str

    def words(self, key: str) -> list[str]:
        return [word.rstrip("?!,") for word in self.keys.get(key, "").split()]


@functools.cache
def definition(name: str) -> Definition:
    text = (SQL / f"{name}.sql").read_text("utf-8")
    keys: dict[str, str] = {}
    columns: list[tuple[str, str]] = []
    key = ""
    for line in itertools.takewhile(lambda line: line.startswith("--"), text.splitlines()):
        if found := re.fullmatch(r"-- ([a-z]+):(.*)", line):
            key = found[1]
            keys[key] = found[2].strip()
        elif key == "columns":
            if found := re.match(r"--   (\w+) (\w+)[^:]*: ", line):
                columns.append((found[1], found[2]))
        else:
            keys[key] += f" {line[2:].strip()}"
    kind = next(iter(keys))
    assert keys[kind] == name
    return Definition(kind, keys, columns, text)


@functools.cache
def schemas() -> Mapping[str, pa.Schema]:
    """Of every input, its columns as the engine's views have them."""
    own: dict[str, Iterable[tuple[str, str]]] = {**_OLX, **_PENDING}
    own |= {name: table.schema for name, table in event_tables().items()}
    for table in [*tables().values(), joined_table()]:
        names = {name for name, _ in table.columns}
        more = [one for one in _OF_PACKAGE if one[0] not in names]
        own[f"db_{table.name}"] = [*table.columns, *more]
    return {
        name: pa.schema([(column, TYPES[of]) for column, of in columns])
        for name, columns in own.items()
    }


class Course:
    """One DuckDB for the rows of one course after the other."""

    def __init__(self) -> None:
        self.db = duckdb.connect(config={"threads": 1})
        self.db.execute("set timezone = 'UTC'")
        for name, schema in schemas().items():
            empty = schema.empty_table()  # noqa: F841 - DuckDB finds it by its name
            self.db.execute(f"create table {name} as from empty")
        self.told: dict[str, Any] = {}
        self.given: list[str] = []
        self.made: list[str] = []

    def give(self, inputs: Inputs, parameters: Mapping[str, Any] | None = None) -> None:
        """Take rows in place of those before; `parameters` replace what is the default."""
        self.clear()
        asked = {**DEFAULTS, **(parameters or {})}
        asked |= {f"has_{name}": name in inputs for name in schemas()}
        for name, value in asked.items():
            if name not in self.told or self.told[name] != value:
                self.db.execute(f"set variable {name} = $1", [value])
        self.told = asked
        for name, schema in schemas().items():
            if name in inputs:
                rows = [{one: row.get(one) for one in schema.names} for row in inputs[name]]
                for row in inputs[name]:
                    assert set(row) <= set(schema.names), set(row) - set(schema.names)
                self.db.register(name, pa.Table.from_pylist(rows, schema))
                self.given.append(name)

    def clear(self) -> None:
        for name in self.made:
            self.db.execute(f"drop table {name}")
        for name in self.given:
            self.db.unregister(name)
        self.made, self.given = [], []

    def make(self, name: str) -> list[Row]:
        """The rows of a table, in its order; as the twins write them."""
        self.ready(name)
        order = ", ".join(f'"{one}"' for one in definition(name).words("order")) or "all"
        return plain(self.db.sql(f"from {name} order by {order}").to_arrow_table())

    def ready(self, name: str) -> None:
        if name in self.made:
            return
        one = definition(name)
        for need in one.words("needs"):
            self.ready(need)
        # Views are planned once for all that read them: the courses of tests are small.
        self.db.execute(f"create temp table {name} as {one.statement}")
        self.made.append(name)


def plain(table: pa.Table) -> list[Row]:
    """Rows with moments as datetimes of UTC."""
    for at, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            cast = table.column(at).cast(pa.timestamp("us", "UTC"))
            table = table.set_column(at, field.name, cast)
    rows: list[Row] = table.to_pylist()
    for row in rows:
        for name, value in row.items():
            if isinstance(value, datetime):
                row[name] = value.astimezone(UTC)
    return rows


DAY_ONE = datetime(2020, 3, 2, 9, 0, tzinfo=UTC)


def moment(seconds: float) -> datetime:
    """So many seconds after the first moment of the tests' course."""
    return DAY_ONE + timedelta(microseconds=round(seconds * 1_000_000))


def day(text: str) -> date:
    return date.fromisoformat(text)


def numbered(rows: Iterable[Row], **common: Any) -> list[Row]:
    """Events of one source, numbered as they stand; by a browser of `prod`, if not said."""
    spine = {
        "source": "a.log",
        "line_item": 0,
        "site": "prod",
        "course_id": DEFAULTS["course_id"],
        "event_source": "browser",
    }
    return [{"line": n, **spine, **common, **row} for n, row in enumerate(rows, 1)]
