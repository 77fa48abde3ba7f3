"""The forum's tables are those of the plain-Python twin."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import twins_forum
from derived_course import DEFAULTS, Course, Inputs, Row, day, moment, numbered, same
from derived_strategies import AMY, rows_of

SHAPES: list[Row] = [
    {"table": "forum_events", "action": "create", "kind": "thread", "post_id": ["t1", "t2", "x1"],
     "thread_id": None, "commentable_id": "topic", "thread_type": "question",
     "body_chars": [7, None], "anonymous": [None, True]},
    {"table": "forum_events", "action": "create", "kind": "response", "post_id": ["r1", "x2"],
     "thread_id": ["t1", "x1"], "body_chars": 5, "anonymous_to_peers": [None, True]},
    {"table": "forum_events", "action": "create", "kind": "comment",
     "post_id": ["c1", "x3", None], "thread_id": "t1", "response_id": ["r1", "x2", None]},
    {"table": "forum_events", "action": "vote", "undo_vote": [None, True]},
    {"table": "forum_events", "action": ["view", "search", "edit"], "thread_id": ["t1", "t2"]},
    {"table": "requests", "route": "discussion", "thread_id": [None, "t1"],
     "forum_action": ["read", "read_inline", "upvote", "unvote", "reply", "follow", "search",
                      "update", "endorse", None]},
]  # fmt: skip


def post(name: str, kind: str, author: str | None, **more: Any) -> Row:
    return {
        "_id": name,
        "kind": kind,
        "author_id": author,
        "created_at": moment(-600),
        "body": "Grüße",
        "votes_up_count": 2,
        "site": "prod",
        **more,
    }


FORUM = [
    post("t1", "thread", "1", commentable_id="topic", thread_type="discussion", pinned=True),
    post("r1", "response", "2", comment_thread_id="t1", endorsed=True, anonymous=True),
    post("c1", "comment", "1", comment_thread_id="t1", parent_id="r1", created_at=moment(-5)),
    post("c2", "comment", None, comment_thread_id="t1", parent_id="r1", body=None),
    post("c3", "comment", "2", comment_thread_id="t1", parent_id="r1", votes_up_count=None),
]


@pytest.fixture(scope="module")
def course() -> Course:
    return Course()


@hypothesis_settings(max_examples=40, deadline=None, phases=[Phase.generate])
@given(
    events=rows_of(*SHAPES, at_most=14),
    there=st.sampled_from(("forum_events requests", "requests", "forum_events")),
    forum=st.none() | st.sets(st.integers(0, len(FORUM) - 1)),
    snapshot=st.sampled_from((None, day("2020-03-02"), day("2020-03-04"))),
)
def test_the_forum_is_that_of_the_twin(
    course: Course, events: Inputs, there: str, forum: set[int] | None, snapshot: Any
) -> None:
    inputs = {name: rows for name, rows in events.items() if name in there.split()}
    inputs["db_auth_user"] = [AMY]
    if forum is not None:
        chosen = [FORUM[at] for at in sorted(forum)]
        inputs["db_forum"] = [{**row, "snapshot_date": snapshot} for row in chosen]
    course.give(inputs)
    made = course.make("forum_person")
    same(made, twins_forum.forum_person(inputs, DEFAULTS))
    threads = course.make("forum_person_thread")
    same(threads, twins_forum.forum_person_thread(inputs, DEFAULTS))
    same(course.make("forum_edges"), twins_forum.forum_edges(inputs, DEFAULTS))
    if forum is not None:
        written = [one["n_threads"] + one["n_responses"] + one["n_comments"] for one in made]
        assert sum(written) >= sum(one["n_posts"] or 0 for one in threads)


def test_a_read_thread_counts_once(course: Course) -> None:
    """The platform told reads by requests alone, until it wrote events of them, too."""
    request = {"route": "discussion", "forum_action": "read", "thread_id": "t1", "user_id": 1}
    view = {"action": "view", "thread_id": "t1", "user_id": 1}
    hours = [0, 24, 48]
    requests = [{**request, "time": moment(3600 * at)} for at in hours]
    views = [{**view, "time": moment(3600 * at + 60)} for at in hours[1:]]
    course.give({"requests": numbered(requests), "forum_events": numbered(views, source="b.log")})
    (one,) = course.make("forum_person")
    assert (one["n_reads"], one["n_threads_read"], one["read_source"]) == (3, 1, "mixed")
    assert one["n_threads"] is None  # no forum in the package


def test_a_deleted_post_is_known_by_its_event(course: Course) -> None:
    row = {
        "action": "create",
        "kind": "response",
        "post_id": "x2",
        "thread_id": "t1",
        "user_id": 2,
        "body_chars": 40,
        "time": moment(0),
    }
    forum = [{**FORUM[0], "snapshot_date": day("2020-03-08")}]
    course.give({"forum_events": numbered([row]), "db_forum": forum})
    author, deleted = course.make("forum_person")
    assert (author["n_threads"], author["n_votes_got"], author["n_deleted"]) == (1, 2, 0)
    assert (deleted["n_responses"], deleted["n_chars"], deleted["n_deleted"]) == (1, 40, 1)
    (edge,) = course.make("forum_edges")
    assert (edge["from_user_id"], edge["to_user_id"], edge["kind"]) == (2, 1, "response")
