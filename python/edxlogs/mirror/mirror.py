"""A mirror: a local folder that keeps the layout of buckets.

A file's path below the folder is its key. Keys are not trusted: no path leads out of the folder or
through a link, and nothing is replaced but regular files. Records, parts and the lock are kept in
`_edxlogs`, which searching passes over.
"""

from __future__ import annotations

import datetime
import errno
import os
import shutil
import stat
import threading
from pathlib import Path
from typing import BinaryIO, Self

from edxlogs.errors import ConfigError, OutputError
from edxlogs.mirror.partial import Partial, Partials
from edxlogs.mirror.records import Record, Records
from edxlogs.s3.client import S3Object
from edxlogs.store import disk
from edxlogs.text import shown

RECORDS = "_edxlogs"
_PARTS = "parts"
_LONGEST_NAME = 255
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_ADVICE = {
    **dict.fromkeys(
        _FULL, "make room and run again; whole files stay, and the rest continues where it stopped"
    ),
    errno.ENOTDIR: "a file or a link stands where its folder must be; move it away",
    errno.ELOOP: "a link stands where a file or a folder must be; move it away",
    errno.EISDIR: "a folder stands in its place; move it away",
    errno.EXDEV: "the folder spans several file systems; name one on a single file system",
}


def local_names(key: str) -> tuple[str, ...]:
    """Take a key apart into the names of folders and the file.

    Raises:
        ValueError: it could lead out of the folder, or no file can have such a name; the argument
            is why.
    """
    names = tuple(key.split("/"))
    if any(name in ("", ".", "..") for name in names):
        raise ValueError("its key is not a plain path (an empty name, . or ..)")
    if shown(key) != key:
        raise ValueError("its key has characters that a file name must not have")
    if any(len(name.encode()) > _LONGEST_NAME for name in names):
        raise ValueError(f"its key has a name of more than {_LONGEST_NAME} bytes")
    if names[0] == RECORDS:
        raise ValueError(f"its key begins with {RECORDS}, which holds our own records")
    return names


