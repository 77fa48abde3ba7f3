"""Definitions of derived tables: SQL files, one statement each, below a header that is checked.

The header is the one source of what a table is: its inputs, its columns, the order of its rows.
Nothing here runs a statement.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edxlogs.edx import tables as packages
from edxlogs.edx.event_tables import event_tables
from edxlogs.edx.event_tables.definition import ROLES
from edxlogs.errors import ConfigError
from edxlogs.text import shown
from edxlogs.values import MOST_TOML_BYTES, read_text

VERSION = 1
"""Of the definitions: it changes where a table means something else than before."""
PEERS = ("simeon",)
"""Tools whose tables there are definitions for, by the names of their columns."""
DATABASE = "db_"
"""What the name of an input begins with that is a table of packages."""
OLX: Mapping[str, tuple[tuple[str, str], ...]] = {
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
"""Inputs that the content of a course tells, each with name and type of its columns."""
TYPES: Mapping[str, str] = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
    "date": "DATE",
}
"""Types of columns, and what DuckDB calls them."""

_KEY = re.compile(r"-- ([a-z]+):(?: (.*))?")
_MORE = re.compile(r"--   (\S.*)")
_COLUMN = re.compile(r"(\w+) (\w+)(?: \[([^]:]+)\])?(?: \[role: ([^]]+)\])?: (.+)")
_MEANING = re.compile(r"-- {4,}(\S.*)")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Kind(enum.StrEnum):
    """What becomes of the rows of a statement."""

    TABLE = "table"
    """They are a derived table, and written."""
    STEP = "internal table"
    """Other statements read them; nobody else does."""
    VIEW = "internal view"
    """Likewise, and they are made anew for each."""
    ACCOUNT = "account"
    """They are counts for the account: `what` and `n`."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a derived table.

    Attributes:
        name: of it.
        type: one of `TYPES`.
        about: what it holds, and when it is null.
        unit: of its numbers, such as `s`; empty if they have none.
        role: what it tells of a person; empty for nothing.
    """

    name: str
    type: str
    about: str
    unit: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """A statement, and what its header says.

    Attributes:
        name: of what it makes.
        kind: what becomes of its rows.
        text: all of the file.
        about: what it is for.
        inputs: tables of events, of packages and of content that it reads, each with whether it
            cannot do without.
        needs: derived tables that it reads, likewise.
        order: columns that tell rows from each other; rows stand in their order.
        columns: of a table, in order.
        differs: of a table that is called as a peer's, columns that mean something else there.
    """

    name: str
    kind: Kind
    text: str
    about: str
    inputs: Mapping[str, bool]
    needs: Mapping[str, bool]
    order: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    differs: tuple[str, ...] = ()

    @property
    def statement(self) -> str:
        """The statement, without a semicolon at its end."""
        return self.text.rstrip().removesuffix(";")


def schema_of(name: str) -> tuple[tuple[str, str], ...] | None:
    """Name and type of the columns of an input; None: there is no such input."""
    if name in OLX:
        return OLX[name]
    if name.startswith(DATABASE):
        table = _database_tables().get(name.removeprefix(DATABASE))
        return None if table is None or table.is_content else table.columns
    table_of_events = event_tables().get(name)
    return None if table_of_events is None else table_of_events.schema


@functools.cache
def _database_tables() -> Mapping[str, packages.Table]:
    return {**packages.tables(), packages.JOINED: packages.joined_table()}


class _Header:
    """Reads the header of a file."""

    def __init__(self, where: str, text: str) -> None:
        self._where = where
        self._keys: dict[str, tuple[int, list[str]]] = {}
        key = ""
        for number, line in enumerate(text.splitlines(), 1):
            if not line.startswith("--"):
                break
            if match := _KEY.fullmatch(line):
                key, first = match[1], match[2]
                if key in self._keys:
                    raise self.wrong(f"{key} appears twice", number)
                self._keys[key] = (number, [first] if first else [])
            elif key and (match := _MEANING.fullmatch(line)) and self._keys[key][1]:
                self._keys[key][1][-1] += f" {match[1]}"
            elif key and (match := _MORE.fullmatch(line)):
                self._keys[key][1].append(match[1])
            else:
                raise self.wrong("is not a header line: write `-- key: value`", number)
        known = {"table", "account", "as", "about", "inputs", "needs", "order", "differs"}
        known.add("columns")
        for key, (number, _) in self._keys.items():
            if key not in known:
                raise self.wrong(f"{shown(key)} is not known", number)

    def wrong(self, why: str, number: int = 1) -> ConfigError:
        """The error of a line."""
        return ConfigError(f"sql: {self._where}: line {number}: {why}")

    def has(self, key: str) -> bool:
        """Whether a key is there."""
        return key in self._keys

    def text(self, key: str) -> str:
        """The value of a key, in one line."""
        return " ".join(self._keys[key][1]) if key in self._keys else ""

    def names(self, key: str) -> dict[str, bool]:
        """Names, each with whether it stands with the mark: `!` of inputs, `?` of needs."""
        found = {}
        mark = "!" if key == "inputs" else "?"
        for word in self.text(key).split():
            name = word.removesuffix("!").removesuffix("?")
            if len(word) - len(name) > 1 or _NAME.fullmatch(name) is None:
                raise self.wrong(f"{key}: {shown(word)}: is not a name", self._keys[key][0])
            found[name] = word.endswith(mark)
        return found

    def kind(self) -> tuple[Kind, str]:
        """What becomes of the rows, and the name."""
        keys = [key for key in ("table", "account") if key in self._keys]
        if len(keys) != 1:
            raise self.wrong("must say once what it makes: write `-- table: NAME`")
        name, kind = self.text(keys[0]), self.text("as") or keys[0]
        if _NAME.fullmatch(name) is None:
            raise self.wrong(f"{shown(name)}: is not a name", self._keys[keys[0]][0])
        if "as" in self._keys and kind not in (Kind.STEP, Kind.VIEW):
            raise self.wrong(f"as: {shown(kind)}: write {Kind.STEP} or {Kind.VIEW}")
        return Kind(kind), name

    def columns(self) -> Iterator[Column]:
        """The columns, in order."""
        first, lines = self._keys.get("columns", (1, []))
        seen = set()
        for line in lines:
            match = _COLUMN.fullmatch(line)
            if match is None or match[2] not in TYPES or match[4] not in (None, *ROLES):
                told = "NAME TYPE [UNIT] [role: ROLE]: MEANING"
                raise self.wrong(f"columns: {shown(line)}: is not a column: write {told}", first)
            if match[1] in seen:
                raise self.wrong(f"columns: {match[1]} appears twice", first)
            seen.add(match[1])
            yield Column(match[1], match[2], match[5], match[3] or "", match[4] or "")


def read_definition(where: str, text: str) -> Definition:
    """Read a file.

    Args:
        where: as messages call it.
        text: of the file.

    Raises:
        ConfigError: the header is wrong; the message says where.
    """
    header = _Header(where, text)
    kind, name = header.kind()
    columns = tuple(header.columns())
    order, differs = (
        tuple(word.rstrip(",") for word in header.text(key).split()) for key in ("order", "differs")
    )
    inputs = header.names("inputs")
    needs = {name: not is_optional for name, is_optional in header.names("needs").items()}
    for one in inputs:
        if schema_of(one) is None:
            raise header.wrong(f"inputs: {one}: no such table")
    if kind is Kind.ACCOUNT and (columns or order):
        raise header.wrong("an account has neither columns nor an order")
    if kind is not Kind.ACCOUNT:
        for key in ("about", "order", "columns"):
            if not header.has(key):
                raise header.wrong(f"{key} is missing")
        for key, those in (("order", order), ("differs", differs)):
            for one in those:
                if one not in {column.name for column in columns}:
                    raise header.wrong(f"{key}: {shown(one)}: is not a column")
    about = header.text("about")
    return Definition(name, kind, text, about, inputs, needs, order, columns, differs)


@dataclass(frozen=True, slots=True)
class Definitions:
    """All definitions of a run.

    Attributes:
        by_name: each after those that it needs.
        custom: names of those that are not the package's own.
    """

    by_name: Mapping[str, Definition]
    custom: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[Definition, ...]:
        """Those whose rows are written."""
        return tuple(one for one in self.by_name.values() if one.kind is Kind.TABLE)

    def needed(self, names: Iterable[str]) -> tuple[Definition, ...]:
        """Some, and all that they need, in the order in which they can be made."""
        wanted = set(names)
        for one in reversed([*self.by_name.values()]):
            if one.name in wanted:
                wanted.update(one.needs)
        return tuple(one for one in self.by_name.values() if one.name in wanted)

    def read_by(self, name: str) -> set[str]:
        """The inputs that a table reads, itself or by way of what is not written."""
        one = self.by_name[name]
        found = set(one.inputs)
        for need in one.needs:
            if self.by_name[need].kind is not Kind.TABLE:
                found |= self.read_by(need)
        return found

    def digest(self, names: Iterable[str] | None = None) -> str:
        """SHA-256 of the files of some definitions and of all that they need, or of all."""
        chosen = self.by_name.values() if names is None else self.needed(names)
        told = hashlib.sha256()
        for one in sorted(chosen, key=lambda one: one.name):
            told.update(hashlib.sha256(one.text.encode()).digest())
        return told.hexdigest()


def _in_order(found: Mapping[str, Definition], where: Mapping[str, str]) -> dict[str, Definition]:
    """Put each behind those that it needs."""
    done: dict[str, Definition] = {}
    under_way: set[str] = set()

    def put(name: str) -> None:
        one = found[name]
        if name in done:
            return
        if name in under_way:
            raise ConfigError(f"sql: {where[name]}: depends on itself, through others")
        under_way.add(name)
        for need in sorted(one.needs):
            if need not in found or found[need].kind is Kind.ACCOUNT:
                raise ConfigError(f"sql: {where[name]}: needs: {need}: no such table")
            put(need)
        done[name] = one

    for name in sorted(found):
        put(name)
    return done


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each file of a folder."""
    for path in sorted(folder.glob("*.sql")):
        where = shown(path.name)
        try:
            yield path.stem, read_text(path, MOST_TOML_BYTES)
        except OSError as error:
            raise ConfigError(f"sql: {where}: {error.strerror}; let edxlogs read it") from error
        except UnicodeDecodeError:
            raise ConfigError(f"sql: {where}: is not UTF-8; save it as UTF-8") from None


