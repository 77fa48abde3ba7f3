"""Finds lines that two sources of one site and day hold byte for byte, and keeps the first.

Sources of one site and day form a group, in the order of the run. Each waits for those before it,
to learn which of their lines it repeats. A withheld source held nothing. The lines of each source
are recorded as hashes in a file of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from edxlogs import _core
from edxlogs.errors import StoppedError
from edxlogs.sources.source import Source
from edxlogs.store import disk
from edxlogs.store.inputs import by_day
from edxlogs.store.manifest import Input
from edxlogs.text import many

WITHIN = "within"


def dedupe_kind(*, dedupe: bool, within: bool) -> str | None:
    """Which lines to compare, as a query states it. `within` implies both kinds."""
    return WITHIN if within else "sources" if dedupe else None


class Dedupe:
    """What the sources of a run hold, as far as other sources must know it.

    Args:
        sources: sources of the run, in order.
        kind: which lines to compare, as `dedupe_kind` returns it.
        place: where to write the hashes of a numbered source; they are deleted with the run.
    """

    def __init__(self, sources: Sequence[Source], kind: str, place: Callable[[int], Path]) -> None:
        self._within = kind == WITHIN
        self._place = place
        self.groups = list(by_day(sources))
        self._group = {number: group for group in self.groups for number in group}
        self._left = {id(group): len(group) for group in self.groups}
        self._before: dict[int, list[Path]] = {}  # of runs before this one
        self._settled: dict[int, list[Path]] = {}
        self._changed = threading.Condition()
        self._stopped = False

    def earlier(self, number: int) -> list[int]:
        """The sources of its group that come before it."""
        group = self._group[number]
        return group[: group.index(number)]

    def waiting(self, number: int, most: int) -> int:
        """How many of the next `most` sources wait for this one."""
        group = self._group[number]
        return sum(number < other <= number + most for other in group)

    def extend(
        self,
        pending: set[int],
        known: Callable[[int], Input | None],
        hashes: Callable[[Input], Path | None],
    ) -> None:
        """Add, to the sources that are read, those that must be read again because of them.

        Args:
            pending: sources that are new or have changed.
            known: what an earlier run recorded about the others.
            hashes: where it keeps their hashes; None if they are gone.
        """
        for group in self.groups:
            first = _first_anew(group, pending, known)
            if first == len(group):
                continue
            for at, number in enumerate(group[:first]):
                one = known(number)
                if one is None or (one.account["counts"]["kept"] and hashes(one) is None):
                    first = at
                    break
            pending.update(group[first:])

    def found(self, number: int, paths: list[Path], *, is_read: bool) -> None:
        """Record what a source held in earlier runs.

        This counts if the source is not read, or if it is read and withheld.
        """
        if is_read:
            self._before[number] = paths
        else:
            self._settle(number, paths)
            self.done(number)

    def hashes(self, number: int) -> _core.LineHashes | None:
        """Wait until earlier sources are settled. Returns what finds duplicates of their lines.

        None means that there is nothing to compare with.

        Raises:
            StoppedError: the run was stopped.
            ConfigError: the hashes of an earlier run are damaged.
        """
        earlier = self.earlier(number)
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopped or all(other in self._settled for other in earlier)
            )
            if self._stopped:
                raise StoppedError("stopped")
            paths = [path for other in earlier for path in self._settled[other]]
        if len(self._group[number]) == 1 and not self._within:
            return None
        return _core.LineHashes(self._place(number), paths, within=self._within)

    def settle(
        self, number: int, hashes: _core.LineHashes | None, *, delivered: bool
    ) -> Path | None:
        """Record what a source holds, once its verdict is known. Returns where its hashes are.

        Raises:
            OutputError: the hashes cannot be written.
        """
        path = None
        if delivered and hashes is not None and len(self._group[number]) > 1 and hashes.finish():
            path = self._place(number)
        held = [path] if path is not None else []
        self._settle(number, held if delivered else self._before.get(number, []))
        return path

    def _settle(self, number: int, paths: list[Path]) -> None:
        with self._changed:
            self._settled[number] = paths
            self._changed.notify_all()

    def done(self, number: int) -> None:
        """Record that a source is delivered. After the last of a group, the hashes are deleted."""
        group = self._group[number]
        self._left[id(group)] -= 1
        if self._left[id(group)] == 0:
            for other in group:
                with suppress(OSError):  # the next run removes what is left
                    disk.unlink(self._place(other))

    def stop(self) -> None:
        """Release everybody who waits."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


def _first_anew(
    group: Sequence[int], pending: set[int], known: Callable[[int], Input | None]
) -> int:
    """Where in a group reading must begin: later sources were compared with others than now."""
    before: list[int] = []
    for at, number in enumerate(group):
        one = known(number)
        if number in pending or one is None or one.compared != before:
            return at
        before.append(one.number)
    return len(group)


def remarks(sources: Sequence[Source]) -> list[str]:
    """Warnings about sources that are compared with no other."""
    lone = [source.label for source in sources if source.date is None]
    if not lone:
        return []
    more = "" if len(lone) == 1 else f" (and {many(len(lone) - 1, 'other')})"
    return [
        f"dedupe: {lone[0]}{more}: its name has no day, so its lines are not compared with those"
        " of other sources"
    ]
