"""Objects as pyarrow files, read with edxlogs' own requests."""

from __future__ import annotations

import atexit
import io
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

import pyarrow
from pyarrow.fs import FileInfo, FileSystemHandler, FileType, PyFileSystem

from edxlogs.buckets.requests import WINDOW_BYTES, Ranges, read_range
from edxlogs.errors import StoppedError
from edxlogs.s3.client import S3, S3Object
from edxlogs.s3.reader import S3Reader

_STREAM_BYTES = 1 << 20
_LAST_SECONDS, _QUIET_SECONDS = 5.0, 0.1  # of the end, at most, and without a call


class _Calls:
    """Calls from Arrow's threads. If Python exits during one, the process crashes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way = 0
        self._last = 0.0
        self._ended = False

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Count one call."""
        with self._lock:
            self._under_way += 1
        try:
            if self._ended:
                raise StoppedError("s3: stopped")
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                self._last = time.monotonic()

    def end(self) -> None:
        """Let no more begin, and wait for the rest."""
        self._ended = True
        end = time.monotonic() + _LAST_SECONDS
        while time.monotonic() < end:
            with self._lock:
                if not self._under_way and time.monotonic() - self._last > _QUIET_SECONDS:
                    return
            time.sleep(_QUIET_SECONDS / 10)


_calls = _Calls()
atexit.register(_calls.end)


def file_system(s3: S3, objects: Iterable[S3Object]) -> PyFileSystem:
    """A read-only file system with these objects, by bucket and key."""
    return PyFileSystem(_Objects(s3, {f"{one.bucket}/{one.key}": one for one in objects}))


class _Ranged(io.RawIOBase):
    """An object that is read at any offset."""

    def __init__(self, s3: S3, source: S3Object) -> None:
        self._source = source
        self._at = 0
        # A small one is fetched whole, once.
        is_small = source.size <= WINDOW_BYTES
        self._fetch = Ranges(s3, source).read if is_small else partial(read_range, s3, source)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        self._at = begin + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        with _calls.enter():
            left = max(0, self._source.size - self._at)
            size = left if size < 0 else min(size, left)
            content = self._fetch(self._at, size) if size else b""
            self._at += len(content)
            return content


class _Whole(io.RawIOBase):
    """An object that is read from beginning to end, and compared with its checksum."""

    def __init__(self, reader: S3Reader) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _calls.enter():
            piece = self._reader.read(len(buffer))
            buffer[: len(piece)] = piece
            return len(piece)

    def close(self) -> None:
        self._reader.close()
        super().close()


class _Objects(FileSystemHandler):  # type: ignore[misc]
    """Listed objects. They can be pickled."""

    def __init__(self, s3: S3, objects: dict[str, S3Object]) -> None:
        self._s3 = s3
        self._objects = objects

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Objects) and other._objects == self._objects

    def __hash__(self) -> int:
        return hash(len(self._objects))

    def get_type_name(self) -> str:
        return "edxlogs-s3"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[FileInfo]:
        return [
            FileInfo(path, FileType.File, size=self._objects[path].size)
            if path in self._objects
            else FileInfo(path, FileType.NotFound)
            for path in paths
        ]

    def open_input_file(self, path: str) -> pyarrow.PythonFile:
        with _calls.enter():
            return pyarrow.PythonFile(_Ranged(self._s3, self._find(path)), mode="r")

    def open_input_stream(self, path: str) -> pyarrow.PythonFile:
        raw = _Whole(S3Reader(self._s3, self._find(path)))
        return pyarrow.PythonFile(io.BufferedReader(raw, _STREAM_BYTES), mode="r")

    def _find(self, path: str) -> S3Object:
        if path not in self._objects:
            raise FileNotFoundError(path)
        return self._objects[path]

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError

    get_file_info_selector = create_dir = delete_dir = delete_dir_contents = _refuse
    delete_root_dir_contents = delete_file = move = copy_file = _refuse
    open_output_stream = open_append_stream = _refuse
