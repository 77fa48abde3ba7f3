"""What the address of a request says, once more in plain Python: the part of the oracle for URLs.

It never imports edxlogs. Addresses are those of the platform's own routes, of all its years.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

COLUMNS = (
    "path",
    "route",
    "chapter",
    "section",
    "position",
    "handler",
    "suffix",
    "forum_action",
    "thread_id",
    "comment_id",
    "commentable_id",
    "lookup_name",
)
IN_COURSE = {
    "course_home": "course",
    "info": "info",
    "syllabus": "syllabus",
    "progress": "progress",
    "about": "about",
    "wiki": "wiki course_wiki",
    "pdfbook": "pdfbook",
    "htmlbook": "htmlbook",
    "book": "book",
    "courseware": "courseware",
    "jump_to": "jump_to jump_to_id",
    "xblock_view": "xblock",
    "modx": "modx",
    "discussion": "discussion",
    "instructor": "instructor legacy_instructor_dash",
    "notes": "notes edxnotes",
    "teams": "teams",
    "certificates": "generate_user_cert",
}
"""Route by the word after the key of the course."""
ANYWHERE = {
    "wiki": "wiki",
    "xblock_view": "xblock",
    "instructor": "instructor_task_status",
    "enroll": "change_enrollment",
    "login": "login login_ajax login_post signin",
    "logout": "logout",
    "register": "register create_account signup",
    "dashboard": "dashboard",
    "account": "account accounts u users user_api activate password_reset password_reset_confirm"
    " change_setting change_email change_name email_confirm",
    "certificates": "certificates request_certificate",
    "event": "event segmentio",
    "i18n": "i18n i18n.js",
    "jsi18n": "jsi18n",
    "heartbeat": "heartbeat",
}
"""Route by the first word."""
OF_API = {
    "bookmarks_api": "bookmarks",
    "mobile_api": "mobile",
    "proctoring_api": "edx_proctoring",
    "notes_api": "edxnotes",
    "enroll": "enrollment",
    "account": "user",
    "discussion": "discussion",
    "teams": "team",
    "certificates": "certificates",
}
"""Route by the word after /api/."""
FORUM = {
    **{one: one for one in ("reply", "upvote", "unvote", "update", "delete", "close")},
    **{one: one for one in ("pin", "unpin", "follow", "unfollow", "endorse")},
    "flagAbuse": "flag",
    "unFlagAbuse": "unflag",
}


def _of_words(routes: dict[str, str]) -> dict[str, str]:
    return {word: route for route, words in routes.items() for word in words.split()}


_IN_COURSE, _ANYWHERE, _OF_API = map(_of_words, (IN_COURSE, ANYWHERE, OF_API))
_HANDLER = re.compile(
    r"/xblock/.+?/handler(?:_noauth)?(?:/(?P<handler>[^/]*)(?:/(?P<suffix>.*))?)?\Z", re.DOTALL
)


def request(address: str) -> dict[str, Any]:
    """The columns that an address fills; what it does not say is None."""
    path = re.split(r"[?#]", address)[0]
    told: dict[str, Any] = {**dict.fromkeys(COLUMNS), "path": path or None}
    words = [unquote(word) for word in path.strip("/").split("/")]
    rest = _after_course(words)
    if found := _HANDLER.search(path.rstrip("/")):
        told["handler"] = unquote(found["handler"] or "") or None
        told["suffix"] = unquote(found["suffix"] or "") or None
        told["route"] = "xblock_handler"
    elif rest is not None:
        told |= _in_course(rest)
    elif words[0] == "api" and len(words) > 1:
        told["route"] = _of_api(words[1:])
    elif words[:2] == ["accounts", "login"]:
        told["route"] = "login"
    else:
        told["route"] = _ANYWHERE.get(words[0], "other")
    told["lookup_name"] = _looked_up(words, rest)
    return told


def _after_course(words: list[str]) -> list[str] | None:
    """The words after the key of the course; None without one."""
    if words[0] != "courses" or len(words) < 2:
        return None
    if ":" in words[1]:
        return words[2:]
    return words[4:] if len(words) > 3 and all(words[1:4]) else None


def _in_course(rest: list[str]) -> dict[str, Any]:
    first, more = (rest[0], rest[1:]) if rest else ("course", [])
    told: dict[str, Any] = {"route": _IN_COURSE.get(first, "other")}
    if first == "courseware":
        chapter, section, position = (*more, "", "", "")[:3]
        is_number = position.isascii() and position.isdigit() and int(position) < 2**63
        told |= {
            "chapter": chapter or None,
            "section": section or None,
            "position": int(position) if is_number else None,
        }
    elif first == "modx":
        # A key as it stands has five more words: i4x, nothing, and the four of its own.
        told["suffix"] = "/".join(more[6:] if more[:1] == ["i4x:"] else more[1:]) or None
    elif (first == "edxnotes" and more) or (first == "notes" and more[:1] == ["api"]):
        told["route"] = "notes_api"
    elif first == "discussion":
        told |= {name: value or None for name, value in _forum(more).items()}
    return told


def _forum(words: list[str]) -> dict[str, Any]:
    match words:
        case ["forum"]:
            return {"forum_action": "list"}
        case ["forum", "search"]:
            return {"forum_action": "search"}
        case ["forum", "users", _]:
            return {"forum_action": "user_profile"}
        case ["forum", "users", _, "followed"]:
            return {"forum_action": "list"}
        case ["forum", topic, "inline"]:
            return {"forum_action": "read_inline", "commentable_id": topic}
        case ["forum", topic, "threads", thread]:
            return {"forum_action": "read", "commentable_id": topic, "thread_id": thread}
        case ["threads", thread, *verb]:
            return {"forum_action": FORUM.get("/".join(verb)), "thread_id": thread}
        case ["comments", comment, *verb]:
            return {"forum_action": FORUM.get("/".join(verb)), "comment_id": comment}
        case [topic, "threads", "create"]:
            return {"forum_action": "create", "commentable_id": topic}
        case [topic, ("follow" | "unfollow") as verb]:
            return {"forum_action": verb, "commentable_id": topic}
    return {}


def _of_api(words: list[str]) -> str:
    if words[0].startswith("course"):
        return "courses_api"
    if words[:2] == ["v1", "annotations"]:
        return "notes_api"
    if words[0] == "user" and words[-1] == "login_session":
        return "login"
    if words[0] == "user" and words[-1] == "registration":
        return "register"
    return _OF_API.get(words[0], "other")


def _looked_up(words: list[str], rest: list[str] | None) -> str | None:
    """The name or number of the person whose page is asked for."""
    if words[0] == "u" or words[:2] == ["certificates", "user"]:
        found = words[1 if words[0] == "u" else 2 :]
    elif rest is not None and rest[:1] == ["progress"]:
        found = rest[1:]
    elif "users" in words:
        found = words[words.index("users") + 1 :]
    else:
        return None
    return found[0] or None if found else None
