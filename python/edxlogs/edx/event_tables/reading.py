"""Reads table definitions from TOML and checks them. Errors name the place."""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path as File
from typing import Any

from edxlogs import toml
from edxlogs.edx.event_tables.definition import (
    DECODERS,
    SPINE,
    SUBJECT,
    Action,
    Column,
    EventTable,
    FlagRule,
    Kind,
    Paths,
    Rows,
)
from edxlogs.edx.event_tables.homes import REQUESTS, Homes, homes
from edxlogs.edx.event_tables.keys import (
    OF_ACTION,
    OF_COLUMN,
    OF_DECODER,
    OF_FLAG,
    OF_ROWS,
    OF_TABLE,
    checked,
)
from edxlogs.edx.event_tables.paths import FORM, Path, parse_path, parse_steps
from edxlogs.errors import ConfigError
from edxlogs.text import shown


def _names(actions: Iterable[Action]) -> list[str]:
    return list(dict.fromkeys(one.name for one in actions))


class _Reader:
    """Reads one definition, which messages call `where`."""

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
        elif path.row is not None and self.kind is not Kind.CHILDREN:
            raise self.wrong(place, f"path {shown(text)}: * is only for tables of children")
        elif path.row not in {None, (None,), *self.places}:
            raise self.wrong(place, f"path {shown(text)}: * is not where rows are")
        return path

    def rows(self, tables: Sequence[Mapping[str, Any]]) -> tuple[Rows, ...]:
        found: list[Rows] = []
        for number, table in enumerate(tables, 1):
            place = f"rows, number {number}"
            values = checked(f"{self.where}: {place}", table, OF_ROWS, ("path", "mark"))
            row = Rows(self.path(place, values["path"], is_of_rows=True), values["mark"])
            if any(row.mark == one.mark or row.path == one.path for one in found):
                raise self.wrong(place, "path or mark appears twice")
            found.append(row)
        return tuple(found)

    def actions(self, tables: Sequence[Any], types: Sequence[str]) -> tuple[Action, ...]:
        actions = []
        for number, table in enumerate(tables, 1):
            place = f"actions, number {number}"
            if not isinstance(table, dict):
                raise self.wrong(place, "must be a table with action and types")
            values = checked(f"{self.where}: {place}", table, OF_ACTION, ("action", "types"))
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
                    raise self.wrong(place, f"{shown(one)}: the table is not the home of this type")
            actions.append(action)
        meant = [(one, its.source, its.has) for its in actions for one in its.types]
        for one, source, has in meant:
            if meant.count((one, source, has)) > 1:
                raise self.wrong("actions", f"{shown(one)} belongs to two of them")
        both = {one.name for one in actions} & {one.kind for one in actions}
        if both:
            raise self.wrong("actions", f"{min(both)} is the name of an action and of a kind")
        told = {one for one, _, has in meant if has is None}
        if not actions:
            return ()
        if missing := [one for one in types if one not in told]:
            raise self.wrong("actions", f"{shown(missing[0])}: no action has this type")
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
                    raise self.wrong(place, f"{name} appears twice")
                if dict(SUBJECT).get(name, of) != of:
                    raise self.wrong(place, f"must be {dict(SUBJECT)[name]}, as in every table")
                seen[name] = of
        for column in columns:
            for key, other in (("needs", column.needs), ("unequal_to", column.unequal_to)):
                if other and (other not in seen or other == column.name):
                    raise self.wrong(
                        f"column {column.name}", f"{key}: {other} is not another column"
                    )
        return tuple(columns)

    def check_rows(self, columns: Iterable[Column]) -> None:
        """Check that the columns agree on what a row is: a key or an item."""
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
        values = checked(f"{self.where}: {place}", table, OF_COLUMN, needed)
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
        for key, those in OF_DECODER.items():
            if key in values and values["decoder"] not in those:
                raise self.wrong(place, f"{key}: only the decoder {' or '.join(those)} has one")
        for key in ("unit", "role", "nulls", "needs", "unequal_to"):
            if key in values and decoder.fields:
                raise self.wrong(place, f"{key}: {values['decoder']} fills several columns")
        if values.get("min", -math.inf) > values.get("max", math.inf):
            raise self.wrong(place, "min is greater than max")
        named = {
            key: tuple(actions) if values.get(key) is True else tuple(values.get(key, ()))
            for key in ("required", "forms")
        }
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
            required=self.known(f"{place}: required", named["required"], [*actions, *kinds]),
            flag=values.get("flag", ""),
            forms=self.known(f"{place}: forms", named["forms"], [*actions, *kinds]),
        )

    def items(self, place: str, texts: Iterable[str]) -> tuple[Path, ...]:
        found = []
        for text in texts:
            try:
                found.append(parse_steps(text))
            except ValueError as error:
                raise self.wrong(f"{place}: items", f"path {shown(text)}: {error}") from None
            if found[-1].row is not None or found.count(found[-1]) > 1:
                raise self.wrong(
                    f"{place}: items", f"path {shown(text)}: appears twice, or has a *"
                )
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
                    raise self.wrong(place, f"path {shown(path.text)} appears twice")
        return Paths(otherwise, instead)

    def known(self, place: str, named: tuple[str, ...], actions: Sequence[str]) -> tuple[str, ...]:
        for one in named:
            if one not in actions:
                near = difflib.get_close_matches(one, actions, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise self.wrong(place, f"{shown(one)} is not an action of the table{hint}")
        return named

    def flags(
        self, tables: Sequence[Mapping[str, Any]], actions: Sequence[str]
    ) -> tuple[FlagRule, ...]:
        rules = []
        for number, table in enumerate(tables, 1):
            place = f"flags, number {number}"
            values = checked(f"{self.where}: {place}", table, OF_FLAG, ("flag", "actions"))
            named = self.known(place, tuple(values["actions"]), actions)
            since, until = values.get("since", ""), values.get("until", "")
            source = values.get("source", "")
            has = self.path(place, values["has"]) if "has" in values else None
            if not (since or until or source or has) or (since and until and since >= until):
                raise self.wrong(place, "needs one of since, until, source and has")
            rules.append(FlagRule(values["flag"], named, since, until, source, has))
        return tuple(rules)


def read_table(
    where: str, text: str, known: Homes, parents: Mapping[str, EventTable] | None = None
) -> EventTable:
    """Read the definition of one of the project's own tables.

    Args:
        where: how messages call the text.
        text: TOML.
        known: the event types whose home each table is.
        parents: tables that may have children, by name.

    Raises:
        ConfigError: the definition is invalid. The message names the place and the reason.
    """
    values = checked(where, toml.parse(where, text), OF_TABLE, ("name", "about", "kind", "columns"))
    where = f"{where}: {values['name']}"
    if Kind(values["kind"]) is Kind.CHILDREN:
        return _children(where, values, parents or {})
    for key in ("parent", "rows", "without"):
        if key in values:
            raise ConfigError(f"{where}: {key}: only tables of children have one")
    types = known.types(values["name"])
    if not types and values["name"] != REQUESTS:
        raise ConfigError(f"{where}: name: no event type has its home there")
    return table_of_types(where, values, Kind.HOME, types)


def table_of_types(
    where: str, values: Mapping[str, Any], kind: Kind, types: Sequence[str]
) -> EventTable:
    """A table with one row for each event of its types.

    Args:
        where: how messages call the definition.
        values: the definition, with converted values.
        kind: home or apart.
        types: event types of the table.

    Raises:
        ConfigError: the definition is invalid. The message names the place and the reason.
    """
    if ("actions" in values) is (is_type := values.get("action_is_type", False)):
        raise ConfigError(f"{where}: actions: there must be a list, or action_is_type = true")
    reader = _Reader(where, kind)
    if is_type:
        actions = tuple(Action(one, (one,)) for one in types)
    else:
        actions = reader.actions(values["actions"], types)
    return EventTable(
        name=values["name"],
        about=values["about"],
        kind=kind,
        actions=actions,
        columns=reader.columns(values["columns"], actions),
        flags=reader.flags(values.get("flags", ()), _names(actions)),
        action_is_type=is_type,
    )


def _children(
    where: str, values: Mapping[str, Any], parents: Mapping[str, EventTable]
) -> EventTable:
    for key in ("parent", "rows", "actions"):
        if key not in values:
            raise ConfigError(f"{where}: {key} is missing")
    for key in ("flags", "action_is_type"):
        if key in values:
            raise ConfigError(f"{where}: {key}: tables of children have none")
    parent = parents.get(values["parent"])
    if parent is None:
        raise ConfigError(f"{where}: parent: {values['parent']} is not a known table")
    rows = _Reader(where, Kind.CHILDREN).rows(values["rows"])
    reader = _Reader(where, Kind.CHILDREN, rows)
    named = toml.several(values["actions"])
    if named is None:
        raise ConfigError(f"{where}: actions: must be a list of those of {parent.name}")
    reader.known("actions", tuple(named), [one.name for one in parent.actions])
    actions = tuple(one for one in parent.actions if one.name in named)
    return EventTable(
        name=values["name"],
        about=values["about"],
        kind=Kind.CHILDREN,
        actions=actions,
        columns=reader.columns(values["columns"], actions),
        parent=parent.name,
        rows=rows,
        without=tuple(values.get("without", ())),
    )


@functools.cache
def event_tables() -> Mapping[str, EventTable]:
    """The project's own tables by name: the home tables in order, each followed by its children."""
    files = sorted(
        set(File(__file__).parent.glob("*.toml")) - {File(__file__).with_name("homes.toml")}
    )
    texts = {path.name: path.read_text("utf-8") for path in files}
    tables: dict[str, EventTable] = {}
    # Parents have to be known first.
    for name in sorted(texts, key=lambda name: "\nparent = " in texts[name]):
        table = read_table(name, texts[name], homes(), tables)
        if f"{table.name}.toml" != name:
            raise ConfigError(f"{name}: {table.name}: name: differs from the name of the file")
        tables[table.name] = table
    order = homes().tables
    return dict(sorted(tables.items(), key=lambda one: order.index(one[1].parent or one[0])))
