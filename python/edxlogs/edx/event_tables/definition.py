"""An event table, as its definition describes it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edxlogs.edx.event_tables.paths import Path


class Kind(enum.StrEnum):
    """How the rows of a table relate to events."""

    HOME = "home"
    """One row for each event whose home is this table."""
    CHILDREN = "children"
    """Any number of rows for an event of another table."""
    APART = "apart"
    """One row for each event of its types, whichever table is their home."""


TYPES = ("string", "int64", "float64", "bool", "timestamp")
ROLES = ("person id", "username", "e-mail", "address", "free text")
FLAGS = {
    "broken_payload": "The payload cannot be decoded: columns that come from it are null.",
    "cut512": "The platform cut the payload at 512 characters.",
    "bad_utf8": "A form holds bytes that are not UTF-8.",
    "out_of_range": "A number is outside the range of its column, and null.",
    "naive_time": "A time in the payload has no zone; it is taken for UTC.",
    "name_disagrees": "`name` belongs to another table than `event_type`, which decides.",
    "possible_double": "The platform may have written the same action twice.",
    "no_block": "The action is about a block, but the event does not name it.",
    "subject_by_name": "The person whom the event is about has only a username, no id.",
    "truncated": "The platform cut a text.",
    "seek_from_unknown": "The start of a seek is not known.",
    "many_settings": "Several settings changed at once; their values are left out.",
    "worker": "A background worker of the server wrote the event, not a person.",
}


@dataclass(frozen=True, slots=True)
class Decoder:
    """How values are turned into those of a column.

    Attributes:
        about: what it reads, and when the value is null.
        types: types of columns that it can fill; the first is the default.
        fields: the columns that it fills, each with its type, if there are several. `{}` stands for
            the name of the column. Empty: one column, with the column's own name.
        reads_paths: whether it reads values at paths; others read the event or the row as a whole.
        rows: `keys` of objects or `items` of lists, if only child tables with such rows may use it;
            empty: any table may.
    """

    about: str
    types: tuple[str, ...]
    fields: tuple[tuple[str, str], ...] = ()
    reads_paths: bool = True
    rows: str = ""


_BLOCK = tuple((f"{{}}_{part}", "string") for part in ("key", "type", "id", "from"))
_INPUT = (("input_id", "string"), ("part", "int64"), ("input", "int64"))
_REQUEST = (
    ("path", "string"),
    ("route", "string"),
    ("chapter", "string"),
    ("section", "string"),
    ("position", "int64"),
    ("handler", "string"),
    ("suffix", "string"),
    ("forum_action", "string"),
    ("thread_id", "string"),
    ("comment_id", "string"),
    ("commentable_id", "string"),
    ("lookup_name", "string"),
)

DECODERS: Mapping[str, Decoder] = {
    "owner": Decoder("the username before the comma in the id of a bookmark", ("string",)),
    "text": Decoder("text as it is; anything else as compact JSON text", ("string",)),
    "only text": Decoder("text; anything else is null", ("string",)),
    "json": Decoder("any value as compact JSON text", ("string",)),
    "lines": Decoder(
        "text; for a list, its texts or the `text` of its objects, one per line",
        ("string",),
    ),
    "number": Decoder("a number, or text that is a number", ("float64", "int64")),
    "bool": Decoder("true or false, also as text, or 1 or 0", ("bool",)),
    "time": Decoder("a time as in RFC 3339, or as Python prints it", ("timestamp",)),
    "length": Decoder("the number of items of a list; null for anything else", ("int64",)),
    "is set": Decoder("whether an object has the key, with a value that is not null", ("bool",)),
    "block id": Decoder(
        "columns NAME_key, NAME_type, NAME_id and NAME_from; if its paths hold no value, the"
        " block in the context or in the address",
        (),
        _BLOCK,
    ),
    "second key": Decoder("the second of two block keys that `/` joins", ("string",)),
    "url path": Decoder("the path of a URL", ("string",)),
    "inputs": Decoder("the number of inputs in an object", ("int64",)),
    "correct inputs": Decoder("the number of correct inputs in a correct_map", ("int64",)),
    "partial inputs": Decoder(
        "the number of partially correct inputs in a correct_map", ("int64",)
    ),
    "form inputs": Decoder("the number of inputs in a browser's form", ("int64",), (), False),
    "player": Decoder("mobile if one of the values is, else browser", ("string",)),
    "dotted name": Decoder("whether a text begins with `edx.`", ("bool",)),
    "by other": Decoder(
        "whether the subject is someone other than the actor", ("bool",), (), False
    ),
    "input id": Decoder("the key of the row, as the id of an input", (), _INPUT, False, "keys"),
    "kind": Decoder("the `kind` of the action", ("string",), (), False),
    "exam kind": Decoder("the word proctored, practice or timed in a text with dots", ("string",)),
    "chars": Decoder("the number of characters in a text", ("int64",)),
    "found in": Decoder(
        "the marks of the places that hold the key", ("string",), (), False, "keys"
    ),
    "row key": Decoder("the key of the row", ("string",), (), False, "keys"),
    "item number": Decoder(
        "the number of the row in its list, from 1", ("int64",), (), False, "items"
    ),
    "place": Decoder("the mark of the list that holds the row", ("string",), (), False, "items"),
    "request": Decoder(
        "the columns of `requests` from `path` to `lookup_name`", (), _REQUEST, False
    ),
    "lookup id": Decoder(
        "the `lookup_name` of a request, if it is a number", ("int64",), (), False
    ),
    "keys": Decoder(
        "text; for an object, the names of its keys: at most 32, with blanks between, `_` for white"
        " space inside, and `{}` for a name that is JSON",
        ("string",),
    ),
    "not empty": Decoder(
        "whether an object, a list or a text holds anything; null for anything else", ("bool",)
    ),
    "first text": Decoder("text; for a list, its first item that is text", ("string",)),
    "sum": Decoder(
        "the sum over the items of a list; `items` are paths to the number in an item, and the"
        " first that gives one counts",
        ("float64",),
    ),
    "answer": Decoder(
        "the text of an answer to an open response assessment; for several parts, a JSON list",
        ("string",),
    ),
    "answer parts": Decoder("the number of parts of such an answer", ("int64",)),
    "answer chars": Decoder("the number of characters in such an answer", ("int64",)),
    "files": Decoder("the number of items of a list; 1 for text that is not empty", ("int64",)),
    "payload": Decoder("the whole payload as JSON text", ("string",), (), False),
    "payload chars": Decoder(
        "the number of characters in a payload that is text", ("int64",), (), False
    ),
}


class Paths(NamedTuple):
    """Where to look for a column's value.

    Attributes:
        otherwise: the default paths; the first that gives a value counts.
        instead: paths to use instead, by action or by kind.
    """

    otherwise: tuple[Path, ...]
    instead: Mapping[str, tuple[Path, ...]]

    def of(self, action: str, kind: str = "") -> tuple[Path, ...]:
        """The paths for an action of a kind, in order."""
        return self.instead.get(action, self.instead.get(kind, self.otherwise))


@dataclass(frozen=True, slots=True)
class Column:
    """A column, or several that one value fills.

    Attributes:
        name: name of the column, or beginning of the names of several.
        type: type of the column; empty for several.
        about: what it holds.
        decoder: name of the decoder that reads its values.
        paths: where its values are found.
        items: for a sum, where the numbers are in an item of the list.
        unit: unit of its numbers, such as `s`.
        role: what it tells about a person; empty for nothing.
        minimum: the least number; smaller ones become null, and are flagged.
        maximum: the greatest number; larger ones become null, and are flagged.
        nulls: values that mean nothing, and become null.
        needs: a column without whose value this one is null too.
        unequal_to: a column; if its value is equal, this one becomes null and is flagged
            `seek_from_unknown`.
        required: actions, or kinds, that need a value; without one they are flagged `no_block`.
        flag: the flag to set if the column is true.
        forms: actions, or kinds, that come with a form. Its first input gives the block if no path
            does, and a column of decoder `form inputs` counts its inputs.
    """

    name: str
    type: str
    about: str
    decoder: str
    paths: Paths
    items: tuple[Path, ...] = ()
    unit: str = ""
    role: str = ""
    minimum: float | None = None
    maximum: float | None = None
    nulls: tuple[str | float, ...] = ()
    needs: str = ""
    unequal_to: str = ""
    required: tuple[str, ...] = ()
    flag: str = ""
    forms: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """Name and type of the columns that it fills in the table, in order."""
        its = DECODERS[self.decoder].fields
        return tuple((name.format(self.name), of) for name, of in its) or ((self.name, self.type),)


class Action(NamedTuple):
    """How an action is recognised.

    Attributes:
        name: name of the action in the table.
        types: the event types that mean it.
        source: its `event_source`; empty for every source without a rule of its own.
        has: where there must be a value that is not null, not false and not an empty list. Such a
            rule comes before the others.
        kind: what the types say in addition, for a column of decoder `kind`.
    """

    name: str
    types: tuple[str, ...]
    source: str = ""
    has: Path | None = None
    kind: str = ""


class Rows(NamedTuple):
    """Where the rows of a child table are found.

    If rows are keys, each key counts once over all places. If rows are items, they follow each
    other place by place.

    Attributes:
        path: path to the key or item that makes a row.
        mark: what stands for this place in a column of decoder `found in` or `place`.
    """

    path: Path
    mark: str


class FlagRule(NamedTuple):
    """Sets a flag on events that meet all of its conditions.

    Attributes:
        flag: name of the flag.
        actions: names of the actions that it is set on.
        since: the first day, such as `2013-07-15`; empty for any.
        until: the first day to which it no longer applies.
        source: the `event_source`; empty for any.
        has: where there must be a value that is not null, not false and not an empty list.
    """

    flag: str
    actions: tuple[str, ...]
    since: str = ""
    until: str = ""
    source: str = ""
    has: Path | None = None


SUBJECT = (("subject_user_id", "int64"), ("subject_username", "string"))
"""Columns that say whom an event is about. Every home table has them, even if they are empty."""

_OF_EVENT = (
    ("time", "timestamp"),
    ("received_at", "timestamp"),
    ("site", "string"),
    ("org_id", "string"),
    ("course_id", "string"),
    ("course_source", "string"),
    ("user_id", "int64"),
    ("username", "string"),
    ("session", "string"),
    ("ip", "string"),
    ("agent", "string"),
    ("event_source", "string"),
    ("event_type", "string"),
    ("name", "string"),
    ("action", "string"),
)
_KEY = (("source", "string"), ("line", "int64"), ("line_item", "int64"))
_HOME = (*_OF_EVENT, *SUBJECT, ("flags", "string"), *_KEY)
SPINE: Mapping[Kind, tuple[tuple[str, str], ...]] = {
    Kind.HOME: _HOME,
    Kind.APART: _HOME,
    Kind.CHILDREN: (
        ("site", "string"),
        ("time", "timestamp"),
        ("course_id", "string"),
        ("user_id", "int64"),
        ("username", "string"),
        ("action", "string"),
        ("subject_user_id", "int64"),
        ("block_key", "string"),
        ("block_id", "string"),
        *_KEY,
    ),
}
"""The first columns of every table, each with its type."""


@dataclass(frozen=True, slots=True)
class EventTable:
    """An event table.

    Attributes:
        name: name of the table.
        about: what it is for.
        kind: how its rows relate to events.
        actions: how actions are recognised; for a child table, the actions of its parent that have
            rows. Empty: events have no actions.
        columns: its own columns, in order. `subject_user_id` and `subject_username` fill the spine.
        flags: which actions are flagged, besides what decoders flag.
        parent: for a child table, the table of its events; else empty.
        rows: for a child table, where its rows are found, in the order in which keys are looked up.
        without: endings of keys that are not rows.
        action_is_type: whether each type is an action of its own name.
    """

    name: str
    about: str
    kind: Kind
    actions: tuple[Action, ...]
    columns: tuple[Column, ...]
    flags: tuple[FlagRule, ...] = ()
    parent: str = ""
    rows: tuple[Rows, ...] = ()
    without: tuple[str, ...] = ()
    action_is_type: bool = False

    @property
    def spine(self) -> tuple[tuple[str, str], ...]:
        """Name and type of the first columns, which every table of its kind has."""
        return SPINE[self.kind]

    @property
    def schema(self) -> tuple[tuple[str, str], ...]:
        """Name and type of every column, in order, beginning with the spine."""
        own = (field for column in self.columns for field in column.fields)
        return (*self.spine, *(field for field in own if field not in SUBJECT))

    def action(self, spelling: str, source: str | None) -> Action:
        """What an event type means, ignoring rules that require a value.

        Args:
            spelling: an event type whose home is this table.
            source: `event_source` of the event.
        """
        meant = [one for one in self.actions if spelling in one.types and one.has is None]
        own = [one for one in meant if one.source and one.source == source]
        return (own or [one for one in meant if not one.source] or meant)[0]
