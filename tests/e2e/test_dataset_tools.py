"""Reading a dataset by its manifest, its runs, and its small files joined."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow.compute
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet
import pytest

import commands
import datasets
import edxlogs
import make_package
import product
from datasets import Step, assert_whole, by_place
from edxlogs.generator import exporter
from small_logs import COURSE, expected, lines, plain, real_shaped, without_site, write


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return real_shaped(tmp_path_factory.mktemp("logs"), days=4, megabytes=0.2)


def _grow(cwd: Path, logs: list[Path], *options: str, keys: str = "course_id,date") -> Path:
    """A dataset that grew by a file a night."""
    for count in range(1, len(logs) + 1):
        some = [str(path) for path in logs[:count]]
        told = ("-o", "out", "--partition-by", keys, "-q", *options)
        assert commands.run("filter", *some, *told, cwd=cwd).code == 0
    return cwd / "out"


def _rows(events: pyarrow.dataset.Dataset, condition: Any = None) -> list[dict[str, Any]]:
    names = [name for name in events.schema.names if name not in ("date", "month", "year")]
    return by_place(plain(events.to_table(columns=names, filter=condition)))


@pytest.mark.parametrize("form", ["parquet", "csv", "csv.gz", "tsv"])
def test_it_reads_what_the_oracle_says(tmp_path: Path, logs: list[Path], form: str) -> None:
    out = _grow(tmp_path, logs, "--format", form, keys="event_type,date")
    events = edxlogs.dataset(out)
    wanted = by_place(expected(*logs))
    # The types of requests are told as they are, though they share a folder.
    product.assert_same_rows(without_site(_rows(events)), wanted)
    day = pyarrow.compute.field("date") == "2014-10-02"
    some = [row for row in wanted if row["time"] and _day(row) == "2014-10-02"]
    product.assert_same_rows(without_site(_rows(events, day)), some)
    frame = polars.scan_pyarrow_dataset(events)
    count = frame.filter(polars.col("course_id") == COURSE).select(polars.len()).collect().item()
    assert count == sum(row["course_id"] == COURSE for row in wanted)
    found = duckdb.sql("select count(*) from events where date = '2014-10-02'")
    assert found is not None
    assert found.fetchall() == [(len(some),)]


def _day(row: dict[str, Any]) -> str:
    return str(pyarrow.scalar(row["time"], pyarrow.timestamp("us")).as_py().date())


def test_a_filter_opens_only_files_of_its_partitions(tmp_path: Path, logs: list[Path]) -> None:
    out = _grow(tmp_path, logs)
    for path in datasets.files(out):
        if "date=2014-10-02" not in path:
            (out / path).write_bytes(b"not Parquet")
    events = edxlogs.dataset(out)
    some = events.to_table(columns=["time"], filter=pyarrow.compute.field("date") == "2014-10-02")
    assert some.num_rows == sum(_day(row) == "2014-10-02" for row in expected(*logs) if row["time"])


def test_it_reads_the_old_state_or_the_new_one(tmp_path: Path, logs: list[Path]) -> None:
    inputs = tmp_path / "in"
    inputs.mkdir()
    for path in logs:
        (inputs / path.name).write_bytes(path.read_bytes())
    command: list[str | Path] = ["filter", "in", "-o", "out", "--partition-by", "course_id", "-q"]
    assert commands.run(*command, cwd=tmp_path).code == 0
    old = _rows(edxlogs.dataset(tmp_path / "out"))
    write(inputs / logs[1].name, lines(50))
    copy = tmp_path / "copy"
    steps = _steps(tmp_path, command, copy)
    new: list[dict[str, Any]] | None = None
    heads = [at for at, step in enumerate(steps) if step.paths[-1].name == "head"]
    for at in range(heads[0] - 3, len(steps), 2):
        _restore(copy, tmp_path / "out")
        datasets.run(*command, cwd=tmp_path, kill_at=at)
        rows = _rows(edxlogs.dataset(tmp_path / "out"))
        if at <= heads[0]:
            assert rows == old
        else:
            new = new or rows
            assert rows == new
    assert new is not None
    assert len(new) == len(old) - len(expected(logs[1])) + 50


def _steps(cwd: Path, command: list[str | Path], copy: Path) -> list[Step]:
    """The steps of a run, after which the dataset is as it was."""
    _restore(cwd / "out", copy)
    steps = datasets.run(*command, cwd=cwd)[1]
    _restore(copy, cwd / "out")
    return steps


def _restore(source: Path, target: Path) -> None:
    import shutil

    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


@pytest.mark.parametrize("form", ["parquet", "csv", "tsv.gz", "jsonl", "jsonl.gz", "jsonl.zst"])
def test_compact(tmp_path: Path, logs: list[Path], form: str) -> None:
    inputs = tmp_path / "in"
    inputs.mkdir()
    own = [inputs / path.name for path in logs]
    for path, target in zip(logs, own, strict=True):
        target.write_bytes(path.read_bytes())
    out = _grow(tmp_path, own, "--format", form, keys="course_id")
    before = len(datasets.files(out))
    shown = commands.run("cat", "out", cwd=tmp_path).stdout
    done = commands.run("compact", "out", cwd=tmp_path)
    assert done.code == 0
    assert_whole(out)
    folders = {path.rpartition("/")[0] for path in datasets.files(out)}
    assert len(datasets.files(out)) == len(folders) < before
    assert f"{before} files before, {len(folders)} now" in done.stderr
    again = commands.run("cat", "out", cwd=tmp_path).stdout
    assert sorted(again.splitlines()) == sorted(shown.splitlines())
    # A part in the middle of a file is still replaced alone.
    write(own[1], lines(40))
    options = ("--partition-by", "course_id", "-q", "--format", form)
    for name in ("out", "new"):
        assert commands.run("filter", *own, "-o", name, *options, cwd=tmp_path).code == 0
        assert_whole(tmp_path / name)
    mine, theirs = (commands.run("cat", name, cwd=tmp_path).stdout for name in ("out", "new"))
    assert sorted(mine.splitlines()) == sorted(theirs.splitlines())
    assert commands.run("compact", "out", cwd=tmp_path).code == 0
    assert "0 were joined" in commands.run("compact", "out", cwd=tmp_path).stderr
    assert b"stopped" not in commands.run("runs", "out", cwd=tmp_path).stdout


def test_compact_is_killed_at_every_step(tmp_path: Path, logs: list[Path]) -> None:
    out = _grow(tmp_path, logs, keys="site")
    copy = tmp_path / "copy"
    rows = _rows(edxlogs.dataset(out))
    steps = _steps(tmp_path, ["compact", "out"], copy)
    for at in range(0, len(steps), 2):
        _restore(copy, out)
        datasets.lose_power(datasets.run("compact", "out", cwd=tmp_path, kill_at=at)[1])
        assert _rows(edxlogs.dataset(out)) == rows
        assert commands.run("compact", "out", "-q", cwd=tmp_path).code == 0
        assert_whole(out)
        assert _rows(edxlogs.dataset(out)) == rows


def test_cat_chooses(tmp_path: Path, logs: list[Path]) -> None:
    _grow(tmp_path, logs)
    wanted = [
        row
        for row in by_place(expected(*logs))
        if row["course_id"] == COURSE and row["time"] and _day(row) == "2014-10-02"
    ]
    choice = ("--course", COURSE, "--since", "2014-10-02", "--until", "2014-10-03")
    columns = ("--columns", "source,line,line_item,event_type")
    done = commands.run("cat", "out", *choice, *columns, cwd=tmp_path)
    assert done.code == 0
    table = pyarrow.csv.read_csv(io.BytesIO(done.stdout))
    assert [datasets.place(row) for row in by_place(table.to_pylist())] == [
        datasets.place(row) for row in wanted
    ]
    done = commands.run("cat", "out", *choice, "-o", "some.parquet", cwd=tmp_path)
    assert done.code == 0
    found = by_place(plain(pyarrow.parquet.read_table(tmp_path / "some.parquet")))
    names = list(wanted[0])
    product.assert_same_rows([{name: row[name] for name in names} for row in found], wanted)


def test_runs(tmp_path: Path, logs: list[Path]) -> None:
    out = _grow(tmp_path, logs[:2])
    done = commands.run("runs", "out", "--json", cwd=tmp_path)
    assert done.code == 0
    document = json.loads(done.stdout)
    assert document["query"]["partition_by"] == ["course_id", "date"]
    assert [run["rows"] for run in document["runs"]] == [len(expected(path)) for path in logs[:2]]
    assert sum(run["added"] for run in document["runs"]) == len(datasets.files(out))
    assert {run["ended"] for run in document["runs"]} == {"done"}
    text = commands.run("runs", "out", cwd=tmp_path).stdout.decode().splitlines()
    assert text[0].startswith("query: {")
    assert len(text) == 4


@pytest.mark.parametrize("command", ["runs", "cat", "compact"])
def test_a_folder_that_is_no_dataset(tmp_path: Path, command: str) -> None:
    (tmp_path / "out").mkdir()
    done = commands.run(command, "out", cwd=tmp_path)
    assert done.code == 2
    assert "name a folder that edxlogs filter --partition-by" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(edxlogs.ConfigError, match="is not a dataset"):
        edxlogs.dataset(tmp_path / "out")


def test_lines_are_no_columns(tmp_path: Path, logs: list[Path]) -> None:
    out = _grow(tmp_path, logs[:1], "--format", "jsonl")
    with pytest.raises(edxlogs.ConfigError, match="holds lines"):
        edxlogs.dataset(out)
    done = commands.run("cat", "out", "--columns", "time", cwd=tmp_path)
    assert (done.code, done.stdout) == (2, b"")
    assert "out: holds lines, which have no columns; " in done.told[0]


def test_cat_leaves_the_dataset_alone(tmp_path: Path, logs: list[Path]) -> None:
    out = _grow(tmp_path, logs[:1])
    before = datasets.files(out)
    path = next(out.rglob("part-*.parquet"))
    for target in (path, out / "_edxlogs" / "more.csv"):
        done = commands.run("cat", "out", "-o", target, "--overwrite", cwd=tmp_path)
        assert done.code == 2
        assert done.told[0].endswith(f"is inside the dataset {out}; name a place outside of it")
    assert datasets.files(out) == before


def test_lines_are_not_written_as_columns(tmp_path: Path, logs: list[Path]) -> None:
    _grow(tmp_path, logs[:1], "--format", "jsonl")
    for words in (("-o", "rows.parquet"), ("--format", "csv"), ("-o", "rows.csv")):
        done = commands.run("cat", "out", *words, cwd=tmp_path)
        assert done.code == 2
        assert done.told == [
            "edxlogs: format: out: holds lines, which cat only copies whole; choose a name that"
            " ends in"
            " .jsonl"
        ]
        assert not list(tmp_path.glob("rows.*"))


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl.gz"])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_cat_names_a_file_that_is_damaged(
    tmp_path: Path, logs: list[Path], form: str, damage: str
) -> None:
    path = max(_grow(tmp_path, logs[:1], "--format", form).rglob("part-*"))
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    done = commands.run("cat", "out", cwd=tmp_path)
    assert (done.code, done.stdout) == (1, b"")
    (told,) = done.stderr.splitlines()
    assert told.startswith("edxlogs: dataset: out: ")
    assert path.name in told
    assert "is missing or damaged" in told


@pytest.mark.parametrize("form", ["parquet", "jsonl.gz"])
def test_check_names_files_that_are_gone(tmp_path: Path, logs: list[Path], form: str) -> None:
    out = _grow(tmp_path, logs[:2], "--format", form)
    files = datasets.manifest(out)["files"]
    parts = sorted(path for path in files if not path.startswith("_edxlogs/"))
    events = 0 if form == "parquet" else len(expected(*logs[:2]))
    if form == "parquet":
        edxlogs.publish(out)  # its log is no log of events
    done = commands.run("check", "out", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert (done.code, told["total"]["rows"]) == (0, events)
    assert told["datasets"] == [{"dataset": "out", "files": len(files), "lacking": []}]
    assert edxlogs.check([out, *logs[:1]]).account.total.rows == events + len(expected(logs[0]))

    (out / parts[1]).unlink()
    done = commands.run("check", "out", cwd=tmp_path)
    assert done.code == 1
    assert done.told == [
        f"edxlogs: dataset: out: {parts[1]}: is missing or damaged; restore it, or make the"
        " dataset again in another folder"
    ]
    (out / parts[0]).write_bytes((out / parts[0]).read_bytes()[:-1])
    done = commands.run("check", "out", "--report", "account.json", cwd=tmp_path)
    assert done.code == 1
    assert done.told[0] == (
        f"edxlogs: dataset: out: 2 of {len(files)} files are missing or damaged, such as"
        f" {parts[0]}; restore them, or make the dataset again in another folder"
    )
    told = json.loads((tmp_path / "account.json").read_bytes())
    assert told["datasets"][0]["lacking"] == parts[:2]
    assert told["failed"] == [done.told[0].removeprefix("edxlogs: ")]


def test_check_of_tables(tmp_path: Path, logs: list[Path]) -> None:
    asked: Any = {"tables": ["requests", "video_events"], "partition_by": "site"}
    edxlogs.write_event_tables(logs[0], tmp_path / "out", **asked)
    assert edxlogs.check(tmp_path / "out").is_whole
    (path,) = (tmp_path / "out" / "video_events").rglob("part-*")
    path.unlink()
    assert not edxlogs.check(tmp_path / "out" / "video_events").is_whole
    # Logs beside tables are read.
    (tmp_path / "out" / "a.log").write_bytes(lines(3))
    done = commands.run("check", "out", cwd=tmp_path)
    assert (done.code, len(done.told)) == (1, 1)
    assert f"dataset: out/video_events: site=edge/{path.name}: is missing" in done.told[0]
    assert "\nout/requests: 1 file, all there\n" in done.stderr
    assert "\n3 events checked\n" in done.stderr


def test_cat_tells_of_damage_without_a_row(tmp_path: Path, logs: list[Path]) -> None:
    path = next(_grow(tmp_path, logs[:1]).rglob("part-*"))
    path.write_bytes(b"secret" + bytes(path.stat().st_size - 6))
    done = commands.run("cat", "out", "-o", "rows.csv", cwd=tmp_path)
    assert done.code == 1
    assert "out: a file of it: is missing or damaged" in done.told[0]
    assert "secret" not in done.stderr
    assert not (tmp_path / "rows.csv").exists()


def test_a_full_disk_names_the_output(tmp_path: Path, logs: list[Path]) -> None:
    _grow(tmp_path, logs[:1])
    source = str(logs[0])
    for words, name in (
        (["cat", "out", "-o", "rows.csv"], "rows.csv"),
        (["filter", source, "-o", "new", "--partition-by", "site", "--format", "jsonl"], "new"),
    ):
        process = commands.start(*words, cwd=tmp_path, preexec_fn=commands.small_files)
        done = commands.finish(process)
        assert done.code == 1
        (told,) = done.stderr.splitlines()
        assert told.startswith(f"edxlogs: output: {name}: File too large")
        assert "; make room, " in told
    assert not (tmp_path / "rows.csv").exists()


def test_no_dataset_is_in_another(tmp_path: Path) -> None:
    (tmp_path / "in.log").write_bytes(lines(3))
    package = "universityx-2014-10-05.zip"
    contents = make_package.members(make_package.COURSES[:1], count=5)
    exporter.write(tmp_path / package, contents)
    rows = ("filter", "in.log", "--partition-by", "date", "-q")
    assert commands.run(*rows, "-o", "held/rows", cwd=tmp_path).code == 0
    (tmp_path / "link").symlink_to("held/rows")
    before = datasets.files(tmp_path / "held/rows")
    for words in (
        (*rows, "-o", "held/rows/more"),
        (*rows, "-o", "link/a/b"),
        ("filter", "in.log", "-o", "held/rows/one.csv"),
        ("filter", "in.log", "-o", "link/one.csv"),
        ("filter", "in.log", "-o", "one.csv", "--report", "held/rows/account.json"),
        ("filter", "in.log", "-o", "one.csv", "--rejects", "held/rows/date=2014-10-01/bad.txt"),
        ("cat", "held/rows", "-o", "link/one.csv"),
        ("db", "convert", package, "-o", "held/rows/tables"),
        ("merge", "held/rows", "-o", "held/rows/merged"),
    ):
        done = commands.run(*words, cwd=tmp_path)
        assert (done.code, len(done.told)) == (2, 1), (words, done.stderr)
        assert f"is inside the dataset {tmp_path}/held/rows; name a place outside" in done.stderr
    for words in ((*rows, "-o", "held"), ("db", "convert", package, "-o", "held")):
        done = commands.run(*words, cwd=tmp_path)
        assert (done.code, len(done.told)) == (2, 1), (words, done.stderr)
    assert "output: held: holds the dataset rows; name a folder beside it" in done.stderr
    done = commands.run(*rows, "-o", "new", "--report", "new/account.json", cwd=tmp_path)
    assert (done.code, "are not part of the dataset" in done.stderr) == (2, True)
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "held/_edxlogs").exists()
    assert datasets.files(tmp_path / "held/rows") == before
    (tmp_path / "job.toml").write_text(
        'sources = ["in.log"]\nreports = "out/reports"\n'
        '[[dataset]]\noutput = "out"\npartition_by = ["date"]\n'
    )
    done = commands.run("run", "job.toml", cwd=tmp_path)
    assert (done.code, "reports: are inside an output" in done.stderr) == (2, True)
