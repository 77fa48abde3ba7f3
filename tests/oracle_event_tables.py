"""Tables of events once more in plain Python: which an event belongs to, and what its row holds.

It never imports edxlogs, and knows nothing of the definitions: spellings and keys stand here as the
platform writes them. It decodes the tables of `TABLES`, and says of every event where it belongs.
`decode` gives the columns that follow those of `oracle.row`.
"""

from __future__ import annotations

import csv
import functools
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import oracle
from oracle_course import context_of

CATEGORIES = Path(__file__).parents[1] / "python" / "edxlogs" / "edx" / "categories.tsv"

VIDEO = {
    "load": "load_video edx.video.loaded",
    "play": "play_video edx.video.played",
    "pause": "pause_video edx.video.paused",
    "stop": "stop_video edx.video.stopped",
    "seek": "seek_video edx.video.position.changed edx.video.seeked",
    "speed": "speed_change_video",
    "complete": "complete_video edx.video.completed",
    "transcript_show": "show_transcript edx.video.transcript.shown",
    "transcript_hide": "hide_transcript edx.video.transcript.hidden",
    "captions_show": "edx.video.closed_captions.shown",
    "captions_hide": "edx.video.closed_captions.hidden",
    "menu_show": "video_show_cc_menu edx.video.language_menu.shown",
    "menu_hide": "video_hide_cc_menu edx.video.language_menu.hidden",
    "skip": "skip_video",
    "skip_forever": "do_not_show_again_video",
    "auto_advance": "auto_advance_change_video",
    "bumper_load": "edx.video.bumper.loaded",
    "bumper_play": "edx.video.bumper.played",
    "bumper_stop": "edx.video.bumper.stopped",
    "bumper_skip": "edx.video.bumper.skipped",
    "bumper_dismiss": "edx.video.bumper.dismissed",
    "bumper_transcript_show": "edx.video.bumper.transcript.shown",
    "bumper_transcript_hide": "edx.video.bumper.transcript.hidden",
    "bumper_menu_show": "edx.video.bumper.transcript.menu.shown",
    "bumper_menu_hide": "edx.video.bumper.transcript.menu.hidden",
}
PROBLEM = {
    "check": "problem_check save_problem_check",
    "check_fail": "problem_check_fail save_problem_check_fail",
    "save": "save_problem_success",
    "save_fail": "save_problem_fail",
    "form_save": "problem_save",
    "reset": "reset_problem",
    "reset_fail": "reset_problem_fail",
    "form_reset": "problem_reset",
    "rescore": "problem_rescore",
    "rescore_fail": "problem_rescore_fail",
    "answer_shown": "showanswer show_answer",
    "answer_button": "problem_show",
    "graded_page": "problem_graded",
    "hint": "edx.problem.hint.demandhint_displayed",
    "hint_feedback": "edx.problem.hint.feedback_displayed",
    "completed": "edx.problem.completed",
}
ENROLLMENT = {
    "activate": "edx.course.enrollment.activated",
    "deactivate": "edx.course.enrollment.deactivated",
    "mode_change": "edx.course.enrollment.mode_changed",
    "upgrade_click": "edx.course.enrollment.upgrade.clicked edx.course.enrollment.upgrade_clicked",
    "upgrade_done": "edx.course.enrollment.upgrade.succeeded",
    "reverify_started": "edx.course.enrollment.reverify.started",
    "reverify_submitted": "edx.course.enrollment.reverify.submitted",
    "reverify_reviewed": "edx.course.enrollment.reverify.reviewed",
    "synthesized": "edx.course.enrollment.validated",
}
NAVIGATION = {
    "next": "seq_next edx.ui.lms.sequence.next_selected",
    "previous": "seq_prev edx.ui.lms.sequence.previous_selected",
    "goto": "seq_goto edx.ui.lms.sequence.tab_selected",
    "jump": "edx.ui.lms.jump_nav.selected",
    "outline": "edx.ui.lms.outline.selected edx.ui.lms.sequence.outline.selected",
    "link": "edx.ui.lms.link_clicked",
    "close": "page_close",
    "screen": "edx.bi.app.navigation.screen",
}
FORUM = {
    "create": "edx.forum.thread.created edx.forum.response.created edx.forum.comment.created",
    "edit": "edx.forum.thread.edited edx.forum.response.edited edx.forum.comment.edited",
    "delete": "edx.forum.thread.deleted edx.forum.response.deleted edx.forum.comment.deleted",
    "report": "edx.forum.thread.reported edx.forum.response.reported edx.forum.comment.reported",
    "unreport": "edx.forum.thread.unreported edx.forum.response.unreported"
    " edx.forum.comment.unreported",
    "view": "edx.forum.thread.viewed",
    "vote": "edx.forum.thread.voted edx.forum.response.voted",
    "search": "edx.forum.searched",
}
GRADE = {
    "submitted": "edx.grades.problem.submitted",
    "rescored": "edx.grades.problem.rescored",
    "overridden": "edx.grades.problem.score_overridden edx.grades.subsection.score_overridden",
    "state_deleted": "edx.grades.problem.state_deleted",
    "calculated": "edx.grades.subsection.grade_calculated edx.grades.course.grade_calculated",
    "passed_first": "edx.course.grade.passed.first_time",
    "now_passed": "edx.course.grade.now_passed",
    "now_failed": "edx.course.grade.now_failed",
}
COMPLETION = {"block": "edx.completion.block_completion.changed", "done": "edx.done.toggled"}
CERTIFICATE = {
    "created": "edx.certificate.created",
    "revoked": "edx.certificate.revoked",
    "shared": "edx.certificate.shared",
    "visited": "edx.certificate.evidence_visited",
    "generation_enabled": "edx.certificate.generation.enabled",
    "generation_disabled": "edx.certificate.generation.disabled",
    "badge_created": "edx.badge.assertion.created",
    "badge_shared": "edx.badge.assertion.shared",
    "badge_visited": "edx.badge.assertion.evidence_visited",
}
GROUP = {
    "created": "edx.cohort.created edx.team.created",
    "user_added": "edx.cohort.user_added",
    "user_removed": "edx.cohort.user_removed",
    "creation_requested": "edx.cohort.creation_requested",
    "user_add_requested": "edx.cohort.user_add_requested",
    "deleted": "edx.team.deleted",
    "changed": "edx.team.changed edx.team.team_changed",
    "activity": "edx.team.activity_updated",
    "learner_added": "edx.team.learner_added",
    "learner_removed": "edx.team.learner_removed edx.team.learner_deleted",
    "page_viewed": "edx.team.page_viewed",
    "searched": "edx.team.searched",
    "assigned": "xmodule.partitions.assigned_user_to_partition",
}
STUDY = {
    "added": "edx.bookmark.added edx.course.bookmark.added edx.course.student_notes.added",
    "removed": "edx.bookmark.removed edx.course.bookmark.removed",
    "accessed": "edx.bookmark.accessed edx.course.bookmark.accessed edx.course.tool.accessed",
    "listed": "edx.bookmark.listed edx.course.bookmark.listed",
    "edited": "edx.course.student_notes.edited",
    "deleted": "edx.course.student_notes.deleted",
    "viewed": "edx.course.student_notes.viewed",
    "page_viewed": "edx.course.student_notes.notes_page_viewed",
    "searched": "edx.course.student_notes.searched",
    "used_unit_link": "edx.course.student_notes.used_unit_link",
    "initiated": "edx.course_discovery.search.initiated",
    "displayed": "edx.course_discovery.search.results_displayed",
    "site_search": "site_search",
    "site_search_jump": "site_search_jump",
}
TEXTBOOK = {
    "turn": "book",
    "thumbnails_toggled": "textbook.pdf.thumbnails.toggled",
    "thumbnail_navigated": "textbook.pdf.thumbnail.navigated",
    "outline_toggled": "textbook.pdf.outline.toggled",
    "chapter_navigated": "textbook.pdf.chapter.navigated",
    "page_navigated": "textbook.pdf.page.navigated",
    "zoom_buttons": "textbook.pdf.zoom.buttons.changed",
    "zoom_menu": "textbook.pdf.zoom.menu.changed",
    "scaled": "textbook.pdf.display.scaled",
    "scrolled": "textbook.pdf.page.scrolled",
    "search": "textbook.pdf.search.executed",
    "search_next": "textbook.pdf.search.navigatednext",
    "highlight_toggled": "textbook.pdf.search.highlight.toggled",
    "case_toggled": "textbook.pdf.searchcasesensitivity.toggled",
}
_BLOCKS = {
    "drag_and_drop": {
        "loaded": "edx.drag_and_drop_v2.loaded",
        "picked_up": "edx.drag_and_drop_v2.item.picked_up",
        "dropped": "edx.drag_and_drop_v2.item.dropped",
        "feedback_opened": "edx.drag_and_drop_v2.feedback.opened",
        "feedback_closed": "edx.drag_and_drop_v2.feedback.closed",
    },
    "poll": {"submitted": "xblock.poll.submitted", "view_results": "xblock.poll.view_results"},
    "survey": {
        "submitted": "xblock.survey.submitted",
        "view_results": "xblock.survey.view_results",
    },
    "peer_instruction": {
        "accessed": "ubc.peer_instruction.accessed",
        "original_submitted": "ubc.peer_instruction.original_submitted",
        "revised_submitted": "ubc.peer_instruction.revised_submitted",
    },
    "problem_builder": {
        "loaded": "xblock.problem_builder.loaded",
        "submitted": "xblock.problem_builder.submitted",
    },
    "google": {
        "displayed": "edx.googlecomponent.calendar.displayed"
        " edx.googlecomponent.document.displayed",
    },
    "oppia": {
        "loaded": "oppia.exploration.loaded",
        "completed": "oppia.exploration.completed",
        "state_changed": "oppia.exploration.state.changed",
    },
    "mix": {
        "loaded": "microsoft.office.mix.loaded",
        "played": "microsoft.office.mix.played",
        "paused": "microsoft.office.mix.paused",
        "stopped": "microsoft.office.mix.stopped",
        "slide_loaded": "microsoft.office.mix.slide.loaded",
    },
    "lti": {"launch": "xblock.launch_request edx.lti.xblock.launch_request"},
    "recommender": {
        "add": "add_resource",
        "delete": "delete_resource",
        "upvote": "recommender_upvote",
    },
}
_KIND_OF_BLOCK = {
    one: kind
    for kind, actions in _BLOCKS.items()
    for types in actions.values()
    for one in types.split()
}
BLOCK: dict[str, str] = {}
for _actions in _BLOCKS.values():
    for _action, _types in _actions.items():
        BLOCK[_action] = f"{BLOCK.get(_action, '')} {_types}".strip()
