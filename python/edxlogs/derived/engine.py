"""Runs statements over the inputs of a course in DuckDB, and writes their rows as Parquet."""

from __future__ import annotations

import datetime
import errno
import functools
import itertools
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edxlogs.derived import views
from edxlogs.derived.definition import (
    DATABASE,
    OLX,
    TYPES,
    Definition,
    Kind,
)
from edxlogs.derived.inputs import CourseInputs, Files
from edxlogs.derived.parameters import Parameters
from edxlogs.derived.views import literal, names, quoted
from edxlogs.edx import event_tables as events
from edxlogs.errors import (
    ConfigError,
    EdxlogsError,
    SourceError,
    StoppedError,
    cannot_write,
)
from edxlogs.store import disk
from edxlogs.text import shown, size

if TYPE_CHECKING:
    import duckdb

ROW_GROUP = 122_880  # rows
# Of a course with no more rows, what would be a view is a table: to plan it anew for each statement
# takes longer than to keep its rows.
_SMALL_ROWS = 300_000
# These take longer to find a better plan than it takes to run the first one.
_DEAR_OPTIMIZERS = "common_subplan,join_elimination,join_order,projection_pullup"
# With DuckDB's findings about rows, a column would be required in one file and not in another.
_TELLING_OPTIMIZER = "statistics_propagation"
_FULL = ("No space left on device", "Disk quota exceeded", "File too large")
_UNUSABLE = ("BinderException", "CatalogException", "ParserException", "SyntaxException")


@dataclass(frozen=True, slots=True)
class Rows:
    """Written rows.

    Attributes:
        path: path of their file.
        count: number of rows.
    """

    path: Path
    count: int


@dataclass(slots=True)
class CourseMade:
    """The result for a course.

    Attributes:
        tables: written rows by table name.
        left: tables that were not made, each with the reason.
        counts: counts, by the name of the statement that counted: words, and how many.
    """

    tables: dict[str, Rows] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)


def check_installed() -> None:
    """Check that DuckDB is installed.

    Raises:
        ConfigError: it is not.
    """
    try:
        import duckdb  # noqa: F401
    except ImportError:
        raise ConfigError(
            "derive: DuckDB is not installed; install it (pip install 'edxlogs[derive]')"
        ) from None


@dataclass(frozen=True, slots=True)
class Work:
    """What to make for a course.

    Attributes:
        inputs: inputs of the course.
        definitions: everything that is needed, each after those that it needs itself.
        wanted: names of definitions whose rows are written or counted.
        metadata: by name, metadata for the files of the tables.
        folder: folder for new files, which is made and kept. Spilled data go beside it.
    """

    inputs: CourseInputs
    definitions: Sequence[Definition]
    wanted: Collection[str]
    metadata: Mapping[str, Mapping[str, str]]
    folder: Path

    @property
    def is_small(self) -> bool:
        """Whether one thread and little memory are enough."""
        tables = self.inputs.tables.values()
        return sum(file.rows for its in tables for file in its.files) <= _SMALL_ROWS


@dataclass(slots=True)
class _Instance:
    """A DuckDB. Each course has a connection of its own, with everything that is made for it.

    Attributes:
        root: the first connection, which keeps the database alive.
        spill: folder for what does not fit in memory.
        empty: names of its empty tables, for all courses that lack these inputs.
    """

    root: duckdb.DuckDBPyConnection
    spill: Path
    empty: set[str] = field(default_factory=set)

    def close(self) -> None:
        """Release it."""
        self.root.close()
        disk.remove(self.spill)


