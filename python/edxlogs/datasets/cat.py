"""The rows of a dataset, by its manifest, to a file or to a pipe."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from edxlogs import _core
from edxlogs.datasets.reader import dataset, open_files, written_as
from edxlogs.errors import ConfigError, EdxlogsError, SourceError, cannot_write, written_to
from edxlogs.formats import STDOUT, format_of
from edxlogs.store.file import OutputFile
from edxlogs.store.manifest import DataFile, Manifest
from edxlogs.store.store import place_of
from edxlogs.text import shown


@dataclass(frozen=True, slots=True)
class CatSettings:
    """Which rows of a dataset, and where to.

    Attributes:
        folder: of the dataset.
        output: path of a file, or `-`.
        format_name: csv, parquet or arrow; None: by the ending, else CSV.
        asked: columns, and the exact values that are wanted in each.
        since: first instant, microseconds since 1970 UTC; None for no start.
        until: instant that follows the last one; None for no end.
        columns: in that order; None means all.
        overwrite: whether a file that is there may be replaced.
    """

    folder: Path
    output: str = STDOUT
    format_name: str | None = None
    asked: Mapping[str, Sequence[str]] = field(default_factory=dict)
    since: int | None = None
    until: int | None = None
    columns: Sequence[str] | None = None
    overwrite: bool = False

    @property
    def chooses(self) -> bool:
        """Whether not all is meant."""
        times = (self.since, self.until)
        return bool(self.asked) or self.columns is not None or times != (None, None)


def cat(settings: CatSettings) -> None:
    """Write the rows of a dataset, those of one commit.

    Raises:
        ConfigError: something asked for cannot be used.
        SourceError: a file of the dataset is missing or damaged.
        OutputError: the output cannot be written.
    """
    folder, target = settings.folder, settings.output
    _refuse_inside(folder, target)
    with ExitStack() as stack:
        file = None
        if target != STDOUT:
            file = stack.enter_context(OutputFile(target, overwrite=settings.overwrite))
        descriptor = 1 if file is None else file.create()
        root, manifest, files = open_files(folder)
        _refuse_incomplete(root, manifest, files)
        where = "stdout" if file is None else file.name
        with written_to(where), open(descriptor, "wb", closefd=False) as out:
            form = written_as(manifest, files)
            if form.startswith("jsonl"):
                _cat_lines(settings, [place_of(root, one) for one in files], form, out)
            else:
                _cat_columns(settings, out, where)
        if file is not None:
            file.publish()


def _refuse_inside(folder: Path, target: str) -> None:
    """An output in the dataset would replace its files, or be one of them for readers."""
    if target != STDOUT and folder.resolve() in Path(target).resolve().parents:
        raise ConfigError(f"output: {shown(target)}: is inside the dataset; name another place")


def _refuse_incomplete(folder: Path, manifest: Manifest, files: Sequence[DataFile]) -> None:
    """Find out about files that are gone or cut before a row is written."""
    for file in files:
        try:
            is_whole = place_of(folder, file).stat().st_size == file.bytes
        except OSError:
            is_whole = False
        if not is_whole:
            raise _unreadable(f"{manifest.name}: {shown(file.path)}")


def _unreadable(what: str) -> SourceError:
    return SourceError(
        f"dataset: {what}: is missing or damaged; restore it, or make the dataset anew in another"
        " folder"
    )


@contextmanager
def _reads(folder: Path) -> Iterator[None]:
    """Name the dataset whose files cannot be read; what readers say may hold its rows."""
    try:
        yield
    except EdxlogsError:
        raise
    except (OSError, ValueError) as error:
        raise _unreadable(f"{shown(os.fspath(folder))}: a file of it") from error


def _cat_lines(settings: CatSettings, files: Sequence[Path], form: str, out: BinaryIO) -> None:
    name = shown(os.fspath(settings.folder))
    if settings.chooses:
        raise ConfigError(
            f"dataset: {name}: holds lines, which cat gives whole; choose among"
            " them with edxlogs filter"
        )
    columns = settings.format_name or settings.output.rpartition(".")[2]
    if columns in ("csv", "parquet", "arrow"):
        raise ConfigError(
            f"format: {name}: holds lines, which cat gives whole; choose a name that ends"
            f" in .{form}"
        )
    for path in files:
        _core.copy_lines(path, form, out.fileno())


def _cat_columns(settings: CatSettings, out: BinaryIO, where: str) -> None:
    folder = settings.folder
    with _reads(folder):
        events = dataset(folder)
    import pyarrow.csv
    import pyarrow.dataset
    import pyarrow.parquet

    condition = pyarrow.dataset.scalar(True)
    for column, asked in settings.asked.items():
        condition &= pyarrow.dataset.field(column).isin(list(asked))
    time = pyarrow.dataset.field("time")
    micros = pyarrow.timestamp("us", "UTC")
    if settings.since is not None:
        condition &= time >= pyarrow.scalar(settings.since, micros)
    if settings.until is not None:
        condition &= time < pyarrow.scalar(settings.until, micros)
    columns = None if settings.columns is None else list(settings.columns)
    try:
        scanner = events.scanner(columns=columns, filter=condition)
    except pyarrow.ArrowInvalid:
        raise ConfigError(
            f"columns: it has {', '.join(events.schema.names)}; choose among them"
        ) from None
    form = settings.format_name
    if form is None:
        form = "csv" if settings.output == STDOUT else format_of(settings.output, None)
    schema = scanner.projected_schema
    writers: dict[str, Callable[[], Any]] = {
        "csv": lambda: pyarrow.csv.CSVWriter(out, schema),
        "parquet": lambda: pyarrow.parquet.ParquetWriter(out, schema, compression="zstd"),
        "arrow": lambda: pyarrow.ipc.new_stream(out, schema),
    }
    if form not in writers:
        raise ConfigError("format: cat writes csv, parquet or arrow; choose another ending")

    def batches() -> Iterator[Any]:
        with _reads(folder):
            yield from scanner.to_batches()

    try:
        with writers[form]() as writer:
            for batch in batches():
                writer.write_batch(batch)
    except (BrokenPipeError, EdxlogsError):
        raise
    except OSError as error:
        raise cannot_write(where, error) from error
