"""Navigation, enrolments, pages of textbooks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from families.scene import Act, Scene

_PDF: tuple[tuple[str, dict[str, Any]], ...] = (
    ("thumbnails.toggled", {}),
    ("thumbnail.navigated", {"thumbnail_title": "Page 7"}),
    ("outline.toggled", {}),
    ("chapter.navigated", {"chapter_title": "Forces"}),
    ("page.navigated", {}),
    ("zoom.buttons.changed", {"direction": "in"}),
    ("zoom.menu.changed", {"amount": "page-width"}),
    ("display.scaled", {"amount": 1.25}),
    ("page.scrolled", {"direction": "down"}),
    ("search.executed", {"status": "", "highlightAll": False}),
    ("search.navigatednext", {"findprevious": True, "highlightAll": True}),
    ("search.highlight.toggled", {"highlightAll": "true"}),
    ("searchcasesensitivity.toggled", {"caseSensitive": True}),
)


def navigation(scene: Scene) -> Iterator[Act]:
    """Steps through a sequence under old and new names, and links."""
    start = "edx.ui.lms.sequence."
    for old_name, new_name in (
        ("seq_next", "next_selected"),
        ("seq_prev", "previous_selected"),
        ("seq_goto", "tab_selected"),
    ):
        at = {"id": scene.course.sequences.draw().usage_key, "old": 2, "new": 3}
        tabs = {"current_tab": 2, "tab_count": 9, "widget_placement": "bottom"}
        yield Act(old_name, at, "browser", "", "text")
        yield Act(old_name, at | tabs, "browser", start + new_name, "text")
        leaves = {"id": at["id"], **tabs, "target_tab": 5}
        yield Act(start + new_name, leaves, "browser", start + new_name, "text")
    joined = "/".join((scene.key("sequential"), scene.key("vertical")))
    jump = {"target_name": "Week 2", "id": joined, "current_id": joined}
    jump["widget_placement"] = "breadcrumb"
    kind = "edx.ui.lms.jump_nav.selected"
    yield Act(kind, jump, "browser", kind, "text")
    link = {"current_url": scene.page("course/"), "target_url": scene.page("info")}
    outline = link | {"target_name": scene.words(2), "widget_placement": "accordion"}
    for kind, payload in (
        ("edx.ui.lms.outline.selected", outline),
        ("edx.ui.lms.sequence.outline.selected", outline),
        ("edx.ui.lms.link_clicked", link),
        ("edx.ui.lms.link_clicked", {"event_type": "resume", "url": "/courses/x/"}),
    ):
        yield Act(kind, payload, "browser", kind, "text")
    whose = {"username": scene.username, "target_url": link["target_url"]}
    yield Act("edx.ui.lms.link_clicked", whose)
    yield Act("page_close", None, "browser", "")
    yield Act("page_close", {}, "browser", "page_close", "text")


def enrollment(scene: Scene) -> Iterator[Act]:
    """What the server writes of enrolments, of oneself and of others."""
    start = "edx.course.enrollment."
    for word, mode in (
        ("activated", "audit"),
        ("deactivated", "verified"),
        ("mode_changed", "verified"),
        ("mode_changed", "no-id-professional"),
        ("reverify.started", "honor"),
        ("reverify.submitted", "honor"),
        ("reverify.reviewed", "honor"),
    ):
        payload = {"course_id": scene.course.key, "user_id": scene.user_id, "mode": mode}
        yield Act(start + word, payload)
    by_staff = {"course_id": scene.course.key, "user_id": scene.other_id(), "mode": "honor"}
    yield Act(start + "activated", by_staff | {"username": scene.other_name()})
    yield Act(start + "deactivated", by_staff | {"user_id": str(by_staff["user_id"])})
    command = {"command": "./manage.py lms change_enrollment"}
    yield Act(start + "activated", by_staff, context=command, is_worker=True)
    clicked = {"mode": "audit", "location": "sidebar-message"}
    for name in ("upgrade.clicked", "upgrade_clicked"):
        yield Act(start + name, {}, "browser", "", "text", context=clicked)
    yield Act(start + "upgrade.succeeded", {}, context={"mode": "verified"})
    mended = {"synthesized": {"reason": "missing activation"}}
    yield Act(start + "validated", by_staff, fields=mended)
    yield Act(start + "activated", by_staff, fields=mended)


def textbook(scene: Scene) -> Iterator[Act]:
    """Pages of PDF textbooks."""
    file = "/static/Unit_1.pdf"
    for kind in ("gotopage", "prevpage", "nextpage"):
        old = 1 + scene.below(200)
        payload = {"type": kind, "old": old, "new": old + 1, "chapter": file}
        yield Act("book", payload | {"name": "textbook.pdf.page.loaded"}, "browser", "", "text")
    search: dict[str, Any] = {"query": scene.words(2), "caseSensitive": False}
    for word, more in _PDF:
        kind = f"textbook.pdf.{word}"
        asked = search if "search" in word else {}
        payload = {"chapter": file, "name": kind, "page": 1 + scene.below(200), **asked, **more}
        yield Act(kind, payload, "browser", "", "text")
