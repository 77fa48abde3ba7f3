"""The bytes of an object that are on disk so far, under a hidden name, fit to go on from.

A small note beside them says of what content they are. After a crash of this program the kernel
still has every byte that was written, so all of them count; after one of the machine only those
count that were flushed to disk before the note said so.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import orjson

from edxlogs.s3 import S3Object

SCHEMA_VERSION = 1
FLUSH_BYTES = 64 << 20  # what a crash of the machine can cost of a transfer
_READ_BYTES = 1 << 20
_BOOT = "/proc/sys/kernel/random/boot_id"


class Part:
    """An object in the making; used by one thread.

    Args:
        folder: descriptor of the folder for parts.
        source: the object; bytes of another content of it, or of another object, do not count.

    Attributes:
        name: of the file in the folder.
        size: bytes that count; the next ones to come follow them.

    Raises:
        OSError: the files cannot be made or read.
    """

    def __init__(self, folder: int, source: S3Object) -> None:
        self._folder = folder
        self._source = source
        stem = hashlib.sha256(f"{source.bucket}/{source.key}".encode()).hexdigest()[:32]
        self.name = f"{stem}.part"
        self._note = f"{stem}.json"
        self._flushed = 0
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self.name, flags, 0o600, dir_fd=folder)
        try:
            there = os.fstat(self._descriptor).st_size
            self.size = self._trusted(there)
            if not self.size:
                self._write_note(sync=there > 0)
            os.ftruncate(self._descriptor, self.size)
        except BaseException:
            self.close()
            raise

    def _trusted(self, there: int) -> int:
        """How many of the bytes in the file count."""
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(self._note, flags, dir_fd=self._folder), "rb") as file:
                note: Any = orjson.loads(file.read())
            flushed = note.pop("flushed")
            boot = note.pop("boot")
            if note != self._identity() or there > self._source.size:
                return 0
            self._flushed = min(flushed, there)
        except (OSError, KeyError, TypeError, ValueError, AttributeError):
            return 0
        return there if boot is not None and boot == boot_id() else self._flushed

    def _identity(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "bucket": self._source.bucket,
            "key": self._source.key,
            "etag": self._source.etag,
            "size": self._source.size,
        }

    def _write_note(self, *, sync: bool = False) -> None:
        """Say what the bytes are; `sync` where a note of other bytes must not come back."""
        note = orjson.dumps({**self._identity(), "flushed": self._flushed, "boot": boot_id()})
        new = f"{self._note}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(new, flags, 0o600, dir_fd=self._folder)
        try:
            _write_all(descriptor, note)
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(new, self._note, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        if sync:
            os.fsync(self._folder)

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
        _write_all(self._descriptor, data)
        self.size += len(data)
        if self.size - self._flushed >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Bring the bytes to disk."""
        os.fdatasync(self._descriptor)
        if self._flushed != self.size:
            self._flushed = self.size
            self._write_note()

    def finish(self, mode: int, modified_ns: int) -> None:
        """Bring the bytes to disk, with the permissions and time of the file that they become."""
        os.fchmod(self._descriptor, mode)
        os.utime(self._descriptor, ns=(modified_ns, modified_ns))
        os.fsync(self._descriptor)

    def reset(self) -> None:
        """Let no byte count."""
        self.size = self._flushed = 0
        self._write_note(sync=True)
        os.ftruncate(self._descriptor, 0)

    def forget(self) -> None:
        """Remove the note, when the file has got its name."""
        with suppress(FileNotFoundError):
            os.unlink(self._note, dir_fd=self._folder)

    def close(self) -> None:
        """Close the file; its bytes stay. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def boot_id() -> str | None:
    """What tells one start of the machine from another; None if the system does not say."""
    try:
        with open(_BOOT, encoding="ascii") as file:
            return file.read().strip() or None
    except (OSError, ValueError):
        return None


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
