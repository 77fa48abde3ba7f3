"""Enrollments of a learner: events, the row of the database, and the spells they make."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from edxlogs.generator.course import Course
from edxlogs.generator.lines import Line, Lines, Person

Row = dict[str, Any]
Moment = datetime.datetime
_DAY = datetime.timedelta(days=1)
STORIES = 9
SPANS = (0, 30, 20, 25, 1, 40, 0, 0, 0)
"""Days from the start of each story to its last event."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What is known about a learner's enrollment in a course.

    Attributes:
        lines: lines of the log.
        spells: rows of `enrollment_spells`.
        created, mode, is_active: the row of student_courseenrollment.
    """

    lines: list[Line]
    spells: list[Row]
    created: Moment
    mode: str
    is_active: bool


def enrol(course: Course, who: Person, staff: Person, start: Moment, story: int) -> Enrolled:
    """One of the stories, told from `start` over at most 60 days.

    0 enrols and stays. 1 changes the mode. 2 leaves. 3 leaves and comes back. 4 enrols twice. 5
    leaves without an event for having come. 6 has no events. 7 is enrolled by staff. 8 is gone from
    the database, though no event says so.
    """
    write = Lines(course, who, "c" * 32)
    lines: list[Line] = []
    mode = "audit" if story == 1 else "honor"

    def event(days: int, word: str, mode: str, by: Lines = write) -> Moment:
        moment = start + days * _DAY
        payload = {"course_id": course.key, "user_id": who.user_id, "mode": mode}
        lines.append(by.server(moment, f"edx.course.enrollment.{word}", payload))
        return moment

    def spell(number: int, begin: Moment | None, end: Moment | None, **more: Any) -> Row:
        return {
            "site": course.site,
            "course_id": course.key,
            "user_id": who.user_id,
            "spell_no": number,
            "start": begin,
            "end": end,
            "mode": mode,
            "start_source": "event" if begin else "unknown",
            **more,
        }

    if story == 5:
        ended = event(40, "deactivated", mode)
        return Enrolled(lines, [spell(1, None, ended)], start, mode, False)
    if story == 6:
        start = start.replace(microsecond=0)  # the database has whole seconds
        rows = [spell(1, start, None, start_source="snapshot")]
        return Enrolled([], rows, start, mode, True)
    by_staff = story == 7
    begin = event(0, "activated", mode, Lines(course, staff, "d" * 32) if by_staff else write)
    rows = [spell(1, begin, None, actor_is_other=by_staff)]
    if story == 1:
        changed = event(30, "mode_changed", "verified")
        rows[0]["end"] = changed
        mode = "verified"
        rows.append(spell(1, changed, None))
    if story in (2, 3):
        rows[0]["end"] = event(20, "deactivated", mode)
    if story == 3:
        rows.append(spell(2, event(25, "activated", mode), None))
    if story == 4:
        event(1, "activated", mode)
        rows[0]["n_duplicates"] = 1
    if story == 8:
        rows[0]["agrees"] = False
    return Enrolled(lines, rows, begin, mode, story not in (2, 8))
