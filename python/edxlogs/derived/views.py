"""The inputs of a course as DuckDB views: those that exist, and empty ones for the others."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

from edxlogs.derived.definition import DATABASE, OLX, TYPES, schema_of
from edxlogs.edx.event_tables import event_tables

_SQL_TYPES = {**TYPES, "text": "VARCHAR", "json": "VARCHAR"}
_OF_FILES = (
    ("site", "text"),
    ("package", "text"),
    ("snapshot_date", "date"),
    ("member", "text"),
    ("row", "int64"),
    ("extra", "text"),
    ("misfits", "text"),
)
_PACKAGE_DAY = ("package_date", "date")  # stands for `snapshot_date` where each snapshot is kept
_COURSE = "course_id"
FILES = "files of "
"""Prefix of the names of variables that hold the files of an input."""
KEY = ("source", "line", "line_item")
"""The columns that identify a row of events."""
# Rows that differ in these are not copies of each other; few rows agree in all of them.
_MARKS = ("time", "site", "user_id", "username", "session", "event_type", "ip", "agent")


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """A value as SQL writes it.

    Args:
        value: None, or a bool, int, float, text or datetime with a zone; or a list of these.
    """
    if value is None:
        return "null"
    if isinstance(value, bool | int):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value!r}::double"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    text = "'" + str(value).replace("'", "''") + "'"
    return f"timestamptz {text}" if isinstance(value, datetime.datetime) else text


def names(columns: Iterable[str], prefix: str = "") -> str:
    """Column names with commas between."""
    return ", ".join(f"{prefix}{quoted(column)}" for column in columns)


def empty_table(name: str, schema: Sequence[tuple[str, str]]) -> str:
    """A table without rows. A table made for a course takes precedence over it."""
    columns = ", ".join(f"{quoted(column)} {_SQL_TYPES[kind]}" for column, kind in schema)
    return f"create table main.{quoted(name)} ({columns})"


def columns_of(name: str) -> tuple[tuple[str, str], ...]:
    """Name and type of the columns of an input's view."""
    schema = schema_of(name)
    assert schema is not None, name
    if name.startswith(DATABASE):
        own = [column for column, _ in schema]
        more = [one for one in (*_OF_FILES, (_COURSE, "text")) if one[0] not in own]
        return (*schema, *more)
    return schema


def view(name: str, *, where: str = "", kept: bool = False, is_whole: bool = True) -> str:
    """The view of an input that has files. The variable `FILES` with its name holds them.

    Args:
        name: name of the input.
        where: which rows to leave out, as SQL that follows `from … as raw`.
        kept: whether to read its rows at once, into a table.
        is_whole: whether the files have all columns; DuckDB refuses them if they do not. Otherwise,
            optional columns are null, and unknown ones are left out.
    """
    columns, schema = columns_of(name), schema_of(name) or ()
    is_database = name.startswith(DATABASE)
    # All rows belong to the course; a package table keeps its own column.
    told = {}
    if not is_database or _COURSE not in {column for column, _ in schema}:
        told[_COURSE] = f"getvariable('{_COURSE}')"
    rows = (
        f"read_parquet(getvariable('{FILES}{name}'), hive_partitioning = false,"
        " union_by_name = true)"
    )
    if not is_whole:
        read = [one for one in columns if one[0] not in told]
        if is_database:
            read.append(_PACKAGE_DAY)
            told["snapshot_date"] = "coalesce(snapshot_date, package_date)"
        nulls = ", ".join(f"null::{_SQL_TYPES[kind]} as {quoted(column)}" for column, kind in read)
        rows = f"(select {nulls} where false union all by name select * from {rows})"
    chosen = ", ".join(
        f"{told.get(column, quoted(column))}::{_SQL_TYPES[kind]} as {quoted(column)}"
        for column, kind in columns
    )
    return (
        f"create temp {'table' if kept else 'view'} {quoted(name)} as select {chosen} from"
        f" {rows} as raw {where}"
    )


def alike(table_names: Iterable[str]) -> str:
    """A count of rows of home tables that equal another row in the columns that are compared first.

    Returns:
        A statement that gives the name of each table, and the number.
    """
    marks = names(_MARKS)
    return " union all ".join(
        f"select {literal(name)}, count(*) - count(distinct hash({marks})) from {quoted(name)}"
        for name in table_names
    )


def copies(name: str, children: Sequence[str]) -> str:
    """The rows of a home table that are exact copies of another row, including their children.

    Of rows that are copies of each other, the first by source, line and line_item is not listed.

    Args:
        name: name of the table.
        children: tables of rows that belong to its rows.

    Returns:
        A query for their keys.
    """
    own = [column for column, _ in columns_of(name) if column not in KEY]
    marks, key = f"hash({names(_MARKS)})", names(KEY)
    joins, more = "", ""
    for child in children:
        fields = [column for column, _ in columns_of(child) if column not in KEY]
        row = ", ".join(f"{quoted(column)} := {quoted(column)}" for column in fields)
        joins += (
            f" left join (select {key}, list_sort(list(struct_pack({row}))) as"
            f" {quoted(child)} from {quoted(child)} semi join suspects using ({key})"
            f" group by all) using ({key})"
        )
        more += f", {quoted(child)}"
    return f"""
        with suspects as (
            select * from {quoted(name)} where {marks} in (
                select {marks} from {quoted(name)} group by all having count(*) > 1
            )
        ),
        ranked as (
            select {key}, row_number() over (
                partition by {names(own)}{more} order by {key}
            ) as nth
            from suspects{joins}
        )
        select {key} from ranked where nth > 1"""


def without(copies_table: str) -> str:
    """SQL that leaves out rows whose keys are in a table."""
    on = " and ".join(f"gone.{one} = raw.{one}" for one in KEY)
    return f"anti join {quoted(copies_table)} as gone on {on}"


def children_of(name: str) -> list[str]:
    """The tables whose rows belong to those of a home table."""
    return [one.name for one in event_tables().values() if one.parent == name]


def content_table(name: str, rows: Sequence[Sequence[Any]]) -> str:
    """A table with what the content of a course tells."""
    schema = OLX[name]
    values = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
    casts = ", ".join(f"{quoted(one)}::{_SQL_TYPES[kind]} as {quoted(one)}" for one, kind in schema)
    columns = names(column for column, _ in schema)
    return (
        f"create temp table {quoted(name)} as select {casts} from (values {values}) as t({columns})"
    )