ELSEWHERE = {
    "ora_events": "ora ora_legacy",
    "content_events": "library item_bank",
    "account_events": "account",
    "staff_events": "instructor studio",
    "other_events": "undocumented",
}
_ATTEMPT = "created deleted started submitted ready_to_submit"
_PRACTICE = f"{_ATTEMPT} download_software_clicked error ready_to_start"
_EXAMS = {
    "timed": _ATTEMPT,
    "practice": _PRACTICE,
    "proctored": f"{_PRACTICE} declined rejected review_received verified",
}


def _exams() -> dict[str, str]:
    """What follows the kind of exam in a name is the act."""
    acts: dict[str, list[str]] = {}
    for kind, attempts in _EXAMS.items():
        start = f"edx.special_exam.{kind}"
        for word in attempts.split():
            acts.setdefault(f"attempt_{word}", []).append(f"{start}.attempt.{word}")
        for word in ("created", "deleted"):
            acts.setdefault(f"allowance_{word}", []).append(f"{start}.allowance.{word}")
        for word in ("created", "updated"):
            acts.setdefault(f"exam_{word}", []).append(f"{start}.{word}")
    acts["option_presented"] = ["edx.special_exam.proctored.option-presented"]
    return {act: " ".join(types) for act, types in acts.items()}


