"""Files of a dataset as Delta describes them: columns, partition values, bounds of values."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import orjson

from edxlogs.datasets.reader import values_of
from edxlogs.delta.log import SHA256, Action
from edxlogs.errors import ConfigError, SourceError
from edxlogs.store.manifest import DataFile
from edxlogs.text import shown

if TYPE_CHECKING:
    import pyarrow

_MOST_LETTERS = 64  # of text that is told as the least or the greatest
_TYPES = {
    "string": "string",
    "int64": "long",
    "double": "double",
    "bool": "boolean",
    "date32[day]": "date",
    "timestamp[us, tz=UTC]": "timestamp",
}
_OF_TIME = ("date", "month", "year")
_MOMENTS = ("date", "timestamp")


class Columns:
    """The columns of a table. Files may add to them.

    Args:
        table: its name, as messages call it.
        schema: its schema in Delta so far; None for a new table.
    """

    def __init__(self, table: str, schema: str | None) -> None:
        self._table = table
        self._fields: dict[str, dict[str, Any]] = {}
        for field in [] if schema is None else orjson.loads(schema)["fields"]:
            self._fields[field["name"]] = field

    def enter(self, schema: pyarrow.Schema) -> None:
        """Add the columns of a file.

        Raises:
            ConfigError: Delta has no such type, or would have two columns of the same name.
        """
        for field in schema:
            kind = _TYPES.get(str(field.type))
            known = self._fields.get(field.name)
            if kind is None or (known is not None and known["type"] != kind):
                raise ConfigError(
                    f"publish: {self._table}: column {shown(field.name)}: {field.type} has no"
                    " counterpart in Delta; read the dataset with edxlogs.dataset"
                )
            if known is None:
                self._add(field.name, kind)

    def add_keys(self, names: Sequence[str]) -> None:
        """Add columns that are in no file, but whose values are in the log."""
        for name in names:
            self._add(name, "string")

    def _add(self, name: str, kind: str) -> None:
        for other in self._fields:
            if other.lower() == name.lower():
                raise ConfigError(
                    f"publish: {self._table}: columns {shown(other)} and {shown(name)} are the same"
                    " for Delta; name one differently with --columns"
                )
        self._fields[name] = {"name": name, "type": kind, "nullable": True, "metadata": {}}

    def tells(self, key: str) -> bool:
        """Whether they include a key, so that folders need not give its value.

        Some readers take a table as partitioned by all its folders or by none.
        """
        return key in self._fields or (key in _OF_TIME and "time" in self._fields)

    def schema(self) -> str:
        """The schema as Delta writes it."""
        told = {"type": "struct", "fields": list(self._fields.values())}
        return orjson.dumps(told).decode()

    def bounded(self, keys: Sequence[str]) -> dict[str, str]:
        """Columns whose least and greatest values tell which files are needed, with their types."""
        return {
            name: field["type"]
            for name, field in self._fields.items()
            if field["type"] in _MOMENTS or (field["type"] == "string" and name in keys)
        }


def log_path(path: str) -> str:
    """A path as the log writes it: a relative URI."""
    return quote(path, safe="/=()~!*'$&,;@")


def added(
    file: DataFile, place: Path, footer: Any, keys: Sequence[str], bounded: Mapping[str, str]
) -> Action:
    """A file as Delta describes it.

    Args:
        file: the file, with its path relative to the table.
        place: where it is.
        footer: its Parquet metadata.
        keys: columns whose values are in the log.
        bounded: columns whose least and greatest values are in the log, and their types.
    """
    values = values_of(file.path)
    return {
        "path": log_path(file.path),
        "partitionValues": {key: _key_value(values.get(key)) for key in keys},
        "size": file.bytes,
        "modificationTime": place.stat().st_mtime_ns // 1_000_000,
        "dataChange": True,
        "tags": {SHA256: file.sha256},
        "stats": orjson.dumps(_stats(file, footer, bounded)).decode(),
    }


def _key_value(value: str | None) -> str | None:
    """The value of a folder, if its name gives it exactly."""
    return None if value is None or "~" in value else unquote(value)


def _stats(file: DataFile, footer: Any, bounded: Mapping[str, str]) -> dict[str, Any]:
    """The statistics by which readers rule out files."""
    least: dict[str, Any] = {}
    greatest: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for at in range(footer.num_columns):
        name = footer.schema.column(at).path
        if name not in bounded:
            continue
        groups = [footer.row_group(group).column(at) for group in range(footer.num_row_groups)]
        told = [one.statistics for one in groups]
        if any(one is None or not one.has_null_count for one in told):
            continue
        nulls[name] = sum(one.null_count for one in told)
        # A row group with only nulls has no bounds.
        held = [one for one in told if one.has_min_max]
        if not held or any(one.num_values and not one.has_min_max for one in told):
            continue
        low = _bound(min(one.min for one in held), bounded[name], up=False)
        high = _bound(max(one.max for one in held), bounded[name], up=True)
        if low is not None and high is not None:
            least[name], greatest[name] = low, high
    bounds = {"minValues": least, "maxValues": greatest, "nullCount": nulls}
    return {"numRecords": file.rows, **bounds}


def _bound(value: Any, kind: str, *, up: bool) -> Any:
    """A value as Delta's statistics write it; None to leave it out."""
    if kind == "timestamp":
        # Delta's statistics have milliseconds.
        left = value.microsecond % 1000
        step = 1000 - left if up and left else -left
        whole = value.astimezone(datetime.UTC) + datetime.timedelta(microseconds=step)
        return whole.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if kind == "date":
        return value.isoformat()
    return value if len(value) <= _MOST_LETTERS else None


def footer_of(file: DataFile, place: Path, table: str) -> Any:
    """The Parquet metadata of a complete file.

    Raises:
        SourceError: the file is missing or incomplete.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        footer = pyarrow.parquet.read_metadata(place)
        is_whole = place.stat().st_size == file.bytes and footer.num_rows == file.rows
    except (OSError, pyarrow.ArrowException):
        is_whole = False
    if not is_whole:
        raise SourceError(
            f"publish: {table}: {shown(file.path)}: is missing or damaged; restore it, or make"
            " the dataset again in another folder"
        )
    return footer
