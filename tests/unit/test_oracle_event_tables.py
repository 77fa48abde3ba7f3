"""The oracle of event tables against worked examples, and the definitions against the oracle."""

from __future__ import annotations

import functools
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracle
import oracle_event_tables as tables
from edxlogs.edx.event_tables import EventTable, Kind, event_tables, homes
from edxlogs.edx.event_tables.definition import SPINE, SUBJECT
from oracle_event_tables import Decoded, block_of, decode, payload_of

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
OWN = {name: actions for name, (actions, _) in tables.TABLES.items()}


def event(event_type: str, payload: Any, source: str = "server", **others: Any) -> dict[str, Any]:
    """An event of a course of the old kind, made up."""
    made = {
        "event_type": event_type,
        "event_source": source,
        "event": payload,
        "time": "2014-06-01T12:00:00.000000+00:00",
        "username": "ann",
        "context": {"course_id": "Org.x/N-1/Run", "user_id": 7, "path": "/event"},
    }
    return made | others


def row_of(event_type: str, payload: Any, source: str = "server", **others: Any) -> dict[str, Any]:
    row = decode(event(event_type, payload, source, **others)).row
    assert row is not None
    return row


def part(row: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in expected}


# The definitions say what the oracle does.


@pytest.mark.parametrize("table", event_tables().values(), ids=lambda table: table.name)
def test_definitions_have_the_columns_of_the_oracle(table: EventTable) -> None:
    names = [name for name, _ in table.schema]
    if table.kind is Kind.CHILDREN:
        payload = {"answers": {"a_2_1": "x"}}
        (row,) = decode(event("problem_check", payload)).children[table.name]
        assert names[len(SPINE[table.kind]) :] == list(row)
        return
    types = next(iter(OWN[table.name].values())).split()
    row = row_of(types[0], {})
    own = [name for name in row if name not in dict(SPINE[table.kind])]
    assert names[len(SPINE[table.kind]) :] == own
    assert {"action", "flags", *dict(SUBJECT)} <= set(row)


def test_definitions_spell_the_acts_as_the_oracle_does() -> None:
    for name, actions in OWN.items():
        for action, types in actions.items():
            for one in types.split():
                assert event_tables()[name].action(one, "mobile").name == action
                for source in ("server", "browser", "task"):
                    made = row_of(one, {}, source)["action"]
                    assert event_tables()[name].action(one, source).name == made


def test_homes_are_those_of_the_oracle() -> None:
    known = [*homes().of, "mine", "/courses/x", "", None]
    assert {one: homes().home(one, None) for one in known} == {
        one: tables.home(one, None) for one in known
    }
    named = ["play_video", "site_search", "grade", "mine", "/x", "problem_check", "", None]
    for event_type, name in itertools.product(named, known):
        assert homes().home(event_type, name) == tables.home(event_type, name)


# Payloads.

CHECK = "input_i4x-Org_x-N-1-problem-a_2_1=1+%2B+%C3%A9&input_i4x-Org_x-N-1-problem-a_3_1%5B%5D=b"


@pytest.mark.parametrize(
    ("raw", "expected", "flags"),
    [
        ({"a": 1}, {"a": 1}, set()),
        ([1], [1], set()),
        ('{"a": 1}', {"a": 1}, set()),
        ('"{\\"a\\": 1}"', {"a": 1}, set()),
        (json.dumps(json.dumps('{"a": 1}')), {}, {"broken_payload"}),
        ("", {}, set()),
        ('""', {}, set()),
        ("null", {}, set()),
        (None, {}, set()),
        (7, {}, {"broken_payload"}),
        ("true", {}, {"broken_payload"}),
        ('{"a": "b=c', {}, {"broken_payload"}),
        ("words", {}, {"broken_payload"}),
        ("input_a_2_1=x", {"a_2_1": "x"}, set()),
        ('"input_a_2_1=x"', {"a_2_1": "x"}, set()),
        ("a=1&a=2&b[]=3&b[]=4&c[]=5&d{}={}&e&f==", {
            "a": ["1", "2"], "b": ["3", "4"], "c": ["5"], "d": "{}", "e": "", "f": "=",
        }, set()),
        ("a=%FF%e4%b8", {"a": "\ufffd\ufffd"}, {"bad_utf8"}),
        ("a=%C3%A9+%2B", {"a": "é +"}, set()),
        ("a=%C3", {"a": "\ufffd"}, {"bad_utf8"}),
        ("a=%", {"a": "%"}, set()),
    ],
)  # fmt: skip
def test_payloads(raw: Any, expected: Any, flags: set[str]) -> None:
    found: set[str] = set()
    assert payload_of(raw, found) == expected
    assert found == flags


PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 40_000) | st.floats(allow_nan=False)
    | st.text(max_size=6) | st.sampled_from(["1.5", "null", "NaN", "i4x-Org_x-N-1-video-v"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)  # fmt: skip
KEYS = st.sampled_from(
    ["id", "module_id", "currentTime", "current_time", "old_time", "new_time", "old", "new", "type",
     "user_id", "mode", "attempts", "grade", "max_grade", "problem_id", "answers", "correct_map",
     "speed", "duration", "hints", "code"]
)  # fmt: skip


@given(
    st.sampled_from(["play_video", "seek_video", "problem_check", "seq_goto", "showanswer"]),
    st.dictionaries(KEYS, PAYLOADS, max_size=6),
)
def test_how_a_payload_is_wrapped_changes_nothing(event_type: str, payload: dict[str, Any]) -> None:
    once = json.dumps(payload)
    rows = [decode(event(event_type, wrapped)) for wrapped in (payload, once, json.dumps(once))]
    assert rows[0] == rows[1] == rows[2]


# Blocks.


@pytest.mark.parametrize(
    ("key", "course", "expected"),
    [
        ("block-v1:O+C+R+type@video+block@v-1", None, ("video", "v-1", False)),
        ("ccx-block-v1:O+C+R+ccx@1+type@html+block@h", None, ("html", "h", False)),
        ("block-v1%3AO%2BC%2BR%2Btype%40video%2Bblock%40v", None, ("video", "v", False)),
        (" i4x://O/C/problem/p \n", None, ("problem", "p", False)),
        ("i4x://O/C/problem/p@3", None, ("problem", "p", False)),
        ("i4x:;_;_O;_C;_problem;_p", None, ("problem", "p", False)),
        ("i4x-O-C-problem-p", "O/C/R", ("problem", "p", False)),
        ("i4x-O_x-C-1-problem-a-b", "O.x/C-1/R", ("problem", "a-b", False)),
        ("i4x-O-C-problem-p", "course-v1:O+C+R", ("problem", "p", False)),
        ("i4x-O-C-problem-p", None, ("problem", "p", False)),
        ("i4x-O-C-problem-video-1", None, ("problem", "video-1", True)),
        ("i4x-O-C-mine-p", None, (None, None, True)),
        ("i4x-O-C-video-v\nvideo_x", "O/C/R", ("video", "v", False)),
        ("8c0028eb2a724f48", None, (None, "8c0028eb2a724f48", False)),
        ("", None, (None, None, False)),
    ],
)  # fmt: skip
def test_blocks(
    key: str, course: str | None, expected: tuple[str | None, str | None, bool]
) -> None:
    assert block_of(key, course) == expected


@pytest.mark.parametrize(
    ("path", "module", "expected"),
    [
        ("/courses/x/xblock/i4x:;_;_O;_C;_problem;_p/handler/a", {}, ("p", "context.path")),
        ("/courses/O/C/R/modx/i4x://O/C/problem/p/problem_check", {}, ("p", "context.path")),
        ("/xblock/block-v1:O+C+R+type@problem+block@p?x=1", {}, ("p", "context.path")),
        ("/xblock/block-v1:O+C+R+type@problem+block@p", {"usage_key": "i4x://O/C/problem/q"},
         ("q", "context.module.usage_key")),
        ("/event", {}, (None, None)),
    ],
)  # fmt: skip
def test_without_a_key_in_the_payload_the_context_tells_the_block(
    path: str, module: dict[str, Any], expected: tuple[str | None, str | None]
) -> None:
    row = row_of("problem_check", {}, context={"path": path, "module": module})
    assert (row["block_id"], row["block_from"]) == expected
    assert row["flags"] == (None if expected[0] else "no_block")


# Tables, by made-up events of the documented shapes.


def test_synthetic_form_check_and_check() -> None:
    form = decode(event("problem_check", CHECK, "browser"))
    expected = {
        "action": "form_check", "block_id": "a", "block_type": "problem", "block_from": "input_id",
        "block_key": "i4x-Org_x-N-1-problem-a", "n_form_inputs": 2, "n_inputs": None, "flags": None,
    }  # fmt: skip
    assert form.row is not None
    assert part(form.row, expected) == expected
    assert form.children == {"problem_inputs": []}
    payload = {
        "problem_id": "i4x://Org.x/N-1/problem/a", "attempts": "2", "grade": 1, "max_grade": 2.0,
        "success": "incorrect", "state": {"seed": 3, "done": None, "attempts": 1},
        "answers": {"a_2_1": ["x", "y"], "a_2_1_dynamath": "z"},
        "correct_map": {"a_2_1": {"correctness": "partially-correct", "npoints": 0.5,
                                  "queuestate": {}, "hint": "h"}, "a_3_1": "correct"},
        "submission": {"odd": {"answer": 5, "question": "", "permutation": ["s", 1]}},
    }  # fmt: skip
    check = decode(event("problem_check", payload))
    expected = {
        "action": "check", "attempts": 2, "grade": 1.0, "max_grade": 2.0, "n_inputs": 2,
        "n_correct": 1, "n_partial": 1, "seed": 3, "state_done": None, "state_attempts": 1,
        "n_form_inputs": None, "block_from": "problem_id",
    }  # fmt: skip
    assert check.row is not None
    assert part(check.row, expected) == expected
    one, two, three = check.children["problem_inputs"]
    expected = {"input_id": "a_2_1", "part": 2, "input": 1, "answer": '["x","y"]', "n_choices": 2,
                "correctness": "partially-correct", "npoints": 0.5, "queued": True, "hint": "h",
                "found_in": "am"}  # fmt: skip
    assert part(one, expected) == expected
    expected = {"answer": None, "correctness": "correct", "queued": None, "found_in": "m"}
    assert part(two, expected) == expected
    expected = {"input_id": "odd", "part": None, "answer_text": "5", "question": None,
                "permutation": '["s",1]', "found_in": "S"}  # fmt: skip
    assert part(three, expected) == expected


@pytest.mark.parametrize(
    ("event_type", "payload", "source", "expected"),
    [
        ("problem_graded", ["input_a_2_1=x&input_a_3_1=y", "<p>"], "browser",
         {"action": "graded_page", "block_id": "a", "n_form_inputs": 2}),
        ("problem_reset", {"answers": "input_a_2_1=x"}, "browser",
         {"action": "form_reset", "block_id": "a", "n_form_inputs": 1}),
        ("problem_save", "", "browser", {"action": "form_save", "n_form_inputs": 0}),
        ("problem_rescore", {"problem_id": "i4x://O/C/problem/p", "orig_score": 0, "orig_total": 1,
                             "new_score": 1, "new_total": 1, "student": "bob", "task_id": "t"},
         "task", {"action": "rescore", "grade": 1.0, "max_grade": 1.0, "old_grade": 0.0,
                  "old_max_grade": 1.0, "subject_username": "bob", "flags": "subject_by_name"}),
        ("reset_problem", {"problem_id": "p", "old_state": {"seed": 1, "done": True},
                           "new_state": {"seed": 2}}, "server",
         {"action": "reset", "seed": 2, "state_done": True}),
        ("edx.problem.hint.feedback_displayed",
         {"module_id": "p", "hints": [{"text": "a"}, {"text": "b"}], "correctness": True,
          "problem_part_id": "p_2_1"}, "server",
         {"action": "hint_feedback", "hint_text": "a\nb", "hint_correctness": "true",
          "hint_input_id": "p_2_1"}),
        ("problem_check", {"problem_id": "p", "attempts": 0, "grade": 1, "max_grade": None},
         "server", {"attempts": None, "grade": None, "flags": "out_of_range"}),
        ("problem_show", {"problem": "i4x://O/C/problem/p"}, "browser",
         {"action": "answer_button", "block_from": "problem"}),
        ("seek_video", {"id": "v", "old_time": 5, "new_time": 5.0}, "browser",
         {"position": None, "position_to": 5.0, "flags": "seek_from_unknown"}),
        ("seek_video", {"id": "v", "old_time": "x", "currentTime": "4", "new_time": 99999},
         "browser", {"position": 4.0, "position_to": None, "flags": "out_of_range"}),
        ("play_video", {"id": "v", "currentTime": -1, "speed": "1.5", "duration": "null"},
         "browser", {"position": None, "speed_to": 1.5, "duration": None, "flags": "out_of_range"}),
        ("play_video", {"id": "v", "old_time": 3, "new_time": 4, "code": "mobile"}, "server",
         {"position": None, "position_to": None, "player": "mobile"}),
        ("load_video", {}, "browser", {"block_id": None, "flags": "no_block"}),
        ("auto_advance_change_video", {"id": "v", "enabled": "True"}, "browser",
         {"action": "auto_advance", "enabled": True}),
        ("edx.course.enrollment.activated", {"user_id": "9", "username": "bob", "mode": "audit"},
         "server", {"subject_user_id": 9, "subject_username": "bob", "by_other": True,
                    "mode": "audit", "flags": None}),
        ("edx.course.enrollment.upgrade_clicked", "", "browser",
         {"action": "upgrade_click", "subject_user_id": 7, "subject_username": "ann",
          "by_other": False, "mode": None}),
        ("seq_goto", {"id": "i4x://O/C/sequential/s", "old": 2, "new": 2}, "browser",
         {"tab_from": 2, "tab_to": 2, "crosses": None, "block_type": "sequential"}),
        ("seq_next", {"id": "s", "old": 1.5, "new": "2"}, "browser",
         {"tab_from": None, "tab_to": 2, "crosses": False, "flags": "out_of_range"}),
        ("edx.forum.response.reported",
         {"id": "r", "discussion": {"id": "t"}, "body": "ab", "truncated": True,
          "target_username": "bob"}, "server",
         {"action": "report", "kind": "response", "thread_id": "t", "response_id": "r",
          "post_id": "r", "body_chars": 2, "flags": "subject_by_name truncated"}),
        ("edx.forum.searched", {"query": "q", "page": "2", "total_results": 0}, "server",
         {"kind": None, "page": 2, "total_results": 0, "thread_id": None, "flags": None}),
        ("edx.grades.problem.rescored",
         {"problem_id": "p", "new_weighted_earned": 1, "new_weighted_possible": None,
          "instructor_id": "None", "only_if_higher": "None", "user_id": 4}, "server",
         {"level": "problem", "earned": 1.0, "possible": None, "instructor_id": None,
          "only_if_higher": None, "flags": None}),
        ("edx.grades.subsection.score_overridden", {"block_id": "s", "override_deleted": True},
         "server", {"level": "subsection", "action": "overridden", "override_deleted": True}),
        ("edx.grades.problem.score_overridden", {"problem_id": "p", "override_deleted": True},
         "server", {"level": "problem", "action": "override_deleted"}),
        ("edx.grades.course.grade_calculated",
         {"percent": "1.5", "letter_grade": "", "course_edited_on": "\"2015-01-02 03:04:05\"",
          "user_id": "9"}, "server",
         {"percent": None, "letter_grade": None, "edited_at": 1_420_167_845_000_000,
          "block_id": None, "flags": "out_of_range naive_time"}),
        ("edx.grades.subsection.grade_calculated",
         {"block_id": "s", "first_attempted": "None",
          "subtree_edited_on": "2015-01-02 03:04:05.5+01:00"}, "server",
         {"first_attempted": None, "edited_at": 1_420_164_245_500_000, "flags": None}),
        ("edx.done.toggled", {"done": True}, "browser",
         {"action": "done", "done": True, "flags": "possible_double no_block"}),
        ("edx.special_exam.proctored.allowance.created",
         {"exam_content_id": "s", "allowance_user_id": 5, "allowance_value": 30}, "server",
         {"exam_kind": "proctored", "action": "allowance_created", "subject_user_id": 5,
          "allowance_value": "30"}),
        ("edx.certificate.created",
         {"user_id": 7, "certificate_id": "u", "generation_mode": "self",
          "enrollment_mode": "verified", "source": "x"}, "server",
         {"action": "created", "subject_user_id": 7, "generation_mode": "self",
          "enrollment_mode": "verified", "revoke_source": None}),
        ("edx.cohort.user_added", {"cohort_id": 3, "cohort_name": "A", "user_id": 9}, "server",
         {"group_kind": "cohort", "action": "user_added", "group_id": "3", "group_name": "A",
          "subject_user_id": 9}),
        ("edx.team.learner_deleted", {"team_id": "t", "user_id": "9", "remove_method": "self"},
         "server", {"group_kind": "team", "action": "learner_removed", "group_id": "t",
                    "subject_user_id": 9, "method": "self"}),
        ("edx.team.changed", {"team_id": "t", "field": "name", "old": "a", "new": "b",
                              "truncated": ["old"]}, "server",
         {"field": "name", "old": "a", "new": "b", "flags": "truncated"}),
        ("edx.team.changed", {"team_id": "t", "truncated": []}, "server", {"flags": None}),
        ("xmodule.partitions.assigned_user_to_partition",
         {"group_id": 1, "group_name": "a", "partition_id": 2}, "browser",
         {"group_kind": "partition", "action": "assigned", "group_id": "1", "partition_id": "2"}),
        ("edx.bookmark.added",
         {"bookmark_id": "amy,block-v1:O+C+R+type@vertical+block@v1"}, "server",
         {"study_kind": "bookmark", "action": "added", "block_id": "v1", "block_type": "vertical",
          "block_from": "bookmark_id", "subject_username": "amy", "flags": "subject_by_name"}),
        ("edx.course.student_notes.viewed", {"notes": [{"note_id": 1}, {"note_id": 2}]}, "browser",
         {"study_kind": "note", "action": "viewed", "n_notes": 2, "flags": None}),
        ("edx.course.tool.accessed", {"tool_name": "edx.bookmarks"}, "browser",
         {"study_kind": "tool", "action": "accessed", "tool_name": "edx.bookmarks", "flags": None}),
        ("edx.course_discovery.search.results_displayed",
         {"search_term": "x", "results_count": 3}, "server",
         {"study_kind": "search", "action": "displayed", "search_text": "x", "n_results": 3}),
        ("textbook.pdf.search.executed", {"query": "q", "caseSensitive": False, "page": "12"},
         "browser", {"action": "search", "query": "q", "case_sensitive": False, "page": 12}),
        ("edx.drag_and_drop_v2.item.dropped",
         {"item_id": 2, "item": "cat", "location": "animals", "location_id": 1,
          "is_correct": True, "input": None}, "server",
         {"block_kind": "drag_and_drop", "action": "dropped", "item_id": 2, "item": "cat",
          "target": "animals", "location_id": "1", "is_correct": True, "flags": "no_block"}),
        ("xblock.survey.submitted", {"choices": {"q": "a"}}, "server",
         {"block_kind": "survey", "action": "submitted", "choices": '{"q":"a"}'}),
        ("add_resource", {"id": "r", "title": "t", "aws_secret_key": "s"}, "server",
         {"block_kind": "recommender", "action": "add", "resource_id": "r", "title": "t"}),
        ("edx.lti.xblock.launch_request", {"lti_version": "1.3"}, "server",
         {"block_kind": "lti", "action": "launch", "lti_version": "1.3", "flags": None}),
        ("page_close", "", "browser", {"action": "close", "block_id": None, "flags": None}),
        ("edx.ui.lms.link_clicked", {"event_type": "x", "url": "/y"}, "browser",
         {"action": "link", "link_kind": "x", "target_url": "/y"}),
    ],
)  # fmt: skip
def test_synthetic_events(
    event_type: str, payload: Any, source: str, expected: dict[str, Any]
) -> None:
    assert part(row_of(event_type, payload, source), expected) == expected


def test_windows_of_doubles() -> None:
    def flags(event_type: str, time: str, source: str = "server") -> Any:
        payload = {"problem_id": "p", "id": "v"}
        return row_of(event_type, payload, source, time=f"{time}T23:59:59")["flags"]

    assert flags("save_problem_check", "2013-07-14") == "possible_double"
    assert flags("save_problem_check", "2013-07-15") is None
    assert flags("problem_check", "2013-07-14", "browser") is None
    assert flags("video_show_cc_menu", "2015-08-31", "browser") is None
    assert flags("video_show_cc_menu", "2015-09-01", "browser") == "possible_double"
    assert flags("video_hide_cc_menu", "2016-05-05", "browser") == "possible_double"
    assert flags("video_hide_cc_menu", "2016-05-06", "browser") is None


def test_a_synthesized_event_is_called_so() -> None:
    made = row_of("edx.course.enrollment.activated", {"user_id": 1}, synthesized={"reason": "x"})
    assert made["action"] == "synthesized"


def test_names_that_disagree_are_flagged() -> None:
    row = row_of("play_video", {"id": "v"}, "browser", name="problem_check")
    assert (row["action"], row["flags"]) == ("play", "name_disagrees")


# Samples of the reference.


@functools.cache
def samples() -> dict[str, list[list[oracle.Event]]]:
    folder = REFERENCE / "data" / "events"
    if not folder.is_dir():
        pytest.skip("no reference folder: set EDXLOGS_REFERENCE")
    return {
        key: [oracle.read_events(line).events for line in (folder / name).read_bytes().split(b"\n")]
        for key, name in FILES.items()
    }


def decoded() -> Iterator[tuple[oracle.Event, Decoded]]:
    for lines in samples().values():
        for its in lines:
            for one in its:
                yield one, decode(one)


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
    assert row is not None
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
        elif isinstance(payload, tables.Form):
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


def test_samples_of_videos_have_a_block_and_no_flag() -> None:
    videos = [its.row for _, its in decoded() if its.table == "video_events"]
    assert len(videos) >= 154
    for row in videos:
        assert row is not None
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
            assert its.row is not None
            problem = tables._INPUT_ID.fullmatch(child["input_id"])
            assert problem is not None
            assert problem[1].endswith(its.row["block_id"])
    assert rows >= 198


def test_forms_of_browsers_agree_with_the_checks_of_the_server() -> None:
    waiting: dict[tuple[str, str], dict[str, Any]] = {}
    pairs = 0
    for one, its in decoded():
        if its.row is None or its.row.get("action") not in {"form_check", "check"}:
            continue
        click = (str(one.get("username")), its.row["block_id"])
        if its.row["action"] == "form_check":
            form = tables.Row(one).form()
            waiting[click] = {key: form[key] for key in tables._inputs(form)}
        elif click in waiting:
            clicked = waiting.pop(click)
            answers = {
                child["input_id"]: child["answer"]
                for child in its.children["problem_inputs"]
                if child["answer"] is not None
            }
            assert answers == {key: tables.text(value) for key, value in clicked.items()}
            pairs += 1
    assert pairs >= 89
