"""`edxlogs cat`: it writes what `edxlogs filter` writes, and takes its conditions."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import commands
import edxlogs
import make_package
from edxlogs.generator import exporter
from small_logs import COURSE, event, real_shaped

CONDITIONS = [
    [],
    ["--course", COURSE],
    ["--course", "course-v1:*", "--exclude-course", COURSE],
    ["--event-type", "problem_check", "--event-type", "edx.*"],
    ["--category", "video"],
    ["--event-source", "browser", "--site", "prod"],
    ["--exclude-event-source", "browser"],
    ["--user", "learner_1", "--user", "3"],
    ["--exclude-user", "3"],
    ["--org", "UNIVERSITYX"],
    ["--since", "2014-10-01T12:00:00Z", "--until", "2014-10-02T06:00:00Z"],
    ["--since", "2014-10-02", "--by", "received_at"],
    ["--where", "event.attempts >= 2"],
    ["--where", "context.module.display_name like 'Lab%' or user_id is null"],
    ["--where", "not event_type like '/%' and time < '2014-10-02'"],
    ["--where", "event.success not in ('correct') and event.grade::float64 > 0.5"],
]
NAMED = "time,user_id,event_type,grade=event.grade::float64,block=context.module.usage_key,event"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs, a dataset of them by course and day, and one of their lines."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "logs").mkdir()
    real_shaped(folder / "logs", days=2, megabytes=0.6)
    odd = [
        event(1, username="", page='a "b",\tc\nd', event={"attempts": "2", "grade": "0.75"}),
        event(3, event='{"attempts": 4, "success": "incorrect", "grade": 1}', name="edx.x"),
        event(4, time="no time", event="no JSON", username="=learner_1"),
        event(5, event_type="", name="edx.y", context={"course_id": COURSE, "user_id": "3"}),
    ]
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in odd)
    (folder / "logs/univx-prod-events-2014-10-03.log").write_bytes(lines)
    for words in (
        ("-o", "rows", "--partition-by", "course_id,date"),
        ("-o", "csvs", "--partition-by", "site", "--format", "csv.gz"),
        ("-o", "lines", "--partition-by", "site,date", "--format", "jsonl.gz"),
    ):
        assert commands.run("filter", "logs", *words, "-q", cwd=folder).code == 0
    return folder


def _filtered(world: Path, form: str, *words: str) -> bytes:
    path = world / f"filtered.{form}"
    words = ("-o", path.name, "--overwrite", "-q", *words)
    done = commands.run("filter", "logs", "--slack", "all", *words, cwd=world)
    assert done.code == 0, done.stderr
    return path.read_bytes()


def _records(data: bytes, separator: str = ",") -> list[tuple[str, ...]]:
    """The records of CSV as text, the header first."""
    rows = csv.reader(io.StringIO(data.decode(), newline=""), delimiter=separator)
    header, *others = map(tuple, rows)
    return [header, *sorted(others)]


@pytest.mark.parametrize("conditions", CONDITIONS, ids=" ".join)
@pytest.mark.parametrize("dataset", ["rows", "csvs"])
def test_it_selects_what_filter_selects(world: Path, dataset: str, conditions: list[str]) -> None:
    done = commands.run("cat", dataset, *conditions, cwd=world)
    assert done.code == 0, done.stderr
    wanted = _filtered(world, "csv", *conditions)
    assert _records(done.stdout) == _records(wanted)
    # Byte for byte: null and empty text, quotes, times.
    assert sorted(done.stdout.split(b"\n")) == sorted(wanted.split(b"\n"))


@pytest.mark.parametrize("conditions", CONDITIONS, ids=" ".join)
def test_of_lines_it_gives_those_that_filter_gives(world: Path, conditions: list[str]) -> None:
    done = commands.run("cat", "lines", *conditions, cwd=world)
    assert done.code == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(
        _filtered(world, "jsonl", *conditions).splitlines()
    )


@pytest.mark.parametrize("form", ["csv", "csv.gz", "csv.zst", "tsv", "tsv.gz", "parquet", "arrow"])
def test_it_writes_columns_of_its_own_in_every_format(world: Path, form: str) -> None:
    words = ("--event-type", "problem_check", "--columns", NAMED)
    done = commands.run("cat", "rows", *words, "-o", f"x.{form}", "--overwrite", cwd=world)
    assert (done.code, done.stderr) == (0, "")
    _filtered(world, form, *words)
    mine, theirs = (_table(world / f"{name}.{form}") for name in ("x", "filtered"))
    assert mine == theirs
    assert len(mine) > 2


def _table(path: Path) -> list[tuple[object, ...]]:
    data = path.read_bytes()
    if path.name.endswith(".gz"):
        data = gzip.decompress(data)
    if path.name.endswith(".zst"):
        with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as stream:
            data = stream.read()
    if ".csv" in path.name or ".tsv" in path.name:
        return list(_records(data, "\t" if ".tsv" in path.name else ","))
    table = pq.read_table(path) if path.suffix == ".parquet" else pa.feather.read_table(path)
    fields = tuple((field.name, str(field.type)) for field in table.schema)
    rows = [tuple(row.values()) for row in table.to_pylist()]
    return [fields, *sorted(rows, key=repr)]


def test_json_lines_of_columns_are_objects(world: Path) -> None:
    words = ("--columns", "user_id,time,event_type", "--where", "user_id is not null")
    done = commands.run("cat", "rows", *words, "-o", "x.jsonl.gz", "--json", cwd=world)
    assert done.code == 0
    with gzip.open(world / "x.jsonl.gz") as file:
        rows = [json.loads(line) for line in file]
    assert json.loads(done.stdout)["rows"] == len(rows) > 100
    assert list(rows[0]) == ["user_id", "time", "event_type"]
    assert {len(row["time"]) for row in rows if row["time"]} == {len("2014-10-01T00:00:00.000000Z")}


def test_cells_that_spreadsheets_run_are_made_harmless(world: Path) -> None:
    words = ("--columns", "username", "--user", "=learner_1", "--csv-excel-safe")
    assert commands.run("cat", "rows", *words, cwd=world).stdout == b"username\n'=learner_1\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--user", "x"], "user: the dataset holds no column username; it has time, user_id"),
        (["--course", COURSE], "course: the dataset holds no column course_id; "),
        (["--category", "video"], "event-type: the dataset holds no column event_type; "),
        (["--where", "event.grade > 1"], "where: the dataset holds no column event.grade; "),
        (["--columns", "time,page"], "columns: the dataset holds no column page; it has time, "),
        (["--since", "2014-10-01", "--by", "received_at"], "by: the dataset holds no column rec"),
    ],
)
def test_a_column_that_is_not_held_is_named(world: Path, words: list[str], told: str) -> None:
    if not (world / "few").exists():
        few = ("-o", "few", "--partition-by", "site", "--columns", "time,user_id,g=event.grade")
        assert commands.run("filter", "logs", *few, "-q", cwd=world).code == 0
    done = commands.run("cat", "few", *words, "-o", "none.csv", cwd=world)
    assert done.code == 2
    assert len(done.told) == 1
    assert done.told[0].startswith(f"edxlogs: {told}")
    assert not (world / "none.csv").exists()


def test_a_column_is_asked_for_by_the_name_that_it_has(world: Path) -> None:
    words = ("-o", "named", "--partition-by", "site", "--columns", "time,g=event.grade,event.id")
    assert commands.run("filter", "logs", *words, "-q", cwd=world).code == 0
    columns = ("--columns", "grade=g::float64,event.id", "--where", "g >= 0.5")
    done = commands.run("cat", "named", *columns, cwd=world)
    assert done.code == 0, done.stderr
    header, *rows = _records(done.stdout)
    assert header == ("grade", "event.id")
    wanted = _filtered(
        world, "csv", "--columns", "grade=event.grade::float64,event.id", "--where",
        "event.grade >= 0.5",
    )  # fmt: skip
    assert rows == _records(wanted)[1:]
    assert rows


def test_no_value_of_a_person_is_told(world: Path) -> None:
    for words in (
        ["few2", "--user", "Ms Secret"],
        ["rows", "--where", "username = 'Ms Secret' andd"],
        ["rows", "--where", "nothing = 'Ms Secret'"],
    ):
        done = commands.run("cat", *words, cwd=world)
        assert done.code == 2
        assert "Secret" not in done.stderr


def test_an_ending_and_a_format_that_disagree_are_refused(world: Path) -> None:
    done = commands.run("cat", "rows", "-o", "y.parquet", "--format", "csv", cwd=world)
    assert done.code == 2
    assert done.told[0].startswith("edxlogs: format: csv: does not match y.parquet; ")
    done = commands.run("cat", "rows", "--json", cwd=world)
    assert done.code == 2
    assert "--json and the rows would both go to standard output" in done.told[0]


def test_tables_of_packages_are_asked_by_their_columns(tmp_path: Path) -> None:
    contents = make_package.members(make_package.COURSES[:2], count=50)
    exporter.write(tmp_path / "universityx-2014-10-05.zip", contents)
    words = ("db", "convert", "universityx-2014-10-05.zip", "-o", "t", "-q")
    assert commands.run(*words, cwd=tmp_path).code == 0
    made = [row for path in (tmp_path / "t").glob("auth_user/*/*.parquet") for row in _rows(path)]
    since = datetime.datetime(2014, 2, 1, tzinfo=datetime.UTC)
    wanted = {
        (str(row["id"]), row["username"] or "")
        for row in made
        if not row["is_staff"] and row["last_login"] and row["last_login"] >= since
    }
    where = "is_staff = false and last_login >= '2014-02-01'"
    done = commands.run(
        "cat", "t/auth_user", "--where", where, "--columns", "id,username", cwd=tmp_path
    )
    assert done.code == 0, done.stderr
    header, *rows = _records(done.stdout)
    assert header == ("id", "username")
    assert set(rows) == wanted
    assert 0 < len(wanted) < len(made)
    asked = ("--where", "state.attempts > 1", "--columns", "attempts=state.attempts::int64")
    done = commands.run("cat", "t/courseware_studentmodule", *asked, cwd=tmp_path)
    assert min(int(row[0]) for row in _records(done.stdout)[1:]) > 1


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as file:
        rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    return rows


@pytest.mark.parametrize("form", ["parquet", "csv", "tsv.gz"])
def test_a_dataset_without_rows_has_columns(tmp_path: Path, form: str) -> None:
    (tmp_path / "in.log").write_bytes(b"")
    asked = ("--columns", "time,grade=event.grade::float64,who=username")
    for words in ((), asked):
        told = ("-o", f"out{len(words)}", "--partition-by", "date", "--format", form, "-q", *words)
        assert commands.run("filter", "in.log", *told, cwd=tmp_path).code == 0
        done = commands.run("cat", f"out{len(words)}", cwd=tmp_path)
        assert (done.code, done.stderr) == (0, "")
        file = commands.run("filter", "in.log", *words, "--format", "csv", cwd=tmp_path)
        header = file.stdout.decode().strip()
        beside = ",site,source,line" if words else ""
        assert done.stdout.decode() == f"{header}{beside}\n"


DAYS = ["2014-10-01..2014-10-01", "2014-10-02..", "..2014-10-02", "2014-10-03..2014-10-03"]


@pytest.mark.parametrize("days", DAYS)
@pytest.mark.parametrize("dataset", ["rows", "csvs"])
def test_days_are_those_of_the_logs(world: Path, dataset: str, days: str) -> None:
    done = commands.run("cat", dataset, "--days", days, cwd=world)
    assert (done.code, done.stderr) == (0, "")
    wanted = _filtered(world, "csv", "--days", days)
    assert sorted(done.stdout.split(b"\n")) == sorted(wanted.split(b"\n"))
    assert len(_records(wanted)) > 3
    more = ("--days", days, "--event-source", "browser", "--columns", "user_id,time")
    done = commands.run("cat", dataset, *more, cwd=world)
    assert _records(done.stdout) == _records(_filtered(world, "csv", *more))


def test_days_without_logs_are_told(world: Path) -> None:
    done = commands.run("cat", "rows", "--days", "2015-01-01..", "--columns", "time", cwd=world)
    assert (done.code, done.stdout) == (0, b"time\n")
    assert done.told == [
        "edxlogs: warning: days: 2015-01-01..: no log of rows is from these days; there are logs"
        " from"
        " 2014-10-01 to 2014-10-03"
    ]
    done = commands.run(
        "cat", "rows", "--course", "no/such/one", "--json", "-o", "n.csv", cwd=world
    )
    assert json.loads(done.stdout)["warnings"] == ["rows: no row of it matches"]
    for words, told in (
        (("lines", "--days", "2014-10-01.."), "days: lines: holds lines"),
        (("rows", "--days", "2014-10"), "days: '2014-10': is not a range of days"),
    ):
        done = commands.run("cat", *words, cwd=world)
        assert (done.code, told in done.stderr) == (2, True)


def test_a_log_without_a_day_is_of_any(tmp_path: Path) -> None:
    """As filter reads it; one whose name another text had before is still of its day."""
    names = ("a.log", "univx-prod-events-2014-10-01.log", "univx-prod-events-2014-10-02.log")
    for name in names:
        (tmp_path / name).write_text(json.dumps(event(1, page=name)) + "\n")
        where = ("-o", "rows", "--partition-by", "site", "-q")
        assert commands.run("filter", name, *where, cwd=tmp_path).code == 0
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / names[1]).write_text(json.dumps(event(2, page="other")) + "\n")
    assert commands.run("filter", f"other/{names[1]}", *where, cwd=tmp_path).code == 0
    words = ("--days", "..2014-10-01", "--columns", "page")
    done = commands.run("cat", "rows", *words, cwd=tmp_path)
    assert sorted(done.stdout.split()) == sorted(
        [b"page", b"a.log", b"univx-prod-events-2014-10-01.log", b"other"]
    )
    done = commands.run("cat", "rows", "--columns", "source", cwd=tmp_path)
    assert sum(b"~" in line for line in done.stdout.split()) == 1


def test_python_writes_what_the_command_writes(world: Path) -> None:
    given: dict[str, Any] = {
        "course": COURSE,
        "days": "2014-10-01..",
        "where": "user_id is not null",
    }
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    more = [
        "--columns",
        "time,who=username",
        "--exclude-event-type",
        "page_close",
        "-o",
        "one.csv.gz",
    ]
    assert commands.run("cat", "rows", *words, *more, cwd=world).code == 0
    columns = ["time", "who=username"]
    copied = edxlogs.cat(
        world / "rows",
        world / "two.csv.gz",
        columns=columns,
        exclude_event_type={"page_close"},
        **given,
    )
    one, two = ((world / f"{name}.csv.gz").read_bytes() for name in ("one", "two"))
    assert gzip.decompress(one) == gzip.decompress(two)
    assert copied.rows == len(gzip.decompress(one).splitlines()) - 1 > 10
    assert (copied.is_whole, copied.warnings) == (True, [])
    assert copied.report()["rows"] == copied.rows
    assert str(copied).endswith("two.csv.gz")
    for wrong in ({"format": "xml"}, {"since": "never"}, {"columns": ["a..b"]}, {}):
        with pytest.raises(edxlogs.ConfigError):
            edxlogs.cat(world / "rows", world / "two.csv.gz", **wrong)
