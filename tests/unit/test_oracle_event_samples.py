"""The oracle of event tables on samples of real events: worked examples, and what was counted."""

from __future__ import annotations

import functools
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import oracle
from oracle_event_rows import INPUT_ID, Decoded, Row, inputs_of
from oracle_event_tables import decode
from oracle_payloads import Form, payload_of, text

REFERENCE = Path(
    os.environ.get("EDXLOGS_REFERENCE")
    or Path(__file__).resolve().parents[3] / "shared" / "reference"
)
FILES = {
    "P": "edx-analytics-pipeline.jsonl",
    "R": "event-routing-backends.jsonl",
    "L": "event-routing-backends-logshape.jsonl",
    "G": "research-guide.jsonl",
}


def part(row: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in expected}


@functools.cache
def samples() -> dict[str, list[list[oracle.Event]]]:
    folder = REFERENCE / "data" / "events"
    if not folder.is_dir():
        pytest.skip("no reference folder: set EDXLOGS_REFERENCE")
    return {
        key: [oracle.read_events(line).events for line in (folder / name).read_bytes().split(b"\n")]
        for key, name in FILES.items()
    }


@functools.cache
def decoded() -> list[tuple[oracle.Event, Decoded]]:
    return [(one, decode(one)) for lines in samples().values() for its in lines for one in its]


EXAMPLES: dict[str, dict[str, Any]] = {
    "P150": {"action": "form_check", "block_id": "466bffd122ce457ea3ae34a46f0130fa",
             "n_form_inputs": 3},
    "P152": {"action": "check", "attempts": 1, "grade": 3, "max_grade": 3, "success": "correct",
             "n_inputs": 3, "n_correct": 3},
    "P303": {"grade": 2, "max_grade": 3, "success": "incorrect"},
    "P883": {"action": "play", "block_id": "8c0028eb2a724f48a074bc184cd8635f",
             "block_type": "video", "position": 43.939693, "code": "b7xgknqkQk8", "duration": None},
    "P921": {"action": "seek", "position": 2.545294, "position_to": 141,
             "seek_kind": "onSlideSeek"},
    "L61": {"action": "seek", "position": 194, "position_to": 195, "duration": 195,
            "seek_kind": None},
    "L78": {"action": "speed", "position": 3.093662, "speed_from": 1.0, "speed_to": 1.25},
    "G2": {"action": "play", "position": 0, "player": "mobile",
           "block_key": "i4x://MITx/4.605x_2/video/8b375e7e9c6d419c92a5cdc32f47d4f2"},
    "G8": {"action": "bumper_play", "block_from": "host_component_id", "duration": 10},
    "P24": {"action": "activate", "subject_user_id": 1, "mode": "honor", "by_other": None,
            "command": "./manage.py create_user"},
    "L46": {"action": "link", "subject_username": "edx"},
    "P232": {"action": "goto", "block_id": "93cbaf77d8ea48a78e473367696415e4",
             "block_type": "sequential", "tab_from": 1, "tab_to": 2},
    "G15": {"action": "previous", "tab_from": 2, "tab_to": 1, "crosses": False},
    "G16": {"action": "previous", "tab_from": 1, "tab_to": None, "crosses": True},
    "P891": {"action": "create", "kind": "thread", "title": "This is a post!", "followed": True,
             "forum_roles": '["Student"]', "commentable_id": "cba3e4cd91d0466b9ac50926e495b76f"},
    "P893": {"action": "create", "kind": "comment", "thread_id": "553024d156c02c8f55000001",
             "response_id": "553024e056c02c3a14000004", "post_id": "553024e956c02c265f000006",
             "body_chars": 13},
    "P1248": {"action": "vote", "kind": "thread", "vote_value": "up", "subject_username": "staff"},
    "L34": {"level": "subsection", "action": "calculated", "subject_user_id": 4, "earned": 3,
            "possible": 3, "graded_earned": 3, "graded_possible": 3, "flags": "worker"},
    "L29": {"level": "course", "action": "calculated", "subject_user_id": 3, "percent": 1.0,
            "letter_grade": "Pass", "transaction_type": "edx.grades.problem.submitted"},
    "L2": {"action": "block", "subject_user_id": 4, "completion": 1.0, "is_new": False,
           "block_id": "7c54b16c8ed34f9f8772015178c7a175"},
    "L39": {"exam_kind": "practice", "action": "attempt_submitted", "attempt_id": 1,
            "subject_user_id": 3, "allowed_minutes": 60, "elapsed_s": 1368.7657},
    "L38": {"exam_kind": "practice", "action": "attempt_created", "started_at": None},
    "P984": {"route": "discussion", "forum_action": "create", "is_post": True, "get_keys": "ajax",
             "commentable_id": "cba3e4cd91d0466b9ac50926e495b76f", "block_id": None,
             "post_keys": "body anonymous_to_peers anonymous title thread_type auto_subscribe"},
    "P988": {"route": "discussion", "forum_action": "reply", "action": None,
             "thread_id": "553024d156c02c8f55000001"},
    "P890": {"action": "turn", "turn_kind": "gotopage", "page_from": 5, "page_to": 6,
             "book_file": "/asset-v1:edX+DemoX+Demo_Course_2015+type@asset+block/Unit_1.pdf"},
    "G22": {"action": "jump", "block_id": "simulations",
            "target_key": "block-v1:edX+DemoX+Demo_Course+type@vertical"
            "+block@d0d804e8863c4a95a659c04d8a2b2bc0"},
}  # fmt: skip