EXAM = _exams()
ALONE = {
    "xblock.split_test.child_render": "content_events",
}
FLAGS = re.findall(
    r"\w+",
    "broken_payload cut512 bad_utf8 out_of_range naive_time name_disagrees possible_double no_block"
    " subject_by_name truncated seek_from_unknown many_settings worker",
)
BLOCK_TYPES = re.findall(
    r"\w+",
    "about annotatable chapter combinedopenended conditional course course_info discussion html"
    " imageannotation library_content lti openassessment peergrading poll_question problem"
    " randomize sequential split_test static_tab survey textannotation vertical video videoalpha"
    " videoannotation word_cloud",
)
HELPERS = ("_dynamath", "_comment", "_comment_value")


@dataclass
class Decoded:
    """What an event becomes.

    Attributes:
        table: its home.
        row: action, subject, flags, and the columns of the table; None if it is not of `TABLES`.
        children: rows of tables of children, with the columns of their own.
    """

    table: str
    row: dict[str, Any] | None = None
    children: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def _spellings(actions: Mapping[str, str]) -> dict[str, str]:
    return {one: action for action, types in actions.items() for one in types.split()}


@functools.cache
def _homes() -> dict[str, str]:
    """Table by type: of the tables that are decoded by what stands above, of others by category."""
    homes = dict(ALONE)
    for table, (actions, _) in TABLES.items():
        homes.update(dict.fromkeys(_spellings(actions), table))
    of_category = {one: table for table, those in ELSEWHERE.items() for one in those.split()}
    with CATEGORIES.open(encoding="utf-8", newline="") as lines:
        told = (line for line in lines if not line.startswith("#"))
        for known in csv.DictReader(told, delimiter="\t", quoting=csv.QUOTE_NONE):
            if elsewhere := of_category.get(known["category"]):
                homes.setdefault(known["name"], elsewhere)
                homes.setdefault(known["alias"], elsewhere)
    homes.pop("", None)
    return homes


