"""The bytes of objects that have arrived so far, under hidden names, so that transfers can resume.

The name of a part identifies the object and its content, so bytes of another content never count.
If this program crashes, the kernel still has every byte that was written, and all of them count. If
the machine crashes, only bytes that were flushed to disk count, as a note beside a large part
records: whoever opens the folder first after a restart cuts the parts back to them.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import orjson

from edxlogs.s3.client import S3Object
from edxlogs.store import disk
from edxlogs.system import boot_id

SCHEMA_VERSION = 1
FLUSH_BYTES = 64 << 20  # what a crash of the machine can cost of a transfer
_READ_BYTES = 1 << 20
_BOOT = "boot"
_PART, _NOTE = ".part", ".json"


class Partials:
    """The folder of parts. Only one process may open it at a time.

    Args:
        folder: its descriptor, which stays open.

    Raises:
        OSError: it cannot be read, or cannot be put in order.
    """

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._there: dict[str, list[str]] = {}
        names = os.listdir(folder)
        started = boot_id()
        if started is None or started.encode() != _read(folder, _BOOT):
            for name in names:
                if name.endswith(_PART):
                    _cut_back(folder, name)
            disk.replace_at(_BOOT, (started or "").encode(), at=folder, synced=True)
        for name in names:
            self._there.setdefault(name.partition("-")[0], []).append(name)

    def open(self, source: S3Object) -> Partial:
        """The bytes of an object that have arrived. Those of other contents of it are removed.

        Raises:
            OSError: the file cannot be made or read.
        """
        place = _hash(source.bucket, source.key)
        stem = f"{place}-{_hash(source.etag, str(source.size))}"
        for name in self._there.pop(place, []):
            if name not in (stem + _PART, stem + _NOTE):
                disk.unlink(name, at=self._folder)
        return Partial(self._folder, stem, source)


class Partial:
    """An object being received, by one thread.

    Attributes:
        name: name of the file in the folder.
        size: number of bytes that count; the next ones follow them.
    """

    def __init__(self, folder: int, stem: str, source: S3Object) -> None:
        self.name = stem + _PART
        self._folder = folder
        self._note = stem + _NOTE
        self._source = source
        self._descriptor = disk.open_file(self.name, at=folder, appends=True)
        self.size = self._flushed = os.fstat(self._descriptor).st_size
        if self.size > source.size:
            self.reset()

    def read_back(self) -> Iterator[bytes]:
        """Yield the bytes that count, from the first on."""
        at = 0
        while at < self.size:
            data = os.pread(self._descriptor, min(_READ_BYTES, self.size - at), at)
            if not data:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            at += len(data)
            yield data

    def write(self, data: bytes) -> None:
        """Add bytes."""
        disk.write_all(self._descriptor, data)
        self.size += len(data)
        if self.size - self._flushed >= FLUSH_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Flush the bytes to disk, and record that."""
        disk.sync(self._descriptor)
        self._flushed = self.size
        note = {
            "schema_version": SCHEMA_VERSION,
            "bucket": self._source.bucket,
            "key": self._source.key,
            "etag": self._source.etag,
            "size": self._source.size,
            "flushed": self._flushed,
        }
        # If the note is lost, flushed bytes are fetched again; a torn note counts as lost.
        disk.replace_at(self._note, orjson.dumps(note), at=self._folder, synced=False)

    def finish(self, mode: int, modified_ns: int) -> None:
        """Flush the bytes to disk, with the permissions and time of the final file."""
        disk.set_mode(self._descriptor, mode)
        disk.set_time(self._descriptor, modified_ns)
        disk.sync(self._descriptor)

    def reset(self) -> None:
        """Discard all bytes."""
        self.forget()
        disk.cut(self._descriptor, 0)
        self.size = self._flushed = 0

    def forget(self) -> None:
        """Remove the note, if there is one."""
        if self._flushed:
            disk.unlink(self._note, at=self._folder)

    def close(self) -> None:
        """Close the file; its bytes stay. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _hash(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:32]


def _cut_back(folder: int, name: str) -> None:
    """Cut a part back to what its note says was flushed."""
    flushed = 0
    with suppress(KeyError, TypeError, ValueError):
        note: Any = orjson.loads(_read(folder, name.removesuffix(_PART) + _NOTE))
        flushed = max(0, int(note["flushed"]))
    descriptor = disk.open_file(name, at=folder)
    try:
        disk.cut(descriptor, min(flushed, os.fstat(descriptor).st_size))
        disk.sync(descriptor)
    finally:
        os.close(descriptor)


def _read(folder: int, name: str) -> bytes:
    """A small file; empty if it cannot be read."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(name, flags, dir_fd=folder), "rb") as file:
            return file.read()
    except OSError:
        return b""
