"""Features that only some systems have, each with a plain substitute that works on any Unix.

Linux has all of them except `F_FULLFSYNC` and `F_GETPATH`, which belong to macOS. A feature that
the system lacks is None here. The substitute may be slower or remember less, but has the same
result.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from edxlogs import _core

_DESCRIPTORS = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else None
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_GET_PATH: int | None = getattr(fcntl, "F_GETPATH", None)
_SET_PIPE_BYTES: int | None = getattr(fcntl, "F_SETPIPE_SZ", None)
_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
_PATH_BYTES = 1024  # of macOS, PATH_MAX
_memory_file = getattr(os, "memfd_create", None)
_affinity = getattr(os, "sched_getaffinity", None)
_sync_file_system = _core.sync_file_system
_MEMORY_FOLDER = "/dev/shm"


def cores() -> int:
    """How many cores this process may use, or how many the machine has."""
    return len(_affinity(0)) if _affinity else os.cpu_count() or 1


def boot_id() -> str | None:
    """An id of the current start of the machine; None if the system has none."""
    try:
        with open(_BOOT_ID, encoding="ascii") as file:
            return file.read().strip() or None
    except (OSError, ValueError):
        return None


def memory_folder() -> str | None:
    """A folder whose files are only in memory, or None."""
    return _MEMORY_FOLDER if os.path.isdir(_MEMORY_FOLDER) else None


def memory_file(name: str) -> BinaryIO | None:
    """An empty file without a path, only in memory, or None."""
    return open(_memory_file(name), "w+b") if _memory_file else None


def widen_pipe(descriptor: int, size: int) -> None:
    """Let a pipe hold `size` bytes, if the system can and permits it."""
    if _SET_PIPE_BYTES is not None:
        with suppress(OSError):
            fcntl.fcntl(descriptor, _SET_PIPE_BYTES, size)


def path_of(descriptor: int) -> str | None:
    """A path that opens an open file again, from its first byte; None if there is none.

    `/dev/fd` will not do: on most systems it continues where the descriptor is.
    """
    if _DESCRIPTORS is not None:
        return f"{_DESCRIPTORS}/{descriptor}"
    if _GET_PATH is not None:
        with suppress(OSError):
            found = fcntl.fcntl(descriptor, _GET_PATH, bytes(_PATH_BYTES))
            return os.fsdecode(found.rstrip(b"\0"))
    return None


def sync(descriptor: int) -> None:
    """Wait until an open file, or the names in an open folder, are on disk.

    On macOS, `fsync` waits only for the cache of the drive.

    Raises:
        OSError: the data cannot be written.
    """
    if _FULL_SYNC is not None:
        try:
            fcntl.fcntl(descriptor, _FULL_SYNC)
            return
        except OSError as error:  # a file system, such as one of a network, may not know it
            if error.errno not in (errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY):
                raise
    os.fsync(descriptor)


def sync_below(folder: Path) -> None:
    """Wait until everything in a folder, at any depth, is on disk: contents and names.

    This takes one call if the system can sync a file system, else one per file.

    Raises:
        OSError: the data cannot be written.
    """
    if not _sync_file_system(folder):
        _sync_each(folder)
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        try:
            sync(descriptor)  # of the drive's cache, for all of them
        finally:
            os.close(descriptor)


def _sync_each(folder: Path) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    _sync_each(Path(entry))
            elif entry.is_file(follow_symlinks=False):
                _sync_one(entry.path)
    _sync_one(os.fspath(folder))


def _sync_one(path: str) -> None:
    """Flush a file or folder to the drive. Skip one that is gone or belongs to another user."""
    try:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags)
    except (FileNotFoundError, PermissionError):
        return
    try:
        if stat.S_IFMT(os.fstat(descriptor).st_mode) in (stat.S_IFREG, stat.S_IFDIR):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
