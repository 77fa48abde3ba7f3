"""A mirror: a local folder that keeps the layout of buckets.

A file's path below the folder is its key. Keys are not trusted: no path leads out of the folder or
through a link, and only regular files are replaced. Records, parts and the lock are in `_edxlogs`,
which searches skip.
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
    """Split a key into the names of folders and the file.

    Raises:
        ValueError: it could lead out of the folder, or a file cannot have such a name; the argument
            says why.
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
        path: the folder. If `writable`, it is made if necessary, and locked.
        mode: permissions of the files. Folders may be searched by whoever may read the files.
        writable: False only looks, and treats a missing folder as an empty one.

    Attributes:
        records: what is known about the files.

    Raises:
        ConfigError: the path is not a folder.
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
                # Parents get the system's default mode, the folder itself that of its files.
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
        """Open a folder below, name by name, without following links."""
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
        """The status of the regular file under the name of an object, or None.

        Raises:
            OutputError: something else is there, or in place of a folder on the way.
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
        """The folder of an object's file, opened, or -1 if it does not exist; and the base name."""
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
        """The bytes of an object that have arrived, in order to continue.

        Raises:
            OutputError: they cannot be opened or made.
        """
        try:
            return self._parts.open(source)
        except OSError as error:
            raise self.trouble(source.key, error) from error

    def publish(self, part: Partial, source: S3Object, record: Record, *, replace: bool) -> None:
        """Give a complete and verified part its name, and record it.

        Args:
            part: the part; not used any more.
            source: the object.
            record: the record of it.
            replace: whether an existing file of that name may be replaced.

        Raises:
            OutputError: it cannot be written, or the name is taken.
        """
        folder, name = self._place(source.key, make=True)
        try:
            part.finish(self._mode, file_time(source.modified))
            # Recorded before it is in place: a crash in between leaves a complete part.
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
        """Record a file that exists already and was verified.

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
        """Turn a system error about an object's file into one sentence."""
        path = shown(os.path.join(self._path, key))
        advice = _ADVICE.get(error.errno or 0, "fix that and run again")
        return OutputError(f"cannot write: {path}: {error.strerror}; {advice}")

    def sync(self) -> None:
        """Flush the names of all published files to disk.

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
        """How many bytes can still be written here."""
        place = Path(os.path.abspath(self._path))
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free

    def close(self) -> None:
        """Release everything. May be called twice."""
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
    """The time of an object's file, in nanoseconds since 1970."""
    return (modified - _EPOCH) // datetime.timedelta(microseconds=1) * 1000


def is_full(error: BaseException) -> bool:
    """Whether a file could not be written because there is no room."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in _FULL


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
