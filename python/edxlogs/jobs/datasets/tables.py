"""Event tables: what is asked of them, and the account of all of them together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from typing import Any, Self

from edxlogs.account import Account, Outcome, SourceAccount, TableRows
from edxlogs.edx.event_tables import Kind, event_tables
from edxlogs.errors import InternalError
from edxlogs.events.tables import AskedTable, asked_tables
from edxlogs.formats import refuse_file_name
from edxlogs.jobs.settings import Settings, SomeSources
from edxlogs.jobs.words import DatasetWords, OnePath, ReadingWords
from edxlogs.values import Values

PARTITION_BY = "course_id"
"""The default partition key of the tables."""


class EventTableWords(ReadingWords, total=False):
    """Which tables of which events."""

    tables: Values
    table_file: OnePath | Iterable[OnePath]
    with_forms: bool
    no_text: bool


class EventTableOutputWords(EventTableWords, DatasetWords, total=False):
    """Which tables of which events, and how to write them."""


@dataclass(frozen=True, slots=True)
class EventTableSettings:
    """A question about events whose answer is tables.

    Attributes:
        whole: the question. Its output is the folder of the tables.
        tables: the tables asked for.
    """

    whole: Settings
    tables: tuple[AskedTable, ...]

    @classmethod
    def of(
        cls,
        named: SomeSources = (),
        folder: OnePath | None = None,
        *,
        tables: Values = None,
        table_file: OnePath | Iterable[OnePath] = (),
        with_forms: bool = False,
        no_text: bool = False,
        partition_by: Values = None,
        **words: Any,
    ) -> Self:
        """Make settings from the keywords of `EventTableOutputWords`.

        Without a folder, the tables are streams.

        Raises:
            ConfigError: a value is invalid.
        """
        files = [table_file] if isinstance(table_file, str | PathLike) else list(table_file)
        asked = asked_tables(tables, files, with_forms=with_forms, no_text=no_text)
        if folder is not None:
            refuse_file_name(fspath(folder), "tables of events")
            words["partition_by"] = PARTITION_BY if partition_by is None else partition_by
        return cls(Settings.of(named, folder, **words), asked)

    def each(self, keeper: str | None = None) -> list[Settings]:
        """The settings of each table, which is a dataset in the folder of its name.

        Args:
            keeper: the table that keeps rejected lines, and comes first. The lines are the same for
                all tables, so one keeps them. None: no table does.
        """
        output, folder = self.whole.output, self.whole.output.target
        settings = []
        for one in sorted(self.tables, key=lambda table: table.name != keeper):
            target = None if folder is None else os.path.join(folder, one.name)
            rejects = output.rejects if one.name == keeper else None
            own = replace(output, target=target, collect="columns", rejects=rejects)
            settings.append(replace(self.whole, table=one, output=own))
        return settings


def rows_by_table(accounts: Mapping[str, Account]) -> list[TableRows]:
    """Rows of each table, by its account, in the order of the definitions; others come last."""
    own = event_tables()
    order = {name: number for number, name in enumerate(own)}
    rows = []
    for name, account in sorted(accounts.items(), key=lambda one: order.get(one[0], len(order))):
        # A table that is not a home has no counts by home.
        kind = Kind.HOME if account.total.homes else Kind.APART
        if name in own:
            kind = own[name].kind
        rows.append(TableRows(name, kind.value, account.rows_written))
    return rows


def joined(accounts: Mapping[str, Account]) -> Account:
    """The account of several tables together: what became of each source, and its kept events.

    An event is a row of exactly one table, its home, so the rows of home tables add up. If there is
    no home table, the rows of the others count.

    Args:
        accounts: accounts by table name, all of the same sources.

    Raises:
        InternalError: they do not add up.
    """
    entries: dict[str, list[SourceAccount]] = {}
    for table, its in accounts.items():
        homes = its.total.homes
        if homes and homes != {table: its.rows_written}:
            raise InternalError(
                f"{table}: has {its.rows_written} rows of {homes.get(table, 0)} events; please"
                " report it"
            )
        for entry in its.sources:
            entries.setdefault(entry.path, []).append(entry)
    first = next(iter(accounts.values()))
    account = Account(failed=list(first.failed), warnings=list(first.warnings))
    has_homes = any(one.counts.homes for several in entries.values() for one in several)
    for several in entries.values():
        account.enter(_joined(several, has_homes=has_homes))
    # `enter` has added those of the sources, which the selection includes already.
    account.skipped, account.ignored = list(first.skipped), list(first.ignored)
    account.check()
    return account


def _joined(several: Sequence[SourceAccount], *, has_homes: bool) -> SourceAccount:
    """What became of a source over all tables. It is whole only if it is whole in each of them.

    Lines count as kept by the run that made the most of the source.
    """
    lacking = [one for one in several if one.status not in (Outcome.DELIVERED, Outcome.COPY)]
    entry = max(lacking or several, key=lambda one: one.counts.kept)
    homes: dict[str, int] = {}
    for one in several:
        homes |= one.counts.homes
    rows = sum(homes.values()) if has_homes else sum(one.counts.rows for one in several)
    return replace(entry, counts=replace(entry.counts, rows=rows, homes=homes))
