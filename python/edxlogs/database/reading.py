"""One file of a package, read to its verdict.

gpg decrypts as the zip gives and Rust reads what gpg gives; nothing is whole in memory, and no
plaintext is on disk but the rows that were asked for. Here it is decided whether what came of it
may be trusted.
"""

from __future__ import annotations

import functools
import io
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, fields
from typing import Any

from edxlogs import _core
from edxlogs.database.account import RowCounts
from edxlogs.database.package import DatabasePackage, Member
from edxlogs.database.research import is_archive
from edxlogs.edx.tables import JOINED, joined_table, tables
from edxlogs.errors import DecryptError, EdxlogsError, FormatError, OutputError, SourceError
from edxlogs.gpg.frame import HEAD_BYTES, looks_like_openpgp
from edxlogs.gpg.input import Readable
from edxlogs.gpg.process import Gpg
from edxlogs.gpg.verdict import Verdict

Target = str | os.PathLike[str] | _core.BatchWriter | _core.OraTarget
_DRAIN_BYTES = 1 << 20
_PROBE_BYTES = 64 << 10


@functools.cache
def core_table(name: str, *, expand: bool = False, has_course: bool = False) -> _core.Table:
    """A table as the core takes it.

    Args:
        name: of the table.
        expand: whether it has the columns that are taken out of its JSON.
        has_course: whether a column says the course.
    """
    table = joined_table() if name == JOINED else tables()[name]
    derived = table.derived if expand else ()
    dialect = table.dialect.value
    return _core.Table(dialect, table.columns, table.renamed, derived, has_course=has_course)


@dataclass(slots=True)
class Converted:
    """What a conversion came to.

    Attributes:
        counts: rows and bytes.
        courses: that the content tells, with the rows of each.
        error: why it must not be trusted, or None.
        warning: one sentence, or None.
        said: what else the core says: unknown and missing columns, literals.
    """

    counts: RowCounts
    courses: dict[str, int] = field(default_factory=dict)
    error: Exception | None = None
    warning: str | None = None
    said: dict[str, Any] = field(default_factory=dict)


