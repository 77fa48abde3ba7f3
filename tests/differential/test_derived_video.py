"""The structure of courses, and what was watched of videos, are those of the plain-Python twins."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import twins_course
import twins_video
from derived_course import DEFAULTS, Course, Inputs, Row, moment, same
from derived_strategies import rows_of

KEY = "block-v1:UniX+CS1+2020+type@{}+block@{}"
V1, V2 = KEY.format("video", "v1"), KEY.format("video", "v2.a")
SPELLED = [
    (V1, "video", "v1"),
    ("i4x-UniX-CS1-video-v1", "video", "v1"),
    ("v1", None, "v1"),
    (V2, "video", "v2.a"),
    ("i4x-UniX-CS1-video-v2_a", "video", "v2_a"),
    ("v9", None, "v9"),
    (None, None, None),
]
POSITIONS = [None, 0, 0.2, 4.9999999, 5, 7.345, 14.234121, 20.25, 36000.5, -1, 1e300]
SHAPE = {
    "table": "video_events",
    "action": ["play", "play", "pause", "stop", "seek", "speed", "load"],
    "position": POSITIONS,
    "position_to": POSITIONS,
    "duration": [None, None, 0.5, 10.0, 21.0, 1e300],
    "speed_to": [None, None, 1.5],
    "code": [None, "abc", "mobile"],
}
SHAPES: list[Row] = [
    {**SHAPE, "block_key": key, "block_type": kind, "block_id": name} for key, kind, name in SPELLED
]


def block(key: str, parent: str | None, children: list[str], **more: Any) -> Row:
    """A block of the structure, as the converter writes it, but for what follows from others."""
    told = more.pop("metadata", {})
    kind = "course" if parent is None else key.partition("type@")[2].partition("+")[0]
    return {
        "usage_key": key,
        "block_type": kind,
        "category": kind,
        "parent": parent,
        "children": json.dumps(children),
        "metadata": json.dumps(told, separators=(",", ":")),
        "display_name": f"The {key[-2:]}",
        "site": "prod",
        **more,
    }


C = KEY.format("course", "course")
CH1, CH2, SEQ, SPLIT = (
    KEY.format(kind, name)
    for kind, name in (
        ("chapter", "c1"),
        ("chapter", "c2"),
        ("sequential", "s1"),
        ("split_test", "sp"),
    )
)
UNIT, PROBLEM, DRAFT = (
    KEY.format(kind, name) for kind, name in (("vertical", "u1"), ("problem", "p1"), ("html", "d1"))
)
IN_UNIT = {"chapter": CH1, "sequential": SEQ, "vertical": UNIT}
STRUCTURE: list[Row] = [
    block(C, None, [CH1, CH2], depth=0, start=moment(0)),
    block(CH2, C, [PROBLEM], depth=1, position=1, chapter=CH2,
          metadata={"visible_to_staff_only": True}),
    block(CH1, C, [SEQ], depth=1, position=0, chapter=CH1),
    block(SEQ, CH1, [UNIT], depth=2, position=0, chapter=CH1, sequential=SEQ,
          format="Homework", graded=True, due=moment(99)),
    block(UNIT, SEQ, [V1, SPLIT], depth=3, position=0, **IN_UNIT),
    block(V1, UNIT, [], depth=4, position=0, **IN_UNIT,
          metadata={"youtube_id_1_0": "abc", "hide_from_toc": True}),
    block(SPLIT, UNIT, [V2, PROBLEM], depth=4, position=1, **IN_UNIT),
    block(V2, SPLIT, [], depth=5, position=0, **IN_UNIT, metadata={"youtube_id_1_0": ""}),
    block(PROBLEM, SPLIT, [], depth=5, position=1, **IN_UNIT, graded=False,
          metadata={"weight": 2, "max_attempts": 3, "group_access": {"50": [1]}}),
    block(DRAFT, None, [], block_type="html", metadata={"visible_to_staff_only": "true"}),
]  # fmt: skip
CONTENT: Inputs = {
    "olx_blocks": [{"block_key": V1, "block_id": "v1", "block_type": "video", "video_s": 15.0}],
    "olx_policy": [{"assignment_type": "Homework", "weight": 0.4, "min_count": 5}],
}


@pytest.fixture(scope="module")
def course() -> Course:
    return Course()


def test_the_walk_through_a_course(course: Course) -> None:
    key = {"source": "a.log", "line": 1, "line_item": 0, "action": "check", "block_id": "p1"}
    inputs = {
        "db_course_structure": STRUCTURE[::-1],
        "problem_events": [{**key, "max_grade": 4.0}],
        "problem_inputs": [{**key, "input_id": one} for one in ("p1_2_1", "p1_3_1")],
        **CONTENT,
    }
    course.give(inputs)
    items = course.make("course_items")
    same(items, twins_course.course_items(inputs, DEFAULTS))
    keys = [C, CH1, SEQ, UNIT, V1, SPLIT, V2, PROBLEM, CH2, DRAFT]
    assert [one["block_key"] for one in items] == keys
    by_key = {one["block_key"]: one for one in items}
    problem = by_key[PROBLEM]
    assert (problem["format"], problem["graded"], problem["split_name"]) == (
        "Homework",
        False,
        "The sp",
    )
    assert (problem["n_inputs"], problem["max_points"], problem["multi_parent"]) == (2, 4.0, True)
    assert by_key[V2]["html_id"] == "i4x-UniX-CS1-video-v2_a"
    assert by_key[CH2]["chapter_number"] == 2
    assert by_key[V1]["due"] == moment(99)
    assert by_key[DRAFT]["index"] is None
    assert by_key[DRAFT]["visible_to_staff_only"]


@hypothesis_settings(max_examples=40, deadline=None, phases=[Phase.generate])
@given(
    events=rows_of(*SHAPES, at_most=14),
    is_known=st.booleans(),
    has_content=st.booleans(),
    has_staff=st.booleans(),
)
def test_viewings_are_those_of_the_twins(
    course: Course, events: Inputs, is_known: bool, has_content: bool, has_staff: bool
) -> None:
    inputs = dict(events)
    if is_known:
        inputs["db_course_structure"] = STRUCTURE
    if has_content:
        inputs |= CONTENT
    if has_staff:
        inputs["db_student_courseaccessrole"] = [{"site": "prod", "user_id": 2, "role": "staff"}]
    course.give(inputs)
    known = {**DEFAULTS}
    same(course.make("video_viewings"), twins_video.viewings(inputs, known))
    same(course.make("video_segments"), twins_video.segments(inputs, known))
    persons = course.make("person_video")
    same(persons, twins_video.person_video(inputs, known))
    dropped = Counter(one["dropped"] for one in twins_video.runs(inputs, known))
    assert {row["what"].partition(": ")[2]: row["n"] for row in course.make("video_account")} == {
        why: n for why, n in dropped.items() if why is not None
    }
    for one in persons:
        assert one["unique_s"] <= one["total_s"] + 1e-6
        if one["duration"] is not None:
            assert 0 <= one["share"] <= 1
