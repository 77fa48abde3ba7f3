"""Reads a dataset by its manifest: the state of one commit, with filters pushed down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from edxlogs import _core
from edxlogs.errors import ConfigError
from edxlogs.formats import SAFE, format_by_ending, of_cells
from edxlogs.store.manifest import DataFile, Manifest
from edxlogs.store.place import Place
from edxlogs.store.store import open_manifest

if TYPE_CHECKING:
    import pyarrow.dataset

TOLD = ("date", "month", "year", "course_id", "snapshot_date")
NULL_VALUE = "__HIVE_DEFAULT_PARTITION__"
URL_VALUE = "(url)"


def dataset(place: Place) -> pyarrow.dataset.Dataset:
    """Open a dataset that edxlogs wrote, as its manifest describes it at this moment.

    The result is the state of one commit, old or new, never a mixture. Filters and columns are
    pushed down to partitions, row groups and columns: by `dataset(…).to_table(filter=…)` of
    pyarrow, `polars.scan_pyarrow_dataset(dataset(…))`, or `select … from events` in DuckDB, where
    `events` is the return value. If a run replaces a file in the meantime, reading fails: open the
    dataset again.

    Args:
        place: place of the dataset; for tables of packages, of one table.

    Returns:
        A `pyarrow.dataset.Dataset` with the columns that were written. `date`, `month`, `year`,
            `course_id` and `snapshot_date` are added as text if only the folders tell them.

    Raises:
        ConfigError: there is no dataset; it holds several tables or formats, or lines instead of
            columns; a name in it is not UTF-8; or pyarrow is missing.
        OutputError: its manifest cannot be read.
    """
    try:
        import pyarrow.csv
        import pyarrow.dataset
    except ImportError:
        raise ConfigError(
            "dataset: reading one needs pyarrow; install it (pip install pyarrow)"
        ) from None
    manifest, files = open_files(place)
    form = written_as(manifest, files)
    if not form:
        raise ConfigError(f"dataset: {manifest.name}: is empty; run edxlogs filter again")
    if form.removesuffix(SAFE) in ("csv.zst", "tsv.zst"):
        raise ConfigError(
            f"dataset: {manifest.name}: pyarrow cannot read CSV in zstd; read it with DuckDB or"
            " Polars, or convert to another format"
        )
    keys = [] if manifest.query is None else manifest.query["partition_by"]
    if not files and (of_cells(form) or form in ("parquet", "arrow")):
        return pyarrow.dataset.dataset(_schema_asked(manifest).empty_table())
    if of_cells(form):
        parse = pyarrow.csv.ParseOptions(
            newlines_in_values=True, delimiter="\t" if form.startswith("tsv") else ","
        )
        columns = _csv_columns(manifest, files, parse)
        file_format: Any = pyarrow.dataset.CsvFileFormat(
            parse_options=parse,
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=columns,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        schema = pyarrow.schema(columns.items())
    elif form in ("parquet", "arrow"):
        formats = pyarrow.dataset.ParquetFileFormat, pyarrow.dataset.IpcFileFormat
        file_format = formats[form == "arrow"]()
        filesystem, paths = manifest.place.arrow(_of_each_schema(manifest, files))
        each = (
            pyarrow.dataset.dataset(path, format=file_format, filesystem=filesystem)
            for path in paths
        )
        schema = pyarrow.unify_schemas([one.schema.remove_metadata() for one in each])
    else:
        what = "lines; read them with edxlogs.filter, or edxlogs cat"
        told = manifest.query or {}
        if "holds" in told or "table" in told:
            what = "tables as JSON Lines; read its files, or convert the packages to Parquet"
        raise ConfigError(f"dataset: {manifest.name}: holds {what}")
    for key in keys:
        if key not in schema.names and key in TOLD:
            schema = schema.append(pyarrow.field(key, pyarrow.string()))
    expressions = [_expression(file, manifest, schema.names) for file in files]
    filesystem, paths = manifest.place.arrow(files)
    return pyarrow.dataset.FileSystemDataset.from_paths(
        paths,
        schema=schema,
        format=file_format,
        filesystem=filesystem,
        partitions=expressions,
    )


def open_files(place: Place) -> tuple[Manifest, list[DataFile]]:
    """Open a dataset, or a folder inside one: for tables of packages, the folder of one table.

    Returns:
        The manifest of the dataset, and the files whose rows are meant.

    Raises:
        ConfigError: it is not a dataset, or holds several tables, or one in several formats.
        OutputError: its manifest cannot be read.
    """
    root, below = place.above() or (place, "")
    manifest = open_manifest(root)
    files = data_files(manifest, below)
    if below and not files:
        raise ConfigError(
            f"dataset: {place.name}: the dataset {manifest.name} has no rows there;"
            " name another folder of it"
        )
    if manifest.query is not None and "format" not in manifest.query:
        names = {table_of(file.path) for file in files}
        if len(names) > 1:
            raise ConfigError(
                f"dataset: {manifest.name}: holds several tables; name the folder of one, like"
                f" {manifest.name}/{min(names)}"
            )
        forms = {format_by_ending(file.path) or "" for file in files}
        if len(forms) > 1:
            raise ConfigError(
                f"dataset: {manifest.name}: its files are of several formats,"
                f" {' and '.join(sorted(forms))}; convert each into a folder of its own"
            )
    return manifest, files


def table_of(path: str) -> str:
    """The folders of a file that are not values of partition keys: for tables, the table."""
    return "/".join(part for part in path.split("/")[:-1] if "=" not in part)


def data_files(manifest: Manifest, below: str = "") -> list[DataFile]:
    """The files with rows whose paths begin with `below`, by the bytes of their paths."""
    return [file for file in manifest.files(below) if file.holds_rows and not file.is_folder]


def values_of(path: str) -> dict[str, str | None]:
    """The values of the partition keys in the folders of a file, as written."""
    values = {}
    for folder in path.split("/")[:-1]:
        key, _, value = folder.partition("=")
        values[key] = None if value == NULL_VALUE else value
    return values


def _expression(file: DataFile, manifest: Manifest, names: list[str]) -> Any:
    """What is certain about all rows of a file, from its folders."""
    from pyarrow.dataset import field, scalar

    known = (manifest.query or {}).get("known_courses")
    expression = scalar(True)
    for key, value in values_of(file.path).items():
        if key not in names or (key == "course_id" and value is None and known is not None):
            continue
        if value is None:
            # Empty text is in that folder, too.
            if key in ("date", "month", "year", "snapshot_date"):
                expression &= field(key).is_null()
        elif value != URL_VALUE and "~" not in value:
            expression &= field(key) == unquote(value)
    return expression


def written_as(manifest: Manifest, files: Sequence[DataFile]) -> str:
    """The format of the rows; empty if there was no commit yet, or if there are no rows."""
    named: str | None = (manifest.query or {}).get("format")
    return named or (files and format_by_ending(files[0].path)) or ""


def _schema_asked(manifest: Manifest) -> pyarrow.Schema:
    """The columns of a dataset of events without rows, as its query asks for them.

    Raises:
        ConfigError: they are those of a table that a user defined.
    """
    import pyarrow

    told = manifest.query or {}
    if "table" in told:
        if "definition" in told:
            raise ConfigError(
                f"dataset: {manifest.name}: has no rows yet, so its columns are not known"
            )
        types = _types()
        return pyarrow.schema([(name, types[kind]) for name, kind in _of_table(told)])
    query = _core.Query(columns=(manifest.query or {}).get("columns"))
    stream = _core.BatchStream(query, _core.Control())
    return pyarrow.RecordBatchReader.from_stream(stream).schema


def _csv_columns(manifest: Manifest, files: list[DataFile], parse: Any) -> dict[str, Any]:
    """Types of CSV columns: known for the default columns, text for others."""
    import pyarrow.csv

    types = _types()
    known = {name: types[kind] for name, kind, *_ in _core.columns()}
    known |= {name: types[kind] for name, kind in _of_table(manifest.query or {})}
    columns: dict[str, Any] = {}
    filesystem, paths = manifest.place.arrow(_of_each_schema(manifest, files))
    for path in paths:
        with (
            filesystem.open_input_stream(path) as stream,
            pyarrow.csv.open_csv(stream, parse_options=parse) as reader,
        ):
            columns |= {name: known.get(name, pyarrow.string()) for name in reader.schema.names}
    return columns


def _types() -> dict[str, Any]:
    """The types of columns, by their names in the core and in table definitions."""
    import pyarrow

    micros = pyarrow.timestamp("us", "UTC")
    return {
        "string": pyarrow.string(),
        "int64": pyarrow.int64(),
        "float64": pyarrow.float64(),
        "bool": pyarrow.bool_(),
        "timestamp": micros,
        "timestamp[us, UTC]": micros,
    }


def _of_table(query: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Name and type of the columns of a built-in event table; empty for any other dataset."""
    if "table" not in query or "definition" in query:
        return ()
    from edxlogs.edx.event_tables import event_tables  # few datasets need them

    table = event_tables().get(query["table"])
    return () if table is None else table.schema


def _of_each_schema(manifest: Manifest, files: list[DataFile]) -> list[DataFile]:
    """Files that together have all columns. Only files of events all have the same columns."""
    return files if "format" not in (manifest.query or {}) else files[:1]
