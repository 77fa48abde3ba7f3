"""`edxlogs derive`: what is made again, what is null and told, and what never half appears.

The definitions here are of the tests: small ones, whose rows plain Python knows.
"""

from __future__ import annotations

import itertools
import json
import os
import zoneinfo
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import edxlogs
from derived import COURSE, Row, at, digests, rows_of, write_database, write_events
from edxlogs.derived import engine
from edxlogs.errors import ConfigError
from edxlogs.text import shown
from edxlogs.watching import Watcher

OTHER = "UniversityX/HY-101/2013-Fall"
VIDEOS = """\
-- table: videos
-- about: Events of videos by person.
-- inputs: video_events! db_auth_user
-- needs: people
-- order: user_id
-- columns:
--   course_id string: The course.
--   user_id int64: Who.
--   name string: Username.
--   n int64: How many events.
select course_id, user_id, any_value(people.name) as name, count(*) as n
from video_events left join people using (user_id)
group by all
"""
PEOPLE = """\
-- table: people
-- as: internal table
-- about: People.
-- inputs: db_auth_user
-- order: user_id
-- columns:
--   user_id int64: Who.
--   name string: Username.
select id as user_id, case when has_db_auth_user then username end as name
from db_auth_user, (select getvariable('has_db_auth_user') as has_db_auth_user)
"""
BLOCKS = """\
-- table: blocks
-- about: The blocks of the course.
-- inputs: db_course_structure!
-- order: block_key
-- columns:
--   block_key string: Which.
select usage_key as block_key from db_course_structure
"""
PASSING = """\
-- account: passing
-- inputs: video_events
select 'events without a person' as what, count(*) as n from video_events where user_id is null
"""
PARAMETERS = """\
-- table: parameters
-- about: What is told.
-- inputs: video_events
-- order: name
-- columns:
--   name string: Of it.
--   value string: It.
select unnest([
        'as_of', 'tz', 'gap', 'cap', 'cap_long', 'min_n', 'domain', 'events', 'package'
    ]) as name,
    unnest([
        getvariable('as_of')::varchar, getvariable('tz'), getvariable('gap')::varchar,
        getvariable('cap')::varchar, getvariable('cap_long')::varchar,
        getvariable('min_n')::varchar, getvariable('with_email_domain')::varchar,
        getvariable('has_events')::varchar, getvariable('has_package')::varchar
    ]) as value
"""
NAMES = ["videos", "blocks", "parameters"]


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    """A folder of definitions."""
    folder = tmp_path / "sql"
    folder.mkdir()
    texts = {"videos": VIDEOS, "people": PEOPLE, "blocks": BLOCKS, "passing": PASSING}
    for name, text in {**texts, "parameters": PARAMETERS}.items():
        (folder / f"{name}.sql").write_text(text)
    return folder


def event(user: int | None, seconds: float, line: int, **more: Any) -> Row:
    row = {
        "time": at(seconds),
        "site": "prod",
        "course_id": COURSE,
        "user_id": user,
        "event_source": "browser",
        "event_type": "play_video",
        "action": "play",
        "position": seconds,
        "source": "a.log",
        "line": line,
        "line_item": 0,
    }
    return {**row, **more}


EVENTS = [event(1, 5, 1), event(2, 6, 2), event(1, 7, 3), event(None, 8, 4)]
USERS = [{"id": 1, "username": "amy"}, {"id": 2, "username": "bob"}, {"id": 3, "username": "cy"}]
STRUCTURE = [{"usage_key": "block-b"}, {"usage_key": "block-a"}]


def counted(rows: list[Row]) -> list[Row]:
    """Events by person, as plain Python has them."""
    names = {user["id"]: user["username"] for user in USERS}
    found = Counter(row["user_id"] for row in rows)
    people = sorted(found, key=lambda one: (one is None, one))
    return [
        {"course_id": COURSE, "user_id": one, "name": names.get(one), "n": found[one]}
        for one in people
    ]


def derive(folder: Path, sql: Path, **words: Any) -> Any:
    return edxlogs.derive(folder / "out", sql_dir=sql, **{"table": NAMES, **words})


