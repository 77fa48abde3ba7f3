"""How a verb tells what goes on while it runs: to a command's terminal, or to a program."""

from __future__ import annotations

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


def told_by(watcher: Watcher, *, warns: bool = True) -> Callable[[Any], None]:
    """Tells a watcher what an input came to, by its `Entry`; and its warnings, if `warns`."""

    def tell(entry: Any) -> None:
        watcher.one_done()
        if entry.error is not None:
            end = "unauthenticated" if getattr(entry, "unauthenticated", False) else entry.status
            watcher.fail(f"{entry.error} ({end})")
        for warning in entry.warnings if warns else ():
            watcher.warn(warning)

    return tell


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
