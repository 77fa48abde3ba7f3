"""Write the pages of commands, event types and database tables from what the package defines."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import click

import edxlogs.edx.categories
from edxlogs.cli import cli
from edxlogs.edx.event_tables import homes
from edxlogs.edx.tables import Dialect, Table, joined_table, tables
from make_man import STATUSES, contexts, option_groups

PAGES = Path(__file__).parent / "reference"
_COMMANDS = """\
# Commands and options

The same text as `edxlogs COMMAND --help`. `edxlogs --debug COMMAND …` adds what a
[bug report](doctor.md#reporting-a-bug) needs.

"""
_STATUSES = """\
## Exit status

| status | meaning |
| --- | --- |
"""
_TYPES = """\
# Event types

All {types} event types that edxlogs knows, in {categories} categories. `--event-type` selects a
type, `--category` all types of a category. Search this page, or the site, for a type that you have
met in a log.

Every event is a row of one [event table](tables.md), which the last column names. Where `name` and
`event_type` spell an event differently, both spellings are here. A type that is not listed goes to
[`other_events`](tables/other_events.md). [`edxlogs summary`](summary.md) shows which types your
logs hold.

"""
_HEAD = """\
| event type | `event_source` | also called | event table |
| --- | --- | --- | --- |
"""
_TABLES = """\
# Database tables

The {tables} tables that [`edxlogs db convert`](db.md) knows, and their columns. A package holds
one file per course and table, unless the table says otherwise. Every converted table ends with the
columns `site`, `package`, `snapshot_date`, `member`, `row`, `extra` and `misfits`, which
[database packages](db.md#tables) explains.

The last column says what a column reveals about a person.

"""
_DIALECTS = {
    Dialect.TAB: "tab-separated, with a header",
    Dialect.MODULE: "tab-separated, with a header and escapes of its own",
    Dialect.CSV: "comma-separated, with a header",
    Dialect.STRUCTURE: "one JSON object with all blocks of the course",
    Dialect.FORUM: "one MongoDB document a line",
    Dialect.OLX: "a tar with the content of the course",
}


def cell(text: str) -> str:
    """Text as a cell of a table holds it."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def commands() -> str:
    """The page of commands, in the order of the help."""
    root = click.Context(cli, info_name="edxlogs")
    sections = [_section(ctx) for ctx in contexts(root)]
    statuses = "".join(f"| {status} | {told} |\n" for status, told in STATUSES)
    return _COMMANDS + "\n".join(sections) + "\n" + _STATUSES + statuses


def _section(ctx: click.Context) -> str:
    command = ctx.command
    usage = " ".join(command.collect_usage_pieces(ctx))
    lines = [f"## {ctx.command_path}\n", f"```text\n{ctx.command_path} {usage}\n```\n"]
    for paragraph in (command.help or "").split("\n\n"):
        lines.append(" ".join(paragraph.split()).replace("<", "&lt;") + "\n")
    groups = list(option_groups(ctx))
    for name, records in groups:
        heading = name if len(groups) > 1 else "Options"
        # A code span in a table has no way to write `|` that all readers of Markdown agree on.
        rows = [f"| `{spelled.replace('|', '/')}` | {cell(told)} |" for spelled, told in records]
        lines += [f"| {heading} | |\n| --- | --- |", *rows, ""]
    epilog = (command.epilog or "").replace("\b", "").strip()
    if epilog.startswith("Examples:"):
        examples = epilog.removeprefix("Examples:").strip("\n").splitlines()
        lines += ["```sh", *(line.removeprefix("  ") for line in examples), "```\n"]
    return "\n".join(lines)


def event_types() -> str:
    """The page of event types, a section for each category."""
    path = Path(edxlogs.edx.categories.__file__).with_name("categories.tsv")
    lines = (line for line in path.read_text("utf-8").splitlines() if not line.startswith("#"))
    by_category: dict[str, list[str]] = {}
    home = {**homes().of, "/*": "requests"}
    count = 0
    for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
        count += 1
        alias = f"`{row['alias']}`" if row["alias"] else ""
        sources = row["sources"].replace(",", ", ")
        table = home[row["name"]]
        by_category.setdefault(row["category"], []).append(
            f"| `{row['name']}` | {sources} | {alias} | [{table}](tables/{table}.md) |\n"
        )
    head = (
        "| event type | `event_source` | also called | event table |\n| --- | --- | --- | --- |\n"
    )
    sections = (f"## {name}\n\n{head}{''.join(rows)}" for name, rows in by_category.items())
    return _TYPES.format(types=count, categories=len(by_category)) + "\n".join(sections)


def database_tables() -> str:
    """The page of the tables of database packages."""
    known = [*tables().values(), joined_table()]
    return _TABLES.format(tables=len(known)) + "\n".join(map(_table, known))


def _table(table: Table) -> str:
    return f"## {table.name}\n\n{' '.join(_about(table))}\n{_columns(table)}"


def _about(table: Table) -> Iterator[str]:
    if table == joined_table():
        yield "Made by `--expand ora`, from the tables of open response assessments."
        return
    names = " or ".join(f"`{name}{table.extension}`" for name in table.file_names)
    called = f"Files end in {names}" if names else f"Files end in `{table.extension}`"
    yield f"{called}: {_DIALECTS[table.dialect]}."
    if not table.is_of_course:
        yield "One file holds all courses."
    if table.is_content:
        yield "It has no rows: `--unpack` unpacks it."
    for old, new in table.renamed:
        yield f"A header `{old}` is read as `{new}`."


def _columns(table: Table) -> str:
    if table.is_content:
        return ""
    rows = "".join(f"| `{one.name}` | {one.type} | {one.role} |\n" for one in table.defined)
    more = "".join(
        f"| `{name}` | {kind} | with `--expand studentmodule` |\n"
        for name, kind, _, _ in table.derived
    )
    return f"\n| column | type | of a person |\n| --- | --- | --- |\n{rows}{more}"


def pages() -> dict[str, str]:
    """Text by page, below `PAGES`."""
    return {
        "commands.md": commands(),
        "event-types.md": event_types(),
        "database-tables.md": database_tables(),
    }


if __name__ == "__main__":
    for name, text in pages().items():
        (PAGES / name).write_text(text, "utf-8")
