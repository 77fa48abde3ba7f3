"""Problems, videos, assessments and assigned blocks in plain Python: a part of the oracle.

It never imports edxlogs. Each function makes of an event the rows of its home table and of its
children, without the columns of `oracle.row`.
"""

from __future__ import annotations

from typing import Any

from oracle_event_rows import (
    Decoded,
    Row,
    block_of,
    input_columns,
    inputs_of,
    joined_keys,
    of_owner,
    unflagged,
)
from oracle_payloads import as_json, at, boolean, compact, first, length, loads, only_text, text


def video_events(row: Row) -> Decoded:
    is_seek = row.action == "seek"
    seconds = row.within(0, 36_000)
    starts = (*(["old_time"] if is_seek else []), "currentTime", "current_time")
    position = row.of(seconds, *starts)
    position_to = row.of(seconds, "new_time") if is_seek else None
    if position is not None and position == position_to:
        position = None
        row.flags.add("seek_from_unknown")
    if row.action in {"menu_show", "menu_hide"} and row.is_between("2015-09-01", "2016-05-06"):
        row.flags.add("possible_double")
    code = row.of(text, "code")
    is_app = row.columns["event_source"] == "mobile" or code == "mobile"
    own = {
        **row.block("id", "module_id", "host_component_id"),
        "code": code,
        "position": position,
        "position_to": position_to,
        "seek_kind": row.of(text, "type") if is_seek else None,
        "skip_interval": row.of(row.real, "requested_skip_interval"),
        "duration": row.of(row.real, "duration") or None,
        "speed_from": row.of(row.real, "old_speed"),
        "speed_to": row.of(row.real, "speed" if row.action == "play" else "new_speed"),
        "language": row.of(text, "language"),
        "enabled": row.of(boolean, "enabled") if row.action == "auto_advance" else None,
        "bumper_id": row.of(text, "bumper_id"),
        "player": "mobile" if is_app else "browser",
        "app_name": row.of_context(text, "application.name", "client.app.name"),
        "app_version": row.of_context(text, "application.version", "client.app.version"),
        "os": row.of_context(text, "client.os.name"),
    }
    return Decoded("video_events", row.done(own))


def _correctness(value: Any) -> str | None:
    return only_text(at(value, "correctness")) if isinstance(value, dict) else only_text(value)


def _lines(value: Any) -> str | None:
    if isinstance(value, list):
        told = [only_text(one) or only_text(at(one, "text")) for one in value]
        return "\n".join(one for one in told if one is not None) or None
    return only_text(value)


def problem_events(row: Row) -> Decoded:
    if row.spelling == "problem_check" and row.columns["event_source"] == "browser":
        row.action = "form_check"
    action = row.action
    if action == "check" and row.is_between("0001-01-01", "2013-07-15"):
        row.flags.add("possible_double")
    grades = {
        "rescore": ("new_score", "new_total"),
        "completed": ("weighted_earned", "weighted_possible"),
    }.get(action, ("grade", "max_grade"))
    max_grade = row.of(row.real, grades[1])
    grade = row.of(row.real, grades[0])
    judged = row.of(lambda value: value if isinstance(value, dict) else None, "correct_map")
    verdicts = (
        [_correctness(judged[key]) for key in inputs_of(judged)] if judged is not None else None
    )
    before = "old_state" if action in {"reset", "reset_fail"} else "state"
    is_form = action in {"form_check", "form_save", "form_reset", "graded_page"}
    is_rescore = action == "rescore"
    own = {
        **row.block("problem_id", "module_id", "problem", form=is_form),
        "module_name": row.of_context(text, "module.display_name"),
        "original_usage_key": row.of_context(text, "module.original_usage_key"),
        "original_usage_version": row.of_context(text, "module.original_usage_version"),
        "attempts": row.of(row.whole(1), "attempts"),
        "grade": None if max_grade is None else grade,
        "max_grade": max_grade,
        "old_grade": row.of(row.real, "orig_score") if is_rescore else None,
        "old_max_grade": row.of(row.real, "orig_total") if is_rescore else None,
        "success": row.of(text, "success"),
        "n_inputs": None if verdicts is None else len(verdicts),
        "n_correct": None if verdicts is None else verdicts.count("correct"),
        "n_partial": None if verdicts is None else verdicts.count("partially-correct"),
        "failure": row.of(text, "failure"),
        "seed": row.of(row.whole(), "new_state.seed" if action == "reset" else "state.seed"),
        "state_done": row.of(boolean, f"{before}.done"),
        "state_attempts": row.of(row.whole(), f"{before}.attempts"),
        "task_id": row.of(text, "task_id"),
        "hint_index": row.of(row.whole(), "hint_index"),
        "hint_len": row.of(row.whole(), "hint_len"),
        "hint_text": row.of(_lines, "hint_text", "hints"),
        "hint_label": row.of(text, "hint_label"),
        "trigger_type": row.of(text, "trigger_type"),
        "question_type": row.of(text, "question_type"),
        "hint_input_id": row.of(text, "problem_part_id"),
        "hint_correctness": row.of(text, "correctness") if action == "hint_feedback" else None,
        "n_form_inputs": len(inputs_of(row.form())) if is_form else None,
    }
    user_id = row.of(row.whole(), "user_id") if action == "completed" else None
    username = row.of(text, "student") if action.startswith("rescore") else None
    with_inputs = action in {"check", "check_fail", "save", "save_fail", "rescore"}
    children = {
        "problem_inputs": _problem_inputs(row) if with_inputs else [],
        "problem_forms": _problem_forms(row) if is_form else [],
    }
    return Decoded("problem_events", row.done(own, user_id, username), children)


