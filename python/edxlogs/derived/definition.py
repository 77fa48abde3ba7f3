"""Definitions of derived tables: SQL files with one statement each, below a checked header.

The header alone says what a table is: its inputs, its columns, the order of its rows. Nothing in
this module runs a statement.
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
"""Tools for whose tables there are definitions, with their column names."""
DATABASE = "db_"
"""Prefix of the names of inputs that are tables of packages."""
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
"""Inputs taken from the content of a course, each with name and type of its columns."""
TYPES: Mapping[str, str] = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
    "date": "DATE",
}
"""Types of columns, and their names in DuckDB."""

_KEY = re.compile(r"-- ([a-z]+):(?: (.*))?")
_MORE = re.compile(r"--   (\S.*)")
_COLUMN = re.compile(r"(\w+) (\w+)(?: \[([^]:]+)\])?(?: \[role: ([^]]+)\])?: (.+)")
_MEANING = re.compile(r"-- {4,}(\S.*)")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Kind(enum.StrEnum):
    """What becomes of the rows of a statement."""

    TABLE = "table"
    """They are a derived table, which is written."""
    STEP = "internal table"
    """Only other statements read them."""
    VIEW = "internal view"
    """Only other statements read them, and each makes them again."""
    ACCOUNT = "account"
    """They are counts for the account: `what` and `n`."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a derived table.

    Attributes:
        name: its name.
        type: one of `TYPES`.
        about: what it holds, and when it is null.
        unit: unit of its numbers, such as `s`; empty if they have none.
        role: what it tells about a person; empty for nothing.
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
        name: name of what it makes.
        kind: what becomes of its rows.
        text: the whole file.
        about: what it is for.
        inputs: tables of events, packages and content that it reads, each with whether it is
            required.
        needs: derived tables that it reads, likewise.
        order: columns that identify a row, and by which rows are sorted.
        columns: columns of a table, in order.
        differs: for a table with a peer's name, columns that mean something else there.
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
    """Name and type of the columns of an input; None if there is no such input."""
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
        """The error for a line."""
        return ConfigError(f"sql: {self._where}: line {number}: {why}")

    def has(self, key: str) -> bool:
        """Whether a key is present."""
        return key in self._keys

    def text(self, key: str) -> str:
        """The value of a key, on one line."""
        return " ".join(self._keys[key][1]) if key in self._keys else ""

    def names(self, key: str) -> dict[str, bool]:
        """Names, each with whether it has the mark: `!` for inputs, `?` for needs."""
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
        where: how messages call it.
        text: text of the file.

    Raises:
        ConfigError: the header is invalid; the message says where.
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
        by_name: definitions by name, each after those that it needs.
        custom: names of those that are not built in.
    """

    by_name: Mapping[str, Definition]
    custom: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[Definition, ...]:
        """Those whose rows are written."""
        return tuple(one for one in self.by_name.values() if one.kind is Kind.TABLE)

    def needed(self, names: Iterable[str]) -> tuple[Definition, ...]:
        """Some definitions and everything that they need, in a possible order of making them."""
        wanted = set(names)
        for one in reversed([*self.by_name.values()]):
            if one.name in wanted:
                wanted.update(one.needs)
        return tuple(one for one in self.by_name.values() if one.name in wanted)

    def read_by(self, name: str) -> set[str]:
        """The inputs that a table reads, directly or through intermediate results."""
        one = self.by_name[name]
        found = set(one.inputs)
        for need in one.needs:
            if self.by_name[need].kind is not Kind.TABLE:
                found |= self.read_by(need)
        return found

    def digest(self, names: Iterable[str] | None = None) -> str:
        """SHA-256 of the files of some definitions and everything that they need, or of all."""
        chosen = self.by_name.values() if names is None else self.needed(names)
        told = hashlib.sha256()
        for one in sorted(chosen, key=lambda one: one.name):
            told.update(hashlib.sha256(one.text.encode()).digest())
        return told.hexdigest()


def _in_order(found: Mapping[str, Definition], where: Mapping[str, str]) -> dict[str, Definition]:
    """Sort definitions so that each comes after those that it needs."""
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
    """Read the built-in definitions and those of a folder.

    Args:
        folder: folder with files that replace or add to the built-in ones, or None.
        peers: those of `PEERS` whose tables are wanted too.

    Raises:
        ConfigError: the folder or a file in it does not exist, or a file is invalid.
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