def read_definitions(folder: Path | None = None, peers: Iterable[str] = ()) -> Definitions:
    """Read the definitions of the package.

    Args:
        folder: of files that stand for, or beside, its own; None: there is none.
        peers: of `PEERS`, whose tables are wanted, too.

    Raises:
        ConfigError: there is no such folder or file in it, or a file is wrong.
    """
    home = Path(__file__).with_name("sql")
    texts = {
        name: (f"{name}.sql", text)
        for place in (home, *(home / peer for peer in peers))
        for name, text in _files(place)
    }
    own = {}
    if folder is not None:
        place = shown(os.fspath(folder))
        if not folder.is_dir():
            raise ConfigError(f"sql-dir: {place}: is not a folder; name one with SQL files")
        own = {name: (f"{place}/{shown(name)}.sql", text) for name, text in _files(folder)}
        if not own:
            raise ConfigError(f"sql-dir: {place}: holds no SQL file; name them like sessions.sql")
    found, where = {}, {}
    for stem, (place, text) in {**texts, **own}.items():
        one = read_definition(place, text)
        if one.name != stem:
            raise ConfigError(f"sql: {place}: makes {one.name}; call the file {one.name}.sql")
        if schema_of(one.name) is not None:
            raise ConfigError(f"sql: {place}: {one.name} is a table of events; choose another name")
        found[stem], where[stem] = one, place
    custom = tuple(name for name in sorted(own) if own[name][1] != texts.get(name, ("", ""))[1])
    return Definitions(_in_order(found, where), custom)
