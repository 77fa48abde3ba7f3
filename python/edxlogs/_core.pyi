"""The compiled part of edxlogs: all work per byte, line and event."""

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
    """Which events are kept, and what of them.

    Conditions have names and values, at least one each: `sites` of the sources, `event_types` and
    `courses`, exact or globs (`*`, `?`), `event_sources`, `users` by name or id, `orgs` whatever
    their case. Before a name, `exclude_` leaves out what it finds. Conditions are joined by *and*,
    the values of one by *or*; but all `expressions`, in the grammar of `--where`, must hold.
    `since` (included) and `until` (not) are microseconds since 1970 UTC.

    With `partition_by`, the rows are those of a dataset: a `PartWriter` takes them. Courses that
    are not among `known_courses` then count as none, and `encodes_case` is for file systems that
    ignore case.

    With `tables` and `table`, the rows are those of a table of events: of those that the conditions
    keep, the events that have rows in it. Then there are no `columns`.

    Raises:
        ConfigError: an expression, a column or an option cannot be used.
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
        """Join queries of datasets to one, for a scan whose rows a `SeveralWriter` tells apart.

        How lines are read is taken from the first. Tables of events are of one `EventTables`.

        Raises:
            ConfigError: there are none, or too many.
        """
    def unmet(self) -> list[tuple[str, int]]:
        """Tell the values of conditions that no kept event was of: condition and place of each.

        Told of are sites, event types, courses and users.
        """
    def unheld(self) -> list[str]:
        """Tell the paths of expressions that no kept event held, without their casts."""
    @property
    def column_names(self) -> list[str]: ...

@final
class EventTables:
    """Tables of events, and the home of each event type.

    Args:
        document: the definitions, as `edxlogs.edx.event_tables.document` makes it.
        no_text: whether columns of free text are left null.
    """

    def __new__(cls, document: bytes, *, no_text: bool = False) -> EventTables: ...

@final
class LineHashes:
    """The first 128 bits of the SHA-256 of each line that is kept of one source, and of others.

    A scan with it takes a line that stands in one of the files for a duplicate, and gathers the
    others; it begins anew with each scan.

    Args:
        path: where its own will be.
        earlier: files that it was told to write for other sources.
        within: whether a line that stood in the source itself before is a duplicate too. Such a
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
        """Write the file, sorted, each hash once; how many there are. Of none, there is no file.

        Raises:
            OutputError: it cannot be written.
        """

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
class TextSum:
    """Tells a text from others by its length and its CRC-32, as gzip has them.

    A scan with it tells it the text; it begins anew with each scan. Of a packed tar, the texts of
    all files that are read count, one after another.

    Args:
        lengths: of beginnings of the text that are told too.
    """

    def __new__(cls, lengths: Sequence[int] = ...) -> TextSum: ...
    def update(self, data: bytes) -> None:
        """Take the next bytes, with the interpreter released."""
    @property
    def total(self) -> tuple[int, int]:
        """Length and CRC-32 of all that was read."""
    @property
    def beginnings(self) -> list[tuple[int, int]]:
        """The same of those beginnings that were read, the shortest first."""

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
        query: the query of the scan; with `partition_by` it is a part of a dataset.
        format_name: one of `formats.FORMATS`; of cells perhaps with `SAFE`.
        path: place of the hidden file that a large part needs; None drops what outgrows memory.
        rejects_path: place of a hidden file for rejected lines beyond 1 MiB.
        memory_bytes: a part above it is large; one of a dataset gathers that much at most.
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
    """All that one source adds to an output, by partition. Its hidden file goes when it goes."""

    @property
    def outgrown(self) -> bool: ...
    @property
    def memory_bytes(self) -> int: ...
    def spill(self) -> None:
        """Move what is in memory to the hidden file."""
    def keep(self, path: str | PathLike[str]) -> str | None:
        """Move the rows to a file that stays; how they stand there, for `open`. None: no rows.

        Raises:
            OutputError: it cannot be written.
        """
    @staticmethod
    def open(path: str | PathLike[str], kept: str | None) -> Part:
        """Take up a part that was kept; its rejected lines are elsewhere.

        Raises:
            OutputError: it cannot be read.
        """
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
class SeveralWriter:
    """Takes what a scan of several queries keeps of one source, for a dataset each.

    Args:
        together: the query of the scan, made by `Query.of_several`.
        queries: that it was made of.
        writers: one for each; they are used up.
    """

    def __new__(
        cls, together: Query, queries: Sequence[Query], writers: Sequence[PartWriter]
    ) -> SeveralWriter: ...
    def finish(self) -> list[tuple[Part, int, int]]:
        """End the parts; of each query, its part, its rows, and the lines that hold them.

        Raises:
            OutputError: a hidden file cannot be written.
        """

