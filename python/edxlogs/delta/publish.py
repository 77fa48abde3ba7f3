"""Publishes a dataset as a Delta table: one Delta commit lists what the table does not have yet.

The manifest is authoritative, and written first. A publication compares the two, so the next one
makes good whatever was interrupted or never begun. The log names only files that are on disk, and
removed files stay until nobody can be reading them through an old version: see
`Store.keeps_removed`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from edxlogs import _core
from edxlogs.datasets.reader import TOLD, data_files, table_of
from edxlogs.delta.files import Columns, added, footer_of, log_path
from edxlogs.delta.log import LOG, Action, DeltaLog
from edxlogs.errors import ConfigError, cannot_write
from edxlogs.formats import format_by_ending
from edxlogs.store import disk
from edxlogs.store.manifest import DataFile
from edxlogs.store.store import Store
from edxlogs.text import many, shown

SCHEMA_VERSION = 1
KINDS = ("delta",)


@dataclass(slots=True, repr=False)
class PublishedTable:
    """What became of one table.

    Attributes:
        name: its folder in the dataset; empty if the dataset is the table.
        version: its latest version.
        added: number of files added to it.
        removed: number of files removed from it.
    """

    name: str
    version: int
    added: int = 0
    removed: int = 0


@dataclass(slots=True, repr=False)
class Published:
    """The result of `publish`. It prints as one line.

    Attributes:
        folder: folder of the dataset, as messages call it.
        tables: the tables, in the order of their names.
    """

    folder: str
    tables: list[PublishedTable] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """The result as a JSON document."""
        tables = [
            {"table": one.name, "version": one.version, "added": one.added, "removed": one.removed}
            for one in self.tables
        ]
        return {"schema_version": SCHEMA_VERSION, "version": _core.__version__, "tables": tables}

    def __str__(self) -> str:
        if all(one.version < 0 for one in self.tables):
            return f"{self.folder}: has no rows yet, so it is not a table"
        new, gone = (sum(getattr(one, of) for one in self.tables) for of in ("added", "removed"))
        what = f"version {self.tables[0].version} of {self.folder}"
        if self.tables[0].name:
            what = f"{many(len(self.tables), 'table')} of {self.folder}"
        return f"{what}: {many(new, 'file')} added, {gone:,} removed"

    __repr__ = __str__


def check(kind: str) -> None:
    """Check that datasets can be published as this kind of table.

    Raises:
        ConfigError: the kind is unknown, or something that it needs is not installed.
    """
    if kind not in KINDS:
        raise ConfigError(f"publish: {shown(kind)}: is not known; use {', '.join(KINDS)}")
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigError("publish: needs pyarrow; install it (pip install 'edxlogs[delta]')")


def publish(store: Store, mode: int) -> Published:
    """Bring the Delta tables of a dataset up to its latest commit.

    Args:
        store: the dataset.
        mode: permissions of the logs.

    Raises:
        ConfigError: the dataset cannot be a Delta table, or a log is damaged or belongs to another
            program.
        SourceError: a file of the dataset is missing or damaged.
        OutputError: a log cannot be read or written.
    """
    tables = _tables(store)
    logs = {name: DeltaLog(store.on_disk.folder / name, _named(store, name)) for name in tables}
    told = store.on_disk.publications()
    done = Published(store.name)
    is_told = bool(told) and told[-1][0] == store.manifest.commits
    if not (is_told and all(log.version >= 0 for log in logs.values())):
        store.begin_publications()
        _sync(store)
    for name, log in logs.items():
        table = PublishedTable(name, log.version)
        if not is_told or log.version < 0:
            _bring_up(store, table, log, tables[name], mode)
        done.tables.append(table)
    if not is_told or any(one.added or one.removed for one in done.tables):
        store.enter_publication()
    return done


def _bring_up(
    store: Store, table: PublishedTable, log: DeltaLog, files: Sequence[DataFile], mode: int
) -> None:
    there, columns = log.files(), Columns(log.name, log.schema)
    new = [file for file in files if there.pop(log_path(file.path), None) != file.sha256]
    folder = store.on_disk.folder / table.name
    keys, asked = log.partition_columns, (store.manifest.query or {})["partition_by"]
    actions: list[Action] = []
    for file in new:
        place = folder / file.path
        footer = footer_of(file, place, log.name)
        columns.enter(footer.schema.to_arrow_schema())
        if log.version < 0 and not actions:
            keys = [key for key in asked if key in TOLD and not columns.tells(key)]
            columns.add_keys(keys)
        actions.append(added(file, place, footer, keys, columns.bounded(asked)))
    if new or there:
        staged = store.new / "delta"
        told = actions, list(there), columns.schema(), keys
        log.commit(store.manifest.commits, *told, staged=staged, mode=mode)
        log.tidy(staged=staged, mode=mode)
    table.version, table.added, table.removed = log.version, len(new), len(there)


def _sync(store: Store) -> None:
    """Flush all files to disk, under the names that the last commit gave them."""
    try:
        disk.sync_all(store.on_disk.folder)
    except OSError as error:
        raise cannot_write(store.name, error) from error


def _named(store: Store, table: str) -> str:
    return f"{store.name}/{table}" if table else store.name


def _tables(store: Store) -> dict[str, list[DataFile]]:
    """The tables of a dataset: their folders, and their files with paths relative to these.

    Raises:
        ConfigError: the dataset is empty, or cannot be a Delta table.
    """
    query, files = store.manifest.query, data_files(store.manifest)
    if query is None:
        raise ConfigError(f"publish: {store.name}: is empty; run edxlogs filter first")
    forms = {query.get("format") or format_by_ending(file.path) or "" for file in files}
    if other := sorted(forms - {"parquet"}):
        raise ConfigError(
            f"publish: {store.name}: holds {', '.join(other)}, but a Delta table needs Parquet;"
            " make a dataset with --format parquet"
        )
    if "format" in query:
        return {"": files}
    # A table that has lost all its files must be updated, too.
    before = [place.parent.name for place in store.on_disk.folder.glob(f"*/{LOG}")]
    tables: dict[str, list[DataFile]] = {name: [] for name in sorted(before)}
    for file in files:
        name = table_of(file.path)
        if not file.path.startswith(f"{name}/"):
            raise ConfigError(
                f"publish: {store.name}: holds a folder for each course, but a Delta table is"
                " one folder; convert with --layout table"
            )
        below = replace(file, path=file.path.removeprefix(f"{name}/"))
        tables.setdefault(name, []).append(below)
    return dict(sorted(tables.items()))
