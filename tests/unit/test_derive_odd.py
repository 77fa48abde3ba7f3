"""`edxlogs derive` of data that no course should have: what can be known is delivered."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

import edxlogs
from derived import COURSE, Row, at, rows_of, write_database, write_events
from edxlogs.edx.event_tables import event_tables

EPOCH = datetime.datetime(1970, 1, 1, 0, 0, 9, tzinfo=datetime.UTC)
VIDEO = {"block_key": "i4x-U-C-video-v", "block_type": "video", "block_id": "v"}
PROBLEM = {"block_key": "i4x-U-C-problem-p", "block_type": "problem", "block_id": "p"}
HUGE = 1e300


def event(line: int, user: int | None, **more: Any) -> Row:
    row = {
        "time": at(line),
        "site": "prod",
        "course_id": COURSE,
        "user_id": user,
        "username": "amy",
        "event_source": "browser",
        "source": "a.log",
        "line": line,
        "line_item": 0,
    }
    return {**row, **more}


VIDEOS = [
    event(1, 1, action="play", position=0.0, **VIDEO),
    event(2, 1, action="pause", position=HUGE, **VIDEO),
    event(3, 1, action="play", position=1.0, duration=HUGE, **VIDEO),
    event(4, 1, action="pause", position=9.0, duration=0.0, **VIDEO),
    event(5, 1, action="play", position=-HUGE, **VIDEO),
    event(6, 1, action="seek", position=None, position_to=HUGE, **VIDEO),
    event(7, -5, action="play", position=3.0, username="amy2", **VIDEO),
    event(8, 2**62, action="speed", speed_to=HUGE, **VIDEO),
]
CHECKS = [
    event(11, 1, action="check", attempts=2**40, grade=HUGE, max_grade=1 / HUGE, **PROBLEM),
    event(12, 2, action="check", attempts=-3, grade=-HUGE, max_grade=0.0, **PROBLEM),
    event(13, 2, action="check", grade=0.5, max_grade=1.0, time=None, **PROBLEM),
]
ANSWERS = [
    {**check, "input_id": "p_2_1", "answer": "x" * 5_000, "correctness": told, "npoints": points}
    for check, told, points in zip(CHECKS, ("odd", "correct", ""), (HUGE, -HUGE, None), strict=True)
]
PAGES = [
    event(21, 3, route="courseware", time=EPOCH),
    event(22, 3, route="progress", username="amy_new"),
    event(23, 3, route="info", username="amy_new", event_source="mobile", time=EPOCH,
          received_at=at(23)),
    event(24, None, route="courseware", username="ghost"),
]  # fmt: skip
ENROLMENTS = [
    event(31, 1, action="deactivate", mode="x" * 300, subject_user_id=1),
    event(32, 1, action="mode_change", mode="", subject_user_id=2),
]
GRADES = [
    event(41, 1, action="calculated", level="course", subject_user_id=1, percent=HUGE),
    event(42, 1, action="calculated", level="subsection", subject_user_id=1, earned=HUGE,
          possible=-1.0),
]  # fmt: skip
EVENTS = {
    "video_events": VIDEOS,
    "problem_events": CHECKS,
    "requests": PAGES,
    "enrollment_events": ENROLMENTS,
    "grade_events": GRADES,
}
STATE = {"module_type": "problem", "module_id": PROBLEM["block_key"]}
PACKAGE: dict[str, list[Row]] = {
    "auth_user": [{"id": 1, "username": "amy", "email": "@"}, {"id": 1, "username": "again"}],
    "auth_userprofile": [{"user_id": 1, "year_of_birth": -(2**40)}, {"user_id": None}],
    "student_courseenrollment": [{"id": 1, "user_id": 1, "created": EPOCH}, {"id": 2}],
    "certificates_generatedcertificate": [
        {"id": 1, "user_id": 1, "status": "downloadable", "grade": "1e400"},
        {"id": 2, "user_id": 2, "grade": "nan"},
    ],
    "grades_persistentcoursegrade": [{"user_id": 1, "percent_grade": HUGE}],
    "courseware_studentmodule": [
        {**STATE, "id": 1, "student_id": 1, "state": "{bad", "grade": HUGE, "max_grade": 0.0},
        {**STATE, "id": 2, "student_id": 2, "grade": HUGE, "max_grade": 1 / HUGE,
         "state": '{"attempts": 1e99, "correct_map": {"p_2_1": "{}"}}'},
        {**STATE, "id": 3, "student_id": 3, "state": '{"attempts": "x", "correct_map": [1]}'},
    ],
    "course_structure": [{"usage_key": "odd", "block_type": "problem", "parent": "odd",
                          "depth": 1, "children": "null", "metadata": "{}"}],
}  # fmt: skip


def derive(folder: Path, package: bool = True, **words: Any) -> Any:
    known = {name for name, _ in event_tables()["problem_inputs"].schema}
    answers = [{name: row[name] for name in row if name in known} for row in ANSWERS]
    words["events"] = write_events(folder / "events", {**EVENTS, "problem_inputs": answers})
    if package:
        words["db"] = write_database(folder / "db", PACKAGE)
    return edxlogs.derive(folder / "out", compat="simeon", **words)


def test_odd_data_cost_what_they_are_in_alone(tmp_path: Path) -> None:
    done = derive(tmp_path)
    assert done.failed == []
    (course,) = done.courses
    assert course.counts["not a viewing: position out of range"] == 1
    assert course.counts["not a viewing: no position"] == 1
    assert course.counts["wrong clocks in requests"] == 1
    assert course.counts["events of usernames without an account in requests"] == 1
    (viewing,) = rows_of(tmp_path / "out", "video_viewings")
    assert (viewing["start_pos"], viewing["end_pos"], viewing["duration"]) == (1.0, 9.0, None)
    shares = {row["share"] for row in rows_of(tmp_path / "out", "person_video")}
    assert shares == {None}
    people = {row["user_id"]: row for row in rows_of(tmp_path / "out", "person_course")}
    # The account's name; without one, that of the last event.
    assert [people[one]["username"] for one in (1, 3, -5)] == ["again", "amy_new", "amy2"]
    assert people[1]["YoB"] is None
    # A browser's clock is the server's, and stays; an app's is not.
    assert (people[3]["first_event"], people[3]["last_event"]) == (EPOCH, at(23))


@pytest.mark.parametrize("words", [{}, {"as_of": "2014-10-01", "tz": "Asia/Tokyo"}])
def test_without_a_package_nothing_of_it_is_known(tmp_path: Path, words: dict[str, Any]) -> None:
    done = derive(tmp_path, package=False, **words)
    assert done.failed == []
    for row in rows_of(tmp_path / "out", "person_course"):
        unknown = "enrolled registered_at grade certified completed YoB n_threads is_staff"
        assert {name: row[name] for name in unknown.split()} == dict.fromkeys(unknown.split())
    assert "course_items" not in done.rows
