"""Definitions of tables, read from TOML and checked: what is wrong is told with its place."""

from __future__ import annotations

import datetime
import difflib
import functools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path as File
from typing import Any

from edxlogs import toml
from edxlogs.edx.event_tables.definition import (
    DECODERS,
    FLAGS,
    ROLES,
    SPINE,
    SUBJECT,
    TYPES,
    Action,
    Column,
    EventTable,
    FlagRule,
    Kind,
    Paths,
    Rows,
)
from edxlogs.edx.event_tables.homes import REQUESTS, Homes, homes
from edxlogs.edx.event_tables.paths import FORM, Path, parse_path, parse_steps
from edxlogs.errors import ConfigError
from edxlogs.text import shown

_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


def _words(value: Any) -> str | None:
    return " ".join(value.split()) or None if isinstance(value, str) else None


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None


def _mark(value: Any) -> str | None:
    return value if isinstance(value, str) and value.isascii() and value.isalpha() else None


def _one_of(those: Iterable[str]) -> toml.Value:
    known = tuple(those)
    return toml.Value(
        f"must be one of {', '.join(known)}", lambda value: value if value in known else None
    )


def _decoder(value: Any) -> str | None:
    if not isinstance(value, str) or value in DECODERS:
        return value if isinstance(value, str) else None
    near = difflib.get_close_matches(value, DECODERS, 1) or list(DECODERS)
    raise ConfigError(f"decoder: {shown(value)} is unknown; try {', '.join(near)}")


