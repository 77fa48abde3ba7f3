"""How a verb tells what goes on while it runs: to a command's terminal, or to a program."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Watcher:
    """Is told how a run goes, in the thread that runs it. A subclass overrides what it wants."""

    def begin(self, count: int, total_bytes: int, done_bytes: Callable[[], int]) -> None:
        """Reading begins.

        Args:
            count: of sources, files or objects.
            total_bytes: of all of them; 0 if it is not known.
            done_bytes: tells how many are done; may be called from any thread.
        """

    def one_done(self) -> None:
        """A source, file or object is done, whatever came of it."""

    def end(self) -> None:
        """Reading has ended, or was stopped."""

    def note(self, message: str) -> None:
        """Something is worth to be known."""

    def warn(self, message: str) -> None:
        """Something is odd, and costs no row."""

    def fail(self, message: str) -> None:
        """Something failed; the run goes on without it."""


class Teller:
    """Tells a watcher what inputs came to; at the end, what failed for one reason in one line.

    Args:
        watcher: is told.
        noun: what an input is.
        warns: whether warnings are told, too.
    """

    def __init__(self, watcher: Watcher, noun: str = "source", *, warns: bool = True) -> None:
        self._watcher = watcher
        self._noun = noun
        self._warns = warns
        self._told: list[str | list[str]] = []  # warnings, and failures for one reason
        self._failed: dict[str, list[str]] = {}

    def __call__(self, entry: Any) -> None:
        """Take what an input came to, by its `Entry`."""
        self._watcher.one_done()
        if entry.error is not None:
            end = "unauthenticated" if getattr(entry, "unauthenticated", False) else entry.status
            names = ("path", "source", "member", "package", "label")
            labels = [getattr(entry, name, None) for name in names]
            self.fail(f"{entry.error} ({end})", *labels)
        for warning in entry.warnings if self._warns else ():
            self._told.append(warning)

    def fail(self, message: str, *labels: str | None) -> None:
        """Take a failure, and what the input is called in its message."""
        reason = message
        for label in sorted({one for one in labels if one}, key=len, reverse=True):
            reason = reason.replace(label, "")
        reason = re.sub(r"[0-9][0-9,]*", "0", reason)
        if reason not in self._failed:
            self._failed[reason] = []
            self._told.append(self._failed[reason])
        self._failed[reason].append(message)

    def tell(self) -> None:
        """Tell what failed, and the warnings, in the order of the inputs."""
        for told in self._told:
            if isinstance(told, str):
                self._watcher.warn(told)
                continue
            first, count = told[0], len(told)
            if count > 1:
                first = f"{count:,} {self._noun}s failed for one reason, such as {first}"
            self._watcher.fail(first)
        self._told, self._failed = [], {}


@contextmanager
def followed(
    watcher: Watcher, count: int, total_bytes: int, done_bytes: Callable[[], int]
) -> Iterator[None]:
    """Tell a watcher of the beginning and the end of what is done in the block."""
    watcher.begin(count, total_bytes, done_bytes)
    try:
        yield
    finally:
        watcher.end()
