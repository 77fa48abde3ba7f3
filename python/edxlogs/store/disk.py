"""What a publication does to the disk, step by step.

Datasets and their manifests change the disk through these functions alone, so that the order of
their steps can be watched, broken off and checked: see `watch`.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edxlogs import _core

_Watcher = Callable[..., None]
_watcher: _Watcher | None = None


@contextmanager
def watch(watcher: _Watcher) -> Iterator[None]:
    """Call `watcher` with the name and the paths of each step, before it is done."""
    global _watcher
    _watcher, before = watcher, _watcher
    try:
        yield
    finally:
        _watcher = before


def _step(name: str, *paths: Path) -> None:
    if _watcher is not None:
        _watcher(name, *paths)


def append(path: Path, end: int, content: bytes) -> None:
    """Write `content` at byte `end` of a file, which is made if need be, and sync it.

    What stood there or beyond is gone: a crash left it.
    """
    _step("append", path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        os.ftruncate(descriptor, end)
        at = end
        for piece in (content[: len(content) // 2], content[len(content) // 2 :]):
            while piece:
                written = os.pwrite(descriptor, piece, at)
                if written == 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                at += written
                piece = piece[written:]
            _step("append-half", path)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, content: bytes) -> None:
    """Make a file anew, and sync it."""
    _step("write", path)
    path.unlink(missing_ok=True)
    append(path, 0, content)


def rename(path: Path, target: Path) -> None:
    """Give a file its name; what had it before is gone."""
    _step("rename", path, target)
    os.rename(path, target)


def link_or_copy(path: Path, target: Path) -> None:
    """Give a file a second name, or, where the file system can't, a copy."""
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        shutil.copyfile(path, target)


def unlink(path: Path) -> None:
    """Remove a file, unless it is gone already."""
    _step("unlink", path)
    path.unlink(missing_ok=True)


def folder_mode(mode: int) -> int:
    """Permissions of a folder whose files have that mode: who may read them may enter it."""
    return mode | (mode & 0o444) >> 2


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Make a folder, and those above it, of that mode: its owner's alone unless told."""
    if folder.is_dir():
        return
    _step("make-folder", folder)
    missing = [folder]
    while not missing[-1].parent.is_dir():
        missing.append(missing[-1].parent)
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        one.chmod(mode)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    _step("sync-folder", folder)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_all(folder: Path) -> None:
    """Wait until all that was written below a folder is on disk, contents and names."""
    _step("sync-all", folder)
    _core.sync_file_system(folder)
