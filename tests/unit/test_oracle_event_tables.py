"""The oracle of event tables against worked examples, and the definitions against the oracle."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracle
import oracle_event_tables as tables
from edxlogs.edx.event_tables import EventTable, Kind, event_tables, homes
from oracle_event_rows import block_of
from oracle_event_tables import decode
from oracle_payloads import payload_of

OWN = {name: actions for name, (actions, _) in tables.TABLES.items()}


ONE_OF: dict[str, tuple[str, Any]] = {
    "problem_inputs": ("problem_check", {"answers": {"a_2_1": "x"}}),
    "problem_forms": ("problem_reset", {"answers": "input_a_2_1=x"}),
    "ora_parts": ("openassessmentblock.peer_assess", {"parts": [{"feedback": "x"}]}),
    "assigned_blocks": ("edx.itembankblock.content.assigned", {"added": [{}]}),
    "requests": ("/wiki", {"GET": {"q": "x"}}),
    "other_events": ("grade", {"a": 1}),
    "account_events": ("edx.user.settings.changed", {"setting": "email", "old": "x", "new": "y"}),
    "forum_events": ("edx.forum.searched", {"query": "x"}),
    **{
        table: (types.split()[0], {})
        for table, actions in OWN.items()
        for types in list(actions.values())[:1]
        if table not in {"account_events", "forum_events"}
    },
}


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
    return decode(event(event_type, payload, source, **others)).row


def part(row: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in expected}


# The definitions say what the oracle does.


@pytest.mark.parametrize("table", event_tables().values(), ids=lambda table: table.name)
def test_definitions_have_the_columns_of_the_oracle(table: EventTable) -> None:
    names = [name for name, _ in table.schema]
    made = tables.rows(event(*ONE_OF[table.name]), tables.Place("prod", "a.log", 7, 1))
    (row,) = made[table.name]
    assert list(row) == names
    expected = {"site": "prod", "source": "a.log", "line": 7, "line_item": 1, "username": "ann"}
    assert part(row, expected) == expected
    text = [column.name for column in table.columns if column.role == "free text"]
    assert text == tables.TEXT.get(table.name, "").split()
    if table.kind is Kind.CHILDREN:
        assert tables.CHILDREN[table.name] == table.parent
    else:
        assert table.name in tables.TABLES


def test_columns_of_free_text_may_be_left_out() -> None:
    place = tables.Place(None, "a.log", 1, 0)
    for table, one in ONE_OF.items():
        whole = tables.rows(event(*one), place)
        bare = tables.rows(event(*one), place, no_text=True)
        for name, its in whole.items():
            without = dict.fromkeys(tables.TEXT.get(name, "").split())
            assert bare[name] == [row | without for row in its], table


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
    assert part(form.row, expected) == expected
    assert form.children["problem_inputs"] == []
    assert form.children["problem_forms"] == [
        {
            "input_id": f"i4x-Org_x-N-1-problem-a_{number}_1",
            "part": number,
            "input": 1,
            "answer": answer,
            "n_choices": choices,
        }
        for number, answer, choices in ((2, "1 + é", None), (3, '["b"]', 1))
    ]
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
        ("openassessmentblock.create_submission",
         {"answer": {"parts": [{"text": "né"}, {"text": "b"}], "file_keys": ["k"]},
          "attempt_number": 1, "submission_uuid": "u", "created_at": "2014-06-01T12:00:00+00:00",
          "submitted_at": "2014-06-01T12:00:00"}, "server",
         {"action": "submit", "answer": '["né","b"]', "n_answer_parts": 2, "answer_chars": 3,
          "n_files": 1, "attempt_number": 1, "submission_uuid": "u", "n_parts": None,
          "created_at": 1_401_624_000_000_000, "submitted_at": 1_401_624_000_000_000,
          "flags": "naive_time no_block"}),
        ("openassessmentblock.create_submission",
         {"answer": {"text": "né", "file_upload_key": "k"}}, "server",
         {"answer": "né", "n_answer_parts": 1, "answer_chars": 2, "n_files": 1}),
        ("openassessmentblock.save_submission",
         {"saved_response": '{"parts": [{"text": "a b"}]}'}, "server",
         {"action": "save", "answer": "a b", "n_answer_parts": 1, "n_files": None}),
        ("openassessmentblock.save_submission", {"saved_response": "a b"}, "server",
         {"answer": None, "n_answer_parts": None, "answer_chars": None}),
        ("openassessmentblock.save_submission", {"saved_response": {"parts": []}}, "server",
         {"answer": None, "n_answer_parts": 0, "answer_chars": 0}),
        ("openassessmentblock.save_submission",
         {"saved_response": {"parts": [{}, {"text": 1}, {"text": "c"}], "file_upload_key": ""}},
         "server", {"answer": '[null,null,"c"]', "answer_chars": 1, "n_files": None}),
        ("openassessmentblock.get_peer_submission",
         {"submission_returned_uuid": "None", "item_id": "i4x://O/C/openassessment/p",
          "requesting_student_id": "a1"}, "server",
         {"action": "get_peer", "submission_uuid": None, "block_id": "p", "requester_anon": "a1",
          "block_from": "item_id", "flags": None}),
        ("openassessmentblock.get_submission_for_staff_grading",
         {"submission_returned_uuid": "u", "requesting_staff_id": "s1", "type": "full-grade"},
         "server", {"action": "get_staff", "submission_uuid": "u", "requester_anon": "s1",
                    "staff_type": "full-grade", "flags": "no_block"}),
        ("openassessmentblock.self_assess",
         {"parts": [{"criterion": {"name": "Ideas", "points possible": 5}, "option": {}}],
          "rubric": {"contenthash": "h"}, "score_type": "SE", "scorer_id": "a1"}, "server",
         {"points": None, "points_possible": 5.0, "n_parts": 1, "rubric_hash": "h",
          "score_type": "SE", "scorer_anon": "a1"}),
        ("openassessment.student_training_assess_example",
         {"options_selected": {"Ideas": "Fair"}, "corrections": {"Ideas": "Good"}}, "server",
         {"action": "training", "options": '{"Ideas":"Fair"}', "corrections": '{"Ideas":"Good"}'}),
        ("openassessmentblock.submit_feedback_on_assessments",
         {"feedback_text": "fine", "options": ["a", "b"]}, "server",
         {"action": "feedback", "feedback": "fine", "options": '["a","b"]'}),
        ("openassessment.upload_file", {"fileName": "a.pdf", "fileSize": 7, "fileType": "x/y"},
         "browser", {"action": "upload", "file_name": "a.pdf", "file_size": 7, "file_type": "x/y",
                     "flags": None}),
        ("oe_show_problem", {"location": "i4x://O/C/combinedopenended/p"}, "browser",
         {"action": "legacy_show", "block_id": "p", "block_from": "location", "flags": None}),
        ("rubric_select", {"value": 2, "location": "p"}, "browser",
         {"action": "legacy_rubric", "selection": "2"}),
        ("xblock.split_test.child_render", {"child-id": "i4x://O/C/vertical/v"}, "server",
         {"bank_kind": "split_test", "action": "split_child", "child_key": "i4x://O/C/vertical/v",
          "flags": None}),
        ("edx.itembankblock.content.removed",
         {"location": "block-v1:O+C+R+type@itembank+block@b", "max_count": 1, "previous_count": 2,
          "result": [{}], "removed": [{}], "reason": "overlimit"}, "server",
         {"bank_kind": "itembank", "action": "removed", "block_id": "b", "max_count": 1,
          "previous_count": 2, "n_result": 1, "n_changed": 1, "reason": "overlimit"}),
        ("edx.user.settings.changed",
         {"setting": "email", "old": "a@x.example", "new": "b@x.example", "table": "auth_user",
          "user_id": "9", "truncated": []}, "server",
         {"action": "changed", "setting": "email", "old": "a@x.example", "new": "b@x.example",
          "settings_table": "auth_user", "truncated": False, "subject_user_id": 9, "flags": None}),
        ("edx.user.settings.changed",
         {"settings": {"name": {"old_value": "A"}, "year of birth": {}}, "truncated": ["name"]},
         "server", {"setting": "name year_of_birth", "old": None, "new": None, "truncated": True,
                    "flags": "truncated many_settings"}),
        ("reset-student-attempts",
         {"student": "amy", "problem": "i4x://O/C/problem/p", "old_attempts": "3"}, "server",
         {"action": "reset-student-attempts", "subject_username": "amy", "block_id": "p",
          "problem": "i4x://O/C/problem/p", "old_attempts": 3, "flags": "subject_by_name"}),
        ("add-or-remove-user-group", {"event": "add", "event_name": "staff", "user": "bob"},
         "server", {"group_action": "add", "group_name": "staff", "subject_username": "bob"}),
        ("edx.course.index.reindexed", {"indexed_count": 4, "location_id": "x"}, "server",
         {"indexed_count": 4, "location_id": "x", "flags": None}),
        ("grade", {"a": [1.0]}, "server", {"action": None, "payload": '{"a": [1.0]}'}),
        ("mine", '{"a":  1}', "server", {"action": None, "payload": '{"a":  1}', "flags": None}),
        ("mine", "words", "server", {"payload": '"words"', "flags": "broken_payload"}),
        ("mine", None, "server", {"payload": None, "flags": None}),
        ("/courses/O/C/R/discussion/forum/search", '{"GET": {"text": ["a b"]}, "POST": {}}',
         "server", {"route": "discussion", "forum_action": "search", "search_text": "a b",
                    "get_keys": "text", "post_keys": None, "is_post": False,
                    "payload_chars": 38, "action": None, "flags": None}),
        ("/courses/O/C/R/progress/12", {"POST": {'{"a": 1}': [""], "b c": [""]}}, "server",
         {"lookup_name": "12", "subject_user_id": 12, "post_keys": "{} b_c", "is_post": True,
          "payload_chars": None, "get_keys": None}),
        ("/u/amy", '{"POST": "x' + "y" * 501, "server",
         {"lookup_name": "amy", "subject_user_id": None, "payload_chars": 512, "is_post": None,
          "flags": "broken_payload cut512"}),
        ("/u/amy", '{"POST": "x' + "y" * 500, "server", {"flags": "broken_payload"}),
        ("page_close", "", "browser", {"action": "close", "block_id": None, "flags": None}),
        ("edx.ui.lms.link_clicked", {"event_type": "x", "url": "/y"}, "browser",
         {"action": "link", "link_kind": "x", "target_url": "/y"}),
    ],
)  # fmt: skip
def test_synthetic_events(
    event_type: str, payload: Any, source: str, expected: dict[str, Any]
) -> None:
    assert part(row_of(event_type, payload, source), expected) == expected


def test_synthetic_assessment_has_its_parts() -> None:
    parts = [
        {"criterion": {"name": "Ideas", "points_possible": 5},
         "option": {"name": "Good", "points": 3}, "feedback": "fine"},
        {"criterion": {"name": "Style", "points possible": 5}, "option": None},
        {"criterion": "Length", "option": "Short"},
    ]  # fmt: skip
    made = decode(event("openassessmentblock.peer_assess", {"parts": parts}))
    expected: dict[str, Any] = {"action": "peer_assess", "points": 3, "points_possible": 10}
    assert part(made.row, expected) == expected
    assert made.row["n_parts"] == 3
    assert [tuple(row.values()) for row in made.children["ora_parts"]] == [
        (1, "Ideas", 5, "Good", 3, "fine"),
        (2, "Style", 5, None, None, None),
        (3, "Length", None, "Short", None, None),
    ]


def test_synthetic_blocks_of_a_library_are_rows_by_their_role() -> None:
    def block(name: str) -> dict[str, Any]:
        return {
            "usage_key": f"block-v1:O+C+R+type@problem+block@{name}",
            "original_usage_key": f"lib-block-v1:O+L+type@problem+block@{name}",
            "original_usage_version": "5",
            "descendants": [],
        }

    location = "block-v1:O+C+R+type@library_content+block@bank"
    payload = {"location": location, "result": [block("a"), block("b")], "added": [block("b")]}
    made = tables.rows(
        event("edx.librarycontentblock.content.assigned", payload),
        tables.Place(None, "a.log", 1, 0),
    )
    (home,) = made["content_events"]
    expected = {"bank_kind": "library", "block_id": "bank", "n_result": 2, "n_changed": 1}
    assert part(home, expected) == expected
    assert [(row["role"], row["usage_id"]) for row in made["assigned_blocks"]] == [
        ("result", "a"),
        ("result", "b"),
        ("added", "b"),
    ]
    for row in made["assigned_blocks"]:
        expected = {
            "block_id": "bank",
            "usage_type": "problem",
            "n_descendants": 0,
            "original_usage_version": "5",
        }
        assert part(row, expected) == expected


def test_numbers_keep_their_spelling_in_json_text() -> None:
    written = '{"choices": {"b": [1.0, 1e5, 1E-7, -0, 12345678901234567890123], "a": NaN}}'
    one = event("xblock.survey.submitted", written)
    expected = '{"b":[1.0,1e5,1E-7,-0,12345678901234567890123],"a":null}'
    assert decode(one).row["choices"] == expected
    line = json.dumps(one).replace(json.dumps(written), written)
    (read,) = oracle.read_events(line.encode()).events
    assert decode(read).row["choices"] == expected


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
