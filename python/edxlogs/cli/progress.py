"""What a command shows of a run: a progress line on a terminal, and messages."""

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
    """The result of a run. It prints as a few lines."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing failed."""

    def report(self) -> dict[str, Any]:
        """The result as a JSON document."""


class Shown(Watcher):
    """Shows the progress of a run on standard error; without a terminal, only messages.

    Args:
        quiet: show only what went wrong.
        as_json: show nothing; a document at the end says everything.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self._quiet = quiet
        self._as_json = as_json
        self._count = 0
        self._done = 0
        self._told: set[str] = set()
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
        """Remove the line."""
        self._end.set()
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def note(self, message: str) -> None:
        """Show something worth knowing."""
        if not self._quiet:
            self._show(message)

    def warn(self, message: str) -> None:
        """Show a warning."""
        self.fail(f"warning: {message}")

    def fail(self, message: str) -> None:
        """Show what went wrong, once if several steps say it."""
        if message not in self._told:
            self._told.add(message)
            self._show(message)

    def _show(self, message: str) -> None:
        """Show a line. With --json, only the account says so."""
        if self._as_json:
            return
        if self._bar is not None:
            message = f"edxlogs: {message}"
            self._bar.console.print(message, markup=False, highlight=False, soft_wrap=True)
        else:
            tell(f"edxlogs: {message}")

    def close(self, done: Ended) -> int:
        """Show the result, on standard error or as JSON. Returns the exit status."""
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
    """Print a line to standard error. A run does not fail because nobody is listening."""
    try:
        click.echo(message, err=True)
    except OSError:
        # Python would try again when it exits, and make that the exit status.
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, 2)
        os.close(descriptor)