def home(event_type: str | None, name: str | None) -> tuple[str, str | None, bool]:
    """Table, the spelling that decides, and whether the other one leads elsewhere."""
    homes = _homes()
    by_type, by_name = homes.get(event_type or ""), homes.get(name or "")
    if by_type:
        return by_type, event_type, by_name is not None and by_name != by_type
    if by_name:
        return by_name, name, False
    return ("requests" if (event_type or "").startswith("/") else "other_events"), None, False


class Form(dict[str, Any]):
    """A decoded form: text, or a list, by key."""


def _form(text: str, flags: set[str]) -> Form:
    def decoded(piece: str) -> str:
        raw = unquote_to_bytes(piece.replace("+", " "))
        try:
            return raw.decode()
        except UnicodeDecodeError:
            flags.add("bad_utf8")
            return raw.decode("utf-8", "replace")

    form = Form()
    for piece in text.split("&"):
        if not piece:
            continue
        key, _, value = piece.partition("=")
        name, told = decoded(key).removeprefix("input_"), decoded(value)
        if name.endswith("[]"):
            name = name.removesuffix("[]")
            there = form.setdefault(name, [])
            form[name] = [*(there if isinstance(there, list) else [there]), told]
            continue
        name = name.removesuffix("{}")
        if name in form:
            there = form[name]
            form[name] = [*(there if isinstance(there, list) else [there]), told]
        else:
            form[name] = told
    return form


def payload_of(raw: Any, flags: set[str]) -> Any:
    """The payload: an object, a list or a form; empty where there is none or it is broken."""
    value = raw
    for _ in range(2):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            break
    if value is None or value == "":
        return {}
    if isinstance(value, dict | list):
        return value
    # Text that begins as JSON and is none was cut; no form begins so.
    if isinstance(value, str) and "=" in value and value.lstrip()[:1] not in {"{", "[", '"'}:
        return _form(value, flags)
    flags.add("broken_payload")
    return {}


def at(value: Any, path: str) -> Any:
    """What stands at a path of keys, joined by dots; None if nothing does."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def first(decoder: Callable[[Any], Any], *values: Any) -> Any:
    """The first of some values that the decoder does not take for none."""
    return next((one for one in map(decoder, values) if one is not None), None)


_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)


def number(value: Any) -> float | int | None:
    """A finite number, or text that is wholly one."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        try:
            value = int(value)
        except ValueError:
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, int) or math.isfinite(value) else None


def boolean(value: Any) -> bool | None:
    """A truth value, as text too; 1 and 0."""
    known = {"true": True, "True": True, "false": False, "False": False}
    if isinstance(value, str):
        return known.get(value)
    return bool(value) if isinstance(value, int | float) and value in {0, 1} else None


