"""sources/reading.py: one source to its verdict, whatever it is and whatever becomes of it."""

from __future__ import annotations

import gzip
import io
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from decrypting import Ring
from edxlogs import _core
from edxlogs.errors import (
    DecryptError,
    FormatError,
    InflateError,
    MissingSourceError,
    SourceError,
    StoppedError,
)
from edxlogs.events.query import Conditions, make_query
from edxlogs.events.scanning import LineReader, Scanned
from edxlogs.generator import keys
from edxlogs.gpg.process import Gpg
from edxlogs.sources.local import find
from edxlogs.sources.source import Source
from small_logs import lines, settles_to, usage, write

needs_gpg = pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))

PACKED = gzip.compress(lines(200), mtime=0)  # the same in every worker, as names of tests need


def reader(home: Path | None = None) -> LineReader:
    query = make_query(Conditions(), collect="nothing")
    return LineReader(query, Gpg(home=home, prompt=False), _core.Control())


def scan(source: Any, home: Path | None = None) -> Scanned:
    if not isinstance(source, Source):
        (source,) = find([source]).sources
    return reader(home).scan(source, lambda: None)


def stream(content: bytes) -> Source:
    return Source("stream", "stream", None, file=io.BytesIO(content))


def fifo(folder: Path, content: bytes) -> tuple[Path, threading.Thread]:
    path = folder / "pipe.log"
    os.mkfifo(path)

    def feed() -> None:
        with suppress(BrokenPipeError):
            path.write_bytes(content)

    thread = threading.Thread(target=feed)
    thread.start()
    return path, thread


@pytest.mark.parametrize("content", [lines(200), PACKED, gzip.compress(PACKED)])
def test_the_same_lines_from_file_pipe_and_object(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(content)
    pipe, thread = fifo(tmp_path, content)
    for scanned in (scan(path), scan(pipe), scan(stream(content))):
        assert (scanned.error, scanned.counts.kept, scanned.warnings) == (None, 200, [])
        assert scanned.counts.bytes_read == len(content)
        scanned.counts.check("it")
    thread.join()


@needs_gpg
@pytest.mark.parametrize("options", [[], ["--armor"]])
def test_the_same_lines_from_a_message(ring: Ring, tmp_path: Path, options: list[str]) -> None:
    message = ring.encrypt(*options, data=PACKED)
    path = tmp_path / "a.log"
    path.write_bytes(b"x" * 7 + message + b"y" * 9)
    member = Source(str(path), "a", len(message), offset=7, length=len(message))
    pipe, thread = fifo(tmp_path, message)
    before = usage()
    for source in (member, stream(message), *find([pipe]).sources):
        scanned = scan(source, ring.path)
        assert (scanned.error, scanned.counts.kept) == (None, 200)
    thread.join()
    assert settles_to(before)


def test_members_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(b"x" * 100 + PACKED + b"y" * 100)
    member = Source(str(path), "a", len(PACKED), offset=100, length=len(PACKED), member="a")
    assert scan(member).counts.kept == 200


def test_bytes_after_the_gzip_data_are_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.log.gz"
    path.write_bytes(PACKED + b"\0" * 512 + b"junk")
    scanned = scan(path)
    assert (scanned.error, scanned.counts.kept) == (None, 200)
    assert scanned.warnings == [
        f"trailing bytes: {path}: 4 bytes after the end of the gzip data or the tar were left out"
    ]


@pytest.mark.parametrize("place", ["file", "stream"])
@pytest.mark.parametrize(
    ("content", "kind", "salvageable"),
    [
        (PACKED[:-9], InflateError, True),
        (PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], InflateError, True),
        (gzip.compress(gzip.compress(gzip.compress(PACKED))), FormatError, False),
        (gzip.compress(b"-----BEGIN PGP MESSAGE-----\n\nx", mtime=0), FormatError, False),
    ],
)
def test_damage(tmp_path: Path, place: str, content: bytes, kind: type, salvageable: bool) -> None:
    path = tmp_path / "a.log.gz"
    path.write_bytes(content)
    scanned = scan(path if place == "file" else stream(content))
    assert type(scanned.error) is kind
    assert scanned.salvageable == salvageable
    assert not scanned.unauthenticated


def test_what_the_system_refuses(tmp_path: Path) -> None:
    gone = Source(str(tmp_path / "gone.log"), "gone.log", 5)
    assert type(scan(gone).error) is MissingSourceError
    vanished = Source(str(tmp_path / "gone.log"), "gone.log", None)
    assert type(scan(vanished).error) is MissingSourceError
    folder = Source(str(tmp_path), "folder", None)
    scanned = scan(folder)
    assert type(scanned.error) is SourceError
    assert "Is a directory" in str(scanned.error)


