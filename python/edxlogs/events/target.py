"""A dataset that takes the rows of a run: its files by partition, groups of inputs committed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import orjson

from edxlogs import _core
from edxlogs.account import Account, SourceAccount
from edxlogs.errors import InternalError, cannot_write
from edxlogs.events.dedupe import Dedupe
from edxlogs.events.run import Room, account_of, is_wanted
from edxlogs.sources.reading import Scanned
from edxlogs.sources.source import Source
from edxlogs.stops import put_off
from edxlogs.store import disk
from edxlogs.store.inputs import identify, is_same, stem
from edxlogs.store.manifest import DataFile, Identity, Input, Segment, now
from edxlogs.store.store import HASHES, REJECTS, Store
from edxlogs.text import shown
from edxlogs.threads import in_worker

TARGET_FILE_BYTES = 128 << 20

ENDINGS = {
    "parquet": ".parquet",
    "csv": ".csv",
    "csv-excel-safe": ".csv",
    "jsonl": ".jsonl",
    "jsonl.gz": ".jsonl.gz",
    "jsonl.zst": ".jsonl.zst",
}


@dataclass(slots=True)
class Share:
    """What a dataset gets of a source.

    Attributes:
        source: it.
        identity: which release of it was read.
        scanned: the counts of this dataset, and the verdict.
        part: its rows; None if they are withheld.
        hashes: where the hashes of its lines are, or None.
        earlier: keys of the sources that its lines were compared with.
    """

    source: Source
    identity: Identity
    scanned: Scanned
    part: _core.SplitPart | None
    hashes: Path | None = None
    earlier: Sequence[str] = ()


@dataclass
class DatasetTarget:
    """A dataset in a run.

    Attributes:
        store: takes the files.
        query: of its rows.
        format_name: a key of `ENDINGS`.
        metadata: for the footer of Parquet.
        salvage: whether the sound part of a damaged source is delivered.
        keeps_rejects: whether rejected lines are kept.
        file_bytes: about how large a file may get.
        account: of all sources at the end, also of those that runs before have read.
        started: when the run began, UTC.
        commits: made so far.
        read: sources read by this run.
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
    _held: list[Input] = field(default_factory=list)
    _withheld: dict[str, SourceAccount] = field(default_factory=dict)
    _names: set[str] | None = None

    def pending(
        self,
        sources: Sequence[Source],
        identities: Sequence[Identity],
        dedupe: Dedupe | None = None,
    ) -> set[int]:
        """Numbers of the sources whose rows are not there yet, as they are now."""
        if self.store.replaces_all:
            return set(range(len(sources)))

        def is_done(number: int) -> bool:
            known = self._known(identities[number])
            return (
                known is not None
                and known.is_done
                and is_same(sources[number], identities[number], known.identity)
            )

        pending = {number for number in range(len(sources)) if not is_done(number)}
        if dedupe is not None:
            dedupe.extend(pending, lambda number: self._known(identities[number]), self._hashes)
        return pending

    def hashes(self, identity: Identity) -> list[Path]:
        """Where the hashes of a source are whose rows are there."""
        known = None if self.store.replaces_all else self._known(identity)
        path = None if known is None or not known.is_done else self._hashes(known)
        return [] if path is None else [path]

    def _hashes(self, one: Input) -> Path | None:
        path = self.store.folder / HASHES / str(one.number)
        return path if path.exists() else None

    def _known(self, identity: Identity) -> Input | None:
        return self.store.manifest.newest(identity.key)

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

    def deliver(self, shares: Iterator[Share], room: Room, threads: int) -> None:
        """Take a group of sources in order, make their files, and commit them.

        Raises:
            OutputError: they cannot be written. What was committed stays.
        """
        files = _core.DatasetFiles(self.query, self.format_name, list(self.metadata))
        segment = Segment(self.started, inputs=self._held)
        delivered: list[tuple[Source, Identity]] = []
        replaced: set[int] = set()
        for share in shares:
            one = self._input(share, segment.inputs)
            known = self._known(one.identity)
            if one.is_done:
                delivered.append((share.source, one.identity))
                if known is not None and not self.store.replaces_all:
                    replaced.add(known.number)
            elif known is not None and known.is_done and not self.store.replaces_all:
                # The rows that are there stay, until its new release is whole.
                self._withheld[one.identity.key] = SourceAccount.of(one.account)
                continue
            segment.inputs.append(one)
            if share.part is not None:
                segment.added += self._rejects(one, share.part)
                segment.added += self._keep_hashes(one, share.hashes)
                _append(files, one.number, share.part, room)
        if not segment.inputs:
            return
        if self.store.replaces_all and not delivered:
            # Nothing is better than what is there.
            self._held = segment.inputs
            return
        self._held = []
        segment.added += self._files(files, self._name(delivered), threads)
        added, segment.removed = without(self.store, self.format_name, replaced)
        segment.added += added
        with put_off():
            self.store.commit(segment)
            self.commits += 1

    def _input(self, share: Share, before: Sequence[Input]) -> Input:
        """What became of a source, with the number it gets: after those in its commit before it."""
        delivered = share.part is not None
        account = account_of(share.source, share.scanned, delivered=delivered)
        self.read += 1
        done = {one.identity.key: one.number for one in before if one.is_done}
        compared = []
        for key in share.earlier:
            known = None if self.store.replaces_all else self.store.manifest.newest(key)
            if key in done:
                compared.append(done[key])
            elif known is not None and known.is_done:
                compared.append(known.number)
        number = self.store.manifest.next_number + len(before)
        rows = account.counts.rows
        return Input(number, share.identity, account.status, rows, asdict(account), compared)

    def _name(self, delivered: Sequence[tuple[Source, Identity]]) -> str:
        """A name for the files of a group that no file has yet."""
        if self._names is None:
            there = () if self.store.replaces_all else self.store.manifest.files
            self._names = {stem_of(path) for path in there}
        name = stem(orjson.dumps(self.store.query, option=orjson.OPT_SORT_KEYS), delivered)
        while name in self._names:
            name += "x"
        self._names.add(name)
        return name

    def _files(self, files: _core.DatasetFiles, name: str, threads: int) -> list[DataFile]:
        """Make the files of a group, among the new ones."""
        made = in_worker(
            lambda: files.finish(self.store.new, name, file_bytes=self.file_bytes, threads=threads)
        )
        ending = ENDINGS[self.format_name]
        return [
            DataFile(
                path=f"{folder}/{name}{f'-{number}' if number else ''}{ending}",
                staged=Path(path).name,
                rows=rows,
                bytes=size,
                sha256=sha256,
                runs=runs,
            )
            for path, folder, number, rows, size, sha256, runs in made
        ]

    def _rejects(self, one: Input, part: _core.SplitPart) -> list[DataFile]:
        """The rejected lines of an input as a file beside the manifest."""
        rejected = one.account["counts"]["rejected"]
        if not self.keeps_rejects or rejected == 0:
            return []
        staged = self.store.new / f"rejects-{one.number}"
        try:
            descriptor = disk.make_file(staged)
            with open(descriptor, "rb") as file:
                part.copy_rejects(descriptor)
                file.seek(0)
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
        except OSError as error:
            raise cannot_write(self.store.name, error) from error
        runs = [(one.number, rejected)]
        path = f"{REJECTS}/{one.number}"
        return [DataFile(path, staged.name, rejected, size, sha256, runs)]

    def _keep_hashes(self, one: Input, path: Path | None) -> list[DataFile]:
        """The hashes of an input's lines as a file beside the manifest."""
        if path is None:
            return []
        staged = self.store.new / f"hashes-{one.number}"
        try:
            disk.link_or_copy(path, staged)
            with open(staged, "rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
        except OSError as error:
            raise cannot_write(self.store.name, error) from error
        runs = [(one.number, 0)]
        return [DataFile(f"{HASHES}/{one.number}", staged.name, 0, size, sha256, runs)]

    def tell_all(self, identities: Sequence[Identity]) -> None:
        """The account of all sources, as the manifest has it."""
        held = {one.identity.key: SourceAccount.of(one.account) for one in self._held}
        for identity in identities:
            account = self._withheld.get(identity.key) or held.get(identity.key)
            if account is None:
                known = self._known(identity)
                if known is None:
                    raise InternalError(f"{shown(identity.key)}: is in no segment; report it")
                account = SourceAccount.of(known.account)
            self.account.enter(account)
        self.account.check()

    def rejects(self, sources: Sequence[Source]) -> Iterator[Path]:
        """Files of rejected lines, of all sources in their order."""
        manifest = self.store.manifest
        for source in sources:
            known = self._known(identify(source))
            path = "" if known is None else f"{REJECTS}/{known.number}"
            if path in manifest.files:
                yield self.store.folder / path


def share_of(
    source: Source,
    identity: Identity,
    scanned: Scanned,
    kept: tuple[_core.SplitPart, int, int] | None,
) -> Share:
    """A dataset's share of a scan for several: its part, rows, and lines that hold them."""
    if kept is None:
        return Share(source, identity, scanned, None)
    part, rows, lines = kept
    counts = scanned.counts
    dropped = counts.dropped + counts.kept - lines
    own = replace(counts, kept=lines, dropped=dropped, rows=rows)
    return Share(source, identity, replace(scanned, counts=own), part)


def _append(files: _core.DatasetFiles, number: int, part: _core.SplitPart, room: Room) -> None:
    size = part.memory_bytes
    in_worker(lambda: files.append(number, part))
    room.leave(size)


def without(
    store: Store, format_name: str, inputs: set[int], stay: Collection[str] = ()
) -> tuple[list[DataFile], list[str]]:
    """Files that hold rows of some inputs, made anew without them; and the paths of those files.

    Those whose paths are in `stay` are passed over.

    Raises:
        OutputError: they cannot be read or written.
    """
    added: list[DataFile] = []
    removed: list[str] = []
    if not inputs:
        return added, removed
    for file in store.manifest.files.values():
        if file.path in stay or not any(number in inputs for number, _ in file.runs):
            continue
        removed.append(file.path)
        rows: list[tuple[int, int]] = []
        runs: list[tuple[int, int]] = []
        first = 0
        for number, count in file.runs:
            if number not in inputs:
                rows.append((first, count))
                runs.append((number, count))
            first += count
        if runs:
            added.append(remake(store, format_name, [(file, rows)], runs))
    return added, removed


def remake(
    store: Store,
    format_name: str,
    pieces: Sequence[tuple[DataFile, Sequence[tuple[int, int]]]],
    runs: list[tuple[int, int]],
) -> DataFile:
    """A new file of rows of others of the same partition, named after what it holds."""
    told = [(file.sha256, list(rows)) for file, rows in pieces]
    name = f"part-{hashlib.sha256(repr(told).encode()).hexdigest()[:20]}"
    first = pieces[0][0]
    folder, ending = first.path.rpartition("/")[0], ENDINGS[format_name]
    staged = store.new / f"{name}.{hashlib.sha256(folder.encode()).hexdigest()[:20]}"
    sources = [(store.folder / file.path, list(rows)) for file, rows in pieces]
    rows, size, sha256 = in_worker(lambda: _core.rewrite(sources, format_name, staged))
    return DataFile(f"{folder}/{name}{ending}", staged.name, rows, size, sha256, runs)


def stem_of(path: str) -> str:
    """The name of a file's group."""
    name = path.rpartition("/")[2].partition(".")[0]
    return "-".join(name.split("-")[:2])
