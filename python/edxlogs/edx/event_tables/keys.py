"""The keys of table definitions, and what each accepts."""

from __future__ import annotations

import datetime
import difflib
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from edxlogs import toml
from edxlogs.edx.event_tables.definition import DECODERS, FLAGS, ROLES, TYPES, Kind
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
    near = difflib.get_close_matches(value, DECODERS, 1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(DECODERS)}"
    raise ConfigError(f"decoder: {shown(value)} is unknown; {hint}")


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
_OF_ANY = {
    "name": _NAMED,
    "about": _TEXT,
    "actions": toml.Value(
        "must be a list", lambda value: value if isinstance(value, list) else None
    ),
    "action_is_type": toml.Value("must be true", lambda value: value is True or None),
    "columns": _LISTED,
    "flags": _LISTED,
}
OF_TABLE = {
    **_OF_ANY,
    "kind": _one_of((Kind.HOME, Kind.CHILDREN)),
    "parent": _NAMED,
    "rows": _LISTED,
    "without": _some("endings of keys"),
}
OF_USER_TABLE = {
    **_OF_ANY,
    "home": _FLAG,
    "types": _some("event types"),
    "kind": toml.Value(
        "is not chosen so; home = true makes the table the home of its events", lambda _: None
    ),
}
OF_ACTION = {
    "action": _NAMED,
    "types": _some("event types"),
    "source": toml.Value("must be a source, such as browser", _name),
    "has": toml.Value("must be a path", toml.text),
    "kind": _NAMED,
}
OF_ROWS = {
    "path": toml.Value("must be a path", toml.text),
    "mark": toml.Value("must be a letter or a word", _mark),
}
OF_COLUMN = {
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
    "forms": toml.Value("must be a list of actions that come with a form", _needed),
}
OF_DECODER = {
    "min": ("number",),
    "max": ("number",),
    "required": ("block id",),
    "forms": ("block id", "form inputs"),
    "flag": ("bool",),
    "items": ("sum",),
}
OF_FLAG = {
    "flag": _one_of(FLAGS),
    "actions": _some("actions"),
    "since": _DAY,
    "until": _DAY,
    "has": toml.Value("must be a path", toml.text),
    "source": toml.Value("must be a source, such as browser", _name),
}


def checked(
    where: str, table: Mapping[str, Any], known: Mapping[str, toml.Value], needed: Iterable[str]
) -> dict[str, Any]:
    """Check a table, and return its values.

    Args:
        where: how messages call the table.
        table: the table.
        known: keys, and what each accepts.
        needed: keys that must be present.

    Raises:
        ConfigError: a key is missing or unknown, or its value is of the wrong kind.
    """
    try:
        values = toml.check(where, table, known, "is not one of its keys")
    except ConfigError as error:
        told = str(error)
        raise ConfigError(told if told.startswith(where) else f"{where}: {told}") from None
    for key in needed:
        if key not in values:
            raise ConfigError(f"{where}: {key} is missing")
    return values
