"""Tables by the names of peers are ours under their names, and what they work out is the twins'."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings

import twins_compat
from derived_course import DEFAULTS, Course, Inputs, Row, day, moment, numbered, same
from derived_strategies import AMY, rows_of

KEY = "block-v1:UniX+CS1+2020+type@{}+block@{}"
ROOT, CHAPTER, SEQ, VIDEO, PROBLEM = (
    KEY.format(kind, name)
    for kind, name in (
        ("course", "course"),
        ("chapter", "c1"),
        ("sequential", "s1"),
        ("video", "v1"),
        ("problem", "p1"),
    )
)
OF_PROBLEM = {"block_key": PROBLEM, "block_type": "problem", "block_id": "p1"}
ITS_KEY = {"block_key": PROBLEM, "block_id": "p1"}
SHAPES: list[Row] = [
    {"table": "video_events", "action": ["play", "pause", "stop", "seek", "load"],
     "position": [None, 3.0, 9.5], "ip": [None, "", "192.0.2.1", "192.0.2.2"],
     "block_key": VIDEO, "block_type": "video", "block_id": "v1"},
    {"table": "problem_events", "action": ["check", "answer_shown"], "ip": "192.0.2.1",
     **OF_PROBLEM},
    {"table": "forum_events", "action": ["view", "create", "vote", "search"],
     "kind": ["thread", "comment", None], "thread_id": ["t1", None], "undo_vote": [None, True]},
    {"table": "requests", "route": ["courseware", "discussion"],
     "forum_action": [None, "read", "upvote", "unvote", "create"], "thread_id": [None, "t3"]},
    {"table": "enrollment_events", "mode": ["audit", None], "subject_user_id": [1, 2],
     "action": ["activate", "deactivate", "mode_change", "upgrade_done", "upgrade_click"]},
]  # fmt: skip


@pytest.fixture(scope="module")
def course() -> Course:
    return Course()


def _some(rows: list[Row], columns: str) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(row[one] for one in columns.split()) for row in rows)


@hypothesis_settings(max_examples=8, deadline=None, phases=[Phase.generate])
@given(events=rows_of(*SHAPES, at_most=16))
def test_what_is_made_of_events_is_that_of_the_twins(course: Course, events: Inputs) -> None:
    inputs = {**events, "db_auth_user": [AMY]}
    course.give(inputs)
    for table, columns, twin in (
        (
            "simeon_person_course_day",
            "username date nforum avg_dt sdv_dt max_dt n_dt sum_dt",
            twins_compat.day_steps,
        ),
        ("simeon_pc_day_ip_counts", "username ip date ipcount", twins_compat.addresses),
        ("simeon_video_stats_day", "date username video_id position", twins_compat.farthest),
        ("simeon_show_answer", "time username module_id", twins_compat.shown),
        ("simeon_enrollment_events", "time user_id mode event_type", twins_compat.enrolments),
        ("simeon_forum_events", "time username forum_action thread_id", twins_compat.forum_acts),
    ):
        assert _some(course.make(table), columns) == twin(inputs, DEFAULTS), table


def _block(key: str, above: str | None, at: int, depth: int, **more: Any) -> Row:
    kind = key.partition("type@")[2].partition("+")[0]
    return {
        "usage_key": key, "block_type": kind, "parent": above, "position": at, "depth": depth,
        "display_name": f"The {kind}", "site": "prod",
        "chapter": CHAPTER if depth else None, "sequential": SEQ if depth > 1 else None, **more,
    }  # fmt: skip


STRUCTURE = [
    _block(ROOT, None, 0, 0, path=f'["{ROOT}"]'),
    _block(CHAPTER, ROOT, 0, 1, path=f'["{ROOT}","{CHAPTER}"]'),
    _block(SEQ, CHAPTER, 0, 2, format="Homework", path=f'["{ROOT}","{CHAPTER}","{SEQ}"]'),
    _block(VIDEO, SEQ, 0, 3, path=f'["{ROOT}","{CHAPTER}","{SEQ}","{VIDEO}"]'),
    _block(PROBLEM, SEQ, 1, 3, path=f'["{ROOT}","{CHAPTER}","{SEQ}","{PROBLEM}"]'),
]


def test_the_course_and_its_items(course: Course) -> None:
    checks = numbered(
        [
            {"time": moment(at), "user_id": user, "action": "check", "attempts": 1,
             "grade": grade, "max_grade": 2.0, **OF_PROBLEM}
            for at, (user, grade) in enumerate(((1, 1.0), (2, 2.0), (3, 0.0)))
        ]
    )  # fmt: skip
    inputs_of = [
        {"source": "a.log", "line": check["line"], "line_item": 0, "action": "check",
         "input_id": f"p1_{part}_1", "part": part, "input": 1,
         "correctness": "correct" if part - 2 < check["grade"] else "incorrect", **ITS_KEY}
        for check in checks
        for part in (2, 3)
    ]  # fmt: skip
    course.give(
        {
            "problem_events": checks,
            "problem_inputs": inputs_of,
            "db_course_structure": STRUCTURE,
        },
        {"min_n": 3},
    )
    axis = course.make("simeon_course_axis")
    assert [(one["index"], one["url_name"], one["path"], one["parent"]) for one in axis] == [
        (0, "course", None, None),
        (1, "c1", "/c1", "course"),
        (2, "s1", "/c1/s1", "c1"),
        (3, "v1", "/c1/s1/v1", "s1"),
        (4, "p1", "/c1/s1/p1", "s1"),
    ]
    (video,) = course.make("simeon_video_axis")
    assert (video["index_chapter"], video["index_video"], video["chapter_name"]) == (
        1,
        3,
        "The chapter",
    )
    items = course.make("simeon_course_item")
    told = "item_id item_nid problem_nid item_number n_items n_user_responses content_index"
    assert _some(items, told) == Counter(
        {("p1_2_1", 1, 1, 1, 2, 3, 4): 1, ("p1_3_1", 2, 1, 2, 2, 3, 4): 1}
    )
    assert {
        (one["problem_path"], one["assignment_type"], one["emperical_item_points_possible"])
        for one in items
    } == {("/c1/s1/p1", "Homework", 1.0)}
    assert _some(course.make("simeon_person_item"), "user_id item_nid item_grade date") == Counter(
        {
            (user, part, float(part <= grade), moment(user - 1)): 1
            for user, grade in ((1, 1), (2, 2), (3, 0))
            for part in (1, 2)
        }
    )
    (problem,) = course.make("simeon_course_problem")
    assert (
        problem["avg_problem_raw_score"],
        problem["sdv_problem_raw_score"],
        problem["avg_problem_pct_score"],
        problem["max_possible_raw_score"],
        problem["n_unique_users_attempted"],
    ) == (1.0, 1.0, 50.0, 2.0, 3)


def test_few_learners_have_no_statistics(course: Course) -> None:
    row = {"time": moment(0), "user_id": 1, "action": "check", "grade": 1.0, "max_grade": 1.0}
    spine = {"source": "a.log", "line": 1, "line_item": 0, "action": "check"}
    course.give(
        {
            "problem_events": numbered([{**row, **OF_PROBLEM}]),
            "problem_inputs": [{**spine, "input_id": "p1_2_1", **ITS_KEY}],
        }
    )
    (problem,) = course.make("simeon_course_problem")
    assert problem["avg_problem_raw_score"] is None
    assert problem["n_unique_users_attempted"] == 1


def test_who_answered_whom_and_who_came_and_left(course: Course) -> None:
    posts: list[Row] = [
        {"_id": "t1", "kind": "thread", "author_id": "1", "title": "Why?", "body": "x" * 200},
        {"_id": "r1", "kind": "response", "author_id": "2", "comment_thread_id": "t1"},
        {"_id": "c1", "kind": "comment", "author_id": "1", "comment_thread_id": "t1",
         "parent_id": "r1", "anonymous": True},
        {"_id": "c2", "kind": "comment", "author_id": "1", "comment_thread_id": "t1",
         "parent_id": "r1"},
    ]  # fmt: skip
    spells = numbered(
        [
            {"time": moment(1), "action": "activate", "mode": "audit", "subject_user_id": 1},
            {"time": moment(2), "action": "mode_change", "mode": "verified", "subject_user_id": 1},
            {"time": moment(3), "action": "deactivate", "mode": "verified", "subject_user_id": 1},
        ]
    )
    users = [AMY, {"id": 2, "username": "bob", "site": "prod"}]
    course.give(
        {
            "db_forum": [{"site": "prod", **post} for post in posts],
            "db_auth_user": users,
            "enrollment_events": spells,
        }
    )
    told = "slug_id slug_type username original_poster responded_to title"
    made = course.make("simeon_forum_posts")
    assert _some(made, told) == Counter(
        {
            ("t1", "initial_post", "amy", "amy", None, "Why?"): 1,
            ("r1", "response_post", "bob", "amy", "amy", "Why?"): 1,
            ("c1", "comment", None, "amy", "bob", "Why?"): 1,
            ("c2", "comment", "amy", "amy", "bob", "Why?"): 1,
        }
    )
    assert {one["body_preview"] for one in made} == {"x" * 100, None}
    changes = course.make("simeon_enrollday_all")
    same(
        [{name: row[name] for name in row if name != "course_id"} for row in changes],
        [
            {"time": moment(at), "user_id": 1, "diff_enrollment_honor": 0,
             "diff_enrollment_verified": verified, "diff_enrollment_audit": audit}
            for at, verified, audit in ((1, 0, 1), (2, 1, -1), (3, -1, 0))
        ],
    )  # fmt: skip


def test_inputs_by_type_and_roles(course: Course) -> None:
    checks = numbered([{"time": moment(0), "user_id": 1, "action": "check", **OF_PROBLEM}])
    types = ["choiceresponse", "choiceresponse", "formularesponse", "imageresponse"]
    inputs_of = [
        {"source": "a.log", "line": 1, "line_item": 0, "input_id": f"p1_{at}_1",
         "action": "check", "response_type": kind}
        for at, kind in enumerate(types)
    ]  # fmt: skip
    role = {"site": "prod", "user_id": 1}
    course.give(
        {
            "problem_events": checks,
            "problem_inputs": inputs_of,
            "db_auth_user": [AMY],
            "db_student_courseenrollment": [
                {"site": "prod", "user_id": one, "created": moment(-9), "is_active": one == 1}
                for one in (1, 2)
            ],
            "db_student_courseaccessrole": [{**role, "role": "beta_testers"}],
            "db_django_comment_client_role_users": [
                {**role, "name": "Student"},
                {**role, "name": "Community TA"},
            ],
        }
    )
    (today,) = course.make("simeon_person_course_day")
    assert today["date"] == day("2020-03-02")
    counts = {name: n for name, n in today.items() if name.startswith("nproblems_") and n}
    assert counts == {
        "nproblems_answered": 1,
        "nproblems_attempted": 1,
        "nproblems_choice": 2,
        "nproblems_forumula": 1,
        "nproblems_other": 1,
    }
    assert today["nproblems_string"] == 0
    amy, other = course.make("simeon_person_course")
    told = {name: value for name, value in amy.items() if "oles_is" in name and value}
    assert set(told) == {
        "roles_isBetaTester",
        "forumRoles_isStudent",
        "forumRoles_isCommunityTA",
    }
    assert (amy["roles"], amy["roles_isStaff"], amy["is_active"]) == ("Staff", 0, 1)
    assert (other["roles"], other["roles_isStaff"], other["is_active"]) == (None, None, 0)