def test_tables_are_made_of_events_and_packages(tmp_path: Path, sql: Path) -> None:
    events = write_events(tmp_path / "events", {"video_events": EVENTS})
    tables = write_database(tmp_path / "db", {"auth_user": USERS, "course_structure": STRUCTURE})
    done = derive(tmp_path, sql, events=events, db=tables)
    assert done.is_whole
    assert rows_of(tmp_path / "out", "videos") == counted(EVENTS)
    blocks = rows_of(tmp_path / "out", "blocks")
    assert [row["block_key"] for row in blocks] == ["block-a", "block-b"]
    (course,) = done.courses
    assert course.made == ["blocks", "parameters", "videos"]
    assert course.rows == {"videos": 3, "blocks": 2, "parameters": 9}
    assert course.counts == {"events without a person": 1}
    assert (course.lacking, course.left) == ({}, {})
    (path,) = (tmp_path / "out" / "videos").rglob("*.parquet")
    assert path.stat().st_mode & 0o777 == 0o600
    told = pq.read_metadata(path).metadata
    assert told[b"edxlogs.packages"] == b"universityx-2014-10-05 of 2014-10-05"
    assert told[b"edxlogs.sql"].startswith(b"custom ")
    assert not list((tmp_path / "out" / "_edxlogs" / "new").iterdir())


def test_what_statements_are_told(tmp_path: Path, sql: Path) -> None:
    write_events(tmp_path / "events", {"video_events": EVENTS})
    write_database(tmp_path / "db", {"auth_user": USERS})
    words = {"events": tmp_path / "events", "db": tmp_path / "db", "table": "parameters"}

    def told(**more: Any) -> dict[str, str]:
        derive(tmp_path, sql, overwrite=True, **words, **more)
        return {row["name"]: row["value"] for row in rows_of(tmp_path / "out", "parameters")}

    assert told() == {
        "as_of": "2014-10-06 00:00:00+00",
        "tz": "UTC",
        "gap": "1800000000",
        "cap": "300000000",
        "cap_long": "1800000000",
        "min_n": "10",
        "domain": "false",
        "events": "true",
        "package": "true",
    }
    found = told(as_of="2014-10-07", tz="Europe/Berlin", gap=1.5, cap=2, min_n=3)
    # Summer time: the day ends at 22:00 UTC.
    assert found["as_of"] == "2014-10-07 22:00:00+00"
    assert (found["gap"], found["cap"], found["cap_long"]) == ("90000000", "120000000", "120000000")
    assert (found["tz"], found["min_n"]) == ("Europe/Berlin", "3")


def test_what_is_missing_is_null_and_told(tmp_path: Path, sql: Path) -> None:
    events = write_events(tmp_path / "events", {"video_events": EVENTS})
    done = derive(tmp_path, sql, events=events)
    assert done.is_whole
    assert [row["name"] for row in rows_of(tmp_path / "out", "videos")] == [None, None, None]
    (course,) = done.courses
    assert course.lacking == {"db_auth_user": ["videos"]}
    assert course.left == {"blocks": "no course_structure"}
    assert not (tmp_path / "out" / "blocks").exists()
    assert str(done).splitlines()[1:3] == [
        "missing in 1 course: auth_user: columns that need it are null in videos",
        "not made: blocks of 1 course: no course_structure",
    ]


def test_a_course_without_events_has_no_empty_ones(tmp_path: Path, sql: Path) -> None:
    write_events(tmp_path / "events", {"video_events": EVENTS})
    write_database(tmp_path / "db", {"auth_user": USERS, "course_structure": []}, course=OTHER)
    done = derive(tmp_path, sql, events=tmp_path / "events", db=tmp_path / "db")
    other, course = done.courses
    assert other.course == OTHER
    assert other.left == {"videos": "no video_events"}
    assert other.rows == {"blocks": 0, "parameters": 9}  # an empty structure is one
    assert course.left == {"blocks": "no course_structure"}


