"""Cohorts, teams and experiments; bookmarks, notes, searches; accounts; what staff do; others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from families.scene import Act, Scene

_ROLES = ("admin", "community-TA", "mod")
_DUMPS = (
    "dump-answer-dist-csv",
    "dump-graded-assignments-config",
    "dump-grades",
    "dump-grades-csv",
    "dump-grades-csv-raw",
    "dump-grades-raw",
    "list-beta-testers",
    "list-instructors",
    "list-staff",
    "list-students",
)


def groups(scene: Scene) -> Iterator[Act]:
    """Cohorts, teams and arms of experiments."""
    cohort = {"cohort_id": 3, "cohort_name": "Morning"}
    for word in ("created", "creation_requested"):
        yield Act(f"edx.cohort.{word}", cohort)
    before = {"previous_cohort_id": 2, "previous_cohort_name": "Evening"}
    for word in ("user_added", "user_removed", "user_add_requested"):
        more = before if word.endswith("requested") else {}
        yield Act(f"edx.cohort.{word}", cohort | {"user_id": scene.other_id()} | more)
    team = {"team_id": "team-a"}
    for word in ("created", "deleted", "activity_updated"):
        yield Act(f"edx.team.{word}", team)
    changed = team | {"field": "description", "old": scene.words(3), "new": scene.words(3)}
    yield Act("edx.team.changed", changed | {"truncated": []})
    yield Act("edx.team.team_changed", changed | {"truncated": ["new"]})
    whose = team | {"user_id": str(scene.other_id())}
    yield Act("edx.team.learner_added", whose | {"add_method": "joined_from_team_view"})
    for word in ("learner_removed", "learner_deleted"):
        yield Act(f"edx.team.{word}", whose | {"remove_method": "self_removal"})
    page = {"page_name": "single-topic", "topic_id": "t1", "team_id": None}
    yield Act("edx.team.page_viewed", page, "browser", "", "text")
    found = {"search_text": scene.words(2), "number_of_results": 4, "topic_id": "t1"}
    yield Act("edx.team.searched", found)
    arm = {"group_id": "1", "group_name": "group 1", "partition_id": 1830051}
    kind = "xmodule.partitions.assigned_user_to_partition"
    yield Act(kind, arm | {"partition_name": "Hints"})
    yield Act(kind, arm | {"group_id": 0}, "browser", "", "text")


def study(scene: Scene) -> Iterator[Act]:
    """Bookmarks, notes, tools and searches."""
    for start in ("edx.bookmark.", "edx.course.bookmark."):
        key = scene.key("vertical")
        one = {"bookmark_id": f"{scene.username},{key}", "component_type": "vertical"}
        one |= {"component_usage_id": key, "course_id": scene.course.key}
        for word in ("added", "removed"):
            yield Act(start + word, one)
        yield Act(f"{start}accessed", {"bookmark_id": one["bookmark_id"]}, "browser", "", "text")
        listed = {"list_type": "per_course", "bookmarks_count": 3, "page_number": 1}
        yield Act(f"{start}listed", listed | {"page_size": 10, "course_id": scene.course.key})
        yield Act(f"{start}listed", listed | {"list_type": "all"}, "browser", "", "text")
    start = "edx.course.student_notes."
    note = {
        "note_id": scene.hex24(),
        "note_text": scene.words(6),
        "highlighted_content": scene.words(3),
        "tags": ["todo", "数学"],
        "component_usage_id": scene.key("html"),
        "truncated": [],
    }
    for word in ("added", "deleted"):
        yield Act(start + word, note, "browser", "", "text")
    edited = note | {"old_note_text": scene.words(2), "old_tags": [], "truncated": ["note_text"]}
    yield Act(f"{start}edited", edited, "browser", "", "text")
    seen = {"notes": [{"note_id": note["note_id"]}, {"note_id": scene.hex24()}]}
    yield Act(f"{start}viewed", seen, "browser", "", "text")
    view = {"view": "Recent Activity"}
    yield Act(f"{start}notes_page_viewed", view, "browser", "", "text")
    found = {"search_string": scene.words(1), "number_of_results": "2"}
    yield Act(f"{start}searched", found, "browser", "", "text")
    used = {name: note[name] for name in ("note_id", "component_usage_id")} | view
    yield Act(f"{start}used_unit_link", used, "browser", "", "text")
    tool = {"tool_name": "edx.updates"}
    yield Act("edx.course.tool.accessed", tool, "browser", "", "text")
    asked = {"search_term": scene.words(2), "page_number": 0, "page_size": 20}
    yield Act("edx.course_discovery.search.initiated", asked)
    yield Act("edx.course_discovery.search.results_displayed", asked | {"results_count": 3})
    for kind in ("site_search", "site_search_jump"):
        yield Act(kind, {"search_term": scene.words(1)}, "browser", "", "text")


def account(scene: Scene) -> Iterator[Act]:
    """Settings that somebody changed, in the shapes of the years."""
    start = "edx.user.settings."
    for setting, old, new, cut in (
        ("email", "a@b.example", "c@d.example", []),
        ("year_of_birth", 1980, None, []),
        ("bio", "", scene.words(9), ["new"]),
        ("language_proficiencies", ["en"], [{"code": "de"}], []),
    ):
        payload = {"user_id": scene.user_id, "setting": setting, "old": old, "new": new}
        more = {"table": "auth_userprofile", "truncated": cut}
        yield Act(f"{start}changed", payload | more)
    asked = {"user_id": str(scene.other_id()), "setting": "email", "old": "a@b.example"}
    yield Act(f"{start}change_initiated", asked | {"new": "c@d.example"})
    both = {name: {"old_value": "a", "new_value": "b"} for name in ("name", "gender")}
    yield Act(f"{start}changed", {"user_id": scene.user_id, "settings": both})


def staff(scene: Scene) -> Iterator[Act]:
    """What an instructor did, and Studio."""
    course, student = {"course": scene.course.key}, {"student": scene.other_name()}
    for role in _ROLES:
        yield Act(f"add-forum-{role}", course)
        yield Act(f"remove-forum-{role}", course | {"username": scene.other_name()})
        yield Act(f"list-forum-{role}s", course)
    for kind in ("add-instructor", "remove-instructor"):
        yield Act(kind, {"instructor": scene.other_name()})
    who = {"event": "add", "event_name": "beta-tester", "user": scene.other_name()}
    yield Act("add-or-remove-user-group", who)
    problem: dict[str, Any] = course | {"problem": scene.course.problems.draw().usage_key}
    for kind in ("delete-student-module-state", "rescore-student-submission"):
        yield Act(kind, problem | student)
    for kind in ("rescore-all-submissions", "reset-all-attempts"):
        yield Act(kind, problem)
    yield Act("reset-student-attempts", problem | student | {"old_attempts": 3})
    yield Act("get-student-progress-page", course | student | {"instructor": scene.username})
    for kind in _DUMPS:
        yield Act(kind, {})
    report = {"report_url": "https://reports.example/grades.csv"}
    yield Act("edx.instructor.report.downloaded", report, "browser", layout="text")
    yield Act("edx.instructor.report.requested", {"report_type": "grade report"})
    yield Act("psychometrics-histogram-generation", {"problem": problem["problem"]})
    index = {"category": "courseware_index", "indexed_count": 12}
    yield Act("edx.course.index.published", index | {"location_id": scene.key("vertical")})
    yield Act("edx.course.index.reindexed", index)


def others(scene: Scene) -> Iterator[Act]:
    """Types of which little is known, and types that nobody knows."""
    for kind in ("get_client_configuration", "grade", "progress"):
        yield Act(kind, {"number": scene.below(9)})
    yield Act("acme.xblock.spun", {"speed": scene.seconds()}, block=scene.key("acme"))
    yield Act("acme.xblock.spun", None, block=scene.key("acme"))
    yield Act("acme.page.scrolled", [1, "two", None], "browser", "", "text")
