"""The compiled module: scans of every input, their errors and their end."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from edxlogs import _core
from edxlogs.errors import (
    ConfigError,
    FormatError,
    InflateError,
    MissingSourceError,
    SourceError,
    StoppedError,
)
from edxlogs.events.query import Conditions, make_query
from small_logs import lines, write


class Chunks:
    """A file object that gives what it likes."""

    def __init__(self, chunks: list[Any]) -> None:
        self.chunks = chunks

    def read(self, size: int) -> Any:
        chunk = self.chunks.pop(0) if self.chunks else b""
        if isinstance(chunk, Exception):
            raise chunk
        return chunk


def scan(source: Any, **options: Any) -> tuple[dict[str, Any], BaseException | None]:
    query = make_query(Conditions(), collect="nothing")
    usual: dict[str, Any] = {"name": "x", "control": _core.Control()}
    return _core.scan(source, query, None, **(usual | options))


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("size", [1, 7, 100_000, 3_000_000])
def test_file_objects_may_give_any_size(size: int, threads: int) -> None:
    packed = gzip.compress(lines(200 if size == 1 else 9000))
    chunks = [packed[at : at + size] for at in range(0, len(packed), size)]
    counts, error = scan(Chunks(chunks), threads=threads)
    assert error is None
    assert counts["lines"] == counts["kept"] == (200 if size == 1 else 9000)
    assert counts["bytes_read"] == len(packed)


@pytest.mark.parametrize("bad", [None, "text", 5, bytearray(b"{}")])
def test_file_objects_that_give_no_bytes(bad: object) -> None:
    for before in ([], [lines(3)]):
        _, error = scan(Chunks([*before, bad]))
        assert isinstance(error, SourceError)
        assert error.source == "x"
        assert f"gives {type(bad).__name__}, not bytes" in str(error)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("bad", [ValueError("no"), OSError(5, "x"), ConnectionResetError()])
def test_file_objects_that_fail(bad: Exception, threads: int) -> None:
    """What they raise comes back as it is, out of gzip and out of a tar as well."""
    packed = gzip.compress(lines(30))
    for before in ([], [lines(3)], [packed], [packed[:-20]]):
        _, error = scan(Chunks([*before, bad]), threads=threads)
        assert error is bad
        assert error.__traceback__ is not None


def test_inputs_of_every_kind(tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", lines(5))
    with path.open("rb") as file:
        counted = [
            scan(path)[0]["lines"],
            scan(str(path))[0]["lines"],
            scan(file.fileno())[0]["lines"],
            scan(io.BytesIO(lines(5)))[0]["lines"],
            scan(path, offset=len(lines(2)))[0]["lines"],
            scan(path, length=len(lines(2)))[0]["lines"],
            scan(path, offset=len(lines(2)), length=len(lines(1, 2)))[0]["lines"],
        ]
        os.fstat(file.fileno())
    assert counted == [5, 5, 5, 5, 3, 2, 1]
    with pytest.raises(OSError):  # noqa: PT011 - that of the system
        scan(-1)
    with pytest.raises(OSError):  # noqa: PT011
        scan(987_654)
    with pytest.raises(TypeError):
        scan(None)


def test_errors_of_sources(tmp_path: Path) -> None:
    packed = gzip.compress(lines(50))
    damaged = bytearray(packed)
    damaged[-6] ^= 1
    cases: list[tuple[bytes, type[Exception]]] = [
        (packed[:-9], InflateError),
        (bytes(damaged), InflateError),
        (gzip.compress(gzip.compress(gzip.compress(packed))), FormatError),
        (gzip.compress(b"-----BEGIN PGP MESSAGE-----\n\n"), FormatError),
    ]
    for content, kind in cases:
        path = tmp_path / "a.log.gz"
        path.write_bytes(content)
        _, error = scan(path)
        assert type(error) is kind
        assert getattr(error, "source", None) == "x"
    assert type(scan(tmp_path / "none")[1]) is MissingSourceError
    assert type(scan(tmp_path)[1]) is SourceError


def test_wrong_names() -> None:
    query = make_query(Conditions())
    with pytest.raises(ConfigError):
        _core.PartWriter(query, "xlsx")
    with pytest.raises(TypeError):
        _core.scan("x", query, object(), name="x", control=_core.Control())  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _core.Query(unknown=["x"])  # type: ignore[call-arg]


# --- control


@pytest.mark.parametrize("threads", [1, 3])
def test_a_scan_stops(tmp_path: Path, threads: int) -> None:
    reader, writer = os.pipe()
    control = _core.Control()
    results: list[Any] = []
    thread = threading.Thread(
        target=lambda: results.append(scan(reader, control=control, threads=threads))
    )
    thread.start()
    os.write(writer, lines(20))
    time.sleep(0.2)
    assert not results
    start = time.monotonic()
    control.stop()
    thread.join(timeout=5)
    assert time.monotonic() - start < 0.5
    os.close(reader)
    os.close(writer)
    assert control.stopped
    assert isinstance(results[0][1], StoppedError)


def test_control_counts_bytes(tmp_path: Path) -> None:
    control = _core.Control()
    path = write(tmp_path / "a.log.gz", lines(500))
    scan(path, control=control)
    scan(path, control=control)
    assert control.bytes_read == 2 * path.stat().st_size
    assert control.bytes_expanded == 2 * len(lines(500))
    assert not control.stopped


def test_the_interpreter_is_released(tmp_path: Path) -> None:
    """Another thread runs while a scan waits for a pipe."""
    reader, writer = os.pipe()
    ticks = 0
    thread = threading.Thread(target=lambda: scan(reader))
    thread.start()
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        ticks += 1
        time.sleep(0.001)
    os.close(writer)
    thread.join(timeout=5)
    os.close(reader)
    assert ticks > 50


# --- times, columns, stubs


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01", 0),
        ("1970-01-02T00:00:00.000001Z", 86_400_000_001),
        ("2014-10-01T00:00:00+02:00", 1_412_114_400_000_000),
        ("1969-12-31", -86_400_000_000),
        ("2014-10", None),
        ("now", None),
        ("", None),
    ],
)
def test_times(text: str, micros: int | None) -> None:
    assert _core.parse_time(text) == micros


def test_columns_are_described() -> None:
    described = _core.columns()
    assert len(described) == 24
    assert {kind for _, kind, *_ in described} == {"string", "int64", "timestamp[us, UTC]"}
    assert all(name and origin for name, _, origin, *_ in described)
    assert _core.Query().column_names == [name for name, *_ in described]


def test_the_stub_says_what_is_there(tmp_path: Path) -> None:
    """mypy's stubtest compares `_core.pyi` with the compiled module."""
    pytest.importorskip("mypy.stubtest")
    # A copy: mypy looks for no sources among installed packages.
    shutil.copytree(Path(_core.__file__).parent, tmp_path / "edxlogs")
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "edxlogs._core"],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "MYPYPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
