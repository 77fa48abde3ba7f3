"""Datasets that grow: resumed, added to, replaced in part; no row twice, none lost."""

from __future__ import annotations

import fcntl
import json
import os
import random
import resource
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

import commands
import datasets
import product
import small_logs
from commands import report
from datasets import Step, assert_whole, by_place, lose_power, run
from small_logs import expected, plain, real_shaped, without_site

OPTIONS = ("--partition-by", "course_id", "--report", "report.json", "--rejects", "rejects", "-q")
GROUP = 2  # inputs committed together


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    real_shaped(folder, days=5, megabytes=0.1)
    return folder


def _filter(cwd: Path, logs: Path, *options: str, kill_at: int = -1) -> list[Step]:
    arguments: list[str | Path] = ["filter", logs, "-o", "out", *OPTIONS, *options]
    return run(*arguments, cwd=cwd, kill_at=kill_at, group=GROUP)[1]


def _state(cwd: Path) -> tuple[Any, ...]:
    """What a run leaves, but for times."""
    assert_whole(cwd / "out")
    document = report(cwd / "report.json")
    del document["seconds"]
    inputs = datasets.manifest(cwd / "out")["inputs"]
    accounts = {key: one["account"] for key, one in inputs.items()}
    return datasets.files(cwd / "out"), document, accounts, (cwd / "rejects").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, logs: Path
) -> tuple[list[Step], tuple[Any, ...]]:
    cwd = tmp_path_factory.mktemp("undisturbed")
    return _filter(cwd, logs), _state(cwd)


def _rows(out: Path) -> list[dict[str, Any]]:
    tables = [plain(pyarrow.parquet.read_table(out / path)) for path in datasets.files(out)]
    return by_place([row for rows in tables for row in rows])


def _assert_rows(out: Path, wanted: Sequence[dict[str, Any]]) -> None:
    assert_whole(out)
    product.assert_same_rows(without_site(_rows(out)), by_place(list(wanted)))


def _named(steps: list[Step]) -> list[int]:
    """A step of each name in each place of the publication of one group, and of the run's end."""
    heads = [at for at, step in enumerate(steps) if step.paths[-1].name == "head"]
    middle = list(range(heads[0] + 1, heads[1] + 2))
    first_of = {(steps[at].name, steps[at].paths[-1].name[:6]): at for at in reversed(middle)}
    return sorted({*first_of.values(), middle[-1], 0, 1, len(steps) - 1})


def test_killed_at_each_named_point(
    tmp_path: Path, logs: Path, undisturbed: tuple[list[Step], tuple[Any, ...]]
) -> None:
    steps, wanted = undisturbed
    for at in _named(steps):
        cwd = tmp_path / str(at)
        cwd.mkdir()
        done = _filter(cwd, logs, kill_at=at)
        assert len(done) == at
        _filter(cwd, logs)
        assert _state(cwd) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("power", [True, False])
def test_killed_at_every_step(
    tmp_path: Path, logs: Path, undisturbed: tuple[list[Step], tuple[Any, ...]], *, power: bool
) -> None:
    steps, wanted = undisturbed
    for at in range(len(steps)):
        cwd = tmp_path / str(at)
        cwd.mkdir()
        done = _filter(cwd, logs, kill_at=at)
        if not power:
            lose_power(done)
        # The run that comes after is killed as well, while it mends what the first one left.
        again = _filter(cwd, logs, kill_at=at % 7)
        if not power:
            lose_power(again)
        _filter(cwd, logs)
        assert _state(cwd) == wanted


def test_power_lost_while_names_change(
    tmp_path: Path, logs: Path, undisturbed: tuple[list[Step], tuple[Any, ...]]
) -> None:
    steps, wanted = undisturbed
    heads = [at for at, step in enumerate(steps) if step.paths[-1].name == "head"]
    for at in (heads[1] + 1, heads[1] + 5, heads[2] - 1):
        cwd = tmp_path / str(at)
        cwd.mkdir()
        lose_power(_filter(cwd, logs, kill_at=at))
        _filter(cwd, logs)
        assert _state(cwd) == wanted


