"""What Linux has is used where it is, and what is done without it gives the same."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import systems
from edxlogs import system

FULL_SYNC, GET_PATH = 51, 50  # of macOS


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Inodes in the order in which `fsync` was asked for them."""
    inodes: list[int] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        inodes.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    return inodes


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    (folder / "a/b").mkdir(parents=True)
    (folder / "empty").mkdir()
    for name in ("one", "a/two", "a/b/three"):
        (folder / name).write_text(name)
    os.mkfifo(folder / "pipe")
    (tmp_path / "elsewhere").write_text("of others")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "a/up").symlink_to(folder)
    return folder


def test_one_call_syncs_all_where_there_is_one(tree: Path, synced: list[int]) -> None:
    if not systems.IS_LINUX:
        pytest.skip("syncfs is Linux's")
    system.sync_below(tree)
    assert synced == []


def test_else_each_file_and_folder_is_synced(
    tree: Path, synced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    systems.be_plain(monkeypatch.setattr)
    system.sync_below(tree)
    names = ("one", "a/two", "a/b/three", "a/b", "a", "empty", ".")
    inode = {name: (tree / name).stat().st_ino for name in names}
    assert set(synced) == set(inode.values())
    assert synced.index(inode["a/b/three"]) < synced.index(inode["a/b"]) < synced.index(inode["a"])
    assert synced[-1] == inode["."]


def test_what_goes_meanwhile_is_not_waited_for(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systems.be_plain(monkeypatch.setattr)
    fsync = os.fsync

    synced: list[int] = []

    def late(descriptor: int) -> None:
        (tree / "a/two").unlink(missing_ok=True)
        (tree / "one").unlink(missing_ok=True)
        fsync(descriptor)
        synced.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", late)
    system.sync_below(tree)
    assert not (tree / "one").exists()
    assert {tree.stat().st_ino, (tree / "a").stat().st_ino} <= set(synced)


def test_a_disk_that_fails_is_told(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systems.be_plain(monkeypatch.setattr)

    def fails(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output"):
        system.sync_below(tree)


@pytest.fixture
def macos(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """A system with the calls of macOS, the first of which fails as told."""

    def make(fails: int = 0) -> list[int]:
        asked: list[int] = []

        def call(descriptor: int, command: int, argument: Any = 0) -> Any:
            asked.append(command)
            if command == FULL_SYNC and fails:
                raise OSError(fails, os.strerror(fails))
            if command == GET_PATH:
                path = os.fsencode(os.readlink(f"/proc/self/fd/{descriptor}"))
                return path + bytes(len(argument) - len(path))
            return 0

        systems.be_plain(monkeypatch.setattr)
        monkeypatch.setattr(system, "_FULL_SYNC", FULL_SYNC)
        monkeypatch.setattr(system, "_GET_PATH", GET_PATH)
        monkeypatch.setattr(fcntl, "fcntl", call)
        return asked

    return make


def test_macos_waits_for_the_disk_itself(
    tmp_path: Path, macos: Callable[..., list[int]], synced: list[int]
) -> None:
    asked = macos()
    with open(tmp_path / "file", "wb") as file:
        system.sync(file.fileno())
    assert (asked, synced) == ([FULL_SYNC], [])


def test_a_network_file_system_of_macos_is_synced_as_any(
    tmp_path: Path, macos: Callable[..., list[int]], synced: list[int]
) -> None:
    macos(errno.ENOTSUP)
    with open(tmp_path / "file", "wb") as file:
        system.sync(file.fileno())
        assert synced == [os.fstat(file.fileno()).st_ino]


def test_a_disk_that_fails_on_macos_is_told(
    tmp_path: Path, macos: Callable[..., list[int]], synced: list[int]
) -> None:
    macos(errno.EIO)
    with open(tmp_path / "file", "wb") as file, pytest.raises(OSError, match="Input/output"):
        system.sync(file.fileno())
    assert synced == []


def test_an_open_file_opens_once_more_from_its_beginning(
    tmp_path: Path, macos: Callable[..., list[int]]
) -> None:
    (tmp_path / "größer.log").write_bytes(b"0123456789")
    for prepare in (lambda: None, macos):
        prepare()
        with open(tmp_path / "größer.log", "rb") as file:
            file.read(4)
            path = system.path_of(file.fileno())
            assert path is not None
            assert Path(path).read_bytes() == b"0123456789"
            assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 10


def test_a_pipe_is_as_wide_as_the_system_lets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    if not systems.IS_LINUX:
        pytest.skip("F_SETPIPE_SZ is Linux's")
    reader, writer = os.pipe()
    try:
        before = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
        with monkeypatch.context() as patch:
            systems.be_plain(patch.setattr)
            system.widen_pipe(writer, 2 * before)
        assert fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ) == before
        system.widen_pipe(writer, 2 * before)
        assert fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ) == 2 * before
        with open(__file__, "rb") as file:
            system.widen_pipe(file.fileno(), 2 * before)  # it is none, and nothing is said
    finally:
        os.close(reader)
        os.close(writer)


def test_what_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    systems.be_plain(monkeypatch.setattr)
    assert system.boot_id() is None
    assert system.memory_folder() is None
    assert system.memory_file("a") is None
    assert system.path_of(0) is None
    assert system.cores() == os.cpu_count()


def test_what_linux_tells() -> None:
    if not systems.IS_LINUX:
        pytest.skip("it is Linux's")
    assert system.boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert system.cores() == len(os.sched_getaffinity(0))
    memory = system.memory_file("a")
    assert memory is not None
    with memory:
        memory.write(b"abc")
        memory.seek(0)
        assert memory.read() == b"abc"
