"""People day by day and as a whole are those of the plain-Python twins, and sums hold."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import twins_events
import twins_person
from derived_course import DEFAULTS, Course, Inputs, Row, moment, same
from derived_strategies import AMY, rows_of

KEY = "block-v1:UniX+CS1+2020+type@{}+block@{}"
VIDEO, PROBLEM = KEY.format("video", "v1"), KEY.format("problem", "p1")
CHAPTERS = [KEY.format("chapter", name) for name in ("c1", "c2")]
OF_PROBLEM = {"block_key": PROBLEM, "block_type": "problem", "block_id": "p1"}
OF_VIDEO = {"block_key": VIDEO, "block_type": "video", "block_id": "v1"}
SHAPES: list[Row] = [
    {"table": "video_events", "action": ["play", "pause", "seek", "load", "menu_show", "speed"],
     "position": [0.0, 3.0, 9.5, 14.0], "position_to": [None, 2.0], "duration": [None, 20.0],
     **OF_VIDEO},
    {"table": "problem_events", "action": ["check", "check", "answer_shown", "form_check"],
     "success": ["correct", "incorrect"], **OF_PROBLEM},
    {"table": "forum_events", "action": ["view", "create", "vote"], "kind": "thread",
     "thread_id": ["t1", None], "post_id": ["t1", "t2"]},
    {"table": "requests", "route": ["courseware", "progress", "discussion", "xblock_handler"],
     "forum_action": [None, "read", "upvote"], "thread_id": [None, "t3"]},
    {"table": "navigation_events", "action": ["goto", "close"]},
    {"table": "ora_events", "action": ["submit", "save", "team_submit"]},
    {"table": "completion_events", "action": "block", "completion": [1.0, 0.5],
     "subject_user_id": [1, 2, None], **OF_PROBLEM},
    {"table": "grade_events", "action": "calculated", "level": ["course", "subsection"],
     "subject_user_id": [1, 2]},
    {"table": "enrollment_events", "action": ["activate", "deactivate", "mode_change"],
     "mode": ["audit", "verified"], "subject_user_id": [1, 2]},
]  # fmt: skip
STRUCTURE: list[Row] = [
    {"usage_key": KEY.format("course", "course"), "block_type": "course", "depth": 0},
    {"usage_key": CHAPTERS[0], "block_type": "chapter", "depth": 1, "position": 0,
     "chapter": CHAPTERS[0], "start": moment(-90)},
    {"usage_key": CHAPTERS[1], "block_type": "chapter", "depth": 1, "position": 1,
     "chapter": CHAPTERS[1], "start": moment(9_000_000)},
    {"usage_key": PROBLEM, "block_type": "problem", "depth": 2, "position": 0,
     "parent": CHAPTERS[0], "chapter": CHAPTERS[0]},
    {"usage_key": VIDEO, "block_type": "video", "depth": 2, "position": 0,
     "parent": CHAPTERS[1], "chapter": CHAPTERS[1]},
]  # fmt: skip
ROOT = STRUCTURE[0]["usage_key"]
STRUCTURE[1]["parent"] = STRUCTURE[2]["parent"] = ROOT

CERTIFICATE: Row = {"id": 1, "created_date": moment(600), "modified_date": moment(700)}


@st.composite
def packages(draw: st.DrawFn) -> Inputs:
    """Some tables of a package, of three people."""

    def rows(make: Any) -> list[Row]:
        users = draw(st.sets(st.sampled_from((1, 2, 5))))
        return [{"user_id": user, "site": "prod", **make(user)} for user in sorted(users)]

    def pick(*values: Any) -> Any:
        return draw(st.sampled_from(values))

    tables: dict[str, Any] = {
        "db_auth_user": lambda: [
            {**AMY, "email": pick(None, "amy@Uni.Example")},
            {"id": 2, "username": "bob", "site": "prod"},
        ],
        "db_auth_userprofile": lambda: rows(
            lambda user: {
                "year_of_birth": pick(None, 1899, 1990, 2015, 2016),
                "gender": pick("", "f"),
                "level_of_education": pick(None, "b"),
                "country": "DE",
            }
        ),
        "db_student_courseenrollment": lambda: rows(
            lambda user: {
                "created": moment(-60 * user),
                "mode": pick("audit", "verified"),
                "is_active": pick(True, False),
            }
        ),
        "db_certificates_generatedcertificate": lambda: rows(
            lambda user: {
                **CERTIFICATE,
                "status": pick("downloadable", "unavailable", "notpassing"),
                "grade": pick("", "0.84"),
                "mode": "honor",
            }
        ),
        "db_grades_persistentcoursegrade": lambda: rows(
            lambda user: {
                "percent_grade": pick(0.0, 0.5, 0.61),
                "letter_grade": pick("", "Pass"),
                "passed_timestamp": pick(None, moment(500)),
            }
        ),
        "db_courseware_studentmodule": lambda: [
            {
                "student_id": pick(1, 2, 5),
                "module_id": pick(*CHAPTERS, VIDEO, PROBLEM, ROOT),
                "module_type": pick("chapter", "poll", "course"),
                "site": "prod",
            }
            for _ in range(pick(0, 3))
        ],
        "db_course_structure": lambda: [{**one, "site": "prod"} for one in STRUCTURE],
        "db_forum": lambda: [
            {"_id": f"f{at}", "kind": "thread", "author_id": str(user), "site": "prod"}
            for at, user in enumerate((1, 1, 5))
        ][: pick(0, 1, 3)],
        "db_student_courseaccessrole": lambda: rows(lambda user: {"role": "staff"}),
        "olx_cutoffs": lambda: [
            {"letter": "A", "cutoff": 0.8},
            {"letter": "Pass", "cutoff": 0.6},
        ],
        "olx_blocks": lambda: [{"block_key": VIDEO, "video_s": 25.0}],
    }
    names = draw(st.sets(st.sampled_from(sorted(tables))))
    return {name: tables[name]() for name in sorted(names)}


@pytest.fixture(scope="module")
def course() -> Course:
    return Course()


@hypothesis_settings(max_examples=30, deadline=None, phases=[Phase.generate])
@given(
    events=rows_of(*SHAPES, at_most=16),
    missing=st.sets(st.sampled_from([one["table"] for one in SHAPES])),
    package=packages(),
    parameters=st.sampled_from(
        ({}, {"as_of": moment(90_000), "with_email_domain": True}, {"tz": "Asia/Tokyo"})
    ),
)
def test_people_are_those_of_the_twins(
    course: Course, events: Inputs, missing: set[str], package: Inputs, parameters: Any
) -> None:
    inputs = {**{name: rows for name, rows in events.items() if name not in missing}, **package}
    known = {**DEFAULTS, **parameters}
    course.give(inputs, parameters)
    days = course.make("person_course_day")
    same(days, twins_person.person_course_day(inputs, known))
    people = course.make("person_course")
    same(people, twins_person.person_course(inputs, known))
    counts = {one["what"]: one["n"] for one in course.make("person_account")}
    strangers = [one for one in people if one["enrolled"] is False]
    assert counts["people with events who are not enrolled"] == len(strangers)
    told = {
        (row["site"], row["user_id"]): row["year_of_birth"]
        for row in inputs.get("db_auth_userprofile", ())
    }
    odd = [one for one in people if one["YoB"] != told.get((one["site"], one["user_id"]))]
    assert counts["years of birth before 1900, or less than five years ago"] == len(odd)
    # Sums hold.
    of_days: dict[Any, int] = defaultdict(int)
    for one in days:
        of_days[one["site"], one["user_id"]] += one["n_events"]
    of_sessions: dict[Any, int] = defaultdict(int)
    for one in course.make("sessions"):
        of_sessions[one["site"], one["user_id"]] += one["n_events"]
    assert of_days == of_sessions
    for one in people:
        assert (one["n_events"] or 0) == of_days[one["site"], one["user_id"]]
        kinds = [one[f"time_{kind}_s"] or 0 for kind in twins_events.KINDS]
        assert round(sum(kinds), 6) == (one["time_s"] or 0)
        assert one["chapter_share"] is None or 0 <= one["chapter_share"] <= 1
        assert one["video_share"] is None or 0 <= one["video_share"] <= 1
