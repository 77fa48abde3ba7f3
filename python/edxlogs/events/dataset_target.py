"""Events to datasets: one pass over the logs for all of them, groups of sources committed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import orjson

from edxlogs import _core
from edxlogs.account import Account, Outcome, SourceAccount
from edxlogs.edx.names import is_rotated
from edxlogs.errors import ConfigError, EdxlogsError, InternalError, cannot_write
from edxlogs.events.dedupe import Dedupe
from edxlogs.events.scanning import Scanned, Sink
from edxlogs.events.target import (
    EventTarget,
    Read,
    Room,
    account_of,
    copy_of,
    is_wanted,
    told_apart,
)
from edxlogs.formats import ending_of
from edxlogs.sources.source import Source
from edxlogs.stops import put_off
from edxlogs.store import disk
from edxlogs.store.inputs import (
    Commit,
    KnownInputs,
    check_unchanged,
    groups,
    identify,
    stem,
    with_checksum,
)
from edxlogs.store.manifest import DataFile, Identity, Input, Segment, Text, now
from edxlogs.store.store import HASHES, REJECTS, TARGET_FILE_BYTES, Store
from edxlogs.text import shown
from edxlogs.threads import Workers, in_worker

MOST_AHEAD = 32  # sources, so that a run keeps few files open
MEMORY_BYTES = 24 << 20  # for rows of one source, over all datasets


_Kept = tuple[_core.SplitPart, int, int]
_Share = tuple[Read, Sequence[str]]
"""What a dataset gets of a source: counts and a part, and keys of those it was compared with."""


@dataclass
class DatasetWriter:
    """A dataset in a run: its files by partition, and what was read for them.

    Attributes:
        store: takes the files.
        query: of its rows.
        format_name: one of `DATASET_FORMATS`, perhaps with `SAFE`.
        metadata: for the footer of Parquet.
        salvage: whether the sound part of a damaged source is delivered.
        keeps_rejects: whether rejected lines are kept.
        file_bytes: about how large a file may get.
        account: of all sources at the end, also of those that runs before have read.
        started: when the run began, UTC.
        commits: made so far.
        read: sources read by this run.
        grown: folders of the partitions that got files.
        inputs: what is known of them, and what this run adds.
        copies: what became of files that hold the texts of others, by the keys of the files.
    """

    store: Store
    query: _core.Query
    format_name: str
    metadata: Sequence[tuple[str, str]]
    salvage: bool = False
    keeps_rejects: bool = False
    file_bytes: int = TARGET_FILE_BYTES
    account: Account = field(default_factory=Account)
    started: str = field(default_factory=now)
    commits: int = 0
    read: int = 0
    grown: set[str] = field(default_factory=set)
    inputs: KnownInputs = field(init=False)
    copies: dict[str, SourceAccount] = field(default_factory=dict)
    _held: list[Input] = field(default_factory=list)
    _withheld: dict[str, SourceAccount] = field(default_factory=dict)
    _numbers: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inputs = KnownInputs(self.store)

    def pending(
        self,
        sources: Sequence[Source],
        identities: Sequence[Identity],
        dedupe: Dedupe | None = None,
    ) -> set[int]:
        """Numbers of the sources whose rows are not there yet, as they are now."""
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
        """Where the hashes of a source are whose rows are there."""
        known = self.inputs.known(identity)
        path = None if known is None or not known.is_done else self._hashes(known)
        return [] if path is None else [path]

    def _hashes(self, one: Input) -> Path | None:
        path = self.store.folder / HASHES / str(one.number)
        return path if path.exists() else None

    def wants(self, scanned: Scanned) -> bool:
        """Whether what came of a source is delivered."""
        return is_wanted(scanned, salvage=self.salvage)

    def writer(self, number: int, memory_bytes: int) -> _core.SplitWriter:
        """What takes the rows of the numbered source."""
        hidden = self.store.new / f"part-{number:06}"
        return _core.SplitWriter(
            self.query,
            self.format_name,
            path=hidden,
            rejects_path=hidden.with_suffix(".rejects"),
            memory_bytes=memory_bytes,
        )

    def deliver(self, shares: Iterator[_Share], room: Room, threads: int) -> None:
        """Take a group of sources in order, make their files, and commit them.

        Raises:
            OutputError: they cannot be written. What was committed stays.
        """
        files = _core.DatasetFiles(self.query, self.format_name, list(self.metadata))
        commit = Commit(Segment(self.started, inputs=self._held))
        segment = commit.segment
        for read, earlier in shares:
            assert read.release is not None
            self.read += 1
            if not self._enter(commit, read, self.inputs.numbers(earlier, commit)):
                for part in read.parts:
                    room.leave(part.memory_bytes)
                continue
            number = commit.numbers[read.release.key]
            for part in read.parts:
                segment.added += self._beside(segment.inputs[-1], part, read.hashes)
                _append(files, number, part, room)
        if not segment.inputs and not segment.seen:
            return
        if self.store.replaces_all and not commit.delivered:
            # Nothing is better than what is there.
            self._held = segment.inputs
            return
        self._held = []
        if commit.delivered:
            segment.added += self._files(files, commit.delivered, threads)
        added, segment.removed = self.store.without(commit.replaced)
        segment.added += added
        with put_off():
            self.store.commit(segment)
            self.commits += 1
        folders = (file.path.rpartition("/")[0] for file in segment.added if file.holds_rows)
        self.grown.update(folders)

    def _enter(self, commit: Commit, read: Read, compared: Sequence[int]) -> bool:
        """Enter what became of a source into a commit; whether its rows go with it."""
        assert read.scanned is not None
        assert read.release is not None
        identity, inputs = read.release, self.inputs
        account = account_of(read.source, read.scanned, delivered=bool(read.parts))

        def put(key: str, account: SourceAccount, text: Text | None, root: int | None) -> None:
            number, rows = inputs.next_number(commit), account.counts.rows
            told = account.status, rows, asdict(account), list(compared)
            name = None if text is None else read.source.name
            one = Input(number, replace(identity, key=key), *told, name, text, root)
            inputs.put(commit, identity, one, () if text is None else read.beginnings)

        if account.status in (Outcome.WITHHELD, Outcome.NO_LOG):
            known = inputs.known(identity)
            if known is not None and known.is_done:
                # The rows that are there stay, until its new release is whole.
                account.counts = account.counts.as_withheld()
                self._withheld[identity.key] = account
                return False
            put(identity.key if known is None else known.identity.key, account, None, None)
            return account.status == Outcome.NO_LOG
        place = inputs.settle(commit, identity, read.text, read.beginnings)
        if place.holder is not None:
            if place.is_copy:
                first = SourceAccount.of(place.holder.account).path
                copy = self.copies[identity.key] = copy_of(account, first)
                put(place.key, copy, None, None)
            return False
        put(place.key, account, read.text, place.root)
        commit.delivered.append((read.source, identity))
        return True

    def _files(
        self,
        files: _core.DatasetFiles,
        delivered: Sequence[tuple[Source, Identity]],
        threads: int,
    ) -> list[DataFile]:
        """Make the files of a group, among the new ones, under names that no file has yet."""
        name = stem(orjson.dumps(self.store.query, option=orjson.OPT_SORT_KEYS), delivered)
        made = in_worker(
            lambda: files.finish(self.store.new, name, file_bytes=self.file_bytes, threads=threads)
        )
        ending = ending_of(self.format_name)

        def path_of(folder: str, number: int) -> str:
            return f"{folder}/{name}{f'-{number}' if number else ''}{ending}"

        def is_taken() -> bool:
            paths = (self.store.folder / path_of(folder, number) for _, folder, number, *_ in made)
            return any(os.path.lexists(path) for path in paths)

        # The same text under two names makes the same name; what will be replaced is no matter,
        # unless somebody may still read it.
        while (self.store.keeps_removed or not self.store.replaces_all) and is_taken():
            name += "x"
        return [
            DataFile(path_of(folder, number), Path(path).name, rows, size, sha256, runs)
            for path, folder, number, rows, size, sha256, runs in made
        ]

    def _beside(self, one: Input, part: _core.SplitPart, hashes: Path | None) -> Iterator[DataFile]:
        """The rejected lines of an input, and the hashes of its lines, beside the manifest."""
        number, rejected = one.number, one.account["counts"]["rejected"]
        try:
            if self.keeps_rejects and rejected:
                staged = self.store.new / f"rejects-{number}"
                with os.fdopen(disk.make_file(staged), "wb") as file:
                    part.copy_rejects(file.fileno())
                yield self.store.new_file(f"{REJECTS}/{number}", staged, [(number, rejected)])
            if hashes is not None:
                staged = self.store.new / f"hashes-{number}"
                disk.link_or_copy(hashes, staged)
                yield self.store.new_file(f"{HASHES}/{number}", staged, [(number, 0)])
        except OSError as error:
            raise cannot_write(self.store.name, error) from error

    def tell_all(self, identities: Sequence[Identity]) -> None:
        """The account of all sources, as the manifest has it."""
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
        """Files of rejected lines, of all sources in their order, once all are told."""
        for number in self._numbers:
            path = self.store.folder / REJECTS / str(number)
            if path.exists():
                yield path


@dataclass
class DatasetTarget(EventTarget):
    """One dataset or several. Each commits what is new to it, group by group.

    The query of the reader is that of the dataset, or of all of them together. Sources that are
    done are not opened.

    Attributes:
        datasets: with accounts of their own, which add up at the end.
    """

    datasets: Sequence[DatasetWriter] = ()
    _identities: Sequence[Identity] = ()
    _pending: Sequence[set[int]] = ()
    _last: set[int] = field(default_factory=set)  # of the sources read of each group
    _group: list[Read] = field(default_factory=list)
    _sizes: dict[str, set[int]] = field(default_factory=dict)  # of logs that rotate, by origin
    _own_names: set[int] = field(default_factory=set)  # sources that may be called as they are

    fatal = (*EventTarget.fatal, ConfigError)

    def pool(self, tasks: Sequence[Callable[[], Read]]) -> Workers[Read]:
        """Few before their turn: each may have a hidden file open."""
        return Workers(tasks, self.workers, MOST_AHEAD)

    def pending(self) -> set[int]:
        """Those that a dataset lacks as they are now.

        Raises:
            ConfigError: a source is a stream.
        """
        self._identities = [identify(source) for source in self.sources]
        # What a file has grown by since it was found is read as well: its identity says so.
        both = zip(self.sources, self._identities, strict=True)
        self.sources = [
            one if one.size == now.size else replace(one, size=now.size) for one, now in both
        ]
        told = self.sources, self._identities, self.dedupe
        self._pending = in_worker(lambda: [one.pending(*told) for one in self.datasets])
        pending = set().union(*self._pending)
        for number in pending:
            source = self.sources[number]
            if is_rotated(os.path.basename(source.path)) and source.size:
                self._sizes.setdefault(source.origin, set()).add(source.size)
        # Now, as workers must not read the manifest while it is added to.
        self._own_names = {number for number in pending if self._may_name(number)}
        return pending

    def held(self, number: int) -> list[Path]:
        """Where the datasets have the hashes of a source."""
        identity = self._identities[number]
        return [path for one in self.datasets for path in one.hashes(identity)]

    def turns(self) -> list[int]:
        """Only those that are read."""
        for group in groups(self.sources):
            if read := [number for number in group if number in self._to_read]:
                self._last.add(read[-1])
        return sorted(self._to_read)

    def release(self, number: int) -> Identity:
        """The identity of a source with its checksum."""
        return with_checksum(self.sources[number], self._identities[number])

    def confirm(self, read: Read) -> None:
        """Withhold a source that has changed since it was looked at."""
        assert read.scanned is not None
        try:
            number = read.number
            check_unchanged(self.sources[number], self._identities[number], read.text)
        except EdxlogsError as error:
            read.scanned.error, read.scanned.salvageable = read.scanned.error or error, False

    @property
    def takes_back(self) -> bool:
        """Rows wait in parts."""
        return True

    def lengths(self, number: int) -> list[int]:
        """Lengths of texts that a dataset holds, and of plain ones that are read as well."""
        return [*self._held_lengths(number), *self._sizes.get(self.sources[number].origin, ())]

    def _held_lengths(self, number: int) -> list[int]:
        origin = self.sources[number].origin
        return [length for one in self.datasets for length in one.inputs.lengths(origin)]

    def is_compared(self, number: int) -> bool:
        """A dataset knows its inputs by their texts."""
        return True

    def is_named_by_text(self, number: int) -> bool:
        """Also where a dataset knows the file, its name, or texts that it may have grown from."""
        is_told = super().is_named_by_text(number) or bool(self._held_lengths(number))
        return is_told or number not in self._own_names

    def _may_name(self, number: int) -> bool:
        """Whether the datasets that read a source have no other text of its name."""
        name, identity = self.sources[number].name, self._identities[number]
        both = zip(self.datasets, self._pending, strict=True)
        return all(
            one.inputs.may_name(name, identity) for one, pending in both if number in pending
        )

    def name(self, read: Read) -> str:
        """That of the text which it has grown from, or one that no other text of a dataset has."""
        if read.text is not None:
            for one in self.datasets:
                began = one.inputs.began(read.text, read.beginnings)
                if began is not None and began.name is not None:
                    return began.name
        if read.text is None or read.number in self._own_names:
            return super().name(read)
        return told_apart(self.sources[read.number].name, read.text)

    def sink(self, number: int) -> Sink:
        """Parts by partition, for each dataset."""
        memory = MEMORY_BYTES // len(self.datasets)
        writers = [one.writer(number, memory) for one in self.datasets]
        if len(writers) == 1:
            return writers[0]
        return _core.SeveralWriter(self.reader.query, [one.query for one in self.datasets], writers)

    def wants(self, scanned: Scanned) -> bool:
        """Whether every dataset takes it: some may take what is sound of a damaged source."""
        return all(one.wants(scanned) for one in self.datasets)

    def pack(self, read: Read) -> list[_Kept | None]:
        """The parts of a source with their rows, and the lines that hold them; None: not wanted."""
        scanned, kept = read.scanned, list[_Kept | None]()
        assert scanned is not None
        parts: Sequence[_Kept | None] = [None] * len(self.datasets)
        if isinstance(scanned.sink, _core.SplitWriter) and self.wants(scanned):
            parts = [(scanned.sink.finish(), scanned.counts.rows, scanned.counts.kept)]
        elif isinstance(scanned.sink, _core.SeveralWriter) and self._any_wants(scanned):
            parts = scanned.sink.finish()
        for part, one, pending in zip(parts, self.datasets, self._pending, strict=True):
            is_wanted = part is not None and read.number in pending and one.wants(scanned)
            kept.append(part if is_wanted else None)
            if part is not None and is_wanted:
                self._room.enter(part[0], stays=False)
        return kept

    def _any_wants(self, scanned: Scanned) -> bool:
        return any(one.wants(scanned) for one in self.datasets)

    def take(self, read: Read) -> list[SourceAccount]:
        """Take a source; when its group is complete, each dataset gets its share of it.

        Only then is it known, and told, what is a copy.
        """
        self._group.append(read)
        if read.scanned is not None and isinstance(read.scanned.error, self.fatal):
            raise read.scanned.error
        if read.number not in self._last:
            return []
        for at, one in enumerate(self.datasets):
            one.deliver(self._shares(at), self._room, self.workers)
        told = [self.deliver(other) for other in self._group]
        self._group = []
        return told

    def deliver(self, read: Read) -> SourceAccount:
        """What became of a source, once the datasets have their shares of it."""
        assert read.scanned is not None
        if self.dedupe is not None:
            self.dedupe.done(read.number)
        key = self._identities[read.number].key
        copies = (one.copies.get(key) for one in self.datasets)
        delivered = self._any_wants(read.scanned)
        account = account_of(read.source, read.scanned, delivered=delivered)
        return next(filter(None, copies), account)

    def _shares(self, at: int) -> Iterator[_Share]:
        """What a dataset gets of a group: its part of each source, rows, and lines with them."""
        for read in self._group:
            if read.number not in self._pending[at]:
                continue
            assert read.scanned is not None
            release = read.release or self._identities[read.number]
            own = replace(read, release=release, parts=())
            if (kept := read.parts[at]) is not None:
                part, rows, lines = kept
                counts = read.scanned.counts
                dropped = counts.dropped + counts.kept - lines
                counts = replace(counts, kept=lines, dropped=dropped, rows=rows)
                own.scanned, own.parts = replace(read.scanned, counts=counts), (part,)
            before = [] if self.dedupe is None else self.dedupe.earlier(read.number)
            yield own, [self._identities[one].key for one in before]

    def finish(self) -> None:
        """Complete the accounts."""
        for one in self.datasets:
            one.tell_all(self._identities)


def _append(files: _core.DatasetFiles, number: int, part: _core.SplitPart, room: Room) -> None:
    size = part.memory_bytes
    in_worker(lambda: files.append(number, part))
    room.leave(size)
