"""Tables of events once more in plain Python: which an event belongs to, and what its rows hold.

It never imports edxlogs, and knows nothing of the definitions: spellings and keys stand here as the
platform writes them. `home` says where an event belongs, `decode` gives the columns that follow
those of `oracle.row`, and `rows` whole rows, in the order of their columns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import oracle_activity as activity
import oracle_acts as acts
import oracle_learning as learning
from oracle_event_rows import Decoded, Row

TABLES: dict[str, tuple[Mapping[str, str], Callable[[Row], Decoded]]] = {
    "problem_events": (acts.PROBLEM, learning.problem_events),
    "video_events": (acts.VIDEO, learning.video_events),
    "forum_events": (acts.FORUM, activity.forum_events),
    "enrollment_events": (acts.ENROLLMENT, activity.enrollment_events),
    "navigation_events": (acts.NAVIGATION, activity.navigation_events),
    "requests": ({}, activity.requests),
    "ora_events": (acts.ORA, learning.ora_events),
    "grade_events": (acts.GRADE, activity.grade_events),
    "completion_events": (acts.COMPLETION, activity.completion_events),
    "exam_events": (acts.EXAM, activity.exam_events),
    "certificate_events": (acts.CERTIFICATE, activity.certificate_events),
    "group_events": (acts.GROUP, activity.group_events),
    "content_events": (acts.CONTENT, learning.content_events),
    "block_events": (acts.BLOCK, activity.block_events),
    "study_events": (acts.STUDY, activity.study_events),
    "textbook_events": (acts.TEXTBOOK, activity.textbook_events),
    "account_events": (acts.ACCOUNT, activity.account_events),
    "staff_events": (acts.STAFF, activity.staff_events),
    "other_events": ({}, activity.other_events),
}
"""Acts of each home table, and what makes its rows."""
CHILDREN = {
    "problem_inputs": "problem_events",
    "problem_forms": "problem_events",
    "ora_parts": "ora_events",
    "assigned_blocks": "content_events",
}
"""Home by table of children."""
TEXT = {
    "problem_events": "hint_text",
    "problem_inputs": "answer answer_text question hint",
    "problem_forms": "answer",
    "forum_events": "title body query corrected_text",
    "requests": "search_text",
    "ora_events": "answer feedback file_name",
    "ora_parts": "feedback",
    "group_events": "old new search_text",
    "block_events": "content answer rationale title",
    "study_events": "note_text highlighted old_note_text search_text",
    "textbook_events": "query",
    "account_events": "old new",
    "other_events": "payload",
}
"""Columns of free text by table."""
SPINE = (
    *("time", "received_at", "site", "org_id", "course_id", "course_source", "user_id", "username"),
    *("session", "ip", "agent", "event_source", "event_type", "name", "action"),
    *("subject_user_id", "subject_username", "flags", "source", "line", "line_item"),
)
"""The first columns of every home table."""
SPINE_OF_CHILDREN = (
    *("site", "time", "course_id", "user_id", "username", "action", "subject_user_id"),
    *("block_key", "block_id", "source", "line", "line_item"),
)
"""The first columns of every table of children."""


class Place(NamedTuple):
    """Where an event stands: in which text of which site, in which line, as which event of it."""

    site: str | None
    source: str
    line: int
    line_item: int


@functools.cache
def _homes() -> dict[str, str]:
    homes = {
        one: table
        for table, (its, _) in TABLES.items()
        for types in its.values()
        for one in types.split()
    }
    return homes | dict.fromkeys(acts.OTHER, "other_events")


def home(event_type: str | None, name: str | None) -> tuple[str, str | None, bool]:
    """Table, the spelling that decides, and whether the other one leads elsewhere."""
    homes = _homes()
    by_type, by_name = homes.get(event_type or ""), homes.get(name or "")
    if by_type:
        return by_type, event_type, by_name is not None and by_name != by_type
    if by_name:
        return by_name, name, False
    return ("requests" if (event_type or "").startswith("/") else "other_events"), None, False


def _decode(event: Mapping[str, Any]) -> tuple[Row, Decoded]:
    row = Row(event)
    table, spelling, disagrees = home(row.columns["event_type"], row.columns["name"])
    if disagrees:
        row.flags.add("name_disagrees")
    its, decoder = TABLES[table]
    row.spelling = spelling or ""
    row.action = acts.spellings(its).get(row.spelling, "")
    return row, decoder(row)


def decode(event: Mapping[str, Any]) -> Decoded:
    """What one event becomes.

    Args:
        event: as `oracle.read_events` gives it, or any mapping.
    """
    return _decode(event)[1]


def rows(
    event: Mapping[str, Any], place: Place, *, no_text: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """Rows of one event by table: one of its home, and those of its children, which may be none.

    Args:
        event: as `oracle.read_events` gives it, or any mapping.
        place: where it stands.
        no_text: whether columns of free text are null.
    """
    read, decoded = _decode(event)
    known = read.columns | place._asdict()
    spine = {name: known.get(name) for name in SPINE}
    made = {decoded.table: [spine | decoded.row]}
    repeated = spine | decoded.row
    for table, children in decoded.children.items():
        first = {name: repeated.get(name) for name in SPINE_OF_CHILDREN}
        made[table] = [first | child for child in children]
    for table, its in made.items():
        for row in its:
            row.update(dict.fromkeys(TEXT.get(table, "").split() if no_text else []))
    return made
