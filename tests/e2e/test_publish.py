"""Datasets as Delta tables: what readers of Delta see, over all that can happen to a dataset."""

from __future__ import annotations

import json
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.compute
import pyarrow.parquet
import pytest

import commands
import datasets
import deltas
import edxlogs
import make_package
from datasets import lose_power
from deltas import assert_tells_the_same, broken_off, held_by, rows_of, versions
from edxlogs.generator import exporter
from small_logs import lines, real_shaped, write

KEYS = "course_id,date"


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return real_shaped(tmp_path_factory.mktemp("logs"), days=3, megabytes=0.1)


def _filter(cwd: Path, *sources: Path, keys: str = KEYS, **words: Any) -> Path:
    done = edxlogs.write(list(sources), cwd / "out", partition_by=keys.split(","), **words)
    assert done.is_whole
    return cwd / "out"


def _publish(folder: Path) -> str:
    return str(edxlogs.publish(folder))


def _data(folder: Path) -> set[str]:
    """Files with rows on disk."""
    return {path for path in datasets.files(folder) if "_delta_log" not in path}


def _grace_is_over(folder: Path) -> None:
    place = folder / "_edxlogs" / "published"
    told = [[number, f"2001{moment[4:]}"] for number, moment in json.loads(place.read_bytes())]
    place.write_text(json.dumps(told))


def test_a_run_a_version(tmp_path: Path, logs: list[Path]) -> None:
    out = _filter(tmp_path, logs[0])
    assert _publish(out).startswith("version 0 of ")
    assert_tells_the_same(out)
    _filter(tmp_path, *logs)
    _publish(out)
    assert_tells_the_same(out)
    first, second = versions(out)
    assert [one["txn"]["appId"] for one in (*first, *second) if "txn" in one] == ["edxlogs"] * 2
    numbers = [one["txn"]["version"] for one in (*first, *second) if "txn" in one]
    assert numbers[1] == datasets.manifest(out)["commits"]
    assert not [one for one in second if "metaData" in one or "remove" in one]


def test_the_same_words_again_do_nothing(tmp_path: Path, logs: list[Path]) -> None:
    out = _filter(tmp_path, *logs)
    _publish(out)

    def state() -> dict[str, bytes]:
        return {
            str(path): path.read_bytes()
            for path in sorted(out.rglob("*"))
            if path.is_file() and path.name != "lock"
        }

    before = state()
    assert "0 files added, 0 removed" in _publish(out)
    assert state() == before


