"""Blocks with events of their own: open response assessment, libraries, drag and drop, polls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from families.scene import Act, Scene

_OLD = tuple(
    f"{who}_{act}_{what}"
    for who in ("oe", "peer_grading", "staff_grading")
    for act in ("hide", "show")
    for what in ("question", "problem")
)


def ora(scene: Scene) -> Iterator[Act]:
    """What is handed in, read and assessed."""
    start, block = "openassessmentblock.", scene.key("openassessment")
    text: dict[str, Any] = {"text": scene.words(30), "file_upload_key": scene.hex24()}
    parts = {"parts": [{"text": scene.words(9)}, {"text": scene.words(9)}], "file_keys": ["a"]}
    for word in ("create_submission", "create_team_submission"):
        for answer in (text, parts):
            payload = {
                "answer": answer,
                "attempt_number": 1,
                "submitted_at": scene.instant(),
                "created_at": scene.instant(" "),
                "submission_uuid": scene.uuid(),
            }
            if "team" in word:
                payload["team_id"] = "team-a"
            yield Act(start + word, payload, block=block)
    for answer in (text, parts):
        saved = json.dumps(answer)
        yield Act(f"{start}save_submission", {"saved_response": saved}, block=block)
    yield Act(f"{start}save_submission", {"saved_response": text}, block=block)
    asked = {"course_id": scene.course.key, "item_id": block, "requesting_student_id": "a" * 32}
    for found in (scene.uuid(), "None", None):
        one = {"submission_returned_uuid": found}
        yield Act(f"{start}get_peer_submission", asked | one, block=block)
    staff = {"requesting_staff_id": "b" * 32, "type": "full-grade"}
    one = {"submission_returned_uuid": scene.uuid()}
    yield Act(f"{start}get_submission_for_staff_grading", asked | staff | one, block=block)
    for word, kind in (("peer", "PE"), ("self", "SE"), ("staff", "ST")):
        told = _assessment(scene, kind, scene.below(2) == 1)
        more = {"type": "regrade"} if word == "staff" else {}
        yield Act(f"{start}{word}_assess", told | more, block=block)
    about: dict[str, Any] = {"submission_uuid": scene.uuid()}
    told = {"feedback_text": scene.words(4), "options": ["Fair", "Useful"]}
    yield Act(f"{start}submit_feedback_on_assessments", about | told, block=block)
    trained = {"options_selected": {"Ideas": "Good"}, "corrections": {"Ideas": "Fair"}}
    yield Act("openassessment.student_training_assess_example", about | trained, block=block)
    file = {"fileName": "essay.pdf", "fileSize": 120_034, "fileType": "application/pdf"}
    for word in ("upload_file", "upload_file_error"):
        yield Act(f"openassessment.{word}", file, "browser", "", "text")
    files = {"files": ["a.pdf"], "student_item_key": {"item_id": block}}
    yield Act(f"{start}save_files_descriptions", files | {"files_names": ["a.pdf"]}, block=block)
    yield Act(f"{start}remove_uploaded_file", files, block=block)


def old_ora(scene: Scene) -> Iterator[Act]:
    """Its predecessor."""
    location = {"location": scene.key("combinedopenended")}
    for kind in _OLD:
        yield Act(kind, location, "browser", "", "text")
    rubric = location | {"category": 1, "selection": 2}
    yield Act("rubric_select", rubric, "browser", "", "text")
    yield Act("rubric_select", location | {"category": 0, "value": 1}, "browser", "", "text")
    for kind in ("oe_show_full_feedback", "oe_show_respond_to_feedback"):
        yield Act(kind, {}, "browser", "", "text")
    yield Act("oe_feedback_response_selected", {"value": "3"}, "browser", "", "text")


def content(scene: Scene) -> Iterator[Act]:
    """Blocks that a learner was given or lost."""
    for bank, kind in (("library", "library_content"), ("itembank", "itembank")):
        start = f"edx.{bank}contentblock" if bank == "library" else f"edx.{bank}block"
        block = scene.key(kind)
        payload = {
            "location": block,
            "max_count": 2,
            "previous_count": 1,
            "result": [_given(scene), _given(scene)],
        }
        added = payload | {"added": [_given(scene)]}
        yield Act(f"{start}.content.assigned", added, block=block)
        removed = payload | {"removed": [_given(scene)], "reason": "overlimit"}
        yield Act(f"{start}.content.removed", removed, block=block)
        yield Act(f"{start}.content.assigned", payload | {"added": [], "result": []})
    for name in ("child_id", "child-id"):
        child = {name: scene.key("vertical")}
        yield Act("xblock.split_test.child_render", child, block=scene.key("split_test"))


def blocks(scene: Scene) -> Iterator[Act]:
    """Drag and drop, polls, peer instruction, blocks of others."""
    start, block = "edx.drag_and_drop_v2.", scene.key("drag-and-drop-v2")
    item = {"item_id": scene.below(4), "item": "cat", "location": "animals", "location_id": 1}
    right = {"is_correct": True, "is_correct_location": True, "input": None}
    told = {"content": scene.words(5), "truncated": False}
    yield Act(f"{start}loaded", {}, block=block)
    yield Act(f"{start}item.picked_up", {"item_id": item["item_id"]}, block=block)
    yield Act(f"{start}item.dropped", item | right, block=block)
    yield Act(f"{start}item.dropped", {"item_id": "2", "input": "42", "is_correct": 0}, block=block)
    yield Act(f"{start}feedback.opened", told, block=block)
    closed = told | {"manually": "true", "truncated": True}
    yield Act(f"{start}feedback.closed", closed, block=block)
    block = scene.key("poll")
    yield Act("xblock.poll.submitted", {"url_name": "p1", "choice": "R"}, block=block)
    yield Act("xblock.poll.view_results", {}, block=block)
    block, choices = scene.key("survey"), {"enjoy": "Y", "again": "M"}
    yield Act("xblock.survey.submitted", {"url_name": "s1", "choices": choices}, block=block)
    yield Act("xblock.survey.view_results", {}, block=block)
    block, chosen = scene.key("ubcpi"), {"answer": 1, "rationale": scene.words(6)}
    yield Act("ubc.peer_instruction.accessed", {}, block=block)
    for word, cut in (("original", False), ("revised", True)):
        kind = f"ubc.peer_instruction.{word}_submitted"
        yield Act(kind, chosen | {"truncated": cut}, block=block)
    block, answer = scene.key("pb-mcq"), {"num_attempts": 1, "submitted_answer": {"q1": ["a"]}}
    yield Act("xblock.problem_builder.loaded", {}, block=block)
    yield Act("xblock.problem_builder.submitted", answer, block=block)
    for kind, shown in (("calendar", "iframe"), ("document", "img")):
        payload = {"displayed_in": shown, "url": "https://docs.example/d"}
        yield Act(f"edx.googlecomponent.{kind}.displayed", payload, block=scene.key("google"))
    oppia = {"exploration_id": "4", "exploration_version": 2}
    for word in ("loaded", "completed"):
        yield Act(f"oppia.exploration.{word}", oppia)
    states = {"old_state_name": "a", "new_state_name": "b"}
    yield Act("oppia.exploration.state.changed", oppia | states)
    start, mix = "microsoft.office.mix.", {"url": "https://mix.example/w"}
    yield Act(f"{start}loaded", mix | {"duration": 61.5, "total_slides": 9})
    for word in ("played", "paused"):
        yield Act(start + word, mix | {"current_slide": 2, "current_time": scene.seconds()})
    yield Act(f"{start}slide.loaded", mix | {"slide": 3})
    yield Act(f"{start}stopped", mix)
    launch = {"lti_version": "1.3", "launch_url": "https://tool.example/l", "user_roles": "student"}
    for kind in ("xblock.launch_request", "edx.lti.xblock.launch_request"):
        yield Act(kind, launch, block=scene.key("lti_consumer"))
    resource = {"id": scene.page("x"), "title": scene.words(2), "url": "https://r.example"}
    secret = {"aws_access_key": "AKIDEXAMPLE", "aws_secret_key": "none"}
    for kind in ("add_resource", "delete_resource", "recommender_upvote"):
        yield Act(kind, resource | secret, block=scene.key("recommender"))


def _given(scene: Scene) -> dict[str, Any]:
    return {
        "usage_key": scene.key("problem"),
        "original_usage_key": scene.key("problem"),
        "original_usage_version": "56a1e8f6",
        "descendants": [],
    }


def _assessment(scene: Scene, kind: str, is_of_guide: bool) -> dict[str, Any]:
    """An assessment with the keys of the code or those of the research guide."""
    most, digest = (
        ("points possible", "contenthash") if is_of_guide else ("points_possible", "content_hash")
    )
    return {
        "feedback": scene.words(5),
        "rubric": {digest: "9d3f"},
        "scored_at": scene.instant(),
        "scorer_id": "c" * 32,
        "score_type": kind,
        "submission_uuid": scene.uuid(),
        "parts": [
            {
                "criterion": {"name": "Ideas", most: 5},
                "option": {"name": "Good", "points": 3},
                "feedback": scene.words(3),
            },
            {"criterion": {"name": "Style", most: 5}, "option": None, "feedback": ""},
            {"criterion": {"name": "Depth", most: 2}, "option": "Fair"},
        ],
    }
