"""Limits how many gpg processes talk to an agent at once, over all processes of a user on a host.

A stock agent has little secure memory, and says that it has no secret key when memory runs out. A
slot is a lock on an empty file, which the kernel releases if the process dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MOST_AT_ONCE = 8  # a stock gpg-agent runs out of secure memory somewhere above 8
SECMEM = "auto-expand-secmem"  # in an agent's settings: its memory grows as it is needed
_WAIT_SECONDS = 0.01


class Slot:
    """A place at an agent, until it is released."""

    def __init__(self, semaphore: threading.Semaphore, descriptor: int) -> None:
        self._semaphore = semaphore
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the place."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._semaphore.release()


class Slots:
    """The places at the agent of a key ring.

    Args:
        folder: folder of the key ring.
    """

    def __init__(self, folder: Path) -> None:
        self._count = at_once(folder)
        self._semaphore = threading.Semaphore(self._count)
        digest = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()
        self._name = f"edxlogs-gpg-{digest[:16]}"

    def take(self) -> Slot:
        """Wait for a free place. Without locks, only this process is counted."""
        self._semaphore.acquire()
        try:
            place = _runtime_folder()
            while place is not None:
                with suppress(BlockingIOError):
                    return Slot(self._semaphore, self._lock(place))
                time.sleep(_WAIT_SECONDS * random.uniform(0.5, 1.5))
        except OSError:
            pass
        except BaseException:
            self._semaphore.release()
            raise
        return Slot(self._semaphore, -1)

    def _lock(self, place: Path) -> int:
        """Lock one of the files.

        Raises:
            BlockingIOError: others hold all of them.
            OSError: the file system has no locks.
        """
        for number in range(self._count):
            path = place / f"{self._name}-{number}"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                if number == self._count - 1:
                    raise
            except BaseException:
                os.close(descriptor)
                raise
            else:
                return descriptor
        raise BlockingIOError


def at_once(folder: Path) -> int:
    """How many gpg processes may talk to the agent of a key ring at once.

    One per core. If the agent's memory cannot grow, at most `MOST_AT_ONCE`.
    """
    cores = os.cpu_count() or 1
    return cores if SECMEM in settings(folder / "gpg-agent.conf") else min(cores, MOST_AT_ONCE)


def settings(path: Path) -> set[str]:
    """Names of the options in a configuration file of GnuPG; empty if it cannot be read."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return set()
    return {words[0].removeprefix("--") for line in lines if (words := line.split())}


def _runtime_folder() -> Path | None:
    """The user's own folder on this host for data that last no longer than a session, or None."""
    user = os.getuid()
    for found in _candidates(user):
        with suppress(OSError):
            if found.name == f"edxlogs-{user}":
                with suppress(FileExistsError):
                    found.mkdir(0o700)
            status = os.lstat(found)
            is_own = status.st_uid == user and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if stat.S_ISDIR(status.st_mode) and is_own:
                return found
    return None


def _candidates(user: int) -> Iterator[Path]:
    if told := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(told)
    yield Path(f"/run/user/{user}")
    yield Path(tempfile.gettempdir(), f"edxlogs-{user}")
