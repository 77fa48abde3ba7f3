"""Grades, completion, special exams, certificates and badges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from families.scene import Act, Scene

_ATTEMPT = ("created", "deleted", "started", "submitted", "ready_to_submit")
_PRACTICE = (*_ATTEMPT, "download_software_clicked", "error", "ready_to_start")
_EXAMS = {
    "timed": _ATTEMPT,
    "practice": _PRACTICE,
    "proctored": (*_PRACTICE, "declined", "rejected", "review_received", "verified"),
}


def grades(scene: Scene) -> Iterator[Act]:
    """Grades of problems, subsections and the course; most are written by workers."""
    start = "edx.grades."
    submitted = _transaction(scene) | _whose(scene) | {"problem_id": scene.key("problem")}
    points = {"weighted_earned": 2, "weighted_possible": 3.0, "weight": None}
    yield Act(f"{start}problem.submitted", submitted | points)
    yield Act(f"{start}subsection.grade_calculated", _subsection(scene), is_worker=True)
    yield Act(f"{start}course.grade_calculated", _course(scene), is_worker=True)
    yield Act(f"{start}subsection.grade_calculated", _subsection(scene), is_worker=True)
    none = {"weighted_total_possible": None, "first_attempted": "None"}
    yield Act(f"{start}subsection.grade_calculated", _subsection(scene) | none, is_worker=True)
    failed = {"letter_grade": "", "percent": "0.31", "percent_grade": None}
    quoted = {"course_edited_on": f"'{scene.instant(' ')}'"}
    yield Act(f"{start}course.grade_calculated", _course(scene) | failed | quoted, is_worker=True)
    rescored = {"new_weighted_earned": 1, "new_weighted_possible": 3, "only_if_higher": "True"}
    by = {"problem_id": scene.key("problem"), "instructor_id": scene.other_id()}
    for word in ("rescored", "score_overridden"):
        yield Act(f"{start}problem.{word}", _transaction(scene) | _whose(scene) | by | rescored)
    gone = _transaction(scene) | _whose(scene) | by | {"instructor_id": "None"}
    yield Act(f"{start}problem.state_deleted", gone)
    yield Act(f"{start}problem.score_overridden", gone | {"override_deleted": True})
    override = _whose(scene) | {"block_id": scene.key("sequential"), "override_deleted": False}
    yield Act(f"{start}subsection.score_overridden", _transaction(scene) | override)
    for word in ("passed.first_time", "now_passed", "now_failed"):
        yield Act(f"edx.course.grade.{word}", _whose(scene))


def completion(scene: Scene) -> Iterator[Act]:
    """Blocks that were done."""
    for kind, share in (("problem", 1.0), ("video", 1), ("html", "0.5"), ("vertical", 0)):
        payload = {
            "user_id": scene.user_id,
            "course_id": scene.course.key,
            "context_key": scene.course.key,
            "block_id": scene.key(kind),
            "block_type": kind,
            "completion": share,
            "is_new": kind == "problem",
        }
        yield Act("edx.completion.block_completion.changed", payload)
    done = scene.key("done")
    yield Act("edx.done.toggled", {"done": True}, block=done)
    yield Act("edx.done.toggled", {"done": "true"}, "browser", "", "text")


def exams(scene: Scene) -> Iterator[Act]:
    """Special exams; the type of a few says another kind than the name."""
    for kind, attempts in _EXAMS.items():
        start = f"edx.special_exam.{kind}"
        for word in attempts:
            payload = _exam(scene, kind) | _attempt(scene, word)
            if word == "review_received":
                payload |= {"review_status": "Clean", "review_attempt_code": scene.uuid()}
                payload["review_video_url"] = "https://proctor.example/v"
            yield Act(f"{start}.attempt.{word}", payload)
        for word in ("created", "deleted"):
            more = {"allowance_user_id": scene.other_id(), "allowance_key": "additional_time"}
            yield Act(
                f"{start}.allowance.{word}", _exam(scene, kind) | more | {"allowance_value": "20"}
            )
        for word in ("created", "updated"):
            yield Act(f"{start}.{word}", _exam(scene, kind))
    yield Act("edx.special_exam.proctored.option-presented", _exam(scene, "proctored"))
    other = _exam(scene, "practice") | _attempt(scene, "submitted")
    name = "edx.special_exam.practice.attempt.submitted"
    yield Act("edx.special_exam.timed.attempt.submitted", other, name=name)


def certificates(scene: Scene) -> Iterator[Act]:
    """Certificates and badges, of learners and of strangers who look at them."""
    start = "edx.certificate."
    number = scene.uuid()
    one = {
        "course_id": scene.course.key,
        "user_id": scene.other_id(),
        "certificate_id": number,
        "certificate_url": f"https://{scene.host}/certificates/{number}",
        "enrollment_mode": "verified",
    }
    yield Act(f"{start}created", one | {"generation_mode": "self"})
    yield Act(f"{start}revoked", one | {"source": "allowlist"})
    yield Act(f"{start}shared", one | {"social_network": "LinkedIn"})
    visited = one | {"social_network": "Twitter", "source_url": "https://t.example/x"}
    for source in ("browser", "server"):
        layout = "text" if source == "browser" else "object"
        yield Act(f"{start}evidence_visited", visited, source, layout=layout)
    for word in ("enabled", "disabled"):
        yield Act(f"{start}generation.{word}", {"course_id": scene.course.key})
    badge = {
        "course_id": scene.course.key,
        "user_id": scene.other_id(),
        "assertion_id": scene.hex24(),
        "assertion_image_url": "https://badges.example/i.png",
        "assertion_json_url": "https://badges.example/a.json",
        "enrollment_mode": "honor",
        "issuer": "https://badges.example/issuer",
    }
    yield Act("edx.badge.assertion.created", badge)
    shared = badge | {"social_network": "Mozilla Backpack"}
    yield Act("edx.badge.assertion.shared", shared, "browser", layout="text")
    yield Act("edx.badge.assertion.evidence_visited", badge, "browser", layout="text")


def _whose(scene: Scene) -> dict[str, Any]:
    return {"user_id": str(scene.other_id()), "course_id": scene.course.key}


def _transaction(scene: Scene) -> dict[str, Any]:
    kind = "edx.grades.problem.submitted"
    return {"event_transaction_id": scene.uuid(), "event_transaction_type": kind}


def _subsection(scene: Scene) -> dict[str, Any]:
    return {
        **_whose(scene),
        "block_id": scene.key("sequential"),
        "course_version": "64e64c6835fe1d2093ba4d69",
        "weighted_total_earned": 2.0,
        "weighted_total_possible": 3.0,
        "weighted_graded_earned": 0,
        "weighted_graded_possible": 0.0,
        "first_attempted": scene.instant(" "),
        "subtree_edited_timestamp": scene.instant(" "),
        "visible_blocks_hash": "lZhmJhZ0Ugs=",
        **_transaction(scene),
    }


def _course(scene: Scene) -> dict[str, Any]:
    return {
        **_whose(scene),
        "course_version": "64e64c6835fe1d2093ba4d69",
        "percent_grade": 0.87,
        "letter_grade": "Pass",
        "course_edited_timestamp": scene.instant(),
        "grading_policy_hash": "ChVp0lHGQGCevD0t4njna",
        **_transaction(scene),
    }


def _exam(scene: Scene, kind: str) -> dict[str, Any]:
    return {
        "exam_id": 1 + scene.below(9),
        "exam_content_id": scene.key("sequential"),
        "exam_name": "Midterm",
        "exam_default_time_limit_mins": 60,
        "exam_is_proctored": kind != "timed",
        "exam_is_practice_exam": kind == "practice",
        "exam_is_active": True,
    }


def _attempt(scene: Scene, status: str) -> dict[str, Any]:
    return {
        "attempt_id": scene.below(1000),
        "attempt_user_id": scene.other_id(),
        "attempt_started_at": None if status == "created" else scene.instant(),
        "attempt_completed_at": scene.instant()[:26] if status == "submitted" else None,
        "attempt_code": scene.uuid().upper(),
        "attempt_allowed_time_limit_mins": 60,
        "attempt_status": status,
        "attempt_event_elapsed_time_secs": scene.seconds(),
    }
