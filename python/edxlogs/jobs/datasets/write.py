"""Writes events to datasets: one, several in a pass over the logs, or a folder of event tables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import orjson

from edxlogs import _core
from edxlogs.account import Account
from edxlogs.buckets.place import refuse_foreign_tables
from edxlogs.errors import ConfigError, written_to
from edxlogs.events.query import Conditions
from edxlogs.events.suggestions import near_columns
from edxlogs.groups.hosts import hosts_of
from edxlogs.groups.task import FormSettings
from edxlogs.groups.writer import DatasetWriter
from edxlogs.jobs.settings import Settings
from edxlogs.jobs.work import Work, Written, refuse_same, select_sources
from edxlogs.sources.selection import Selection
from edxlogs.sources.source import Source
from edxlogs.sources.window import Window
from edxlogs.stops import goes_on
from edxlogs.store.inputs import identify
from edxlogs.store.place import HOME, Place
from edxlogs.store.segments import Segment, outputs_beside
from edxlogs.store.store import Store
from edxlogs.text import many, shown, some
from edxlogs.watching import Watcher

if TYPE_CHECKING:
    from edxlogs.jobs.datasets.tables import EventTableSettings

_MOST_NAMED = 3  # outputs that cannot be written
_DEALT = "dealt"  # in the home of a dataset: see `of_shard`


def write_dataset(settings: Settings, watcher: Watcher) -> Written:
    """Bring a dataset up to date: read and commit what is new or was released again.

    Raises:
        ConfigError: a value is invalid, or the dataset holds rows of another query.
        MissingSourceError: a named source does not exist.
        SourceError: no source can be searched.
        OutputError: the dataset cannot be written. What was committed stays.
    """
    settings.query()  # what cannot be used is told before a folder is made
    output = settings.output
    with ExitStack() as stack:
        hosts = hosts_of(stack, settings.reading.dask, watcher)
        found = _Opened.of(stack, [settings], settings.conditions.window)
        refuse_same(settings, found.selection)
        account = found.selection.account
        account.warnings += near_columns(settings.columns or ())
        target = found.target(stack, settings, account)
        beside = outputs_beside(output.report, output.rejects)
        # Its runs may rewrite what they wrote beside the dataset.
        owns = all(map(target.store.manifest.wrote, beside))
        settings = replace(settings, output=replace(output, overwrite=output.overwrite or owns))
        work = Work(stack, target.form.query, settings, found.selection, watcher)
        rejects = None if output.rejects is None else work.file(output.rejects)
        with _goes_on([target]):
            work.read_into([target], hosts)
        if rejects is not None:
            rejects.join(target.rejects())
        if target.commits or not owns or _is_idle(target, settings):
            _end(target, beside)
        told = f"{many(account.rows_written, 'row')} in {shown(output.target or '')}: "
        sources = len(found.selection.sources)
        told += _read_of([target], sources)
        return work.close(target.account, told, rejects, missing=target.unmet)


def write_datasets(settings: Sequence[Settings], watcher: Watcher) -> list[DatasetWriter]:
    """Bring several datasets up to date in one pass: each source is read once for all of them.

    Args:
        settings: settings of each dataset. They agree on the sources and on how to read them.
        watcher: receives progress and messages.

    Returns:
        The datasets, with their accounts.

    Raises:
        ConfigError: a value is invalid, or a dataset holds rows of another query.
        MissingSourceError: a named source does not exist.
        SourceError: no source can be searched.
        OutputError: a dataset cannot be written. What was committed stays.
    """
    for one in settings:
        one.query()
    # Each has its own times; only sites and days are the same for all.
    of_all = settings[0].conditions.window
    window = Window(of_all.sites, days=of_all.days)
    with ExitStack() as stack:
        hosts = hosts_of(stack, settings[0].reading.dask, watcher)
        found = _Opened.of(stack, settings, window)
        account = found.selection.account
        targets = [found.target(stack, one, _copy(account)) for one in settings]
        queries = [target.form.query for target in targets]
        together = queries[0] if len(queries) == 1 else _core.Query.of_several(queries)
        shared = replace(settings[0], conditions=Conditions(window))
        work = Work(stack, together, shared, found.selection, watcher)
        with _goes_on(targets):
            work.read_into(targets, hosts)
            for one, target in zip(settings, targets, strict=True):
                work.warn(target.account, one.conditions, target.form.query, target.unmet)
                work.warn_of_columns(target.account, one.columns)
                if target.commits:
                    _end(target, [])
                if one.output.compacts:
                    _compact(target, one.output.file_bytes)
    return targets


def write_event_tables(asked: EventTableSettings, watcher: Watcher) -> Written:
    """Bring the event tables of a folder up to date in one pass. Each table is a dataset.

    Raises:
        ConfigError: a value is invalid, or a table holds rows of another query.
        MissingSourceError: a named source does not exist.
        SourceError: no source can be searched.
        OutputError: a table cannot be written. What was committed stays.
    """
    from edxlogs.jobs.datasets.tables import joined, rows_by_table  # few runs need them

    whole, output = asked.whole, asked.whole.output
    for one in asked.each():
        one.query()
    with ExitStack() as stack:
        hosts = hosts_of(stack, whole.reading.dask, watcher)
        found = _Opened.of(stack, asked.each(), whole.conditions.window)
        refuse_same(whole, found.selection)
        if not found.stores:
            refuse_foreign_tables(output.target or "", whole.reading.s3)
        settings = asked.each(_keeper(asked, found) if output.rejects else None)
        found.claim(settings)
        account = found.selection.account
        targets = [found.target(stack, one, _copy(account)) for one in settings]
        beside = outputs_beside(output.report, output.rejects)
        manifests = [target.store.manifest for target in targets]
        owns = all(any(one.wrote(path) for one in manifests) for path in beside)
        queries = [target.form.query for target in targets]
        together = queries[0] if len(queries) == 1 else _core.Query.of_several(queries)
        own = replace(whole, output=replace(output, overwrite=output.overwrite or owns))
        work = Work(stack, together, own, found.selection, watcher)
        rejects = None if output.rejects is None else work.file(output.rejects)
        with _goes_on(targets):
            work.read_into(targets, hosts)
        if rejects is not None:
            rejects.join(targets[0].rejects())
        for target in targets:
            if target.commits or not owns or _is_idle(target, whole):
                _end(target, beside)
            if output.compacts:
                _compact(target, output.file_bytes)
        forms = [(target.form.table, target.account) for target in targets]
        accounts = {table.name: account for table, account in forms if table is not None}
        tables = rows_by_table(accounts)
        rows = many(sum(one.rows for one in tables), "row")
        told = f"{rows} in {many(len(tables), 'table')} of {shown(output.target or '')}: "
        told += _read_of(targets, len(found.selection.sources))
        unmet = set(targets[0].unmet).intersection(*(target.unmet for target in targets))
        return work.close(joined(accounts), told, rejects, missing=sorted(unmet), tables=tables)


def _keeper(asked: EventTableSettings, found: _Opened) -> str:
    """The table that keeps the rejected lines of all: one that has done so before, if any has."""
    places = {one.output.target: one.table for one in asked.each()}
    tables = {table.name: found.stores.get(target) for target, table in places.items() if table}
    for name, store in tables.items():
        if store is not None and (store.manifest.query or {}).get("keep_rejects"):
            return name
    return next((name for name, store in tables.items() if store is None), next(iter(tables)))


@dataclass(frozen=True, slots=True)
class _Opened:
    """The sources of datasets, the places of the datasets, and which of them exist already."""

    selection: Selection
    stores: dict[str | None, Store]
    places: dict[str | None, Place]
    dealt: dict[str, int]

    @classmethod
    def of(cls, stack: ExitStack, settings: Sequence[Settings], window: Window) -> _Opened:
        """Find the sources. What the datasets themselves hold is not a source."""
        places = {one.output.target: one.output.place(one.reading.s3) for one in settings}
        stores = {
            target: stack.enter_context(Store(place))
            for target, place in places.items()
            if place.exists
        }
        is_known = partial(_is_unchanged, list(stores.values()))
        dealt: dict[str, int] = {}
        if settings[0].sources.shard is not None:
            for place in places.values():
                dealt |= _dealt(place)
        selection = select_sources(settings[0], window, is_known, dealt)
        own = tuple(place.below for place in places.values())
        selection.sources = [one for one in selection.sources if not _full(one).startswith(own)]
        return cls(selection, stores, places, dealt)

    def claim(self, settings: Sequence[Settings]) -> None:
        """Check that existing datasets hold the same rows, before a new one is made.

        Raises:
            ConfigError: a dataset holds other rows.
        """
        for one in settings:
            if (store := self.stores.get(one.output.target)) is not None:
                store.claim(one.asked(), overwrite=one.output.overwrite)

    def target(self, stack: ExitStack, settings: Settings, account: Account) -> DatasetWriter:
        """Open a dataset for a run, or make it. Its query suits the file system that it is on.

        Raises:
            ConfigError: the dataset holds rows of another query.
        """
        output = settings.output
        store = self.stores.get(output.target)
        if store is None:
            store = stack.enter_context(Store(self.places[output.target]))
        store.claim(settings.asked(), overwrite=output.overwrite)
        if self.dealt and self.dealt != _dealt(store.place):
            with written_to(store.name):
                store.place.write_note(_DEALT, orjson.dumps(self.dealt))
        form = form_of(settings, encodes_case=store.place.ignores_case)
        return DatasetWriter(store, form, account)


def _dealt(place: Place) -> dict[str, int]:
    """What finished runs assigned to the shards of a dataset.

    It keeps new releases of other sizes from moving inputs that were read from shard to shard.

    Raises:
        ConfigError: the manifest was changed by hand, or is damaged.
        OutputError: the manifest cannot be read.
    """
    try:
        dealt = orjson.loads(place.note(_DEALT) or b"{}")
        return {str(day): int(size) for day, size in dealt.items()}
    except (AttributeError, TypeError, ValueError):
        raise ConfigError(
            f"shard: {place.name}/{HOME}/{_DEALT}: is damaged; restore a copy, or make all"
            " shards again"
        ) from None


def _full(source: Source) -> str:
    """The path of a source, without links."""
    return source.path if source.remote is not None else os.path.realpath(source.path)


def form_of(settings: Settings, *, encodes_case: bool) -> FormSettings:
    """How the files of a dataset are made.

    Args:
        settings: what is asked for.
        encodes_case: as `make_query` takes it.
    """
    output = settings.output
    words = {**settings.words(), "check": settings.reading.check, "encodes_case": encodes_case}
    return FormSettings(
        settings.conditions,
        words,
        settings.asked(),
        output.format_name,
        settings.metadata(),
        salvage=output.salvage,
        keeps_rejects=output.rejects is not None,
        file_bytes=output.file_bytes,
    )


def _copy(account: Account) -> Account:
    """A copy of what a selection found, for each of several datasets."""
    return Account(
        failed=list(account.failed),
        skipped=list(account.skipped),
        ignored=list(account.ignored),
        warnings=list(account.warnings),
    )


@contextmanager
def _goes_on(targets: Sequence[DatasetWriter]) -> Iterator[None]:
    """If interrupted, say that something was committed. Name outputs that cannot be written."""
    where = some([target.store.name for target in targets], _MOST_NAMED)
    with written_to(where), goes_on(lambda: any(target.commits for target in targets)):
        yield


def _end(target: DatasetWriter, beside: Sequence[str]) -> None:
    """Record the end of a run in the manifest. `beside` are the files that the run itself wrote."""
    account = target.account
    left = {"skipped": len(account.skipped), "failed": account.failed}
    ended = {**left, "whole": account.is_whole, "outputs": beside}
    target.store.commit(Segment(target.started, ended=ended))


def _is_idle(target: DatasetWriter, settings: Settings) -> bool:
    """Whether this is a new dataset of a shard that had nothing to do. It can be merged too."""
    return settings.sources.shard is not None and target.store.manifest.query is None


def _compact(target: DatasetWriter, file_bytes: int) -> None:
    """Join the small files of partitions that got new ones."""
    if target.grown:
        from edxlogs.datasets.compact import compact_grown  # few runs need it

        compact_grown(target.store, target.grown, file_bytes)


def _read_of(targets: Sequence[DatasetWriter], sources: int) -> str:
    """Say how many sources a run read, and how many were done already for all datasets."""
    read = max(target.read for target in targets)
    before = sources - read
    told = f"{many(read, 'source')} read"
    return told if before == 0 else f"{told}, {before:,} done before"


def _is_unchanged(stores: Sequence[Store], source: Source) -> bool:
    """Whether a source was read into one of the datasets, and still looks as it did then."""
    if not stores or source.is_stream:
        return False
    now = identify(source)
    seen = [one[0].identity for store in stores if (one := store.manifest.seen(now.key))]
    return any((one.size, one.time) == (now.size, now.time) for one in seen)