@needs_gpg
def test_a_message_that_vanishes(
    ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.log.gpg"
    path.write_bytes(ring.encrypt(data=PACKED))
    (source,) = find([path]).sources
    open_message = Gpg.open

    def vanish(self: Gpg, *args: Any, **options: Any) -> Any:
        path.unlink()
        return open_message(self, *args, **options)

    monkeypatch.setattr(Gpg, "open", vanish)
    scanned = reader(ring.path).scan(source, lambda: None)
    assert type(scanned.error) is MissingSourceError
    assert str(path) in str(scanned.error)


@needs_gpg
@pytest.mark.parametrize("place", ["file", "stream"])
def test_messages_that_must_not_be_trusted(ring: Ring, tmp_path: Path, place: str) -> None:
    message = ring.encrypt("--compress-algo", "none", data=PACKED * 200)
    altered = bytearray(message)
    altered[len(altered) // 2] ^= 1
    for content, salvageable in ((bytes(altered), False), (message[: len(message) // 2], True)):
        path = tmp_path / "a.log.gpg"
        path.write_bytes(content)
        scanned = scan(path if place == "file" else stream(content), ring.path)
        assert type(scanned.error) is DecryptError
        assert scanned.salvageable == scanned.unauthenticated == salvageable


@needs_gpg
def test_damage_inside_a_sound_message(ring: Ring, tmp_path: Path) -> None:
    path = tmp_path / "a.log.gpg"
    path.write_bytes(ring.encrypt(data=PACKED[:-9]))
    scanned = scan(path, ring.path)
    assert type(scanned.error) is InflateError
    assert (scanned.salvageable, scanned.unauthenticated) == (True, False)


@needs_gpg
def test_gpg_is_missing(tmp_path: Path, ring: Ring) -> None:
    path = tmp_path / "a.log.gpg"
    path.write_bytes(ring.encrypt(data=PACKED))
    (source,) = find([path]).sources
    query = make_query(Conditions(), collect="nothing")
    lame = LineReader(query, Gpg(executable="no-such-gpg", prompt=False), _core.Control())
    for one in (source, stream(path.read_bytes())):
        scanned = lame.scan(one, lambda: None)
        assert type(scanned.error) is DecryptError
        assert "no such program" in str(scanned.error)


@needs_gpg
@pytest.mark.parametrize("make_sink", ["stream", "output", "part"])
def test_read_again_delivered_once(
    ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_sink: str
) -> None:
    """A message that gpg must be given twice: its rows cannot be taken back from a stream."""
    path = tmp_path / "a.log.gpg"
    path.write_bytes(ring.encrypt(data=PACKED))
    (source,) = find([path]).sources
    collect = "lines" if make_sink == "output" else "columns"
    query = make_query(Conditions(), collect=collect)
    one = LineReader(query, Gpg(home=ring.path, prompt=False), _core.Control())
    weigh = LineReader._weigh
    calls: list[int] = []

    def at_first_not(self: LineReader, *args: Any) -> Any:
        scanned, judged = weigh(self, *args)
        calls.append(scanned.counts.rows)
        if len(calls) == 1:
            scanned.error = DecryptError("spoiled")
            return scanned, type(judged)(retry=True, length=path.stat().st_size)
        return scanned, judged

    monkeypatch.setattr(LineReader, "_weigh", at_first_not)
    makers: dict[str, Callable[[], Any]]
    batches = _core.BatchStream(query, one.control)
    writer = batches.writer()
    output = _core.Output(tmp_path / "out", query, "jsonl" if collect == "lines" else "csv", [])
    makers = {
        "stream": lambda: writer,
        "output": lambda: output,
        "part": lambda: _core.PartWriter(query, "csv"),
    }
    scanned = one.scan(source, makers[make_sink])
    writer.close()
    assert calls == [200, 200]
    assert (scanned.error, scanned.counts.rows) == (None, 200)
    if make_sink == "stream":
        import pyarrow as pa

        assert pa.table(batches).num_rows == 200
    elif make_sink == "output":
        output.finish(sync=False)
        assert (tmp_path / "out").read_bytes() == lines(200)
    else:
        sink = scanned.sink
        assert isinstance(sink, _core.PartWriter)
        output.append(sink.finish())
        output.finish(sync=False)
        assert len((tmp_path / "out").read_bytes().splitlines()) == 201


@needs_gpg
def test_stopping_ends_gpg(ring: Ring, tmp_path: Path) -> None:
    path = tmp_path / "a.log.gpg"
    path.write_bytes(ring.encrypt("--compress-algo", "zlib", data=lines(1000) * 100))
    (source,) = find([path]).sources
    before = usage()
    one = reader(ring.path)
    one.control.stop()
    start = time.monotonic()
    scanned = one.scan(source, lambda: None)
    assert time.monotonic() - start < 2
    assert type(scanned.error) is StoppedError
    assert settles_to(before)


@needs_gpg
def test_heads(ring: Ring, tmp_path: Path) -> None:
    message = tmp_path / "a.log.gpg"
    message.write_bytes(ring.encrypt(data=lines(1000)))
    plain = write(tmp_path / "b.log", lines(1000))
    one = reader(ring.path)
    for path in (message, plain):
        (source,) = find([path]).sources
        assert one.first_bytes(source, 5000) == lines(1000)[:5000]
    member = Source(str(plain), "b", 10, offset=5, length=10)
    assert one.first_bytes(member, 5000) == lines(1000)[5:15]
    assert one.first_bytes(stream(b"x"), 10) == b""
    assert one.first_bytes(Source(str(tmp_path / "gone"), "gone", 5), 10) == b""
