"""A run: inputs are read by workers, and what came of them is taken in order."""

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
    """Those who read inputs: threads of this process, or hosts of a cluster."""

    def start(self) -> Iterable[T_co]:
        """Begin; what comes of each input, in their order."""

    def stop(self, patience_seconds: float = ...) -> None:
        """Begin no other input, and give those under way a moment to end."""


class Target(ABC, Generic[T]):
    """What a run reads its inputs into."""

    patience_seconds: ClassVar[float] = PATIENCE_SECONDS  # for workers, once they must stop

    @property
    @abstractmethod
    def control(self) -> _core.Control:
        """What stops all that is read."""

    @property
    def bytes_read(self) -> int:
        """How many bytes of inputs are read, as they are stored; may be asked in any thread."""
        return self.control.bytes_read

    @abstractmethod
    def begin(self) -> Iterable[Crew[T]]:
        """Find out what is there already; those who read the rest, one after the other."""

    @abstractmethod
    def take(self, done: T) -> Iterable[Entry[Any]]:
        """Take what came of the next input; what there is to tell of it. Raises what ends all."""

    @property
    def is_full(self) -> bool:
        """Whether it takes nothing more: the inputs that are left are not read."""
        return False

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
