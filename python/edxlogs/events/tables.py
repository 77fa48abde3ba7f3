"""Event tables: which are asked for, and what a query needs to make their rows."""

from __future__ import annotations

import difflib
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import orjson

from edxlogs import _core
from edxlogs.edx.event_tables import (
    EventTable,
    Homes,
    Kind,
    UserTables,
    document,
    event_tables,
    homes,
    read_user_tables,
)
from edxlogs.edx.event_tables.homes import OTHER
from edxlogs.errors import ConfigError
from edxlogs.text import shown
from edxlogs.values import Values, names

OnePath = str | PathLike[str]

TABLES_VERSION = 1
"""Of our own definitions: rows of one version are alike, and no dataset holds those of two."""
FORMS = "problem_forms"
"""The one built-in table that must be asked for, because it mostly repeats `problem_inputs`."""


@dataclass(frozen=True, slots=True)
class AskedTable:
    """An event table to make. It can be sent to other processes.

    Attributes:
        name: name of the table.
        kind: how its rows relate to events.
        has_text: whether free text is written; otherwise those columns are null.
        document: definitions of all tables, as the core reads them, if some are the user's; empty
            for the built-in ones.
        definition: distinguishes the rows from those of other definitions; empty for the built-in
            ones.
    """

    name: str
    kind: Kind
    has_text: bool = True
    document: bytes = b""
    definition: str = ""

    @property
    def home(self) -> str:
        """The table whose count of kept events its rows add up to; empty if there is none."""
        return self.name if self.kind is Kind.HOME else ""

    def words(self) -> dict[str, Any]:
        """The table as keywords of `_core.Query`."""
        return {"tables": _core_tables(self.document, self.has_text), "table": self.name}

    def told(self) -> dict[str, Any]:
        """What distinguishes its rows from others in a manifest."""
        told: dict[str, Any] = {"table": self.name, "tables_version": TABLES_VERSION}
        if not self.has_text:
            told["no_text"] = True
        if self.definition:
            told["definition"] = self.definition
        return told

    def metadata(self) -> list[tuple[str, str]]:
        """What the footer of Parquet says about it."""
        return [("edxlogs.table", self.name), ("edxlogs.tables_version", str(TABLES_VERSION))]


@functools.lru_cache(maxsize=8)
def _core_tables(content: bytes, has_text: bool) -> _core.EventTables:
    """The definitions of a document in the core, read once and shared by the tables of a pass."""
    content = content or document(event_tables().values(), homes())
    return _core.EventTables(content, no_text=not has_text)


def asked_tables(
    named: Values = None,
    files: Sequence[OnePath] = (),
    *,
    with_forms: bool = False,
    no_text: bool = False,
) -> tuple[AskedTable, ...]:
    """Which tables are asked for, in the order of their definitions.

    Args:
        named: names, each possibly several with commas; None means all but `problem_forms`.
        files: files with tables that the user defined.
        with_forms: whether to include `problem_forms`.
        no_text: whether to leave out free text.

    Raises:
        ConfigError: a table does not exist, or a file defines an invalid one.
    """
    known, content, own = event_tables(), b"", UserTables({}, homes())
    if files:
        own = read_user_tables(files)
        known = {**known, **own.tables}
        content = document(known.values(), own.homes)
    wanted = {known_table(name, known) for name in names("table", named)}
    if not wanted:
        wanted = known.keys() - {FORMS}
    if with_forms:
        wanted.add(FORMS)
    for name, table in own.tables.items():
        if name not in wanted and table.kind is not Kind.HOME:
            raise ConfigError(
                f"table-file: its table {name} is not asked for; add --table {name}, or leave the"
                " file out"
            )
    definitions = _definitions(own)
    return tuple(
        AskedTable(name, table.kind, not no_text, content, definitions.get(name, ""))
        for name, table in known.items()
        if name in wanted
    )


def _definitions(own: UserTables) -> dict[str, str]:
    """For each table that users define or change, what distinguishes its rows from others."""
    found = {name: document([one], Homes({}, ())) for name, one in own.tables.items()}
    taken = sorted(one for one, its in own.homes.of.items() if its in own.tables)
    if taken:
        found[OTHER] = orjson.dumps(taken)
    return {name: hashlib.sha256(told).hexdigest()[:16] for name, told in found.items()}


def known_table(name: str, known: Mapping[str, EventTable]) -> str:
    """Check the name of a table, and return it.

    Raises:
        ConfigError: there is no such table. The message names the nearest one, or all.
    """
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"use {', '.join(known)}"
    raise ConfigError(f"table: {shown(name)}: is not known; {hint}")