def test_what_must_be_on_disk_is_there_before_the_head(
    undisturbed: tuple[list[Step], tuple[Any, ...]],
) -> None:
    steps, _ = undisturbed
    names = [(step.name, step.paths[-1].name) for step in steps]
    heads = [at for at, name in enumerate(names) if name == ("rename", "head")]
    assert len(heads) == 4  # three groups and the end of the run
    assert "sync-all" not in [name for name, _ in names[heads[2] + 1 :]]
    # The end of the run changes no files: those of the last group may still be on their way.
    for at, head in enumerate(heads[:-1]):
        # Files and the names of the commit before; the segment (synced as it is written); the head.
        before = names[heads[at - 1] + 2 if at else 0 : head]
        synced = max(place for place, name in enumerate(before) if name[0] == "sync-all")
        after = before[synced + 1 :]
        assert after[0] == ("append", "segments")
        assert ("write", "head.new") in after
        assert {name for name, _ in after} == {"append", "append-half", "write"}
        # No file gets its place before the head is on disk.
        assert names[head + 1] == ("sync-folder", "_edxlogs")
        assert all(name[0] not in ("rename", "unlink") for name in before[synced:])


def _kill_at_random(cwd: Path, logs: Path, rng: random.Random) -> None:
    process = commands.start("filter", logs, "-o", "out", *OPTIONS, cwd=cwd)
    time.sleep(rng.uniform(0.15, 0.9))
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("kills", [4, pytest.param(120, marks=pytest.mark.slow)])
def test_killed_at_random_moments(tmp_path: Path, logs: Path, kills: int) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    arguments = ("filter", logs, "-o", "out", *OPTIONS)
    assert commands.run(*arguments, cwd=whole).code == 0
    wanted = _state(whole)
    rng = random.Random(kills)
    for kill in range(kills):
        cwd = tmp_path / str(kill)
        cwd.mkdir()
        for _ in range(rng.randint(1, 3)):
            _kill_at_random(cwd, logs, rng)
        assert commands.run(*arguments, cwd=cwd).code == 0
        assert _state(cwd) == wanted


def test_what_is_done_is_not_opened(tmp_path: Path, logs: Path) -> None:
    _filter(tmp_path, logs)
    before = datasets.files(tmp_path / "out")
    for path in logs.iterdir():
        os.utime(path, ns=(0, path.stat().st_mtime_ns))
    _filter(tmp_path, logs)
    # Reading a file would have moved it.
    assert all(path.stat().st_atime_ns == 0 for path in logs.iterdir())
    assert datasets.files(tmp_path / "out") == before


