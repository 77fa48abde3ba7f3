"""Derived tables made of rows that stand in a test: inputs as the engine has them, in one DuckDB.

An input is a list of dicts; columns that a row lacks are null, inputs that are not given are
missing. `make` gives the rows of a table, after all that it needs.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from edxlogs.derived.definition import PEERS, TYPES, Definition, read_definitions
from edxlogs.derived.views import columns_of
from edxlogs.edx.event_tables import event_tables

Row = dict[str, Any]
Inputs = Mapping[str, Sequence[Row]]

ARROW: Mapping[str, pa.DataType] = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
    "DATE": pa.date32(),
}
DEFAULTS: Mapping[str, Any] = {
    "course_id": "course-v1:UniX+CS1+2020",
    "gap": 1_800_000_000,
    "cap": 300_000_000,
    "cap_long": 1_800_000_000,
    "tz": "UTC",
    "as_of": None,
    "min_n": 10,
    "with_email_domain": False,
}


@functools.cache
def definitions() -> Mapping[str, Definition]:
    return read_definitions(peers=PEERS).by_name


@functools.cache
def schemas() -> Mapping[str, pa.Schema]:
    """Of every input, its columns as the engine's views have them."""
    names = {name for one in definitions().values() for name in one.inputs}
    found = {}
    for name in sorted(names):
        kinds = {**TYPES, "text": "VARCHAR", "json": "VARCHAR"}
        found[name] = pa.schema([(one, ARROW[kinds[of]]) for one, of in columns_of(name)])
    return found


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
        self.lacking: set[str] = set()

    def give(self, inputs: Inputs, parameters: Mapping[str, Any] | None = None) -> None:
        """Take rows in place of those before; `parameters` replace what is the default."""
        self.clear()
        asked = {**DEFAULTS, **(parameters or {})}
        asked |= {f"has_{name}": name in inputs for name in schemas()}
        asked["has_events"] = any(name in event_tables() for name in inputs)
        for name, value in asked.items():
            self.set(name, value)
        for name, schema in schemas().items():
            if name in inputs:
                rows = [{one: row.get(one) for one in schema.names} for row in inputs[name]]
                for row in inputs[name]:
                    assert set(row) <= set(schema.names), set(row) - set(schema.names)
                self.db.register(name, pa.Table.from_pylist(rows, schema))
                self.given.append(name)

    def clear(self) -> None:
        for name in self.made:
            self.db.execute(f"drop table if exists {name}")
        for name in self.given:
            self.db.unregister(name)
        self.made, self.given, self.lacking = [], [], set()

    def set(self, name: str, value: Any) -> None:
        """Set what `getvariable` gives."""
        if name not in self.told or self.told[name] != value:
            self.db.execute(f"set variable {name} = $1", [value])
            self.told[name] = value

    def make(self, name: str) -> list[Row]:
        """The rows of a table, in its order; as the twins write them."""
        self.ready(name)
        order = ", ".join(f'"{one}"' for one in definitions()[name].order) or "all"
        return plain(self.db.sql(f"from {name} order by {order}").to_arrow_table())

    def ready(self, name: str) -> None:
        if name in self.made:
            return
        one = definitions()[name]
        for need in one.needs:
            self.ready(need)
            self.set(f"has_{need}", need not in self.lacking)
        self.made.append(name)
        columns = [(column.name, TYPES[column.type]) for column in one.columns]
        needed = {name for name, is_needed in one.inputs.items() if is_needed}
        needed |= {need for need, is_needed in one.needs.items() if is_needed}
        if needed - set(self.given) - (set(self.made) - self.lacking):
            self.lacking.add(name)
            empty = ", ".join(f'null::{kind} as "{column}"' for column, kind in columns)
            self.db.execute(f"create temp table {name} as select {empty} where false")
            return
        casts = ", ".join(f'"{column}"::{kind} as "{column}"' for column, kind in columns)
        # Views are planned once for all that read them: the courses of tests are small.
        self.db.execute(
            f"create temp table {name} as select {casts or '*'} from ({one.statement}\n)"
        )


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


def same(made: Sequence[Row], twin: Sequence[Row]) -> None:
    """Rows are those of the twin; else only what differs is told."""
    for row, other in zip(made, twin, strict=False):
        told = {name: (row.get(name), other.get(name)) for name in {**row, **other}}
        wrong = {name: its for name, its in told.items() if its[0] != its[1]}
        assert not wrong, wrong
    assert len(made) == len(twin), (made[len(twin) :], twin[len(made) :])


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
