"""Grades, open responses, blocks by person, and courses as a whole are those of the twins."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import twins_course_wide
import twins_results
from derived_course import DEFAULTS, Course, Inputs, Row, moment, same
from derived_strategies import AMY, rows_of

KEY = "block-v1:UniX+CS1+2020+type@{}+block@{}"
SEQ, ORA, TALK = (
    KEY.format(kind, name)
    for kind, name in (("sequential", "s1"), ("openassessment", "o1"), ("discussion", "d1"))
)
PROBLEM = {
    "block_key": KEY.format("problem", "p1"),
    "block_type": "problem",
    "block_id": "p1",
}
GRADES: list[Row] = [
    {"table": "grade_events", "action": ["calculated", "calculated", "overridden"],
     "level": "subsection", "block_key": SEQ, "block_type": "sequential", "block_id": "s1",
     "earned": [None, 1.0, 2.0], "possible": [None, 0.0, 4.0], "subject_user_id": [1, 2, None],
     "subject_username": [None, "amy"]},
    {"table": "grade_events", "action": ["calculated", "passed_first"], "level": "course",
     "percent": [None, 0.5], "letter_grade": [None, "Pass"], "subject_user_id": [1, 2]},
]  # fmt: skip
ACTS: list[Row] = [
    {"table": "ora_events", "action": ["submit", "save", "peer_assess", "self_assess"],
     "block_key": [ORA, None], "block_type": "openassessment", "block_id": "o1"},
    {"table": "problem_events", "action": ["check", "hint"], "success": ["correct", None],
     **PROBLEM},
    {"table": "video_events", "action": ["play", "load"], "block_key": ["v1", None],
     "block_id": "v1"},
    {"table": "forum_events", "action": ["create", "view"], "kind": "thread",
     "commentable_id": ["topic", "other"], "post_id": ["t1", "t2"]},
    {"table": "requests", "route": ["courseware", "discussion"], "forum_action": [None, "create"],
     "commentable_id": [None, "topic"]},
    {"table": "enrollment_events", "action": ["activate", "deactivate"], "mode": "audit",
     "subject_user_id": [1, 2]},
]  # fmt: skip
STRUCTURE: list[Row] = [
    {"usage_key": KEY.format("course", "course"), "block_type": "course", "depth": 0,
     "display_name": "CS1", "start": moment(900),
     "metadata": '{"end":"2020-03-03T10:00:00+00:00"}'},
    {"usage_key": SEQ, "block_type": "sequential", "display_name": "Week 1"},
    {"usage_key": ORA, "block_type": "openassessment", "display_name": "Essay"},
    {"usage_key": TALK, "block_type": "discussion", "metadata": '{"discussion_id":"topic"}'},
]  # fmt: skip
STAFF: Inputs = {"db_student_courseaccessrole": [{"user_id": 2, "role": "staff", "site": "prod"}]}


@pytest.fixture(scope="module")
def course() -> Course:
    return Course()


@st.composite
def packages(draw: st.DrawFn) -> Inputs:
    """Tables of grades and of open responses, each or none; roles and structure."""
    site = {"site": "prod"}

    def pick(*values: Any) -> Any:
        return draw(st.sampled_from(values))

    of_users = [{"user_id": user, **site} for user in (1, 2)]
    tables: dict[str, list[Row]] = {
        "db_grades_persistentsubsectiongrade": [
            {**row, "usage_key": SEQ, "earned_all": 1.0, "possible_all": pick(0.0, 4.0),
             "modified": moment(70)}
            for row in of_users
        ],
        "db_grades_persistentcoursegrade": [
            {**row, "percent_grade": pick(0.0, 0.6), "letter_grade": "", "modified": moment(80)}
            for row in of_users
        ],
        "db_student_courseenrollment": [
            {**row, "mode": pick("audit", "honor"), "is_active": pick(True, False),
             "created": moment(-9)}
            for row in of_users
        ],
        "db_student_anonymoususerid": [
            {**row, "anonymous_user_id": f"anon{row['user_id']}"} for row in of_users
        ],
        "db_submissions_studentitem": [
            {**site, "id": at, "student_id": pick("anon1", "anon2", "anon9"), "item_id": ORA}
            for at in (1, 2)
        ],
        "db_submissions_submission": [
            {**site, "id": at, "uuid": f"ab-{at}", "student_item_id": pick(1, 2),
             "submitted_at": moment(at)}
            for at in range(pick(1, 3))
        ],
        "db_assessment_assessment": [
            {**site, "id": at, "submission_uuid": pick("ab0", "ab1", "zz"),
             "score_type": pick("PE", "SE", "ST"), "scorer_id": pick("anon1", "anon2", "anon9")}
            for at in range(pick(1, 4))
        ],
        "db_submissions_score": [
            {**site, "id": at, "student_item_id": pick(1, 2), "points_earned": at,
             "points_possible": 9, "reset": pick(False, False, True), "created_at": moment(at)}
            for at in range(pick(0, 4))
        ],
        "db_course_structure": [{**row, **site} for row in STRUCTURE],
        **{name: list(rows) for name, rows in STAFF.items()},
    }  # fmt: skip
    left_out = draw(st.sets(st.sampled_from(sorted(tables)), max_size=3))
    return {name: rows for name, rows in tables.items() if name not in left_out}


@hypothesis_settings(max_examples=30, deadline=None, phases=[Phase.generate])
@given(events=rows_of(*GRADES, *ACTS, at_most=16), package=packages(), has_events=st.booleans())
def test_results_are_those_of_the_twins(
    course: Course, events: Inputs, package: Inputs, has_events: bool
) -> None:
    inputs: dict[str, Any] = {"db_auth_user": [AMY], **package}
    if has_events:
        inputs |= events
    course.give(inputs)
    same(course.make("grades"), twins_results.grades(inputs, DEFAULTS))
    same(course.make("ora_person"), twins_results.ora_person(inputs, DEFAULTS))


@hypothesis_settings(max_examples=30, deadline=None, phases=[Phase.generate])
@given(
    events=rows_of(*ACTS, at_most=16),
    missing=st.sets(st.sampled_from([one["table"] for one in ACTS])),
    package=packages(),
)
def test_courses_are_those_of_the_twins(
    course: Course, events: Inputs, missing: set[str], package: Inputs
) -> None:
    inputs: dict[str, Any] = {"db_auth_user": [AMY], **package}
    inputs |= {name: rows for name, rows in events.items() if name not in missing}
    course.give(inputs)
    same(course.make("person_block"), twins_course_wide.person_block(inputs, DEFAULTS))
    same(course.make("course_day"), twins_course_wide.course_day(inputs, DEFAULTS))
    same(course.make("course_summary"), twins_course_wide.course_summary(inputs, DEFAULTS))
