"""The compiled part of edxlogs: all work per byte, line and event."""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Protocol, final

from typing_extensions import disjoint_base

from edxlogs.errors import EdxlogsError

__all__ = [
    "DEBUG",
    "BatchStream",
    "BatchWriter",
    "Control",
    "Crc",
    "OraJoin",
    "OraTarget",
    "Output",
    "Part",
    "PartWriter",
    "Query",
    "Table",
    "__version__",
    "columns",
    "convert",
    "parse_time",
    "scan",
]

__version__: str
DEBUG: bool

class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...

@final
class Query:
    """Which events are kept, and what of them.

    Conditions of different keywords are joined by *and*, the values of one by *or*. Courses and
    event types are exact or globs (`*`, `?`); organisations match whatever their case; users are
    names or ids; sites are those of the sources; `since` (included) and `until` (not) are
    microseconds since 1970 UTC; `expressions` follow the grammar of `--where`.

    Raises:
        ConfigError: an expression, a column or an option cannot be used.
    """

    def __new__(
        cls,
        *,
        courses: Sequence[str] = ...,
        orgs: Sequence[str] = ...,
        event_types: Sequence[str] = ...,
        event_sources: Sequence[str] = ...,
        users: Sequence[str] = ...,
        sites: Sequence[str] = ...,
        exclude_courses: Sequence[str] = ...,
        exclude_orgs: Sequence[str] = ...,
        exclude_event_types: Sequence[str] = ...,
        exclude_event_sources: Sequence[str] = ...,
        exclude_users: Sequence[str] = ...,
        exclude_sites: Sequence[str] = ...,
        since: int | None = None,
        until: int | None = None,
        by_received_at: bool = False,
        expressions: Sequence[str] = ...,
        columns: Sequence[str] | None = None,
        collect: str = "columns",
        check_full: bool = False,
        strict: bool = False,
        course_from_context: bool = False,
        max_line_bytes: int | None = None,
        keep_rejects: bool = False,
    ) -> Query: ...
    @property
    def column_names(self) -> list[str]: ...

@final
class Control:
    """Stops scans, and tells how far they are. May be shared by many scans and threads."""

    def __new__(cls) -> Control: ...
    def stop(self) -> None: ...
    @property
    def stopped(self) -> bool: ...
    @property
    def bytes_read(self) -> int: ...
    @property
    def bytes_expanded(self) -> int: ...

@final
class Crc:
    """A cyclic redundancy check of S3 in the making.

    Args:
        algorithm: CRC32, CRC32C or CRC64NVME, as S3 calls them.

    Raises:
        ConfigError: it is none of these.
    """

    def __new__(cls, algorithm: str) -> Crc: ...
    def update(self, data: bytes) -> None:
        """Take the next bytes, with the interpreter released."""
    def digest(self) -> bytes:
        """Return the check of all bytes so far, high bytes first."""

@final
class PartWriter:
    """Takes what a scan keeps of one source.

    Args:
        query: the query of the scan.
        format_name: parquet, csv, csv-excel-safe, jsonl, jsonl.gz, jsonl.zst or arrow.
        path: place of the hidden file that a large part needs; None drops what outgrows memory.
        rejects_path: place of a hidden file for rejected lines beyond 1 MiB.
        memory_bytes: a part above it is large.
    """

    def __new__(
        cls,
        query: Query,
        format_name: str,
        *,
        path: str | PathLike[str] | None = None,
        rejects_path: str | PathLike[str] | None = None,
        memory_bytes: int = ...,
    ) -> PartWriter: ...
    def finish(self) -> Part:
        """End the part; the writer is used up.

        Raises:
            OutputError: the hidden file cannot be written.
        """

@final
class Part:
    """All that one source adds to an output. Its hidden file goes when it goes."""

    @property
    def outgrown(self) -> bool: ...
    @property
    def memory_bytes(self) -> int: ...
    def spill(self) -> None:
        """Move what is in memory to the hidden file."""
    def copy_rejects(self, descriptor: int) -> None:
        """Write the rejected lines, each after a comment line with its place and reason."""

@final
class Output:
    """An output in the making: a new file of mode 0600 at a path, or a descriptor.

    Raises:
        FileExistsError: there is a file at the path.
        OutputError: it cannot be written.
    """

    def __new__(
        cls,
        target: str | PathLike[str] | int,
        query: Query,
        format_name: str,
        metadata: Sequence[tuple[str, str]],
    ) -> Output: ...
    def append(self, part: Part) -> None: ...
    def flush(self) -> None: ...
    def finish(self, *, sync: bool) -> None:
        """Write what is left, and with `sync` wait until it is on disk; then it is used up."""

@final
class BatchWriter:
    """Sends the batches of one source to a stream.

    A scan whose query keeps rejected lines ends at the first of them, with a ParseError.
    """

    def close(self, error: BaseException | None = None) -> None: ...

@disjoint_base
class BatchStream:
    """Batches in the order of the writers, as an Arrow C stream that is read once.

    Args:
        query: of the scans, or the table that is read.
        control: is stopped when nobody reads the stream any more.
    """

    def __new__(cls, query: Query | Table, control: Control) -> BatchStream: ...
    def writer(self) -> BatchWriter:
        """Make the writer of the next source; all are made before reading begins."""
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    @property
    def exhausted(self) -> bool:
        """Whether the stream was read to its end."""

