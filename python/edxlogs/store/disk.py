"""All changes to the disk, step by step: make, lock, write, link, sync, rename, remove.

Datasets, single files, tables and mirrors change the disk only through these functions, so that the
order of their steps can be watched, interrupted and checked: see `watch`. The core writes only
rows, to files whose places it is given.

A place is a path, or a name in an open folder (`at`), so that no link to it is followed. Whatever
is made belongs to its owner alone until it gets its final mode. If a kill left it with fewer
permissions, it gets the rest when it is found.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edxlogs import system
from edxlogs.errors import ConfigError, OutputError, cannot_write
from edxlogs.text import shown

_Place = str | os.PathLike[str]
_Watcher = Callable[..., None]
_watcher: _Watcher | None = None

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK)
_OPENS = os.O_NOFOLLOW | os.O_CLOEXEC
_ATTEMPTS = 8  # to lock a file that others remove
LOCK = "lock"


@contextmanager
def watch(watcher: _Watcher) -> Iterator[None]:
    """Call `watcher` with the name and the paths of each step, before it is done."""
    global _watcher
    _watcher, before = watcher, _watcher
    try:
        yield
    finally:
        _watcher = before


def step(name: str, *places: _Place, at: int | None = None) -> None:
    """Announce to the watcher what is about to be done, and to which paths or URLs."""
    if _watcher is not None:
        _watcher(name, *(_seen(place, at) for place in places))


def _seen(place: _Place, at: int | None) -> Path:
    """A place as a path, for the watcher."""
    return (
        Path(place) if at is None or _watcher is None else Path(os.path.realpath(_named(at)), place)
    )


def folder_mode(mode: int) -> int:
    """Permissions of a folder whose files have this mode: whoever may read them may enter it."""
    return 0o700 | mode | (mode & 0o444) >> 2


def make_folder(place: _Place, mode: int = 0o700, *, at: int | None = None) -> None:
    """Make a folder. If it exists and is ours, add the permissions that it lacks.

    Raises:
        OSError: it cannot be made; NotADirectoryError if something else is there.
    """
    try:
        status = os.stat(place, dir_fd=at, follow_symlinks=at is None)
    except FileNotFoundError:
        step("make-folder", place, at=at)
        with suppress(FileExistsError):
            os.mkdir(place, 0o700, dir_fd=at)
        status = os.stat(place, dir_fd=at, follow_symlinks=at is None)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    _widen(place, mode, at)


def make_folders(folder: Path, mode: int = 0o700, below: Path | None = None) -> None:
    """Make a folder, and the missing ones above it.

    It, and those between it and `below`, get the permissions that they lack. Those above are left
    as they are.

    Raises:
        OSError: it cannot be made; NotADirectoryError if something else is there.
    """
    line = [folder]
    for one in folder.parents:
        if one == below or (below is None and one.is_dir()):
            break
        line.append(one)
    for one in reversed(line):
        make_folder(one, mode)


def _widen(place: _Place, mode: int, at: int | None = None) -> None:
    """Add the permissions of a mode that something of ours lacks; keep any others."""
    status = os.stat(place, dir_fd=at, follow_symlinks=False)
    has = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode) or status.st_uid != os.geteuid() or has | mode == has:
        return
    step("set-mode", place, at=at)
    os.chmod(place, has | mode, dir_fd=at)


def set_mode(file: Path | int, mode: int) -> None:
    """Set the mode of a file, which may be open."""
    if stat.S_IMODE(os.stat(file).st_mode) != mode:
        step("set-mode", _named(file))
        os.chmod(file, mode)


def set_modes(path: Path, mode: int) -> None:
    """Set the mode of a file, or of every file in a folder."""
    for folder, _, names in os.walk(path):
        set_mode(Path(folder), folder_mode(mode))
        for name in names:
            set_mode(Path(folder, name), mode)
    if not path.is_dir():
        set_mode(path, mode)


def state_of(path: Path) -> tuple[int, int]:
    """Size of a file, or of all files in a folder, and the latest time of modification of a file.

    The time is in nanoseconds. On some systems, renaming a folder changes the folder's own time.
    """
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return status.st_size, status.st_mtime_ns
    inside = [state_of(one) for one in path.iterdir()]
    return sum(size for size, _ in inside), max((modified for _, modified in inside), default=0)


def set_time(file: Path | int, modified_ns: int) -> None:
    """Set the time of modification of a file, which may be open: nanoseconds since 1970."""
    step("set-time", _named(file))
    os.utime(file, ns=(modified_ns, modified_ns))


def cut(descriptor: int, size: int) -> None:
    """Truncate an open file."""
    step("cut", _named(descriptor))
    os.ftruncate(descriptor, size)


def _named(file: Path | int) -> _Place:
    return system.path_of(file) or f"/dev/fd/{file}" if isinstance(file, int) else file


def make_file(place: _Place, *, at: int | None = None) -> int:
    """Make a file that must not exist yet, for its owner alone. Returns its descriptor.

    Raises:
        OSError: it cannot be made; FileExistsError if it exists.
    """
    step("make", place, at=at)
    return _open(place, at, os.O_EXCL)


def open_file(place: _Place, *, at: int | None = None, appends: bool = False) -> int:
    """Open a file to write and read. It is made, for its owner alone, if it does not exist.

    Raises:
        OSError: it cannot be opened or made.
    """
    step("open", place, at=at)
    return _open(place, at, os.O_APPEND if appends else 0)


def _open(place: _Place, at: int | None = None, more: int = 0) -> int:
    flags = os.O_RDWR | os.O_CREAT | _OPENS | more
    try:
        descriptor = os.open(place, flags, 0o600, dir_fd=at)
    except PermissionError:
        with suppress(FileNotFoundError):
            _widen(place, 0o600, at)  # a kill came before it had its mode
        descriptor = os.open(place, flags, 0o600, dir_fd=at)
    return _owned(descriptor)


def _owned(descriptor: int) -> int:
    """Ensure that its owner may read and write a file, whatever the umask."""
    try:
        status = os.fstat(descriptor)
        has = stat.S_IMODE(status.st_mode)
        if has | 0o600 != has and status.st_uid == os.geteuid():
            os.fchmod(descriptor, has | 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def lock(place: _Place, *, at: int | None = None) -> int:
    """Make and lock a file until the descriptor is closed, by us or by the kernel if we die.

    The lock counts only if the file is still the one at this place: its last holder may have
    removed it.

    Raises:
        BlockingIOError: another process holds it.
        OSError: it cannot be made or locked.
    """
    for _ in range(_ATTEMPTS):
        descriptor = open_file(place, at=at)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                there = os.stat(place, dir_fd=at, follow_symlinks=False)
                if os.path.samestat(os.fstat(descriptor), there):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def claim(folder: Path, name: str, what: str, mode: int = 0o700) -> int:
    """Make a folder of our own, and keep other runs out of it until the descriptor is closed.

    Args:
        folder: a hidden folder.
        name: name of the output, as messages call it.
        what: what the output is: a file, or the like.
        mode: mode of the folder.

    Raises:
        OutputError: another run holds it, or the file system has no locks.
        ConfigError: what is there does not belong to edxlogs.
    """
    try:
        with suppress(NotADirectoryError):
            make_folder(folder, mode)
        status = os.lstat(folder)
        # Its content will be removed, so it must be a folder that edxlogs made.
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise ConfigError(
                f"output: {name}: {shown(folder.name)} of it is not edxlogs' own; remove it, or"
                f" name another {what}"
            )
        return lock(folder / LOCK)
    except BlockingIOError:
        raise OutputError(
            f"output: {name}: another edxlogs is writing it; wait for it, or name another {what}"
        ) from None
    except OSError as error:
        raise cannot_write(name, error) from error


def release(descriptor: int, folder: Path, *last: str) -> None:
    """Remove a claimed folder, so that others can make it again.

    The names in `last` are removed after the rest, in that order, and then the lock: whoever gets
    in next finds nothing that is still to be removed. A folder is renamed first, so that half of it
    is never taken for the whole.
    """
    with suppress(OSError):  # the next run removes what is left
        for left in (*(name for name in os.listdir(folder) if name not in (*last, LOCK)), *last):
            place = folder / left
            if left in last and place.is_dir():
                rename(place, folder / f"{left}-gone")
                place = folder / f"{left}-gone"
            remove(place)
        unlink(folder / LOCK)
        os.rmdir(folder)
    os.close(descriptor)


def write_all(descriptor: int, content: bytes, offset: int | None = None) -> None:
    """Write all of `content`, at the current position of the descriptor or at an offset.

    Raises:
        OSError: the disk accepts no more; part of it may have been written.
    """
    left = memoryview(content)
    while left:
        written = (
            os.write(descriptor, left)
            if offset is None
            else os.pwrite(descriptor, left, offset + len(content) - len(left))
        )
        if written == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left = left[written:]


def append(path: Path, end: int, content: bytes) -> None:
    """Write `content` at byte `end` of a file, which is made if necessary, and sync it.

    Anything at or after that byte was left by a crash, and is removed.
    """
    step("append", path)
    descriptor = _open(path)
    try:
        os.ftruncate(descriptor, end)
        half = len(content) // 2
        for at, piece in ((end, content[:half]), (end + half, content[half:])):
            write_all(descriptor, piece, at)
            step("append-half", path)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def add(descriptor: int, content: bytes) -> None:
    """Append all of `content` to an open file, or nothing.

    Raises:
        OSError: the disk does not accept it.
    """
    end = os.fstat(descriptor).st_size
    try:
        write_all(descriptor, content)
    except OSError:
        os.ftruncate(descriptor, end)
        raise


def write(path: Path, content: bytes) -> None:
    """Make a file again, and sync it."""
    step("write", path)
    path.unlink(missing_ok=True)
    append(path, 0, content)


def replace(path: Path, content: bytes, mode: int) -> None:
    """Replace a small file. A crash leaves either the old one or the new one, whole.

    When this returns, the new one is on disk under its name.
    """
    new = path.with_name(f"{path.name}.new")
    write(new, content)
    os.chmod(new, mode)
    rename(new, path)
    sync_folder(path.parent)


def replace_at(name: str, content: bytes, *, at: int, synced: bool) -> None:
    """Replace a small file of ours in an open folder, as a whole.

    Unless `synced`, a crash of the machine may leave neither.
    """
    new = f"{name}.new"
    step("write", new, at=at)
    descriptor = _open(new, at, os.O_TRUNC)
    try:
        write_all(descriptor, content)
        if synced:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    rename(new, name, at=at, target_at=at)
    if synced:
        os.fsync(at)


def rename(
    place: _Place, target: _Place, *, at: int | None = None, target_at: int | None = None
) -> None:
    """Give a file its name, replacing what had it. The folder is still to be synced."""
    step("rename", _seen(place, at), _seen(target, target_at))
    os.rename(place, target, src_dir_fd=at, dst_dir_fd=target_at)


def name_new(path: Path, target: Path) -> None:
    """Give a file a name that no other has. It keeps its old name if a file can have two.

    Raises:
        FileExistsError: there is such a file.
        OSError: it cannot be done.
    """
    step("link", path, target)
    try:
        os.link(path, target)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.rename(path, target)


def publish(path: Path, target: Path, mode: int, *, overwrite: bool) -> None:
    """Give a file its mode and its name, which is on disk when this returns.

    Raises:
        FileExistsError: there is such a file, and it must not be replaced.
        OSError: it cannot be done.
    """
    set_mode(path, mode)
    if overwrite:
        rename(path, target)
    else:
        name_new(path, target)
    sync_folder(target.parent)


def link_or_copy(path: Path, target: Path) -> None:
    """Give a file, or all files in a folder, a second name; copy it if the file system cannot.

    A copy has the time of the file.
    """
    if path.is_dir():
        make_folder(target)
        for one in path.iterdir():
            link_or_copy(one, target / one.name)
        return
    step("link", path, target)
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in (*_NO_LINKS, errno.EXDEV):
            raise
        shutil.copyfile(path, target)
        set_time(target, path.stat().st_mtime_ns)


def unlink(place: _Place, *, at: int | None = None) -> None:
    """Remove a file, unless it is gone already."""
    step("unlink", place, at=at)
    with suppress(FileNotFoundError):
        os.unlink(place, dir_fd=at)


def remove(path: Path) -> None:
    """Remove a file, or a folder with everything in it, unless it is gone already."""
    if path.is_dir() and not path.is_symlink():
        step("remove", path)
        shutil.rmtree(path)
    else:
        unlink(path)


def remove_empty(folder: Path, below: Path) -> None:
    """Remove a folder if it is empty, and then the empty ones above it, up to another one."""
    while folder != below and below in folder.parents:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def sync(descriptor: int) -> None:
    """Wait until the content of an open file, or the names in an open folder, are on disk."""
    step("sync", _named(descriptor))
    system.sync(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    step("sync-folder", folder)
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        system.sync(descriptor)
    finally:
        os.close(descriptor)


def sync_all(folder: Path) -> None:
    """Wait until everything that was written below a folder is on disk, contents and names."""
    step("sync-all", folder)
    system.sync_below(folder)
