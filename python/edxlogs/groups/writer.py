"""Commits groups of sources to a dataset during a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import orjson

from edxlogs.account import Account, Outcome, SourceAccount
from edxlogs.errors import InternalError
from edxlogs.events.dedupe import Dedupe
from edxlogs.events.target import copy_of
from edxlogs.formats import ending_of
from edxlogs.groups.reading import Arrived, Form, GroupFile
from edxlogs.groups.task import FormSettings
from edxlogs.sources.source import Source
from edxlogs.stops import put_off
from edxlogs.store.inputs import Commit, KnownInputs, stem
from edxlogs.store.manifest import DataFile, Identity, Input, Segment, Text, now
from edxlogs.store.store import HASHES, REJECTS, Store
from edxlogs.text import shown

Maker = Callable[[Sequence[int], str], Sequence[GroupFile]]


@dataclass
class DatasetWriter:
    """A dataset during a run: what it knows about its inputs, and what is committed to it.

    Attributes:
        store: takes the files.
        settings: how its files are made.
        account: account of all sources at the end, including those that earlier runs read.
        started: when the run began, UTC.
        commits: number of commits so far.
        read: number of sources read by this run.
        grown: folders of the partitions that got files.
        form: made from the settings.
        inputs: what is known about them, and what this run adds.
        copies: what became of files that hold the texts of others, by the keys of the files.
        unmet_elsewhere: like `unmet`, if others have read; None if nobody else has.
    """

    store: Store
    settings: FormSettings
    account: Account = field(default_factory=Account)
    started: str = field(default_factory=now)
    commits: int = 0
    read: int = 0
    grown: set[str] = field(default_factory=set)
    form: Form = field(init=False)
    inputs: KnownInputs = field(init=False)
    copies: dict[str, SourceAccount] = field(default_factory=dict)
    unmet_elsewhere: set[tuple[str, int]] | None = None
    _held: list[Input] = field(default_factory=list)
    _withheld: dict[str, SourceAccount] = field(default_factory=dict)
    _numbers: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.form = self.settings.form(self.store.new)
        self.inputs = KnownInputs(self.store)

    @property
    def unmet(self) -> Sequence[tuple[str, int]]:
        """Condition values that match nothing kept, as `_core.Query.unmet` returns them."""
        found = self.unmet_elsewhere
        return self.form.query.unmet() if found is None else sorted(found)

    def pending(
        self,
        sources: Sequence[Source],
        identities: Sequence[Identity],
        dedupe: Dedupe | None = None,
    ) -> set[int]:
        """Numbers of the sources, as they are now, whose rows are not there yet."""
        both = list(zip(sources, identities, strict=True))
        pending = {number for number, one in enumerate(both) if not self.inputs.is_done(*one)}
        if dedupe is not None and not self.store.replaces_all:
            dedupe.extend(
                pending, lambda number: self.inputs.known(identities[number]), self._hashes
            )
        there = [identities[number] for number in range(len(both)) if number not in pending]
        origins = {sources[number].origin for number in pending}
        self.inputs.begin(there, origins, compares=dedupe is not None)
        return pending

    def hashes(self, identity: Identity) -> list[Path]:
        """Where the hashes are of a source whose rows are there."""
        known = self.inputs.known(identity)
        path = None if known is None or not known.is_done else self._hashes(known)
        return [] if path is None else [path]

    def _hashes(self, one: Input) -> Path | None:
        return self.store.beside(f"{HASHES}/{one.number}")

    def deliver(self, group: Sequence[Arrived], make: Maker) -> None:
        """Take the results of a group of sources, in order, and commit them with their files.

        Args:
            group: the sources that the dataset lacked.
            make: given the positions of those whose rows go into files, and a name for the files.

        Raises:
            OutputError: they cannot be written. What was committed stays.
        """
        commit = Commit(Segment(self.started, inputs=self._held))
        segment = commit.segment
        numbers: dict[int, int] = {}  # of inputs, by their places
        for place, one in enumerate(group):
            self.read += 1
            if self._enter(commit, one, self.inputs.numbers(one.compared, commit)):
                numbers[place] = commit.numbers[one.release.key]
        name = stem(orjson.dumps(self.store.query, option=orjson.OPT_SORT_KEYS), commit.delivered)
        files = make([place for place in numbers if group[place].has_rows], name)
        if not segment.inputs and not segment.seen:
            return
        if self.store.replaces_all and not commit.delivered:
            # There is nothing that could replace what exists.
            self._held = segment.inputs
            return
        self._held = []
        segment.added += self._placed(files, numbers, name)
        added, segment.removed = self.store.without(commit.replaced)
        segment.added += added
        with put_off():
            self.store.commit(segment)
            self.commits += 1
        folders = (file.path.rpartition("/")[0] for file in segment.added if file.holds_rows)
        self.grown.update(folders)

    def _enter(self, commit: Commit, arrived: Arrived, compared: Sequence[int]) -> bool:
        """Enter what became of a source into a commit. Returns whether its rows are part of it."""
        identity, account, text = arrived.release, arrived.account, arrived.text
        inputs = self.inputs

        def put(key: str, account: SourceAccount, text: Text | None, root: int | None) -> None:
            number, rows = inputs.next_number(commit), account.counts.rows
            told = account.status, rows, asdict(account), list(compared)
            name = None if text is None else arrived.source.name
            heads = [] if text is None else text.heads(arrived.beginnings)
            one = Input(number, replace(identity, key=key), *told, name, text, root, heads)
            inputs.put(commit, identity, one, () if text is None else arrived.beginnings)

        if account.status in (Outcome.WITHHELD, Outcome.NO_LOG):
            known = inputs.known(identity)
            if known is not None and known.is_done:
                # The existing rows stay until the new release is whole.
                account.counts = account.counts.as_withheld()
                self._withheld[identity.key] = account
                return False
            put(identity.key if known is None else known.identity.key, account, None, None)
            return account.status == Outcome.NO_LOG
        place = inputs.settle(commit, identity, text, arrived.beginnings)
        if place.holder is not None:
            if place.is_copy:
                first = SourceAccount.of(place.holder.account).path
                copy = self.copies[identity.key] = copy_of(account, first)
                put(place.key, copy, None, None)
            return False
        put(place.key, account, text, place.root)
        commit.delivered.append((arrived.source, identity))
        return True

    def _placed(
        self, files: Sequence[GroupFile], numbers: Mapping[int, int], name: str
    ) -> list[DataFile]:
        """Put the files of a group in their places, under names that no file has yet.

        Args:
            files: files with rows numbered by positions in the group.
            numbers: numbers of the inputs at those positions.
            name: beginning of the names of files with rows.
        """
        ending = ending_of(self.form.format_name)

        def path_of(file: GroupFile) -> str:
            if file.folder in (REJECTS, HASHES):
                return f"{file.folder}/{numbers[file.runs[0][0]]}"
            return f"{file.folder}/{name}{f'-{file.number}' if file.number else ''}{ending}"

        def is_taken() -> bool:
            return any(self.store.place.is_taken(path_of(file)) for file in files)

        # The same text under two names makes the same name; what will be replaced is no matter,
        # unless somebody may still read it.
        while (self.store.keeps_removed or not self.store.replaces_all) and is_taken():
            name += "x"
        return [
            DataFile(
                path_of(file),
                file.staged,
                file.rows,
                file.bytes,
                file.sha256,
                [(numbers[place], rows) for place, rows in file.runs],
            )
            for file in files
        ]

    def tell_all(self, identities: Sequence[Identity]) -> None:
        """The account of all sources, from the manifest."""
        held = {one.identity.key: SourceAccount.of(one.account) for one in self._held}
        told: set[int] = set()
        for identity in identities:
            known = None if self._held else self.inputs.known(identity)
            if known is not None and known.number in told:
                continue  # a file that has moved on, and is back where it was
            account = self._withheld.get(identity.key) or held.get(identity.key)
            if account is None:
                if known is None:
                    raise InternalError(f"{shown(identity.key)}: is in no segment; report it")
                account = SourceAccount.of(known.account)
            self.account.enter(account)
            if known is not None:
                told.add(known.number)
                self._numbers.append(known.number)
        self.account.check()

    def rejects(self) -> Iterator[Path]:
        """Files of rejected lines, from all sources in order, once all are reported."""
        for number in self._numbers:
            path = self.store.beside(f"{REJECTS}/{number}")
            if path is not None:
                yield path