class Mirror:
    """An open mirror.

    Args:
        path: the folder; made if need be, and locked, if `writable`.
        mode: permissions of the files; folders get the right to search where files can be read.
        writable: False to look only: a folder that is not there is an empty one.

    Attributes:
        records: what is known of the files.

    Raises:
        ConfigError: the path is no folder.
        OutputError: it cannot be made, opened or locked.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, mode: int = 0o600, writable: bool = True
    ) -> None:
        self._path = Path(path)
        self._mode = mode
        self._folder_mode = disk.folder_mode(mode)
        self._lock = threading.Lock()
        self._changed: set[str] = set()
        self._top = self._home = self._hidden = self._held = -1
        try:
            self._open(writable)
        except BaseException:
            self.close()
            raise

    def _open(self, writable: bool) -> None:
        name = shown(os.fspath(self._path))
        try:
            if writable:
                # Parents as the system makes them; the folder itself as its files are.
                os.makedirs(self._path.parent, exist_ok=True)
                disk.make_folder(self._path, self._folder_mode)
            self._open_folders(writable)
            if writable:
                self._held = disk.lock(disk.LOCK, at=self._home)
                self._parts = Partials(self._hidden)
            self.records = Records(self._home, writable=writable)
        except NotADirectoryError:
            raise ConfigError(f"folder: {name}: is not a folder; name another") from None
        except BlockingIOError:
            raise OutputError(
                f"folder: {name}: another edxlogs is filling it; wait for it, or name another"
            ) from None
        except OSError as error:
            raise OutputError(
                f"folder: {name}: {error.strerror}; name a folder that can be written"
            ) from error

    def _open_folders(self, writable: bool) -> None:
        try:
            self._top = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._home = self._folder((RECORDS,), make=writable)
            self._hidden = self._folder((RECORDS, _PARTS), make=writable)
        except FileNotFoundError:
            if writable:
                raise

    def _folder(self, names: tuple[str, ...], *, make: bool) -> int:
        """Open a folder below, name by name, following no link."""
        if self._top < 0:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        descriptor = os.dup(self._top)
        try:
            for name in names:
                if make:
                    disk.make_folder(name, self._folder_mode, at=descriptor)
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                below = os.open(name, flags, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def status(self, key: str) -> os.stat_result | None:
        """What is under the name of an object: a regular file, or None for nothing.

        Raises:
            OutputError: something else stands there, or where a folder on the way must be.
        """
        folder, name = self._place(key, make=False)
        if folder < 0:
            return None
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self.trouble(key, error) from error
        finally:
            os.close(folder)
        if not stat.S_ISREG(status.st_mode):
            kind = errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.ELOOP
            raise self.trouble(key, OSError(kind, os.strerror(kind)))
        return status

    def _place(self, key: str, *, make: bool) -> tuple[int, str]:
        """The folder of an object's file, opened, or -1 if it is not there; and its base name."""
        try:
            *folders, name = local_names(key)
        except ValueError as error:
            raise OutputError(
                f"cannot write: {shown(key)}: {error}; copy it to another key"
            ) from None
        try:
            return self._folder(tuple(folders), make=make), name
        except OSError as error:
            if not make and isinstance(error, FileNotFoundError):
                return -1, name
            raise self.trouble(key, error) from error

    def read(self, key: str) -> BinaryIO:
        """Open the file of an object for reading.

        Raises:
            OSError: it cannot be opened.
        """
        folder, name = self._place(key, make=False)
        if folder < 0:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            return open(os.open(name, flags, dir_fd=folder), "rb", buffering=0)
        finally:
            os.close(folder)

    def partial(self, source: S3Object) -> Partial:
        """The bytes of an object that are here already, in order to go on.

        Raises:
            OutputError: they cannot be opened or made.
        """
        try:
            return self._parts.open(source)
        except OSError as error:
            raise self.trouble(source.key, error) from error

    def publish(self, part: Partial, source: S3Object, record: Record, *, replace: bool) -> None:
        """Give a whole and verified part its name, and enter it into the records.

        Args:
            part: of no further use.
            source: the object.
            record: what the records shall tell of it.
            replace: whether a file of that name gives way.

        Raises:
            OutputError: it cannot be written, or the name is taken.
        """
        folder, name = self._place(source.key, make=True)
        try:
            part.finish(self._mode, file_time(source.modified))
            # Known before it is there: a crash in between leaves the part, which is whole.
            self.records.add(record)
            with self._lock:
                if not replace and _exists(name, folder):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
                disk.rename(part.name, name, at=self._hidden, target_at=folder)
                self._changed.add(source.key.rpartition("/")[0])
            part.forget()
        except OSError as error:
            raise self.trouble(source.key, error) from error
        finally:
            os.close(folder)

    def adopt(self, source: S3Object, record: Record) -> None:
        """Enter a file that is there already, and was verified.

        Raises:
            OutputError: it cannot be written.
        """
        modified = file_time(source.modified)
        try:
            with self.read(source.key) as file:
                disk.set_time(file.fileno(), modified)
            self.records.add(record)
        except OSError as error:
            raise self.trouble(source.key, error) from error

    def trouble(self, key: str, error: OSError) -> OutputError:
        """Put what the system says of an object's file into one sentence."""
        path = shown(os.path.join(self._path, key))
        advice = _ADVICE.get(error.errno or 0, "fix that and run again")
        return OutputError(f"cannot write: {path}: {error.strerror}; {advice}")

    def sync(self) -> None:
        """Bring the names of all files that were published to disk.

        Raises:
            OutputError: a folder cannot be synced.
        """
        for key in sorted(self._changed):
            try:
                folder = self._folder(tuple(key.split("/")) if key else (), make=False)
                try:
                    disk.sync(folder)
                finally:
                    os.close(folder)
            except OSError as error:
                raise self.trouble(key, error) from error
        self._changed.clear()

    def free_bytes(self) -> int:
        """How much can still be written here."""
        place = Path(os.path.abspath(self._path))
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free

    def close(self) -> None:
        """Give everything back. May be called twice."""
        if (records := getattr(self, "records", None)) is not None:
            records.close()
        for name in ("_held", "_hidden", "_home", "_top"):
            if getattr(self, name) >= 0:
                os.close(getattr(self, name))
                setattr(self, name, -1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def file_time(modified: datetime.datetime) -> int:
    """The time that a file of an object has, in nanoseconds since 1970."""
    return (modified - _EPOCH) // datetime.timedelta(microseconds=1) * 1000


def is_full(error: BaseException) -> bool:
    """Whether a file could not be written for want of room."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in _FULL


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