def _copy(logs: Path, folder: Path, count: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = []
    for path in sorted(logs.iterdir(), key=lambda path: path.name[-17:])[:count]:
        target = folder / path.name
        if not target.exists():
            target.write_bytes(path.read_bytes())
        paths.append(target)
    return paths


def test_new_files_are_added_and_late_events_find_their_partition(
    tmp_path: Path, logs: Path
) -> None:
    late = small_logs.write(
        tmp_path / "late-prod-events-2014-11-20.log.gz", small_logs.lines(30, first=5)
    )
    options = ("--partition-by", "course_id,date", "-q")
    for count in (2, 3, 5):
        paths = _copy(logs, tmp_path / "in", count)
        assert commands.run("filter", "in", "-o", "out", *options, cwd=tmp_path).code == 0
        _assert_rows(tmp_path / "out", expected(*paths))
    before = datasets.files(tmp_path / "out")
    (tmp_path / "in" / late.name).write_bytes(late.read_bytes())
    assert commands.run("filter", "in", "-o", "out", *options, cwd=tmp_path).code == 0
    after = datasets.files(tmp_path / "out")
    # What was there was not touched; the rows stand with the day of the events.
    assert before.items() < after.items()
    (new,) = after.keys() - before.keys()
    assert new.split("/")[1] == "date=2014-10-01"
    _assert_rows(tmp_path / "out", [*expected(*paths), *expected(late)])


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl", "jsonl.gz", "jsonl.zst"])
def test_a_file_released_again_replaces_its_rows_alone(
    tmp_path: Path, logs: Path, form: str
) -> None:
    paths = _copy(logs, tmp_path / "in", 5)
    options = ("--partition-by", "course_id", "--format", form, "-q")
    assert commands.run("filter", "in", "-o", "out", *options, cwd=tmp_path).code == 0
    whole = paths[2].read_bytes()
    small_logs.write(paths[2], small_logs.lines(40))
    assert commands.run("filter", "in", "-o", "out", *options, cwd=tmp_path).code == 0
    assert_whole(tmp_path / "out")
    assert commands.run("filter", "in", "-o", "new", *options, cwd=tmp_path).code == 0
    assert _contents(tmp_path / "out") == _contents(tmp_path / "new")
    # And back again.
    paths[2].write_bytes(whole)
    assert commands.run("filter", "in", "-o", "out", *options, cwd=tmp_path).code == 0
    assert_whole(tmp_path / "out")
    if form == "parquet":
        _assert_rows(tmp_path / "out", expected(*paths))


def _contents(out: Path) -> dict[str, Any]:
    """Of each partition, its rows, in any order."""
    contents: dict[str, Any] = {}
    for path in datasets.files(out):
        if path.endswith(".parquet"):
            rows: list[Any] = [repr(row) for row in plain(pyarrow.parquet.read_table(out / path))]
        else:
            kind = {".gz": "gzip", ".zst": "zstd"}.get(Path(path).suffix)
            content = pyarrow.input_stream(out / path, compression=kind).read()
            rows = (
                [repr(row) for row in product.csv_rows(content)]
                if path.endswith(".csv")
                else content.splitlines()
            )
        contents.setdefault(path.rpartition("/")[0], []).extend(rows)
    return {folder: sorted(rows) for folder, rows in contents.items()}


def test_a_damaged_release_leaves_the_old_rows(tmp_path: Path, logs: Path) -> None:
    paths = _copy(logs, tmp_path / "in", 3)
    options = ("--partition-by", "course_id", "-q", "--report", "report.json")
    assert commands.run("filter", "in", "-o", "out", *options, cwd=tmp_path).code == 0
    wanted = expected(*paths)
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[: len(whole) // 2])
    done = commands.run("filter", "in", "-o", "out", *options, cwd=tmp_path)
    assert done.code == 1
    assert paths[1].name in done.stderr
    _assert_rows(tmp_path / "out", wanted)
    told = {one["source"]: one["status"] for one in report(tmp_path / "report.json")["sources"]}
    assert [told[path.name] for path in paths] == ["delivered", "withheld", "delivered"]
    paths[1].write_bytes(whole)
    assert commands.run("filter", "in", "-o", "out", *options, cwd=tmp_path).code == 0
    _assert_rows(tmp_path / "out", wanted)


def test_one_damaged_among_many_is_read_when_it_is_mended(tmp_path: Path, logs: Path) -> None:
    paths = _copy(logs, tmp_path / "in", 5)
    whole = paths[3].read_bytes()
    paths[3].write_bytes(whole[:-9])
    options = ("--partition-by", "course_id", "-q")
    assert commands.run("filter", "in", "-o", "out", *options, cwd=tmp_path).code == 1
    _assert_rows(tmp_path / "out", expected(*paths[:3], *paths[4:]))
    paths[3].write_bytes(whole)
    assert commands.run("filter", "in", "-o", "out", *options, cwd=tmp_path).code == 0
    _assert_rows(tmp_path / "out", expected(*paths))


def test_another_query_is_refused_and_overwrites(tmp_path: Path, logs: Path) -> None:
    paths = _copy(logs, tmp_path / "in", 3)
    base = ("filter", "in", "-o", "out", "-q", "--partition-by")
    assert commands.run(*base, "course_id", cwd=tmp_path).code == 0
    before = datasets.files(tmp_path / "out")
    done = commands.run(*base, "date", "--event-type", "problem_check", cwd=tmp_path)
    assert done.code == 2
    assert '"partition_by":["course_id"]' in done.stderr
    assert '"event_types":["problem_check"]' in done.stderr
    assert datasets.files(tmp_path / "out") == before
    other = (*base, "date", "--event-type", "problem_check", "--overwrite")
    assert commands.run(*other, cwd=tmp_path).code == 0
    _assert_rows(tmp_path / "out", expected(*paths, event_types=["problem_check"]))


def test_a_second_run_at_the_same_time_is_refused(tmp_path: Path, logs: Path) -> None:
    _filter(tmp_path, logs)
    before = datasets.files(tmp_path / "out")
    with open(tmp_path / "out" / "_edxlogs" / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = commands.run("filter", logs, "-o", "out", *OPTIONS, cwd=tmp_path)
    assert done.code == 1
    assert "another edxlogs is writing it" in done.stderr
    assert datasets.files(tmp_path / "out") == before


def _change_head(home: Path) -> None:
    head = json.loads((home / "head").read_bytes())
    (home / "head").write_text(json.dumps({**head, "format": 99}))


def _older_head(home: Path) -> None:
    (home / "head").write_text('{"schema_version": 1, "segments": 1, "bytes": 9, "sha256": "0"}')


def _change_segments(home: Path) -> None:
    content = (home / "segments").read_bytes()
    (home / "segments").write_bytes(content.replace(b'"rows":', b'"rows": ', 1))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_change_head, "was written by a newer edxlogs"),
        (_older_head, "is in an older form, which edxlogs no longer reads"),
        (_change_segments, "segment 1 does not match its checksum"),
        (lambda home: (home / "head").write_bytes(b"{"), "its head cannot be read"),
        (lambda home: (home / "segments").unlink(), "restore a copy of it"),
    ],
)
def test_a_manifest_that_cannot_be_used(tmp_path: Path, logs: Path, change: Any, told: str) -> None:
    _filter(tmp_path, logs)
    before = datasets.files(tmp_path / "out")
    change(tmp_path / "out" / "_edxlogs")
    for options in ((), ("--overwrite",)):
        done = commands.run("filter", logs, "-o", "out", *OPTIONS, *options, cwd=tmp_path)
        assert done.code in (1, 2)
        assert told in done.stderr
        assert len(done.told) == 1
    assert datasets.files(tmp_path / "out") == before


