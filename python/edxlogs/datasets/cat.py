"""What `edxlogs cat` does: the rows of a dataset, by its manifest, to a file or to a pipe."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from edxlogs import _core
from edxlogs.datasets.reader import data_files, dataset
from edxlogs.errors import ConfigError, EdxlogsError, SourceError, cannot_write
from edxlogs.jobs.filter import split_columns, written_to
from edxlogs.store.file import STDOUT, OutputFile, format_of
from edxlogs.store.manifest import Manifest
from edxlogs.store.store import open_manifest, place_of
from edxlogs.text import shown
from edxlogs.values import micros, values

_CONDITIONS = {"course": "course_id", "event_type": "event_type", "site": "site"}


def cat_dataset(folder: Path, options: dict[str, Any]) -> int:
    """Run `edxlogs cat`; its exit status."""
    target: str = options["output"]
    _refuse_inside(folder, target)
    with ExitStack() as stack:
        file = None
        if target != STDOUT:
            file = stack.enter_context(OutputFile(target, overwrite=options["overwrite"]))
        descriptor = 1 if file is None else file.create()
        manifest = open_manifest(folder)
        _refuse_incomplete(folder, manifest)
        where = "stdout" if file is None else file.name
        with written_to(where), open(descriptor, "wb", closefd=False) as out:
            form = "" if manifest.query is None else manifest.query["format"]
            if form.startswith("jsonl"):
                _cat_lines(folder, manifest, form, options, out)
            else:
                _cat_columns(folder, options, out, where)
        if file is not None:
            file.publish()
    return 0


def _refuse_inside(folder: Path, target: str) -> None:
    """An output in the dataset would replace its files, or be one of them for readers."""
    if target != STDOUT and folder.resolve() in Path(target).resolve().parents:
        raise ConfigError(f"output: {shown(target)}: is inside the dataset; name another place")


def _refuse_incomplete(folder: Path, manifest: Manifest) -> None:
    """Find out about files that are gone or cut before a row is written."""
    for file in data_files(manifest):
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


def _cat_lines(
    folder: Path, manifest: Manifest, form: str, options: dict[str, Any], out: BinaryIO
) -> None:
    if any(options[name] for name in (*_CONDITIONS, "since", "until", "columns")):
        raise ConfigError(
            f"dataset: {manifest.name}: holds lines, which cat gives whole; choose among"
            " them with edxlogs filter"
        )
    columns = options["format_name"] or options["output"].rpartition(".")[2]
    if columns in ("csv", "parquet", "arrow"):
        raise ConfigError(
            f"format: {manifest.name}: holds lines, which cat gives whole; choose a name that ends"
            f" in .{form}"
        )
    for one in data_files(manifest):
        _core.copy_lines(place_of(folder, one), form, out.fileno())


def _cat_columns(folder: Path, options: dict[str, Any], out: BinaryIO, where: str) -> None:
    with _reads(folder):
        events = dataset(folder)
    import pyarrow.csv
    import pyarrow.dataset
    import pyarrow.parquet

    condition = pyarrow.dataset.scalar(True)
    for option, column in _CONDITIONS.items():
        if options[option]:
            condition &= pyarrow.dataset.field(column).isin(values(option, list(options[option])))
    time = pyarrow.dataset.field("time")
    for bound in ("since", "until"):
        if (moment := micros(bound, options[bound])) is not None:
            instant = pyarrow.scalar(moment, pyarrow.timestamp("us", "UTC"))
            condition &= (time >= instant) if bound == "since" else (time < instant)
    columns = split_columns(options["columns"])
    try:
        scanner = events.scanner(columns=columns, filter=condition)
    except pyarrow.ArrowInvalid:
        raise ConfigError(
            f"columns: it has {', '.join(events.schema.names)}; choose among them"
        ) from None
    form = options["format_name"]
    if form is None:
        form = "csv" if options["output"] == STDOUT else format_of(options["output"], None)
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
