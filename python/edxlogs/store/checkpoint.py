"""Checkpoints: the result of a stretch of commits, as records in the order of their keys.

A record is a key and a value, both bytes. An empty value means that the key no longer exists.
Records are in compressed blocks. An index at the end gives, for each block, its offset, its first
key and its SHA-256. A lookup reads the index and one block; opening a checkpoint reads only the
index, whose SHA-256 is in the manifest's head. So damage is found wherever something is read, and
nothing is read unnecessarily.
"""

from __future__ import annotations

import hashlib
import heapq
import os
import weakref
import zlib
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import orjson

from edxlogs.store import disk

Record = tuple[bytes, bytes]

BLOCK_BYTES = 64 << 10  # of records, before they are compressed
_KEPT_BLOCKS = 32


class DamagedError(Exception):
    """The content is not as it was written. The argument says where."""


class Checkpoint:
    """One checkpoint, for reading.

    Args:
        told: what `write` returned about it.
        read: returns a number of its bytes, from an offset.

    Attributes:
        told: what `write` returned about it.

    Raises:
        OSError: it cannot be read.
        DamagedError: its index is not as it was written.
    """

    def __init__(self, told: dict[str, Any], read: Callable[[int, int], bytes]) -> None:
        self.told = told
        self._read_bytes = read
        index = self._read(told["index"], told["bytes"] - told["index"], told["sha256"], "index")
        self._blocks: list[list[Any]] = orjson.loads(index)
        self._first = [block[0].encode() for block in self._blocks]
        self._kept: OrderedDict[int, list[bytes]] = OrderedDict()

    @classmethod
    def of_file(cls, path: Path, told: dict[str, Any]) -> Self:
        """A checkpoint in a file. Safe to use while a writer removes the file."""
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            one = cls(told, lambda at, size: os.pread(file, size, at))
        except BaseException:
            os.close(file)
            raise
        weakref.finalize(one, os.close, file)
        return one

    def _read(self, at: int, size: int, sha256: str, what: str) -> bytes:
        content = self._read_bytes(at, size)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise DamagedError(f"{self.told['name']}: {what} does not match its checksum")
        return zlib.decompress(content)

    def _lines(self, number: int) -> list[bytes]:
        """The records of a block. The blocks read last are cached."""
        lines = self._kept.get(number)
        if lines is None:
            _, at, size, sha256, *_ = self._blocks[number]
            lines = self._read(at, size, sha256, f"block {number}").split(b"\n")
            self._kept[number] = lines
            if len(self._kept) > _KEPT_BLOCKS:
                self._kept.popitem(last=False)
        return lines

    def get(self, key: bytes) -> bytes | None:
        """The value of a key; None if there is no record of it."""
        number = bisect_right(self._first, key) - 1
        if number < 0:
            return None
        lines, start = self._lines(number), key + b"\t"
        at = bisect_left(lines, start)
        if at < len(lines) and lines[at].startswith(start):
            return lines[at][len(start) :]
        return None

    def scan(
        self, prefix: bytes = b"", wants: Callable[[int, int], bool] = lambda *_: True
    ) -> Iterator[Record]:
        """Records whose keys begin with a prefix, in order.

        Args:
            prefix: beginning of their keys.
            wants: given the least and the greatest mark of a block, tells whether to read it.
        """
        for number in range(max(0, bisect_right(self._first, prefix) - 1), len(self._blocks)):
            if self._first[number] > prefix and not self._first[number].startswith(prefix):
                return
            _, at, size, sha256, low, high = self._blocks[number]
            if not wants(low, high):
                continue
            for line in self._read(at, size, sha256, f"block {number}").split(b"\n"):
                if line.startswith(prefix):
                    key, _, value = line.partition(b"\t")
                    yield key, value


def write(
    path: Path,
    records: Iterable[Record],
    mode: int,
    marks: Callable[[Record], tuple[int, int] | None],
) -> dict[str, Any]:
    """Write records, in the order of their keys, to a new file, flushed to disk.

    Args:
        path: path of the file. Anything there was left by a crash.
        records: the records; no key may occur twice.
        mode: permissions of the file.
        marks: least and greatest number by which a record can be found without its key, or None.

    Returns:
        What `Checkpoint` needs to know about it: `name`, `bytes`, where its `index` is, its
            `sha256`.

    Raises:
        OSError: it cannot be written.
    """
    disk.unlink(path)
    descriptor = disk.make_file(path)
    blocks: list[list[Any]] = []
    at = 0

    def put(lines: list[bytes], low: int, high: int) -> None:
        nonlocal at
        content = zlib.compress(b"\n".join(lines), 1)
        disk.write_all(descriptor, content)
        first = lines[0].partition(b"\t")[0].decode()
        sha256 = hashlib.sha256(content).hexdigest()
        blocks.append([first, at, len(content), sha256, low, high])
        at += len(content)

    try:
        os.fchmod(descriptor, mode)
        lines: list[bytes] = []
        size, low, high = 0, _NONE, -1
        for record in records:
            lines.append(b"\t".join(record))
            size += len(lines[-1])
            if (marked := marks(record)) is not None:
                low, high = min(low, marked[0]), max(high, marked[1])
            if size >= BLOCK_BYTES:
                put(lines, low, high)
                lines, size, low, high = [], 0, _NONE, -1
        if lines:
            put(lines, low, high)
        index = zlib.compress(orjson.dumps(blocks), 1)
        disk.write_all(descriptor, index)
        disk.sync(descriptor)
    finally:
        os.close(descriptor)
    sha256 = hashlib.sha256(index).hexdigest()
    return {"name": path.name, "bytes": at + len(index), "index": at, "sha256": sha256}


_NONE = 1 << 62  # above every number


def merge(newest_first: Sequence[Iterable[Record]]) -> Iterator[Record]:
    """The newest record of each key, in the order of the keys, including those without a value."""
    last = None
    for key, _, value in heapq.merge(*map(_aged, range(len(newest_first)), newest_first)):
        if key != last:
            last = key
            yield key, value


def _aged(age: int, records: Iterable[Record]) -> Iterator[tuple[bytes, int, bytes]]:
    for key, value in records:
        yield key, age, value


def escaped(key: str) -> bytes:
    """A key in the form of records: without control characters, with common prefixes kept."""
    if key.isprintable() and "\\" not in key:
        return key.encode()
    return "".join(
        one if one >= " " and one != "\\" else f"\\{ord(one):02x}" for one in key
    ).encode("utf-8", "backslashreplace")
