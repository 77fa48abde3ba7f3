"""The columns of a plain line: one JSON object that is an event and needs no mend.

For any other line the result is None; the core knows what becomes of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edxlogs.plain.course import SPACES, course, organisation
from edxlogs.plain.times import integer, microseconds

TIMES = ("time", "received_at")
DOCUMENTS = ("context", "event")
"""Columns of JSON text. Their values here are results of `document`."""
_TEXTS = (
    *("event_source", "session", "ip", "agent", "host", "page", "referer", "accept_language"),
    "username",
)
COLUMNS = (
    *("time", "received_at", "event_type", "name", "event_source", "course_id", "course_source"),
    *("org_id", "user_id", "username", "session", "ip", "agent", "host", "page", "referer"),
    *("accept_language", "path", "context", "event"),
)
"""Columns that depend on the event alone, in the order of the default columns."""
_BLANK = b" \t\r\n\x0b\x0c\x00"
_MOST_BYTES = 8 << 20
_MOST_DEPTH = 500


class _OddError(ValueError):
    """The text needs a mend, or more than plain rules."""


def is_blank(line: bytes) -> bool:
    """Whether a line is empty, or only white space or NULs."""
    return not line.strip(_BLANK)


def read(line: bytes) -> dict[str, Any] | None:
    """The columns of an event on a plain line.

    Args:
        line: the line, with or without its LF.

    Returns:
        A value for each of `COLUMNS` that plain rules can determine: text, or None for null; times
            in microseconds since 1970 UTC; `user_id` as a number; for `DOCUMENTS`, the result of
            `document`. None if the line is not plain.
    """
    if len(line) > _MOST_BYTES or line.count(b"{") + line.count(b"[") > _MOST_DEPTH:
        return None
    try:
        text = line.decode()
        written, event = document(text), json.loads(text)
        if not isinstance(event, dict) or not is_event(event) or _needs_a_mend(event, written):
            return None
        return _columns(event, dict(written[1]))
    except (ValueError, RecursionError):
        return None


def is_event(found: Mapping[str, Any]) -> bool:
    """Whether an object is a tracking event, by its keys alone."""
    keys = found.keys()
    return (
        not keys.isdisjoint({"event_type", "event_source"})
        or ("name" in keys and not keys.isdisjoint({"event", "data", "context"}))
        or (
            "time" in keys
            and not keys.isdisjoint({"username", "event", "context", "page", "session"})
        )
    )


def document(text: str) -> Any:
    """Convert JSON text to a value that is equal if, and only if, the text says the same.

    Objects become `("object", ((key, value), …))`, in their order and with repeated keys. Lists
    become tuples that begin with "list". Numbers become `("number", digits)`, as they are spelled.

    Raises:
        ValueError: the text is not strict JSON.
    """
    return _tuples(
        json.loads(
            text,
            object_pairs_hook=_Pairs,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_refuse,
        )
    )


def user_id(value: object) -> int | None:
    """A value as an id: a whole number of 64 bits, also as text or as a float; else None."""
    if isinstance(value, str):
        value = integer(value.strip(SPACES))
    elif isinstance(value, float) and value.is_integer():
        # From 2**53 on, a float may differ from the number that was written.
        value = int(value) if abs(value) < 2**53 else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -(2**63) <= value < 2**63 else None


class _Pairs(list[tuple[str, Any]]):
    """The members of an object."""


class _Number(str):
    """The digits of a number."""


def _refuse(constant: str) -> Any:
    raise _OddError(constant)


def _tuples(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return ("object", tuple((_sound(key), _tuples(item)) for key, item in value))
    if isinstance(value, list):
        return ("list", *map(_tuples, value))
    if isinstance(value, _Number):
        return ("number", str(value))
    return _sound(value) if isinstance(value, str) else value


def _sound(text: str) -> str:
    """The text, which must not contain half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _OddError("a lone surrogate") from None
    return text


def _needs_a_mend(event: Mapping[str, Any], written: Any) -> bool:
    """Whether a key is repeated, or the event has the shape of another tool's."""
    kind, pairs = written
    is_other = "data" in event or "timestamp" in event or isinstance(event.get("time"), dict)
    return kind != "object" or len(event) < len(pairs) or is_other or _has_doubles(written)


def _has_doubles(value: Any) -> bool:
    if not isinstance(value, tuple):
        return False
    kind, *items = value
    if kind == "object":
        (pairs,) = items
        keys = {key for key, _ in pairs}
        return len(keys) < len(pairs) or any(_has_doubles(item) for _, item in pairs)
    return kind == "list" and any(map(_has_doubles, items))


def _opened(value: Any, written: Any) -> tuple[Any, Any]:
    """A member, decoded, and as a document. JSON text in it is decoded once.

    Raises:
        ValueError: it is JSON text that needs a mend.
    """
    if not isinstance(value, str):
        return value, written
    try:
        inner = document(value)
    except _OddError:
        raise
    except ValueError:
        _refuse_odd(value)
        return value, written
    return json.loads(value), inner


def _refuse_odd(text: str) -> None:
    """Refuse text that is JSON except for control characters in its strings.

    Raises:
        _OddError: the text is like that.
    """
    try:
        json.loads(text, strict=False)
    except ValueError:
        return
    raise _OddError("control characters")


def _filled(value: Any) -> Any:
    return None if value == "" else value


def _columns(event: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    context, context_document = _opened(event.get("context"), written.get("context"))
    payload, payload_document = _opened(event.get("event"), written.get("event"))
    context = context if isinstance(context, dict) else {}
    payload = payload if isinstance(payload, dict) else {}
    course_id, course_source = course(event, context, payload)
    org_id, name = _filled(context.get("org_id")), _filled(event.get("name"))
    found = {
        "time": microseconds(event.get("time")),
        "received_at": microseconds(context.get("received_at")),
        "event_type": name if (kind := _filled(event.get("event_type"))) is None else kind,
        "name": name,
        "course_id": course_id,
        "course_source": course_source,
        "org_id": org_id if course_id is None else organisation(course_id),
        "user_id": user_id(context.get("user_id")),
        **{name: event[name] if name in event else context.get(name) for name in _TEXTS},
        "path": context.get("path"),
        "context": context_document,
        "event": payload_document,
    }
    if isinstance(found["username"], str):
        found["username"] = found["username"].strip(SPACES)
    # A value that should be text and is not is kept as JSON text, whose spelling is not judged.
    judged = (*TIMES, *DOCUMENTS, "user_id")
    return {
        name: found[name]
        for name in COLUMNS
        if name in judged or found[name] is None or isinstance(found[name], str)
    }
