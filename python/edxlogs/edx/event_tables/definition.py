"""What a table of events is, as its definition says it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edxlogs.edx.event_tables.paths import Path


class Kind(enum.StrEnum):
    """How the rows of a table belong to events."""

    HOME = "home"
    """One row for each event that the table is the home of."""
    CHILDREN = "children"
    """None, one or several rows for an event of another table."""
    APART = "apart"
    """One row for each event of its types, whichever table is their home."""


TYPES = ("string", "int64", "float64", "bool", "timestamp")
ROLES = ("person id", "username", "e-mail", "address", "free text")
FLAGS = {
    "broken_payload": "the payload cannot be decoded",
    "cut512": "the payload is cut at 512 characters",
    "bad_utf8": "bytes of a form are no UTF-8",
    "out_of_range": "a number is outside the range of its column",
    "naive_time": "a time has no zone",
    "name_disagrees": "name leads to another table than event_type",
    "possible_double": "the platform may have written the act twice",
    "no_block": "the act needs a block, and none was found",
    "subject_by_name": "only a username names the person that the event is about",
    "truncated": "the platform says that it cut a text",
    "seek_from_unknown": "where a seek began is not known",
    "many_settings": "several settings were changed at once",
    "worker": "username, ip and session of an event of the server are empty",
}


@dataclass(frozen=True, slots=True)
class Decoder:
    """How values become those of a column.

    Attributes:
        about: what it reads, and when the value is null.
        types: of columns that it can fill; the first is meant where none is said.
        fields: the columns that it fills, each with its type, where these are several: `{}` stands
            for the name of the column. Empty: one, of the column's own name.
        reads_paths: whether it takes values from paths; others take the event or the row as such.
        rows: what the rows are of the tables of children that alone have it, `keys` of objects or
            `items` of lists; empty: any table has it.
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
    "owner": Decoder("the username before the comma of a bookmark's id", ("string",)),
    "text": Decoder("text bare, anything else as compact JSON text", ("string",)),
    "only text": Decoder("text; anything else is null", ("string",)),
    "json": Decoder("any value as compact JSON text", ("string",)),
    "lines": Decoder(
        "text; of a list its texts, or `text` of its objects, a line each", ("string",)
    ),
    "number": Decoder("a number, or text that is wholly one", ("float64", "int64")),
    "bool": Decoder("true and false, as text too, 1 and 0", ("bool",)),
    "time": Decoder("RFC 3339, or as Python shows a datetime", ("timestamp",)),
    "length": Decoder("how many items a list has; null for anything else", ("int64",)),
    "is set": Decoder("whether a key of an object is there and not null", ("bool",)),
    "block id": Decoder(
        "the key of a block: of several joined by `/` the first; after a username and comma",
        (),
        _BLOCK,
    ),
    "second key": Decoder("the second of two keys of blocks joined by `/`", ("string",)),
    "url path": Decoder("the path of an address", ("string",)),
    "inputs": Decoder("how many inputs an object has", ("int64",)),
    "correct inputs": Decoder("how many inputs of a correct_map are correct", ("int64",)),
    "partial inputs": Decoder("how many inputs of a correct_map are partly so", ("int64",)),
    "form inputs": Decoder("how many inputs the payload's form has", ("int64",), (), False),
    "player": Decoder("mobile if a value is, else browser", ("string",)),
    "dotted name": Decoder("whether a name begins with edx.", ("bool",)),
    "by other": Decoder("whether the subject is not the actor", ("bool",), (), False),
    "input id": Decoder("the key of the row, as that of an input", (), _INPUT, False, "keys"),
    "kind": Decoder("the kind that the spelling of the act says", ("string",), (), False),
    "exam kind": Decoder("the word proctored, practice or timed in a name", ("string",)),
    "chars": Decoder("how many characters a text has", ("int64",)),
    "found in": Decoder(
        "the marks of the rows' places that hold the key", ("string",), (), False, "keys"
    ),
    "row key": Decoder("the key of the row", ("string",), (), False, "keys"),
    "item number": Decoder("the row's place in its list, from 1", ("int64",), (), False, "items"),
    "place": Decoder(
        "the mark of the list that the row stands in", ("string",), (), False, "items"
    ),
    "request": Decoder("what the address of a request says", (), _REQUEST, False),
    "lookup id": Decoder("lookup_name of a request, if it is digits", ("int64",), (), False),
    "keys": Decoder("the names of an object's keys, at most 32, joined by blanks", ("string",)),
    "not empty": Decoder(
        "whether an object, a list or a text holds anything; null for none", ("bool",)
    ),
    "first text": Decoder("text, or the first item of a list if it is text", ("string",)),
    "sum": Decoder(
        "the sum over a list of the first value that `items` find in each; null without a number",
        ("float64",),
    ),
    "answer": Decoder(
        "an answer to an open assessment: the text of its part, of several parts JSON text of"
        " their texts",
        ("string",),
    ),
    "answer parts": Decoder("how many parts such an answer has", ("int64",)),
    "answer chars": Decoder("how many characters its texts have", ("int64",)),
    "files": Decoder("how many items a list has; 1 for a text that is not empty", ("int64",)),
    "payload": Decoder("the payload as JSON text", ("string",), (), False),
    "payload chars": Decoder("how many characters the payload's text has", ("int64",), (), False),
}


