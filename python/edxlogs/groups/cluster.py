"""Writes groups of sources to datasets with a cluster: hosts do the tasks, this process commits."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from edxlogs import _core
from edxlogs.account import Account, SourceAccount
from edxlogs.errors import SourceError
from edxlogs.events.dedupe import Dedupe
from edxlogs.groups.hosts import HostCrew, Hosts
from edxlogs.groups.reading import Arrived, GroupFile
from edxlogs.groups.target import look, told_as_copy
from edxlogs.groups.task import GroupTask, Made, attempts, recorded
from edxlogs.groups.writer import DatasetWriter
from edxlogs.sources.source import Source
from edxlogs.sources.window import Window
from edxlogs.store import disk
from edxlogs.store.inputs import groups
from edxlogs.store.manifest import Identity
from edxlogs.targets import Crew, Target
from edxlogs.threads import in_worker


@dataclass
class ClusterTarget(Target[Made]):
    """One or several datasets, to which this process commits what hosts have made.

    The hosts see the folders of the datasets, and the sources, at the same paths.

    Attributes:
        hosts: do the tasks.
        stops: stops what is read in this process.
        sources: the sources, in the order of delivery.
        datasets: the datasets, with their own accounts, which add up at the end.
        window: chooses among the members of a tar.
        dedupe: which lines to compare, as `Dedupe` takes it, or None.
        gnupg_home: folder of the keys on each host; None means the user's own there.
        passphrase_file: file on each host whose first line unlocks the key; None asks the agent.
    """

    hosts: Hosts
    stops: _core.Control
    sources: Sequence[Source]
    datasets: Sequence[DatasetWriter]
    window: Window = field(default_factory=Window)
    dedupe: str | None = None
    gnupg_home: Path | None = None
    passphrase_file: Path | None = None
    account: Account = field(default_factory=Account)
    read_now: list[Source] = field(default_factory=list)
    _identities: list[Identity] = field(default_factory=list)
    _bytes_read: int = 0
    _tasks: list[GroupTask] = field(default_factory=list)
    _next: int = 0
    _again: list[GroupTask] = field(default_factory=list)  # for the group that is taken

    @property
    def control(self) -> _core.Control:
        """The control that stops what is read in this process."""
        return self.stops

    @property
    def bytes_read(self) -> int:
        """Number of bytes read by the finished tasks."""
        return self._bytes_read

    def begin(self) -> Iterable[Crew[Made]]:
        """Find out what the datasets lack, and who can read it."""
        self._tasks = in_worker(lambda: list(self._plan()))
        if self._tasks:
            there = attempts(self._tasks[0].places)  # one look, however many tasks

            def before(number: int) -> Made | None:
                task = self._tasks[number]
                return recorded(task) if task.digest in there else None

            yield HostCrew(self.hosts, self._tasks, before, self._count)

    def _plan(self) -> Iterator[GroupTask]:
        """The tasks, in their order."""
        compared = None
        if self.dedupe is not None:
            compared = Dedupe(self.sources, self.dedupe, lambda _: Path(os.devnull))
        self.sources, known = look(self.sources, self.datasets, compared)
        self._identities = [one.identity for one in known]
        forms = [one.settings for one in self.datasets]
        places = [one.store.new.absolute() for one in self.datasets]
        folder = os.getcwd()
        for group in groups(self.sources, together=compared is not None):
            read = [number for number in group if any(known[number].pending)]
            if not read:
                continue
            self.read_now += [self.sources[number] for number in read]
            numbers = read if compared is None else group
            yield GroupTask(
                forms,
                places,
                [replace(self.sources[number], folder=folder) for number in numbers],
                [known[number] for number in numbers],
                self.window,
                self.dedupe,
                None if self.gnupg_home is None else self.gnupg_home.absolute(),
                None if self.passphrase_file is None else self.passphrase_file.absolute(),
            )

    def _count(self, made: Made) -> None:
        self._bytes_read += sum(one.counts.bytes_read for one in made.accounts)

    def take(self, made: Made) -> list[SourceAccount]:
        """Commit the result of the next task."""
        task = self._tasks[self._next]
        self._next += 1
        for at, one in enumerate(self.datasets):
            unmet = set(made.unmet[at])
            before = one.unmet_elsewhere
            one.unmet_elsewhere = unmet if before is None else before & unmet
            one.deliver(made.arrived[at], partial(self._files, task, made, at))
        for done in (task, *self._again):
            for left in done.left():
                disk.remove(left)
        self._again.clear()
        return [
            told_as_copy(account, key, self.datasets)
            for account, key in zip(made.accounts, made.keys, strict=True)
        ]

    def _files(
        self, task: GroupTask, made: Made, at: int, places: Sequence[int], _: str
    ) -> Sequence[GroupFile]:
        """The files of a dataset, made again if some of their rows are there already."""
        arrived = made.arrived[at]
        if len(places) == sum(one.has_rows for one in arrived):
            return made.files[at]
        wanted = {arrived[one].release.key for one in places}
        if not wanted:
            return []
        numbers = range(len(self.datasets))
        known = [
            replace(one, pending=[other == at and one.identity.key in wanted for other in numbers])
            for one in task.known
        ]
        self._again.append(replace(task, known=known))
        again = next(self.hosts.do(self._again[-1:]))[1]
        _check_same([arrived[one] for one in places], again.arrived[at])
        return [
            replace(file, runs=[(places[place], rows) for place, rows in file.runs])
            for file in again.files[at]
        ]

    def finish(self) -> None:
        """Complete the accounts, and remove what hosts did twice."""
        left = attempts(self._tasks[0].places) if self._tasks else {}
        for task in self._tasks:
            for path in left.get(task.digest, ()):
                disk.remove(path)
        for one in self.datasets:
            one.tell_all(self._identities)


def _check_same(before: Sequence[Arrived], now: Sequence[Arrived]) -> None:
    """Raise a SourceError if reading the sources again gave another result."""
    for first, second in zip(before, now, strict=True):
        if (first.release, first.account.counts) != (second.release, second.account.counts):
            label = first.source.label
            raise SourceError(f"{label}: it changed while it was read; run again", label)
