"""Forum, enrollment, grades and all other tables, once more in plain Python: a part of the oracle.

It never imports edxlogs. Each function makes of an event the rows of its home table and of its
children, without the columns of `oracle.row`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from oracle_acts import EXAMS, KIND_OF_BLOCK
from oracle_event_rows import Decoded, Row, joined_keys, of_owner
from oracle_payloads import (
    as_json,
    at,
    boolean,
    first,
    first_text,
    holds,
    keys,
    not_empty,
    only_text,
    text,
)
from oracle_requests import request


def enrollment_events(row: Row) -> Decoded:
    if holds(row.event.get("synthesized")):
        row.action = "synthesized"
    user_id, username = row.of(row.whole(), "user_id"), row.of(text, "username")
    if row.action == "upgrade_click":
        user_id = row.columns["user_id"] if user_id is None else user_id
        username = row.columns["username"] if username is None else username
    actor = row.columns["user_id"]
    upgrades = row.action.startswith("upgrade_")
    own = {
        "mode": row.of_context(text, "mode") if upgrades else row.of(text, "mode"),
        "payload_course_id": row.of(text, "course_id"),
        "by_other": None if user_id is None or actor is None else user_id != actor,
        "command": row.of_context(text, "command"),
        "location": row.of_context(text, "location"),
    }
    return Decoded("enrollment_events", row.done(own, user_id, username))


def navigation_events(row: Row) -> Decoded:
    moves = row.action in {"next", "previous", "goto", "jump"}
    keys = joined_keys(row.of(text, "id") or "")
    is_dotted = (row.columns["event_type"] or "").startswith("edx.")
    page = urlsplit(row.columns["page"] or "") if "://" in (row.columns["page"] or "") else None
    own = {
        **row.block("id", required=moves),
        "target_key": keys[1] if row.action == "jump" and len(keys) > 1 else None,
        "from_key": row.of(text, "current_id"),
        "tab_from": row.of(row.whole(), "old", "current_tab"),
        "tab_to": row.of(row.whole(), "new", "target_tab"),
        "tab_count": row.of(row.whole(), "tab_count"),
        "crosses": is_dotted if row.action in {"next", "previous"} else None,
        "widget_placement": row.of(text, "widget_placement"),
        "target_name": row.of(text, "target_name"),
        "current_url": row.of(text, "current_url"),
        "target_url": row.of(text, "target_url", "url"),
        "link_kind": row.of(text, "event_type") if row.action == "link" else None,
        "page_path": (page.path or None) if page else None,
        "screen_name": row.of(text, "screen_name") if row.action == "screen" else None,
    }
    return Decoded("navigation_events", row.done(own, None, row.of(text, "username")))


def forum_events(row: Row) -> Decoded:
    kind = None if row.action == "search" else row.spelling.split(".")[2]
    cut = {name: row.of(boolean, name) for name in ("title_truncated", "truncated")}
    if any(cut.values()):
        row.flags.add("truncated")
    body = row.of(only_text, "body")
    own = {
        "kind": kind,
        "post_id": row.of(text, "id"),
        "thread_id": row.of(text, "id" if kind == "thread" else "discussion.id"),
        "response_id": row.of(text, "id" if kind == "response" else "response.id"),
        "commentable_id": row.of(text, "commentable_id"),
        "category_id": row.of(text, "category_id"),
        "category_name": row.of(text, "category_name"),
        "team_id": row.of(text, "team_id"),
        "group_id": row.of(row.whole(), "group_id"),
        "thread_type": row.of(text, "thread_type"),
        "anonymous": row.of(boolean, "anonymous"),
        "anonymous_to_peers": row.of(boolean, "anonymous_to_peers"),
        "title": row.of(text, "title"),
        "title_truncated": cut["title_truncated"],
        "body": row.of(text, "body"),
        "body_truncated": cut["truncated"],
        "body_chars": None if body is None else len(body),
        "followed": row.of(boolean, "options.followed"),
        "undo_vote": row.of(boolean, "undo_vote"),
        "vote_value": row.of(text, "vote_value"),
        "own_content": row.of(boolean, "own_content"),
        "reported_status_cleared": row.of(boolean, "reported_status_cleared"),
        "from_mfe_sidebar": row.of(boolean, "from_mfe_sidebar"),
        "edit_reason": row.of(text, "edit_reason"),
        "course_roles": row.of(as_json, "user_course_roles"),
        "forum_roles": row.of(as_json, "user_forums_roles"),
        "query": row.of(text, "query"),
        "page": row.of(row.whole(), "page"),
        "total_results": row.of(row.whole(), "total_results"),
        "corrected_text": row.of(text, "corrected_text"),
        "url": row.of(text, "url"),
    }
    return Decoded("forum_events", row.done(own, None, row.of(text, "target_username")))


def grade_events(row: Row) -> Decoded:
    level = row.spelling.split(".")[2] if row.spelling.startswith("edx.grades.") else "course"
    is_problem = row.spelling.endswith("problem.score_overridden")
    if is_problem and holds(at(row.payload, "override_deleted")):
        row.action = "override_deleted"
    starts = ("new_weighted_", "weighted_total_", "weighted_")
    share = row.within(0, 1)
    edited = [f"{of}_edited_{how}" for of in ("subtree", "course") for how in ("timestamp", "on")]
    own = {
        "level": level,
        **row.block("problem_id", "block_id", required=level != "course"),
        "earned": row.of(row.real, *(f"{start}earned" for start in starts)),
        "possible": row.of(row.real, *(f"{start}possible" for start in starts)),
        "graded_earned": row.of(row.real, "weighted_graded_earned"),
        "graded_possible": row.of(row.real, "weighted_graded_possible"),
        "weight": row.of(row.real, "weight"),
        "percent": row.of(share, "percent_grade", "percent"),
        "letter_grade": row.of(text, "letter_grade") or None,
        "instructor_id": row.of(row.whole(), "instructor_id"),
        "only_if_higher": row.of(boolean, "only_if_higher"),
        "override_deleted": row.of(boolean, "override_deleted"),
        "transaction_id": row.of(text, "event_transaction_id"),
        "transaction_type": row.of(text, "event_transaction_type"),
        "first_attempted": row.of(row.instant, "first_attempted"),
        "edited_at": row.of(row.instant, *edited),
        "course_version": row.of(text, "course_version"),
        "grading_policy_hash": row.of(text, "grading_policy_hash"),
        "visible_blocks_hash": row.of(text, "visible_blocks_hash"),
    }
    return Decoded("grade_events", row.done(own, row.of(row.whole(), "user_id")))


def completion_events(row: Row) -> Decoded:
    if row.action == "done" and row.columns["event_source"] == "browser":
        row.flags.add("possible_double")
    own = {
        **row.block("block_id"),
        "context_key": row.of(text, "context_key"),
        "completion": row.of(row.within(0, 1), "completion"),
        "is_new": row.of(boolean, "is_new"),
        "done": row.of(boolean, "done"),
    }
    return Decoded("completion_events", row.done(own, row.of(row.whole(), "user_id")))


def _exam_kind(name: Any) -> str | None:
    words = name.split(".") if isinstance(name, str) else []
    return next((word for word in words if word in EXAMS), None)


def exam_events(row: Row) -> Decoded:
    user_id = row.of(row.whole(), "attempt_user_id", "allowance_user_id")
    own = {
        "exam_kind": first(_exam_kind, row.columns["name"], row.columns["event_type"]),
        "exam_id": row.of(row.whole(), "exam_id"),
        "exam_name": row.of(text, "exam_name"),
        **row.block("exam_content_id"),
        "default_minutes": row.of(row.whole(), "exam_default_time_limit_mins"),
        "allowed_minutes": row.of(row.whole(), "attempt_allowed_time_limit_mins"),
        "is_active": row.of(boolean, "exam_is_active"),
        "is_practice": row.of(boolean, "exam_is_practice_exam"),
        "is_proctored": row.of(boolean, "exam_is_proctored"),
        "attempt_id": row.of(row.whole(), "attempt_id"),
        "attempt_code": row.of(text, "attempt_code"),
        "attempt_status": row.of(text, "attempt_status"),
        "started_at": row.of(row.instant, "attempt_started_at"),
        "completed_at": row.of(row.instant, "attempt_completed_at"),
        "elapsed_s": row.of(row.real, "attempt_event_elapsed_time_secs"),
        "allowance_key": row.of(text, "allowance_key"),
        "allowance_value": row.of(text, "allowance_value"),
        "review_status": row.of(text, "review_status"),
        "review_video_url": row.of(text, "review_video_url"),
        "review_attempt_code": row.of(text, "review_attempt_code"),
    }
    return Decoded("exam_events", row.done(own, user_id))


def certificate_events(row: Row) -> Decoded:
    same = ("certificate_id", "certificate_url", "enrollment_mode", "generation_mode")
    also = "social_network source_url assertion_id assertion_image_url assertion_json_url issuer"
    own = {
        **{name: row.of(text, name) for name in same},
        "revoke_source": row.of(text, "source") if row.action == "revoked" else None,
        **{name: row.of(text, name) for name in also.split()},
    }
    return Decoded("certificate_events", row.done(own, row.of(row.whole(), "user_id")))


def group_events(row: Row) -> Decoded:
    kind = {"cohort": "cohort", "team": "team"}.get(row.spelling.split(".")[1], "partition")
    is_change = row.action == "changed"
    if is_change and holds(at(row.payload, "truncated")):
        row.flags.add("truncated")
    of = {"partition": "group"}.get(kind, kind)
    own = {
        "group_kind": kind,
        "group_id": row.of(text, f"{of}_id"),
        "group_name": row.of(text, "cohort_name" if kind == "cohort" else "group_name"),
        "previous_group_id": row.of(text, "previous_cohort_id"),
        "previous_group_name": row.of(text, "previous_cohort_name"),
        "partition_id": row.of(text, "partition_id"),
        "partition_name": row.of(text, "partition_name"),
        "method": row.of(text, "add_method", "remove_method"),
        "field": row.of(text, "field"),
        "old": row.of(text, "old") if is_change else None,
        "new": row.of(text, "new") if is_change else None,
        "topic_id": row.of(text, "topic_id"),
        "page_name": row.of(text, "page_name"),
        "search_text": row.of(text, "search_text"),
        "n_results": row.of(row.whole(), "number_of_results"),
    }
    return Decoded("group_events", row.done(own, row.of(row.whole(), "user_id")))


def study_events(row: Row) -> Decoded:
    words = {"bookmark": "bookmark", "student_notes": "note", "tool": "tool"}
    kind = next((words[one] for one in row.spelling.split(".") if one in words), "search")
    of_block = {"added", "removed", "edited", "deleted", "used_unit_link"}
    if row.action in {"added", "edited", "deleted"} and holds(at(row.payload, "truncated")):
        row.flags.add("truncated")
    notes = at(row.payload, "notes")
    own = {
        "study_kind": kind,
        **row.block("component_usage_id", "bookmark_id", required=row.action in of_block),
        "component_type": row.of(text, "component_type"),
        "list_type": row.of(text, "list_type"),
        "n_listed": row.of(row.whole(), "bookmarks_count"),
        "page_number": row.of(row.whole(), "page_number"),
        "page_size": row.of(row.whole(), "page_size"),
        "note_id": row.of(text, "note_id"),
        "note_text": row.of(text, "note_text"),
        "highlighted": row.of(text, "highlighted_content"),
        "tags": row.of(as_json, "tags"),
        "old_note_text": row.of(text, "old_note_text"),
        "old_tags": row.of(as_json, "old_tags"),
        "view": row.of(text, "view"),
        "n_notes": len(notes) if isinstance(notes, list) else None,
        "search_text": row.of(text, "search_string", "search_term"),
        "n_results": row.of(row.whole(), "number_of_results", "results_count"),
        "tool_name": row.of(text, "tool_name"),
    }
    owner = row.of(lambda value: of_owner(text(value) or "")[0], "bookmark_id")
    return Decoded("study_events", row.done(own, None, owner))


def textbook_events(row: Row) -> Decoded:
    own = {
        "book_file": row.of(text, "chapter"),
        "page": row.of(row.whole(), "page"),
        "page_from": row.of(row.whole(), "old"),
        "page_to": row.of(row.whole(), "new"),
        "turn_kind": row.of(text, "type"),
        "direction": row.of(text, "direction"),
        "amount": row.of(text, "amount"),
        "query": row.of(text, "query"),
        "status": row.of(text, "status"),
        "case_sensitive": row.of(boolean, "caseSensitive"),
        "highlight_all": row.of(boolean, "highlightAll"),
        "find_previous": row.of(boolean, "findprevious"),
        "thumbnail_title": row.of(text, "thumbnail_title"),
        "chapter_title": row.of(text, "chapter_title"),
    }
    return Decoded("textbook_events", row.done(own))


def block_events(row: Row) -> Decoded:
    kind = KIND_OF_BLOCK[row.spelling]
    cut = row.of(boolean, "truncated")
    if cut:
        row.flags.add("truncated")
    with_block = {"drag_and_drop", "poll", "survey", "peer_instruction", "problem_builder"}
    own = {
        "block_kind": kind,
        **row.block(required=kind in with_block),
        "module_name": row.of_context(text, "module.display_name"),
        "truncated": cut,
        "item_id": row.of(row.whole(), "item_id"),
        "item": row.of(text, "item"),
        "target": row.of(text, "input", "location"),
        "location_id": row.of(text, "location_id"),
        "is_correct": row.of(boolean, "is_correct"),
        "is_correct_location": row.of(boolean, "is_correct_location"),
        "content": row.of(text, "content"),
        "manually": row.of(boolean, "manually"),
        "url_name": row.of(text, "url_name"),
        "choice": row.of(text, "choice"),
        "choices": row.of(as_json, "choices"),
        "answer": row.of(text, "submitted_answer" if kind == "problem_builder" else "answer"),
        "rationale": row.of(text, "rationale"),
        "attempts": row.of(row.whole(), "num_attempts"),
        "displayed_in": row.of(text, "displayed_in"),
        "url": row.of(text, "url"),
        "exploration_id": row.of(text, "exploration_id"),
        "exploration_version": row.of(text, "exploration_version"),
        "state_from": row.of(text, "old_state_name"),
        "state_to": row.of(text, "new_state_name"),
        "slide": row.of(row.whole(), "slide", "current_slide"),
        "position": row.of(row.real, "current_time"),
        "duration": row.of(row.real, "duration"),
        "total_slides": row.of(row.whole(), "total_slides"),
        "lti_version": row.of(text, "lti_version"),
        "launch_url": row.of(text, "launch_url"),
        "user_roles": row.of(text, "user_roles"),
        "resource_id": row.of(text, "resource_id", "id"),
        "title": row.of(text, "title"),
    }
    return Decoded("block_events", row.done(own))


def requests(row: Row) -> Decoded:
    raw = row.event.get("event")
    if "broken_payload" in row.flags and isinstance(raw, str) and len(raw) == 512:
        row.flags.add("cut512")
    told = request(row.columns["event_type"] or "")
    looked_up = told["lookup_name"]
    is_number = looked_up is not None and looked_up.isascii() and looked_up.isdigit()
    user_id = int(looked_up) if is_number and int(looked_up) < 2**63 else None
    own = {
        **told,
        **row.block("context.module.usage_key", required=False),
        "get_keys": row.of(keys, "GET"),
        "post_keys": row.of(keys, "POST"),
        "search_text": row.of(first_text, "GET.text", "GET.search_string", "GET.q"),
        "is_post": row.of(not_empty, "POST"),
        "payload_chars": len(raw) if isinstance(raw, str) else None,
    }
    return Decoded("requests", row.done(own, user_id))


def account_events(row: Row) -> Decoded:
    for flag, name in (("many_settings", "settings"), ("truncated", "truncated")):
        if holds(at(row.payload, name)):
            row.flags.add(flag)
    own = {
        "setting": row.of(keys, "setting", "settings"),
        "old": row.of(text, "old"),
        "new": row.of(text, "new"),
        "settings_table": row.of(text, "table"),
        "truncated": row.of(not_empty, "truncated"),
    }
    return Decoded("account_events", row.done(own, row.of(row.whole(), "user_id")))


def staff_events(row: Row) -> Decoded:
    own = {
        "problem": row.of(text, "problem"),
        **row.block("problem", required=False),
        "instructor_username": row.of(text, "instructor"),
        "group_action": row.of(text, "event"),
        "group_name": row.of(text, "event_name"),
        "old_attempts": row.of(row.whole(), "old_attempts"),
        "report_type": row.of(text, "report_type"),
        "report_url": row.of(text, "report_url"),
        "indexed_count": row.of(row.whole(), "indexed_count"),
        "location_id": row.of(text, "location_id"),
    }
    return Decoded("staff_events", row.done(own, None, row.of(text, "student", "user")))


def other_events(row: Row) -> Decoded:
    return Decoded("other_events", row.done({"payload": row.columns["event"]}))