class Progressing:
    """A member's reader that lets others know how much was read."""

    def __init__(self, label: str, reader: Readable, count: Callable[[int], None]) -> None:
        self.label = label
        self.bytes_read = 0
        self._reader = reader
        self._count = count
        self._head = b""

    def peek(self) -> bytes:
        """The first bytes, which are read once more after."""
        while len(self._head) < HEAD_BYTES and (more := self._read(HEAD_BYTES)):
            self._head += more
        return self._head

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end only."""
        if self._head:
            head, self._head = self._head[:size], self._head[size:]
            return head
        return self._read(size)

    def _read(self, size: int) -> bytes:
        try:
            data = self._reader.read(size)
        except EdxlogsError:
            raise
        except OSError as error:
            why = (
                f"cannot read: {self.label}: {error.strerror}; look at the disk, or fetch it again"
            )
            raise SourceError(why, self.label, errno=error.errno) from error
        self.bytes_read += len(data)
        self._count(len(data))
        return data

    def drain(self) -> None:
        """Read what is left, for what is wrong with it."""
        while self.read(_DRAIN_BYTES):
            pass


class TableReader:
    """Reads files of packages with one key ring. May be used by many threads.

    Attributes:
        control: stops everything that is read.
        bytes_read: of packages, so far.
    """

    def __init__(self, gpg: Gpg, control: _core.Control) -> None:
        self.control = control
        self.bytes_read = 0
        self._gpg = gpg
        self._lock = threading.Lock()

    def _count(self, size: int) -> None:
        with self._lock:
            self.bytes_read += size

    def convert(
        self,
        package: DatabasePackage,
        member: Member,
        table: _core.Table,
        target: Callable[[], Target],
        options: dict[str, Any],
    ) -> Converted:
        """Read a file to its end, and weigh what gpg and the zip say of it.

        Args:
            package: where it is.
            member: which file.
            table: whose rows it holds.
            target: where its rows go; called again if it has to be read again.
            options: for `_core.convert`; `target` may set more.

        Returns:
            The counts and the verdict. Errors of the file are in it, not raised.

        Raises:
            OutputError: the rows cannot be written.
        """
        label = f"{package.place}: {member.path}"
        said = {
            "package": package.name,
            "member": member.path,
            "site": member.name.site,
            "day": package.epoch_day,
            "label": label,
        }

        def work(source: Any) -> Converted:
            place = target()
            return self.convert_text(source, table, place, {**said, **options})

        done = self.read(label, lambda: package.open(member), work)
        if member.table is None or not member.table.tells_course:
            done.courses = {}
        return done

    def convert_text(
        self, source: Any, table: _core.Table, target: Target, options: dict[str, Any]
    ) -> Converted:
        """Convert what a descriptor or an object with `read` gives, already decrypted.

        Raises:
            OutputError: the rows cannot be written.
        """
        counts, error = _core.convert(source, table, target, control=self.control, **options)
        if isinstance(error, OutputError) or not isinstance(error, EdxlogsError | None):
            raise error
        return Converted(_counted(counts), counts["courses"], error, said=counts)

    def read(
        self,
        label: str,
        opener: Callable[[], AbstractContextManager[Readable]],
        work: Callable[[Any], Converted],
    ) -> Converted:
        """Decrypt something, have it worked on, and weigh what gpg says of it.

        Args:
            label: what messages call it.
            opener: opens it as it is stored; called again if it has to be read again.
            work: takes the text, as a descriptor or an object with `read`; what comes of it is
                provisional until the end.

        Returns:
            What came of the work, with the verdict as its error.

        Raises:
            OutputError: of the work.
        """
        delays = self._gpg.delays()
        length: int | None = None
        warning: str | None = None
        while True:
            data: Progressing | None = None
            try:
                with opener() as reader:
                    data = Progressing(label, reader, self._count)
                    converted, verdict = self._read(label, data, work, length)
            except OutputError:
                raise
            except EdxlogsError as error:
                return Converted(RowCounts(bytes_read=data.bytes_read if data else 0), error=error)
            converted.counts.bytes_read = data.bytes_read
            converted.warning = converted.warning or warning
            delay = next(delays, None) if verdict is not None and verdict.retry else None
            if verdict is None or delay is None:
                return converted
            warning = warning or verdict.warning
            length = verdict.length if verdict.length is not None else length
            time.sleep(delay)

    def _read(
        self,
        label: str,
        data: Progressing,
        work: Callable[[Any], Converted],
        length: int | None,
    ) -> tuple[Converted, Verdict | None]:
        """Read once; what came of it, and gpg's verdict if it was asked."""
        if not looks_like_openpgp(data.peek()):
            if label.endswith(".gpg") and not is_archive(data.peek()):
                # Its bytes would be taken for a table of one strange column.
                why = f"cannot decrypt: {label}: it is not an encrypted OpenPGP message"
                raise DecryptError(f"{why}; fetch the package again", label)
            converted = work(data)
            if converted.error is None:
                data.drain()  # a zip tells what is wrong at the end
            return converted, None
        with self._gpg.open(label, data, length=length) as decryption:
            converted = work(decryption.stdout_fd)
            if self.control.stopped:
                decryption.kill()
                return converted, None
            # gpg says what is wrong with a message only when all of it was taken.
            while os.read(decryption.stdout_fd, _DRAIN_BYTES):
                pass
            verdict = decryption.verdict()
        converted.warning = verdict.warning
        # Damage of the table itself is only the trace of a damaged message.
        if not verdict.ok and (converted.error is None or isinstance(converted.error, FormatError)):
            converted.error = verdict.error
        return converted, verdict

    def head(self, package: DatabasePackage, member: Member) -> bytes:
        """The first decrypted bytes of a file; empty if it cannot be read."""
        with suppress(EdxlogsError, OSError), package.open(member) as reader:
            head = b""
            while len(head) < _PROBE_BYTES and (more := reader.read(_PROBE_BYTES - len(head))):
                head += more
            if not looks_like_openpgp(head):
                return head
            # A message that is cut off is decrypted up to the cut.
            with self._gpg.open(member.path, io.BytesIO(head)) as decryption:
                text = b""
                while more := os.read(decryption.stdout_fd, _PROBE_BYTES):
                    text += more
                    if len(text) >= _PROBE_BYTES:
                        break
                return text
        return b""


def _counted(counts: dict[str, Any]) -> RowCounts:
    """The counts that the core tells of a conversion."""
    names = {item.name for item in fields(RowCounts)}
    taken = {name: count for name, count in counts.items() if name in names}
    return RowCounts(**taken, rejected=sum(counts["reasons"].values()))
