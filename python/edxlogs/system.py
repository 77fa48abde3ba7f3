"""What one system has and another lacks; each with a plain way that works on any Unix.

Linux has all of it but `F_FULLFSYNC` and `F_GETPATH`, which are those of macOS. What a system lacks
is None here, and what is done without it takes longer or remembers less, but gives the same.
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
    """How many cores this process may use, or the machine has."""
    return len(_affinity(0)) if _affinity else os.cpu_count() or 1


def boot_id() -> str | None:
    """What tells one start of the machine from another; None if the system does not say."""
    try:
        with open(_BOOT_ID, encoding="ascii") as file:
            return file.read().strip() or None
    except (OSError, ValueError):
        return None


def memory_folder() -> str | None:
    """The folder for files that are in memory alone, or None."""
    return _MEMORY_FOLDER if os.path.isdir(_MEMORY_FOLDER) else None


def memory_file(name: str) -> BinaryIO | None:
    """An empty file without a place, in memory alone, or None."""
    return open(_memory_file(name), "w+b") if _memory_file else None


def widen_pipe(descriptor: int, size: int) -> None:
    """Let a pipe hold so many bytes, where the system can and lets us."""
    if _SET_PIPE_BYTES is not None:
        with suppress(OSError):
            fcntl.fcntl(descriptor, _SET_PIPE_BYTES, size)


def path_of(descriptor: int) -> str | None:
    """A path that opens an open file once more, from its first byte on; None if there is none.

    `/dev/fd` is no such path: on most systems what it opens goes on where the descriptor is.
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

    On macOS `fsync` waits for the drive's cache only.

    Raises:
        OSError: they cannot be written.
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
    """Wait until all that is in a folder, at any depth, is on disk: contents and names.

    One call, where the system can sync a file system; else as many as there are files.

    Raises:
        OSError: it cannot be written.
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
    """Hand a file or folder to the drive. What is gone by now, or another user's, is not ours."""
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
