"""Partitioned datasets: what readers of folders find in them, whatever is in the logs."""

from __future__ import annotations

import datetime
import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow.dataset
import pyarrow.parquet
import pytest

import datasets
import product
import small_logs
from commands import event, report, run
from datasets import assert_whole, by_place, partition
from small_logs import expected, plain, real_shaped, without_site


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return real_shaped(tmp_path_factory.mktemp("logs"), days=5)


def _write(cwd: Path, logs: list[Path], keys: str, *options: str, out: str = "out") -> Path:
    done = run("filter", *logs, "-o", out, "--partition-by", keys, *options, cwd=cwd)
    assert done.code == 0, done.stderr
    assert_whole(cwd / out)
    return cwd / out


def _day(row: dict[str, Any], characters: int) -> str | None:
    if row["time"] is None:
        return None
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=row["time"])
    return moment.isoformat()[:characters]


def _value(row: dict[str, Any], key: str) -> str | None:
    """The value of a partition key for a row of the oracle's."""
    length = {"date": 10, "month": 7, "year": 4}.get(key)
    if length is not None:
        return _day(row, length)
    value: str | None = row[key] or None
    return "(url)" if key == "event_type" and value and value.startswith("/") else value


@pytest.mark.parametrize(
    "keys", ["course_id,date", "org_id,month", "event_type", "event_source,year"]
)
def test_every_row_is_in_its_partition(tmp_path: Path, logs: list[Path], keys: str) -> None:
    out = _write(tmp_path, logs, keys)
    wanted = expected(*logs)
    rows = []
    for path in datasets.files(out):
        found = plain(pyarrow.parquet.read_table(out / path))
        rows += found
        values = partition(path)
        assert list(values) == keys.split(",")
        for row in found:
            assert {key: _value(row, key) for key in values} == values
    product.assert_same_rows(without_site(by_place(rows)), by_place(wanted))


def test_readers_of_folders_see_one_table(tmp_path: Path, logs: list[Path]) -> None:
    out = _write(tmp_path, logs, "course_id,date")
    wanted = by_place(expected(*logs))
    names = [*wanted[0], "site"]

    arrow = pyarrow.dataset.dataset(out, partitioning="hive").to_table()
    product.assert_same_rows(without_site(by_place(plain(arrow.select(names)))), wanted)
    glob = f"{out}/**/*.parquet"
    query = f"select * from read_parquet('{glob}', hive_partitioning=true)"
    relation = duckdb.connect().sql(query)
    assert relation is not None
    table: pyarrow.Table = relation.to_arrow_table()
    assert sorted(table["course_id"].to_pylist(), key=str) == sorted(
        (row["course_id"] for row in wanted), key=str
    )
    frame = polars.read_parquet(glob, hive_partitioning=True)
    product.assert_same_rows(
        without_site(
            by_place(plain(frame.select(names).to_arrow().cast(arrow.select(names).schema)))
        ),
        wanted,
    )
    for days in (table["date"].to_pylist(), frame["date"].to_list()):
        assert sorted(map(str, days)) == sorted(str(_day(row, 10)) for row in wanted)


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_lines_are_split_byte_for_byte(tmp_path: Path, logs: list[Path], ending: str) -> None:
    done = run("filter", *logs, "-o", "all.jsonl", cwd=tmp_path)
    assert done.code == 0
    lines = (tmp_path / "all.jsonl").read_bytes().splitlines(keepends=True)
    wanted = defaultdict(list)
    for line, row in zip(lines, expected(*logs), strict=True):
        wanted[row["course_id"]].append(line)
    out = _write(tmp_path, logs, "course_id", "--format", ending)
    found = {}
    for path in datasets.files(out):
        content = (out / path).read_bytes()
        if ending == "jsonl.gz":
            content = gzip.decompress(content)
        elif ending == "jsonl.zst":
            content = pyarrow.input_stream(out / path, compression="zstd").read()
        found[partition(path)["course_id"]] = content.splitlines(keepends=True)
    assert found == dict(wanted)


