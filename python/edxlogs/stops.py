"""Ctrl-C, and what a terminal or a scheduler sends: put off where they would do harm."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from edxlogs.errors import ResumableInterrupt

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def put_off() -> Iterator[None]:
    """Let a stop that comes in the block come at its end; those that are ignored stay so."""
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
    """Leave to the next run what this one has finished, should it not come to its end.

    Args:
        leave: does that; whether there is anything.

    Raises:
        ResumableInterrupt: it was interrupted, and there is.
    """
    try:
        yield
    except BaseException as error:
        if leave() and isinstance(error, KeyboardInterrupt):
            raise ResumableInterrupt from None
        raise
