"""The compiled part of edxlogs, which does all work per byte, line and event."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, Protocol, final

from typing_extensions import disjoint_base

__all__ = [
    "DEBUG",
    "Batch",
    "BatchStream",
    "BatchWriter",
    "Control",
    "Crc",
    "DatasetFiles",
    "EventTables",
    "LineHashes",
    "OraJoin",
    "OraTarget",
    "Output",
    "Part",
    "PartWriter",
    "Query",
    "SeveralWriter",
    "StoredQuery",
    "Summary",
    "Table",
    "TextSum",
    "__version__",
    "columns",
    "convert",
    "copy_lines",
    "course_folder",
    "exactness",
    "expression",
    "header",
    "parse_time",
    "partition_keys",
    "rewrap_key",
    "rewrite",
    "scan",
    "summary_keys",
    "sync_file_system",
]

__version__: str
DEBUG: bool

class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...

@final
class Query:
    """Which events to keep, and which columns of them.

    Each condition has a name and at least one value: `sites` of the sources; `event_types` and
    `courses`, exact or globs (`*`, `?`); `event_sources`; `users`, by name or id; `orgs`, in any
    case. With `exclude_` before its name, a condition drops what it finds. An event must meet all
    conditions, and one of the values of each; but it must meet all `expressions`, which use the
    grammar of `--where`. `since` (included) and `until` (not included) are microseconds since 1970
    UTC.

    With `partition_by`, the rows are for a dataset, and a `PartWriter` takes them. Courses that are
    not among `known_courses` then count as none. `encodes_case` is for file systems that ignore
    case.

    With `tables` and `table`, the rows are those of an event table, made from the events that meet
    the conditions. There are no `columns` then.

    Raises:
        ConfigError: an expression, a column or an option is invalid.
    """

    def __new__(
        cls,
        *,
        conditions: Sequence[tuple[str, Sequence[str]]] = ...,
        since: int | None = None,
        until: int | None = None,
        by_received_at: bool = False,
        columns: Sequence[str] | None = None,
        collect: str = "columns",
        check_full: bool = False,
        strict: bool = False,
        course_from_context: bool = False,
        time_from: str | None = None,
        max_line_bytes: int | None = None,
        keep_rejects: bool = False,
        partition_by: Sequence[str] = ...,
        known_courses: set[str] | None = None,
        encodes_case: bool = False,
        tables: EventTables | None = None,
        table: str | None = None,
    ) -> Query: ...
    @staticmethod
    def of_several(queries: Sequence[Query]) -> Query:
        """Join queries of datasets into one, for a scan whose rows a `SeveralWriter` tells apart.

        The first query decides how lines are read. All event tables must be of the same
        `EventTables`.

        Raises:
            ConfigError: there are no queries, or too many.
        """
    def unmet(self) -> list[tuple[str, int]]:
        """Tell the values of conditions that no kept event was of: condition and place of each.

        Told of are sites, event types, courses and users.
        """
    def unheld(self) -> list[str]:
        """The paths in expressions that no kept event contained, without their casts."""
    @property
    def column_names(self) -> list[str]: ...

@final
class EventTables:
    """Event tables, and the home table of each event type.

    Args:
        document: the definitions, as `edxlogs.edx.event_tables.document` makes them.
        no_text: whether to leave columns of free text null.
    """

    def __new__(cls, document: bytes, *, no_text: bool = False) -> EventTables: ...

@final
class LineHashes:
    """Hashes of the kept lines of one source: the first 128 bits of their SHA-256.

    A scan that gets it treats a line that is in one of the files as a duplicate, and collects the
    hashes of the others. Each scan starts anew.

    Args:
        path: where to write the hashes of this source.
        earlier: files that were written for other sources.
        within: whether a line that occurred earlier in the same source is a duplicate too. Such a
            scan runs in one thread.

    Raises:
        ConfigError: a file is damaged.
        OutputError: a file cannot be read.
    """

    def __new__(
        cls,
        path: str | PathLike[str],
        earlier: Sequence[str | PathLike[str]],
        *,
        within: bool = False,
    ) -> LineHashes: ...
    def finish(self) -> int:
        """Write the hashes, sorted, each once. Returns their number; without any, no file is made.

        Raises:
            OutputError: the file cannot be written.
        """

@final
class Control:
    """Stops scans, and reports their progress. Many scans and threads may share one."""

    def __new__(cls) -> Control: ...
    def stop(self) -> None: ...
    @property
    def stopped(self) -> bool: ...
    @property
    def bytes_read(self) -> int: ...
    @property
    def bytes_expanded(self) -> int: ...

@final
class TextSum:
    """Identifies a text by its length and its CRC-32, as gzip does.

    A scan that gets it feeds it the text, and starts anew each time. For a packed tar, the text is
    that of all files that are read, one after another.

    Args:
        lengths: lengths of prefixes of the text whose sums are wanted too.
    """

    def __new__(cls, lengths: Sequence[int] = ...) -> TextSum: ...
    def update(self, data: bytes) -> None:
        """Add the next bytes. The interpreter lock is released."""
    @property
    def total(self) -> tuple[int, int]:
        """Length and CRC-32 of everything that was read."""
    @property
    def beginnings(self) -> list[tuple[int, int]]:
        """Length and CRC-32 of the prefixes that were read, shortest first."""

@final
class Crc:
    """A cyclic redundancy check of S3, computed piece by piece.

    Args:
        algorithm: `CRC32`, `CRC32C` or `CRC64NVME`, as S3 calls them.

    Raises:
        ConfigError: the algorithm is another one.
    """

    def __new__(cls, algorithm: str) -> Crc: ...
    def update(self, data: bytes) -> None:
        """Add the next bytes. The interpreter lock is released."""
    def digest(self) -> bytes:
        """Return the check of all bytes so far, most significant byte first."""

@final
class PartWriter:
    """Takes what a scan keeps of one source.

    Args:
        query: the query of the scan. With `partition_by`, this is a part of a dataset.
        format_name: one of `formats.FORMATS`; for cells, possibly with `SAFE`.
        path: hidden file for a large part; None drops what outgrows memory.
        rejects_path: hidden file for rejected lines beyond 1 MiB.
        memory_bytes: a larger part counts as large. A part of a dataset collects at most this much.
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
        """End the part. The writer cannot be used afterwards.

        Raises:
            OutputError: the hidden file cannot be written.
        """

