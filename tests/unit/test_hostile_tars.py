"""Tars whose headers lie: damage, and never a file that is shorter than it was."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from edxlogs.database.tars import unpack
from edxlogs.errors import SourceError
from edxlogs.sources.local import find
from edxlogs.sources.tars import expand_tar

BLOCK = tarfile.BLOCKSIZE
TEXT = b"some text\n"
LARGE, NEGATIVE = 1 << 40, (1 << 96) - 5


def padded(content: bytes) -> bytes:
    return content + b"\0" * (-len(content) % BLOCK)


def header(name: str = "a.log", size: bytes = b"%011o\0" % len(TEXT), kind: bytes = b"0") -> bytes:
    """A header with any size in it, sound but for that."""
    info = tarfile.TarInfo(name)
    info.type = kind
    block = bytearray(info.tobuf())
    block[124:136] = size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def binary(size: int) -> bytes:
    """A size as GNU writes those that are too large for digits."""
    return (size | 1 << 95).to_bytes(12)


def pax(record: bytes) -> bytes:
    return header("p", b"%011o\0" % len(record), b"x") + padded(record)


def record(key: str, value: str) -> bytes:
    rest = f" {key}={value}\n"
    length = next(n for n in range(len(rest), 2 * len(rest) + 9) if n == len(f"{n}{rest}"))
    return f"{length}{rest}".encode()


FILE = header() + padded(TEXT)
AFTER = header("b.log") + padded(TEXT)
END = b"\0" * 2 * BLOCK

LIES = {
    "huge": header(size=binary(1 << 62)) + padded(TEXT),
    "large": header(size=binary(LARGE)) + padded(TEXT),
    "negative": header(size=binary(NEGATIVE)) + padded(TEXT),
    "minus": header(size=b"-0000000001\0") + padded(TEXT),
    "pax negative": pax(record("size", "-5")) + FILE,
    "pax no number": pax(record("size", "abc")) + FILE,
    "pax 5,000 digits": pax(record("size", "9" * 5000)) + FILE,
    "pax huge": pax(record("size", "9" * 18)) + FILE,
    "pax length": pax(b"99 size=5\n") + FILE,
    "a large name": header("././@LongLink", binary(LARGE), b"L") + FILE,
    "a large record": header("p", binary(LARGE), b"x") + FILE,
    "a large global record": header("p", binary(LARGE), b"g") + FILE,
    "a broken header": header(size=b"99999999999\0") + padded(TEXT),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("before", [b"", header("c.log") + padded(TEXT)], ids=["first", "later"])
def test_content_of_a_course(tmp_path: Path, lie: str, before: bytes) -> None:
    done = unpack(io.BytesIO(before + LIES[lie] + AFTER + END), tmp_path / "out", "label")
    assert "is not a tar, or is cut off or damaged" in str(done.error)


@pytest.mark.parametrize("cut", [BLOCK, BLOCK + 5, 2 * BLOCK, 3 * BLOCK + 1, 4 * BLOCK])
def test_content_that_is_cut_off(tmp_path: Path, cut: int) -> None:
    done = unpack(io.BytesIO((FILE + AFTER + END)[:cut]), tmp_path / "out", "label")
    assert "cut off or damaged" in str(done.error)


def test_content_with_holes(tmp_path: Path) -> None:
    holes = pax(record("GNU.sparse.size", "99") + record("GNU.sparse.map", "0,1")) + FILE
    done = unpack(io.BytesIO(holes + AFTER + END), tmp_path / "out", "label")
    assert "holds a.log, a file with holes" in str(done.error)


def test_content_that_tells_the_truth(tmp_path: Path) -> None:
    link = header("l.log", binary(LARGE), b"1")  # whatever stands there, it has no bytes
    sized = pax(record("size", str(len(TEXT)))) + header(size=b"0" * 11 + b"\0") + padded(TEXT)
    done = unpack(io.BytesIO(link + sized + AFTER + END), tmp_path / "out", "label")
    assert done.error is None
    found = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert found == {"a.log": TEXT, "b.log": TEXT}


@pytest.mark.parametrize("lie", LIES)
def test_logs(tmp_path: Path, lie: str) -> None:
    path = tmp_path / "x-tracking.tar"
    path.write_bytes(LIES[lie] + AFTER + END)
    (source,) = find([str(path)]).sources
    with pytest.raises(SourceError, match="damaged tar") as caught:
        expand_tar(source)
    assert "sys." not in str(caught.value)