def scan(
    input: str | PathLike[str] | int | _Readable,  # noqa: A002
    query: Query,
    sink: PartWriter | BatchWriter | Output | None,
    *,
    name: str,
    label: str | None = None,
    site: str | None = None,
    day: int | None = None,
    offset: int = 0,
    length: int | None = None,
    members: Callable[[bytes, bool], tuple[str, str | None, int | None] | None] | None = None,
    threads: int = 1,
    control: Control,
) -> tuple[dict[str, Any], EdxlogsError | None]:
    """Scan one source to its end, with the interpreter released.

    Args:
        input: a path, a descriptor that stays the caller's, or a file object.
        query: what is kept.
        sink: takes it, in order; None only counts.
        name: base name of the source, for its rows.
        label: what messages call it; its name unless told.
        site: site of the source, for its rows.
        day: day in the name, in days since 1970-01-01; tells late events.
        offset: first byte, for a path.
        length: bytes from there, for a path; None for all.
        members: says of each file of a tar, by its path inside and whether it is a regular one,
            its name, site and day, or None if it is not read; without it, none is.
        threads: 1 does everything here; more read, scan and write beside each other. Never
            changes the answer.
        control: stops the scan, and counts its bytes.

    Returns:
        The counts (see `account.Counts`), and what ended the scan early or None.
    """

@final
class Table:
    """A table of a database package.

    Args:
        dialect: how its files are written, a value of `database_tables.Dialect`.
        columns: name and type of each, as in `database_tables.Table`.
        renamed: headers that stand for a column, with its name.
        derived: further columns, after those: name, type, the column whose JSON they are taken
            from, and the keys that lead there.
        has_course: whether a column says the course of the file.

    Raises:
        ConfigError: a dialect, a type or a column is not known.
    """

    def __new__(
        cls,
        dialect: str,
        columns: Sequence[tuple[str, str]],
        renamed: Sequence[tuple[str, str]] = ...,
        derived: Sequence[tuple[str, str, str, Sequence[str]]] = ...,
        *,
        has_course: bool = False,
    ) -> Table: ...
    @property
    def column_names(self) -> list[str]:
        """Those of the table and of the place of a row, as they come out."""

@final
class OraTarget:
    """Takes the rows of one table of an `OraJoin`."""

@final
class OraJoin:
    """The tables of a course's open response assessments, held to be joined."""

    def __new__(cls) -> OraJoin: ...
    def target(self, table: str) -> OraTarget:
        """What takes the rows of a table; those that were taken before are forgotten."""
    def write(
        self,
        target: str | PathLike[str],
        table: Table,
        *,
        format_name: str = "parquet",
        package: str,
        member: str,
        site: str | None = None,
        day: int | None = None,
        metadata: Sequence[tuple[str, str]] = ...,
    ) -> int:
        """Write a row for each submission to a new file; how many.

        Args:
            target: path of the file.
            table: its columns, those of `ora_submissions`.
            format_name: as for `convert`.
            package: as for `convert`.
            member: of the submissions.
            site: as for `convert`.
            day: as for `convert`.
            metadata: as for `convert`.

        Raises:
            OutputError: the file cannot be written.
        """

def convert(
    input: str | PathLike[str] | int | _Readable,  # noqa: A002
    table: Table,
    target: str | PathLike[str] | BatchWriter | OraTarget,
    *,
    format_name: str = "parquet",
    package: str,
    member: str,
    course: str | None = None,
    site: str | None = None,
    day: int | None = None,
    label: str,
    rejects_path: str | PathLike[str] | None = None,
    metadata: Sequence[tuple[str, str]] = ...,
    threads: int = 1,
    control: Control,
) -> tuple[dict[str, Any], EdxlogsError | None]:
    """Read one file of a database package to its end, with the interpreter released.

    Args:
        input: a path, a descriptor that stays the caller's, or a file object.
        table: whose rows it holds.
        target: path of a new file of mode 0600, the writer of a stream, or of a join.
        format_name: parquet, csv, csv-excel-safe, jsonl, jsonl.gz or jsonl.zst.
        package: base name of the package, for its rows.
        member: name of the file in the package, likewise.
        course: whose rows they are, likewise, where the table has a column for it.
        site: whose platform, likewise.
        day: of the snapshot, in days since 1970-01-01, for its rows.
        label: what messages call the file.
        rejects_path: a new file for rejected rows, made if there are any.
        metadata: for the footer of Parquet.
        threads: that read and encode; never changes the answer.
        control: stops it, and counts its bytes.

    Returns:
        The counts (see `table_account.Counts`), and what ended it early or None.

    Raises:
        OutputError: the target cannot be written.
    """

def columns() -> list[tuple[str, str, str, str]]:
    """Name, Arrow type, origin, and when it is null, of each default column in order."""

def parse_time(text: str) -> int | None:
    """Read a day or an instant as microseconds since 1970 UTC; None if it is neither."""