@final
class Part:
    """What one source adds to an output, by partition. Its hidden file is deleted with it."""

    @property
    def outgrown(self) -> bool: ...
    @property
    def memory_bytes(self) -> int: ...
    def spill(self) -> None:
        """Move what is in memory to the hidden file."""
    def keep(self, path: str | PathLike[str]) -> str | None:
        """Move the rows to a permanent file. Returns their layout, for `open`; None without rows.

        Raises:
            OutputError: the file cannot be written.
        """
    @staticmethod
    def open(path: str | PathLike[str], kept: str | None) -> Part:
        """Open a part that was kept. Its rejected lines are elsewhere.

        Raises:
            OutputError: the file cannot be read.
        """
    def copy_rejects(self, descriptor: int) -> None:
        """Write the rejected lines, each after a comment line with its place and reason."""

@final
class Output:
    """An output being written: a new file of mode 0600 at a path, or a descriptor.

    Raises:
        FileExistsError: there is a file at the path.
        OutputError: the output cannot be written.
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
        """Write the rest and, with `sync`, wait until it is on disk. This ends the output."""

@final
class SeveralWriter:
    """Takes what a scan of several queries keeps of one source, each for a dataset of its own.

    Args:
        together: the query of the scan, made by `Query.of_several`.
        queries: the queries that it was made from.
        writers: a writer for each of them; they cannot be used afterwards.
    """

    def __new__(
        cls, together: Query, queries: Sequence[Query], writers: Sequence[PartWriter]
    ) -> SeveralWriter: ...
    def finish(self) -> list[tuple[Part, int, int]]:
        """End the parts. Returns, for each query, its part, its rows, and the lines that hold them.

        Raises:
            OutputError: a hidden file cannot be written.
        """

@final
class DatasetFiles:
    """Files of a dataset being written, with the rows of several sources."""

    def __new__(
        cls, query: Query, format_name: str, metadata: Sequence[tuple[str, str]]
    ) -> DatasetFiles: ...
    def append(self, input: int, part: Part) -> None:  # noqa: A002
        """Add the rows of an input after those before. The part cannot be used afterwards."""
    def finish(
        self, folder: str | PathLike[str], prefix: str, *, file_bytes: int, threads: int
    ) -> list[tuple[PathLike[str], str, int, int, int, str, list[tuple[int, int]]]]:
        """Write the files, under names that begin with `prefix`. It cannot be used afterwards.

        Returns:
            For each file: its path; the folder of its partition; its number within the partition;
                rows; bytes; SHA-256; and whose rows follow each other in it (input, count).

        Raises:
            OutputError: a file cannot be written.
        """

@final
class BatchWriter:
    """Sends the batches of one source to a stream.

    If the query keeps rejected lines, a scan ends with a ParseError at the first of them.
    """

    def close(self, error: BaseException | None = None) -> None: ...

@final
class StoredQuery:
    """Which rows and columns of a dataset to take. Its columns answer conditions on events.

    Args:
        schema: schema of the rows, by Arrow's PyCapsule interface.
        conditions: as for `Query`, like the four parameters after them.
        columns: output columns, as `--columns` takes them; None means all.

    Raises:
        ConfigError: the rows have no column that answers a condition.
    """

    def __new__(
        cls,
        schema: object,
        *,
        conditions: Sequence[tuple[str, Sequence[str]]] = ...,
        since: int | None = None,
        until: int | None = None,
        by_received_at: bool = False,
        columns: Sequence[str] | None = None,
    ) -> StoredQuery: ...
    @property
    def needed(self) -> list[str]:
        """Names of the columns that must be read."""
    def write(
        self,
        rows: object,
        descriptor: int,
        format_name: str,
        metadata: Sequence[tuple[str, str]],
    ) -> int:
        """Write the matching rows of an Arrow stream to a descriptor. Returns their number.

        Raises:
            ValueError: the stream ends in an error.
            OutputError: the rows cannot be written.
        """

@final
class Summary:
    """Counts events by keys, from scans or from rows of datasets.

    A person is a username on a site or, where the username is empty, a user id. Small numbers of
    people are counted exactly, larger ones by a sketch; `exactness` gives the limits.

    Args:
        cubes: for each, its name, its keys (up to 6 of `summary_keys`), and how to count people:
            None not at all, True for a few large groups, False for many groups.
        categories: categories by event type. `(url)` stands for all implicit events.
        by_received_at: whether days are those of receipt, where that is known.

    Raises:
        ConfigError: a key is unknown or repeated, or there are too many keys.
    """

    def __new__(
        cls,
        cubes: Sequence[tuple[str, Sequence[str], bool | None]],
        categories: Mapping[str, str],
        *,
        by_received_at: bool = False,
    ) -> Summary: ...
    def another(self) -> Summary:
        """An empty summary that counts the same things."""
    def add(self, other: Summary) -> None:
        """Add what a scan counted into another summary, which must not be used afterwards."""
    def rows(self, query: StoredQuery, rows: object) -> int:
        """Count the matching rows of an Arrow stream. Returns their number.

        Raises:
            ValueError: the stream ends in an error.
        """
    def table(self, name: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The groups of a cube, in the order of their keys, nulls last: column names, and rows.

        The columns are the keys; `events`; `people` and `people_exact`, if people are counted; and
        `first_time` and `last_time`, in microseconds since 1970 UTC. Days are ISO text. A week is
        given by its Monday. The type of all implicit events is `(url)`.

        Raises:
            ConfigError: there are too many groups.
        """
    def write(
        self,
        name: str,
        descriptor: int,
        format_name: str,
        metadata: Sequence[tuple[str, str]],
    ) -> int:
        """Write the groups of a cube to a descriptor. Returns their number.

        Raises:
            ConfigError: there are too many groups.
            OutputError: the groups cannot be written.
        """
    def notes(self) -> list[tuple[str, str, int, list[tuple[str, int]]]]:
        """What was odd: kind (mended, rejected, late), name, how often, first sources and lines."""
    def other_keys(self) -> list[tuple[bool, str, int]]:
        """Undocumented keys: whether in the context, the key, and how many events have it.

        The first 500 of each, in the order of their bytes.
        """

