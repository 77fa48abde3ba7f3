"""What a summary counts, however it comes by it, and what it says of bad input."""

from __future__ import annotations

import csv
import fcntl
import gzip
import io
import json
import os
import struct
import subprocess
import termios
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import counted
import edxlogs
import small_logs
from commands import COMMAND
from edxlogs import ConfigError, cli
from edxlogs.summaries.digest import Digest
from edxlogs.summaries.screen import screen

KEYS = ["site", "course_id", "category", "event_type", "event_source", "date"]


def digest(sources: Any, **words: Any) -> Digest:
    told = edxlogs.summary(sources, **words).digest
    assert told is not None
    return told


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return small_logs.real_shaped(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="module")
def rows(logs: list[Path]) -> list[dict[str, Any]]:
    return [
        {**row, "site": path.name.split("-")[1]}
        for path in logs
        for row in small_logs.expected(path)
    ]


def command(capfd: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = cli.execute(["summary", *map(str, words)])
    told = capfd.readouterr()
    return status, told.out, told.err


def test_every_table_equals_the_oracles(logs: list[Path], rows: list[dict[str, Any]]) -> None:
    told = digest(logs)
    for name, table in told.tables.items():
        keys = list(table.columns[: table.place("events")])
        expected = counted.groups(rows, keys)
        assert [row[: len(keys)] for row in table.rows] == sorted(
            expected, key=lambda group: [(one is None, one) for one in group]
        ), name
        for row in table.rows:
            events, people, first, last = expected[row[: len(keys)]]
            assert (row[len(keys)], *row[-2:]) == (events, first, last)
            if "people" in table.columns:
                assert row[table.place("people")] == people
    assert told.events == len(rows)
    assert told.people == (sum(one[1] for one in counted.groups(rows, ["site"]).values()), True)


def test_neither_threads_nor_where_it_is_cut_changes_it(logs: list[Path], tmp_path: Path) -> None:
    one = digest(logs, threads=1)
    assert digest(logs, threads=4).document() == one.document()
    joined = tmp_path / "universityx-edge-events-2014-10-01.log.gz"
    edge = [path for path in logs if "-edge-" in path.name]
    joined.write_bytes(b"".join(path.read_bytes() for path in edge))
    for threads in (1, 3):
        whole, parts = digest(joined, threads=threads), digest(edge)
        for name, table in parts.tables.items():
            assert whole.tables[name] == table


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_a_dataset_is_counted_as_its_logs(logs: list[Path], tmp_path: Path, form: str) -> None:
    keys = ["site", "date"]
    edxlogs.write(logs, tmp_path / "events", partition_by=keys, format=form)
    told, expected = digest(tmp_path / "events"), digest(logs)
    assert told.tables == expected.tables
    assert told.files == expected.files
    assert {note[:3] for note in told.notes} == {note[:3] for note in expected.notes}
    course = digest(tmp_path / "events", course=small_logs.COURSE)
    assert course.tables == digest(logs, course=small_logs.COURSE).tables


def test_what_is_damaged_is_not_counted_and_a_copy_once(tmp_path: Path) -> None:
    good = small_logs.write(tmp_path / "a-prod-events-2014-10-01.log.gz", small_logs.lines(40))
    cut = tmp_path / "a-prod-events-2014-10-03.log.gz"
    cut.write_bytes(gzip.compress(small_logs.lines(5000, 100), 6)[:-2000])
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / good.name).write_bytes(good.read_bytes())
    done = edxlogs.summary([tmp_path, tmp_path / "more"])
    assert done.digest is not None
    assert done.digest.events == 40
    assert not done.is_whole
    assert [one["status"] for one in done.digest.odd_sources] == ["withheld", "copy"]
    assert digest(cut, salvage=True).events > 1000


def test_missing_days_are_those_without_a_file(tmp_path: Path) -> None:
    for day in (1, 2, 5):
        name = f"a-prod-events-2014-10-0{day}.log"
        (tmp_path / name).write_bytes(small_logs.lines(2, day * 10))
    (tmp_path / "tracking.log-20141009").write_bytes(small_logs.lines(2))
    (site,) = digest(tmp_path).files
    assert (str(site.first), str(site.last)) == ("2014-10-01", "2014-10-05")
    assert [str(day) for day in site.missing] == ["2014-10-03", "2014-10-04"]


