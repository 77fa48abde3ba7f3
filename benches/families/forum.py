"""The forum, as the server writes what was said, seen, changed and reported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from families.scene import Act, Scene

_KINDS = ("thread", "response", "comment")


def forum(scene: Scene) -> Iterator[Act]:
    """Every act for each kind of post that has it."""
    for kind in _KINDS:
        for act in ("created", "edited", "deleted", "reported", "unreported"):
            yield Act(f"edx.forum.{kind}.{act}", _post(scene, kind, act))
    for kind in _KINDS[:2]:
        vote = {"undo_vote": scene.below(2) == 1, "vote_value": "up"}
        yield Act(f"edx.forum.{kind}.voted", _about(scene) | _whose(scene) | vote)
    title = {"title": scene.words(3), "title_truncated": False, "from_mfe_sidebar": True}
    yield Act("edx.forum.thread.viewed", _about(scene) | _whose(scene) | title)
    yield Act("edx.forum.thread.viewed", _about(scene) | title)
    search = {"query": scene.words(2), "page": 1, "total_results": 7, "group_id": None}
    yield Act("edx.forum.searched", search | {"corrected_text": None})
    search |= {"group_id": "3", "corrected_text": "vector"}
    yield Act("edx.forum.searched", search)
    long = {"body": scene.words(40), "truncated": True, "title": "t", "title_truncated": True}
    yield Act("edx.forum.thread.created", _about(scene) | long | {"team_id": "team-a"})


def _about(scene: Scene) -> dict[str, Any]:
    topic = scene.key("discussion")[-32:]
    return {
        "id": scene.hex24(),
        "commentable_id": topic,
        "category_id": topic,
        "category_name": "Week 1 / Questions & answers",
        "url": scene.page("discussion/forum/"),
        "user_forums_roles": ["Student"],
        "user_course_roles": [],
    }


def _whose(scene: Scene) -> dict[str, Any]:
    return {"target_username": scene.other_name()}


def _post(scene: Scene, kind: str, act: str) -> dict[str, Any]:
    post = _about(scene)
    if kind != "thread":
        post["discussion"] = {"id": scene.hex24()}
    if kind == "comment":
        post["response"] = {"id": scene.hex24()}
    if act == "created":
        post |= {"options": {"followed": scene.below(2) == 1}}
        if kind == "thread":
            post |= {"title": scene.words(3), "title_truncated": False, "thread_type": "question"}
            post |= {"anonymous": False, "anonymous_to_peers": True, "group_id": 2}
    else:
        post |= _whose(scene) | {"content_type": kind.title(), "own_content": act == "edited"}
    if act == "edited":
        return post | {"edit_reason": None if kind == "thread" else "grammar-spelling"}
    post |= {"body": f"<p>{scene.words(9)}</p>", "truncated": False}
    return post | ({"reported_status_cleared": True} if act == "unreported" else {})
