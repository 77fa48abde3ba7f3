"""One file of a package, or a package that is one message, read to its verdict.

gpg decrypts as the zip gives and Rust reads what gpg gives; nothing is whole in memory, and no
plaintext is on disk but the rows that were asked for.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

from edxlogs import _core
from edxlogs.database.account import RowCounts
from edxlogs.database.package import DatabasePackage, Member
from edxlogs.edx.tables import JOINED, joined_table, tables
from edxlogs.errors import DecryptError, EdxlogsError, OutputError, SourceError
from edxlogs.gpg.input import Readable
from edxlogs.gpg.process import Gpg
from edxlogs.sources.reading import Reader, Reading, StoredStream, read_up_to
from edxlogs.sources.source import Packing, packing_of

Target = str | os.PathLike[str] | _core.BatchWriter | _core.OraTarget
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
    return _core.Table(dialect, table.defined, table.renamed, derived, has_course=has_course)


def told_of(package: DatabasePackage, member: Member) -> dict[str, Any]:
    """What rows and messages say of the file they are of, for `_core.convert`."""
    return {
        "package": package.name,
        "member": member.path,
        "site": member.name.site,
        "day": package.epoch_day,
        "label": f"{package.place}: {member.path}",
    }


@dataclass
class Converted(Reading):
    """What a conversion came to.

    Attributes:
        counts: rows and bytes.
        courses: that the content tells, with the rows of each.
        said: what else the core says: unknown and missing columns, literals.
    """

    counts: RowCounts = field(default_factory=RowCounts)
    courses: dict[str, int] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)


class TableReader(Reader):
    """Reads files of packages with one key ring. May be used by many threads.

    Attributes:
        bytes_read: of packages, so far.
    """

    def __init__(self, gpg: Gpg, control: _core.Control) -> None:
        super().__init__(gpg, control)
        self.bytes_read = 0
        self._lock = threading.Lock()

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
            options: for `_core.convert`.

        Returns:
            The counts and the verdict. Errors of the file are in it, not raised.

        Raises:
            OutputError: the rows cannot be written.
        """
        said = told_of(package, member)

        def work(text: Any) -> Converted:
            return self.convert_text(text, table, target(), {**said, **options})

        done = self.read_stored(said["label"], lambda: package.open(member), work)
        if member.table is None or not member.table.tells_course:
            done.courses = {}
        return done

    def convert_text(
        self, text: Any, table: _core.Table, target: Target, options: dict[str, Any]
    ) -> Converted:
        """Convert what a descriptor or an object with `read` gives, already decrypted.

        Raises:
            OutputError: the rows cannot be written.
        """
        told, error = _core.convert(text, table, target, control=self.control, **options)
        if isinstance(error, OutputError) or not isinstance(error, EdxlogsError | None):
            raise error
        names = {item.name for item in fields(RowCounts)}
        counts = RowCounts(**{name: count for name, count in told.items() if name in names})
        counts.rejected = sum(counts.reasons.values())
        return Converted(counts=counts, courses=told["courses"], error=error, said=told)

    def read_stored(
        self,
        label: str,
        opener: Callable[[], AbstractContextManager[Readable]],
        work: Callable[[Any], Converted],
    ) -> Converted:
        """Read something of a package to its end, and weigh what gpg and the zip say of it.

        Args:
            label: what messages call it.
            opener: opens it as it is stored; called again if it has to be read again.
            work: takes the text, as a descriptor or an object with `read`; what comes of it is
                provisional until the end.

        Returns:
            What came of the work, with the verdict. Errors of the file are in it, not raised.

        Raises:
            OutputError: of the work.
        """
        bytes_read = 0

        @contextmanager
        def opened() -> Iterator[StoredStream]:
            nonlocal bytes_read
            with opener() as reader:
                stored = StoredStream(self._counted(label, reader))
                try:
                    yield stored
                finally:
                    bytes_read = stored.bytes_read

        def worked(text: Any) -> Converted:
            if not isinstance(text, StoredStream):
                return work(text)
            if label.endswith(".gpg") and packing_of(text.peek()) is Packing.PLAIN:
                # Its bytes would be taken for a table of one strange column.
                why = f"cannot decrypt: {label}: it is not an encrypted OpenPGP message"
                raise DecryptError(f"{why}; fetch the package again", label)
            done = work(text)
            if done.error is None:
                text.drain()  # a zip tells what is wrong at the end
            return done

        try:
            done = self.read(label, opened, worked)
        except OutputError:
            raise
        except EdxlogsError as error:
            done = Converted(error=error)
        done.counts.bytes_read = bytes_read
        return done

    def _counted(self, label: str, reader: Readable) -> Callable[[int], bytes]:
        """Reads, and lets others know how much was read."""

        def read(size: int) -> bytes:
            try:
                data = reader.read(size)
            except EdxlogsError:
                raise
            except OSError as error:
                why = f"cannot read: {label}: {error.strerror}"
                why += "; look at the disk, or fetch it again"
                raise SourceError(why, label, errno=error.errno) from error
            with self._lock:
                self.bytes_read += len(data)
            return data

        return read

    def first_bytes(self, package: DatabasePackage, member: Member) -> bytes:
        """The first decrypted bytes of a file; empty if it cannot be read."""

        def stored(size: int) -> bytes:
            with package.open(member) as reader:
                return read_up_to(reader.read, size)

        return self.head(member.path, stored, _PROBE_BYTES)
