"""Writes events to one output: a file, standard output, or nothing but an account.

A part joins the output only after its source has passed its checks, and only in the order of the
sources. Parts that wait too long move to a hidden file beside the output.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edxlogs import _core
from edxlogs.account import Outcome, SourceAccount
from edxlogs.errors import InternalError, OutputError, SourceError, StoppedError, written_to
from edxlogs.events.scanning import Scanned, Sink
from edxlogs.events.target import EventTarget, Read, account_of, copy_of, is_wanted
from edxlogs.store.file import OutputFile
from edxlogs.store.manifest import Text
from edxlogs.threads import Workers, in_worker

if TYPE_CHECKING:
    from edxlogs.store.journal import Journal
    from edxlogs.store.manifest import Input

STDOUT_PART_BYTES = 64 << 20  # a part that goes to standard output after its verdict
_SMALL_PART_BYTES = 8 << 20


@dataclass
class FileTarget(EventTarget):
    """A single output. It is complete at the end of the run, but not yet published.

    Attributes:
        format_name: one of `FORMATS`; for cells, possibly with `SAFE`.
        output: takes the parts in order; None only counts.
        file: the file being written; None for standard output.
        rejects: descriptor for rejected lines, or None.
        rejects_file: the file being written behind `rejects`.
        salvage: whether to deliver the sound part of a damaged source.
        unverified: whether rows are passed on before their source's verdict.
        journal: keeps parts for a later run that continues this one, or None.
        limit: number of rows after which the run ends; None takes all.
    """

    format_name: str = "parquet"
    output: _core.Output | None = None
    file: OutputFile | None = None
    rejects: int | None = None
    rejects_file: OutputFile | None = None
    salvage: bool = False
    unverified: bool = False
    journal: Journal | None = None
    limit: int | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _known: dict[int, Input] = field(default_factory=dict)
    _texts: dict[Text, str] = field(default_factory=dict)  # delivered, and of which source

    @property
    def _is_direct(self) -> bool:
        """Whether there are no parts: rows are only counted, or go straight to the output."""
        return self.unverified or self.output is None

    def pool(self, tasks: Sequence[Callable[[], Read]]) -> Workers[Read]:
        """Read only a little ahead if waiting parts can only stay in memory."""
        at_once = 1 if self.unverified else self.workers
        stays = self.file is None and not self._is_direct
        return Workers(tasks, at_once, at_once if stays else None)

    def pending(self) -> set[int]:
        """Sources that no earlier run has finished."""
        if (journal := self.journal) is None:
            return super().pending()
        journal.begin(self.sources)
        known = ((number, journal.known(one)) for number, one in enumerate(self.sources))
        self._known = {number: one for number, one in known if one is not None}
        pending = super().pending() - self._known.keys()
        if self.dedupe is not None:
            self.dedupe.extend(pending, self._known.get, journal.hashes)
        return pending

    def held(self, number: int) -> list[Path]:
        """Where the journal keeps the hashes of a source that is not read."""
        if self.journal is None or number in self._to_read:
            return []
        path = self.journal.hashes(self._known[number])
        return [] if path is None else [path]

    def _threads(self, number: int) -> int:
        return self.workers if self.unverified else super()._threads(number)

    def sink(self, number: int) -> Sink:
        """A part, or the output itself."""
        if self._is_direct:
            return self.output
        rejects = None if self.rejects_file is None else self.rejects_file.part_path(number)
        return _core.PartWriter(
            self.reader.query,
            self.format_name,
            path=None if self.file is None else self.file.part_path(number),
            rejects_path=None if rejects is None else rejects.with_suffix(".rejects"),
            memory_bytes=STDOUT_PART_BYTES if self.file is None else _SMALL_PART_BYTES,
        )

    @property
    def is_full(self) -> bool:
        """Whether it has as many rows as wanted."""
        return self.limit is not None and self.account.rows_written >= self.limit

    def rows_wanted(self, number: int) -> int | None:
        """How many rows of a source are wanted, as far as the sources before it are known.

        A source whose rows cannot be taken back waits until they are all known.

        Raises:
            StoppedError: no more rows are wanted.
        """
        if self.limit is None:
            return None
        if self.sources[number].is_stream or self.unverified:
            with self._changed:
                while len(self.account.sources) < number and not self.control.stopped:
                    self._changed.wait(0.1)
        if self.is_full:
            raise StoppedError("stopped")
        return self.limit - self.account.rows_written

    @property
    def takes_back(self) -> bool:
        """Whether a source can be scanned again, because its rows are in a part or nowhere."""
        return not self.unverified

    def wants(self, scanned: Scanned) -> bool:
        """Whether to deliver the result of a source."""
        return self.unverified or is_wanted(scanned, salvage=self.salvage)

    def pack(self, read: Read) -> Sequence[_core.Part]:
        """Make the part of a source; in memory if it fits, or if its turn is next."""
        assert read.scanned is not None
        sink = read.scanned.sink
        if self._is_direct and self.output is not None:
            self.output.flush()
        if not isinstance(sink, _core.PartWriter) or not self.wants(read.scanned):
            return ()
        part = sink.finish()
        self._room.enter(part, stays=self._pool.is_next(read.number) or self.file is None)
        return (part,)

    def deliver(self, read: Read) -> SourceAccount:
        """Append its part to the output, or the part that an earlier run kept."""
        number, scanned = read.number, read.scanned
        if scanned is None:
            account = in_worker(lambda: self._append_kept(number))
            self._note(self._known[number].text, account)
        else:
            part = read.parts[0] if read.parts else None
            first = None if read.text is None else self._texts.get(read.text)
            if first is None and self._is_too_much(scanned):
                read.parts, part = (), None  # its hidden file goes with it
                scanned, part = self._cut(read)
            if part is not None and part.outgrown and first is None:
                scanned = self._again(read, scanned)
            delivered = self.wants(scanned)
            account = account_of(read.source, scanned, delivered=delivered)
            if delivered and first is not None and self.takes_back:
                account = copy_of(account, first)
            elif delivered:
                self._note(read.text, account)
            if part is not None:
                size = part.memory_bytes
                if delivered and account.status != Outcome.COPY:
                    in_worker(lambda: self._append(account, part, read))
                self._room.leave(size)
            if self.dedupe is not None:
                self.dedupe.done(number)
        with self._changed:
            self.account.enter(account)
            self._changed.notify_all()
        return account

    def _note(self, text: Text | None, account: SourceAccount) -> None:
        """Remember a text that was delivered. An empty text is never a copy."""
        if text is not None and text.length:
            self._texts.setdefault(text, account.path)

    def _append_kept(self, number: int) -> SourceAccount:
        """Append what an earlier run finished."""
        assert self.journal is not None
        kept = self.journal.find(self._known[number])
        if self.output is not None:
            self.output.append(kept.part)
        if self.rejects is not None and kept.rejects is not None:
            with (
                open(kept.rejects, "rb") as lines,
                open(self.rejects, "wb", closefd=False) as out,
            ):
                shutil.copyfileobj(lines, out)
        return kept.account

    def _append(self, account: SourceAccount, part: _core.Part, read: Read) -> None:
        if self.journal is not None:
            before = [] if self.dedupe is None else self.dedupe.earlier(read.number)
            earlier = [self.sources[other] for other in before]
            source = self.sources[read.number]
            self.journal.keep(source, account, part, read.text, read.hashes, earlier)
        if self.output is not None:
            if not part.outgrown:
                self.output.append(part)
            if self.file is None:
                self.output.flush()
        if self.rejects is not None:
            with written_to("stdout" if self.rejects_file is None else self.rejects_file.name):
                part.copy_rejects(self.rejects)

    def _is_too_much(self, scanned: Scanned) -> bool:
        """Whether a source was read beyond the last row wanted."""
        if self.limit is None or not self.wants(scanned):
            return False
        rows, left = scanned.counts.rows, self.limit - self.account.rows_written
        return rows > left or (rows == left and not scanned.is_cut)

    def _cut(self, read: Read) -> tuple[Scanned, _core.Part]:
        """Read a source again, up to the last row wanted."""
        assert self.limit is not None
        sink, limit = self.sink(read.number), self.limit - self.account.rows_written
        assert isinstance(sink, _core.PartWriter)
        scanned = self._scan_again(read, lambda: sink, limit)
        if not scanned.is_cut:
            raise SourceError(
                f"{read.source.label}: changed while it was read; run again", read.source.label
            )
        return scanned, sink.finish()

    def _scan_again(self, read: Read, make_sink: Callable[[], Sink], limit: int | None) -> Scanned:
        hashes = None if self.dedupe is None else self.dedupe.hashes(read.number)
        again = in_worker(
            lambda: self.reader.scan(
                read.source, make_sink, threads=self.workers, hashes=hashes, limit=limit
            )
        )
        if isinstance(again.error, OutputError | StoppedError):
            raise again.error
        return again

    def finish(self) -> None:
        """Check that the account adds up, and name the sources that were not read."""
        if self.is_full:
            unread = range(len(self.account.sources), len(self.sources))
            self.account.unread = [self.sources[number].label for number in unread]
            self._to_read.difference_update(unread)
        super().finish()

    def _again(self, read: Read, first: Scanned) -> Scanned:
        """Read a source that passed its checks again, straight to standard output."""
        source = read.source
        if source.is_stream:
            why = (
                f"{source.label}: its rows exceed {STDOUT_PART_BYTES >> 20} MiB before its"
                " checks are done, and it cannot be read twice; write to a file with -o, or add"
                " --unverified"
            )
            return Scanned(first.counts, error=SourceError(why, source.label))
        output = self.output
        limit = first.counts.rows if first.is_cut else None
        again = self._scan_again(read, lambda: output, limit)
        if str(again.error) != str(first.error) or again.counts != first.counts:
            raise InternalError(
                f"{source.label}: changed while it was read; rows of it may be out already:"
                " discard the output and run again"
            )
        return again
