"""events/file_target.py: workers, order, memory, what is delivered and what is not."""

from __future__ import annotations

import gzip
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import edxlogs.events.file_target
import edxlogs.events.target
from decrypting import Ring
from edxlogs import _core
from edxlogs.account import Account, Outcome
from edxlogs.errors import InternalError, OutputError, StoppedError
from edxlogs.events.file_target import FileTarget
from edxlogs.events.query import Conditions, make_query
from edxlogs.events.scanning import LineReader
from edxlogs.generator import keys
from edxlogs.gpg.process import Gpg
from edxlogs.sources.selection import select
from edxlogs.sources.window import Window
from edxlogs.store.file import OutputFile, open_output
from edxlogs.targets import fill
from edxlogs.threads import Workers
from small_logs import lines, settles_to, usage, write

needs_gpg = pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))


class Running:
    """A run to a file in a folder of its own, and what it came to."""

    def __init__(self, folder: Path, arguments: Any, **options: Any) -> None:
        format_name = options.pop("format_name", "parquet")
        workers = options.pop("workers", 2)
        rejects = options.pop("rejects", False)
        home = options.pop("home", None)
        collect = "lines" if format_name.startswith("jsonl") else "columns"
        conditions = Conditions.of(**options.pop("conditions", {}))
        self.query = make_query(conditions, collect=collect, keep_rejects=rejects)
        self.file = OutputFile(folder / "out")
        self.rejects = OutputFile(folder / "rejects") if rejects else None
        descriptor = None
        if self.rejects is not None:
            flags = os.O_RDWR | os.O_CREAT
            descriptor = os.open(self.rejects.path, flags, 0o600)
        output = open_output(self.file, self.query, format_name, [])
        self.reader = LineReader(self.query, Gpg(home=home, prompt=False), _core.Control())
        self.selection = select(arguments, conditions.window)
        self.told: list[str] = []
        target = FileTarget(
            self.reader,
            self.selection.sources,
            workers,
            format_name=format_name,
            output=output,
            file=self.file,
            rejects=descriptor,
            rejects_file=self.rejects,
            **options,
        )
        self.account = target.account
        try:
            fill(target, lambda account: self.told.append(account.source))
            output.finish(sync=False)
            self.file.publish()
            if self.rejects is not None:
                self.rejects.publish()
        finally:
            if descriptor is not None:
                os.close(descriptor)
            self.file.discard()
            if self.rejects is not None:
                self.rejects.discard()


def counted(query: _core.Query, sources: Any, workers: int = 2, **options: Any) -> Account:
    """The account of a run."""
    reader = LineReader(query, Gpg(prompt=False), _core.Control())
    target = FileTarget(reader, sources, workers, **options)
    fill(target)
    return target.account


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "place"
    place.mkdir()
    yield place
    assert not [name for name in os.listdir(place) if name.startswith(".")]


@pytest.fixture
def logs(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / f"{n:02}.log.gz", lines(400, n * 400)) for n in range(12)]


def numbers(folder: Path) -> list[int]:
    values: list[int] = pq.read_table(folder / "out")["user_id"].to_pylist()
    return values


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_order_is_that_of_the_sources(logs: list[Path], folder: Path, workers: int) -> None:
    running = Running(folder, logs, workers=workers)
    assert numbers(folder) == list(range(4800))
    assert running.told == [path.name for path in logs]
    assert running.account.rows_written == 4800
    assert running.account.is_whole


@pytest.mark.parametrize(
    "format_name", ["parquet", "csv", "arrow", "jsonl", "jsonl.gz", "jsonl.zst"]
)
def test_parts_that_wait_leave_memory(
    logs: list[Path], folder: Path, monkeypatch: pytest.MonkeyPatch, format_name: str
) -> None:
    """The first source is slow: the others wait, and all but their share moves to hidden files."""
    Running(folder, logs, format_name=format_name)
    wanted = (folder / "out").read_bytes()
    (folder / "out").unlink()

    monkeypatch.setattr(edxlogs.events.target, "WAITING_BYTES", 0)
    hidden: set[str] = set()
    scan = LineReader.scan

    def slow(self: LineReader, source: Any, *args: Any, **options: Any) -> Any:
        if source.name == "00.log.gz":
            end = time.monotonic() + 5
            while len(hidden) < 11 and time.monotonic() < end:
                place = folder / ".out.edxlogs"
                hidden.update(name for name in os.listdir(place) if name.startswith("part-"))
                time.sleep(0.01)
        return scan(self, source, *args, **options)

    monkeypatch.setattr(LineReader, "scan", slow)
    Running(folder, logs, format_name=format_name)
    assert hidden == {f"part-{number:06}" for number in range(1, 12)}
    assert (folder / "out").read_bytes() == wanted


