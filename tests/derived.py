"""Tables of events and of packages as `edxlogs derive` reads them, from rows; and what it made."""

from __future__ import annotations

import datetime
import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

import edxlogs
from edxlogs import _core
from edxlogs.database.account import MemberAccount
from edxlogs.edx.event_tables import event_tables
from edxlogs.edx.tables import tables
from edxlogs.store.manifest import DataFile, Identity, Input, Segment, Text, now
from edxlogs.store.place import Folder
from edxlogs.store.store import Store

Row = dict[str, Any]
COURSE = "course-v1:UniversityX+CS101+2014_T1"
PACKAGE = "universityx-2014-10-05"
_ARROW = {
    "string": pa.string(),
    "text": pa.string(),
    "json": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
}
_OF_FILES = (
    ("site", "text"),
    ("package", "text"),
    ("snapshot_date", "date"),
    ("member", "text"),
    ("row", "int64"),
    ("extra", "text"),
    ("misfits", "text"),
)


def at(seconds: float, day: str = "2014-10-01") -> datetime.datetime:
    """So many seconds after the beginning of a day."""
    begin = datetime.datetime.fromisoformat(f"{day}T00:00:00+00:00")
    return begin + datetime.timedelta(seconds=seconds)


def _file(
    store: Store, path: str, rows: Sequence[Row], schema: Iterable[tuple[str, str]], number: int
) -> DataFile:
    fields = [pa.field(name, _ARROW[kind]) for name, kind in schema]
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=pa.schema(fields))
    staged = store.new / hashlib.sha256(f"{path} {number}".encode()).hexdigest()[:20]
    pq.write_table(table, staged)
    return store.new_file(path, staged, [(number, len(rows))])


def write_events(folder: Path, of: Mapping[str, Sequence[Row]]) -> Path:
    """Make datasets of event tables, or add sources to them.

    Args:
        folder: of the tables.
        of: rows by table; what a row does not say is null. Those of a `source` are an input.
    """
    for name, rows in of.items():
        schema = event_tables()[name].schema
        with Store(Folder(folder / name)) as store:
            store.claim({"format": "parquet", "partition_by": ["course_id"]}, overwrite=False)
            segment = Segment(now())
            for source in sorted({row.get("source", "") for row in rows}):
                number = store.manifest.next_number + len(segment.inputs)
                its = [row for row in rows if row.get("source", "") == source]
                told = orjson.dumps(its)
                text = Text(source, len(told), zlib.crc32(told))
                identity = Identity(f"/logs/{source}", len(told), sha256="")
                segment.inputs.append(Input(number, identity, "delivered", len(its), {}, text=text))
                for course in sorted({row.get("course_id") or "" for row in its}):
                    place = f"{_core.course_folder(course or None)}/part-{number}.parquet"
                    here = [row for row in its if (row.get("course_id") or "") == course]
                    segment.added.append(_file(store, place, here, schema, number))
            store.commit(segment)
    return folder


def write_database(
    folder: Path, of: Mapping[str, Sequence[Row]], course: str = COURSE, package: str = PACKAGE
) -> Path:
    """Make tables of a package of a course, or put them in the place of older ones.

    Args:
        folder: of the tables.
        of: rows by table; what a row does not say is null.
        course: whose they are.
        package: its name, which tells the day.
    """
    day = datetime.date.fromisoformat(package[-10:])
    with Store(Folder(folder, shared=True)) as store:
        store.claim({"holds": "tables of packages", "partition_by": ["course_id"]}, overwrite=False)
        segment = Segment(now())
        for name, rows in of.items():
            schema = (*tables()[name].columns, *_OF_FILES)
            filled = [
                {"site": "prod", **row, "package": package, "snapshot_date": day} for row in rows
            ]
            number = store.manifest.next_number + len(segment.inputs)
            place = f"{name}/{_core.course_folder(course)}/"
            segment.removed += [file.path for file in store.manifest.files(place)]
            path = f"{place}{package}-prod.parquet"
            segment.added.append(_file(store, path, filled, schema, number))
            account = MemberAccount(f"{package}.zip", f"{name}.sql", name, "prod", course)
            told = orjson.loads(orjson.dumps({"member": account}))
            identity = Identity(f"{package} {name} {course}", 0)
            segment.inputs.append(Input(number, identity, "delivered", len(rows), told))
        added = {file.path for file in segment.added}
        segment.removed = [path for path in segment.removed if path not in added]
        store.commit(segment)
    return folder


def rows_of(folder: Path, table: str) -> list[Row]:
    """The rows of a derived table, by its manifest, in the order of its files."""
    found: list[Row] = edxlogs.dataset(folder / table).to_table().to_pylist()
    return found


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of derived tables, by its place."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*/*/*.parquet"))
    }