def holds(value: Any) -> bool:
    """Whether there is a value, neither false nor an empty list."""
    return value is not None and value is not False and value != []


def compact(value: Any) -> str:
    """A value as compact JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def text(value: Any) -> str | None:
    """Text bare, anything else as JSON text."""
    return value if value is None or isinstance(value, str) else compact(value)


def as_json(value: Any) -> str | None:
    """Any value but null as JSON text."""
    return None if value is None else compact(value)


def only_text(value: Any) -> str | None:
    """Text, and nothing else."""
    return value if isinstance(value, str) else None


class Row:
    """One event on its way into a row: its columns, its payload, and the flags so far."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self.event = event
        self.columns = oracle.row(event)
        self.flags: set[str] = set()
        self.payload = payload_of(event.get("event"), self.flags)
        self.context = context_of(event)
        self.spelling = ""
        self.action = ""

    def of(self, decoder: Callable[[Any], Any], *paths: str) -> Any:
        """The first value of the payload, at these paths, that the decoder reads."""
        return first(decoder, *(at(self.payload, path) for path in paths))

    def of_context(self, decoder: Callable[[Any], Any], *paths: str) -> Any:
        """As `of`, in the context."""
        return first(decoder, *(at(self.context, path) for path in paths))

    def within(self, low: float, high: float) -> Callable[[Any], float | None]:
        """A decoder of float64 that takes what is outside for none, and flags it."""

        def decode(value: Any) -> float | None:
            found = number(value)
            if found is not None and not low <= found <= high:
                self.flags.add("out_of_range")
                return None
            try:
                return None if found is None else float(found)
            except OverflowError:
                self.flags.add("out_of_range")
                return None

        return decode

    @property
    def real(self) -> Callable[[Any], float | None]:
        return self.within(-math.inf, math.inf)

    def whole(self, low: int = -(2**63)) -> Callable[[Any], int | None]:
        """A decoder of int64."""

        def decode(value: Any) -> int | None:
            found = number(value)
            if found is None:
                return None
            if found != int(found) or not low <= found < 2**63:
                self.flags.add("out_of_range")
                return None
            return int(found)

        return decode

    def instant(self, value: Any) -> int | None:
        """A time as microseconds, from RFC 3339 or as Python shows it, in quotes or not."""
        written = value.strip().strip("\"'").strip() if isinstance(value, str) else ""
        if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:", written, re.ASCII):
            return None
        time = oracle.microseconds(written)
        if time is not None and not re.search(r"(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)$", written, re.I):
            self.flags.add("naive_time")
        return time

    def block(self, *paths: str, form: bool = False, required: bool = True) -> dict[str, Any]:
        """The four columns of a block, from the payload, its form, the context or an address."""
        found = next(((path, key) for path in paths if (key := self.of(text, path))), None)
        if found is None and form and (inputs := list(_inputs(self.form()))):
            found = ("input_id", _problem_of(inputs[0]))
        if found is None and (key := self.of_context(text, "module.usage_key")):
            found = ("context.module.usage_key", key)
        if found is None:
            for path, value in (
                ("context.path", self.columns["path"]),
                ("event_type", self.columns["event_type"]),
            ):
                if found is None and (key := usage_key_in(value or "")):
                    found = (path, key)
        block_key = _joined_keys(_of_owner(found[1])[1])[0] if found else None
        block_type, block_id, is_guess = block_of(block_key or "", self.columns["course_id"])
        if is_guess or (required and block_id is None):
            self.flags.add("no_block")
        return {
            "block_key": block_key,
            "block_type": block_type,
            "block_id": block_id,
            "block_from": found[0] if found else None,
        }

    def form(self) -> Form:
        """The form of a browser's event."""
        value = self.payload
        if isinstance(value, list):
            value = value[0] if value and isinstance(value[0], str) else ""
        elif isinstance(value, dict) and not isinstance(value, Form):
            value = value.get("answers")
        if isinstance(value, Form):
            return value
        return _form(value, self.flags) if isinstance(value, str) and "=" in value else Form()

    def done(
        self, own: dict[str, Any], user_id: Any = None, username: Any = None
    ) -> dict[str, Any]:
        """The row with what every table has."""
        if user_id is None and username is not None:
            self.flags.add("subject_by_name")
        who = [self.columns[name] for name in ("username", "ip", "session")]
        if self.columns["event_source"] == "server" and not any(who):
            self.flags.add("worker")
        return {
            "action": self.action,
            "subject_user_id": user_id,
            "subject_username": username,
            "flags": " ".join(flag for flag in FLAGS if flag in self.flags) or None,
            **own,
        }

    def is_between(self, since: str, until: str) -> bool:
        """Whether it happened in these days, the last one not among them."""
        time = self.columns["time"]
        return time is not None and (
            (oracle.microseconds(f"{since}T00:00:00") or 0)
            <= time
            < (oracle.microseconds(f"{until}T00:00:00") or 0)
        )


