"""A run: inputs are read by workers, and what came of them is taken in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from edxlogs.account import Entry
from edxlogs.threads import PATIENCE_SECONDS, Workers

if TYPE_CHECKING:
    from edxlogs import _core

T = TypeVar("T")


class Target(ABC, Generic[T]):
    """What a run reads its inputs into."""

    patience_seconds: ClassVar[float] = PATIENCE_SECONDS  # for workers, once they must stop

    @property
    @abstractmethod
    def control(self) -> _core.Control:
        """What stops all that is read."""

    @abstractmethod
    def begin(self) -> Iterable[Workers[T]]:
        """Find out what is there already; those who read the rest, one after the other."""

    @abstractmethod
    def take(self, done: T) -> Iterable[Entry[Any]]:
        """Take what came of the next input; what there is to tell of it. Raises what ends all."""

    def stop(self) -> None:
        """Give back what inputs are read with; workers may still be at it."""

    @abstractmethod
    def finish(self) -> None:
        """All is read and taken: see that the account adds up, and publish what waits for that."""


def fill(
    target: Target[Any],
    on_entry: Callable[[Any], None] = lambda _: None,
    around: AbstractContextManager[None] | None = None,
) -> None:
    """Read what a target lacks, and hand it over, in order.

    Args:
        target: takes it.
        on_entry: called with the `Entry` of what each input came to, in this thread.
        around: entered once it is known what is read, and keys are unlocked; left after that.

    Raises:
        OutputError: the target cannot be written.
        InternalError: a promise is broken.
    """
    workers: Workers[Any] | None = None
    try:
        begun = iter(target.begin())
        first = next(begun, None)
        with around or nullcontext():
            for workers in () if first is None else chain([first], begun):
                for done in workers.start():
                    for entry in target.take(done):
                        on_entry(entry)
    except BaseException:
        target.control.stop()
        raise
    finally:
        target.stop()
        # Before hidden folders go: a worker could still make a file in them.
        if workers is not None:
            workers.stop(target.patience_seconds)
    target.finish()
