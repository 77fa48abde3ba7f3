"""A run: workers read inputs, and a target takes the results in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from edxlogs.account import Entry
from edxlogs.threads import PATIENCE_SECONDS

if TYPE_CHECKING:
    from edxlogs import _core

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Crew(Protocol[T_co]):
    """Reads inputs: threads of this process, or hosts of a cluster."""

    def start(self) -> Iterable[T_co]:
        """Begin, and yield the result of each input, in order."""

    def stop(self, patience_seconds: float = ...) -> None:
        """Start no further input, and give those in progress a moment to end."""


class Target(ABC, Generic[T]):
    """What a run reads its inputs into."""

    patience_seconds: ClassVar[float] = PATIENCE_SECONDS  # for workers, once they must stop

    @property
    @abstractmethod
    def control(self) -> _core.Control:
        """The control that stops all reading."""

    @property
    def bytes_read(self) -> int:
        """Bytes of inputs read so far, as stored. May be called from any thread."""
        return self.control.bytes_read

    @abstractmethod
    def begin(self) -> Iterable[Crew[T]]:
        """Find out what exists already, and return crews that read the rest, one after another."""

    @abstractmethod
    def take(self, done: T) -> Iterable[Entry[Any]]:
        """Take the result of the next input, and return its entries. Raises what ends the run."""

    @property
    def is_full(self) -> bool:
        """Whether it takes nothing more, so that the remaining inputs are not read."""
        return False

    def stop(self) -> None:
        """Release what inputs are read with. Workers may still be running."""

    @abstractmethod
    def finish(self) -> None:
        """After the last input: check that the account adds up, and publish what waits for that."""


def fill(
    target: Target[Any],
    on_entry: Callable[[Any], None] = lambda _: None,
    around: AbstractContextManager[None] | None = None,
) -> None:
    """Read what a target lacks, and pass it to the target, in order.

    Args:
        target: takes the results.
        on_entry: called with the `Entry` of each input, in this thread.
        around: entered once it is known what to read and keys are unlocked; left at the end.

    Raises:
        OutputError: the target cannot be written.
        InternalError: a guarantee does not hold.
    """
    crew: Crew[Any] | None = None
    try:
        begun = iter(target.begin())
        first = next(begun, None)
        with around or nullcontext():
            for crew in () if first is None else chain([first], begun):
                for done in crew.start():
                    for entry in target.take(done):
                        on_entry(entry)
                    if target.is_full:
                        break
            if target.is_full:
                target.control.stop()
    except BaseException:
        target.control.stop()
        raise
    finally:
        target.stop()
        # Before hidden folders go: a worker could still make a file in them.
        if crew is not None:
            crew.stop(target.patience_seconds)
    target.finish()