def test_a_course_that_is_as_it_was_is_not_made_again(tmp_path: Path, sql: Path) -> None:
    write_events(tmp_path / "events", {"video_events": EVENTS})
    words = {"events": tmp_path / "events"}
    write_events(
        tmp_path / "events",
        {"video_events": [event(9, 1, 1, course_id=OTHER, source="other.log")]},
    )
    first = derive(tmp_path, sql, **words)
    assert [one.made for one in first.courses] == [["parameters", "videos"]] * 2
    before = digests(tmp_path / "out")
    again = derive(tmp_path, sql, **words)
    assert [one.made for one in again.courses] == [[], []]
    # What was told of it is told again.
    assert [one.rows for one in again.courses] == [one.rows for one in first.courses]
    assert [one.counts for one in again.courses] == [one.counts for one in first.courses]
    assert digests(tmp_path / "out") == before
    more = event(2, 9, 1, source="b.log")
    write_events(tmp_path / "events", {"video_events": [more]})
    third = derive(tmp_path, sql, **words)
    assert [one.made for one in third.courses] == [[], ["parameters", "videos"]]
    after = digests(tmp_path / "out")
    gone = [path for path in before if path not in after]
    assert all("CS101" in path for path in gone)
    assert len(gone) == 2
    rows = [row for row in rows_of(tmp_path / "out", "videos") if row["course_id"] == COURSE]
    assert [row["n"] for row in rows] == [row["n"] for row in counted([*EVENTS, more])]


def test_a_definition_that_changes_makes_what_needs_it_again(tmp_path: Path, sql: Path) -> None:
    words = {"events": write_events(tmp_path / "events", {"video_events": EVENTS})}
    derive(tmp_path, sql, **words)
    (sql / "people.sql").write_text(PEOPLE.replace("username end", "upper(username) end"))
    (course,) = derive(tmp_path, sql, **words).courses
    assert course.made == ["videos"]


def test_other_parameters_need_a_word(tmp_path: Path, sql: Path) -> None:
    words = {"events": write_events(tmp_path / "events", {"video_events": EVENTS})}
    derive(tmp_path, sql, **words)
    with pytest.raises(ConfigError, match="holds the rows of a different query"):
        derive(tmp_path, sql, **words, gap=5)
    derive(tmp_path, sql, **words, gap=5, overwrite=True)
    values = {row["name"]: row["value"] for row in rows_of(tmp_path / "out", "parameters")}
    assert values["gap"] == "300000000"


def test_days_after_the_one_asked_for_do_not_count(tmp_path: Path, sql: Path) -> None:
    late = [event(1, 0, 5, time=at(0, "2014-10-02")), event(2, 0, 6, time=at(86_399.5))]
    write_events(tmp_path / "events", {"video_events": [*EVENTS, *late]})
    derive(tmp_path, sql, events=tmp_path / "events", as_of="2014-10-01")
    assert [row["n"] for row in rows_of(tmp_path / "out", "videos")] == [
        row["n"] for row in counted([*EVENTS, late[1]])
    ]


@pytest.fixture(params=["small", "large"])
def course_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Courses are made as small ones are, or as large ones."""
    monkeypatch.setattr(engine, "_SMALL_ROWS", 300_000 if request.param == "small" else 0)


@pytest.mark.usefixtures("course_size")
def test_exact_copies_of_rows_count_once(tmp_path: Path, sql: Path) -> None:
    copies = [EVENTS[0] | {"source": "copy.log", "line": 9}, EVENTS[3] | {"line": 8}]
    others = [EVENTS[0] | {"line": 10, "position": 5.5}]
    write_events(tmp_path / "events", {"video_events": [*copies, *EVENTS, *others]})
    (course,) = derive(tmp_path, sql, events=tmp_path / "events").courses
    assert course.counts == {
        "exact copies of rows in video_events": 2,
        "events without a person": 1,
    }
    told = [row["n"] for row in rows_of(tmp_path / "out", "videos")]
    assert told == [row["n"] for row in counted([*EVENTS, *others])]


INPUTS = """\
-- table: inputs_of_checks
-- about: Children and their events.
-- inputs: problem_events problem_inputs
-- order: source, line, input_id
-- columns:
--   source string: The source.
--   line int64: The line.
--   input_id string: The input.
select source, line, input_id from problem_events left join problem_inputs
    using (source, line, line_item)
