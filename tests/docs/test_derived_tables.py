"""Pages of derived tables: columns follow from the definitions, queries from a planted course."""

from __future__ import annotations

import datetime
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import make_derived
from planted import Planted

DOCS = Path(__file__).parents[2] / "docs"
MOST_PICTURE_BYTES = 40_000
Row = dict[str, Any]
Truth = Mapping[str, list[Row]]


def week(moment: datetime.datetime | datetime.date) -> datetime.date:
    day = moment.date() if isinstance(moment, datetime.datetime) else moment
    return day - datetime.timedelta(days=day.weekday())


def lengths(truth: Truth) -> list[Row]:
    events = defaultdict(list)
    for row in truth["sessions"]:
        events[int(row["duration_s"] // 600) * 10].append(row["n_events"])
    return [
        {
            "minutes": minutes,
            "sessions": len(its),
            "mean_events": pytest.approx(sum(its) / len(its), abs=0.051),
        }
        for minutes, its in sorted(events.items())
    ]


def ends(truth: Truth) -> list[Row]:
    found: dict[int, Counter[str]] = defaultdict(Counter)
    for row in truth["video_viewings"]:
        found[int(row["end_pos"] // 30) * 30][row["ended_by"]] += 1
    words = ("pause", "seek", "stop")
    return [{"second": at, **{word: found[at][word] for word in words}} for at in sorted(found)]


def attempts(truth: Truth) -> list[Row]:
    found = defaultdict(list)
    for row in truth["problem_attempts"]:
        found[row["attempt_rank"]].append(row["correctness"] == "correct")
    return [
        {
            "attempt": at,
            "answers": len(its),
            "share_correct": pytest.approx(statistics.mean(its), abs=0.0051),
        }
        for at, its in sorted(found.items())
    ]


def weeks(truth: Truth) -> list[Row]:
    people = defaultdict(set)
    for row in truth["person_course_day"]:
        people[week(row["day"])].add(row["user_id"])
    seen: set[int] = set()
    rows = []
    for monday, its in sorted(people.items()):
        rows.append({"week": monday, "first_time": len(its - seen), "again": len(its & seen)})
        seen |= its
    return rows


def days(truth: Truth) -> list[Row]:
    found = defaultdict(list)
    for row in truth["person_course"]:
        found[row["n_days"]].append(row)
    return [
        {
            "days": number,
            "learners": len(rows),
            "certified": sum(row["certified"] for row in rows),
            "median_hours": pytest.approx(
                statistics.median(row["time_s"] for row in rows) / 3600, abs=0.051
            ),
        }
        for number, rows in sorted(found.items())
    ]


ORACLES: Mapping[str, Callable[[Truth], list[Row]]] = {
    "sessions": lengths,
    "video_viewings": ends,
    "problem_attempts": attempts,
    "person_course_day": weeks,
    "person_course": days,
}


def test_pages_are_current_and_answers_are_those_of_what_was_planted(tmp_path: Path) -> None:
    planted: Planted = make_derived.make_course(tmp_path)
    pages: dict[str, str] = make_derived.pages(tmp_path)
    there = {f"reference/derived/{path.name}" for path in (DOCS / "reference/derived").iterdir()}
    assert there == pages.keys() - {"reference/derive.md"}
    assert set(make_derived.queries()) == set(make_derived.tables())
    for name, text in pages.items():
        assert (DOCS / name).read_text("utf-8") == text, f"{name}: run make docs"
        assert name.endswith(".md") or len(text.encode()) < MOST_PICTURE_BYTES
    for table, oracle in ORACLES.items():
        rows = make_derived.answer(make_derived.queries()[table]["sql"], tmp_path)
        assert rows == oracle(planted.truth), table
        assert len(rows) > 2
