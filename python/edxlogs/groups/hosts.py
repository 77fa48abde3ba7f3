"""What hosts of a cluster do for a run, and the order in which what comes of it is taken."""

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
    """Something that a host can do; it can be sent."""

    @property
    def label(self) -> str:
        """What a dashboard calls it."""

    @property
    def size(self) -> int:
        """Bytes that are read for it, as they are stored."""

    @property
    def places(self) -> Sequence[Path]:
        """Where its new files go, absolute."""

    def why_unreadable(self) -> str | None:
        """Why it cannot be read on this host, as far as its first bytes tell; None: it can.

        Raises:
            EdxlogsError: it cannot.
            OSError: it cannot.
        """

    def run(self) -> T_co:
        """Do it. May be done by several at the same time.

        Raises:
            EdxlogsError: this host cannot do it.
        """


class Hosts(Protocol):
    """Those who do tasks."""

    def prepare(self, task: HostTask[Any]) -> None:
        """See who can do tasks of the kind of this one; who cannot gets none.

        Raises:
            ConfigError: nobody can.
        """

    def do(self, tasks: Sequence[HostTask[T]]) -> Iterator[tuple[int, T]]:
        """Have tasks done, in some order; the numbers of those that are done, and what came.

        Raises:
            EdxlogsError: one cannot be done.
        """


@dataclass
class HostCrew(Generic[T]):
    """Tasks that hosts do; what comes of them is given in their order.

    Attributes:
        hosts: do them.
        tasks: in their order.
        recorded: what came of a task before, or None.
        on_done: told what came of a task, as it comes.
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
        """Hosts end by themselves what they have begun: it is of use to the next run."""


class Order:
    """Tasks that are to be done, and which is next.

    What is done waits for those before it, on disk and in memory. So of those that are near the
    first one that is not done the largest is next, not of all.

    Attributes:
        left: numbers of those that are not done.
        losses: how often each was lost with all workers that it was given to.

    Args:
        sizes: of the tasks, in the order in which what comes of them is taken.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.left = set(range(len(sizes)))
        self.losses = Counter[int]()
        self._sizes = sizes
        self._waiting = list(range(len(sizes)))
        self._first = 0

    def take(self, window: int) -> int | None:
        """The next of so many from the first that is not done; None: none of them waits."""
        while self._first < len(self._sizes) and self._first not in self.left:
            self._first += 1
        near = bisect_left(self._waiting, self._first + window)
        if near == 0:
            return None
        at = max(range(near), key=lambda place: self._sizes[self._waiting[place]])
        return self._waiting.pop(at)

    def put_back(self, number: int) -> None:
        """A task that was taken waits again."""
        insort(self._waiting, number)


def why_unreadable(label: str, head: Callable[[int], bytes], gpg: Callable[[], Gpg]) -> str | None:
    """Why a host cannot read something; None: it can.

    Args:
        label: what messages call it.
        head: gives at most so many of its first bytes.
        gpg: decrypts it, where it is encrypted.

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
    """The hosts of a cluster, until the stack is closed; None if no address asks for them.

    Raises:
        ConfigError: they are not there.
    """
    if address is None:
        return None
    from edxlogs.groups.dask import DaskHosts

    return stack.enter_context(DaskHosts(address, watcher.warn))
