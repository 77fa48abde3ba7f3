"""How a running function reports its progress, to a terminal or to a program."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_MOST_ALIKE = 3  # similar warnings that are reported one by one


class Watcher:
    """Receives progress and messages of a run, in the thread that runs it.

    Subclass it, and override the methods you need; the others do nothing.
    """

    def begin(self, count: int, total_bytes: int, done_bytes: Callable[[], int]) -> None:
        """Reading begins.

        Args:
            count: number of sources, files or objects.
            total_bytes: their size together; 0 if it is not known.
            done_bytes: returns how many bytes are done so far; may be called from any thread.
        """

    def one_done(self) -> None:
        """A source, file or object is finished, whether it succeeded or not."""

    def end(self) -> None:
        """Reading has ended, or was stopped."""

    def note(self, message: str) -> None:
        """Something worth knowing."""

    def warn(self, message: str) -> None:
        """Something is odd, but no row is lost."""

    def fail(self, message: str) -> None:
        """Something failed, and the run goes on without it."""


class Teller:
    """Reports to a watcher what became of inputs, and sums up similar messages at the end.

    Args:
        watcher: receives the messages.
        noun: what an input is called.
        warns: whether warnings are reported too.
    """

    def __init__(self, watcher: Watcher, noun: str = "source", *, warns: bool = True) -> None:
        self._watcher = watcher
        self._noun = noun
        self._warns = warns
        self._told: list[tuple[bool, str, str]] = []  # whether it failed, a reason, a message

    def __call__(self, entry: Any) -> None:
        """Take the result of an input, an `Entry`."""
        self._watcher.one_done()
        if entry.error is not None:
            end = "unauthenticated" if getattr(entry, "unauthenticated", False) else entry.status
            self.fail(f"{entry.error} ({end})", *_labels(entry))
        if self._warns:
            self.warn_of(entry)

    def warn_of(self, entry: Any) -> None:
        """Take the warnings of an input, an `Entry`."""
        labels = _labels(entry)
        for warning in entry.warnings:
            # Copies of different sources still share one reason.
            is_copy = entry.status == "copy" and warning is entry.warnings[-1]
            reason = "copy" if is_copy else _reason(warning, labels)
            self._told.append((False, reason, warning))

    def fail(self, message: str, *labels: str | None) -> None:
        """Take a failure, and the names by which its message calls the input."""
        self._told.append((True, _reason(message, labels), message))

    def tell(self) -> None:
        """Report what failed, and the warnings, in the order of the inputs."""
        counts = Counter((failed, reason) for failed, reason, _ in self._told)
        folded: set[tuple[bool, str]] = set()
        for failed, reason, message in self._told:
            count, alike = counts[failed, reason], (failed, reason)
            if count > (1 if failed else _MOST_ALIKE):
                if alike in folded:
                    continue
                folded.add(alike)
                why = " failed for one reason" if failed else ""
                message = f"{count:,} {self._noun}s{why}, such as {message}"
            (self._watcher.fail if failed else self._watcher.warn)(message)
        self._told = []


def _labels(entry: Any) -> list[str | None]:
    names = ("path", "source", "member", "package", "label")
    return [getattr(entry, name, None) for name in names]


def _reason(message: str, labels: Sequence[str | None]) -> str:
    """The message without the parts that concern a single input."""
    for label in sorted({one for one in labels if one}, key=len, reverse=True):
        message = message.replace(label, "")
    return re.sub(r"[0-9][0-9,]*", "0", message)


@contextmanager
def followed(
    watcher: Watcher, count: int, total_bytes: int, done_bytes: Callable[[], int]
) -> Iterator[None]:
    """Tell a watcher when the work inside the block begins and ends."""
    watcher.begin(count, total_bytes, done_bytes)
    try:
        yield
    finally:
        watcher.end()