@final
class DatasetFiles:
    """Files of a dataset in the making, of the rows of several sources."""

    def __new__(
        cls, query: Query, format_name: str, metadata: Sequence[tuple[str, str]]
    ) -> DatasetFiles: ...
    def append(self, input: int, part: Part) -> None:  # noqa: A002
        """Take the rows of an input, after those before; the part is used up."""
    def finish(
        self, folder: str | PathLike[str], prefix: str, *, file_bytes: int, threads: int
    ) -> list[tuple[PathLike[str], str, int, int, int, str, list[tuple[int, int]]]]:
        """Write the files under names that begin with `prefix`; it is used up.

        Returns:
            Of each file: its path, the folder of its partition, its number among those of the
            partition, rows, bytes, SHA-256, and whose rows follow each other in it (input, count).

        Raises:
            OutputError: a file cannot be written.
        """

@final
class BatchWriter:
    """Sends the batches of one source to a stream.

    A scan whose query keeps rejected lines ends at the first of them, with a ParseError.
    """

    def close(self, error: BaseException | None = None) -> None: ...

@final
class StoredQuery:
    """Which rows of a dataset, and what of them: asked as of events, answered by their columns.

    Args:
        schema: of the rows, by Arrow's PyCapsule interface.
        conditions: as `Query` takes them, and the four after them.
        columns: of the output, as `--columns` takes them; None means all.

    Raises:
        ConfigError: the rows have no column that answers.
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
        """Write the rows of an Arrow stream that are wanted to a descriptor; how many.

        Raises:
            ValueError: the stream breaks off.
            OutputError: they cannot be written.
        """

@final
class Summary:
    """Counts events by keys: a sink of scans, and of rows of datasets.

    A person is a username on a site; where that is empty, a user id. People are counted exactly
    while they are few, then by a sketch; `exactness` tells both.

    Args:
        cubes: name, keys (some of `summary_keys`, 6 at most), and how people are counted: None not
            at all, True as those of a few large groups, False as those of one of many.
        categories: of event types; of `(url)`, that of all implicit events.
        by_received_at: whether days are those of receipt, where that is known.

    Raises:
        ConfigError: a key is not known or named twice, or there are too many.
    """

    def __new__(
        cls,
        cubes: Sequence[tuple[str, Sequence[str], bool | None]],
        categories: Mapping[str, str],
        *,
        by_received_at: bool = False,
    ) -> Summary: ...
    def another(self) -> Summary:
        """An empty one, which counts the same."""
    def add(self, other: Summary) -> None:
        """Add what a scan has counted into another one, which must not be used again."""
    def rows(self, query: StoredQuery, rows: object) -> int:
        """Count the rows of an Arrow stream that are wanted; how many.

        Raises:
            ValueError: the stream breaks off.
        """
    def table(self, name: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The groups of a cube, in the order of their keys, nulls last: names of columns, and rows.

        They are the keys, `events`, `people` and `people_exact` where people are counted,
        `first_time` and `last_time`, in microseconds since 1970 UTC. Days are ISO text; a week is
        its Monday. Of all implicit events the type is `(url)`.

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
        """Write the groups of a cube to a descriptor; how many.

        Raises:
            ConfigError: there are too many groups.
            OutputError: they cannot be written.
        """
    def notes(self) -> list[tuple[str, str, int, list[tuple[str, int]]]]:
        """What was odd: kind (mended, rejected, late), name, how often, first sources and lines."""
    def other_keys(self) -> list[tuple[bool, str, int]]:
        """Keys that are not documented: whether in the context, the key, and events with it.

        The first 500 of each, in the order of their bytes.
        """

@final
class Batch:
    """Rows that Arrow libraries take without a copy, by `__arrow_c_array__`."""

    @property
    def num_rows(self) -> int: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_array__(
        self, requested_schema: object | None = None
    ) -> tuple[object, object]: ...

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
    def next_batch(self) -> tuple[int, Batch] | None:
        """Wait for the next batch; with it the number of its query among several, else 0.

        None after the last. An error of a source is raised in its turn.
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
    """Scan one source to its end, with the interpreter released.

    Args:
        input: a path, a descriptor that stays the caller's, or a file object.
        query: what is kept.
        sink: takes it, in order; None only counts.
        name: of the source, for its rows.
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
        hashes: tell which lines are duplicates; None: no line is.
        text_sum: is told the text.
        limit: rows, 1 or more, after which nothing more is read; None: the source is read to its
            end.

    Returns:
        The counts (see `account.Counts`), and what ended the scan early or None.
    """