def _problem_inputs(row: Row) -> list[dict[str, Any]]:
    maps = [at(row.payload, name) for name in ("answers", "correct_map", "submission")]
    answers, judged, submission = (one if isinstance(one, dict) else {} for one in maps)
    rows = []
    for key in dict.fromkeys([*inputs_of(answers), *inputs_of(judged), *inputs_of(submission)]):
        answer, verdict, told = answers.get(key), judged.get(key), submission.get(key)
        words = ("response_type", "input_type", "question", "group_label")
        rows.append(
            {
                **input_columns(key),
                "answer": text(answer),
                "n_choices": len(answer) if isinstance(answer, list) else None,
                "answer_text": text(at(told, "answer")),
                "correctness": _correctness(verdict),
                "npoints": unflagged(at(verdict, "npoints")),
                **{name: text(at(told, name)) or None for name in words},
                "variant": text(at(told, "variant")),
                "permutation": as_json(at(told, "permutation")),
                "hint": text(at(verdict, "hint")),
                "hintmode": text(at(verdict, "hintmode")),
                "queued": at(verdict, "queuestate") is not None
                if isinstance(verdict, dict)
                else None,
                "answervariable": text(at(verdict, "answervariable")),
                "found_in": "".join(
                    mark
                    for mark, its in (("a", answers), ("m", judged), ("S", submission))
                    if key in its
                ),
            }
        )
    return rows


def _problem_forms(row: Row) -> list[dict[str, Any]]:
    form = row.form()
    return [
        {**input_columns(key), "answer": text(form[key]), "n_choices": length(form[key])}
        for key in inputs_of(form)
    ]


def _answer(value: Any) -> list[str | None] | None:
    """The texts of an answer; None where it is none."""
    if isinstance(value, str):
        value = loads(value)
    if not isinstance(value, dict):
        return None
    if isinstance(parts := value.get("parts"), list):
        return [only_text(at(part, "text")) for part in parts]
    return [value["text"]] if isinstance(value.get("text"), str) else None


def _answer_text(value: Any) -> str | None:
    texts = _answer(value)
    return compact(texts) if texts and len(texts) > 1 else (texts or [None])[0]


def _answer_parts(value: Any) -> int | None:
    texts = _answer(value)
    return None if texts is None else len(texts)


def _answer_chars(value: Any) -> int | None:
    texts = _answer(value)
    return None if texts is None else sum(len(one or "") for one in texts)


def _files(value: Any) -> int | None:
    return length(value) if isinstance(value, list) else (1 if only_text(value) else None)


def _sum(parts: Any, *paths: str) -> float | None:
    items = parts if isinstance(parts, list) else []
    found = [first(unflagged, *(at(item, path) for path in paths)) for item in items]
    numbers = [one for one in found if one is not None]
    return sum(numbers) if numbers else None


_POSSIBLE = ("criterion.points_possible", "criterion.points possible")