def test_a_person_is_a_name_on_a_site_or_a_number(tmp_path: Path) -> None:
    acting = [("ann", 1), ("ann", 2), (" ann ", 3), ("", 4), (None, 4), ("", None), ("4", 5)]
    for site in ("prod", "edge"):
        lines = [
            json.dumps(small_logs.event(username=name, context={"user_id": number}))
            for name, number in acting
        ]
        (tmp_path / f"a-{site}-events-2014-10-01.log").write_text("\n".join(lines))
    assert digest(tmp_path).people == (6, True)
    (tmp_path / "one.log").write_text(lines[0])
    assert str(edxlogs.summary(tmp_path / "one.log")).startswith("1 event, 1 person, ")


def test_many_people_are_estimated_and_said_to_be(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tracking.log").write_bytes(small_logs.lines(3000))
    told = digest(tmp_path)
    assert told.people == (3000, True)
    ((_, _, events, people, is_exact, *_),) = told.tables["courses"].rows
    assert (events, is_exact) == (3000, False)
    assert abs(people - 3000) < 200
    _, out, _ = command(capfd, tmp_path)
    assert f"~{people:,}" in out


def test_unknown_types_and_keys_are_told(tmp_path: Path) -> None:
    context = {"user_id": 1, "course_user_tags": {}, "minted": 1, "d\u00e9j\u00e0": 2}
    many = {f"k{number}": number for number in range(9)}
    lines = [
        small_logs.event(event_type="acme.spun", context=context),
        small_logs.event(event_type="acme.spun", augmented={}),
        small_logs.event(event_type="/a/b"),
        small_logs.event(event_type="play_video", context={**context, **many}),
    ]
    path = tmp_path / "tracking.log"
    path.write_text("\n".join(map(json.dumps, lines)))
    told = digest(path)
    assert told.unknown_types == {"acme.spun": 2}
    expected = [(True, "déjà", 2), (True, "minted", 2), *((True, key, 1) for key in many)]
    assert sorted(told.keys) == sorted([(False, "augmented", 1), *expected])


def test_a_table_of_ones_own_is_written(
    logs: list[Path], rows: list[dict[str, Any]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = counted.groups(rows, ["course_id", "date"])
    by = ["--by", "course,date"]
    assert command(capfd, *logs, *by, "-o", tmp_path / "t.parquet")[0] == 0
    table = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert {
        (row["course_id"], row["date"] and row["date"].isoformat()): row["events"] for row in table
    } == {group: one[0] for group, one in expected.items()}
    assert command(capfd, *logs, *by, "-o", tmp_path / "t.csv", "-q")[0] == 0
    written = list(csv.DictReader(io.StringIO((tmp_path / "t.csv").read_text())))
    assert sum(int(row["events"]) for row in written) == len(rows)
    _, out, _ = command(capfd, *logs, *by, "-o", "-")
    assert out == (tmp_path / "t.csv").read_text()
    _, out, _ = command(capfd, *logs, *by, "--json")
    document = json.loads(out)
    assert len(document["groups"]) == len(expected)
    assert document["total"]["rows"] == len(rows)
    _, out, err = command(capfd, *logs, *by)
    assert len(out.splitlines()) == 1 + len(expected)
    assert "3 sources, " in err


def test_the_screen_is_one_and_tells_the_account(
    logs: list[Path], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    status, out, err = command(capfd, *logs, "--report", report)
    assert status == 0
    assert 20 < len(out.splitlines()) < 50
    assert "rejected: " in out
    assert " withheld" in err
    told = json.loads(report.read_text())
    assert told["summary"]["events"] == told["total"]["rows"] == digest(logs).events
    _, out, _ = command(capfd, *logs, "--json")
    document = json.loads(out)
    assert document["summary"] == told["summary"]
    assert "learner_" not in out


@pytest.mark.parametrize("columns", [40, 60, 80, 300])
def test_a_terminal_need_not_break_the_lines_of_tables(
    logs: list[Path], columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    whole = str(edxlogs.summary(logs)).splitlines()
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    words = [*COMMAND, "summary", "-q", *map(str, logs)]
    with open(master, "rb", closefd=True) as terminal:
        subprocess.run(words, stdout=slave, check=True, timeout=60)
        told = os.read(terminal.fileno(), 1 << 16).decode().splitlines()
        os.close(slave)
    tables = told[3 : next(n for n, line in enumerate(told) if line.startswith("event sources"))]
    assert max(len(line) for line in tables if not line.startswith("and ")) <= columns
    assert (told == whole) == (columns == 300)
    course, shown = (
        next(lines[n + 1] for n, line in enumerate(lines) if line.startswith("course ")).split()
        for lines in (whole, told)
    )
    assert course[0].endswith(shown[0].lstrip("…"))
    assert shown[1:3] == course[1:3]


def test_a_table_with_too_many_groups_is_named_alone(logs: list[Path]) -> None:
    whole = digest(logs)
    tables = {**whole.tables, "types": replace(whole.tables["types"], rows=[])}
    lines = list(screen(replace(whole, tables=tables, left_out=["types"])))
    assert "left out because it has too many groups: types" in lines
    assert not [line for line in lines if line.startswith(("category", "event sources"))]
    assert ["", ""] not in [lines[at : at + 2] for at in range(len(lines))]


@pytest.mark.parametrize("content", [b"", b"\n \n", b'{"a": 1}\n'])
def test_nothing_is_told_to_be_nothing(
    content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tracking.log").write_bytes(content)
    status, out, _ = command(capfd, tmp_path / "tracking.log")
    assert out.startswith("no events\n")
    assert status == (1 if content.startswith(b"{") else 0)


def test_odd_times_and_names_stand_on_the_screen(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    times = ("1970-01-01T00:00:00+00:00", "2038-01-19T03:14:07+00:00", "9999-12-31T23:59:59Z", None)
    odd = [small_logs.event(time=time, event_type="\x1b[31m\u202e<b>") for time in times]
    (tmp_path / "tracking.log").write_bytes(
        small_logs.lines(3000) + "\n".join(map(json.dumps, odd)).encode()
    )
    status, out, _ = command(capfd, tmp_path)
    assert status == 0
    assert "1970-01-01 00:00 to 9999-12-31 23:59 UTC" in out
    assert "by day, 2014-10-01 to 2014-10-01" in out
    assert "\x1b" not in out
    assert "\\x1b[31m\\u202e<b>" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--by", "day"], "by: day: is not a key; use course, org, "),
        (["--by", "course,course_id"], "by: course_id: named twice; name it once"),
        (["--by", "site,date,week,month,year,hour,weekday"], "by: 7 keys: name 6 at most"),
        (["-o", "out.csv"], "output: out.csv: a table needs keys; add --by"),
        (["-o", "out.pdf"], "output: out.pdf: a table needs keys; add --by"),
        (["--by", "site", "-o", "out.html"], "by: a page has tables of its own"),
        (["--by", "site", "-o", "out.jsonl"], "format: jsonl: is for lines; use parquet"),
        (
            ["--by", "site", "-o", "-", "--json"],
            "--json and the table would both go to standard output",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused(
    words: list[str], told: str, logs: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    status, out, err = command(capfd, *logs, *words)
    assert status == 2
    assert told in err
    assert out == ""


def test_a_dataset_stands_alone_and_holds_events(logs: list[Path], tmp_path: Path) -> None:
    edxlogs.write(logs, tmp_path / "events", partition_by=["date"], columns=["time"])
    with pytest.raises(ConfigError, match="is a dataset; name it alone"):
        edxlogs.summary([tmp_path / "events", *logs])
    with pytest.raises(ConfigError, match="holds no column"):
        edxlogs.summary(tmp_path / "events", course="a")
    assert digest(tmp_path / "events").events == digest(logs).events