def example(key: str) -> Decoded:
    (one,) = samples()[key[0]][int(key[1:]) - 1]
    return decode(one)


@pytest.mark.parametrize("key", EXAMPLES)
def test_worked_examples(key: str) -> None:
    row = example(key).row
    assert part(row, EXAMPLES[key]) == EXAMPLES[key]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("P152", {"_2_1": {"part": 2, "answer": "3.14", "answer_text": "3.14", "npoints": None,
                           "correctness": "correct", "response_type": "numericalresponse",
                           "input_type": "formulaequationinput"},
                  "_3_1": {"part": 3, "answer": "4500", "correctness": "correct"},
                  "_4_1": {"part": 4, "answer": "5", "correctness": "correct"}}),
        ("P303", {"_2_1": {"answer_text": "blue", "response_type": "optionresponse",
                           "correctness": "correct", "n_choices": None},
                  "_3_1": {"answer": "choice_1", "answer_text": "a desk",
                           "response_type": "multiplechoiceresponse", "correctness": "incorrect"},
                  "_4_1": {"answer": '["choice_0","choice_2"]', "n_choices": 2,
                           "answer_text": '["a piano","a guitar"]', "correctness": "correct"}}),
        ("P346", {"_2_1": {"answer": "A*x^2 + sqrt(y)"}}),
        ("L73", {"_2_1": {"answer": None, "correctness": "incorrect", "found_in": "mS"}}),
    ],
)  # fmt: skip
def test_worked_examples_of_inputs(key: str, expected: dict[str, dict[str, Any]]) -> None:
    rows = {row["input_id"][-4:]: row for row in example(key).children["problem_inputs"]}
    assert set(rows) == set(expected)
    for ending, values in expected.items():
        assert part(rows[ending], values) == values


def test_samples_have_the_payloads_that_were_counted() -> None:
    kinds: Counter[str] = Counter()
    for one, _ in decoded():
        flags: set[str] = set()
        payload, raw = payload_of(one.get("event"), flags), one.get("event")
        if flags:
            assert len(raw or "") == 512
            kinds["broken"] += 1
        elif isinstance(payload, Form):
            kinds["form"] += 1
        else:
            kinds["empty" if raw == "" else type(raw).__name__] += 1
    assert kinds == {
        "str": 1102, "dict": 369, "form": 100, "empty": 34, "NoneType": 24, "broken": 20,
    }  # fmt: skip


def test_samples_belong_to_tables_of_which_the_requests_are_most() -> None:
    counts = Counter(its.table for _, its in decoded())
    assert counts.total() == 1649
    assert counts["requests"] == 832


def test_samples_of_requests_have_the_routes_that_were_counted() -> None:
    rows = [its.row for _, its in decoded() if its.table == "requests"]
    routes = Counter(row["route"] for row in rows)
    assert routes["xblock_handler"] == 386
    assert routes["courseware"] == 68
    assert routes["xblock_view"] == 51
    assert routes["discussion"] == 25
    assert all(row["forum_action"] for row in rows if row["route"] == "discussion")
    for row in rows:
        assert row["path"] == row["path"].split("?")[0]
        assert (row["flags"] or "") in {"", "broken_payload cut512"}
        if row["route"] == "xblock_handler":
            assert row["handler"]
            assert row["block_id"]
            assert row["block_from"] in {"context.path", "event_type"}
    assert sum(row["flags"] is not None for row in rows) == 20
    assert all(row["payload_chars"] == 512 for row in rows if row["flags"])


def test_samples_of_videos_have_a_block_and_no_flag() -> None:
    videos = [its.row for _, its in decoded() if its.table == "video_events"]
    assert len(videos) >= 154
    for row in videos:
        assert row["action"]
        assert row["block_id"]
        assert row["flags"] is None


def test_keys_of_inputs_in_samples_have_a_part_and_lead_to_their_problem() -> None:
    rows = 0
    for _, its in decoded():
        for child in its.children.get("problem_inputs", ()):
            rows += 1
            assert child["part"] >= 2
            assert child["input"] >= 1
            problem = INPUT_ID.fullmatch(child["input_id"])
            assert problem is not None
            assert problem[1].endswith(its.row["block_id"])
    assert rows >= 198


def test_forms_of_browsers_agree_with_the_checks_of_the_server() -> None:
    waiting: dict[tuple[str, str], dict[str, Any]] = {}
    pairs = 0
    for one, its in decoded():
        if its.row.get("action") not in {"form_check", "check"}:
            continue
        click = (str(one.get("username")), its.row["block_id"])
        if its.row["action"] == "form_check":
            form = Row(one).form()
            waiting[click] = {key: form[key] for key in inputs_of(form)}
        elif click in waiting:
            clicked = waiting.pop(click)
            answers = {
                child["input_id"]: child["answer"]
                for child in its.children["problem_inputs"]
                if child["answer"] is not None
            }
            assert answers == {key: text(value) for key, value in clicked.items()}
            pairs += 1
    assert pairs >= 89