class Paths(NamedTuple):
    """Where a column's value is looked for.

    Attributes:
        otherwise: the paths for acts of which nothing else is said; the first that gives a value
            decides.
        instead: by act, or by kind, the paths that hold then.
    """

    otherwise: tuple[Path, ...]
    instead: Mapping[str, tuple[Path, ...]]

    def of(self, action: str, kind: str = "") -> tuple[Path, ...]:
        """The paths for an act of a kind, in order."""
        return self.instead.get(action, self.instead.get(kind, self.otherwise))


@dataclass(frozen=True, slots=True)
class Column:
    """A column, or some that one value fills.

    Attributes:
        name: of the column, or what their names begin with.
        type: of the column; empty for several.
        about: what it holds.
        decoder: name of how values are read.
        paths: where they stand.
        items: of a sum, where the numbers stand in an item of the list.
        unit: of its numbers, such as `s`.
        role: what it tells of a person; empty for nothing.
        minimum: the least number; a lesser one is null, and flagged.
        maximum: the greatest number.
        nulls: values that stand for none.
        needs: a column without whose value this one is null, too.
        unequal_to: a column whose equal value makes this one null, and flags it
            `seek_from_unknown`.
        required: acts, or kinds, that need a value; without one they are flagged `no_block`.
        flag: what is flagged where the column is true.
        from_form: whether a form's first input stands for the value where no path gives one.
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
    from_form: bool = False

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """Name and type of what it fills in the table, in order."""
        its = DECODERS[self.decoder].fields
        return tuple((name.format(self.name), of) for name, of in its) or ((self.name, self.type),)


class Action(NamedTuple):
    """How an act is spelled.

    Attributes:
        name: of the act, in the table.
        types: the event types that mean it.
        source: the `event_source` that it has; empty for any that has no rule of its own.
        has: where a value must stand, neither null, nor false, nor an empty list; such a rule goes
            before the others.
        kind: what the types say besides, for a column of decoder `kind`.
    """

    name: str
    types: tuple[str, ...]
    source: str = ""
    has: Path | None = None
    kind: str = ""


class Rows(NamedTuple):
    """Where the rows of a table of children stand.

    Rows that are keys are each key, once, of all these places; rows that are items are those of one
    place after the other.

    Attributes:
        path: to the key, or item, that a row is.
        mark: what stands for the place in a column of decoder `found in` or `place`.
    """

    path: Path
    mark: str


class FlagRule(NamedTuple):
    """Acts that get a flag: where all that is said of them holds.

    Attributes:
        flag: its name.
        actions: the acts.
        since: the first day, as `2013-07-15`; empty for any.
        until: the first day that has it no longer.
        source: the `event_source` that they have; empty for any.
        has: where a value must stand, neither null, nor false, nor an empty list.
    """

    flag: str
    actions: tuple[str, ...]
    since: str = ""
    until: str = ""
    source: str = ""
    has: Path | None = None


SUBJECT = (("subject_user_id", "int64"), ("subject_username", "string"))
"""The columns that say whom an event is about: every home table has them, empty if need be."""

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
    """A table of events.

    Attributes:
        name: of the table.
        about: what it is for.
        kind: how its rows belong to events.
        actions: how acts are spelled; of a table of children, those of its parent that have rows.
            Empty: events have none.
        columns: its own ones, in order. `subject_user_id` and `subject_username` fill the spine.
        flags: which acts are flagged, besides what decoders flag.
        parent: of a table of children, the table whose events have them; else empty.
        rows: of a table of children, where they stand, in the order in which keys are looked for.
        without: endings of keys that are no rows.
        action_is_type: whether each type is an act of its own name.
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
        """Name and type of every column, in order, those of the spine first."""
        own = (field for column in self.columns for field in column.fields)
        return (*self.spine, *(field for field in own if field not in SUBJECT))

    def action(self, spelling: str, source: str | None) -> Action:
        """What a spelling means, but for rules that ask for a value.

        Args:
            spelling: an event type that the table is the home of.
            source: `event_source` of the event.
        """
        meant = [one for one in self.actions if spelling in one.types and one.has is None]
        own = [one for one in meant if one.source and one.source == source]
        return (own or [one for one in meant if not one.source] or meant)[0]