def test_files_of_others_stay(tmp_path: Path, logs: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    done = commands.run("filter", logs, "-o", "out", *OPTIONS, cwd=tmp_path)
    assert done.code == 2
    assert "holds other files" in done.stderr
    assert os.listdir(out) == ["mine.txt"]
    (out / "mine.txt").unlink()
    _filter(tmp_path, logs)
    (out / "mine.txt").write_text("mine")
    course = next(out.glob("course_id=*"))
    (course / "theirs.csv").write_text("theirs")
    done = commands.run(
        "filter", logs, "-o", "out", "--partition-by", "date", "--overwrite", "-q", cwd=tmp_path
    )
    assert done.code == 0
    assert (out / "mine.txt").read_text() == "mine"
    assert (course / "theirs.csv").read_text() == "theirs"


def test_an_input_that_changes_while_it_is_read(
    tmp_path: Path, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edxlogs import cli
    from edxlogs.events.scanning import LineReader

    paths = _copy(logs, tmp_path / "in", 3)
    scan = LineReader.scan

    def changing(self: LineReader, source: Any, *args: Any, **options: Any) -> Any:
        scanned = scan(self, source, *args, **options)
        if source.path.endswith(paths[1].name):
            with open(source.path, "ab") as file:
                file.write(b"\0")
        return scanned

    monkeypatch.setattr(LineReader, "scan", changing)
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    command = ["filter", "in", "-o", "out", "--partition-by", "course_id", "-q"]
    assert cli.execute(command) == 1
    _assert_rows(out, expected(paths[0], paths[2]))
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert cli.execute(command) == 0
    _assert_rows(out, expected(*paths))


def test_sources_that_go_by_once_they_are_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they were is committed: neither rejects nor report ask for them again."""
    from edxlogs import cli
    from edxlogs.store.store import Store

    (tmp_path / "tracking.log").write_bytes(commands.event(1) + b"no event\n")
    commit = Store.commit

    def going(self: Store, *arguments: Any) -> None:
        commit(self, *arguments)
        (tmp_path / "tracking.log").unlink(missing_ok=True)

    monkeypatch.setattr(Store, "commit", going)
    monkeypatch.chdir(tmp_path)
    assert cli.execute(["filter", "tracking.log", "-o", "out", *OPTIONS]) == 0
    assert (tmp_path / "rejects").read_bytes().endswith(b"no event\n")
    assert report(tmp_path / "report.json")["total"]["rejected"] == 1


def test_a_stream_is_no_input_of_a_dataset(tmp_path: Path) -> None:
    done = commands.run(
        "filter", "-", "-o", "out", "--partition-by", "date", cwd=tmp_path, stdin=commands.event()
    )
    assert done.code == 2
    assert "is a stream" in done.stderr


@pytest.mark.parametrize("most_bytes", [2_000, 12_000])
def test_no_room_on_the_disk(
    tmp_path: Path, logs: Path, undisturbed: tuple[list[Step], tuple[Any, ...]], most_bytes: int
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    arguments = ("filter", logs, "-o", "out", *OPTIONS)
    process = commands.start(*arguments, cwd=tmp_path, preexec_fn=limit)
    done = commands.finish(process)
    assert done.code == 1, done.stderr
    assert len(done.told) == 1
    assert commands.run(*arguments, cwd=tmp_path).code == 0
    state, wanted = _state(tmp_path), undisturbed[1]
    assert state[1:] == wanted[1:]


def test_mended_rejects_are_an_input(tmp_path: Path) -> None:
    cut = commands.event(7)[:-9]
    (tmp_path / "tracking.log").write_bytes(commands.event(1) + cut + b"\n" + commands.event(2))
    options = ("--partition-by", "date", "-q")
    told = ("filter", "tracking.log", "-o", "out", "--rejects", "bad", *options)
    assert commands.run(*told, cwd=tmp_path).code == 0
    mended = (tmp_path / "bad").read_bytes().replace(cut + b"\n", commands.event(7))
    (tmp_path / "mended").write_bytes(mended)
    again = ("filter", "tracking.log", "mended", *told[2:])
    assert commands.run(*again, cwd=tmp_path).code == 0
    assert_whole(tmp_path / "out")
    places = [(row["source"], row["line"], row["user_id"]) for row in _rows(tmp_path / "out")]
    assert places == [("tracking.log", 1, 1), ("tracking.log", 2, 7), ("tracking.log", 3, 2)]


def test_a_dataset_in_a_folder_that_is_searched(tmp_path: Path) -> None:
    (tmp_path / "tracking.log").write_bytes(commands.events(5))
    options = ("--partition-by", "date", "--format", "jsonl", "-q")
    for _ in range(2):
        assert commands.run("filter", ".", "-o", "out", *options, cwd=tmp_path).code == 0
        assert commands.run("cat", "out", cwd=tmp_path).stdout == commands.events(5)


@pytest.mark.parametrize(
    "options", [("--report", "-"), ("--report", "x", "--rejects", "x"), ("--rejects", "out")]
)
def test_names_that_are_taken(tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "tracking.log").write_bytes(commands.event())
    told = ("-o", "out", "--partition-by", "date", *options)
    assert commands.run("filter", "tracking.log", *told, cwd=tmp_path).code == 2
    assert os.listdir(tmp_path) == ["tracking.log"]
