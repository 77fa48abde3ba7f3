"""Small random courses: rows of events that stand close together, tie, and repeat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from derived_course import Row, moment

GAPS = (0, 0, 1, 2, 5, 6, 299, 300, 300.5, 1799, 1800, 1801, 50_000, 90_000)
"""Seconds from one event to the next: about the limits of the rules."""
PEOPLE = (
    {"user_id": 1, "username": "amy"},
    {"user_id": 2, "username": "bob"},
    {"user_id": None, "username": "amy"},
    {"user_id": None, "username": "nobody"},
    {"user_id": 3, "username": ""},
    {"user_id": 3, "username": "cid"},
)
SOURCES = ("browser", "browser", "server", "mobile", "task")
FLAGS = (None, None, None, "worker", "no_block worker", "workers")
AMY = {"id": 1, "username": "amy", "site": "prod"}


def times(draw: st.DrawFn, n: int) -> list[Any]:
    """Moments in the order of the rows, but for some."""
    at, found = 0.0, []
    for gap in draw(st.lists(st.sampled_from(GAPS), min_size=n, max_size=n)):
        at += gap
        found.append(moment(at))
    return draw(st.permutations(found)) if draw(st.booleans()) else found


@st.composite
def rows_of(draw: st.DrawFn, *shapes: Row, at_most: int = 12) -> Any:
    """Rows of events, each of one of some shapes; lists in a shape are choices.

    A key `table` of a shape says the table; the answer is rows by table, of one order of time.
    """
    picked = draw(st.lists(st.sampled_from(shapes), max_size=at_most))
    found: dict[str, list[Row]] = {shape["table"]: [] for shape in shapes}
    lines = draw(st.permutations(range(1, len(picked) + 1)))
    for shape, time, line in zip(picked, times(draw, len(picked)), lines, strict=True):
        row = {
            name: draw(st.sampled_from(value)) if isinstance(value, (list, tuple)) else value
            for name, value in shape.items()
        }
        row |= draw(st.sampled_from(PEOPLE))
        its: Row = {
            "time": time,
            "received_at": draw(st.sampled_from((None, time, moment(3)))),
            "site": draw(st.sampled_from(("prod", "prod", "prod", "edge", None))),
            "event_source": draw(st.sampled_from(SOURCES)),
            "flags": draw(st.sampled_from(FLAGS)),
            "session": draw(st.sampled_from((None, "", "s1", "s2"))),
            "agent": draw(st.sampled_from((None, "firefox", "safari"))),
            "source": draw(st.sampled_from(("a.log", "b.log"))),
            "line": line,
            "line_item": 0,
        }
        found[row.pop("table")].append({**its, **row})
    return found


def permuted(draw: st.DrawFn, rows: Sequence[Row]) -> list[Row]:
    """The rows in another order."""
    return draw(st.permutations(list(rows)))