@final
class Batch:
    """Rows that Arrow libraries take without a copy, through `__arrow_c_array__`."""

    @property
    def num_rows(self) -> int: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_array__(
        self, requested_schema: object | None = None
    ) -> tuple[object, object]: ...

@disjoint_base
class BatchStream:
    """Batches in the order of the writers, as an Arrow C stream. It can be read once.

    Args:
        query: the query of the scans, or the table that is read.
        control: is stopped when the stream is no longer read.
    """

    def __new__(cls, query: Query | Table, control: Control) -> BatchStream: ...
    def writer(self) -> BatchWriter:
        """Make the writer of the next source. All writers are made before reading begins."""
    def next_batch(self) -> tuple[int, Batch] | None:
        """Wait for the next batch. Returns its query's number (0 if there is one) and the batch.

        None after the last batch. An error of a source is raised when its turn comes.
        """
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    @property
    def exhausted(self) -> bool:
        """Whether the stream was read to its end."""

def scan(
    input: str | PathLike[str] | int | _Readable,  # noqa: A002
    query: Query,
    sink: PartWriter | SeveralWriter | Summary | BatchWriter | Output | None,
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
    hashes: LineHashes | None = None,
    text_sum: TextSum | None = None,
    limit: int | None = None,
) -> tuple[dict[str, Any], BaseException | None]:
    """Scan one source to its end. The interpreter lock is released.

    Args:
        input: a path, a descriptor (which stays open), or a file object.
        query: what to keep.
        sink: takes it, in order; None only counts.
        name: name of the source, for its rows.
        label: name of the source in messages; None means `name`.
        site: site of the source, for its rows.
        day: day in the name, in days since 1970-01-01, by which events are late.
        offset: first byte, for a path.
        length: number of bytes from there, for a path; None means all.
        members: called for each file of a tar with its path inside and whether it is a regular
            file. Returns its name, site and day, or None to skip it. Without it, all files are
            skipped.
        threads: 1 does everything in this thread; more read, scan and write in parallel. The answer
            is always the same.
        control: stops the scan, and counts its bytes.
        hashes: decide which lines are duplicates; None means that no line is.
        text_sum: is fed the text.
        limit: number of rows, at least 1, after which reading stops; None reads to the end.

    Returns:
        The counts (see `account.LineCounts`), and the error that ended the scan early, or None.
    """