"""


@pytest.mark.usefixtures("course_size")
def test_copies_have_the_same_children(tmp_path: Path, sql: Path) -> None:
    (sql / "inputs_of_checks.sql").write_text(INPUTS)
    checks = [event(1, 0, line, event_type="problem_check", action="check") for line in range(4)]
    answers = {0: ["x", "y"], 1: ["y", "x"], 2: ["x", "z"], 3: ["x"]}
    inputs = [
        {**checks[line], "input_id": name, "answer": name}
        for line, names in answers.items()
        for name in names
    ]
    known = {"course_id", "source", "line", "line_item", "input_id", "answer", "time", "user_id"}
    children = [{key: row[key] for key in known} for row in inputs]
    for row in checks:
        del row["position"]
    write_events(tmp_path / "events", {"problem_events": checks, "problem_inputs": children})
    done = derive(tmp_path, sql, events=tmp_path / "events", table="inputs_of_checks")
    assert done.courses[0].counts == {"exact copies of rows in problem_events": 1}
    found = [
        (row["line"], row["input_id"]) for row in rows_of(tmp_path / "out", "inputs_of_checks")
    ]
    assert found == [(line, name) for line in (0, 2, 3) for name in sorted(answers[line])]


def test_any_order_and_number_of_threads_give_the_same_bytes(
    tmp_path: Path, sql: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [
        [event(user, seconds, line, source=f"{name}.log") for line, seconds in enumerate((3, 1, 2))]
        for user, name in enumerate("abc")
    ]
    found = []
    for number, order in enumerate(itertools.permutations(sources)):
        folder = tmp_path / str(number)
        folder.mkdir()
        for its in order:
            write_events(folder / "events", {"video_events": its})
        write_database(folder / "db", {"auth_user": USERS[:: 1 if number % 2 else -1]})
        words = {"events": folder / "events", "db": folder / "db", "threads": number % 3 + 1}
        monkeypatch.setattr(engine, "_SMALL_ROWS", 300_000 * (number % 2))
        derive(folder, sql, **words)
        found.append(digests(folder / "out"))
    assert found[0]
    assert all(one == found[0] for one in found)


def test_events_of_no_course_are_counted(tmp_path: Path, sql: Path) -> None:
    lost = event(1, 1, 8, course_id=None, source="none.log")
    write_events(tmp_path / "events", {"video_events": [*EVENTS, lost]})
    done = derive(tmp_path, sql, events=tmp_path / "events")
    assert [one.course for one in done.courses] == [COURSE]
    assert done.no_course == 1
    assert "events without a course: 1" in str(done)


def test_a_report_whose_name_is_not_text(tmp_path: Path, sql: Path) -> None:
    write_events(tmp_path / "events", {"video_events": EVENTS})
    path = tmp_path / os.fsdecode(b"\xff.json")
    for _ in range(2):  # the second run writes its own file anew
        derive(tmp_path, sql, events=tmp_path / "events", report=path)
        assert json.loads(path.read_bytes())["rows"]
        path.write_bytes(b"")


@pytest.mark.parametrize("content", [b"PAR1 and no more", b"", b"PAR1" * 9, None])
def test_a_course_that_fails_costs_no_other(
    tmp_path: Path, sql: Path, content: bytes | None
) -> None:
    write_events(tmp_path / "events", {"video_events": EVENTS})
    write_events(
        tmp_path / "events",
        {"video_events": [event(9, 1, 1, course_id=OTHER, source="other.log")]},
    )
    for path in (tmp_path / "events" / "video_events").glob("*HY-101*/*.parquet"):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
    done = derive(tmp_path, sql, events=tmp_path / "events")
    assert not done.is_whole
    other, course = done.courses
    assert other.error is not None
    assert other.error.startswith(f"course: {shown(OTHER)}: ")
    assert other.error.endswith("; run again, or make that dataset again in another folder")
    assert course.made == ["parameters", "videos"]
    assert {row["course_id"] for row in rows_of(tmp_path / "out", "videos")} == {COURSE}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({}, "derive: nothing to read"),
        ({"events": "none"}, "events: none: holds no event tables"),
        ({"db": "none"}, "db: none: holds no database tables"),
        ({"events": "events", "table": "session"}, "did you mean sessions?"),
        ({"events": "events", "table": "simeon_pc_forum"}, "is not known; add --compat simeon"),
        (
            {"events": "events", "table": "persons"},
            "other tables are made from it; --show prints it",
        ),
        ({"db": "events"}, "db: events: holds no database tables; name a folder"),
        ({"db": "events/video_events"}, "db: events/video_events: holds no database tables"),
        (
            {"events": "events", "course": COURSE.replace("CS101", "CS110")},
            f"is not in the inputs; did you mean {COURSE}?",
        ),
        ({"events": "events", "course": "course-v1:Nobody+*"}, "is not in the inputs"),
        ({"events": "events", "as_of": "yesterday"}, "as-of: yesterday: is not a day"),
        ({"events": "events", "tz": "Mars/Olympus"}, "tz: Mars/Olympus: is not a time zone"),
        ({"events": "events", "tz": "localtime"}, "tz: localtime: is not a time zone; write it"),
        ({"events": "events", "tz": "posixrules"}, "tz: posixrules: is not a time zone; write it"),
        ({"events": "events", "tz": "posix/UTC"}, "tz: posix/UTC: is not a time zone; write it"),
        ({"events": "events", "gap": 0}, "gap, cap: must be minutes above 0"),
        ({"events": "events", "cap": (1, 2, 3)}, "gap, cap: must be minutes above 0"),
        ({"events": "events", "as_of": "9999-12-31"}, "no day follows it; leave it out"),
        ({"events": "events", "min_n": 0}, "min-n: must be 1 or more"),
        ({"events": "events", "min_n": 2**63}, "min-n: must be 1 or more, below 2 to the 63rd"),
        ({"events": os.fsdecode(b"\xff")}, r"events: \xff: DuckDB reads only names in UTF-8"),
        ({"events": "events", "memory": 1000}, "memory: is too small"),
        ({"events": "events", "sql_dir": "none"}, "sql-dir: none: is not a folder"),
        ({"events": "events", "olx": "events"}, "olx: events: holds no course.xml"),
    ],
)
def test_what_cannot_be_used_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: dict[str, Any], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_events(tmp_path / "events", {"video_events": EVENTS})
    with pytest.raises(ConfigError) as caught:
        edxlogs.derive("out", **words)
    assert told in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("output", ["", "-"])
def test_tables_need_a_folder(tmp_path: Path, output: str) -> None:
    with pytest.raises(ConfigError, match=r"^output: derived tables are a folder"):
        edxlogs.derive(output, events=tmp_path)


def test_a_course_that_is_not_there_is_told_and_others_are_made(tmp_path: Path, sql: Path) -> None:
    write_events(tmp_path / "events", {"video_events": EVENTS})
    told: list[str] = []

    class Told(Watcher):
        def warn(self, message: str) -> None:
            told.append(message)

    done = derive(
        tmp_path, sql, events=tmp_path / "events", course=[COURSE, "nobody"], watcher=Told()
    )
    assert [one.course for one in done.courses] == [COURSE]
    assert told == ["course: nobody: is not in the inputs; check the folders of the event tables"]


def test_a_statement_that_cannot_be_used_is_told(tmp_path: Path, sql: Path) -> None:
    (sql / "blocks.sql").write_text(BLOCKS.replace("usage_key as", "usage as"))
    tables = write_database(tmp_path / "db", {"course_structure": STRUCTURE})
    with pytest.raises(ConfigError, match=r"sql: blocks\.sql: .*usage"):
        derive(tmp_path, sql, db=tables, table="blocks")


def test_a_time_zone_that_duckdb_does_not_know_is_told(tmp_path: Path) -> None:
    write_events(tmp_path / "events", {"video_events": EVENTS})
    zones = tmp_path / "zones"
    (zones / "Moon").mkdir(parents=True)
    zone = resources.files("tzdata") / "zoneinfo/UTC"
    (zones / "Moon/Base").write_bytes(zone.read_bytes())
    zoneinfo.reset_tzpath([zones])
    try:
        with pytest.raises(ConfigError, match=r"^tz: Moon/Base: DuckDB does not know it; "):
            edxlogs.derive(tmp_path / "out", events=tmp_path / "events", tz="Moon/Base")
    finally:
        zoneinfo.reset_tzpath()
    assert not (tmp_path / "out").exists()
