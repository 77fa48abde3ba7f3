"""Ctrl-C, and what a terminal or a scheduler sends: put off where they would do harm."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

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
