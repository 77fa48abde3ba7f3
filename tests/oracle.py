"""The contract once more in plain Python: gzip, `json`, a loop. The judge of differential tests.

It imports nothing of edxlogs but `edxlogs.plain`, which is plain Python, too, and imports nothing.
It is never made fast, but what it said of a line it need not work out again. `read_events` says
what a line is, `row` gives the default columns of an event, `course` its course, `matches` whether
a filter selects it, and `filter_file` all of that over a file. Times are microseconds since 1970,
UTC.
"""

from __future__ import annotations

import functools
import gzip
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from edxlogs.plain.course import SPACES, organisation
from edxlogs.plain.reader import user_id
from edxlogs.plain.times import microseconds
from oracle_course import context_of, course, course_from_context_only, strict_json_text
from oracle_mend import MAX_LINE_BYTES, Event, Outcome, members, read_events, same_json
from oracle_pieces import outcomes

__all__ = [
    "COLUMNS",
    "Event",
    "Outcome",
    "course",
    "course_from_context_only",
    "filter_file",
    "glob_matches",
    "joined",
    "matches",
    "microseconds",
    "read_events",
    "read_lines",
    "row",
    "same_json",
]

COLUMNS = (
    "time",
    "received_at",
    "event_type",
    "name",
    "event_source",
    "course_id",
    "course_source",
    "org_id",
    "user_id",
    "username",
    "session",
    "ip",
    "agent",
    "host",
    "page",
    "referer",
    "accept_language",
    "path",
    "context",
    "event",
)
"""The columns that an event alone decides, in the order of the default schema."""

CourseFrom = Literal["all", "context"]


def row(event: Mapping[str, Any], *, course_from: CourseFrom = "all") -> dict[str, Any]:
    """The default columns of one event.

    Args:
        event: an event of `read_events`, or any mapping, which then stands for its `json.dumps`.
        course_from: "context" keeps to the platform's own attribution.

    Returns:
        A value for each of `COLUMNS`; null is None.
    """
    if not isinstance(event, Event):
        event = Event(json.dumps(event, ensure_ascii=False))
    raw = dict(members(event.text))
    context = context_of(event)
    context_text = _json_column(raw.get("context"))
    raw_context = dict(members(context_text)) if context and context_text else {}

    def text(field: str) -> str | None:
        return _text_column(raw[field] if field in raw else raw_context.get(field))

    name = _text_column(raw.get("name")) or None
    username = text("username")
    decide = course_from_context_only if course_from == "context" else course
    course_id, course_source = decide(event)
    context_org = _text_column(raw_context.get("org_id")) or None
    return {
        "time": microseconds(event.get("time")),
        "received_at": microseconds(context.get("received_at")),
        "event_type": _text_column(raw.get("event_type")) or name,
        "name": name,
        "event_source": text("event_source"),
        "course_id": course_id,
        "course_source": course_source,
        "org_id": context_org if course_id is None else organisation(course_id),
        "user_id": user_id(context.get("user_id")),
        "username": None if username is None else username.strip(SPACES),
        "session": text("session"),
        "ip": text("ip"),
        "agent": text("agent"),
        "host": text("host"),
        "page": text("page"),
        "referer": text("referer"),
        "accept_language": text("accept_language"),
        "path": _text_column(raw_context.get("path")),
        "context": context_text,
        "event": _json_column(raw.get("event")),
    }


def _text_column(raw: str | None) -> str | None:
    """Text bare, null as None, anything else as the JSON text it stands in."""
    if raw is None or raw == "null":
        return None
    return str(json.loads(raw)) if raw.startswith('"') else raw


def _json_column(raw: str | None) -> str | None:
    """A value as JSON text; a string is decoded once, and stands as it is if it holds JSON."""
    if raw is None or not raw.startswith('"'):
        return None if raw == "null" else raw
    text = strict_json_text(json.loads(raw))
    if text is None:
        return raw
    return None if text.strip(" \t\r\n") == "null" else text


def glob_matches(pattern: str, text: str) -> bool:
    """Whether `*` for any run of characters and `?` for one turn the pattern into the text."""
    reached = {0}
    for sign in pattern:
        if sign == "*":
            reached = set(range(min(reached), len(text) + 1))
        else:
            reached = {
                at + 1 for at in reached if at < len(text) and (sign == "?" or text[at] == sign)
            }
        if not reached:
            return False
    return len(text) in reached


def _name(event: Mapping[str, Any], row: Mapping[str, Any], key: str) -> str | None:
    """The column of a field, unless what stands there is a list or an object."""
    value = event.get(key)
    if key == "event_type":
        value = event.get("name") if value in (None, "") else value
    elif key not in event:
        value = context_of(event).get(key)
    text: str | None = row[key]
    return None if isinstance(value, list | dict) else text