def ora_events(row: Row) -> Decoded:
    starts = ("context.module.usage_key", "item_id", "location")
    is_legacy, is_upload = row.action.startswith("legacy_"), row.action.startswith("upload")
    uuid = "submission_returned_uuid" if row.action.startswith("get_") else "submission_uuid"
    parts = at(row.payload, "parts")
    answers = ("answer", "saved_response")
    files = (
        *("answer.file_keys", "answer.file_upload_key", "answer.files_names"),
        *("saved_response.file_keys", "saved_response.file_upload_key", "files_names"),
    )
    given = row.of(text, uuid)
    own = {
        **row.block(*starts, required=not (is_legacy or is_upload)),
        "submission_uuid": None if given == "None" else given,
        "attempt_number": row.of(row.whole(), "attempt_number"),
        "submitted_at": row.of(row.instant, "submitted_at"),
        "created_at": row.of(row.instant, "created_at"),
        "scored_at": row.of(row.instant, "scored_at"),
        "score_type": row.of(text, "score_type"),
        "scorer_anon": row.of(text, "scorer_id"),
        "requester_anon": row.of(text, "requesting_student_id", "requesting_staff_id"),
        "rubric_hash": row.of(text, "rubric.content_hash", "rubric.contenthash"),
        "points": _sum(parts, "option.points"),
        "points_possible": _sum(parts, *_POSSIBLE),
        "n_parts": length(parts),
        "answer": row.of(_answer_text, *answers),
        "n_answer_parts": row.of(_answer_parts, *answers),
        "answer_chars": row.of(_answer_chars, *answers),
        "n_files": row.of(_files, *files),
        "feedback": row.of(text, "feedback", "feedback_text"),
        "options": row.of(as_json, "options", "options_selected"),
        "corrections": row.of(as_json, "corrections"),
        "staff_type": row.of(text, "type"),
        "team_id": row.of(text, "team_id"),
        "file_name": row.of(text, "fileName"),
        "file_size": row.of(row.whole(), "fileSize"),
        "file_type": row.of(text, "fileType"),
        "selection": row.of(text, "selection", "value"),
    }
    is_assessed = row.action in {"peer_assess", "self_assess", "staff_assess"}
    items = parts if is_assessed and isinstance(parts, list) else []
    children = [_ora_part(number, item) for number, item in enumerate(items, 1)]
    return Decoded("ora_events", row.done(own), {"ora_parts": children})


def _ora_part(number: int, item: Any) -> dict[str, Any]:
    return {
        "part": number,
        "criterion": first(only_text, at(item, "criterion.name"), at(item, "criterion")),
        "points_possible": first(unflagged, *(at(item, path) for path in _POSSIBLE)),
        "option": first(only_text, at(item, "option.name"), at(item, "option")),
        "points": unflagged(at(item, "option.points")),
        "feedback": text(at(item, "feedback")),
    }


def content_events(row: Row) -> Decoded:
    kind = {"librarycontentblock": "library", "itembankblock": "itembank"}
    is_bank = row.action in {"assigned", "removed"}
    changed = row.of(length, "added", "removed")
    own = {
        "bank_kind": kind.get(row.spelling.split(".")[1], "split_test"),
        **row.block("location", required=is_bank),
        "max_count": row.of(row.whole(), "max_count"),
        "previous_count": row.of(row.whole(), "previous_count"),
        "n_result": row.of(length, "result"),
        "n_changed": changed,
        "reason": row.of(text, "reason"),
        "child_key": row.of(text, "child_id", "child-id"),
    }
    blocks = [
        _assigned(role, one, row.columns["course_id"])
        for role in ("result", "added", "removed")
        if is_bank and isinstance(listed := at(row.payload, role), list)
        for one in listed
    ]
    return Decoded("content_events", row.done(own), {"assigned_blocks": blocks})


def _assigned(role: str, item: Any, course_id: str | None) -> dict[str, Any]:
    key = text(at(item, "usage_key")) or None
    key = joined_keys(of_owner(key)[1])[0] if key else None
    block_type, block_id, _ = block_of(key or "", course_id)
    return {
        "role": role,
        "usage_key": key,
        "usage_type": block_type,
        "usage_id": block_id,
        "usage_from": None if key is None else "usage_key",
        "original_usage_key": text(at(item, "original_usage_key")),
        "original_usage_version": text(at(item, "original_usage_version")),
        "n_descendants": length(at(item, "descendants")),
    }
