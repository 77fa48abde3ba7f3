"""Writes the rows of a dataset, as its manifest lists them, to a file or a pipe."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from edxlogs import _core
from edxlogs.datasets.reader import dataset, open_files, values_of, written_as
from edxlogs.edx.layout import Days
from edxlogs.edx.names import describe_name
from edxlogs.errors import ConfigError, EdxlogsError, SourceError, written_to
from edxlogs.formats import SAFE, STDOUT, format_of, of_cells, of_lines
from edxlogs.globs import is_value_glob
from edxlogs.store.file import OutputFile
from edxlogs.store.manifest import DataFile, Manifest
from edxlogs.store.place import Place
from edxlogs.text import many, shown
from edxlogs.threads import in_worker

SCHEMA_VERSION = 1
_TOLD_APART = re.compile(r"~[0-9a-f]{8}\Z")  # ends a name that another text had before
_PLACE = re.compile(r"""(?<![.\w"\]])(line|line_item|source)\b(?!["\w(])""")
_PUSHED = {"courses": ("course_id",), "sites": ("site",), "event_types": ("event_type", "name")}
"""Conditions on exact values that can rule out whole files, and the columns they refer to."""


@dataclass(frozen=True, slots=True)
class CatSettings:
    """Which rows of a dataset to write, and where.

    Attributes:
        place: place of the dataset.
        output: path of a file, or `-`.
        format_name: one of `FORMATS`. None: as the output's name ends, else CSV, or lines as they
            are.
        conditions: names and values, as `_core.Query` takes them.
        days: days of the logs, by their names; None means all.
        since: first instant, microseconds since 1970 UTC; None for no start.
        until: the instant after the last one; None for no end.
        by_received_at: whether these are times of receipt.
        lines: makes the query for a dataset of lines, given the dataset's own query.
        columns: columns in output order, as `--columns` takes them; None means all.
        csv_excel_safe: whether to disarm cells that a spreadsheet would run as formulas.
        overwrite: whether an existing file may be replaced.
        metadata: key-value pairs for the footer of Parquet.
    """

    place: Place
    output: str = STDOUT
    format_name: str | None = None
    conditions: Sequence[tuple[str, Sequence[str]]] = ()
    days: Days | None = None
    since: int | None = None
    until: int | None = None
    by_received_at: bool = False
    lines: Callable[[Mapping[str, Any]], _core.Query] | None = None
    columns: Sequence[str] | None = None
    csv_excel_safe: bool = False
    overwrite: bool = False
    metadata: Sequence[tuple[str, str]] = field(default_factory=list)

    @property
    def has_conditions(self) -> bool:
        """Whether some rows may be left out."""
        others = (self.days, self.since, self.until)
        return bool(self.conditions) or any(one is not None for one in others)

    def form(self, default: str) -> str:
        """The format of the output.

        Raises:
            ConfigError: the ending of the name and the format contradict each other.
        """
        named = self.format_name
        if named is None and self.output == STDOUT:
            named = default
        form = format_of(self.output, named)
        if self.csv_excel_safe and not of_cells(form):
            raise ConfigError("csv-excel-safe: is for CSV, TSV; leave it out, or add --format csv")
        return f"{form}{SAFE}" if self.csv_excel_safe else form


@dataclass(frozen=True, slots=True, repr=False)
class Copied:
    """The result of `cat`.

    Attributes:
        rows: number of rows; None for lines that were copied unchanged.
        output: where they were written, as messages call it.
        warnings: values that were asked for but not found.
    """

    rows: int | None
    output: str
    warnings: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Always true: an error was raised if anything could not be written."""
        return True

    def report(self) -> dict[str, Any]:
        """The result as a JSON document."""
        told = {"output": self.output, "rows": self.rows, "warnings": self.warnings}
        return {"schema_version": SCHEMA_VERSION, "version": _core.__version__, **told}

    def __str__(self) -> str:
        rows = "all lines" if self.rows is None else many(self.rows, "row")
        return "\n".join([*self.warnings, f"{rows} to {self.output}"])

    __repr__ = __str__


def cat(settings: CatSettings) -> Copied:
    """Write the rows of a dataset, all from the same commit.

    Raises:
        ConfigError: a value is invalid, or the dataset lacks a column that is needed.
        SourceError: a file of the dataset is missing or damaged.
        OutputError: the output cannot be written.
    """
    place, target = settings.place, settings.output
    with ExitStack() as stack:
        manifest, files = open_files(place)
        if (bad := manifest.place.first_not_whole(files)) is not None:
            raise unreadable(f"{manifest.name}: {shown(bad.path)}")
        stored = written_as(manifest, files)
        warnings = _absent_days(settings, manifest)
        write = _lines_of if of_lines(stored) else _rows_of
        copy = write(settings, manifest, files)
        file = None
        if target != STDOUT:
            file = stack.enter_context(OutputFile(target, overwrite=settings.overwrite))
        descriptor = 1 if file is None else file.create()
        where = "stdout" if file is None else file.name
        with written_to(where):
            rows = in_worker(lambda: copy(descriptor))
        if file is not None:
            file.publish()
    if rows == 0 and settings.has_conditions and not warnings:
        warnings.append(f"{manifest.name}: no row of it matches")
    return Copied(rows, where, warnings)


def _logs(manifest: Manifest) -> dict[str, datetime.date | None]:
    """Names of the logs in a dataset, as rows show them, each with the day in it."""
    names = {one.name for one in manifest.inputs() if one.name is not None}
    return {name: describe_name(_TOLD_APART.sub("", name)).date for name in names}


def _absent_days(settings: CatSettings, manifest: Manifest) -> list[str]:
    """Say which days there are, if none of the days asked for is."""
    if settings.days is None:
        return []
    there = [day for day in _logs(manifest).values() if day is not None]
    if not there or any(day in settings.days for day in there):
        return []
    return [
        f"days: {settings.days}: no log of {manifest.name} is from these days; there are logs"
        f" from {min(there)} to {max(there)}"
    ]


def unreadable(what: str) -> SourceError:
    """The error for a dataset whose files cannot be read."""
    return SourceError(
        f"dataset: {what}: is missing or damaged; restore it, or make the dataset again in"
        " another folder"
    )


@contextmanager
def reads(place: Place) -> Iterator[None]:
    """Name the dataset in errors of reading, and hide readers' own messages: they may hold rows."""
    try:
        yield
    except EdxlogsError:
        raise
    except (OSError, ValueError) as error:
        raise unreadable(f"{place.name}: a file of it") from error


def _place_asked(settings: CatSettings) -> str | None:
    """A column in an expression that says where a line was, or None."""
    for name, values in settings.conditions:
        for text in values if name == "expressions" else ():
            masked = _core.expression(text, hides_values=True)
            if match := _PLACE.search(masked):
                return match[1]
    return None


def _lines_of(
    settings: CatSettings, manifest: Manifest, files: Sequence[DataFile]
) -> Callable[[int], int | None]:
    """Make the function that writes the matching lines of a dataset of lines."""
    stored, form = written_as(manifest, files), settings.form("jsonl")
    told = manifest.query or {}
    is_partial = settings.columns is not None or settings.has_conditions
    is_table = "holds" in told or "table" in told
    if is_table and (is_partial or form != "jsonl"):
        raise ConfigError(
            f"dataset: {manifest.name}: holds tables as JSON Lines, which cat only copies whole,"
            " as .jsonl; for columns, conditions and other formats, make the tables as Parquet"
        )
    if settings.columns is not None:
        raise ConfigError(
            f"dataset: {manifest.name}: holds lines, which have no columns; turn them into"
            " columns with edxlogs filter"
        )
    if not of_lines(form):
        raise ConfigError(
            f"format: {manifest.name}: holds lines, which cat only copies whole; choose a name"
            " that ends"
            " in .jsonl"
        )
    if form == "jsonl" and not settings.has_conditions:

        def copy(descriptor: int) -> None:
            for file in files:
                _core.copy_lines(manifest.place.local(file), stored, descriptor)
                manifest.place.forget([file])

        return copy
    query = query_of_lines(settings, manifest)

    def scan(descriptor: int) -> int:
        output = _core.Output(descriptor, query, form, [])
        rows = 0
        for file in files:
            site = values_of(file.path).get("site")
            counts, error = _core.scan(
                os.fspath(manifest.place.local(file)),
                query,
                output,
                name=file.path,
                site=None if site is None else unquote(site),
                control=_core.Control(),
            )
            if counts["rejected"] or (error is not None and not isinstance(error, EdxlogsError)):
                raise unreadable(f"{manifest.name}: {shown(file.path)}")
            if error is not None:
                raise error
            rows += counts["rows"]
            manifest.place.forget([file])
        output.finish(sync=settings.output != STDOUT)
        return rows

    return scan


def query_of_lines(settings: CatSettings, manifest: Manifest) -> _core.Query:
    """Make the query for a dataset of lines.

    Raises:
        ConfigError: a condition asks for something that lines do not tell.
    """
    told = manifest.query or {}
    asks_site = any(name.endswith("sites") for name, _ in settings.conditions)
    if asks_site and "site" not in told.get("partition_by", ()):
        raise ConfigError(
            f"site: {manifest.name}: holds lines, which do not record their site; filter the"
            " logs by site instead"
        )
    name = _place_asked(settings) if settings.days is None else "days"
    if name is not None:
        raise ConfigError(
            f"{name}: {manifest.name}: holds lines, which do not record where they were; filter"
            " the logs instead"
        )
    assert settings.lines is not None
    return settings.lines(told)


def _rows_of(
    settings: CatSettings, manifest: Manifest, files: Sequence[DataFile]
) -> Callable[[int], int | None]:
    """Make the function that writes the matching rows of a dataset of columns."""
    place, form = settings.place, settings.form("csv")
    stored, scanner = scanner_of(settings, manifest)

    def write(descriptor: int) -> int:
        with reads(place):
            return stored.write(scanner.to_reader(), descriptor, form, settings.metadata)

    return write


def scanner_of(
    settings: CatSettings, manifest: Manifest, those_of: Sequence[str] | None = None
) -> tuple[_core.StoredQuery, Any]:
    """The query for a dataset of columns, and pyarrow's scanner of its rows.

    Args:
        settings: what is asked for.
        manifest: manifest of the dataset.
        those_of: columns to read, if the dataset has them; None takes those of the settings.
    """
    place = settings.place
    with reads(place):
        events = dataset(place)
    columns = settings.columns
    told = manifest.query or {}
    if those_of is not None:
        columns = [name for name in those_of if name in events.schema.names]
    elif columns is None and "partition_by" in told:
        # `filter` writes no such column; one of that name may be the user's own.
        own = {one.partition("=")[0].strip() for one in told.get("columns") or ()}
        of_folders = {"date", "month", "year"} - own
        names = [name for name in events.schema.names if name not in of_folders]
        columns = [_quoted(name) for name in names]

    def query(schema: Any) -> _core.StoredQuery:
        return _core.StoredQuery(
            schema,
            conditions=settings.conditions,
            since=settings.since,
            until=settings.until,
            by_received_at=settings.by_received_at,
            columns=columns,
        )

    needed = query(events.schema).needed
    wanted = _pushed(settings, events.schema) & _of_days(settings, manifest, events.schema)
    scanner = events.scanner(columns=needed, filter=wanted)
    return query(scanner.projected_schema), scanner


def _of_days(settings: CatSettings, manifest: Manifest, schema: Any) -> Any:
    """A filter for rows from logs of the days asked for, and from logs without a day.

    Raises:
        ConfigError: rows do not name their log.
    """
    import pyarrow
    from pyarrow.dataset import field as column
    from pyarrow.dataset import scalar

    if settings.days is None:
        return scalar(True)
    if "source" not in schema.names:
        raise ConfigError(
            f"days: {manifest.name}: its rows do not record their log; use --since and --until"
        )
    both = _logs(manifest).items()
    names = [name for name, day in both if day in settings.days]
    return column("source").isin(pyarrow.array(names, pyarrow.string()))


def _quoted(name: str) -> str:
    """The path of a column, for any column name."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _pushed(settings: CatSettings, schema: Any) -> Any:
    """A filter that every matching row passes, from which pyarrow can rule out files."""
    import pyarrow
    from pyarrow.dataset import field as column
    from pyarrow.dataset import scalar

    condition = scalar(True)
    for name, values in settings.conditions:
        held = [one for one in _PUSHED.get(name, ()) if one in schema.names]
        if held and not any(map(is_value_glob, values)):
            any_of = [column(one).isin(list(values)) for one in held]
            condition &= any_of[0] if len(any_of) == 1 else any_of[0] | any_of[1]
    micros = pyarrow.timestamp("us", "UTC")
    if (
        not settings.by_received_at
        and "time" in schema.names
        and schema.field("time").type == micros
    ):
        if settings.since is not None:
            condition &= column("time") >= pyarrow.scalar(settings.since, micros)
        if settings.until is not None:
            condition &= column("time") < pyarrow.scalar(settings.until, micros)
    return condition
