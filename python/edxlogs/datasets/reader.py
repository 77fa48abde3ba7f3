"""Reading a dataset by its manifest: the state of one commit, with filters pushed down."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from edxlogs import _core
from edxlogs.errors import ConfigError
from edxlogs.store.manifest import DataFile, Manifest
from edxlogs.store.store import open_manifest, place_of

if TYPE_CHECKING:
    import pyarrow.dataset

NULL_VALUE = "__HIVE_DEFAULT_PARTITION__"
URL_VALUE = "(url)"


def dataset(folder: str | os.PathLike[str]) -> pyarrow.dataset.Dataset:
    """Open a dataset that edxlogs wrote, as its manifest has it at this moment.

    What is read is the state of one commit, old or new, never some of both. Filters and columns are
    pushed down to partitions, row groups and columns: `dataset(…).to_table(filter=…)` of pyarrow,
    `polars.scan_pyarrow_dataset(dataset(…))`, or `select … from events` of DuckDB, where `events`
    is what this returns. A run that replaces a file while it is read makes reading it fail: open
    the dataset again.

    Args:
        folder: the dataset.

    Returns:
        A `pyarrow.dataset.Dataset` of the columns written, and of `date`, `month` and `year` as
        text, where the dataset is partitioned by them.

    Raises:
        ConfigError: the folder is no dataset, holds lines rather than columns, has a name that is
            not UTF-8, or pyarrow is missing.
        OutputError: its manifest cannot be read.
    """
    try:
        import pyarrow.csv
        import pyarrow.dataset
        import pyarrow.fs
        import pyarrow.parquet
    except ImportError:
        raise ConfigError(
            "dataset: reading one needs pyarrow; install it (pip install pyarrow)"
        ) from None
    folder = Path(folder)
    manifest = open_manifest(folder)
    try:
        os.fspath(folder).encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"dataset: {manifest.name}: pyarrow reads only names in UTF-8; rename the folder"
        ) from None
    form = _format(manifest)
    files = data_files(manifest)
    keys = [] if manifest.query is None else manifest.query["partition_by"]
    if form.startswith("csv"):
        columns = _csv_columns(manifest, folder, files)
        file_format: Any = pyarrow.dataset.CsvFileFormat(
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=columns,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        schema = pyarrow.schema(columns.items())
    elif form == "parquet":
        file_format = pyarrow.dataset.ParquetFileFormat()
        schema = (
            pyarrow.schema([])
            if not files
            else pyarrow.parquet.read_schema(place_of(folder, files[0])).remove_metadata()
        )
    else:
        raise ConfigError(
            f"dataset: {manifest.name}: holds lines; read them with edxlogs.filter, or edxlogs cat"
        )
    for key in keys:
        if key not in schema.names and key in ("date", "month", "year"):
            schema = schema.append(pyarrow.field(key, pyarrow.string()))
    expressions = [_expression(file, manifest, schema.names) for file in files]
    return pyarrow.dataset.FileSystemDataset.from_paths(
        [os.fspath(place_of(folder, file)) for file in files],
        schema=schema,
        format=file_format,
        filesystem=pyarrow.fs.LocalFileSystem(),
        partitions=expressions,
    )


def data_files(manifest: Manifest) -> list[DataFile]:
    """The files with rows, by the bytes of their paths."""
    return [file for file in manifest.files() if file.holds_rows]


def values_of(path: str) -> dict[str, str | None]:
    """What the folders of a file tell: the values of the partition keys, as they are written."""
    values = {}
    for folder in path.split("/")[:-1]:
        key, _, value = folder.partition("=")
        values[key] = None if value == NULL_VALUE else value
    return values


def _expression(file: DataFile, manifest: Manifest, names: list[str]) -> Any:
    """What holds for all rows of a file, as far as its folders tell for sure."""
    from pyarrow.dataset import field, scalar

    known = (manifest.query or {}).get("known_courses")
    expression = scalar(True)
    for key, value in values_of(file.path).items():
        if key not in names or (key == "course_id" and value is None and known is not None):
            continue
        if value is None:
            # Text that is empty stands there too.
            if key in ("date", "month", "year"):
                expression &= field(key).is_null()
        elif value != URL_VALUE and "~" not in value:
            expression &= field(key) == unquote(value)
    return expression


def _format(manifest: Manifest) -> str:
    if manifest.query is None:
        raise ConfigError(f"dataset: {manifest.name}: is empty; run edxlogs filter again")
    form: str = manifest.query["format"]
    return form


def _csv_columns(manifest: Manifest, folder: Path, files: list[DataFile]) -> dict[str, Any]:
    """Types of the columns of CSV: those of the default columns; of others, text."""
    import pyarrow.csv

    types = {
        "string": pyarrow.string(),
        "int64": pyarrow.int64(),
        "timestamp[us, UTC]": pyarrow.timestamp("us", "UTC"),
    }
    known = {name: types[kind] for name, kind, *_ in _core.columns()}
    if not files:
        return {}
    with pyarrow.csv.open_csv(place_of(folder, files[0])) as reader:
        return {name: known.get(name, pyarrow.string()) for name in reader.schema.names}
