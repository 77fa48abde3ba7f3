"""What is planted is told truly: the logs hold it, and the truth is one with itself."""

from __future__ import annotations

import gzip
import itertools
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pytest

import oracle_event_tables
from commands import run
from planted import Planted, differences, plant

Row = dict[str, Any]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"), courses=2)


def events_of(planted: Planted) -> list[Row]:
    return [
        json.loads(line)
        for path in planted.logs
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]


def once(planted: Planted) -> list[Row]:
    """The events without those that stand twice."""
    return [json.loads(text) for text in {json.dumps(event) for event in events_of(planted)}]


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, planted: Planted) -> None:
    again = plant(tmp_path, courses=2)
    assert [path.read_bytes() for path in again.logs] == [p.read_bytes() for p in planted.logs]
    assert again.package.read_bytes() == planted.package.read_bytes()
    assert again.truth == planted.truth
    other = plant(tmp_path, courses=2, seed=8)
    assert other.truth != planted.truth
    for table, rows in planted.truth.items():
        assert rows, table
        assert not differences(table, rows, again.truth[table])


def test_lines_stand_twice_and_in_no_order(planted: Planted) -> None:
    events = events_of(planted)
    assert len(events) - len(once(planted)) == planted.copies
    assert any(one["time"] > after["time"] for one, after in itertools.pairwise(events))


def test_the_logs_hold_what_the_truth_counts(planted: Planted) -> None:
    actions: Counter[tuple[str, str]] = Counter()
    for event in once(planted):
        decoded = oracle_event_tables.decode(event)
        if decoded.row:
            actions[(decoded.table, decoded.row["action"])] += 1
    people = planted.truth["person_course"]
    for name, key in {
        "n_play": ("video_events", "play"),
        "n_pause": ("video_events", "pause"),
        "n_seek": ("video_events", "seek"),
        "n_checks": ("problem_events", "check"),
        "n_answers_shown": ("problem_events", "answer_shown"),
    }.items():
        assert actions[key] == sum(row[name] for row in people) > 0, name
    assert actions[("problem_events", "form_check")] * 2 == len(planted.truth["problem_attempts"])


def test_the_truth_is_one_with_itself(planted: Planted) -> None:
    def sums(table: str, name: str) -> Counter[tuple[str, int]]:
        found: Counter[tuple[str, int]] = Counter()
        for row in planted.truth[table]:
            found[(row["course_id"], row["user_id"])] += row[name]
        return +found

    n_events = sums("person_course", "n_events")
    assert n_events == sums("sessions", "n_events") == sums("person_course_day", "n_events")
    assert sums("person_course", "n_sessions") == sums("person_course_day", "n_sessions_started")
    assert sums("person_course", "n_checks") == sums("person_course_day", "n_checks")
    for row in planted.truth["time_on_task"]:
        kinds = [
            value for name, value in row.items() if name.startswith("time_") and "_s" in name[5:]
        ]
        assert row["time_s"] == pytest.approx(sum(kinds))


def test_sessions_lie_half_an_hour_apart_and_spells_do_not_overlap(planted: Planted) -> None:
    sessions = defaultdict(list)
    for row in planted.truth["sessions"]:
        sessions[(row["course_id"], row["user_id"])].append(row)
    for rows in sessions.values():
        for one, after in itertools.pairwise(rows):
            assert (after["start"] - one["end"]).total_seconds() > 1800
        assert [row["ended_by"] == "gap" for row in rows][-1] is False
    spells = defaultdict(list)
    for row in planted.truth["enrollment_spells"]:
        spells[(row["course_id"], row["user_id"])].append(row)
    for rows in spells.values():
        for one, after in itertools.pairwise(rows):
            assert one["end"] <= after["start"]


def rows_of(folder: Path) -> list[Row]:
    found = pyarrow.dataset.dataset(folder, format="parquet", partitioning="hive")
    rows: list[Row] = found.to_table().to_pylist()
    return rows


def test_the_package_has_everybody(planted: Planted, tmp_path: Path) -> None:
    done = run("db", "convert", planted.package, "-o", tmp_path / "out", cwd=tmp_path)
    assert done.code == 0, done.stderr
    enrolled = rows_of(tmp_path / "out" / "student_courseenrollment")
    people = planted.truth["person_course"]
    assert sorted((row["course_id"], row["user_id"]) for row in enrolled) == sorted(
        (row["course_id"], row["user_id"]) for row in people
    )
    posts = rows_of(tmp_path / "out" / "forum")
    written = sum(row["n_forum_posts"] for row in planted.truth["person_course_day"])
    assert len(posts) == written > 0


def test_differences_are_told() -> None:
    truth = [{"course_id": "c", "user_id": 1, "n_threads": 1, "x": 0.5}]
    row = truth[0]
    assert differences("forum_person", truth, [row | {"more": 1, "x": 0.5 + 1e-9}]) == []
    assert differences("forum_person", truth, []) == ["forum_person ('c', 1): lacking"]
    assert differences("forum_person", [], [row]) == ["forum_person ('c', 1): too much"]
    assert differences("forum_person", truth, [row, row]) == ["forum_person ('c', 1): twice"]
    assert differences("forum_person", truth, [row | {"x": 1.0}]) == [
        "forum_person ('c', 1): x: 1.0, not 0.5"
    ]
