"""The forum once more in plain Python: what was written, read and done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Any

from twins_events import Inputs, Person, Row, head, if_there, learner_events, persons

Parameters = Mapping[str, Any]
OF_REQUESTS = {
    "read": "view",
    "read_inline": "view",
    "create": "create",
    "reply": "create",
    "upvote": "vote",
    "unvote": "vote",
    "update": "edit",
    "flag": "report",
    "unflag": "unreport",
}
TELLING = "forum_events requests"


def acts(inputs: Inputs, parameters: Parameters) -> list[Row]:
    """Acts in the forum, each told once, with `what`, `by` and `votes`."""
    events = learner_events(inputs, parameters)
    since: dict[str, Any] = {}
    for event in events:
        if event["table"] == "forum_events":
            since.setdefault(event["action"], event["day"])
            since[event["action"]] = min(since[event["action"]], event["day"])
    found = []
    for event in events:
        if event["table"] == "forum_events":
            votes = (-1 if event.get("undo_vote") else 1) if event["action"] == "vote" else None
            found.append({**event, "what": event["action"], "by": "view", "votes": votes})
        elif event["table"] == "requests" and event.get("route") == "discussion":
            asked = event.get("forum_action")
            if asked is None:
                continue
            what = OF_REQUESTS.get(asked, asked)
            counts = event["act"] if what == "view" else True
            if what != "view" and what in since and event["day"] >= since[what]:
                counts = False
            votes = {"upvote": 1, "unvote": -1}.get(asked)
            if counts:
                found.append({**event, "what": what, "by": "url", "votes": votes})
    return found


def posts(inputs: Inputs, parameters: Parameters) -> dict[tuple[str, str], Row]:
    """Posts by site and id."""
    found: dict[tuple[str, str], Row] = {}
    days, newest = [], []
    for row in inputs.get("db_forum", ()):
        site, kind = row.get("site") or "", row["kind"]
        author = row.get("author_id")
        found[site, row["_id"]] = {
            "kind": kind,
            "thread_id": row["_id"] if kind == "thread" else row.get("comment_thread_id"),
            "response_id": row.get("parent_id") if kind == "comment" else None,
            "user_id": int(author) if author and author.isdigit() else None,
            "created_at": row.get("created_at"),
            "n_chars": len(row["body"]) if row.get("body") is not None else 0,
            "topic": row.get("commentable_id") if kind == "thread" else None,
            "thread_type": row.get("thread_type") if kind == "thread" else None,
            "n_votes": row.get("votes_up_count") or 0,
            "endorsed": bool(row.get("endorsed")),
            "pinned": bool(row.get("pinned")),
            "is_anonymous": bool(row.get("anonymous") or row.get("anonymous_to_peers")),
            "deleted": False,
        }
        days += [row["snapshot_date"]] if row.get("snapshot_date") else []
        newest += [row["created_at"]] if row.get("created_at") else []
    made = datetime.combine(max(days), time(), UTC) if days else max(newest, default=None)
    for act in acts(inputs, parameters):
        key = act["person"][0], act.get("post_id") or ""
        if act["what"] != "create" or act["by"] != "view" or not key[1] or key in found:
            continue
        kind = act.get("post_kind")
        if kind is None:
            continue
        found[key] = {
            "kind": kind,
            "thread_id": act["post_id"] if kind == "thread" else act.get("thread_id"),
            "response_id": act.get("response_id") if kind == "comment" else None,
            "user_id": act["person"][1],
            "created_at": act["at"],
            "n_chars": act.get("body_chars") or 0,
            "topic": act.get("commentable_id") if kind == "thread" else None,
            "thread_type": act.get("thread_type") if kind == "thread" else None,
            "n_votes": 0,
            "endorsed": False,
            "pinned": False,
            "is_anonymous": bool(act.get("anonymous") or act.get("anonymous_to_peers")),
            "deleted": made is not None and act["at"] < made,
        }
    return found


def by_author(inputs: Inputs, parameters: Parameters) -> dict[Person, list[Row]]:
    found: dict[Person, list[Row]] = defaultdict(list)
    for (site, _), post in posts(inputs, parameters).items():
        if post["user_id"] is not None:
            found[site, post["user_id"]].append(post)
    return found


def forum_person(inputs: Inputs, parameters: Parameters) -> list[Row]:
    everybody = persons(inputs, parameters)
    has_forum = "db_forum" in inputs
    written = by_author(inputs, parameters) if has_forum else {}
    done: dict[Person, list[Row]] = defaultdict(list)
    for act in acts(inputs, parameters):
        done[act["person"]].append(act)
    found = []
    for person in sorted({*written, *done}):
        its, did = written.get(person, []), done.get(person, [])
        reads = [one for one in did if one["what"] == "view"]
        by = {one["by"] for one in reads}
        when = [one["created_at"] for one in its if one["created_at"] is not None]
        counts: dict[str, Any] = {
            "n_threads": sum(one["kind"] == "thread" for one in its),
            "n_responses": sum(one["kind"] == "response" for one in its),
            "n_comments": sum(one["kind"] == "comment" for one in its),
            "n_chars": sum(one["n_chars"] for one in its),
            "n_votes_got": sum(one["n_votes"] for one in its),
            "n_endorsed": sum(one["endorsed"] for one in its),
            "n_pinned": sum(one["pinned"] for one in its),
            "n_anonymous": sum(one["is_anonymous"] for one in its),
        }
        deleted = sum(one["deleted"] for one in its)
        acted: dict[str, Any] = {
            "n_reads": len(reads),
            "n_threads_read": len({one["thread_id"] for one in reads if one.get("thread_id")}),
            "n_votes_given": sum(one["votes"] or 0 for one in did),
            "n_follows": sum(one["what"] == "follow" for one in did),
            "n_searches": sum(one["what"] == "search" for one in did),
        }
        found.append(
            {
                **head(person, everybody, parameters),
                **{name: value if has_forum else None for name, value in counts.items()},
                "n_deleted": if_there(inputs, "forum_events", deleted) if has_forum else None,
                "first_post": min(when, default=None),
                "last_post": max(when, default=None),
                **{name: if_there(inputs, TELLING, value) for name, value in acted.items()},
                "read_source": "mixed" if len(by) > 1 else min(by, default=None),
            }
        )
    return found


def answered(site: str, post: Row, known: Mapping[tuple[str, str], Row]) -> int | None:
    """Whom a post answers."""
    above = {"response": post["thread_id"], "comment": post["response_id"]}.get(post["kind"])
    user: int | None = known.get((site, above or ""), {}).get("user_id")
    return user


def forum_person_thread(inputs: Inputs, parameters: Parameters) -> list[Row]:
    everybody = persons(inputs, parameters)
    known = posts(inputs, parameters)
    written: dict[tuple[Person, str], list[Row]] = defaultdict(list)
    for (site, _), post in known.items():
        if post["user_id"] is not None and post["thread_id"] is not None:
            written[(site, post["user_id"]), post["thread_id"]].append(post)
    reads: dict[tuple[Person, str], list[Row]] = defaultdict(list)
    for act in acts(inputs, parameters):
        if act["what"] == "view" and act.get("thread_id"):
            reads[act["person"], act["thread_id"]].append(act)
    found = []
    for person, thread in sorted({*written, *reads}):
        its, seen = written.get((person, thread), []), reads.get((person, thread), [])
        kinds = {one["kind"] for one in its}
        role = "responder" if "response" in kinds else "commenter" if kinds else None
        to = {answered(person[0], one, known) for one in its} - {None, person[1]}
        its_thread = known.get((person[0], thread), {})
        if its_thread.get("kind") != "thread":
            its_thread = {}
        found.append(
            {
                **head(person, everybody, parameters),
                "thread_id": thread,
                "thread_type": its_thread.get("thread_type"),
                "topic": its_thread.get("topic"),
                "role": "author" if "thread" in kinds else role,
                "n_posts": if_there(inputs, "db_forum forum_events", len(its)),
                "answered_to": ", ".join(str(one) for one in sorted(to)) or None,  # type: ignore[type-var]
                "n_reads": if_there(inputs, TELLING, len(seen)),
                "first_read": seen[0]["at"] if seen else None,
                "last_read": seen[-1]["at"] if seen else None,
            }
        )
    return found


def forum_edges(inputs: Inputs, parameters: Parameters) -> list[Row]:
    known = posts(inputs, parameters)
    found = []
    for (site, name), post in known.items():
        to = answered(site, post, known)
        if post["user_id"] is not None and to is not None and to != post["user_id"]:
            found.append(
                {
                    "site": site,
                    "course_id": parameters["course_id"],
                    "from_user_id": post["user_id"],
                    "to_user_id": to,
                    "thread_id": post["thread_id"],
                    "post_id": name,
                    "kind": post["kind"],
                    "time": post["created_at"],
                }
            )
    return sorted(found, key=lambda one: (one["site"], one["time"], one["post_id"]))