def test_csv_comes_back(tmp_path: Path, logs: list[Path]) -> None:
    columns = "time,course_id,event,source,line,line_item"
    out = _write(tmp_path, logs, "course_id", "--format", "csv", "--columns", columns)
    rows = []
    for path in datasets.files(out):
        found = product.csv_rows((out / path).read_bytes())
        assert {row["course_id"] for row in found} == {partition(path)["course_id"]}
        rows += found
    wanted = by_place(expected(*logs))
    assert len(rows) == len(wanted)
    rows.sort(key=lambda row: (row["source"], int(row["line"]), int(row["line_item"])))
    for row, want in zip(rows, wanted, strict=True):
        assert row["course_id"] == want["course_id"]
        assert (None if row["time"] is None else product.microseconds(row["time"])) == want["time"]
        # Asked for or not, every row tells where it is from.
        assert row["site"] in ("prod", "edge")


@pytest.mark.parametrize("ending", ["parquet", "jsonl.gz", "csv"])
def test_threads_change_nothing(tmp_path: Path, logs: list[Path], ending: str) -> None:
    trees = [
        datasets.files(
            _write(
                tmp_path, logs, "course_id", "--format", ending, "--threads", threads, out=threads
            )
        )
        for threads in ("1", "4")
    ]
    assert trees[0] == trees[1]


def test_known_courses_keep_the_others_together(tmp_path: Path, logs: list[Path]) -> None:
    (tmp_path / "known").write_text(f"{small_logs.COURSE}\n")
    out = _write(tmp_path, logs, "course_id", "--known-courses", "known")
    values = {partition(path)["course_id"] for path in datasets.files(out)}
    assert values == {None, small_logs.COURSE}
    others = pyarrow.dataset.dataset(
        [f for f in map(str, out.rglob("*.parquet")) if "HIVE_DEFAULT" in f]
    ).to_table()
    # Their own course is still told.
    assert len(set(others["course_id"].to_pylist())) > 2


def test_odd_courses_have_safe_folders(tmp_path: Path) -> None:
    courses = [
        "Univ/../x",
        "édX/Économie/2014",
        "a/%2e/b",
        "A/b/c",
        "a/b/c",
        f"course-v1:О+{'я' * 60}+1",
    ]
    content = b"".join(
        event(number, context={"course_id": course}) for number, course in enumerate(courses)
    )
    (tmp_path / "tracking.log").write_bytes(content)
    out = _write(tmp_path, [tmp_path / "tracking.log"], "course_id")
    folders = {path.split("/")[0] for path in datasets.files(out)}
    assert all(path.count("/") == 1 for path in datasets.files(out))
    assert all(len(name.encode()) <= 255 and name.isascii() for name in folders)
    table = pyarrow.dataset.dataset(
        sorted(map(str, out.rglob("*.parquet"))), schema=None
    ).to_table()
    told = {row["course_id"] for row in table.to_pylist()}
    values = {partition(path)["course_id"] for path in datasets.files(out)}
    assert {value for value in values if "~" not in str(value)} == {
        course for course in told if len(str(course)) < 60
    }
    assert len(folders) == len(told)


def test_a_folder_whose_name_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "tracking.log").write_bytes(event())
    name = b"out\xff"
    told = ("-o", name, "--partition-by", "site")
    for count in (1, 0):
        done = run("filter", "tracking.log", *told, cwd=tmp_path)
        assert done.code == 0
        assert f"1 row in out\\xff: {count} source" in done.stderr
    done = run("cat", name, cwd=tmp_path)
    assert done.code == 2
    assert "out\\xff: pyarrow reads only names in UTF-8; rename the folder" in done.told[0]
    assert run("compact", name, cwd=tmp_path).code == 0


