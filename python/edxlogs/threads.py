"""Threads that work through tasks: how many, in which order, and what if the system has no more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, Self, TypeVar

from edxlogs import system
from edxlogs.errors import EdxlogsError

T = TypeVar("T")

_LEAST_AHEAD = 128  # results that may wait for one before them, whose source may be large
_AHEAD_PER_THREAD = 4
_MOST_PER_CORE = 4
PATIENCE_SECONDS = 0.15  # for workers that were told to stop; one may wait for a terminal


@contextmanager
def needs_thread() -> Iterator[None]:
    """Convert Python's error for a thread that cannot be started inside the block.

    Raises:
        EdxlogsError: the system provides no more threads.
    """
    try:
        yield
    except RuntimeError as error:
        if type(error) is not RuntimeError:
            raise
        raise EdxlogsError(
            "cannot start a thread: the system allows no more; end other programs, or try fewer"
            " --threads"
        ) from error


class Workers(Generic[T]):
    """Threads that work through numbered tasks in order, a limited number ahead of the reader.

    They are daemons: one that waits for input from a terminal must not keep the process alive.

    Args:
        tasks: the tasks, in order.
        count: number of threads.
        most_ahead: how many results may wait; None allows a few per thread. A waiting result must
            not hold a file open.
    """

    def __init__(
        self, tasks: Sequence[Callable[[], T]], count: int, most_ahead: int | None = None
    ) -> None:
        self._tasks = tasks
        self._most_ahead = most_ahead or max(_LEAST_AHEAD, _AHEAD_PER_THREAD * count)
        self._results: dict[int, T | BaseException] = {}
        self._changed = threading.Condition()
        self._next = 0
        self._taken = 0
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._work, name="edxlogs-worker", daemon=True)
            for _ in range(min(count, len(tasks)))
        ]

    def __iter__(self) -> Iterator[T]:
        """Yield the results in order; raises what a task raised."""
        return (self.take() for _ in self._tasks)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Start the threads. If the system provides fewer, those do all the work.

        Raises:
            EdxlogsError: the system provides none.
        """
        for number, thread in enumerate(self._threads):
            try:
                with needs_thread():
                    thread.start()
            except EdxlogsError:
                del self._threads[number:]
                if number == 0:
                    raise
                break
        return self

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stopped or self._next < self._taken + self._most_ahead
                )
                if self._stopped or self._next == len(self._tasks):
                    return
                number = self._next
                self._next += 1
            result: T | BaseException
            try:
                result = self._tasks[number]()
            except BaseException as error:
                result = error
            with self._changed:
                self._results[number] = result
                self._changed.notify_all()

    def is_next(self, number: int) -> bool:
        """Whether the result of this task is the one waited for."""
        return number == self._taken

    def take(self) -> T:
        """Wait for the next result in order; raises what its task raised."""
        with self._changed:
            while self._taken not in self._results:
                # In turns, so that Ctrl-C is seen.
                self._changed.wait(0.1)
            result = self._results.pop(self._taken)
            self._taken += 1
            self._changed.notify_all()
        if isinstance(result, BaseException):
            raise result
        return result

    def stop(self, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Start no further task, and give those in progress a moment to end."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        end = time.monotonic() + patience_seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    @property
    def are_alive(self) -> bool:
        """Whether a thread is still working."""
        return any(thread.is_alive() for thread in self._threads)


def in_worker(task: Callable[[], T]) -> T:
    """Run a slow task in another thread, so that this one can react to Ctrl-C."""
    return Workers([task], 1).start().take()


def worker_count(asked: int) -> int:
    """The number of workers for a number of threads; 0 means one per core.

    More than a few per core would cost memory and gain nothing.
    """
    cores = system.cores()
    return min(asked, max(_MOST_PER_CORE * cores, 8)) or cores