def test_old_versions_are_read_until_the_grace_is_over(tmp_path: Path) -> None:
    log = write(tmp_path / "universityx-prod-events-2014-10-01.log.gz", lines(40))
    other = write(tmp_path / "universityx-edge-events-2014-10-02.log.gz", lines(9, first=90_000))
    out = _filter(tmp_path, log, other)
    _publish(out)
    first, files = held_by(out), _data(out)
    write(log, lines(70, username="somebody else"))
    _filter(tmp_path, log, other)
    # Not told yet: what the table has is all there.
    assert rows_of(out) == first != held_by(out)
    _publish(out)
    assert_tells_the_same(out)
    assert rows_of(out, version=0) == first
    second = held_by(out)
    assert edxlogs.compact(out).joined == 0
    done = commands.run("clean", out, cwd=tmp_path)
    assert (done.code, done.stderr) == (0, "0 files removed; 1 waits until 7 days have passed\n")
    assert _data(out) > files
    _grace_is_over(out)
    assert commands.run("clean", out, "--json", cwd=tmp_path).stdout.count(b'"removed": 1')
    assert rows_of(out) == held_by(out) == second
    assert _data(out) == {path for path in datasets.manifest(out)["files"] if path[0] != "_"}
    assert commands.run("clean", out, cwd=tmp_path).stderr == "0 files removed\n"


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset that was published, and has changed since: files came and went."""
    cwd = tmp_path_factory.mktemp("changed")
    log = write(cwd / "universityx-prod-events-2014-10-01.log.gz", lines(20))
    out = _filter(cwd, log, keys="date")
    _publish(out)
    other = write(cwd / "universityx-edge-events-2014-10-02.log.gz", lines(9, first=90_000))
    write(log, lines(30, username="somebody else"))
    return _filter(cwd, log, other, keys="date")


@pytest.mark.parametrize("is_first", [False, True])
def test_a_publication_that_was_killed_is_made_good(
    tmp_path: Path, changed: Path, is_first: bool
) -> None:
    def copy(name: str) -> Path:
        folder = Path(shutil.copytree(changed, tmp_path / name / "out"))
        if is_first:
            shutil.rmtree(folder / "_delta_log")
            (folder / "_edxlogs" / "published").unlink()
        return folder

    wanted = held_by(changed)
    before = {} if is_first else rows_of(changed)
    whole = copy("whole")
    steps = broken_off(lambda: edxlogs.publish(whole), -1, tmp_path / "steps")
    last = len(versions(whole))
    order = [step.name for step in steps]
    assert order.count("link") == 1
    # What the log names is on disk before, and the log itself when it counts.
    link = order.index("link")
    assert "sync-all" in order[:link]
    assert order[link + 1] == "sync-folder"
    for at in range(len(steps)):
        out = copy(str(at))
        done = broken_off(partial(edxlogs.publish, out), at, out.parent / "steps")
        if at % 2:
            lose_power(done)
        there = (out / "_delta_log" / f"{last - 1:020}.json").exists()
        assert not there or (out / "_edxlogs" / "published").exists()
        if there or not is_first:
            assert rows_of(out) == (wanted if there else before), steps[at]
        edxlogs.publish(out)
        assert len(versions(out)) == last, steps[at]
        assert_tells_the_same(out)
        assert list((out / "_edxlogs" / "new").iterdir()) == []


@pytest.mark.slow
def test_publications_that_are_killed_as_processes(tmp_path: Path, changed: Path) -> None:
    words = ("publish", "out", "--as", "delta", "-q")
    whole = Path(shutil.copytree(changed, tmp_path / "whole" / "out"))
    code, steps = datasets.run(*words, cwd=whole.parent)
    assert code == 0
    for at in range(len(steps)):
        out = Path(shutil.copytree(changed, tmp_path / str(at) / "out"))
        datasets.run(*words, cwd=out.parent, kill_at=at)
        assert datasets.run(*words, cwd=out.parent)[0] == 0
        assert len(versions(out)) == len(versions(whole)), steps[at]
        assert_tells_the_same(out)


def test_runs_that_were_killed_leave_what_the_table_tells(tmp_path: Path, changed: Path) -> None:
    told = rows_of(changed)
    whole = Path(shutil.copytree(changed, tmp_path / "whole" / "out"))
    steps = broken_off(lambda: edxlogs.compact(whole), -1, tmp_path / "steps")
    for at in range(len(steps)):
        out = Path(shutil.copytree(changed, tmp_path / str(at) / "out"))
        done = broken_off(partial(edxlogs.compact, out), at, out.parent / "steps")
        if at % 2:
            lose_power(done)
        assert rows_of(out) == told, steps[at]
        edxlogs.compact(out)
        assert _data(out) == _data(whole), steps[at]
        assert rows_of(out) == told


def test_a_clean_that_was_killed_goes_on(tmp_path: Path, changed: Path) -> None:
    whole = Path(shutil.copytree(changed, tmp_path / "whole" / "out"))
    _publish(whole)
    _grace_is_over(whole)
    before = Path(shutil.copytree(whole, tmp_path / "before" / "out"))
    steps = broken_off(lambda: edxlogs.clean(whole), -1, tmp_path / "steps")
    assert len(_data(before)) == len(_data(whole)) + 1
    for at in range(len(steps)):
        out = Path(shutil.copytree(before, tmp_path / str(at) / "out"))
        broken_off(partial(edxlogs.clean, out), at, out.parent / "steps")
        edxlogs.clean(out)
        assert _data(out) == _data(whole), steps[at]
        assert_tells_the_same(out)


def test_the_next_run_cleans_as_well(tmp_path: Path, changed: Path, logs: list[Path]) -> None:
    out = Path(shutil.copytree(changed, tmp_path / "out"))
    _publish(out)
    _grace_is_over(out)
    retired = _data(out) - set(datasets.manifest(out)["files"])
    assert len(retired) == 1
    _filter(tmp_path, logs[0], keys="date")
    assert not retired & _data(out)


def test_what_is_not_told_yet_stays_however_old_it_is(tmp_path: Path, changed: Path) -> None:
    out = Path(shutil.copytree(changed, tmp_path / "out"))
    _grace_is_over(out)
    told = rows_of(out)
    assert commands.run("clean", out, cwd=tmp_path).stderr.startswith("0 files removed; 1 waits")
    assert rows_of(out) == told


def test_a_dataset_that_is_replaced_whole(tmp_path: Path, changed: Path, logs: list[Path]) -> None:
    out = Path(shutil.copytree(changed, tmp_path / "out"))
    _publish(out)
    before, files = rows_of(out), _data(out)
    _filter(tmp_path, *logs, keys="event_type,date", overwrite=True)
    assert rows_of(out) == before
    assert files < _data(out)
    _publish(out)
    assert_tells_the_same(out)
    assert rows_of(out, version=1) == before
    # The same words and sources give the same names again: what is read stays as it is.
    _filter(tmp_path, *logs, keys="event_type,date", overwrite=True, threads=1)
    _publish(out)
    assert_tells_the_same(out)


def test_compaction(tmp_path: Path, logs: list[Path]) -> None:
    for count in (1, 2, 3):
        out = _filter(tmp_path, *logs[:count], keys="event_source")
        _publish(out)
    before = rows_of(out)
    assert edxlogs.compact(out).joined > 3
    assert rows_of(out) == before
    _publish(out)
    assert_tells_the_same(out)
    assert rows_of(out) == rows_of(out, version=2) == before
    kept = _data(out)
    _grace_is_over(out)
    assert commands.run("clean", out, cwd=tmp_path).code == 0
    assert len(_data(out)) == len(deltas.told(out)) < len(kept)
    assert_tells_the_same(out)


def test_who_may_read_the_dataset_may_read_the_table(tmp_path: Path, logs: list[Path]) -> None:
    out = _filter(tmp_path, logs[0], mode=0o640)
    _publish(out)
    for path in sorted((out / "_delta_log").iterdir()):
        assert path.stat().st_mode & 0o777 == 0o640
    assert (out / "_delta_log").stat().st_mode & 0o777 == 0o750
    assert edxlogs.compact(out, mode=0o640).before > 0
    edxlogs.write(logs[1], out, partition_by=KEYS.split(","), mode=0o640)
    before = {path: path.stat().st_mode for path in (out / "_edxlogs").iterdir()}
    _publish(out)
    _grace_is_over(out)
    edxlogs.clean(out)
    assert all(path.stat().st_mode == mode for path, mode in before.items())


def test_a_folder_that_is_copied_elsewhere(tmp_path: Path, changed: Path) -> None:
    out = Path(shutil.copytree(changed, tmp_path / "here"))
    _publish(out)
    there = Path(shutil.copytree(out, tmp_path / "else" / "there"))
    shutil.rmtree(out)
    assert_tells_the_same(there)
    edxlogs.compact(there)
    _publish(there)
    assert_tells_the_same(there)


def test_bounds_hold(tmp_path: Path, logs: list[Path]) -> None:
    out = _filter(tmp_path, *logs, keys="event_type,date")
    _publish(out)
    seen = set()
    for path, action in deltas.told(out).items():
        stats, table = json.loads(action["stats"]), pyarrow.parquet.read_table(out / path)
        assert stats["numRecords"] == table.num_rows
        assert action["partitionValues"] == {}
        for name, nulls in stats["nullCount"].items():
            column = table[name]
            assert nulls == column.null_count
            assert (name in stats["minValues"]) == (name in stats["maxValues"])
            if name not in stats["minValues"]:
                continue
            seen.add(name)
            low, high = stats["minValues"][name], stats["maxValues"][name]
            if pyarrow.types.is_timestamp(column.type):
                low, high = (pyarrow.scalar(one).cast(column.type).as_py() for one in (low, high))
            assert all(low <= one <= high for one in column.drop_null().to_pylist())
    assert {"time", "event_type"} <= seen
    assert any("event_type=(url)/" in path for path in deltas.told(out))
    assert_tells_the_same(out)
    deltalake = pytest.importorskip("deltalake")
    when = pyarrow.compute.field("time") >= pyarrow.scalar("2014-10-02T00:00:00Z").cast(
        pyarrow.timestamp("us", "UTC")
    )
    some = deltalake.DeltaTable(out).to_pyarrow_dataset().to_table(filter=when)
    assert some.num_rows == edxlogs.dataset(out).to_table(filter=when).num_rows > 0
    null = pyarrow.compute.field("event_type").is_null()
    for condition in (null, pyarrow.compute.field("event_type") == "problem_check"):
        some = deltalake.DeltaTable(out).to_pyarrow_dataset().to_table(filter=condition)
        assert some.num_rows == edxlogs.dataset(out).to_table(filter=condition).num_rows


@pytest.mark.parametrize("how", ["foreign", "damaged", "emptied", "hole"])
def test_a_log_that_is_not_ours_or_damaged(tmp_path: Path, changed: Path, how: str) -> None:
    out = Path(shutil.copytree(changed, tmp_path / "out"))
    log = out / "_delta_log"
    if how == "foreign":
        told = '{"commitInfo":{"engineInfo":"Apache-Spark/4.0.0"}}\n'
        (log / f"{1:020}.json").write_text(told)
        why = "version 1 of its _delta_log is from another program; remove _delta_log"
    else:
        name = f"{2:020}.json" if how == "hole" else f"{0:020}.json"
        (log / name).write_text({"damaged": '{"commitInfo":', "emptied": ""}.get(how, "{}\n"))
        why = "_delta_log is damaged; remove it"
        if how == "emptied":
            why = "is from another program"
    before = datasets.files(out)
    done = commands.run("publish", out, "--as", "delta", cwd=tmp_path)
    assert done.code == 2
    assert done.told == [done.stderr.strip()]
    assert why in done.stderr
    assert datasets.files(out) == before
    shutil.rmtree(log)
    _publish(out)
    assert_tells_the_same(out)


def test_a_table_that_another_library_wrote(tmp_path: Path, changed: Path) -> None:
    deltalake = pytest.importorskip("deltalake")
    out = Path(shutil.copytree(changed, tmp_path / "out"))
    # Its own words refuse to write to ours.
    with pytest.raises(deltalake.exceptions.DeltaError):
        deltalake.write_deltalake(out, pyarrow.table({"line": [1]}), mode="append")
    shutil.rmtree(out / "_delta_log")
    deltalake.write_deltalake(out, pyarrow.table({"line": [1]}))
    done = commands.run("publish", out, "--as", "delta", cwd=tmp_path)
    assert done.code == 2
    assert "version 0 of its _delta_log is from another program" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"format": "csv"}, "holds csv, but a Delta table needs Parquet"),
        ({"format": "jsonl.gz"}, "holds jsonl.gz, but a Delta table needs Parquet"),
        ({"columns": ["a=time", "A=time"]}, "columns a and A are the same for Delta"),
    ],
)
def test_what_cannot_be_a_table(
    tmp_path: Path, logs: list[Path], words: dict[str, Any], told: str
) -> None:
    out = _filter(tmp_path, logs[0], **words)
    done = commands.run("publish", out, "--as", "delta", cwd=tmp_path)
    assert done.code == 2
    assert done.told == [done.stderr.strip()]
    assert told in done.stderr
    assert not (out / "_delta_log").exists()


@pytest.mark.parametrize(
    ("folder", "kind"), [("none", "delta"), (".", "delta"), ("out", "iceberg")]
)
def test_what_is_asked_wrongly(tmp_path: Path, folder: str, kind: str) -> None:
    done = commands.run("publish", folder, "--as", kind, cwd=tmp_path)
    assert done.code == 2
    assert done.told == [done.stderr.strip()]
    assert os.listdir(tmp_path) == []


def _a_job(folder: Path, *steps: str) -> Path:
    path = folder / "nightly.toml"
    path.write_text('sources = ["logs/"]\n' + "".join(steps))
    return path


def test_a_job_publishes(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    logs = real_shaped(tmp_path / "logs", days=2, megabytes=0.05)
    later = logs[1].rename(tmp_path / logs[1].name)
    exporter.write(tmp_path / "universityx-2014-10-05.zip", make_package.members(count=3))
    convert = '[[convert]]\npackages = "*.zip"\noutput = "tables"\ntable = "auth_user"\n'
    dataset = '[[dataset]]\noutput = "{}"\npartition_by = "date"\n'
    publish = 'publish = "delta"\n'
    steps = (convert, publish, dataset.format("events"), publish, dataset.format("others"))
    path = _a_job(tmp_path, *steps)
    done = edxlogs.run(path)
    assert done.is_whole
    assert "2 datasets published" in str(done)
    assert not (tmp_path / "others" / "_delta_log").exists()
    later.rename(logs[1])
    assert edxlogs.run(path).report()["published"][1]["tables"][0]["version"] == 1
    for folder in ("events", "tables/auth_user"):
        assert_tells_the_same(tmp_path / folder)
    shutil.rmtree(tmp_path / "events" / "_delta_log")
    (tmp_path / "events" / "_delta_log").mkdir()
    (tmp_path / "events" / "_delta_log" / f"{0:020}.json").write_text("{}")
    failed = commands.run("run", path, cwd=tmp_path)
    assert failed.code == 1
    assert "FAILED: publish events failed" in failed.stderr
    assert failed.told[0].startswith("edxlogs: publish: ")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('publish = "iceberg"\n', "publish: iceberg: is not known; use delta"),
        ('publish = "delta"\nformat = "csv"\n', "publish: delta: is for Parquet"),
        ('publish = "delta"\noutput = "s3://bucket/events"\n', "publish: delta: is for local"),
    ],
)
def test_a_job_that_cannot_publish(tmp_path: Path, more: str, told: str) -> None:
    place = "" if "output" in more else 'output = "events"\n'
    path = _a_job(tmp_path, '[[dataset]]\npartition_by = "date"\n', place, more)
    with pytest.raises(edxlogs.ConfigError, match=told):
        edxlogs.run(path)


def test_tables(tmp_path: Path) -> None:
    first = exporter.write(tmp_path / "universityx-2014-10-05.zip", make_package.members(count=5))
    out = tmp_path / "tables"
    edxlogs.convert(first, out, table=["auth_user", "forum", "email_opt_in", "course_structure"])
    done = edxlogs.publish(out)
    assert [one.name for one in done.tables] == sorted(
        ["auth_user", "forum", "email_opt_in", "course_structure"]
    )
    before = {one.name: rows_of(out / one.name) for one in done.tables}
    deltalake = pytest.importorskip("deltalake")
    users = deltalake.DeltaTable(out / "auth_user")
    course = make_package.COURSES[0]
    some = users.to_pyarrow_table(filters=[("course_id", "=", course)])
    held = edxlogs.dataset(out / "auth_user")
    condition = pyarrow.compute.field("course_id") == course
    assert some.num_rows == held.to_table(filter=condition).num_rows > 0
    # Next week's takes the place of the first.
    later = exporter.write(tmp_path / "universityx-2014-10-12.zip", make_package.members(count=7))
    edxlogs.convert(later, out, table=["auth_user", "forum", "email_opt_in", "course_structure"])
    for one in done.tables:
        assert rows_of(out / one.name) == before[one.name]
    edxlogs.publish(out)
    for one in done.tables:
        assert_tells_the_same(out / one.name)
        assert rows_of(out / one.name, version=0) == before[one.name]
    # A place that was somebody's, and may still be read, is not written over.
    again = edxlogs.convert(first, out, table="auth_user", snapshots="newest")
    assert again.account.total.rows_written >= 0
    assert rows_of(out / "auth_user", version=0) == before["auth_user"]


def test_tables_of_all_snapshots(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    out = tmp_path / "tables"
    for day in ("05", "12"):
        place = tmp_path / f"universityx-2014-10-{day}.zip"
        exporter.write(place, make_package.members(count=4))
        edxlogs.convert(place, out, table=["auth_user", "forum"], snapshots="all")
    edxlogs.publish(out)
    for name in ("auth_user", "forum"):  # without and with a course_id of its own
        wanted = edxlogs.dataset(out / name).count_rows()
        assert sum(rows_of(out / name).values()) == wanted > 0
        frame = polars.scan_delta(out / name, use_pyarrow=True).collect()
        assert frame.height == wanted
        assert {str(day) for day in frame["snapshot_date"]} == {"2014-10-05", "2014-10-12"}


def test_tables_that_are_written_anew_in_their_places(tmp_path: Path) -> None:
    place, out = tmp_path / "universityx-2014-10-05.zip", tmp_path / "tables"
    for seed in (1, 2):
        exporter.write(place, make_package.members(count=4, seed=seed))
        edxlogs.convert(place, out, table="auth_user", overwrite=True)
        edxlogs.publish(out)
        assert_tells_the_same(out / "auth_user")
    assert len(deltas.told(out / "auth_user")) == len(_data(out))


def test_a_merge_into_it(tmp_path: Path) -> None:
    logs = [
        write(tmp_path / f"universityx-{site}-events-2014-10-01.log.gz", lines(9, first=first))
        for site, first in (("prod", 0), ("edge", 90_000))
    ]
    shards = [tmp_path / "a", tmp_path / "b"]

    def merged() -> Path:
        for log, shard in zip(logs, shards, strict=True):
            edxlogs.write(log, shard, partition_by="date")
        edxlogs.merge(shards, tmp_path / "out")
        return tmp_path / "out"

    out = merged()
    _publish(out)
    _publish(shards[0])
    before = held_by(out)
    write(logs[0], lines(12, username="somebody else"))
    assert rows_of(merged()) == before != held_by(out)
    # What a shard has kept for its own readers is not merged.
    assert len(_data(shards[0])) == 2
    _publish(out)
    assert_tells_the_same(out)
    # The text of before once more: files as they were, in places that are still read.
    write(logs[0], lines(9))
    merged()
    _publish(out)
    assert_tells_the_same(out)
    assert held_by(out) == before
    # What has come back is not what went.
    _grace_is_over(out)
    assert edxlogs.clean(out).removed > 0
    assert_tells_the_same(out)
    assert len(deltas.told(out)) == len(_data(out))


def test_tables_by_course_are_no_delta_tables(tmp_path: Path) -> None:
    package = exporter.write(tmp_path / "universityx-2014-10-05.zip", make_package.members(count=2))
    edxlogs.convert(package, tmp_path / "out", layout="course", table="auth_user")
    with pytest.raises(edxlogs.ConfigError, match="holds a folder for each course"):
        edxlogs.publish(tmp_path / "out")