def test_what_waits_is_counted_back_to_nothing(
    logs: list[Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    deliver = FileTarget.deliver

    def watch(self: FileTarget, *args: Any) -> Any:
        account = deliver(self, *args)
        seen.append(self._room.bytes)
        return account

    monkeypatch.setattr(FileTarget, "deliver", watch)
    Running(folder, logs, workers=3)
    assert seen[-1] == 0
    assert all(value >= 0 for value in seen)


def test_a_broken_source_adds_nothing(logs: list[Path], folder: Path) -> None:
    logs[3].write_bytes(logs[3].read_bytes()[:-9])
    running = Running(folder, logs)
    assert numbers(folder) == [n for n in range(4800) if not 1200 <= n < 1600]
    account = running.account.sources[3]
    assert (account.status, account.counts.withheld) == ("withheld", account.counts.lines)
    assert account.counts.rows == 0
    assert "cut off" in str(account.error)
    assert not running.account.is_whole


def test_salvage_delivers_what_precedes_the_damage(logs: list[Path], folder: Path) -> None:
    content = bytearray(gzip.compress(lines(400, 1200)))
    content[-6] ^= 1
    logs[3].write_bytes(content)
    running = Running(folder, logs, salvage=True)
    assert numbers(folder) == list(range(4800))
    assert [one.status for one in running.account.sources].count(Outcome.SALVAGED) == 1
    assert not running.account.is_whole


@needs_gpg
def test_salvage_never_delivers_an_altered_message(
    ring: Ring, tmp_path: Path, folder: Path
) -> None:
    message = ring.encrypt("--compress-algo", "none", data=lines(3000))
    altered = bytearray(message)
    altered[len(altered) // 2] ^= 1
    (tmp_path / "a.log.gpg").write_bytes(altered)
    (tmp_path / "b.log.gpg").write_bytes(message[: len(message) // 2])
    running = Running(
        folder, sorted(tmp_path.glob("*.gpg")), salvage=True, home=ring.path, workers=2
    )
    first, second = running.account.sources
    assert (first.status, first.unauthenticated) == ("withheld", False)
    assert (second.status, second.unauthenticated) == ("salvaged", True)
    rows = numbers(folder)
    assert 100 < len(rows) < 3000
    assert rows == list(range(len(rows)))


@pytest.mark.parametrize("where", ["file", "stdout"])
def test_rejects_are_all_there(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Also of sources whose rejected lines, or rows, are more than memory may hold."""
    bad = b"".join(b"{no event %d %s\n" % (n, b"x" * 2000) for n in range(1500))
    paths = [
        write(tmp_path / "a.log", bad + lines(5000)),
        write(tmp_path / "b.log", lines(5, 5000) + b"{late\n"),
    ]
    monkeypatch.setattr(edxlogs.events.file_target, "STDOUT_PART_BYTES", 1000)
    if where == "file":
        running = Running(folder, paths, rejects=True, format_name="jsonl")
        account = running.account
        content = (folder / "out").read_bytes()
        rejected = (folder / "rejects").read_bytes()
    else:
        query = make_query(Conditions(), collect="lines", keep_rejects=True)
        file = OutputFile(folder / "rejects")
        with (folder / "stdout").open("w+b") as out, file.path.open("w+b") as rejects:
            output = open_output(out.fileno(), query, "jsonl", [])
            account = counted(
                query,
                select(paths, Window()).sources,
                format_name="jsonl",
                output=output,
                rejects=rejects.fileno(),
                rejects_file=file,
            )
            output.finish(sync=False)
            rejected = file.path.read_bytes()
        file.discard()
        content = (folder / "stdout").read_bytes()
    assert content == lines(5005)
    assert account.total.rejected == 1501
    kept = [line for line in rejected.splitlines(True) if not line.startswith(b"#")]
    assert b"".join(kept) == bad + b"{late\n"


def test_a_stream_that_outgrows_standard_output(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edxlogs.events.file_target, "STDOUT_PART_BYTES", 1000)
    good = write(tmp_path / "good.log", lines(3))
    fifo = tmp_path / "pipe.log"
    os.mkfifo(fifo)
    feeder = threading.Thread(target=lambda: fifo.write_bytes(lines(5000)))
    feeder.start()
    query = make_query(Conditions(), collect="lines")
    with (folder / "stdout").open("w+b") as out:
        output = open_output(out.fileno(), query, "jsonl", [])
        sources = select([fifo, good], Window()).sources
        account = counted(query, sources, format_name="jsonl", output=output)
        output.finish(sync=False)
    feeder.join()
    first, second = account.sources
    assert (first.status, second.status) == ("withheld", "delivered")
    assert "--unverified" in str(first.error)
    assert first.counts.withheld == 5000
    assert (folder / "stdout").read_bytes() == lines(3)


def test_a_source_that_changes_between_two_readings(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edxlogs.events.file_target, "STDOUT_PART_BYTES", 1000)
    path = write(tmp_path / "a.log", lines(5000))
    again = FileTarget._again

    def changed(self: FileTarget, *args: Any) -> Any:
        write(path, lines(5000, first=1))
        return again(self, *args)

    monkeypatch.setattr(FileTarget, "_again", changed)
    query = make_query(Conditions(), collect="lines")
    with (folder / "stdout").open("w+b") as out:
        output = open_output(out.fileno(), query, "jsonl", [])
        sources = select(path, Window()).sources
        with pytest.raises(InternalError, match="changed while it was read"):
            counted(query, sources, format_name="jsonl", output=output)


def test_a_full_disk_ends_the_run_and_leaves_nothing(
    logs: list[Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: FileTarget, *_: object) -> None:
        raise OutputError("writing the output failed: No space left on device")

    monkeypatch.setattr(FileTarget, "_append", full)
    before = usage()
    with pytest.raises(OutputError, match="No space"):
        Running(folder, logs)
    assert settles_to(before)
    assert os.listdir(folder) == []


def test_ctrl_c_leaves_nothing(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers are at it when the hidden folder goes; none of them may fill it again."""
    monkeypatch.setattr(edxlogs.events.file_target, "_SMALL_PART_BYTES", 1)
    paths = [write(tmp_path / f"{n}.log", lines(30_000)) for n in range(4)]

    def interrupt(self: Workers[Any]) -> None:
        time.sleep(0.05)
        raise KeyboardInterrupt

    monkeypatch.setattr(Workers, "take", interrupt)
    before = usage()
    with pytest.raises(KeyboardInterrupt):
        Running(folder, paths, workers=4)
    assert settles_to(before)
    assert os.listdir(folder) == []


def test_a_stopped_run_is_no_damaged_source(logs: list[Path], folder: Path) -> None:
    query = make_query(Conditions(), collect="nothing")
    reader = LineReader(query, Gpg(prompt=False), _core.Control())
    reader.control.stop()
    with pytest.raises(StoppedError):
        fill(FileTarget(reader, select(logs, Window()).sources, 2))


def test_counting_alone(logs: list[Path]) -> None:
    query = make_query(Conditions(), collect="nothing", check="full")
    account = counted(query, select(logs, Window()).sources)
    assert (account.total.lines, account.total.parsed, account.rows_written) == (4800, 4800, 4800)


def test_unverified_rows_go_out_and_are_counted(logs: list[Path], folder: Path) -> None:
    logs[1].write_bytes(logs[1].read_bytes()[:-9])
    query = make_query(Conditions(), collect="lines")
    with (folder / "stdout").open("w+b") as out:
        output = open_output(out.fileno(), query, "jsonl", [])
        sources = select(logs, Window()).sources
        account = counted(query, sources, 4, format_name="jsonl", output=output, unverified=True)
        output.finish(sync=False)
    count = len((folder / "stdout").read_bytes().splitlines())
    assert count == account.rows_written == account.total.rows
    assert not account.is_whole