@final
class Table:
    """A table of a database package.

    Args:
        dialect: how its files are written, a value of `edx.tables.Dialect`.
        columns: name, type, hint and role of each column, as in `edx.tables.Column`.
        renamed: other headers for a column, each with the name of the column.
        derived: extra columns at the end: name, type, the column whose JSON they are taken from,
            and the keys that lead to the value.
        has_course: whether a column `course_id` gives the course of the file, if it is known. It
            replaces a column of that name.
        day_in_folder: whether the column with the day of the snapshot is called `package_date`
            rather than `snapshot_date`, because folders have that name.
        courses: ids or globs, or such as occur in file names. In files of several courses, rows of
            other courses are counted and left out. None wants all rows.

    Raises:
        ConfigError: a dialect, a type, a hint, a role or a column is unknown.
    """

    def __new__(
        cls,
        dialect: str,
        columns: Sequence[tuple[str, str, str, str]],
        renamed: Sequence[tuple[str, str]] = ...,
        derived: Sequence[tuple[str, str, str, Sequence[str]]] = ...,
        *,
        has_course: bool = False,
        day_in_folder: bool = False,
        courses: Sequence[str] | None = None,
    ) -> Table: ...
    @property
    def column_names(self) -> list[str]:
        """Names of the columns of the table and of the place of a row, in output order."""

@final
class OraTarget:
    """Takes the rows of one table of an `OraJoin`."""

@final
class OraJoin:
    """The tables of a course's open response assessments, held in memory to be joined."""

    def __new__(cls) -> OraJoin: ...
    def target(self, table: str) -> OraTarget:
        """A target for the rows of a table. Rows that were taken before are forgotten."""
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
        """Write one row per submission to a new file. Returns the number of rows.

        Args:
            target: path of the file.
            table: its columns, those of `ora_submissions`.
            format_name: as for `convert`.
            package: as for `convert`.
            member: name of the file with the submissions.
            site: as for `convert`.
            day: as for `convert`.
            metadata: as for `convert`.

        Raises:
            OutputError: the file cannot be written.
        """

