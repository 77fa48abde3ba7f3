"""Reads a group of sources into the files that they make together.

The reader needs no manifest: it is told beforehand what a dataset knows about a source, as `Known`.
The result for a group can be sent: accounts and texts, and files among the new ones of each
dataset, whose rows are numbered by the positions of the sources in the group.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edxlogs import _core
from edxlogs.account import LineCounts, SourceAccount
from edxlogs.errors import ConfigError, EdxlogsError, InternalError, cannot_write
from edxlogs.events.scanning import Scanned, Sink
from edxlogs.events.target import EventTarget, Read, Room, account_of, is_wanted, told_apart
from edxlogs.sources.source import Source
from edxlogs.store import disk
from edxlogs.store.inputs import check_unchanged, with_checksum
from edxlogs.store.manifest import Identity, Text
from edxlogs.store.store import HASHES, REJECTS, TARGET_FILE_BYTES, measured
from edxlogs.threads import in_worker

if TYPE_CHECKING:
    from edxlogs.events.tables import AskedTable

MEMORY_BYTES = 24 << 20  # for rows of one source, over all datasets

_Kept = tuple[_core.Part, int, int]


@dataclass(frozen=True, slots=True)
class Known:
    """What the datasets of a run know about a source before it is read.

    Attributes:
        identity: its identity when the run began.
        pending: for each dataset, whether it lacks the rows.
        keeps_name: whether rows show its own name, because no other text has it.
        lengths: lengths of texts from which it may have grown.
        begun: names of those texts, by length and CRC-32. Its rows show the name of the longest.
        held: where the hashes are of what earlier runs kept of it.
    """

    identity: Identity
    pending: Sequence[bool]
    keeps_name: bool = True
    lengths: Sequence[int] = ()
    begun: Mapping[tuple[int, int], str] = field(default_factory=dict)
    held: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class Arrived:
    """The result of a source, for one dataset.

    Attributes:
        source: the source, with the name that its rows show.
        release: which release of it was read.
        account: what became of its lines.
        text: identifies its text; None if it was not read to its end.
        beginnings: length and CRC-32 of the prefixes of its text that were asked for.
        compared: keys of the files with whose lines its own were compared.
        has_rows: whether rows of it are delivered.
    """

    source: Source
    release: Identity
    account: SourceAccount
    text: Text | None
    beginnings: Sequence[tuple[int, int]]
    compared: Sequence[str]
    has_rows: bool


@dataclass(frozen=True, slots=True)
class GroupFile:
    """A new file of a group.

    Attributes:
        folder: folder of its partition in the dataset, or `REJECTS`, or `HASHES`.
        number: its number within the partition.
        staged: where it is, below the folder of new files.
        rows: number of rows, without a header.
        bytes: size in bytes.
        sha256: SHA-256 of all its bytes, in hex.
        runs: whose rows follow each other in it: (position of the source in the group, rows).
    """

    folder: str
    number: int
    staged: str
    rows: int
    bytes: int
    sha256: str
    runs: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Form:
    """How the files of a dataset are made.

    Attributes:
        query: query for the rows.
        format_name: one of `DATASET_FORMATS`, possibly with `SAFE`.
        metadata: key-value pairs for the footer of Parquet.
        new: folder for new files.
        salvage: whether to deliver the sound part of a damaged source.
        keeps_rejects: whether to keep rejected lines.
        file_bytes: approximate largest file.
        table: the event table that they hold; None for one row per event.
    """

    query: _core.Query
    format_name: str
    metadata: Sequence[tuple[str, str]]
    new: Path
    salvage: bool = False
    keeps_rejects: bool = False
    file_bytes: int = TARGET_FILE_BYTES
    table: AskedTable | None = None

    def wants(self, scanned: Scanned) -> bool:
        """Whether to deliver the result of a source."""
        return is_wanted(scanned, salvage=self.salvage)

    def writer(self, number: int, memory_bytes: int) -> _core.PartWriter:
        """Make what takes the rows of the numbered source."""
        hidden = self.new / f"part-{number:06}"
        return _core.PartWriter(
            self.query,
            self.format_name,
            path=hidden,
            rejects_path=hidden.with_suffix(".rejects"),
            memory_bytes=memory_bytes,
        )


@dataclass(frozen=True, slots=True)
class Share:
    """What one dataset gets from a source.

    Attributes:
        arrived: the result of the source.
        part: its rows, or None.
        hashes: where the hashes of its lines are, or None.
    """

    arrived: Arrived
    part: _core.Part | None
    hashes: Path | None


def make_files(
    form: Form, shares: Sequence[Share], room: Room, threads: int, places: Sequence[int], name: str
) -> list[GroupFile]:
    """Make the files of a group of sources, among the new ones.

    Args:
        form: how to make them.
        shares: what the dataset gets from each source of the group.
        room: memory that the parts take.
        threads: number of threads.
        places: positions of the sources whose rows go into the files.
        name: beginning of the names of new files; no other file there has it.

    Raises:
        OutputError: they cannot be written.
    """
    made: list[GroupFile] = []
    files = _core.DatasetFiles(form.query, form.format_name, list(form.metadata))
    for place, share in enumerate(shares):
        if (part := share.part) is None:
            continue
        size = part.memory_bytes
        if place in places:
            made += _beside(form, share, place, name)
            _append(files, place, part)
        room.leave(size)
    if places:
        file_bytes = form.file_bytes
        found = in_worker(
            lambda: files.finish(form.new, name, file_bytes=file_bytes, threads=threads)
        )
        made += [
            GroupFile(folder, number, Path(path).name, rows, size, sha256, runs)
            for path, folder, number, rows, size, sha256, runs in found
        ]
    return made


def _append(files: _core.DatasetFiles, place: int, part: _core.Part) -> None:
    in_worker(lambda: files.append(place, part))


def _beside(form: Form, share: Share, place: int, name: str) -> Iterator[GroupFile]:
    """The rejected lines of a source, and the hashes of its lines, for beside the manifest."""
    rejected = share.arrived.account.counts.rejected
    try:
        if form.keeps_rejects and rejected and share.part is not None:
            staged = form.new / f"rejects-{name}-{place}"
            with os.fdopen(disk.make_file(staged), "wb") as file:
                share.part.copy_rejects(file.fileno())
            size, sha256 = measured(staged)
            yield GroupFile(REJECTS, 0, staged.name, rejected, size, sha256, [(place, rejected)])
        if share.hashes is not None:
            staged = form.new / f"hashes-{name}-{place}"
            disk.link_or_copy(share.hashes, staged)
            size, sha256 = measured(staged)
            yield GroupFile(HASHES, 0, staged.name, 0, size, sha256, [(place, 0)])
    except OSError as error:
        raise cannot_write(str(form.new), error) from error


@dataclass
class GroupTarget(EventTarget):
    """Reads sources into parts by partition, for one or several datasets.

    The query of the reader is that of the dataset, or the joined one of all.

    Attributes:
        forms: how to make the files of each dataset.
        known: what the datasets know about each source.
    """

    forms: Sequence[Form] = ()
    known: Sequence[Known] = ()

    fatal = (*EventTarget.fatal, ConfigError)

    def pending(self) -> set[int]:
        """Sources that a dataset lacks."""
        return {number for number, one in enumerate(self.known) if any(one.pending)}

    def held(self, number: int) -> list[Path]:
        """Where the datasets keep the hashes of a source."""
        return list(self.known[number].held)

    def release(self, number: int) -> Identity:
        """The identity of a source with its checksum."""
        return with_checksum(self.sources[number], self.known[number].identity)

    def confirm(self, read: Read) -> None:
        """Withhold a source that has changed since it was looked at."""
        assert read.scanned is not None
        try:
            number = read.number
            check_unchanged(self.sources[number], self.known[number].identity, read.text)
        except EdxlogsError as error:
            read.scanned.error, read.scanned.salvageable = read.scanned.error or error, False

    @property
    def takes_back(self) -> bool:
        """Always, because rows wait in parts."""
        return True

    def lengths(self, number: int) -> Sequence[int]:
        """Lengths of texts that a dataset holds, and of plain ones that are read too."""
        return self.known[number].lengths

    def is_compared(self, number: int) -> bool:
        """Always, because a dataset identifies its inputs by text."""
        return True

    def is_named_by_text(self, number: int) -> bool:
        """If another text has its name, or a dataset holds texts from which it may have grown."""
        known = self.known[number]
        return not known.keeps_name or bool(known.begun)

    def name(self, read: Read) -> str:
        """The name of the text from which it has grown, or one that no other text has."""
        known, name = self.known[read.number], self.sources[read.number].name
        if read.text is None:
            return name
        for length, crc32 in reversed(read.beginnings):
            began = known.begun.get((length, crc32))
            if length < read.text.length and began is not None:
                return began
        return name if known.keeps_name else told_apart(name, read.text)

    def sink(self, number: int) -> Sink:
        """Parts by partition, for each dataset."""
        memory = MEMORY_BYTES // len(self.forms)
        writers = [one.writer(number, memory) for one in self.forms]
        if len(writers) == 1:
            return writers[0]
        return _core.SeveralWriter(self.reader.query, [one.query for one in self.forms], writers)

    def wants(self, scanned: Scanned) -> bool:
        """Whether every dataset takes it. Some may take the sound part of a damaged source."""
        return all(one.wants(scanned) for one in self.forms)

    def pack(self, read: Read) -> list[_Kept | None]:
        """The parts of a source with their rows, and lines that hold them; None if not wanted."""
        scanned, kept = read.scanned, list[_Kept | None]()
        assert scanned is not None
        parts: Sequence[_Kept | None] = [None] * len(self.forms)
        if isinstance(scanned.sink, _core.PartWriter) and self.wants(scanned):
            parts = [(scanned.sink.finish(), scanned.counts.rows, scanned.counts.kept)]
        elif isinstance(scanned.sink, _core.SeveralWriter) and self._any_wants(scanned):
            parts = scanned.sink.finish()
        _check_homes(scanned, zip(parts, self.forms, strict=True))
        lacks = self.known[read.number].pending
        for part, one, is_lacked in zip(parts, self.forms, lacks, strict=True):
            is_wanted_here = part is not None and is_lacked and one.wants(scanned)
            kept.append(part if is_wanted_here else None)
            if part is not None and is_wanted_here:
                self._room.enter(part[0], stays=False)
        return kept

    def _any_wants(self, scanned: Scanned) -> bool:
        return any(one.wants(scanned) for one in self.forms)

    def share(self, read: Read, at: int) -> Share | None:
        """What a dataset gets from a source: its part, rows, and the lines that hold them.

        None if the dataset has it already.
        """
        known = self.known[read.number]
        if not known.pending[at]:
            return None
        assert read.scanned is not None
        part, counts = None, read.scanned.counts
        if (kept := read.parts[at]) is not None:
            part, rows, lines = kept
            counts = _of_share(counts, rows, lines, self.forms[at].table)
        scanned = replace(read.scanned, counts=counts)
        arrived = Arrived(
            read.source,
            read.release or known.identity,
            account_of(read.source, scanned, delivered=part is not None),
            read.text,
            read.beginnings,
            [] if self.dedupe is None else self._earlier(read.number),
            has_rows=part is not None,
        )
        return Share(arrived, part, read.hashes)

    def _earlier(self, number: int) -> list[str]:
        assert self.dedupe is not None
        return [self.known[one].identity.key for one in self.dedupe.earlier(number)]

    def told(self, read: Read) -> SourceAccount:
        """What became of a source, over all datasets."""
        assert read.scanned is not None
        delivered = self._any_wants(read.scanned)
        return account_of(read.source, read.scanned, delivered=delivered)


def _check_homes(scanned: Scanned, made: Iterable[tuple[_Kept | None, Form]]) -> None:
    """Check that every kept event of a source is one row of its home table.

    Raises:
        InternalError: it is not.
    """
    counts = scanned.counts
    of_homes = [(one.table.home, part) for part, one in made if one.table is not None]
    of_homes = [(home, part) for home, part in of_homes if home and part is not None]
    if of_homes and sum(counts.homes.values()) != counts.rows:
        raise InternalError(
            f"{counts.rows} events were kept, and {sum(counts.homes.values())} have a home; please"
            " report it"
        )
    for home, part in of_homes:
        if part is not None and part[1] != counts.homes.get(home, 0):
            raise InternalError(
                f"{home}: {part[1]} rows were made of {counts.homes.get(home, 0)} events; please"
                " report it"
            )


def _of_share(counts: LineCounts, rows: int, lines: int, table: AskedTable | None) -> LineCounts:
    """The counts of a source for a dataset that takes these rows, from that many lines.

    For event tables, lines count as kept if any table of the run keeps them: each event is in one.
    """
    if table is not None:
        return replace(counts, rows=rows, homes={table.home: rows} if table.home else {})
    dropped = counts.dropped + counts.kept - lines
    return replace(counts, kept=lines, dropped=dropped, rows=rows)
