"""The stream of `edxlogs.filter`: read once, closed early, left alone, and of sources that fail."""

from __future__ import annotations

import gc
import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import traceback
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import edxlogs
from decrypting import Ring
from edxlogs.errors import (
    ConfigError,
    DecryptError,
    InflateError,
    MissingSourceError,
    StoppedError,
)
from edxlogs.events.scanning import LineReader
from edxlogs.generator import keys
from small_logs import (
    event,
    lines,
    real_shaped,
    settles_to,
    usage,
    write,
)

needs_gpg = pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))

# More batches than the channels hold, so that a reader that stops leaves workers waiting.
MANY_ROWS = 150_000


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return real_shaped(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    line = json.dumps(event()).encode() + b"\n"
    return write(tmp_path_factory.mktemp("many") / "many.log", line * MANY_ROWS)


def test_read_once(logs: list[Path]) -> None:
    stream = edxlogs.filter(logs)
    pa.table(stream)
    with pytest.raises(ConfigError, match="read already"):
        pa.table(stream)
    with pytest.raises(ConfigError, match="read already"):
        next(iter(stream))
    assert stream.verified


def test_verified_only_after_the_end(tmp_path: Path) -> None:
    stream = edxlogs.filter(write(tmp_path / "a.log", lines(10)))
    assert not stream.verified
    reader = pa.RecordBatchReader.from_stream(stream)
    assert reader.read_next_batch().num_rows == 10
    time.sleep(0.3)  # the source is done by now, the stream is not
    assert not stream.verified
    with pytest.raises(StopIteration):
        reader.read_next_batch()
    assert stream.verified
    assert stream.stats["total"]["kept"] == 10
    assert json.loads(json.dumps(stream.stats)) == stream.stats


def test_closed_early(many: Path) -> None:
    before = usage()
    stream = edxlogs.filter([many, many.parent], threads=2)
    reader = pa.RecordBatchReader.from_stream(stream)
    reader.read_next_batch()
    stream.close()
    # The reader is kept and read no more: workers that wait for it must end all the same.
    assert settles_to(before)
    with pytest.raises(Exception, match="interrupted"):
        reader.read_all()
    assert not stream.verified


def test_closed_by_leaving_a_block(many: Path) -> None:
    before = usage()
    with edxlogs.filter(many) as stream:
        for batch in stream:
            assert batch.num_rows
            break
    assert settles_to(before)
    assert not stream.verified


def test_closing_opens_no_further_source(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [edxlogs.Source(str(many), f"{n}.log", many.stat().st_size) for n in range(20)]
    opened = []
    scan = LineReader.scan

    def counted(self: Any, source: Any, *args: Any, **options: Any) -> Any:
        opened.append(source.name)
        return scan(self, source, *args, **options)

    monkeypatch.setattr(LineReader, "scan", counted)
    before = usage()
    stream = edxlogs.filter(sources, threads=1)
    iterator = iter(stream)
    next(iterator)
    stream.close()
    with pytest.raises(StoppedError):
        list(iterator)
    assert settles_to(before)
    assert len(opened) <= 3


def test_a_reader_that_is_dropped_ends_the_workers(many: Path) -> None:
    before = usage()
    reader = pa.RecordBatchReader.from_stream(edxlogs.filter([many], threads=2))
    reader.read_next_batch()
    del reader
    gc.collect()
    assert settles_to(before)


def test_streams_that_nobody_reads_cost_nothing(many: Path) -> None:
    before = usage()
    streams = [edxlogs.filter(many) for _ in range(20)]
    assert settles_to(before)
    capsules = [stream.__arrow_c_stream__() for stream in streams[:3]]
    del capsules, streams
    gc.collect()
    assert settles_to(before)


def test_many_streams_leak_nothing(logs: list[Path]) -> None:
    pa.table(edxlogs.filter(logs))
    before = usage()
    for _ in range(10):
        pa.table(edxlogs.filter(logs, threads=4))
    assert settles_to(before)


@needs_gpg
def test_encrypted_stream_closed_early(ring: Ring, many: Path, tmp_path: Path) -> None:
    path = tmp_path / "many.log.gpg"
    path.write_bytes(ring.encrypt("--compress-algo", "zlib", data=many.read_bytes()))
    pa.table(edxlogs.filter(path, gnupg_home=ring.path))
    before = usage()
    for _ in range(3):
        iterator = iter(edxlogs.filter([path, many], gnupg_home=ring.path))
        next(iterator)
        del iterator
    gc.collect()
    assert settles_to(before, seconds=10)


def run_python(script: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Another Python with the same modules."""
    home = Path(edxlogs.__file__).parents[1]
    path = os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


@pytest.mark.parametrize(
    "source", ["sys.argv[1]", "open(sys.argv[1], 'rb')", "io.BytesIO(b'{}' * 10_000_000)"]
)
def test_python_may_exit_in_the_middle(many: Path, source: str) -> None:
    script = f"""
        import io, sys, edxlogs
        stream = edxlogs.filter({source}, threads=2)
        kept = stream.__arrow_c_stream__()
        sys.exit(7)
    """
    child = run_python(script, str(many))
    _, stderr = child.communicate(timeout=30)
    assert (child.returncode, stderr) == (7, b"")


def test_ctrl_c_while_it_waits(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.log"
    os.mkfifo(fifo)
    script = """
        import sys, edxlogs
        stream = edxlogs.filter(sys.argv[1])
        iterator = iter(stream)
        print("begun", flush=True)
        try:
            next(iterator)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """
    with run_python(script, str(fifo)) as child, fifo.open("wb"):
        assert child.stdout is not None
        assert child.stdout.readline() == b"begun\n"
        time.sleep(0.3)
        child.send_signal(signal.SIGINT)
        start = time.monotonic()
        assert child.stdout.readline() == b"interrupted\n"
        assert time.monotonic() - start < 1
        assert child.wait(timeout=10) == 0


# --- sources that fail


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = write(tmp_path / "b.log.gz", lines(5000))
    path.write_bytes(path.read_bytes()[:-20])
    return path


def test_a_broken_source_among_good_ones(broken: Path, tmp_path: Path) -> None:
    good = [
        write(tmp_path / f"{name}.log.gz", lines(4000, first=first))
        for name, first in (("a", 0), ("c", 4000))
    ]
    stream = edxlogs.filter([good[0], broken, good[1]], threads=2)
    seen: list[str] = []
    with pytest.raises(InflateError, match=r"b\.log\.gz.*cut off") as caught:  # noqa: PT012
        for batch in stream:
            seen += batch.column("source").to_pylist()
    assert seen.count("a.log.gz") == seen.count("c.log.gz") == 4000
    assert caught.value.source == str(broken)
    assert not stream.verified
    account = stream.account
    assert [one.status for one in account.sources] == ["delivered", "withheld", "delivered"]
    assert account.rows_written == 8000
    assert account.sources[1].counts.withheld == account.sources[1].counts.lines > 0


def test_the_message_comes_through_every_library(broken: Path) -> None:
    import polars as pl

    with pytest.raises((pa.ArrowException, OSError), match=r"b\.log\.gz.*cut off"):
        pa.table(edxlogs.filter(broken))
    with pytest.raises(Exception, match=r"b\.log\.gz.*cut off"):
        pl.DataFrame(edxlogs.filter(broken))


def test_a_broken_link_in_a_folder_fails_at_the_end(tmp_path: Path) -> None:
    write(tmp_path / "a.log", lines(5))
    (tmp_path / "b.log").symlink_to(tmp_path / "nowhere")
    stream = edxlogs.filter(tmp_path)
    count = 0
    with pytest.raises(MissingSourceError, match="broken link"):  # noqa: PT012
        for batch in stream:
            count += batch.num_rows
    assert count == 5
    assert not stream.verified
    assert stream.account.failed


class Breaks:
    """A caller's file that gives what it has, and then raises."""

    def __init__(self, content: bytes, error: BaseException) -> None:
        self._file = io.BytesIO(content)
        self._error = error

    def read(self, size: int, /) -> bytes:
        if chunk := self._file.read(size):
            return chunk
        self.fails()
        raise AssertionError

    def fails(self) -> None:
        raise self._error from KeyError("the cause")


class OwnError(Exception):
    """Of the caller."""


ERRORS: list[tuple[type[BaseException], tuple[object, ...]]] = [
    (ZeroDivisionError, ("1 / 0",)),
    (OwnError, ("a\nb", 5)),
    (OSError, (5, "x")),
    (BrokenPipeError, ()),
]


@pytest.mark.parametrize("content", [b"", lines(3000)], ids=["at once", "in the middle"])
@pytest.mark.parametrize(("kind", "arguments"), ERRORS)
def test_what_a_callers_file_raises(
    kind: type[Exception], arguments: tuple[object, ...], content: bytes, tmp_path: Path
) -> None:
    """It reaches the caller as it was, after the sources that are good."""
    error = kind(*arguments)
    good = write(tmp_path / "good.log", lines(7))
    stream = edxlogs.filter([Breaks(content, error), good], threads=2)
    rows = 0
    with pytest.raises(kind) as caught:  # noqa: PT012
        for batch in stream:
            rows += batch.num_rows
    assert caught.value is error
    assert isinstance(error.__cause__, KeyError)
    assert "fails" in [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert rows == content.count(b"\n") + 7
    assert not stream.verified
    broken, whole = stream.account.sources
    assert (broken.status, whole.status) == ("withheld", "delivered")
    assert kind.__name__ in str(broken.error)
    assert "\n" not in str(broken.error)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)], ids=["Ctrl-C", "exit"])
@pytest.mark.parametrize("content", [b"", lines(3000)], ids=["at once", "in the middle"])
def test_a_callers_file_that_ends_everything(
    error: BaseException, content: bytes, many: Path
) -> None:
    before = usage()
    stream = edxlogs.filter([Breaks(content, error), many], threads=1)
    with pytest.raises(type(error)) as caught:
        list(stream)
    assert caught.value is error
    assert not stream.verified
    assert len(stream.account.sources) == 0
    assert settles_to(before)


@needs_gpg
@pytest.mark.parametrize(("kind", "arguments"), [*ERRORS, (KeyboardInterrupt, ())])
def test_what_a_callers_encrypted_file_raises(
    kind: type[BaseException], arguments: tuple[object, ...], ring: Ring
) -> None:
    error = kind(*arguments)
    message = ring.encrypt(data=lines(5000))
    stream = edxlogs.filter(Breaks(message[: len(message) // 2], error), gnupg_home=ring.path)
    with pytest.raises(kind) as caught:
        list(stream)
    assert caught.value is error


@needs_gpg
def test_an_altered_message(ring: Ring, tmp_path: Path) -> None:
    message = bytearray(ring.encrypt("--compress-algo", "none", data=lines(5000)))
    message[len(message) // 2] ^= 1
    path = tmp_path / "a.log.gpg"
    path.write_bytes(message)
    stream = edxlogs.filter(path, gnupg_home=ring.path)
    with pytest.raises(DecryptError, match="altered"):
        list(stream)
    assert stream.account.rows_written == 0
    assert not stream.verified