def matches(
    event: Mapping[str, Any],
    row: Mapping[str, Any],
    *,
    courses: Collection[str] = (),
    orgs: Collection[str] = (),
    event_types: Collection[str] = (),
    event_sources: Collection[str] = (),
    users: Collection[str] = (),
    since: int | None = None,
    until: int | None = None,
    by: Literal["time", "received_at"] = "time",
    exclude_courses: Collection[str] = (),
    exclude_orgs: Collection[str] = (),
    exclude_event_types: Collection[str] = (),
    exclude_event_sources: Collection[str] = (),
    exclude_users: Collection[str] = (),
    where: Callable[[Mapping[str, Any], Mapping[str, Any]], bool | None] | None = None,
) -> bool:
    """Whether a filter selects an event: kinds joined by *and*, the values of one kind by *or*.

    Args:
        event: the event; a list or an object is no name, whatever its JSON text.
        row: its columns.
        courses: course ids, exact or globs.
        orgs: organisations, whatever their case.
        event_types: exact or globs; `event_type` or `name` may match.
        event_sources: exact.
        users: user names, or user ids in digits.
        since: first instant selected, in microseconds.
        until: first instant after it that is not.
        by: the column that since and until look at; received_at falls back to time.
        exclude_courses: as courses, but what matches is not selected; likewise the others.
        exclude_orgs: see orgs.
        exclude_event_types: see event_types.
        exclude_event_sources: see event_sources.
        exclude_users: see users.
        where: an expression's truth for an event and its columns; None is unknown.
    """
    user_id = None if row["user_id"] is None else str(row["user_id"])
    types = (_name(event, row, "event_type"), _name(event, row, "name"))
    source, username = _name(event, row, "event_source"), _name(event, row, "username")
    kinds = (
        (courses, exclude_courses, _any_glob, (row["course_id"],)),
        (orgs, exclude_orgs, _any_case, (row["org_id"],)),
        (event_types, exclude_event_types, _any_glob, types),
        (event_sources, exclude_event_sources, _any_equal, (source,)),
        (users, exclude_users, _any_equal, (username, user_id)),
    )
    for wanted, unwanted, test, fields in kinds:
        values = [value for value in fields if value is not None]
        if wanted and not test(wanted, values):
            return False
        if test(unwanted, values):
            return False
    if where is not None and where(event, row) is not True:
        return False
    if since is None and until is None:
        return True
    instant = row["time"]
    if by == "received_at" and row["received_at"] is not None:
        instant = row["received_at"]
    if instant is None or (since is not None and instant < since):
        return False
    return until is None or bool(instant < until)


def _any_glob(patterns: Collection[str], values: list[str]) -> bool:
    return any(glob_matches(pattern, value) for pattern in patterns for value in values)


def _any_case(names: Collection[str], values: list[str]) -> bool:
    # Of each character on its own: a Greek sigma is lowered by its place in the word.
    lowered = {"".join(map(str.lower, name)) for name in names}
    return any("".join(map(str.lower, value)) in lowered for value in values)


def _any_equal(names: Collection[str], values: list[str]) -> bool:
    return any(name == value for name in names for value in values)


def read_lines(
    path: str | Path, *, max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[tuple[int, Outcome]]:
    """Each physical line of a plain or gzip file: its number from 1, and what it is.

    A piece of a message is of the class of the line that it was joined to, without its events.
    """
    for number, outcome, _ in _outcomes(_lines(path), max_line_bytes):
        yield number, outcome


def joined(path: str | Path, *, max_line_bytes: int = MAX_LINE_BYTES) -> dict[str, int]:
    """How many lines of a file are pieces that were joined to a line before them, by class."""
    kinds = [
        outcome.kind
        for _, outcome, is_joined in _outcomes(_lines(path), max_line_bytes)
        if is_joined
    ]
    return {kind: kinds.count(kind) for kind in set(kinds)}


def _lines(path: str | Path) -> tuple[bytes, ...]:
    data = Path(path).read_bytes()
    for _ in range(3):
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return tuple(lines)


# Tests ask again and again for other events of the same lines.
@functools.lru_cache(maxsize=64)
def _outcomes(lines: tuple[bytes, ...], max_line_bytes: int) -> list[tuple[int, Outcome, bool]]:
    return list(outcomes(lines, max_line_bytes=max_line_bytes))


@functools.lru_cache(maxsize=4096)
def _row(text: str, course_from: CourseFrom) -> dict[str, Any]:
    return row(Event(text), course_from=course_from)


@functools.lru_cache(maxsize=64)
def _events(
    lines: tuple[bytes, ...], max_line_bytes: int, course_from: CourseFrom
) -> list[tuple[int, int, Event, dict[str, Any]]]:
    """The events of lines, with their columns; they are shared, and never changed."""
    return [
        (number, item, event, _row(event.text, course_from))
        for number, outcome, _ in _outcomes(lines, max_line_bytes)
        for item, event in enumerate(outcome.events)
    ]


def filter_file(
    path: str | Path,
    *,
    course_from: CourseFrom = "all",
    max_line_bytes: int = MAX_LINE_BYTES,
    **conditions: Any,
) -> list[dict[str, Any]]:
    """The rows of a file that the conditions of `matches` select, in its order.

    Returns:
        `COLUMNS` and where the event came from: source (base name), line (from 1) and line_item
        (from 0, over all events of the line, selected or not).
    """
    rows = []
    for number, item, event, columns in _events(_lines(path), max_line_bytes, course_from):
        if matches(event, columns, **conditions):
            place = {"source": Path(path).name, "line": number, "line_item": item}
            rows.append(columns | place)
    return rows
