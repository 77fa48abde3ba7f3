"""What learners answered, and how they stand with problems, are those of the plain-Python twins."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from typing import Any

import pytest
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import twins_events
import twins_items
import twins_problem
from derived_course import DEFAULTS, Course, Inputs, Row, moment, same
from derived_strategies import rows_of

KEY = "block-v1:UniX+CS1+2020+type@problem+block@{}"
P1, P2 = KEY.format("p1"), KEY.format("p2")
SHAPE = {
    "table": "problem_events",
    "action": ["check", "check", "check", "answer_shown", "hint", "save", "form_check"],
    "attempts": [1, 1, 2, 3, None],
    "success": ["correct", "incorrect"],
    "grade": [None, 0.0, 1.0],
    "max_grade": [None, 0.0, 3.0],
    "seed": [None, 1],
}
SHAPES: list[Row] = [
    {**SHAPE, "block_key": P1, "block_type": "problem", "block_id": "p1"},
    {**SHAPE, "block_key": "i4x-UniX-CS1-problem-p1", "block_type": "problem", "block_id": "p1"},
    {**SHAPE, "block_key": P2, "block_type": "problem", "block_id": "p2"},
    {**SHAPE, "block_key": None},
]
VALUES: dict[str, list[Any]] = {
    "answer": [None, "choice_1", "choice_2"],
    "answer_text": [None, "blue"],
    "correctness": ["correct", "incorrect", "partially-correct", None],
    "npoints": [None, None, 0.5, 3.0, -1e300],
    "queued": [False, False, True],
    "response_type": ["choiceresponse", "customresponse", None],
    "variant": [None, "1"],
}
STATES = [
    None,
    "{}",
    "{bad",
    '"text"',
    json.dumps({"attempts": 2, "correct_map": {}}),
    json.dumps(
        {"attempts": 4, "correct_map": {"p1_2_1": {"correctness": "correct", "npoints": 2}}}
    ),
    json.dumps(
        {
            "attempts": 1,
            "correct_map": {
                "p1_2_1": "incorrect",
                "p1_2_1_dynamath": {"correctness": "correct"},
                "p1_3_1": {"correctness": "partially-correct", "npoints": None},
                "p2_2_1": {"correctness": "incorrect", "queuestate": {"key": "k"}},
            },
        }
    ),
]


@st.composite
def answered(draw: st.DrawFn) -> Inputs:
    """Events of problems, and the inputs of their checks."""
    events: dict[str, list[Row]] = draw(rows_of(*SHAPES, at_most=14))
    inputs = []
    for row in events["problem_events"]:
        names = draw(st.sets(st.sampled_from(("p1_2_1", "p1_3_1")), max_size=2))
        for name in sorted(names) if row["action"] in ("check", "save") else ():
            one = {key: draw(st.sampled_from(values)) for key, values in VALUES.items()}
            place = {key: row[key] for key in ("source", "line", "line_item", "action")}
            inputs.append({**place, "input_id": name, "part": int(name[3]), "input": 1, **one})
    return {**events, "problem_inputs": inputs}


@st.composite
def with_states(draw: st.DrawFn, events: st.SearchStrategy[Inputs]) -> Inputs:
    """Events, or none, and rows of a package, or none."""
    inputs = dict(draw(events))
    if draw(st.booleans()):
        places = draw(
            st.sets(st.sampled_from([(user, key) for user in (1, 2, 7) for key in (P1, P2)]))
        )
        inputs["db_courseware_studentmodule"] = [
            {
                "student_id": user,
                "module_type": draw(st.sampled_from(("problem", "problem", "problem", "video"))),
                "module_id": key,
                "state": draw(st.sampled_from(STATES)),
                "misfits": draw(st.sampled_from((None, None, '{"state":"{x"}'))),
                "grade": draw(st.sampled_from((None, 0.0, 2.0))),
                "max_grade": draw(st.sampled_from((None, 3.0))),
                "created": moment(-user * 100),
                "modified": moment(7),
                "site": "prod",
            }
            for user, key in sorted(places)
        ]
    if draw(st.booleans()):
        inputs["db_course_structure"] = [
            {
                "usage_key": P1,
                "block_type": "problem",
                "metadata": '{"weight":2,"max_attempts":2}',
                "site": "prod",
                "sequential": "s1",
            },
            {"usage_key": P2, "block_type": "problem", "site": "prod", "sequential": "s1"},
        ]
    if draw(st.booleans()):
        del inputs["problem_events"]
    return inputs


@pytest.fixture(scope="module")
def course() -> Course:
    return Course()


@hypothesis_settings(max_examples=40, deadline=None, phases=[Phase.generate])
@given(inputs=with_states(answered()))
def test_problems_are_those_of_the_twins(course: Course, inputs: Inputs) -> None:
    course.give(inputs)
    if "problem_events" in inputs:
        same(course.make("problem_attempts"), twins_problem.attempts(inputs, DEFAULTS))
        counts = Counter({one["what"]: one["n"] for one in course.make("problem_account")})
        acts = [
            one
            for one in twins_events.learner_events(inputs, DEFAULTS)
            if one["table"] == "problem_events" and one["action"] == "check"
        ]
        made = twins_problem.checks(inputs, DEFAULTS)
        assert sum(counts.values()) + sum(bool(one["rows"]) for one in made) == len(acts)
    same(course.make("person_item"), twins_problem.person_item(inputs, DEFAULTS))
    same(course.make("person_problem"), twins_items.person_problem(inputs, DEFAULTS))


@hypothesis_settings(max_examples=40, deadline=None, phases=[Phase.generate])
@given(inputs=with_states(answered()), least=st.sampled_from((1, 2)))
def test_statistics_are_those_of_the_twins(course: Course, inputs: Inputs, least: int) -> None:
    course.give(inputs, {"min_n": least})
    known = {**DEFAULTS, "min_n": least}
    same(course.make("item_stats"), twins_items.item_stats(inputs, known))
    if "problem_events" in inputs:
        made = course.make("answer_distribution")
        same(made, twins_items.answer_distribution(inputs, known))
        assert sum(one["n_all"] for one in made) == len(course.make("problem_attempts"))


SCORES = st.lists(
    st.lists(st.sampled_from((None, 0, 1, 2, 3)), min_size=3, max_size=3), min_size=2, max_size=6
)


@hypothesis_settings(max_examples=40, deadline=None, phases=[Phase.generate])
@given(scores=SCORES)
def test_statistics_of_many(course: Course, scores: list[list[int | None]]) -> None:
    """Scores of three inputs of an assignment, a row a learner; None is not answered."""
    names = ["a_2_1", "a_3_1", "b_2_1"]
    keys = {"a": KEY.format("a"), "b": KEY.format("b")}
    rows = []
    for user, its in enumerate(scores, 1):
        for block, key in keys.items():
            told = {
                name: {"correctness": "correct", "npoints": points}
                for name, points in zip(names, its, strict=True)
                if points is not None and name.startswith(block)
            }
            state = json.dumps({"attempts": user, "correct_map": told})
            row = {"student_id": user, "module_type": "problem", "module_id": key, "site": "prod"}
            rows += [{**row, "state": state}] if told else []
    structure = [
        {"usage_key": key, "block_type": "problem", "site": "prod", "sequential": "s1"}
        for key in keys.values()
    ]
    inputs: Inputs = {"db_courseware_studentmodule": rows, "db_course_structure": structure}
    course.give(inputs, {"min_n": 2})
    made = course.make("item_stats")
    same(made, twins_items.item_stats(inputs, {**DEFAULTS, "min_n": 2}))
    answered = [its for its in scores if None not in its]
    for place, one in enumerate(made):
        whole = [[points or 0 for points in its] for its in answered]
        if len(made) == 3 and one["n_assignment"] == len(answered) >= 2:
            xs = [float(its[place]) for its in whole]
            ys = [sum(its[at] / top(scores, at) for at in range(3) if at != place) for its in whole]
            if len(set(xs)) > 1 and len({round(y, 6) for y in ys}) > 1:
                r = statistics.correlation(xs, ys)
                assert one["discrimination_assignment"] == pytest.approx(r, abs=1e-6)


def top(scores: list[list[int | None]], at: int) -> int:
    """The most that an input gave, 1 at least."""
    return max(1, *(its[at] or 0 for its in scores))
