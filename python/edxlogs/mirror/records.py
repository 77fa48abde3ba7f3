"""What a mirror knows about its files: one line of JSON for each object that was delivered whole.

The file is only appended to, and the last line about an object counts. A line is written and synced
before its object gets its name. If a crash cuts a line off, the next run removes it.
"""

from __future__ import annotations

import datetime
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import orjson

from edxlogs.store import disk

SCHEMA_VERSION = 1
NAME = "objects.jsonl"


@dataclass(frozen=True, slots=True)
class Record:
    """One delivered object.

    Attributes:
        bucket: its bucket.
        key: its key, which is also the path of the file below the mirror.
        size: size in bytes.
        etag: as S3 gave it.
        modified: when it was put into the bucket, UTC; the file has the same time.
        sha256: SHA-256 of the bytes on disk, in hex.
        checked: S3's checksum with which the bytes were compared: `MD5`, `CRC32` and so on; None if
            S3 had none for the whole object, so that only the size was compared.
        time: when it was delivered, UTC.
        schema_version: version of the line's format.
    """

    bucket: str
    key: str
    size: int
    etag: str
    modified: datetime.datetime
    sha256: str
    checked: str | None
    time: datetime.datetime
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """Rebuild it from a line.

        Raises:
            KeyError, TypeError, ValueError: the line is not a record.
        """
        if document["schema_version"] != SCHEMA_VERSION:
            raise ValueError
        times = {name: datetime.datetime.fromisoformat(document[name]) for name in _TIMES}
        record = cls(**{name: document[name] for name in cls.__slots__} | times)
        if not all(isinstance(getattr(record, name), str) for name in _TEXTS):
            raise TypeError
        if not isinstance(record.size, int):
            raise TypeError
        return record


_TIMES = ("modified", "time")
_TEXTS = ("bucket", "key", "etag", "sha256")


class Records:
    """The records of a mirror, by key. Many threads may share one.

    Args:
        folder: descriptor of the folder that holds the file; negative if there is none.
        writable: whether records will be added; the file is then made, and repaired.

    Attributes:
        unreadable: numbers of lines that are not records, whose content is not known.

    Raises:
        OSError: the file cannot be read, made or repaired.
    """

    def __init__(self, folder: int, *, writable: bool) -> None:
        self.unreadable: list[int] = []
        self._records: dict[str, Record] = {}
        self._lock = threading.Lock()
        self._descriptor = -1
        if folder < 0:
            return
        try:
            if writable:
                descriptor = disk.open_file(NAME, at=folder, appends=True)
            else:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
                descriptor = os.open(NAME, flags, dir_fd=folder)
        except FileNotFoundError:
            if writable:
                raise
            return
        try:
            whole = self._load(descriptor)
            if writable and whole < os.fstat(descriptor).st_size:
                disk.cut(descriptor, whole)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _load(self, descriptor: int) -> int:
        """Read all records. Returns the number of bytes up to the end of the last line."""
        whole = 0
        with open(descriptor, "rb", closefd=False) as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                try:
                    record = Record.of(orjson.loads(line))
                except (KeyError, TypeError, ValueError):
                    self.unreadable.append(number)
                else:
                    self._records[record.key] = record
        return whole

    def get(self, key: str) -> Record | None:
        """The last record of a key."""
        return self._records.get(key)

    def add(self, record: Record) -> None:
        """Write a record. It is on disk when this returns.

        Raises:
            OSError: it cannot be written, and does not count.
        """
        line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)
        with self._lock:
            disk.add(self._descriptor, line)
            self._records[record.key] = record
        disk.sync(self._descriptor)

    def __iter__(self) -> Iterator[Record]:
        return iter(list(self._records.values()))

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
