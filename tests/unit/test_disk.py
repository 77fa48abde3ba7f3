"""What is done to the disk: locks that count, writes that are whole, modes from the beginning."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edxlogs.errors import OutputError
from edxlogs.mirror.mirror import Mirror
from edxlogs.store import disk
from edxlogs.store.file import OutputFile
from edxlogs.store.place import Folder
from edxlogs.store.store import Store

OWNERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "dataset": (lambda folder: Store(Folder(folder)), "_edxlogs/lock"),
    "tables": (lambda folder: Store(Folder(folder, shared=True)), "_edxlogs/lock"),
    "mirror": (Mirror, "_edxlogs/lock"),
    "file": (OutputFile, "../.out.edxlogs/lock"),
}


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("name", OWNERS)
def test_a_lock_counts_only_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Between opening and locking, its owner removes it, and another makes a new one."""
    make, place = OWNERS[name]
    flock = fcntl.flock
    others: list[int] = []

    def late(descriptor: int, flags: int) -> None:
        if not others:
            path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            assert path == (tmp_path / "out" / place).resolve()
            path.unlink()
            others.append(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            flock(others[0], fcntl.LOCK_EX)
        flock(descriptor, flags)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(OutputError, match="another edxlogs"):
        make(tmp_path / "out")
    os.close(others[0])
    with make(tmp_path / "out"):
        pass


def test_what_is_given_up_is_removed_before_others_get_in(tmp_path: Path) -> None:
    folder = tmp_path / "hidden"
    held = disk.claim(folder, "out", "file")
    (folder / "part").write_bytes(b"old")

    def watcher(step: str, *paths: Path) -> None:
        if step in ("unlink", "remove"):
            with pytest.raises(OutputError, match="another edxlogs"):
                disk.claim(folder, "out", "file")
        if step == "unlink" and paths[0].name == disk.LOCK:
            assert os.listdir(folder) == [disk.LOCK]

    with disk.watch(watcher):
        disk.release(held, folder)
    assert not folder.exists()


@pytest.mark.parametrize("at_once", [1, 7])
def test_short_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    write, pwrite = os.write, os.pwrite
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:at_once])))
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, bytes(data[:at_once]), at))
    disk.append(tmp_path / "log", 0, b"first record\n")
    disk.append(tmp_path / "log", 13, b"second record\n")
    assert (tmp_path / "log").read_bytes() == b"first record\nsecond record\n"
    disk.replace(tmp_path / "small", b"small file", 0o640)
    assert (tmp_path / "small").read_bytes() == b"small file"
    descriptor = disk.open_file(tmp_path / "lines", appends=True)
    disk.add(descriptor, b"first line\n")
    disk.add(descriptor, b"second line\n")
    os.close(descriptor)
    assert (tmp_path / "lines").read_bytes() == b"first line\nsecond line\n"


def test_a_line_that_the_disk_does_not_take_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor = disk.open_file(tmp_path / "lines", appends=True)
    disk.add(descriptor, b"first line\n")
    write = os.write

    def full(fd: int, data: bytes) -> int:
        if len(data) < 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, bytes(data[:3]))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        disk.add(descriptor, b"second line\n")
    monkeypatch.undo()
    disk.add(descriptor, b"third line\n")
    os.close(descriptor)
    assert (tmp_path / "lines").read_bytes() == b"first line\nthird line\n"


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_modes_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    made: list[tuple[Path, int]] = []

    def watcher(step: str, *paths: Path) -> None:
        # What was made before this step is nobody else's, at any moment.
        made.extend(
            (path, stat.S_IMODE(path.stat().st_mode))
            for path in tmp_path.rglob("*")
            if path.parent != tmp_path
        )

    with _umask(mask), disk.watch(watcher):
        disk.make_folders(tmp_path / "a" / "b" / "c", 0o750)
        os.close(disk.make_file(tmp_path / "a" / "new"))
        os.close(disk.open_file(tmp_path / "a" / "open"))
        disk.write(tmp_path / "a" / "written", b"x")
        disk.replace(tmp_path / "a" / "replaced", b"x", 0o640)
        os.close(disk.claim(tmp_path / "a" / "claimed", "out", "file"))
    assert all(mode & 0o007 == 0 for _, mode in made)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    folders = {**dict.fromkeys(("a", "b", "c"), 0o750), "claimed": 0o700}
    files = dict.fromkeys(("new", "open", "written", disk.LOCK), 0o600)
    assert modes == {**folders, **files, "replaced": 0o640}


def test_a_folder_that_a_kill_left_gets_its_mode(tmp_path: Path) -> None:
    """As it is between mkdir and chmod; what a user gave it stays."""
    for mode, wanted in ((0o000, 0o750), (0o700, 0o750), (0o711, 0o751), (0o755, 0o755)):
        folder = tmp_path / f"{mode:o}" / "inner"
        folder.mkdir(parents=True)
        os.chmod(folder, mode)
        os.chmod(folder.parent, mode)
        disk.make_folders(folder, 0o750, below=tmp_path)
        for one in (folder, folder.parent):
            assert stat.S_IMODE(one.stat().st_mode) == wanted
    descriptor = os.open(tmp_path, os.O_RDONLY)
    (tmp_path / "open").mkdir(0o700)
    disk.make_folder("open", 0o750, at=descriptor)
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o750
    os.close(descriptor)


def test_folders_are_not_made_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    os.chmod(tmp_path / "file", 0o600)
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError):
            disk.make_folders(place, 0o750)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
