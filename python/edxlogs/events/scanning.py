"""Scans one source of events to its verdict."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from edxlogs import _core
from edxlogs.account import LineCounts
from edxlogs.edx.foreign import kind_of
from edxlogs.errors import DecryptError, EdxlogsError, SourceError
from edxlogs.gpg.frame import HEAD_BYTES
from edxlogs.gpg.input import Readable
from edxlogs.gpg.process import Gpg
from edxlogs.sources.reading import Reader, Reading, Stored, StoredFile, StoredStream
from edxlogs.sources.source import STDIN, Source, cannot_open, inflated, stored_head
from edxlogs.sources.tars import PackedTar
from edxlogs.sources.transfers import Transfers
from edxlogs.sources.window import Window

_HEAD_BYTES = 64 * 1024
_PACKED = (".gz", ".gpg", ".tgz")
_ENCRYPTED = (".gpg", ".pgp")

_Parts = _core.PartWriter | _core.SeveralWriter | _core.Summary
Sink = _Parts | _core.BatchWriter | _core.Output | None


@dataclass
class Scanned(Reading):
    """The result of scanning one source.

    Attributes:
        counts: its lines by class, and the other counts of the account.
        sink: what took the rows.
        no_log: why it is not a log at all, or None.
        ignored: labels of tar members whose names are not recognised.
        skipped: labels of tar members of other sites or days than asked for.
    """

    counts: LineCounts
    sink: Sink = None
    no_log: str | None = None
    ignored: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


class LineReader(Reader):
    """Scans sources with one query.

    Args:
        query: which lines to keep.
        gpg: decrypts.
        control: stops everything that is being read.
        window: chooses among the members of a tar.
        transfers: opens the sources in S3, in the order of the run; None opens each when it is
            read.
    """

    def __init__(
        self,
        query: _core.Query,
        gpg: Gpg,
        control: _core.Control,
        window: Window | None = None,
        transfers: Transfers | None = None,
    ) -> None:
        super().__init__(gpg, control)
        self.query = query
        self._window = window or Window()
        self._transfers = transfers or Transfers([], control)

    def scan(
        self,
        source: Source,
        make_sink: Callable[[], Sink],
        *,
        threads: int = 1,
        hashes: _core.LineHashes | None = None,
        text_sum: _core.TextSum | None = None,
        limit: int | None = None,
    ) -> Scanned:
        """Scan a source to its end, and take the verdicts of gpg and gzip into account.

        Args:
            source: a file, a stream, or a member of a tar.
            make_sink: makes a new sink; called again if the source has to be read again.
            threads: threads for this source alone.
            hashes: decide which of its lines are duplicates; None means that no line is.
            text_sum: is fed its text, as far as it can be read.
            limit: number of rows after which reading stops; None reads to the end.

        Returns:
            The counts and the verdict. Errors of the source are part of it and are not raised.
        """
        passed_on: LineCounts | None = None

        def work(given: Any) -> Scanned:
            nonlocal passed_on
            sink = make_sink() if passed_on is None else None
            scanned = self._scan(source, given, sink, threads, hashes, text_sum, limit)
            if scanned.counts.rows and not isinstance(sink, _Parts):
                # These rows cannot be taken back, so another reading only judges them.
                passed_on = passed_on or scanned.counts
            return scanned

        try:
            scanned = self.read(
                source.label,
                lambda: self.opened(source),
                work,
                length=source.length,
                again=not source.is_stream,
            )
        except EdxlogsError as error:
            return Scanned(LineCounts(), error=error)
        except Exception as error:
            if source.file is not None:  # which may raise anything
                return Scanned(LineCounts(), error=error)
            if isinstance(error, OSError):
                return Scanned(LineCounts(), error=cannot_open(source.path, error))
            raise
        if scanned.error is None and passed_on is not None and scanned.counts != passed_on:
            why = f"cannot decrypt: {source.label}: it changed while it was read; run again"
            scanned.error = DecryptError(why, source.label)
        if scanned.judged:
            scanned.warnings += _remarks(scanned, source)
        if scanned.error is None and is_no_log(scanned.counts):
            scanned.no_log = f"{source.label}: {kind_of(self._text_head(source))}"
        return scanned

    @contextmanager
    def opened(self, source: Source) -> Iterator[Stored]:
        """Open the stored bytes of a source.

        Raises:
            EdxlogsError: the source cannot be opened.
            OSError: the source cannot be opened.
        """
        if source.remote is not None:
            with self._transfers.open(source) as transfer:
                yield StoredStream(transfer.read)
        elif not source.is_stream:
            yield StoredFile(source)
        elif source.file is not None:
            yield StoredStream(_asked(source, source.file))
        else:
            descriptor = 0 if source.path == STDIN else os.open(source.path, os.O_RDONLY)
            try:
                yield StoredStream(partial(_read, source, descriptor), descriptor)
            finally:
                if descriptor != 0:
                    os.close(descriptor)

    def _scan(
        self,
        source: Source,
        given: Any,
        sink: Sink,
        threads: int,
        hashes: _core.LineHashes | None,
        text_sum: _core.TextSum | None,
        limit: int | None,
    ) -> Scanned:
        """Scan a source. Whether it can be trusted is decided elsewhere."""
        in_file = isinstance(given, str)
        members = PackedTar(source, self._window.wants)
        counts, error = _core.scan(
            given,
            self.query,
            sink,
            name=source.name,
            label=source.label,
            site=source.site,
            day=source.day,
            offset=source.offset if in_file else 0,
            # Lines appended meanwhile are for another run.
            length=(source.length or source.size or None) if in_file else None,
            members=members,
            threads=threads,
            control=self.control,
            hashes=hashes,
            text_sum=text_sum,
            limit=limit,
        )
        if error is not None and not isinstance(error, Exception):
            raise error  # such as KeyboardInterrupt, in a caller's file
        return Scanned(
            LineCounts(**counts),
            sink,
            error=error,
            is_cut=error is None and counts["rows"] == limit,
            warnings=members.warnings,
            ignored=members.ignored,
            skipped=members.skipped,
        )

    def unlock(self, sources: Sequence[Source]) -> None:
        """Unlock the key of encrypted sources once for all of them, if that helps."""
        names = ((one.member or one.path, one) for one in sources if not one.is_stream)
        encrypted = [one for name, one in names if name.endswith(_ENCRYPTED)]
        if encrypted:
            with suppress(EdxlogsError, OSError):  # whoever reads it says why
                self.gpg.unlock(lambda: stored_head(encrypted[0], HEAD_BYTES), len(encrypted))

    def first_bytes(self, source: Source, size: int) -> bytes:
        """The first decrypted bytes of a source, at most `size`; empty if it cannot be read."""
        if source.is_stream:
            return b""
        return self.head(source.label, lambda length: stored_head(source, length), size)

    def _text_head(self, source: Source) -> bytes:
        """The first bytes of its text."""
        head = self.first_bytes(source, _HEAD_BYTES)
        while head.startswith(b"\x1f\x8b"):
            head = inflated(head, _HEAD_BYTES)
        return head

    def close(self) -> None:
        """End what was begun ahead of its turn."""
        self._transfers.close()


def is_no_log(counts: LineCounts) -> bool:
    """Whether a source has lines, but no event among the first ones, and nothing of it was kept.

    Lines that a log shipper wrapped soundly make a log, whatever is inside. So do lines that only
    --strict refuses.
    """
    if counts.first_events or counts.kept or counts.duplicate or "strict" in counts.reasons:
        return False
    return counts.first_rejects > 0 and counts.rejected > counts.hollow


def _remarks(scanned: Scanned, source: Source) -> Iterator[str]:
    """Warnings about bytes that are trusted all the same."""
    counts = scanned.counts
    if scanned.counts.trailing_bytes:
        yield (
            f"trailing bytes: {source.label}: {scanned.counts.trailing_bytes:,} bytes after the end"
            " of the gzip data or the tar were left out"
        )
    if scanned.error is None and not scanned.counts.bytes_read and source.name.endswith(_PACKED):
        yield f"{source.label}: is empty, which a compressed file never is; fetch it again"
    elif scanned.error is None and counts.lines == counts.blank:
        yield f"{source.label}: is empty" if not counts.lines else f"{source.label}: is blank"
    if counts.hollow and counts.hollow == counts.lines - counts.blank:
        yield f"{source.label}: its wrapped lines hold no events"
    if counts.lone_braces:
        yield (
            f"{source.label}: some events span several lines ({counts.lone_braces:,} lines are"
            f" only {{) and are not read; jq -c . FILE > NEW puts each on one line"
        )


def _read(source: Source, descriptor: int, size: int) -> bytes:
    try:
        return os.read(descriptor, size)
    except OSError as error:
        why = f"{source.label}: {error.strerror}"
        raise SourceError(why, source.label, errno=error.errno) from error


def _asked(source: Source, file: Readable) -> Callable[[int], bytes]:
    """A function that reads a caller's file, which may return anything."""

    def read(size: int) -> bytes:
        data: object = file.read(size)
        if not isinstance(data, bytes):
            raise SourceError(
                f"{source.label}: gives {type(data).__name__}, not bytes; open it as 'rb'",
                source.label,
            )
        return data

    return read