def _real(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def _nulls(value: Any) -> tuple[str | float, ...] | None:
    fits = (
        isinstance(value, list)
        and value
        and all(isinstance(one, str) or _real(one) is not None for one in value)
    )
    return tuple(value) if fits else None


def _tables(value: Any) -> list[dict[str, Any]] | None:
    fits = isinstance(value, list) and value and all(isinstance(one, dict) for one in value)
    return value if fits else None


def _needed(value: Any) -> Any:
    return True if value is True else toml.several(value)


def _day(value: Any) -> str | None:
    return value.isoformat() if type(value) is datetime.date else None


def _some(what: str) -> toml.Value:
    return toml.Value(f"must be a list of {what}", toml.several)


_TEXT = toml.Value("must be a text", _words)
_NAMED = toml.Value("must be a name of small letters, digits and _", _name)
_LISTED = toml.Value("must be a list of tables", _tables)
_REAL = toml.Value("must be a number", _real)
_DAY = toml.Value("must be a day, as 2013-07-15 without quotes", _day)
_FLAG = toml.Value("must be true or false", toml.flag)
_OF_TABLE = {
    "name": _NAMED,
    "about": _TEXT,
    "kind": _one_of(Kind),
    "parent": _NAMED,
    "rows": _LISTED,
    "without": _some("endings of keys"),
    "actions": toml.Value(
        "must be a list", lambda value: value if isinstance(value, list) else None
    ),
    "types": _some("event types"),
    "action_is_type": toml.Value("must be true", lambda value: value is True or None),
    "columns": _LISTED,
    "flags": _LISTED,
}
_OF_ACTION = {
    "action": _NAMED,
    "types": _some("event types"),
    "source": toml.Value("must be a source, such as browser", _name),
    "has": toml.Value("must be a path", toml.text),
    "kind": _NAMED,
}
_OF_ROWS = {
    "path": toml.Value("must be a path", toml.text),
    "mark": toml.Value("must be a letter or a word", _mark),
}
_OF_COLUMN = {
    "name": _NAMED,
    "type": _one_of(TYPES),
    "about": _TEXT,
    "decoder": toml.Value("must be the name of a decoder", _decoder),
    "paths": _some("paths"),
    "items": _some("paths"),
    "when": toml.Value(
        "must be a table of paths by action",
        lambda value: value if isinstance(value, dict) and value else None,
    ),
    "unit": _TEXT,
    "role": _one_of(ROLES),
    "min": _REAL,
    "max": _REAL,
    "nulls": toml.Value("must be a list of texts and numbers", _nulls),
    "needs": _NAMED,
    "unequal_to": _NAMED,
    "required": toml.Value("must be true, or a list of actions or kinds", _needed),
    "flag": _one_of(FLAGS),
    "from_form": _FLAG,
}
_OF_DECODER = {
    "min": "number",
    "max": "number",
    "required": "block id",
    "from_form": "block id",
    "flag": "bool",
    "items": "sum",
}
_OF_FLAG = {
    "flag": _one_of(FLAGS),
    "actions": _some("actions"),
    "since": _DAY,
    "until": _DAY,
    "has": toml.Value("must be a path", toml.text),
    "source": toml.Value("must be a source, such as browser", _name),
}


def _checked(
    where: str, table: Mapping[str, Any], known: Mapping[str, toml.Value], needed: Iterable[str]
) -> dict[str, Any]:
    """The values of a table, all needed ones among them."""
    try:
        values = toml.check(where, table, known, "is no key of it")
    except ConfigError as error:
        told = str(error)
        raise ConfigError(told if told.startswith(where) else f"{where}: {told}") from None
    for key in needed:
        if key not in values:
            raise ConfigError(f"{where}: {key} is missing")
    return values


def _names(actions: Iterable[Action]) -> list[str]:
    return list(dict.fromkeys(one.name for one in actions))


class _Reader:
    """Reads one definition; `where` names it in messages."""

    def __init__(self, where: str, kind: Kind, rows: Sequence[Rows] = ()) -> None:
        self.where = where
        self.kind = kind
        self.places = {one.path.row for one in rows}
        self.marks = [one.mark for one in rows]

    def wrong(self, place: str, why: str) -> ConfigError:
        return ConfigError(f"{self.where}: {place}: {why}")

    def path(self, place: str, text: str, *, is_of_rows: bool = False) -> Path:
        try:
            path = parse_path(text)
        except ValueError as error:
            raise self.wrong(place, f"path {shown(text)}: {error}") from None
        if is_of_rows:
            if path.row != path.steps or len(path.steps) == 1:
                raise self.wrong(place, f"path {shown(text)}: must end in *, which is the row")
        elif path.row not in {None, *self.places} and not (self.places and path.row == (None,)):
            raise self.wrong(place, f"path {shown(text)}: * is of no place of rows")
        return path

    def rows(self, tables: Sequence[Mapping[str, Any]]) -> tuple[Rows, ...]:
        found: list[Rows] = []
        for number, table in enumerate(tables, 1):
            place = f"rows, number {number}"
            values = _checked(f"{self.where}: {place}", table, _OF_ROWS, ("path", "mark"))
            row = Rows(self.path(place, values["path"], is_of_rows=True), values["mark"])
            if any(row.mark == one.mark or row.path == one.path for one in found):
                raise self.wrong(place, "path or mark is there twice")
            found.append(row)
        return tuple(found)

    def actions(self, tables: Sequence[Any], types: Sequence[str]) -> tuple[Action, ...]:
        actions = []
        for number, table in enumerate(tables, 1):
            place = f"actions, number {number}"
            if not isinstance(table, dict):
                raise self.wrong(place, "must be a table with action and types")
            values = _checked(f"{self.where}: {place}", table, _OF_ACTION, ("action", "types"))
            has = self.path(place, values["has"]) if "has" in values else None
            action = Action(
                values["action"],
                tuple(values["types"]),
                values.get("source", ""),
                has,
                values.get("kind", ""),
            )
            for one in action.types:
                if one not in types:
                    raise self.wrong(place, f"{shown(one)}: the table is no home of this type")
            actions.append(action)
        meant = [(one, its.source, its.has) for its in actions for one in its.types]
        for one, source, has in meant:
            if meant.count((one, source, has)) > 1:
                raise self.wrong("actions", f"{shown(one)} means two of them")
        both = {one.name for one in actions} & {one.kind for one in actions}
        if both:
            raise self.wrong("actions", f"{min(both)} is the name of an action and of a kind")
        told = {one for one, _, has in meant if has is None}
        if not actions:
            return ()
        if missing := [one for one in types if one not in told]:
            raise self.wrong("actions", f"{shown(missing[0])}: no action is of this type")
        return tuple(actions)

    def columns(
        self, tables: Sequence[Mapping[str, Any]], actions: Sequence[Action]
    ) -> tuple[Column, ...]:
        columns = [self.column(number, one, actions) for number, one in enumerate(tables, 1)]
        if self.kind is Kind.CHILDREN:
            self.check_rows(columns)
        spine = {name for name, _ in SPINE[self.kind]} - {name for name, _ in SUBJECT}
        if self.kind is Kind.CHILDREN:
            spine |= {name for name, _ in SUBJECT}
        seen: dict[str, str] = {}
        for column in columns:
            for name, of in column.fields:
                place = f"column {column.name}"
                if name in spine:
                    raise self.wrong(place, f"{name} is a column that every table has")
                if name in seen:
                    raise self.wrong(place, f"{name} is there twice")
                if dict(SUBJECT).get(name, of) != of:
                    raise self.wrong(place, f"must be {dict(SUBJECT)[name]}, as in every table")
                seen[name] = of
        for column in columns:
            for key, other in (("needs", column.needs), ("unequal_to", column.unequal_to)):
                if other and (other not in seen or other == column.name):
                    raise self.wrong(f"column {column.name}", f"{key}: {other} is no other column")
        return tuple(columns)

    def check_rows(self, columns: Iterable[Column]) -> None:
        """Check that columns say what a row is, a key or an item, and say the same."""
        told = {DECODERS[one.decoder].rows: one for one in columns if DECODERS[one.decoder].rows}
        if not told:
            known = ", ".join(name for name, one in DECODERS.items() if one.rows)
            raise self.wrong("columns", f"one must say which row it is, by a decoder of {known}")
        if len(told) > 1:
            one, other = (f"{its.name} of {of}" for of, its in told.items())
            raise self.wrong("columns", f"rows are keys or items, not both: {one}, {other}")
        if "items" in told and (FORM, None) in self.places:
            raise self.wrong("rows", "inputs of a form are keys, and its columns are of items")
        if any(one.decoder == "found in" for one in columns) and max(map(len, self.marks)) > 1:
            raise self.wrong("rows", "marks must be letters: a column joins them")

    def column(self, number: int, table: Mapping[str, Any], its: Sequence[Action]) -> Column:
        actions = _names(its)
        kinds = [kind for kind in dict.fromkeys(one.kind for one in its) if kind]
        name = table.get("name")
        place = f"column {shown(name)}" if isinstance(name, str) else f"column number {number}"
        needed = ("name", "about", "decoder")
        values = _checked(f"{self.where}: {place}", table, _OF_COLUMN, needed)
        decoder = DECODERS[values["decoder"]]
        of = values.get("type", "")
        if decoder.fields and of:
            raise self.wrong(place, f"type: {values['decoder']} fills columns of its own types")
        if not decoder.fields and of not in decoder.types:
            told = " or ".join(decoder.types)
            raise self.wrong(place, f"type: {values['decoder']} gives {told}")
        if decoder.rows and self.kind is not Kind.CHILDREN:
            raise self.wrong(place, f"decoder: {values['decoder']} is for tables of children")
        if decoder.reads_paths != ("paths" in values or "when" in values):
            why = "paths are missing" if decoder.reads_paths else "its decoder reads no paths"
            raise self.wrong(place, why)
        if values["decoder"] == "sum" and "items" not in values:
            raise self.wrong(place, "items is missing: paths to the numbers in an item of the list")
        if values["decoder"] == "kind" and not kinds:
            raise self.wrong(place, "decoder: kind: no action has a kind")
        for key, one in _OF_DECODER.items():
            if key in values and values["decoder"] != one:
                raise self.wrong(place, f"{key}: only the decoder {one} has one")
        for key in ("unit", "role", "nulls", "needs", "unequal_to"):
            if key in values and decoder.fields:
                raise self.wrong(place, f"{key}: {values['decoder']} fills several columns")
        if values.get("min", -math.inf) > values.get("max", math.inf):
            raise self.wrong(place, "min is greater than max")
        required = values.get("required", ())
        named = tuple(actions) if required is True else tuple(required)
        return Column(
            name=values["name"],
            type=of,
            about=values["about"],
            decoder=values["decoder"],
            paths=self.paths(place, values, [*actions, *kinds]),
            items=self.items(place, values.get("items", ())),
            unit=values.get("unit", ""),
            role=values.get("role", ""),
            minimum=values.get("min"),
            maximum=values.get("max"),
            nulls=values.get("nulls", ()),
            needs=values.get("needs", ""),
            unequal_to=values.get("unequal_to", ""),
            required=self.known(f"{place}: required", named, [*actions, *kinds]),
            flag=values.get("flag", ""),
            from_form=values.get("from_form", False),
        )

    def items(self, place: str, texts: Iterable[str]) -> tuple[Path, ...]:
        found = []
        for text in texts:
            try:
                found.append(parse_steps(text))
            except ValueError as error:
                raise self.wrong(f"{place}: items", f"path {shown(text)}: {error}") from None
            if found[-1].row is not None or found.count(found[-1]) > 1:
                raise self.wrong(f"{place}: items", f"path {shown(text)}: leads nowhere new")
        return tuple(found)

    def paths(self, place: str, values: Mapping[str, Any], known: Sequence[str]) -> Paths:
        instead = {}
        for one, texts in values.get("when", {}).items():
            self.known(f"{place}: when", (one,), known)
            listed = toml.several(texts)
            if listed is None:
                raise self.wrong(f"{place}: when: {one}", "must be a list of paths")
            instead[one] = tuple(self.path(place, text) for text in listed)
        otherwise = tuple(self.path(place, text) for text in values.get("paths", ()))
        for paths in (otherwise, *instead.values()):
            for path in paths:
                if paths.count(path) > 1:
                    raise self.wrong(place, f"path {shown(path.text)} is there twice")
        return Paths(otherwise, instead)

    def known(self, place: str, named: tuple[str, ...], actions: Sequence[str]) -> tuple[str, ...]:
        for one in named:
            if one not in actions:
                near = difflib.get_close_matches(one, actions, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise self.wrong(place, f"{shown(one)} is no action of the table{hint}")
        return named

    def flags(
        self, tables: Sequence[Mapping[str, Any]], actions: Sequence[str]
    ) -> tuple[FlagRule, ...]:
        rules = []
        for number, table in enumerate(tables, 1):
            place = f"flags, number {number}"
            values = _checked(f"{self.where}: {place}", table, _OF_FLAG, ("flag", "actions"))
            named = self.known(place, tuple(values["actions"]), actions)
            since, until = values.get("since", ""), values.get("until", "")
            source = values.get("source", "")
            has = self.path(place, values["has"]) if "has" in values else None
            if not (since or until or source or has) or (since and until and since >= until):
                raise self.wrong(place, "must say when, or of which source, or what it has")
            rules.append(FlagRule(values["flag"], named, since, until, source, has))
        return tuple(rules)


def _types(where: str, values: Mapping[str, Any]) -> list[str]:
    """The types of a table apart: those that are listed, or those of its actions."""
    if "types" in values:
        if "actions" in values:
            raise ConfigError(f"{where}: types: actions say already which")
        return list(dict.fromkeys(values["types"]))
    told = [
        toml.several(one.get("types")) for one in values.get("actions", ()) if isinstance(one, dict)
    ]
    types = list(dict.fromkeys(one for its in told for one in its or ()))
    if not types:
        raise ConfigError(
            f"{where}: types: must be a list of event types, or actions must have some"
        )
    return types


def read_table(
    where: str, text: str, known: Homes, parents: Mapping[str, EventTable] | None = None
) -> EventTable:
    """Read the definition of a table.

    Args:
        where: as messages call the text.
        text: TOML.
        known: which types tables are the home of.
        parents: tables that may have children, by name.

    Raises:
        ConfigError: the definition is wrong; the message names the place and says why.
    """
    values = _checked(
        where, toml.parse(where, text), _OF_TABLE, ("name", "about", "kind", "columns")
    )
    where = f"{where}: {values['name']}"
    kind = Kind(values["kind"])
    if ("actions" in values) is (is_type := values.get("action_is_type", False)):
        raise ConfigError(f"{where}: actions: there must be a list, or action_is_type = true")
    if "types" in values and kind is not Kind.APART:
        raise ConfigError(f"{where}: types: only tables apart list them")
    for key in ("parent", "rows", "without"):
        if key in values and kind is not Kind.CHILDREN:
            raise ConfigError(f"{where}: {key}: only tables of children have one")
    if kind is not Kind.CHILDREN:
        types = known.types(values["name"]) if kind is Kind.HOME else _types(where, values)
        if not types and values["name"] != REQUESTS:
            raise ConfigError(f"{where}: name: no event type has its home there")
        reader = _Reader(where, kind)
        if is_type:
            actions = tuple(Action(one, (one,)) for one in types)
        else:
            actions = reader.actions(values["actions"], types)
        rows: tuple[Rows, ...] = ()
    else:
        for key in ("parent", "rows", "actions"):
            if key not in values:
                raise ConfigError(f"{where}: {key} is missing")
        parent = (parents or {}).get(values["parent"])
        if parent is None:
            raise ConfigError(f"{where}: parent: {values['parent']} is no table that is known")
        rows = _Reader(where, kind).rows(values["rows"])
        reader = _Reader(where, kind, rows)
        named = toml.several(values["actions"])
        if named is None:
            raise ConfigError(f"{where}: actions: must be a list of those of {parent.name}")
        reader.known("actions", tuple(named), [one.name for one in parent.actions])
        actions = tuple(one for one in parent.actions if one.name in named)
    return EventTable(
        name=values["name"],
        about=values["about"],
        kind=kind,
        actions=actions,
        columns=reader.columns(values["columns"], actions),
        flags=reader.flags(values.get("flags", ()), _names(actions)),
        parent=values.get("parent", ""),
        rows=rows,
        without=tuple(values.get("without", ())),
        action_is_type=is_type,
    )


@functools.cache
def event_tables() -> Mapping[str, EventTable]:
    """The project's own tables by name, each before its children."""
    files = sorted(
        set(File(__file__).parent.glob("*.toml")) - {File(__file__).with_name("homes.toml")}
    )
    texts = {path.name: path.read_text("utf-8") for path in files}
    tables: dict[str, EventTable] = {}
    # Parents have to be known first.
    for name in sorted(texts, key=lambda name: "\nparent = " in texts[name]):
        table = read_table(name, texts[name], homes(), tables)
        if f"{table.name}.toml" != name:
            raise ConfigError(f"{name}: {table.name}: name: is not that of the file")
        tables[table.name] = table
    return tables
