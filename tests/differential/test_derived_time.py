"""Learners' events, sessions and time on task are those of the plain-Python twins."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import twins_events
import twins_time
from derived_course import DEFAULTS, Course, Inputs, Row, moment, numbered, same
from derived_strategies import AMY, rows_of

SHAPES: list[Row] = [
    {"table": "video_events", "action": ["play", "pause", "load", "transcript_show", "bumper_load"],
     "block_id": ["v1", "v2", None]},
    {"table": "problem_events", "action": ["check", "form_check", "hint", "graded_page", "save"]},
    {"table": "forum_events", "action": ["view", "create"], "kind": "thread"},
    {"table": "navigation_events", "action": ["goto", "close", "close"]},
    {"table": "requests", "route": ["courseware", "discussion", "xblock_handler", "progress", None],
     "forum_action": [None, "read", "reply"]},
    {"table": "ora_events", "action": "submit"},
    {"table": "textbook_events", "action": "turn"},
    {"table": "completion_events", "action": "block"},
    {"table": "block_events", "action": "loaded"},
    {"table": "study_events", "action": "added"},
    {"table": "other_events", "action": None},
]  # fmt: skip
PACKAGES: list[Inputs] = [
    {},
    {"db_auth_user": [AMY]},
    {
        "db_auth_user": [AMY, {"id": 2, "username": "bob", "site": "prod"}],
        "db_student_courseenrollment": [
            {"user_id": 1, "site": "prod", "created": moment(-90_000 + 7)},
            {"user_id": 9, "site": "prod", "created": moment(90_000)},
        ],
        "db_student_courseaccessrole": [{"user_id": 2, "site": "prod", "role": "staff"}],
        "db_django_comment_client_role_users": [
            {"user_id": 1, "site": "prod", "name": "Student"},
            {"user_id": 3, "site": "prod", "name": "Student"},
            {"user_id": 3, "site": "prod", "name": "Moderator"},
        ],
    },
]
PARAMETERS: list[dict[str, Any]] = [
    {},
    {"gap": 300_000_000, "cap": 299_000_000, "tz": "America/New_York"},
]


@pytest.fixture(scope="module")
def course() -> Course:
    return Course()


@hypothesis_settings(max_examples=40, deadline=None, phases=[Phase.generate])
@given(
    events=rows_of(*SHAPES),
    package=st.sampled_from(PACKAGES),
    parameters=st.sampled_from(PARAMETERS),
    data=st.data(),
)
def test_time_is_that_of_the_twins(
    course: Course, events: Inputs, package: Inputs, parameters: Any, data: st.DataObject
) -> None:
    inputs = {**events, **package}
    known = {**DEFAULTS, **parameters}
    course.give(inputs, parameters)
    everybody = twins_events.persons(inputs, known)
    same(course.make("persons"), [its for _, its in sorted(everybody.items())])
    counts = {one["what"]: one["n"] for one in course.make("events_account") if one["n"]}
    assert counts == twins_events.events_account(inputs, known)
    same(course.make("sessions"), twins_time.sessions(inputs, known))
    same(course.make("time_on_task"), twins_time.time_on_task(inputs, known))
    again = {name: data.draw(st.permutations(rows)) for name, rows in inputs.items()}
    sessions, times = course.make("sessions"), course.make("time_on_task")
    course.give(again, parameters)
    assert course.make("sessions") == sessions
    assert course.make("time_on_task") == times
    # Sums hold.
    acts = [one for one in twins_events.learner_events(inputs, known) if one["act"]]
    assert sum(one["n_events"] for one in sessions) == len(acts)
    for one in times:
        kinds = [one[f"time_{kind}_s"] or 0 for kind in twins_events.KINDS]
        total = sum(round(value * 1_000_000) for value in kinds)
        assert total == round(one["time_s"] * 1_000_000)


def test_a_session_ends_after_half_an_hour(course: Course) -> None:
    acts = [0, 600, 600 + 1800, 600 + 1800 + 1800.000001]
    rows = numbered(
        [{"time": moment(at), "user_id": 1, "action": "goto"} for at in acts]
        + [{"time": moment(4201), "user_id": 1, "action": "close"}]
    )
    course.give({"navigation_events": rows})
    first, second = course.make("sessions")
    assert (first["start"], first["end"]) == (moment(0), moment(2400))
    assert (first["duration_s"], first["n_events"], first["ended_by"]) == (2400.0, 3, "gap")
    assert (second["duration_s"], second["n_events"], second["ended_by"]) == (0.0, 1, "close")
    (day,) = course.make("time_on_task")
    assert (day["n_gaps"], day["n_capped"]) == (3, 3)
    assert day["time_s"] == day["time_other_s"] == 900.0
    assert day["time_video_s"] is None  # nothing tells
