"""A small log with events of every event table, all made up: of two learners, and of staff."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

COURSE = "course-v1:UnivX+CS101+2015"
PEOPLE = {"ann": 7, "bob": 8, "staff": 1}


def block(kind: str, name: str) -> str:
    """The key of a block of the course."""
    return f"block-v1:UnivX+CS101+2015+type@{kind}+block@{name}"


def _check(correct: bool, answer: str = "1") -> dict[str, Any]:
    word = "correct" if correct else "incorrect"
    return {
        "problem_id": block("problem", "p1"),
        "attempts": 1,
        "grade": int(correct),
        "max_grade": 1,
        "success": word,
        "answers": {"p1_2_1": answer},
        "correct_map": {"p1_2_1": {"correctness": word}},
    }


def _assess(points: int) -> dict[str, Any]:
    option = {"name": f"Of {points}", "points": points}
    criterion = {"name": "Ideas", "points_possible": 5}
    return {"submission_uuid": "u1", "parts": [{"criterion": criterion, "option": option}]}


def _assigned(*names: str) -> dict[str, Any]:
    blocks = [{"usage_key": block("problem", name), "descendants": []} for name in names]
    return {"location": block("library_content", "bank"), "result": blocks, "added": blocks[-1:]}


def _post(kind: str, chars: int) -> tuple[str, str, dict[str, Any]]:
    payload = {"id": "f1", "discussion": {"id": "f1"}, "body": "x" * chars}
    return (f"edx.forum.{kind}.created", "server", payload)


_PAGE = f"/courses/{COURSE}/courseware"
_EVERYBODY: tuple[tuple[str, str, Any], ...] = (
    ("problem_check", "browser", "input_p1_2_1=2"),
    ("problem_check", "server", _check(False, "2")),
    ("problem_check", "browser", "input_p1_2_1=one"),
    ("problem_check", "browser", "input_p1_2_1=1"),
    ("problem_check", "server", _check(True)),
    ("problem_graded", "browser", ["input_p1_2_1=1", "<p>"]),
    ("play_video", "browser", {"id": "v1", "currentTime": 0}),
    ("pause_video", "browser", {"id": "v1", "currentTime": 12.5}),
    ("pause_video", "browser", {"id": "v1", "currentTime": "31"}),
    _post("thread", 10),
    _post("comment", 4),
    ("seq_next", "browser", {"id": block("sequential", "s1"), "old": 1, "new": 2}),
    ("edx.ui.lms.sequence.next_selected", "browser", {"id": block("sequential", "s1")}),
    (_PAGE, "server", '{"GET": {}, "POST": {}}'),
    (f"{_PAGE}/week1/lesson1/1", "server", '{"GET": {}, "POST": {}}'),
    (f"{_PAGE}/week1/lesson2/", "server", '{"GET": {"q": ["sine"]}, "POST": {}}'),
    (
        "openassessmentblock.create_submission",
        "server",
        {"item_id": block("openassessment", "o1"), "answer": {"text": "so"}},
    ),
    ("openassessmentblock.peer_assess", "server", _assess(3)),
    ("openassessmentblock.self_assess", "server", _assess(5)),
    ("edx.librarycontentblock.content.assigned", "server", _assigned("p2", "p3")),
    ("xblock.poll.submitted", "server", {"url_name": "colours", "choice": "red"}),
    ("edx.bookmark.added", "server", {"component_usage_id": block("vertical", "u1")}),
    ("edx.course_discovery.search.initiated", "server", {"search_term": "sine"}),
    ("book", "browser", {"type": "gotopage", "chapter": "/a.pdf", "old": 1, "new": 5}),
    ("chat.said", "browser", {"words": "hello", "seconds": 2.5}),
    ("grade", "server", {"a": 1}),
)


def _about(name: str) -> tuple[tuple[str, str, Any], ...]:
    """Events of staff and of the platform about a learner."""
    who = {"user_id": PEOPLE[name]}
    exam = {"exam_name": "Midterm", "attempt_user_id": PEOPLE[name]}
    return (
        ("edx.course.enrollment.activated", "server", {**who, "mode": "audit"}),
        ("edx.course.enrollment.mode_changed", "server", {**who, "mode": "verified"}),
        ("edx.cohort.user_added", "server", {**who, "cohort_id": 3, "cohort_name": "A"}),
        ("edx.grades.course.grade_calculated", "server", {**who, "percent_grade": 0.25}),
        (
            "edx.grades.course.grade_calculated",
            "server",
            {**who, "percent_grade": 0.5, "letter_grade": "A"},
        ),
        (
            "edx.completion.block_completion.changed",
            "server",
            {**who, "block_id": block("problem", "p1"), "completion": 1},
        ),
        (
            "edx.special_exam.proctored.attempt.submitted",
            "server",
            {**exam, "attempt_event_elapsed_time_secs": 600 * PEOPLE[name]},
        ),
        ("edx.certificate.created", "server", {**who, "enrollment_mode": "verified"}),
        ("edx.user.settings.changed", "server", {**who, "setting": "email", "new": "x"}),
        (
            "reset-student-attempts",
            "server",
            {"student": name, "problem": block("problem", "p1"), "old_attempts": 2},
        ),
    )


def events() -> Iterator[dict[str, Any]]:
    """The events, a second after the other."""
    listed = [
        *(("staff", one) for name in ("ann", "bob") for one in _about(name)),
        *((name, one) for name in ("ann", "bob") for one in _EVERYBODY),
        ("ann", ("problem_check", "server", _check(True))),
        ("staff", ("edx.course.enrollment.deactivated", "server", {"user_id": 8, "mode": "audit"})),
        ("staff", ("edx.cohort.user_removed", "server", {"user_id": 8, "cohort_id": 3})),
        (
            "staff",
            ("edx.certificate.revoked", "server", {"user_id": 8, "enrollment_mode": "verified"}),
        ),
    ]
    for second, (name, (event_type, source, payload)) in enumerate(listed):
        yield {
            "username": name,
            "event_source": source,
            "event_type": event_type,
            "time": f"2015-03-02T10:{second // 60:02}:{second % 60:02}.000000+00:00",
            "context": {"course_id": COURSE, "user_id": PEOPLE[name]},
            "event": payload,
        }


def log() -> bytes:
    """The log, a line for each event."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events())
