"""Functions for existing datasets: join, compact, publish, tidy, and write rows out."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Unpack

import orjson

from edxlogs import _core
from edxlogs.account import Account, Done, SourceAccount, TableRows
from edxlogs.buckets.place import dataset_at, place_at, places_at, refuse_foreign_tables
from edxlogs.errors import ConfigError
from edxlogs.events.conditions import ConditionWords
from edxlogs.events.query import MOST_LINE_BYTES, Conditions, make_query
from edxlogs.formats import STDOUT, checked
from edxlogs.jobs.settings import OutputSettings
from edxlogs.jobs.words import OnePath
from edxlogs.s3.client import S3
from edxlogs.store.file import OutputFile
from edxlogs.store.manifest import Input
from edxlogs.store.place import HOME, Place
from edxlogs.store.segments import REPLACED
from edxlogs.store.store import Store, open_manifest
from edxlogs.text import indented, many, shown
from edxlogs.values import Values, texts

if TYPE_CHECKING:
    from edxlogs.database.account import TableAccount
    from edxlogs.datasets.cat import Copied
    from edxlogs.datasets.clean import Cleaned
    from edxlogs.datasets.compact import Compacted
    from edxlogs.delta.publish import Published


@dataclass(frozen=True, repr=False)
class Merged(Done):
    """The result of `merge`: the account of all inputs, in the order of the shards.

    Attributes:
        tables: accounts of event tables, by name.
    """

    account: Account | TableAccount
    tables: list[TableRows] = field(default_factory=list)

    def report(self, **more: Any) -> dict[str, Any]:
        """The account as a JSON document."""
        if self.tables:
            more["tables"] = self.tables
        return super().report(**more)

    def __str__(self) -> str:
        account, tables = self.account, self.tables
        inputs = many(len(account.entries), account.noun)
        if tables:
            rows = many(sum(one.rows for one in tables), "row")
            return f"{rows} in {many(len(tables), 'table')} of {inputs}"
        return f"{many(account.rows_written, 'row')} of {inputs}"


def merge_datasets(
    shards: Sequence[OnePath], output: OutputSettings, s3: S3 | None = None
) -> Merged:
    """Join the datasets of shards, or their tables, into one, with their accounts. The shards stay.

    Raises:
        ConfigError: a folder is not a dataset, their rows differ, or two share an input.
        OutputError: a shard cannot be read, or the output cannot be written.
    """
    from edxlogs.jobs.datasets.tables import joined, rows_by_table

    if output.target == STDOUT:
        raise ConfigError("output: a dataset is a folder; name one with -o")
    output.place(s3)  # an empty name is refused, also where those of tables follow it
    several = [places_at(shard, s3) for shard in shards]
    for shard, its in zip(shards, several, strict=True):
        if its.keys() != several[0].keys():
            first, one = shown(os.fspath(shards[0])), shown(os.fspath(shard))
            other = ", ".join(sorted(filter(None, its.keys() ^ several[0].keys())))
            raise ConfigError(
                f"merge: {one}: has other tables of events than {first}: only one has {other}; run"
                " edxlogs tables for both with the same tables"
            )
        for place in its.values():
            open_manifest(place)  # no folder is made if shards are not datasets
    if "" not in several[0]:
        refuse_foreign_tables(output.target or "", s3)
    accounts: dict[str, Account | TableAccount] = {}
    for table in several[0]:
        target = os.path.join(output.target or "", table) if table else output.target
        place = replace(output, target=target).place(s3)
        accounts[table] = _merge([its[table] for its in several], place)
    if "" in accounts:
        done = Merged(accounts[""])
    else:
        events = {name: one for name, one in accounts.items() if isinstance(one, Account)}
        done = Merged(joined(events), rows_by_table(events))
    if output.report is not None:
        with OutputFile(output.report, overwrite=output.overwrite, mode=output.mode) as file:
            file.write(indented(done.report()) + b"\n")
            file.publish()
    return done


def _merge(places: Sequence[Place], place: Place) -> Account | TableAccount:
    """Join datasets into one. Returns the account of what they hold."""
    from edxlogs.datasets.merge import merge

    with Store(place) as store:
        try:
            inputs = merge(places, store)
        except ConfigError:
            if store.manifest.is_empty:
                store.place.discard(is_refused=True)
            raise
        query = store.manifest.query or {}
        if "holds" in query:
            from edxlogs.database.snapshots import drop_older

            drop_older(store, keep_all="snapshot_date" in query["partition_by"])
        return _merged(inputs, store)


def _merged(inputs: Sequence[Input], store: Store) -> Account | TableAccount:
    """The account of what shards hold."""
    account: Account | TableAccount
    if "holds" in (store.manifest.query or {}):
        from edxlogs.database.account import TableAccount

        account = TableAccount()
        for one in inputs:
            if one.status != REPLACED:
                account.enter(one.account, one.identity.size)
    else:
        account = Account()
        for one in inputs:
            account.enter(SourceAccount.of(one.account))
    account.check()
    return account


def compact_dataset(output: OutputSettings, s3: S3 | None = None) -> Compacted:
    """Join the small files of each partition of a dataset, or of each event table in a folder.

    Raises:
        ConfigError: the folder is not a dataset, or the dataset is empty.
        OutputError: the dataset cannot be written. What was joined stays joined.
    """
    from edxlogs.datasets.compact import Compacted, compact

    done = Compacted()
    for table, place in places_at(output.target or "", s3, output.mode).items():
        open_manifest(place)  # a folder that is none stays as it is
        with Store(place) as store:
            done.add(table, compact(store, output.file_bytes))
    return done


def publish_dataset(folder: OnePath, kind: str) -> Published:
    """Publish the latest commit of a dataset to other engines.

    Args:
        folder: folder of the dataset, or of event tables.
        kind: kind of table; only `delta`.

    Raises:
        ConfigError: the folder is not a dataset, or cannot be published; or an existing table there
            is damaged or belongs to another program.
        SourceError: a file of the dataset is missing or damaged.
        OutputError: the dataset cannot be written.
    """
    from edxlogs.delta import publish

    publish.check(kind)
    done = publish.Published(shown(os.fspath(folder)))
    for table in places_at(folder):
        mode = _mode_of(os.path.join(folder, table))
        place = place_at(os.path.join(folder, table) if table else folder, mode=mode)
        open_manifest(place)  # a folder that is none stays as it is
        with Store(place) as store:
            told = publish.publish(store, mode).tables
        done.tables += [replace(one, name=table or one.name) for one in told]
    return done


def clean_dataset(folder: OnePath, s3: S3 | None = None) -> Cleaned:
    """Remove replaced files of a published dataset once their time of grace is over.

    Args:
        folder: folder of the dataset, or of event tables.
        s3: server and credentials.

    Raises:
        ConfigError: the folder is not a dataset.
        OutputError: the dataset cannot be written.
    """
    from edxlogs.datasets.clean import Cleaned, clean

    done = Cleaned(0, 0)
    for table in places_at(folder, s3):
        named = os.path.join(folder, table) if table else folder
        place = place_at(named, s3, _mode_of(named))
        open_manifest(place)
        with Store(place) as store:
            done += clean(store)
    return done


def _mode_of(folder: OnePath) -> int:
    """Permissions of the manifest in a folder, which new files beside it should share."""
    try:
        return stat.S_IMODE(os.stat(os.path.join(folder, HOME, "head")).st_mode)
    except OSError:
        return 0o600


def cat_dataset(
    folder: OnePath,
    output: OnePath,
    *,
    format: str | None = None,  # noqa: A002 - the word of the command line
    columns: Values = None,
    days: str | None = None,
    csv_excel_safe: bool = False,
    overwrite: bool = False,
    s3: S3 | None = None,
    **conditions: Unpack[ConditionWords],
) -> Copied:
    """Write the matching rows of a dataset to a file or to standard output.

    Raises:
        ConfigError: a value is invalid, or the dataset lacks a column that is needed.
        SourceError: a file of the dataset is missing or damaged.
        OutputError: the output cannot be written.
    """
    from edxlogs.datasets.cat import CatSettings, cat

    checked("format", format)
    asked = Conditions.of(days=days, **conditions)
    keywords = asked.keywords()
    values = [(name, one) for name, one in keywords.items() if isinstance(one, list) and one]

    def lines(told: Mapping[str, Any]) -> _core.Query:
        known = {name: told[name] for name in ("course_from", "time_from") if name in told}
        return make_query(asked, collect="lines", max_line_bytes=MOST_LINE_BYTES, **known)

    return cat(
        CatSettings(
            dataset_at(folder, s3),
            os.fspath(output),
            format,
            values,
            asked.window.days,
            keywords["since"],
            keywords["until"],
            by_received_at=keywords["by_received_at"],
            lines=lines,
            columns=None if columns is None else texts("columns", columns),
            csv_excel_safe=csv_excel_safe,
            overwrite=overwrite,
            metadata=[
                ("edxlogs.version", _core.__version__),
                ("edxlogs.query", orjson.dumps(asked.shown()).decode()),
            ],
        )
    )