@final
class Table:
    """A table of a database package.

    Args:
        dialect: how its files are written, a value of `edx.tables.Dialect`.
        columns: name, type, hint and role of each, as in `edx.tables.Column`.
        renamed: headers that stand for a column, with its name.
        derived: further columns, after those: name, type, the column whose JSON they are taken
            from, and the keys that lead there.
        has_course: whether a column `course_id` says the course of the file, where it is known, in
            place of the table's own if it has one.
        day_in_folder: whether the column of the day of the snapshot is called `package_date`, not
            `snapshot_date`, since files are in folders that are called by that.
        courses: ids or globs, or those of names of files: rows of other courses are counted and
            left, of a file of several courses; None: all are wanted.

    Raises:
        ConfigError: a dialect, a type, a hint, a role or a column is not known.
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
    """Read one file of a database package to its end, with the interpreter released.

    Args:
        input: a path, a descriptor that stays the caller's, or a file object.
        table: whose rows it holds.
        target: path of a new file of mode 0600, the writer of a stream, or of a join; None where
            rows are only counted.
        format_name: one of `formats.DATASET_FORMATS`; of cells perhaps with `SAFE`.
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
        text_sum: is told the text.

    Returns:
        The counts (see `table_account.Counts`), and what ended it early or None.

    Raises:
        OutputError: the target cannot be written.
    """

def exactness() -> tuple[tuple[int, float], tuple[int, float]]:
    """Most people that are counted exactly, and the standard error of a sketch of more.

    Of one of many groups, and of one of a few large ones.
    """

def summary_keys() -> list[str]:
    """What events can be told apart by in a `Summary`."""

def columns() -> list[tuple[str, str, str, str, str]]:
    """Name, Arrow type, origin, when it is null, and role, of each default column in order.

    The role is what a column tells of a person: `person id`, `username`, `e-mail`, `address`,
    `free text`, or nothing.
    """

def parse_time(text: str) -> int | None:
    """Read a day or an instant as microseconds since 1970 UTC; None if it is neither."""

def course_folder(course: str | None, *, encodes_case: bool = False) -> str:
    """The folder of a course in a partitioned dataset, `course_id=…`; None, or empty: no course.

    `encodes_case` as in `Query`.
    """

def expression(text: str, *, hides_values: bool = False) -> str:
    """An expression of `--where` in its one spelling, with `…` for its values on request.

    Raises:
        ConfigError: it is none; the message shows no value either.
    """

def rewrap_key(wrapped: bytes, old: bytes, new: bytes) -> bytes:
    """A key that is wrapped by one AES-128 key, as another one wraps it (RFC 3394).

    It is clear in the memory of this function alone, which wipes it.

    Raises:
        ConfigError: it is no wrapped key, or not by `old`.
    """

def partition_keys() -> list[str]:
    """What a dataset may be partitioned by."""

def sync_file_system(folder: str | PathLike[str]) -> bool:
    """Wait until all that was written to the file system of a folder is on disk.

    Returns:
        Whether it is: False where the system has no call for that, and nothing was done.

    Raises:
        OSError: it could not be written.
    """

def copy_lines(path: str | PathLike[str], format_name: str, descriptor: int) -> None:
    """Write the lines of a file of a dataset, without their compression.

    Raises:
        OutputError: it cannot be read, or the lines not be written.
    """

def header(path: str | PathLike[str], format_name: str) -> bytes:
    """What stands above the rows of a file of a dataset. Only files with an equal one are joined.

    Args:
        path: of the file.
        format_name: of it.

    Returns:
        The line of names of CSV, the schema of Parquet in words, nothing of JSON Lines.

    Raises:
        OutputError: the file cannot be read.
    """

def rewrite(
    pieces: Sequence[tuple[str | PathLike[str], Sequence[tuple[int, int]]]],
    format_name: str,
    path: str | PathLike[str],
) -> tuple[int, int, str]:
    """Make a new file of a dataset of rows of others.

    Args:
        pieces: files, and which of their rows: first, and how many; in order.
        format_name: of all of them.
        path: of the new file.

    Returns:
        Its rows, bytes, and SHA-256.

    Raises:
        OutputError: a file cannot be read, or the new one not be written.
    """