def test_too_many_partitions(tmp_path: Path) -> None:
    lines = (event(n, context={"course_id": f"U/{n}/1"}, event="") for n in range(20_001))
    (tmp_path / "tracking.log").write_bytes(b"".join(lines))
    done = run("filter", "tracking.log", "-o", "out", "--partition-by", "course_id", cwd=tmp_path)
    assert done.code == 2
    assert "more than 20000 partitions" in done.stderr
    assert "--known-courses FILE" in done.stderr
    assert "--course-from context" in done.stderr
    assert datasets.files(tmp_path / "out") == {}


def test_files_end_at_their_size(tmp_path: Path) -> None:
    logs = [
        small_logs.write(tmp_path / f"tracking.log-{at}", small_logs.lines(3000, 3000 * at))
        for at in range(6)
    ]
    size = ("--target-file-size", "1MiB")
    out = _write(tmp_path, logs, "org_id", "--format", "jsonl", *size)
    paths = _in_order(list(datasets.files(out)))
    assert len(paths) > 2
    assert all((out / path).stat().st_size < 3 << 20 for path in paths)
    joined = b"".join((out / path).read_bytes() for path in paths)
    assert joined == small_logs.lines(18_000)


def _in_order(paths: list[str]) -> list[str]:
    return sorted(paths, key=lambda path: (path.count("-", path.rindex("part-")), len(path), path))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--partition-by", "course"], "'course': is not a partition key"),
        (["--partition-by", "course_id,course_id"], "named twice"),
        (["--partition-by", "course_id", "--raw"], "does not go with --partition-by"),
        (
            ["--partition-by", "course_id", "--format", "arrow"],
            "arrow: is not for datasets; use",
        ),
        (
            ["--partition-by", "course_id", "--format", "csv.zst"],
            "is not for datasets; use",
        ),
        (["--partition-by", "course_id", "-o", "s3://B/x"], "names no bucket; write it like"),
        (["--partition-by", "course_id", "-o", "-"], "is a folder; name one with -o"),
    ],
)
def test_wrong_use(tmp_path: Path, options: list[str], told: str) -> None:
    (tmp_path / "tracking.log").write_bytes(event())
    where = [] if "-o" in options else ["-o", "out"]
    done = run("filter", "tracking.log", *where, *options, cwd=tmp_path)
    assert done.code == 2
    assert told in done.stderr
    assert len(done.told) == 1
    assert not (tmp_path / "out").exists()


def test_the_report_counts_what_is_there(tmp_path: Path, logs: list[Path]) -> None:
    out = _write(tmp_path, logs, "course_id", "--report", "report.json", "--rejects", "rejects")
    document = report(tmp_path / "report.json")
    rows = pyarrow.dataset.dataset(out, partitioning="hive").count_rows()
    assert document["rows_written"] == rows == len(expected(*logs))
    done = run("filter", *logs, "-o", "one.csv", "--rejects", "same", cwd=tmp_path)
    assert done.code == 0
    assert (tmp_path / "rejects").read_bytes() == (tmp_path / "same").read_bytes()
    assert json.dumps(document)  # plain data


def test_who_may_read_it(tmp_path: Path, logs: list[Path]) -> None:
    out = _write(tmp_path, logs, "course_id")
    assert {path.stat().st_mode & 0o777 for path in out.rglob("*") if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in out.rglob("*") if path.is_dir()} == {0o700}
    out = _write(tmp_path, logs, "course_id", "--mode", "640", out="shared")
    home = out / "_edxlogs"
    assert home.stat().st_mode & 0o777 == 0o750
    # Who may read the dataset may read what is needed to read it, and no more.
    assert {path.name: path.stat().st_mode & 0o777 for path in home.iterdir()} == {
        "head": 0o640,
        "segments": 0o640,
        "lock": 0o600,
        "new": 0o700,
    }
    for path in (out, *out.glob("course_id=*")):
        assert path.stat().st_mode & 0o777 == 0o750
        assert {file.stat().st_mode & 0o777 for file in path.glob("part-*")} <= {0o640}