_USAGE = re.compile(r"(?:ccx-)?block-v1:.+?\+type@([^+@]+)\+block@(.+)", re.DOTALL)
_SLASHES = re.compile(r"i4x://[^/]+/[^/]+/([^/]+)/([^/@]+)(?:@.*)?", re.DOTALL)


def _of_owner(key: str) -> tuple[str | None, str]:
    """The username before the comma, and the key after it, of a bookmark's id."""
    owned = re.fullmatch(r"([^,]*),((?:ccx-)?block-v1:.*|i4x:.*)", key.strip(), re.DOTALL)
    return (owned[1] or None, owned[2]) if owned else (None, key)


def _joined_keys(key: str) -> list[str]:
    return re.split(r"/(?=(?:ccx-)?block-v1:|i4x:)", key.strip(), maxsplit=1)


def block_of(key: str, course_id: str | None) -> tuple[str | None, str | None, bool]:
    """Type and id of a block in any of the forms of its key, and whether that is a guess."""
    key = re.split(r"[\n\r]", key.strip())[0].strip()
    if "%" in key:
        key = unquote(key)
    if key.startswith("i4x:;_"):
        key = key.replace(";_", "/")
    for form in (_USAGE, _SLASHES):
        if found := form.fullmatch(key):
            return found[1], found[2], False
    if not key.startswith("i4x-"):
        return None, key or None, False
    parts = re.split(r"[/+]", (course_id or "").partition(":")[2] or course_id or "")
    if len(parts) > 2:
        prefix = "i4x-" + "".join(re.sub(r"[^\w-]", "_", part) + "-" for part in parts[:2])
        if key.startswith(prefix):
            block_type, _, block_id = key.removeprefix(prefix).partition("-")
            return block_type or None, block_id or None, False
    words = key.split("-")
    named = [at for at, word in enumerate(words[1:-1], 1) if word in BLOCK_TYPES]
    if not named:
        return None, None, True
    return words[named[0]], "-".join(words[named[0] + 1 :]), len(named) > 1


def usage_key_in(address: str) -> str | None:
    """The first key of a block in an address, as it stands there."""
    for written in (address, unquote(address)):
        for form in (
            r"(?:ccx-)?block-v1:[^/?#]+?\+type@[^/?#+@]+\+block@[^/?#]+",
            r"i4x:;_;_[^/?#]+",
            r"i4x://[^/?#]+/[^/?#]+/[^/?#]+/[^/?#]+",
        ):
            if found := re.search(form, written):
                return found[0]
    return None


def _is_input(key: str) -> bool:
    return not key.endswith(HELPERS)


def _inputs(value: Any) -> list[str]:
    return [key for key in value if _is_input(key)] if isinstance(value, dict) else []


_INPUT_ID = re.compile(r"(.+)_([0-9]+)_([0-9]+)", re.DOTALL | re.ASCII)


def _problem_of(input_id: str) -> str:
    found = _INPUT_ID.fullmatch(input_id)
    return found[1] if found else input_id


def _video(row: Row) -> Decoded:
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


def _enrollment(row: Row) -> Decoded:
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


def _navigation(row: Row) -> Decoded:
    moves = row.action in {"next", "previous", "goto", "jump"}
    keys = _joined_keys(row.of(text, "id") or "")
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


def _correctness(value: Any) -> str | None:
    return only_text(at(value, "correctness")) if isinstance(value, dict) else only_text(value)


