"""Writes groups of sources to datasets in this process, in one pass over the logs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from edxlogs.account import SourceAccount
from edxlogs.edx.names import is_rotated
from edxlogs.events.dedupe import Dedupe
from edxlogs.events.target import Read
from edxlogs.groups.reading import GroupTarget, Known, make_files
from edxlogs.groups.writer import DatasetWriter
from edxlogs.sources.source import Source
from edxlogs.store.inputs import groups, identify
from edxlogs.store.segments import HEAD_LENGTHS, may_move
from edxlogs.threads import in_worker


@dataclass
class DatasetTarget(GroupTarget):
    """One or several datasets, to which what is new is committed group by group.

    Sources that are done are not opened.

    Attributes:
        datasets: the datasets, with their own accounts, which add up at the end.
    """

    datasets: Sequence[DatasetWriter] = ()
    _last: set[int] = field(default_factory=set)  # of the sources read of each group
    _group: list[Read] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.forms = [one.form for one in self.datasets]

    def pending(self) -> set[int]:
        """Sources that a dataset lacks as they are now.

        Raises:
            ConfigError: a source is a stream.
        """
        self.sources, self.known = in_worker(lambda: look(self.sources, self.datasets, self.dedupe))
        return super().pending()

    def turns(self) -> list[int]:
        """Only the sources that are read."""
        turns: list[int] = []
        for group in groups(self.sources, together=self.dedupe is not None):
            if read := [number for number in group if number in self._to_read]:
                turns += read
                self._last.add(read[-1])
        return turns

    def take(self, read: Read) -> list[SourceAccount]:
        """Take a source. When its group is complete, each dataset gets its share of it.

        Only then is it known, and reported, what is a copy.
        """
        self._group.append(read)
        if read.scanned is not None and isinstance(read.scanned.error, self.fatal):
            raise read.scanned.error
        if read.number not in self._last:
            return []
        for at, one in enumerate(self.datasets):
            shares = [share for read in self._group if (share := self.share(read, at)) is not None]
            make = partial(make_files, one.form, shares, self._room, self.workers)
            one.deliver([share.arrived for share in shares], make)
        told = [self.deliver(other) for other in self._group]
        self._group = []
        return told

    def deliver(self, read: Read) -> SourceAccount:
        """What became of a source, once the datasets have their shares of it."""
        if self.dedupe is not None:
            self.dedupe.done(read.number)
        return told_as_copy(self.told(read), self.known[read.number].identity.key, self.datasets)

    def finish(self) -> None:
        """Complete the accounts."""
        for one in self.datasets:
            one.tell_all([known.identity for known in self.known])


def told_as_copy(
    account: SourceAccount, key: str, datasets: Sequence[DatasetWriter]
) -> SourceAccount:
    """What became of the file with that key. A dataset may have found that it is a copy."""
    copies = (one.copies.get(key) for one in datasets)
    return next(filter(None, copies), account)


def look(
    sources: Sequence[Source], datasets: Sequence[DatasetWriter], dedupe: Dedupe | None
) -> tuple[list[Source], list[Known]]:
    """Look at sources before they are read, and at what the datasets know about them.

    Returns:
        The sources, including what they have grown by since they were found, and what is known
            about each.

    Raises:
        ConfigError: a source is a stream.
    """
    identities = [identify(source) for source in sources]
    # If a file has grown since it was found, the new part is read too, as its identity says.
    now = [
        one if one.size == identity.size else replace(one, size=identity.size)
        for one, identity in zip(sources, identities, strict=True)
    ]
    lacks = [one.pending(now, identities, dedupe) for one in datasets]
    read = set[int]().union(*lacks)
    sizes: dict[str, set[int]] = {}  # of logs that rotate, by origin
    for number in read:
        source = now[number]
        if is_rotated(os.path.basename(source.path)) and source.size:
            sizes.setdefault(source.origin, set()).add(source.size)
    days = [] if dedupe is None else dedupe.groups
    compared = {number for day in days if not read.isdisjoint(day) for number in day}
    first: dict[str, int] = {}
    begun: dict[str, dict[tuple[int, int], str]] = {}
    known: list[Known] = []
    for number, (source, identity) in enumerate(zip(now, identities, strict=True)):
        is_first = first.setdefault(source.name, number) == number
        pending = [number in one for one in lacks]
        held = [path for one in datasets if number in compared for path in one.hashes(identity)]
        if not any(pending):
            known.append(Known(identity, pending, held=held))
            continue
        origin = source.origin
        if origin not in begun:
            begun[origin] = {}
            for one in reversed(datasets):
                begun[origin] |= one.inputs.begun(origin)
        lengths = {*(length for length, _ in begun[origin]), *sizes.get(origin, ())}
        if may_move(origin):  # by these, `merge` knows what has grown in another shard
            lengths.update(HEAD_LENGTHS)
        keeps_name = is_first and all(
            one.inputs.may_name(source.name, identity)
            for one, lacked in zip(datasets, pending, strict=True)
            if lacked
        )
        known.append(Known(identity, pending, keeps_name, sorted(lengths), begun[origin], held))
    return now, known
