"""Reads one file of a package, or a package that is one message, to its verdict.

gpg decrypts what the zip yields, and Rust reads what gpg yields. Nothing is whole in memory, and no
plaintext is on disk except the rows that were asked for.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from edxlogs import _core
from edxlogs.account import Outcome
from edxlogs.database.account import Converted, Group, MemberAccount, RowCounts, Task
from edxlogs.database.package import DatabasePackage, Member, epoch_day
from edxlogs.database.tars import TarPackage, unpack, walk
from edxlogs.edx.tables import JOINED, joined_table, tables
from edxlogs.errors import DecryptError, EdxlogsError, OutputError, SourceError, cannot_write
from edxlogs.gpg.frame import HEAD_BYTES
from edxlogs.gpg.input import Readable
from edxlogs.gpg.process import Gpg
from edxlogs.sources.reading import Reader, StoredStream, read_up_to
from edxlogs.sources.source import Packing, inflated, packing_of
from edxlogs.text import shown

Target = str | os.PathLike[str] | _core.BatchWriter | _core.OraTarget | None


@functools.cache
def core_table(
    name: str,
    *,
    expand: bool = False,
    has_course: bool = False,
    day_in_folder: bool = False,
    courses: tuple[str, ...] = (),
) -> _core.Table:
    """A table in the form that the core takes.

    Args:
        name: name of the table.
        expand: whether to add the columns taken from its JSON.
        has_course: whether a column gives the course.
        day_in_folder: whether files are in folders for the days of their snapshots.
        courses: in a file of several courses, those that are wanted; empty means all.
    """
    table = joined_table() if name == JOINED else tables()[name]
    derived = table.derived if expand else ()
    dialect = table.dialect.value
    return _core.Table(
        dialect,
        table.defined,
        table.renamed,
        derived,
        has_course=has_course,
        day_in_folder=day_in_folder,
        courses=courses or None,
    )


@contextmanager
def naming(output: str) -> Iterator[None]:
    """Name an output that cannot be written. Errors of reading are left as they are."""
    try:
        yield
    except SourceError:
        raise
    except OSError as error:
        raise cannot_write(output, error) from error


def told_of(package: DatabasePackage, member: Member) -> dict[str, Any]:
    """How rows and messages identify a file, for `_core.convert`."""
    return {
        "package": package.name,
        "member": member.path,
        "site": member.name.site,
        "day": epoch_day(member.day),
        "label": f"{package.place}: {member.path}",
    }


@dataclass(frozen=True, slots=True)
class Conversion:
    """How to turn the text of a file into rows. It can be sent to other processes.

    Attributes:
        said: what `told_of` says about the file.
        table: name of the table.
        format_name: one of `FORMATS`; for cells, possibly with `SAFE`.
        expand: whether to add columns to the table.
        day_in_folder: whether the day of the snapshot is a folder.
        courses: the courses whose rows are wanted; empty means all.
        tells_course: whether rows tell the course of the file.
        is_content: whether it is to be unpacked.
    """

    said: dict[str, Any]
    table: str
    format_name: str
    expand: bool
    day_in_folder: bool
    courses: tuple[str, ...]
    tells_course: bool
    is_content: bool

    def convert(
        self,
        reader: TableReader,
        text: Any,
        rows: Path,
        rejects: Path | None,
        *,
        threads: int,
        text_sum: _core.TextSum | None,
    ) -> Converted:
        """Convert a text to a file, or unpack it into a folder.

        Args:
            reader: converts.
            text: a descriptor or an object with `read`.
            rows: the new file or folder.
            rejects: file for rows that cannot be read, made if there are any, or None.
            threads: number of threads.
            text_sum: is fed the text, or None.

        Raises:
            OutputError: the rows cannot be written.
        """
        if self.is_content:
            return unpack(text, rows, self.said["label"])
        options = {**self.said, "format_name": self.format_name, "threads": threads}
        options["metadata"] = [("edxlogs.version", _core.__version__)]
        options["text_sum"] = text_sum
        if rejects is not None:
            options["rejects_path"] = rejects
        table = core_table(
            self.table,
            expand=self.expand,
            day_in_folder=self.day_in_folder,
            courses=self.courses,
        )
        done = reader.convert_text(text, table, rows, options)
        if not self.tells_course:
            done.courses = {}
        return done


class TableReader(Reader):
    """Reads files of packages with one key ring. Many threads may share one.

    Attributes:
        bytes_read: bytes of packages read so far.
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
        """Read a file to its end, and take the verdicts of gpg and the zip into account.

        Args:
            package: the package.
            member: the file.
            table: the table whose rows it holds.
            target: returns where its rows go; called again if it has to be read again.
            options: for `_core.convert`.

        Returns:
            The counts and the verdict. Errors of the file are part of it and are not raised.

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
        """Convert the decrypted text that a descriptor or an object with `read` yields.

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
        *,
        again: bool = True,
    ) -> Converted:
        """Read part of a package to its end, and take gpg's and the zip's verdicts into account.

        Args:
            label: how messages call it.
            opener: opens it as stored.
            work: receives the text, as a descriptor or an object with `read`. Its result is
                provisional until the end.
            again: whether it can be opened again.

        Returns:
            The result of the work, and the verdict. Errors of the file are part of it and are not
                raised.

        Raises:
            OutputError: raised by the work.
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
            done = self.read(label, opened, worked, again=again)
        except OutputError:
            raise
        except EdxlogsError as error:
            done = Converted(error=error)
        done.counts.bytes_read = bytes_read
        return done

    def count_bytes(self, size: int) -> None:
        """Count bytes of packages that were read elsewhere."""
        with self._lock:
            self.bytes_read += size

    def _counted(self, label: str, reader: Readable) -> Callable[[int], bytes]:
        """A function that reads, and counts the bytes."""

        def read(size: int) -> bytes:
            try:
                data = reader.read(size)
            except EdxlogsError:
                raise
            except OSError as error:
                why = f"cannot read: {label}: {error.strerror}"
                why += "; look at the disk, or fetch it again"
                raise SourceError(why, label, errno=error.errno) from error
            self.count_bytes(len(data))
            return data

        return read

    def unlock(self, package: DatabasePackage, members: Sequence[Member]) -> None:
        """Unlock the key of encrypted files once for all of them, if that helps."""
        encrypted = [one for one in members if one.path.endswith(".gpg")]

        def head() -> bytes:
            with package.open(encrypted[0]) as reader:
                return read_up_to(reader.read, HEAD_BYTES)

        if encrypted:
            with suppress(EdxlogsError, OSError):  # whoever reads it says why
                self.gpg.unlock(head, len(encrypted))

    def first_bytes(self, package: DatabasePackage, member: Member, size: int) -> bytes:
        """The first decrypted bytes of a file, at most `size`; empty if it cannot be read."""

        def stored(size: int) -> bytes:
            with package.open(member) as reader:
                return read_up_to(reader.read, size)

        head = self.head(member.path, stored, size)
        return inflated(head, size) if packing_of(head) is Packing.GZIP else head


SUBMISSIONS = "submissions_submission"
ORA_TABLES = (
    SUBMISSIONS,
    "submissions_studentitem",
    "submissions_score",
    "assessment_assessment",
    "assessment_assessmentpart",
    "assessment_assessmentfeedback",
    "assessment_criterion",
    "assessment_criterionoption",
    "workflow_assessmentworkflow",
    "student_anonymoususerid",
)


def ora_files(members: Iterable[Member]) -> dict[Group, list[Member]]:
    """The files to join, by day and course, for courses that have submissions."""
    groups: dict[Group, list[Member]] = {}
    for member in members:
        if member.table is not None and member.table.name in ORA_TABLES:
            groups.setdefault((member.day, member.name.key), []).append(member)
    return {key: its for key, its in groups.items() if any(map(_is_submissions, its))}


def _is_submissions(member: Member) -> bool:
    return member.table is not None and member.table.name == SUBMISSIONS


def submissions(members: Iterable[Member]) -> Member:
    """The file of a course to which the others are joined."""
    return next(filter(_is_submissions, members))


def join_ora(
    reader: TableReader,
    package: DatabasePackage,
    members: list[Member],
    target: Path,
    format_name: str,
    account: MemberAccount,
    *,
    day_in_folder: bool,
) -> None:
    """Read the files of one course again, and write their join to a new file.

    They are held in memory until they are joined. The joined rows go into the account: delivered,
    or withheld if a file failed its checks.

    Raises:
        OutputError: the file cannot be written.
    """
    join = _core.OraJoin()
    for member in members:
        assert member.table is not None
        name = member.table.name
        done = reader.convert(package, member, core_table(name), partial(join.target, name), {})
        if done.error is not None:
            account.withhold(str(done.error))
            return
    said = told_of(package, submissions(members))
    write_join(join, target, format_name, account, said, day_in_folder=day_in_folder)


class TarJoins:
    """The joins of a tar's courses, all held at once.

    Attributes:
        submissions: path of the submissions, by day and course.
    """

    def __init__(self, package: TarPackage, files: Mapping[str, tuple[Group, str]]) -> None:
        self._package = package
        every = [(group, path) for path, (group, name) in files.items() if name == SUBMISSIONS]
        self.submissions = dict(every)
        self._joins = {group: _core.OraJoin() for group in self.submissions}
        self._files = {path: one for path, one in files.items() if one[0] in self._joins}

    def read(self, reader: TableReader) -> Exception | None:
        """Read the files again, as they come. Returns the error of the tar, or None."""
        place = self._package.place

        def work(source: Any) -> Converted:
            for file in walk(source, place):
                if file.path in self._files:
                    (group, name), label = self._files[file.path], f"{place}: {shown(file.path)}"
                    into = core_table(name), self._joins[group].target(name)
                    said = {"package": self._package.name, "member": file.path, "label": label}
                    rows = partial(_rows, reader, into, said)
                    done = reader.read_stored(label, file.opened, rows, again=False)
                    if done.error is not None:
                        return done
            return Converted()

        return reader.read_stored(place, self._package.open, work).error

    def write(self, task: Task, format_name: str, *, day_in_folder: bool) -> None:
        """Write one join to the hidden file of a task.

        Raises:
            OutputError: the file cannot be written.
        """
        assert task.rows is not None
        account, package = task.account, self._package.name
        said: dict[str, Any] = {"package": package, "member": account.member}
        said |= {"site": account.site, "day": epoch_day(task.day)}
        join = self._joins[task.day, task.key]
        write_join(join, task.rows, format_name, account, said, day_in_folder=day_in_folder)


def _rows(
    reader: TableReader, into: tuple[_core.Table, Target], said: dict[str, Any], text: Any
) -> Converted:
    return reader.convert_text(text, *into, said)


def write_join(
    join: _core.OraJoin,
    target: Path,
    format_name: str,
    account: MemberAccount,
    said: Mapping[str, Any],
    *,
    day_in_folder: bool,
) -> None:
    """Write joined rows to a new file, and enter them into the account.

    Raises:
        OutputError: the file cannot be written.
    """
    count = join.write(
        target,
        core_table(JOINED, day_in_folder=day_in_folder),
        format_name=format_name,
        package=said["package"],
        member=said["member"],
        site=said["site"],
        day=said["day"],
        metadata=[("edxlogs.version", _core.__version__)],
    )
    account.status = Outcome.DELIVERED
    account.counts = RowCounts(rows=count, rows_written=count)
