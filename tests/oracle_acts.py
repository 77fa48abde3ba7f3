"""How acts are spelled, table by table, as the platform writes them: a part of the oracle.

It never imports edxlogs, and knows nothing of the definitions. Each act has the event types that
mean it, joined by blanks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

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
KIND_OF_BLOCK = {
    one: kind
    for kind, actions in _BLOCKS.items()
    for types in actions.values()
    for one in types.split()
}
BLOCK: dict[str, str] = {}
for _actions in _BLOCKS.values():
    for _action, _types in _actions.items():
        BLOCK[_action] = f"{BLOCK.get(_action, '')} {_types}".strip()
_ATTEMPT = "created deleted started submitted ready_to_submit"
_PRACTICE = f"{_ATTEMPT} download_software_clicked error ready_to_start"
EXAMS = {
    "timed": _ATTEMPT,
    "practice": _PRACTICE,
    "proctored": f"{_PRACTICE} declined rejected review_received verified",
}


def _exams() -> dict[str, str]:
    """What follows the kind of exam in a name is the act."""
    acts: dict[str, list[str]] = {}
    for kind, attempts in EXAMS.items():
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
ORA = {
    "submit": "openassessmentblock.create_submission",
    "team_submit": "openassessmentblock.create_team_submission",
    "save": "openassessmentblock.save_submission",
    "get_peer": "openassessmentblock.get_peer_submission",
    "get_staff": "openassessmentblock.get_submission_for_staff_grading",
    "peer_assess": "openassessmentblock.peer_assess",
    "self_assess": "openassessmentblock.self_assess",
    "staff_assess": "openassessmentblock.staff_assess",
    "feedback": "openassessmentblock.submit_feedback_on_assessments",
    "training": "openassessment.student_training_assess_example",
    "upload": "openassessment.upload_file",
    "upload_error": "openassessment.upload_file_error",
    "file_descriptions": "openassessmentblock.save_files_descriptions",
    "file_remove": "openassessmentblock.remove_uploaded_file",
    **{
        f"legacy_{verb}": " ".join(
            f"{start}_{verb}_{what}"
            for start in ("oe", "peer_grading", "staff_grading")
            for what in ("question", "problem")
        )
        for verb in ("hide", "show")
    },
    "legacy_rubric": "rubric_select",
    "legacy_feedback_show": "oe_show_full_feedback",
    "legacy_feedback_respond": "oe_show_respond_to_feedback",
    "legacy_feedback_select": "oe_feedback_response_selected",
}
CONTENT = {
    "assigned": "edx.librarycontentblock.content.assigned edx.itembankblock.content.assigned",
    "removed": "edx.librarycontentblock.content.removed edx.itembankblock.content.removed",
    "split_child": "xblock.split_test.child_render",
}
ACCOUNT = {
    "changed": "edx.user.settings.changed",
    "change_initiated": "edx.user.settings.change_initiated",
}
_STAFF = (
    "add-forum-admin add-forum-community-TA add-forum-mod remove-forum-admin"
    " remove-forum-community-TA remove-forum-mod list-forum-admins list-forum-community-TAs"
    " list-forum-mods add-instructor remove-instructor add-or-remove-user-group"
    " delete-student-module-state rescore-student-submission rescore-all-submissions"
    " reset-all-attempts reset-student-attempts get-student-progress-page dump-answer-dist-csv"
    " dump-graded-assignments-config dump-grades dump-grades-csv dump-grades-csv-raw"
    " dump-grades-raw list-beta-testers list-instructors list-staff list-students"
    " edx.instructor.report.downloaded edx.instructor.report.requested"
    " psychometrics-histogram-generation edx.course.index.published edx.course.index.reindexed"
)
STAFF = {one: one for one in re.findall(r"\S+", _STAFF)}
OTHER = ("get_client_configuration", "grade", "progress")
"""Types that are known, and belong to no table of their own."""


def spellings(actions: Mapping[str, str]) -> dict[str, str]:
    """Act by event type."""
    return {one: action for action, types in actions.items() for one in types.split()}
