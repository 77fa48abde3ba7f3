"""Progress on a terminal: bytes, rate and time left. Silent where there is none."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Self

import click

_SECONDS = 0.2


class Progress:
    """A line that follows a run; and a way to tell something beside it."""

    def __init__(
        self, count: int, total_bytes: int, done_bytes: Callable[[], int], *, shows: bool
    ) -> None:
        """Follow something that goes on elsewhere.

        Args:
            count: of sources or objects.
            total_bytes: of all of them; 0 if it is not known.
            done_bytes: asked again and again, from another thread.
            shows: False for no line at all.
        """
        self._done_bytes = done_bytes
        self._total = total_bytes
        self._count = count
        self._done = 0
        self._end = threading.Event()
        self._bar: Any = None
        self._task: Any = None
        self._shows = shows and os.isatty(2)

    def __enter__(self) -> Self:
        if self._shows:
            # Imported late: it takes a while, and most runs of a night have no terminal.
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                TextColumn,
                TimeRemainingColumn,
                TransferSpeedColumn,
            )
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task(self._description(), total=self._total or None)
            try:
                self._bar.start()
                threading.Thread(target=self._follow, daemon=True).start()
            except RuntimeError:  # no thread is left for it: the run has more need of them
                self._bar.stop()
                self._bar = None
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._bar is not None:
            self._bar.stop()

    def _follow(self) -> None:
        while not self._end.wait(_SECONDS):
            self._bar.update(
                self._task,
                completed=self._done_bytes(),
                description=self._description(),
            )

    def _description(self) -> str:
        return f"{self._done} of {self._count}"

    def one_done(self) -> None:
        """Count a source or an object."""
        self._done += 1

    def tell(self, message: str) -> None:
        """Print a line to standard error."""
        if self._bar is not None:
            self._bar.console.print(message, markup=False, highlight=False, soft_wrap=True)
        else:
            tell(message)


def tell(message: str) -> None:
    """Print a line to standard error. A run does not fail because nobody listens."""
    try:
        click.echo(message, err=True)
    except OSError:
        # Python would try again when it exits, and make that the exit status.
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, 2)
        os.close(descriptor)
