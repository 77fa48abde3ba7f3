"""One source, read to its verdict.

Rust reads the bytes, from the file or from gpg's standard output; here it is decided what a source
is, and whether what came of it may be trusted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edxlogs import _core
from edxlogs.account import Counts
from edxlogs.errors import EdxlogsError, FormatError, InflateError, SourceError
from edxlogs.gpg import Decryption, Gpg
from edxlogs.gpg_verdict import Verdict
from edxlogs.openpgp import HEAD_BYTES, looks_like_openpgp
from edxlogs.sources import STDIN, Kind, Source, sniff

_EPOCH_ORDINAL = 719163  # date(1970, 1, 1).toordinal()
_DRAIN_BYTES = 1 << 20

Sink = _core.PartWriter | _core.BatchWriter | _core.Output | None


@dataclass(slots=True)
class Scanned:
    """What a scan of one source came to.

    Attributes:
        counts: the lines by class, and the rest of the account.
        sink: what took the rows.
        error: why the source must not be trusted, or None.
        salvageable: with an error: what came before the damage is sound as far as it goes.
        unauthenticated: salvageable, but from an OpenPGP message whose end was never checked.
        warnings: one sentence each.
    """

    counts: Counts
    sink: Sink
    error: EdxlogsError | None = None
    salvageable: bool = False
    unauthenticated: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reader:
    """How sources are read: with which query, key ring and control."""

    query: _core.Query
    gpg: Gpg
    control: _core.Control

    def scan(self, source: Source, make_sink: Callable[[], Sink], *, threads: int = 1) -> Scanned:
        """Scan a source to its end, and weigh what gpg and gzip say of it.

        Args:
            source: a file, a stream, or a member of a tar.
            make_sink: a new sink; called again if the source has to be read again.
            threads: for this source alone.

        Returns:
            The counts and the verdict. Errors of the source are in it, not raised.
        """
        try:
            kind = sniff(source)
            if kind is Kind.STREAM:
                return self._scan_stream(source, make_sink(), threads)
            if kind is not Kind.OPENPGP:
                path, sink = source.path, make_sink()
                counts, error = self._scan(source, path, sink, threads, in_file=True)
                return _plain_verdict(source, counts, sink, error)
        except SourceError as error:
            return Scanned(Counts(), None, error)
        return self._scan_openpgp(source, make_sink, threads)

    def _scan(
        self, source: Source, bytes_from: Any, sink: Sink, threads: int, *, in_file: bool = False
    ) -> tuple[Counts, EdxlogsError | None]:
        day = None if source.date is None else source.date.toordinal() - _EPOCH_ORDINAL
        counts, error = _core.scan(
            bytes_from,
            self.query,
            sink,
            name=source.name,
            site=source.site,
            day=day,
            offset=source.offset if in_file else 0,
            length=source.length if in_file else None,
            threads=threads,
            control=self.control,
        )
        return Counts.of(counts), error

    def _scan_stream(self, source: Source, sink: Sink, threads: int) -> Scanned:
        """A source that can be read once: its first bytes are looked at on the way."""
        if source.file is not None:
            head = source.file.read(HEAD_BYTES)
            if not looks_like_openpgp(head):
                stream: object = _Rejoined(head, source.file.read)
                counts, error = self._scan(source, stream, sink, threads)
                return _plain_verdict(source, counts, sink, error)
            with self.gpg.open(source.label, source.file, head=head) as decryption:
                return self._verdict(source, decryption, sink, threads)[0]
        descriptor = 0 if source.path == STDIN else os.open(source.path, os.O_RDONLY)
        try:
            head = _read_head(descriptor)
            if looks_like_openpgp(head):
                with self.gpg.open(source.label, descriptor, head=head) as decryption:
                    return self._verdict(source, decryption, sink, threads)[0]
            stream = _Rejoined(head, lambda size: os.read(descriptor, size))
            counts, error = self._scan(source, stream, sink, threads)
            return _plain_verdict(source, counts, sink, error)
        finally:
            if descriptor != 0:
                os.close(descriptor)

    def _scan_openpgp(self, source: Source, make_sink: Callable[[], Sink], threads: int) -> Scanned:
        delays = self.gpg.delays()
        length = source.length
        warning: str | None = None
        while True:
            try:
                decryption = self.gpg.open(
                    source.label, source.path, offset=source.offset, length=length
                )
            except EdxlogsError as error:
                return Scanned(Counts(), None, error)
            with decryption:
                scanned, verdict = self._verdict(source, decryption, make_sink(), threads)
            warning = warning or verdict.warning
            delay = next(delays, None) if verdict.retry else None
            if delay is None:
                if warning and warning not in scanned.warnings:
                    scanned.warnings.append(warning)
                return scanned
            length = verdict.length if verdict.length is not None else length
            time.sleep(delay)

    def _verdict(
        self, source: Source, decryption: Decryption, sink: Sink, threads: int
    ) -> tuple[Scanned, Verdict]:
        counts, error = self._scan(source, decryption.stdout_fd, sink, threads)
        if self.control.stopped:
            decryption.kill()
            return Scanned(counts, sink, error), Verdict(interrupted=True)
        # gpg says what is wrong with a message only when all of it was taken.
        while os.read(decryption.stdout_fd, _DRAIN_BYTES):
            pass
        verdict = decryption.verdict()
        warnings = [verdict.warning] if verdict.warning else []
        if verdict.ok:
            scanned = _plain_verdict(source, counts, sink, error)
            scanned.warnings[:0] = warnings
            return scanned, verdict
        # Damage of the log itself is only the trace of a damaged message.
        trace = error is None or isinstance(error, FormatError)
        scanned = Scanned(
            counts,
            sink,
            verdict.error if trace and verdict.error is not None else error,
            salvageable=trace and verdict.unauthenticated,
            unauthenticated=verdict.unauthenticated,
            warnings=warnings,
        )
        return scanned, verdict

    def head(self, source: Source, size: int) -> bytes:
        """The first decrypted bytes of a source, at most `size`; empty if it cannot be read."""
        try:
            kind = sniff(source)
            if kind is Kind.OPENPGP:
                with self.gpg.open(source.label, source.path, offset=source.offset) as decryption:
                    return _read_up_to(decryption.stdout_fd, size)
            if kind is Kind.STREAM:
                return b""
            with open(source.path, "rb") as file:
                file.seek(source.offset)
                return file.read(size if source.length is None else min(size, source.length))
        except (EdxlogsError, OSError):
            return b""


def _plain_verdict(
    source: Source, counts: Counts, sink: Sink, error: EdxlogsError | None
) -> Scanned:
    warnings = []
    if counts.trailing_bytes:
        warnings.append(
            f"trailing bytes: {source.label}: {counts.trailing_bytes:,} bytes after the gzip data"
            " are no gzip and were left out"
        )
    salvageable = isinstance(error, InflateError)
    return Scanned(counts, sink, error, salvageable=salvageable, warnings=warnings)


def _read_head(descriptor: int) -> bytes:
    return _read_up_to(descriptor, HEAD_BYTES)


def _read_up_to(descriptor: int, size: int) -> bytes:
    head = b""
    while len(head) < size and (more := os.read(descriptor, size - len(head))):
        head += more
    return head


class _Rejoined:
    """A stream whose first bytes were taken, whole again."""

    def __init__(self, head: bytes, read: Callable[[int], bytes]) -> None:
        self._head = head
        self._read = read

    def read(self, size: int) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        return self._read(size)
