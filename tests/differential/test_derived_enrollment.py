"""Spells of enrolment are those of the plain-Python twin."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import twins_enrollment
from derived_course import DEFAULTS, Course, Inputs, Row, moment, numbered, same
from derived_strategies import AMY, rows_of

SHAPE: Row = {
    "table": "enrollment_events",
    "action": ["activate", "activate", "deactivate", "mode_change", "upgrade_done", "synthesized"],
    "mode": ["audit", "audit", "verified", None],
    "by_other": [None, False, True],
    "payload_course_id": [None, None, DEFAULTS["course_id"], "course-v1:UniX+CS2+2020"],
}
SUBJECTS: list[Row] = [
    {**SHAPE, "subject_user_id": user, "subject_username": name}
    for user, name in ((1, None), (1, "amy"), (None, "amy"), (None, "nobody"), (2, None))
]
AUDIT: Row = {"mode": "audit", "is_active": True, "site": "prod", "created": moment(-60)}


@pytest.fixture(scope="module")
def course() -> Course:
    return Course()


@st.composite
def packages(draw: st.DrawFn) -> Inputs:
    """Rows of enrolments, or none, or no table at all."""
    if draw(st.booleans()):
        return {"db_auth_user": [AMY]}
    users = draw(st.sets(st.sampled_from((1, 2, 5))))
    rows = [{**AUDIT, "user_id": user, "is_active": draw(st.booleans())} for user in sorted(users)]
    return {"db_auth_user": [AMY], "db_student_courseenrollment": rows}


@hypothesis_settings(max_examples=60, deadline=None, phases=[Phase.generate])
@given(
    events=st.one_of(rows_of(*SUBJECTS), *(rows_of(one) for one in SUBJECTS[:3])),
    package=packages(),
    has_events=st.sampled_from((True, True, False)),
    data=st.data(),
)
def test_spells_are_those_of_the_twin(
    course: Course, events: Inputs, package: Inputs, has_events: bool, data: st.DataObject
) -> None:
    inputs = {**(events if has_events else {}), **package}
    course.give(inputs)
    made = course.make("enrollment_spells")
    same(made, twins_enrollment.spells(inputs, DEFAULTS))
    same(course.make("enrollment_day"), twins_enrollment.days(inputs, DEFAULTS))
    # Spells of a person do not overlap.
    for row, after in itertools.pairwise(made):
        if row["user_id"] == after["user_id"] and row["site"] == after["site"]:
            assert row["end"] is not None
            assert row["end"] <= after["start"]
    course.give({name: data.draw(st.permutations(rows)) for name, rows in inputs.items()})
    assert course.make("enrollment_spells") == made


def spells_of(course: Course, acts: list[tuple[str, Any]], **package: list[Row]) -> list[Any]:
    """The spells of a person who did some acts, one a minute, each with its mode."""
    rows = [
        {"time": moment(60 * at), "action": action, "mode": mode, "subject_user_id": 1}
        for at, (action, mode) in enumerate(acts)
    ]
    course.give({"enrollment_events": numbered(rows), **package})
    names = ("spell_no", "start", "end", "mode", "start_source", "end_source", "n_duplicates")
    return [tuple(row[name] for name in names) for row in course.make("enrollment_spells")]


def test_a_person_comes_leaves_and_comes_back(course: Course) -> None:
    acts = [
        ("activate", "audit"),
        ("activate", "audit"),
        ("mode_change", "verified"),
        ("deactivate", "verified"),
        ("deactivate", "verified"),
        ("activate", "audit"),
    ]
    assert spells_of(course, acts) == [
        (1, moment(0), moment(120), "audit", "event", "mode_change", 1),
        (1, moment(120), moment(180), "verified", "event", "event", 1),
        (2, moment(300), None, "audit", "event", None, 0),
    ]


def test_broken_dates_do_not_fill_the_years_between(course: Course) -> None:
    days = (
        datetime(1970, 1, 1),
        datetime(2014, 10, 1),
        datetime(2014, 10, 3),
        datetime(9999, 1, 2),
    )
    rows = [
        {"time": day.replace(tzinfo=UTC), "action": "activate", "subject_user_id": user}
        for user, day in enumerate(days)
    ]
    inputs = {"enrollment_events": numbered(rows)}
    course.give(inputs)
    made = course.make("enrollment_day")
    same(made, twins_enrollment.days(inputs, DEFAULTS))
    assert made[0]["day"] == date(1970, 1, 1)
    assert [row["n_active"] for row in made if row["n_new"]] == [1, 2, 3, 4]
    assert len(made) < 366 * 91


def test_who_leaves_first_came_before_the_logs(course: Course) -> None:
    acts = [("deactivate", "honor")]
    gone = [{**AUDIT, "user_id": 1, "is_active": False}]
    here = [{**AUDIT, "user_id": 1}]
    spell = (1, None, moment(0), "honor", "unknown", "event", 0)
    assert spells_of(course, acts) == [spell]
    assert spells_of(course, acts, db_student_courseenrollment=gone) == [spell]
    assert course.make("enrollment_spells")[0]["agrees"] is True
    begun = (1, moment(-60), moment(0), "honor", "snapshot", "event", 0)
    assert spells_of(course, acts, db_student_courseenrollment=here) == [begun]
    assert course.make("enrollment_spells")[0]["agrees"] is False
    assert spells_of(course, [], db_student_courseenrollment=here) == [
        (1, moment(-60), None, "audit", "snapshot", None, 0)
    ]