def convert(
    input: str | PathLike[str] | int | _Readable,  # noqa: A002
    table: Table,
    target: str | PathLike[str] | BatchWriter | OraTarget | None,
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
    text_sum: TextSum | None = None,
) -> tuple[dict[str, Any], BaseException | None]:
    """Read one file of a database package to its end. The interpreter lock is released.

    Args:
        input: a path, a descriptor (which stays open), or a file object.
        table: the table whose rows the file holds.
        target: path of a new file of mode 0600, the writer of a stream, or the target of a join;
            None only counts rows.
        format_name: one of `formats.DATASET_FORMATS`; for cells, possibly with `SAFE`.
        package: base name of the package, for the rows.
        member: name of the file in the package, for the rows.
        course: course of the file, for the rows, if the table has a column for it.
        site: site of the file, for the rows.
        day: day of the snapshot, in days since 1970-01-01, for the rows.
        label: name of the file in messages.
        rejects_path: path of a new file for rejected rows, made if there are any.
        metadata: key-value pairs for the footer of Parquet.
        threads: threads that read and encode. The answer is always the same.
        control: stops the work, and counts its bytes.
        text_sum: is fed the text.

    Returns:
        The counts (see `database.account.RowCounts`), and the error that ended it early, or None.

    Raises:
        OutputError: the target cannot be written.
    """

def exactness() -> tuple[tuple[int, float], tuple[int, float]]:
    """How many people are counted exactly, and the standard error of the sketch beyond that.

    First for one of many groups, then for one of a few large groups.
    """

def summary_keys() -> list[str]:
    """The keys by which a `Summary` can group events."""

def columns() -> list[tuple[str, str, str, str, str]]:
    """Name, Arrow type, origin, when it is null, and role of each default column, in order.

    The role says what a column tells about a person: `person id`, `username`, `e-mail`, `address`,
    `free text`, or nothing.
    """

def parse_time(text: str) -> int | None:
    """Convert a day or an instant to microseconds since 1970 UTC; None if the text is neither."""

def course_folder(course: str | None, *, encodes_case: bool = False) -> str:
    """The folder of a course in a partitioned dataset, `course_id=…`. None or empty: no course.

    `encodes_case` as for `Query`.
    """

def expression(text: str, *, hides_values: bool = False) -> str:
    """An expression of `--where` in its canonical spelling, with `…` for its values on request.

    Raises:
        ConfigError: the text is not an expression. The message shows no value either.
    """

def rewrap_key(wrapped: bytes, old: bytes, new: bytes) -> bytes:
    """Take a key wrapped with one AES-128 key, and wrap it with another (RFC 3394).

    The bare key exists only in the memory of this function, which wipes it.

    Raises:
        ConfigError: the data are not a wrapped key, or not wrapped with `old`.
    """

def partition_keys() -> list[str]:
    """The keys by which a dataset can be partitioned."""

def sync_file_system(folder: str | PathLike[str]) -> bool:
    """Wait until everything written to the file system of a folder is on disk.

    Returns:
        True if it is; False if the system has no call for this, and nothing was done.

    Raises:
        OSError: the data could not be written.
    """

def copy_lines(path: str | PathLike[str], format_name: str, descriptor: int) -> None:
    """Write the lines of a dataset's file, uncompressed.

    Raises:
        OutputError: the file cannot be read, or the lines cannot be written.
    """

def header(path: str | PathLike[str], format_name: str) -> bytes:
    """What precedes the rows in a dataset's file. Only files with equal headers can be joined.

    Args:
        path: path of the file.
        format_name: format of the file.

    Returns:
        The line of column names for CSV, a description of the schema for Parquet, nothing for JSON
            Lines.

    Raises:
        OutputError: the file cannot be read.
    """

def rewrite(
    pieces: Sequence[tuple[str | PathLike[str], Sequence[tuple[int, int]]]],
    format_name: str,
    path: str | PathLike[str],
) -> tuple[int, int, str]:
    """Make a new file of a dataset from rows of other files.

    Args:
        pieces: files, in order, each with the rows to take: first row, and number of rows.
        format_name: format of all files.
        path: path of the new file.

    Returns:
        Its rows, bytes and SHA-256.

    Raises:
        OutputError: a file cannot be read, or the new one cannot be written.
    """
