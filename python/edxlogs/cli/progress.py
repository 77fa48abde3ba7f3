"""What a command shows of a run: a line that follows it on a terminal, and messages beside it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import click

from edxlogs.text import indented
from edxlogs.watching import Watcher

_SECONDS = 0.2


class Ended(Protocol):
    """What came of a run. It prints as a few lines."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing failed."""

    def report(self) -> dict[str, Any]:
        """It as a JSON document."""


class Shown(Watcher):
    """Shows how a run goes, on standard error; where that is no terminal, messages alone.

    Args:
        quiet: show what went wrong alone.
        as_json: show nothing; a document at the end tells it.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self._quiet = quiet
        self._as_json = as_json
        self._count = 0
        self._done = 0
        self._end = threading.Event()
        self._bar: Any = None
        self._task: Any = None

    def begin(self, count: int, total_bytes: int, done_bytes: Callable[[], int]) -> None:
        """Show a line, if there is a terminal."""
        self._count, self._done, self._end = count, 0, threading.Event()
        if self._quiet or self._as_json or not count or not os.isatty(2):
            return
        # Imported late: it takes a while, and most runs of a night have no terminal.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task(self._description(), total=total_bytes or None)
        try:
            self._bar.start()
            threading.Thread(target=self._follow, args=(done_bytes, self._end), daemon=True).start()
        except RuntimeError:  # no thread is left for it: the run has more need of them
            self._bar.stop()
            self._bar = None

    def one_done(self) -> None:
        """Count it."""
        self._done += 1

    def end(self) -> None:
        """Take the line away."""
        self._end.set()
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def note(self, message: str) -> None:
        """Tell what is worth to be known."""
        if not self._quiet:
            self.fail(message)

    def warn(self, message: str) -> None:
        """Tell a warning."""
        self.fail(f"warning: {message}")

    def fail(self, message: str) -> None:
        """Tell what went wrong; with --json the account alone tells it."""
        if self._as_json:
            return
        if self._bar is not None:
            message = f"edxlogs: {message}"
            self._bar.console.print(message, markup=False, highlight=False, soft_wrap=True)
        else:
            tell(f"edxlogs: {message}")

    def close(self, done: Ended) -> int:
        """Show what came of it, on standard error or as JSON; the exit status."""
        with suppress(KeyboardInterrupt):  # too late to stop
            if self._as_json:
                tell_json(done.report())
            elif not self._quiet:
                tell(str(done))
        return 0 if done.is_whole else 1

    def _follow(self, done_bytes: Callable[[], int], end: threading.Event) -> None:
        while not end.wait(_SECONDS):
            bar = self._bar
            if bar is not None:
                bar.update(self._task, completed=done_bytes(), description=self._description())

    def _description(self) -> str:
        return f"{self._done} of {self._count}"


def tell_json(document: Any) -> None:
    """Print a document to standard output."""
    click.echo(indented(document).decode())


def tell(message: str) -> None:
    """Print a line to standard error. A run does not fail because nobody listens."""
    try:
        click.echo(message, err=True)
    except OSError:
        # Python would try again when it exits, and make that the exit status.
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, 2)
        os.close(descriptor)
