"""One source, read to its verdict.

Rust reads the bytes, from the file or from gpg's standard output; those of an object of S3 are
handed on in large pieces. Here it is decided what a source is, and whether what came of it may be
trusted.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from edxlogs import _core
from edxlogs.account import LineCounts
from edxlogs.errors import DecryptError, EdxlogsError, FormatError, InflateError, SourceError
from edxlogs.gpg.frame import HEAD_BYTES, looks_like_openpgp
from edxlogs.gpg.process import Decryption, Gpg
from edxlogs.gpg.verdict import Verdict
from edxlogs.sources.source import STDIN, Kind, Readable, Source, cannot_open, kind_of, sniff
from edxlogs.sources.tars import PackedTar
from edxlogs.sources.transfers import Transfer, Transfers
from edxlogs.sources.window import Window

_PACKED = (".gz", ".gpg", ".tgz")
_DRAIN_BYTES = 1 << 20
_MESSAGE_BYTES = 1 << 16  # more than a message holds beside its text

_Parts = _core.PartWriter | _core.SplitWriter | _core.SeveralWriter
Sink = _Parts | _core.BatchWriter | _core.Output | None


@dataclass(slots=True)
class Scanned:
    """What a scan of one source came to.

    Attributes:
        counts: the lines by class, and the rest of the account.
        sink: what took the rows.
        error: why the source must not be trusted, or None; what a caller's file raised is as it
            was raised.
        salvageable: with an error: what came before the damage is sound as far as it goes.
        unauthenticated: salvageable, but from an OpenPGP message whose end was never checked.
        warnings: one sentence each.
        ignored: labels of members of a tar whose names are not recognised.
        skipped: labels of members of a tar that are not of the site or the days asked for.
    """

    counts: LineCounts
    sink: Sink
    error: Exception | None = None
    salvageable: bool = False
    unauthenticated: bool = False
    warnings: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _How:
    """How one source is scanned."""

    threads: int
    hashes: _core.LineHashes | None


@dataclass(frozen=True, slots=True)
class Reader:
    """How sources are read: with which query, key ring and control.

    Attributes:
        window: chooses among the members of a tar.
        transfers: open the sources of S3, in the order of the run; None: each when it is read.
    """

    query: _core.Query
    gpg: Gpg
    control: _core.Control
    window: Window = field(default_factory=Window)
    transfers: Transfers | None = None

    def scan(
        self,
        source: Source,
        make_sink: Callable[[], Sink],
        *,
        threads: int = 1,
        hashes: _core.LineHashes | None = None,
    ) -> Scanned:
        """Scan a source to its end, and weigh what gpg and gzip say of it.

        Args:
            source: a file, a stream, or a member of a tar.
            make_sink: a new sink; called again if the source has to be read again.
            threads: for this source alone.
            hashes: tell which of its lines are duplicates; None: no line is.

        Returns:
            The counts and the verdict. Errors of the source are in it, not raised.
        """
        how = _How(threads, hashes)
        try:
            if source.is_stream:
                return self._scan_stream(source, make_sink(), how)
            with self._open(source) as bytes_from:
                if isinstance(bytes_from, Transfer):
                    kind = kind_of(bytes_from.peek())
                else:
                    kind = sniff(source)
                if kind is Kind.OPENPGP:
                    return self._scan_openpgp(source, bytes_from, make_sink, how)
                return _judge(self._scan(source, bytes_from, make_sink(), how), source)
        except EdxlogsError as error:
            return Scanned(LineCounts(), None, error)
        except OSError as error:
            return Scanned(LineCounts(), None, cannot_open(source.path, error))

    def _open(self, source: Source) -> AbstractContextManager[str | Transfer]:
        """What a source is read from: the path of its file, or the object on its way."""
        if source.remote is None:
            return nullcontext(source.file_path)
        return (self.transfers or Transfers([], self.control)).open(source)

    def close(self) -> None:
        """End what was begun before its turn."""
        if self.transfers is not None:
            self.transfers.close()

    def _scan(self, source: Source, bytes_from: Any, sink: Sink, how: _How) -> Scanned:
        """Scan what a source gives; whether it may be trusted is not weighed yet."""
        in_file = isinstance(bytes_from, str)
        members = PackedTar(source, self.window.wants)
        counts, error = _core.scan(
            bytes_from,
            self.query,
            sink,
            name=source.name,
            label=source.label,
            site=source.site,
            day=source.day,
            offset=source.offset if in_file else 0,
            length=source.length if in_file else None,
            members=members,
            threads=how.threads,
            control=self.control,
            hashes=how.hashes,
        )
        if error is not None and not isinstance(error, Exception):
            raise error  # such as KeyboardInterrupt, in a caller's file
        return Scanned(
            LineCounts(**counts),
            sink,
            error,
            warnings=members.warnings,
            ignored=members.ignored,
            skipped=members.skipped,
        )

    def _scan_stream(self, source: Source, sink: Sink, how: _How) -> Scanned:
        """A source that can be read once: its first bytes are looked at on the way."""
        if source.file is not None:
            try:
                head = _first_bytes(source, source.file)
            except Exception as error:  # it may raise anything
                return Scanned(LineCounts(), None, error)
            if not looks_like_openpgp(head):
                stream: object = _Rejoined(head, source.file.read)
                return _judge(self._scan(source, stream, sink, how), source)
            with self.gpg.open(source.label, source.file, head=head) as decryption:
                return self._verdict(source, decryption, sink, how)[0]
        descriptor = 0 if source.path == STDIN else os.open(source.path, os.O_RDONLY)
        try:
            head = _read_head(descriptor)
            if looks_like_openpgp(head):
                with self.gpg.open(source.label, descriptor, head=head) as decryption:
                    return self._verdict(source, decryption, sink, how)[0]
            stream = _Rejoined(head, lambda size: _read(source, descriptor, size))
            return _judge(self._scan(source, stream, sink, how), source)
        finally:
            if descriptor != 0:
                os.close(descriptor)

    def _scan_openpgp(
        self,
        source: Source,
        bytes_from: str | Transfer,
        make_sink: Callable[[], Sink],
        how: _How,
    ) -> Scanned:
        """Decrypt a source, again where it is worth it: `bytes_from` is for the first attempt."""
        opened: AbstractContextManager[str | Transfer] = nullcontext(bytes_from)
        offset = source.offset if isinstance(bytes_from, str) else 0
        delays = self.gpg.delays()
        length = source.length
        warning: str | None = None
        passed_on: Scanned | None = None
        while True:
            sink = None if passed_on is not None else make_sink()
            with (
                opened as bytes_from,
                self.gpg.open(source.label, bytes_from, offset=offset, length=length) as decryption,
            ):
                scanned, verdict = self._verdict(source, decryption, sink, how)
            warning = warning or verdict.warning
            if scanned.counts.rows and not isinstance(sink, _Parts):
                # These rows cannot be taken back: a further reading only weighs them.
                passed_on = passed_on or scanned
            delay = next(delays, None) if verdict.retry else None
            if delay is None:
                break
            length = verdict.length if verdict.length is not None else length
            time.sleep(delay)
            opened = self._open(source)
        if warning and warning not in scanned.warnings:
            scanned.warnings.append(warning)
        if passed_on is not None and scanned.error is None and scanned.counts != passed_on.counts:
            why = f"cannot decrypt: {source.label}: it changed while it was read; run again"
            scanned.error = DecryptError(why, source.label)
        return scanned

    def _verdict(
        self, source: Source, decryption: Decryption, sink: Sink, how: _How
    ) -> tuple[Scanned, Verdict]:
        scanned = self._scan(source, decryption.stdout_fd, sink, how)
        if self.control.stopped:
            decryption.kill()
            return scanned, Verdict(interrupted=True)
        # gpg says what is wrong with a message only when all of it was taken.
        while os.read(decryption.stdout_fd, _DRAIN_BYTES):
            pass
        verdict = decryption.verdict()
        if verdict.warning:
            scanned.warnings.insert(0, verdict.warning)
        if verdict.ok:
            return _judge(scanned, source), verdict
        # Damage of the log itself is only the trace of a damaged message.
        trace = scanned.error is None or isinstance(scanned.error, FormatError)
        if trace and verdict.error is not None:
            scanned.error = verdict.error
        scanned.salvageable = trace and verdict.unauthenticated
        scanned.unauthenticated = verdict.unauthenticated
        return scanned, verdict

    def head(self, source: Source, size: int) -> bytes:
        """The first decrypted bytes of a source, at most `size`; empty if it cannot be read."""
        try:
            if source.is_stream:
                return b""
            head = _stored_head(source, size + _MESSAGE_BYTES)
            if kind_of(head) is not Kind.OPENPGP:
                return head[:size]
            # A message that is cut off is decrypted up to the cut.
            with self.gpg.open(source.label, io.BytesIO(head)) as decryption:
                return _read_up_to(decryption.stdout_fd, size)
        except (EdxlogsError, OSError):
            return b""


def _stored_head(source: Source, size: int) -> bytes:
    """The first bytes of a source as it is stored."""
    length = size if source.length is None else min(size, source.length)
    if source.remote is not None:
        with source.remote.open(source.offset, length) as reader:
            return reader.read(length)
    with open(source.file_path, "rb") as file:
        file.seek(source.offset)
        return file.read(length)


def _judge(scanned: Scanned, source: Source) -> Scanned:
    """Weigh what came of bytes that are themselves trusted."""
    if scanned.counts.trailing_bytes:
        scanned.warnings.append(
            f"trailing bytes: {source.label}: {scanned.counts.trailing_bytes:,} bytes after the end"
            " of the gzip data or the tar were left out"
        )
    if scanned.error is None and not scanned.counts.bytes_read and source.name.endswith(_PACKED):
        scanned.warnings.append(f"{source.label}: is empty, and no packed file is; fetch it again")
    scanned.salvageable = isinstance(scanned.error, InflateError)
    return scanned


def _first_bytes(source: Source, file: Readable) -> bytes:
    """What a caller's file gives first; it may give anything."""
    head: object = file.read(HEAD_BYTES)
    if not isinstance(head, bytes):
        raise SourceError(
            f"{source.label}: gives {type(head).__name__}, not bytes; open it as 'rb'",
            source.label,
        )
    return head


def _read(source: Source, descriptor: int, size: int) -> bytes:
    try:
        return os.read(descriptor, size)
    except OSError as error:
        why = f"{source.label}: {error.strerror}"
        raise SourceError(why, source.label, errno=error.errno) from error


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