@dataclass(slots=True)
class Engine:
    """DuckDB within given limits. Several threads may share one. Call `close` at the end.

    Attributes:
        parameters: parameters of all statements.
        memory_bytes: memory that it may use before it spills.
        threads: number of threads.
        output: how messages call the output.
    """

    parameters: Parameters
    memory_bytes: int
    threads: int
    output: str
    _connections: set[duckdb.DuckDBPyConnection] = field(default_factory=set)
    _idle: list[_Instance] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _parsed: dict[str, Any] = field(default_factory=dict)
    _is_stopped: bool = False

    def make(self, work: Work) -> CourseMade:
        """Make the tables of a course, and the counts for its account.

        Small courses use one thread, so that several can be made at once. If a large one runs out
        of memory with all threads, it is made again with one, which needs less.

        Raises:
            OutputError: the disk is full, or cannot be written to.
            ConfigError: a statement is invalid.
            EdxlogsError: the data of this course are faulty, or need more memory.
        """
        import duckdb

        with self._told(work):
            threads = 1 if work.is_small else self.threads
            try:
                return self._made(work, threads)
            except duckdb.OutOfMemoryException:
                if threads == 1:
                    raise
            return self._made(work, 1)

    def _made(self, work: Work, threads: int) -> CourseMade:
        disk.remove(work.folder)
        disk.make_folder(work.folder)
        with self._instance(work, threads) as instance:
            connection = instance.root.cursor()
            self._connections.add(connection)
            try:
                return _Course(self, connection, work, instance.empty).make()
            finally:
                self._connections.discard(connection)
                connection.close()

    def stop(self) -> None:
        """End the running statements with an error. No more are begun."""
        self._is_stopped = True
        for connection in list(self._connections):
            connection.interrupt()

    def run(
        self,
        connection: duckdb.DuckDBPyConnection,
        statement: str,
        values: Sequence[Any] | None = None,
    ) -> duckdb.DuckDBPyConnection:
        """Run a statement. It is parsed once, since it is the same for many courses."""
        if self._is_stopped:
            raise StoppedError("derive: was stopped")
        if (parsed := self._parsed.get(statement)) is None:
            (parsed,) = connection.extract_statements(statement)
            self._parsed[statement] = parsed
        return connection.execute(parsed, values)

    def close(self) -> None:
        """Release what it keeps for further courses."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _instance(self, work: Work, threads: int) -> Iterator[_Instance]:
        """A DuckDB for a course. Small courses take turns with the same one."""
        if not work.is_small:
            self.close()
        try:
            instance = self._idle.pop()
        except IndexError:
            instance = self._opened(work, threads)
        try:
            yield instance
        except BaseException:
            instance.close()
            raise
        if work.is_small:
            self._idle.append(instance)
        else:
            instance.close()

    def _opened(self, work: Work, threads: int) -> _Instance:
        import duckdb

        spill = work.folder.with_name(f"spill-{next(self._numbers)}")
        disk.make_folder(spill)
        share = self.threads if work.is_small else 1
        config: dict[str, Any] = {
            "memory_limit": f"{self.memory_bytes // share}B",
            "threads": threads,
            "temp_directory": os.fspath(spill),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        if work.is_small:
            config["disabled_optimizers"] = f"{_TELLING_OPTIMIZER},{_DEAR_OPTIMIZERS}"
        try:
            root = duckdb.connect(":memory:", config=config)
            root.execute("set global TimeZone = 'UTC'")
        except BaseException:
            disk.remove(spill)
            raise
        return _Instance(root, spill)

    @contextmanager
    def _told(self, work: Work) -> Iterator[None]:
        """Turn what goes wrong with a course into one of our errors."""
        import duckdb

        label = shown(work.inputs.course.id)
        try:
            yield
        except duckdb.OutOfMemoryException as error:
            told = str(error).partition("\n")[0]
            raise EdxlogsError(
                f"course: {label}: needs more than --memory {size(self.memory_bytes)}, or more room"
                f" on the disk to spill; give it more ({shown(told)})"
            ) from error
        except duckdb.Error as error:
            told = str(error).partition("\n")[0]
            is_file = isinstance(error, duckdb.IOException)
            if is_file and any(words in told for words in _FULL):
                raise cannot_write(self.output, OSError(errno.ENOSPC, told)) from error
            if is_file or ".parquet" in told:  # of a damaged file
                raise SourceError(
                    f"course: {label}: {shown(told)}; run again, or make that dataset again in"
                    " another folder"
                ) from error
            raise EdxlogsError(f"course: {label}: {shown(told)}; please report it") from error
        except OSError as error:
            raise cannot_write(self.output, error) from error


@functools.cache
def _words(text: str) -> frozenset[str]:
    """The words of a statement."""
    return frozenset(re.findall(r"\w+", text))


class _Course:
    """Makes the tables of a course."""

    def __init__(
        self,
        engine: Engine,
        connection: duckdb.DuckDBPyConnection,
        work: Work,
        empty: set[str],
    ) -> None:
        self._engine = engine
        self._connection = connection
        self._work = work
        self._inputs = work.inputs
        self._is_small = work.is_small
        self._empty = empty  # what is there without rows, for this course and others
        self._kept: set[str] = set()  # inputs that are tables
        self._tables: set[str] = set()  # derived ones
        self._done = CourseMade()
        self._local: list[Files] = []

    def make(self) -> CourseMade:
        """Run the statements."""
        definitions = self._work.definitions
        self._leave()
        try:
            self._prepare({name for one in definitions for name in one.inputs})
            for number, one in enumerate(definitions):
                if one.name in self._done.left:
                    if one.kind is not Kind.ACCOUNT:
                        schema = [(column.name, column.type) for column in one.columns]
                        self._have_empty(one.name, schema)
                    continue
                later = self._needed(definitions[number + 1 :])
                with self._statement(one):
                    self._carry_out(one, is_needed=one.name in later)
                if not self._is_small:
                    for name in self._tables - later:
                        self._run(f"drop table temp.{quoted(name)}")
                    self._tables &= later
        finally:
            for files in self._local:
                files.forget()
        return self._done

    def _run(
        self, statement: str, values: Sequence[Any] | None = None
    ) -> duckdb.DuckDBPyConnection:
        return self._engine.run(self._connection, statement, values)

    def _set(self, values: Mapping[str, Any]) -> None:
        """Set the variables that `getvariable` returns, by name."""
        sets = (f"set variable {quoted(name)} = {literal(one)}" for name, one in values.items())
        self._connection.execute("; ".join(sets))

    def _have_empty(self, name: str, schema: Sequence[tuple[str, str]]) -> None:
        """Provide an empty table to statements that do not require an input."""
        if name not in self._empty:
            self._run(views.empty_table(name, schema))
            self._empty.add(name)

    def _leave(self) -> None:
        """Note what cannot be made, and why."""
        left = self._done.left
        for one in self._work.definitions:
            for name, is_required in one.inputs.items():
                if is_required and not self._inputs.has(name):
                    left.setdefault(one.name, f"no {name.removeprefix(DATABASE)}")
            for name, is_required in one.needs.items():
                if is_required and name in left:
                    left.setdefault(one.name, left[name])

    def _prepare(self, wanted: set[str]) -> None:
        """Make views of the inputs, and set the variables."""
        inputs, tables = self._inputs, events.event_tables()
        home = {tables[name].parent or name for name in wanted if name in tables}
        of_events = home | {one for name in home for one in views.children_of(name)}
        parameters = self._engine.parameters
        moment, where = None, ""
        if parameters.as_of is not None:
            moment = parameters.end_of(parameters.as_of)
            where = f"where time is null or time < {literal(moment)}"
        elif inputs.day is not None:
            moment = parameters.end_of(datetime.date.fromisoformat(inputs.day))
        values = {
            **parameters.variables(),
            "as_of": moment,
            "course_id": inputs.course.id,
            "has_events": inputs.has_events,
            "has_package": inputs.has_package,
            **{f"has_{name}": inputs.has(name) for name in wanted},
            **{
                f"has_{one.name}": one.name not in self._done.left for one in self._work.definitions
            },
        }
        # Setting each takes time, and the statements of a few tables use only a few.
        asked = set().union(*(_words(one.text) for one in self._work.definitions))
        self._set({name: value for name, value in values.items() if name in asked})
        if moment is None:
            self._run("set variable as_of = null::timestamptz")
        for name in sorted(wanted | of_events):
            self._view(name, where if name in tables else "")
        self._leave_copies(sorted(one for one in home if inputs.has_rows(one)), where)

    def _view(self, name: str, where: str) -> None:
        import duckdb

        inputs = self._inputs
        if name in OLX and inputs.content is not None and inputs.content.rows[name]:
            self._connection.execute(views.content_table(name, inputs.content.rows[name]))
        elif inputs.has_rows(name):
            files = inputs.tables[name]
            self._local.append(files)
            self._set({views.FILES + name: [os.fspath(path) for path in files.local()]})
            if self._is_small:
                self._kept.add(name)
            try:
                self._run(views.view(name, where=where, kept=self._is_small))
            except duckdb.BinderException:
                # Files of another version lack columns.
                self._run(views.view(name, where=where, kept=self._is_small, is_whole=False))
        else:
            self._have_empty(name, views.columns_of(name))

    def _leave_copies(self, home: Sequence[str], where: str) -> None:
        """Replace views of tables that hold exact copies of rows by views without them."""
        if not home:
            return
        counts = self._done.counts.setdefault("events", {})
        for name, count in self._run(views.alike(home)).fetchall():
            if not count:
                continue
            gone, children = f"copies of {name}", views.children_of(name)
            self._run(f"create temp table {quoted(gone)} as {views.copies(name, children)}")
            row = self._run(f"select count(*) from {quoted(gone)}").fetchone()
            if row is None or not row[0]:
                continue
            counts[f"exact copies of rows in {name}"] = row[0]
            for one in (name, *children):
                if one in self._kept:
                    self._run(f"drop table temp.{quoted(one)}")
                elif self._inputs.has_rows(one):
                    self._run(f"drop view temp.{quoted(one)}")
                self._view(one, f"{views.without(gone)} {where}")

    def _carry_out(self, one: Definition, *, is_needed: bool) -> None:
        if one.kind is Kind.ACCOUNT:
            rows = self._run(f"select what, n from ({one.statement}\n) where n > 0").fetchall()
            self._done.counts[one.name] = dict(rows)
            return
        casts = ", ".join(
            f"{quoted(column.name)}::{TYPES[column.type]} as {quoted(column.name)}"
            for column in one.columns
        )
        query = f"select {casts} from ({one.statement}\n)"
        if one.kind is Kind.VIEW and not self._is_small:
            self._run(f"create temp view {quoted(one.name)} as {query}")
            return
        is_written = one.kind is Kind.TABLE and one.name in self._work.wanted
        if is_needed or not is_written or not self._is_small:
            self._run(f"create temp table {quoted(one.name)} as {query}")
            self._tables.add(one.name)
            query = f"from {quoted(one.name)}"
        if is_written:
            self._done.tables[one.name] = self._write(one, query)

    def _write(self, one: Definition, query: str) -> Rows:
        """Write the rows of a table."""
        path = self._work.folder / one.name
        rest = (column.name for column in one.columns if column.name not in one.order)
        order = names([*one.order, *rest])
        self._set({"path": os.fspath(path)})
        self._run("set variable metadata = $1", [dict(self._work.metadata[one.name])])
        if not self._is_small:  # small ones are made without it
            self._run(f"set disabled_optimizers = '{_TELLING_OPTIMIZER}'")
        row = self._run(
            f"copy ({query} order by {order}) to (getvariable('path')) (format parquet, compression"
            f" zstd, row_group_size {ROW_GROUP}, kv_metadata (getvariable('metadata')))"
        ).fetchone()
        if not self._is_small:
            self._run("set disabled_optimizers = ''")
        return Rows(path, 0 if row is None else row[0])

    def _needed(self, later: Sequence[Definition]) -> set[str]:
        """Tables that later statements need, directly or through a view."""
        needed = {need for one in later for need in one.needs}
        for one in reversed(self._work.definitions):
            if one.kind is Kind.VIEW and one.name in needed:
                needed.update(one.needs)
        return needed

    @contextmanager
    def _statement(self, one: Definition) -> Iterator[None]:
        """Name the statement in errors about it."""
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            told = str(error).partition("\n")[0]
            if type(error).__name__ in _UNUSABLE:
                raise ConfigError(f"sql: {one.name}.sql: {shown(told)}") from error
            raise
