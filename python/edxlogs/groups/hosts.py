"""Tasks that hosts of a cluster do for a run, and the order in which their results are taken."""

from __future__ import annotations

import io
import os
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from edxlogs.gpg.process import Gpg
from edxlogs.sources.source import Packing, packing_of
from edxlogs.watching import Watcher

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_HEAD_BYTES = 1 << 20  # of which gpg gives something, if it can


class HostTask(Protocol[T_co]):
    """Something that a host can do. It can be sent."""

    @property
    def label(self) -> str:
        """How a dashboard calls it."""

    @property
    def size(self) -> int:
        """Bytes that have to be read for it, as stored."""

    @property
    def places(self) -> Sequence[Path]:
        """Where its new files go, absolute."""

    def why_unreadable(self) -> str | None:
        """Why it cannot be read on this host, judging by its first bytes; None if it can.

        Raises:
            EdxlogsError: it cannot be read.
            OSError: it cannot be read.
        """

    def run(self) -> T_co:
        """Do it. Several may do it at the same time.

        Raises:
            EdxlogsError: this host cannot do it.
        """


class Hosts(Protocol):
    """Those who do tasks."""

    def prepare(self, task: HostTask[Any]) -> None:
        """Find out who can do tasks like this one. The others get none.

        Raises:
            ConfigError: nobody can.
        """

    def do(self, tasks: Sequence[HostTask[T]]) -> Iterator[tuple[int, T]]:
        """Have tasks done, in some order. Yields numbers of finished tasks, and their results.

        Raises:
            EdxlogsError: a task cannot be done.
        """


@dataclass
class HostCrew(Generic[T]):
    """Tasks that hosts do, with the results in the order of the tasks.

    Attributes:
        hosts: do the tasks.
        tasks: the tasks, in order.
        recorded: returns the earlier result of a task, or None.
        on_done: called with each result as it comes.
    """

    hosts: Hosts
    tasks: Sequence[HostTask[T]]
    recorded: Callable[[int], T | None] = lambda _: None
    on_done: Callable[[T], None] = lambda _: None

    def start(self) -> Iterator[T]:
        """Begin."""
        done: dict[int, T] = {}
        for number in range(len(self.tasks)):
            if (before := self.recorded(number)) is not None:
                done[number] = before
                self.on_done(before)
        left = [number for number in range(len(self.tasks)) if number not in done]
        if left:
            self.hosts.prepare(self.tasks[left[0]])
        found = self.hosts.do([self.tasks[number] for number in left]) if left else iter(())
        for number in range(len(self.tasks)):
            while number not in done:
                at, made = next(found)
                done[left[at]] = made
                self.on_done(made)
            yield done.pop(number)

    def stop(self, patience_seconds: float = 0.0) -> None:
        """Hosts finish what they have begun, since the next run can use it."""


class Order:
    """Tasks to do, and which of them is next.

    Results wait for those before them, on disk and in memory. So the next task is the largest of
    those near the first unfinished one, not of all.

    Attributes:
        left: numbers of the unfinished tasks.
        losses: how often each was lost with all workers that it was given to.

    Args:
        sizes: sizes of the tasks, in the order in which their results are taken.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.left = set(range(len(sizes)))
        self.losses = Counter[int]()
        self._sizes = sizes
        self._waiting = list(range(len(sizes)))
        self._first = 0

    def take(self, window: int) -> int | None:
        """The next task out of `window` from the first unfinished one; None if none waits."""
        while self._first < len(self._sizes) and self._first not in self.left:
            self._first += 1
        near = bisect_left(self._waiting, self._first + window)
        if near == 0:
            return None
        at = max(range(near), key=lambda place: self._sizes[self._waiting[place]])
        return self._waiting.pop(at)

    def put_back(self, number: int) -> None:
        """Let a task that was taken wait again."""
        insort(self._waiting, number)


def why_unreadable(label: str, head: Callable[[int], bytes], gpg: Callable[[], Gpg]) -> str | None:
    """Why a host cannot read something; None if it can.

    Args:
        label: how messages call it.
        head: returns its first bytes, at most as many as asked for.
        gpg: decrypts it, if it is encrypted.

    Raises:
        EdxlogsError: it cannot be opened, or gpg is missing.
        OSError: it cannot be opened.
    """
    first = head(_HEAD_BYTES)
    if packing_of(first) is not Packing.OPENPGP:
        return None
    keys = gpg()
    try:
        with keys.open(label, io.BytesIO(first)) as decryption:
            if os.read(decryption.stdout_fd, 1):
                return None
            failure = decryption.verdict().error
            return None if failure is None else str(failure)
    finally:
        keys.close()


def hosts_of(stack: ExitStack, address: str | None, watcher: Watcher) -> Hosts | None:
    """The hosts of a cluster, until the stack is closed; None if no address is given.

    Raises:
        ConfigError: the cluster is not there.
    """
    if address is None:
        return None
    from edxlogs.groups.dask import DaskHosts

    return stack.enter_context(DaskHosts(address, watcher.warn))
