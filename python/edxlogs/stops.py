"""Defers Ctrl-C, and the signals of terminals and schedulers, where they would do harm."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from edxlogs.errors import ResumableInterrupt

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def put_off() -> Iterator[None]:
    """Defer a stop that comes inside the block to its end. Ignored signals stay ignored."""
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)

    handlers = {}
    for stop in STOPS:
        with suppress(ValueError):  # outside of the main thread, where none arrives
            if signal.getsignal(stop) not in (signal.SIG_IGN, None):
                handlers[stop] = signal.signal(stop, note)
    try:
        yield
    finally:
        for stop, handler in handlers.items():
            signal.signal(stop, handler)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def goes_on(leave: Callable[[], bool]) -> Iterator[None]:
    """If the run is interrupted, leave what it has finished to the next run.

    Args:
        leave: does that, and returns whether there was anything to leave.

    Raises:
        ResumableInterrupt: the run was interrupted, and something was left.
    """
    try:
        yield
    except BaseException as error:
        if leave() and isinstance(error, KeyboardInterrupt):
            raise ResumableInterrupt from None
        raise