def _lines(value: Any) -> str | None:
    if isinstance(value, list):
        told = [only_text(one) or only_text(at(one, "text")) for one in value]
        return "\n".join(one for one in told if one is not None) or None
    return only_text(value)


def _problem(row: Row) -> Decoded:
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
        [_correctness(judged[key]) for key in _inputs(judged)] if judged is not None else None
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
        "n_form_inputs": len(_inputs(row.form())) if is_form else None,
    }
    user_id = row.of(row.whole(), "user_id") if action == "completed" else None
    username = row.of(text, "student") if action.startswith("rescore") else None
    with_inputs = action in {"check", "check_fail", "save", "save_fail", "rescore"}
    children = _problem_inputs(row) if with_inputs else []
    return Decoded("problem_events", row.done(own, user_id, username), {"problem_inputs": children})


def _problem_inputs(row: Row) -> list[dict[str, Any]]:
    maps = [at(row.payload, name) for name in ("answers", "correct_map", "submission")]
    answers, judged, submission = (one if isinstance(one, dict) else {} for one in maps)
    rows = []
    for key in dict.fromkeys([*_inputs(answers), *_inputs(judged), *_inputs(submission)]):
        numbers = _INPUT_ID.fullmatch(key)
        answer, verdict, told = answers.get(key), judged.get(key), submission.get(key)
        words = ("response_type", "input_type", "question", "group_label")
        rows.append(
            {
                "input_id": key,
                "part": row.whole()(numbers[2]) if numbers else None,
                "input": row.whole()(numbers[3]) if numbers else None,
                "answer": text(answer),
                "n_choices": len(answer) if isinstance(answer, list) else None,
                "answer_text": text(at(told, "answer")),
                "correctness": _correctness(verdict),
                "npoints": row.real(at(verdict, "npoints")),
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


def _forum(row: Row) -> Decoded:
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


def _grade(row: Row) -> Decoded:
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


def _completion(row: Row) -> Decoded:
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
    return next((word for word in words if word in _EXAMS), None)


def _exam(row: Row) -> Decoded:
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


def _certificate(row: Row) -> Decoded:
    same = ("certificate_id", "certificate_url", "enrollment_mode", "generation_mode")
    also = "social_network source_url assertion_id assertion_image_url assertion_json_url issuer"
    own = {
        **{name: row.of(text, name) for name in same},
        "revoke_source": row.of(text, "source") if row.action == "revoked" else None,
        **{name: row.of(text, name) for name in also.split()},
    }
    return Decoded("certificate_events", row.done(own, row.of(row.whole(), "user_id")))


def _group(row: Row) -> Decoded:
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


def _study(row: Row) -> Decoded:
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
    owner = row.of(lambda value: _of_owner(text(value) or "")[0], "bookmark_id")
    return Decoded("study_events", row.done(own, None, owner))


def _textbook(row: Row) -> Decoded:
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


def _block(row: Row) -> Decoded:
    kind = _KIND_OF_BLOCK[row.spelling]
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


TABLES: dict[str, tuple[Mapping[str, str], Callable[[Row], Decoded]]] = {
    "problem_events": (PROBLEM, _problem),
    "video_events": (VIDEO, _video),
    "enrollment_events": (ENROLLMENT, _enrollment),
    "navigation_events": (NAVIGATION, _navigation),
    "forum_events": (FORUM, _forum),
    "grade_events": (GRADE, _grade),
    "completion_events": (COMPLETION, _completion),
    "exam_events": (EXAM, _exam),
    "certificate_events": (CERTIFICATE, _certificate),
    "group_events": (GROUP, _group),
    "study_events": (STUDY, _study),
    "textbook_events": (TEXTBOOK, _textbook),
    "block_events": (BLOCK, _block),
}


def decode(event: Mapping[str, Any]) -> Decoded:
    """What one event becomes.

    Args:
        event: as `oracle.read_events` gives it, or any mapping.
    """
    row = Row(event)
    table, spelling, disagrees = home(row.columns["event_type"], row.columns["name"])
    if table not in TABLES:
        return Decoded(table)
    if disagrees:
        row.flags.add("name_disagrees")
    actions, decoder = TABLES[table]
    row.spelling = spelling or ""
    row.action = _spellings(actions)[row.spelling]
    return decoder(row)
