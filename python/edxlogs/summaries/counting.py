"""Counts events by keys, from logs as they are read or from the rows of a dataset."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from edxlogs import _core
from edxlogs.account import Account, SourceAccount
from edxlogs.datasets.cat import CatSettings, query_of_lines, reads, scanner_of, unreadable
from edxlogs.datasets.reader import open_files, values_of, written_as
from edxlogs.edx.categories import categories
from edxlogs.errors import ConfigError, InternalError
from edxlogs.events.file_target import FileTarget
from edxlogs.events.target import Read, account_of, copy_of
from edxlogs.formats import of_lines
from edxlogs.text import shown
from edxlogs.threads import in_worker

if TYPE_CHECKING:
    from edxlogs.store.manifest import DataFile, Manifest

BY = "by"
"""The cube of a table with the user's own keys."""
_WHOLE, _GROUP = True, False
CUBES: tuple[tuple[str, tuple[str, ...], bool | None], ...] = (
    ("sites", ("site",), _WHOLE),
    ("days", ("site", "date"), _GROUP),
    ("weeks", ("site", "week"), _GROUP),
    ("courses", ("course_id", "site"), _GROUP),
    ("course_weeks", ("course_id", "week"), None),
    ("types", ("category", "event_type", "event_source"), None),
    ("hours", ("site", "weekday", "hour"), None),
)
"""What a summary counts: names, keys, and how people are counted."""
COLUMNS = (
    *("time", "received_at", "event_type", "name", "event_source", "course_id", "org_id", "site"),
    *("user_id", "username"),
)
"""Columns of a dataset that are counted, if it has them."""
_SHORT = {"course": "course_id", "org": "org_id"}


def keys_of(by: Sequence[str]) -> tuple[str, ...]:
    """The keys of a user's own table, by their names or by the names of conditions.

    Raises:
        ConfigError: a key is unknown.
    """
    known = _core.summary_keys()
    keys = tuple(_SHORT.get(key.strip(), key.strip()) for key in by)
    for key in keys:
        if key not in known:
            raise ConfigError(
                f"by: {shown(key) or 'nothing'}: is not a key; use course, org,"
                f" {', '.join(known[2:])}"
            )
    return keys


def counter(by: Sequence[str] | None, *, by_received_at: bool) -> _core.Summary:
    """Make what counts: by some keys, or everything that a summary shows."""
    cubes = CUBES if by is None else (CUBES[0], (BY, tuple(by), _GROUP))
    of_type: dict[str, str] = {}
    for category, types in categories().items():
        for event_type in types:
            of_type.setdefault("(url)" if event_type == "/*" else event_type, category)
    return _core.Summary(cubes, of_type, by_received_at=by_received_at)


def total(summary: _core.Summary) -> int:
    """Number of all events that were counted."""
    names, rows = summary.table("sites")
    return sum(row[names.index("events")] for row in rows)


@dataclass(kw_only=True)
class SummaryTarget(FileTarget):
    """Counts what is in sources. A source that failed its checks adds nothing.

    Attributes:
        summary: counts of all sources so far.
    """

    summary: _core.Summary

    def sink(self, number: int) -> _core.Summary:
        """Make what counts one source."""
        return self.summary.another()

    def pack(self, read: Read) -> Sequence[Any]:
        """The counts of a source."""
        assert read.scanned is not None
        return (read.scanned.sink,) if self.wants(read.scanned) else ()

    def deliver(self, read: Read) -> SourceAccount:
        """Add the counts of the next source."""
        assert read.scanned is not None
        first = None if read.text is None else self._texts.get(read.text)
        delivered = self.wants(read.scanned)
        account = account_of(read.source, read.scanned, delivered=delivered)
        if delivered and first is not None:
            account = copy_of(account, first)
        elif delivered:
            self._note(read.text, account)
            for counted in read.parts:
                in_worker(partial(self.summary.add, counted))
        if self.dedupe is not None:
            self.dedupe.done(read.number)
        self.account.enter(account)
        return account

    def finish(self) -> None:
        """Check that every event of the account is counted.

        Raises:
            InternalError: it is not.
        """
        super().finish()
        counted = total(self.summary)
        if counted != self.account.rows_written:
            raise InternalError(
                f"{self.account.rows_written} events were kept and {counted} counted; please report"
                " it"
            )


def count_dataset(settings: CatSettings, summary: _core.Summary) -> Account:
    """Count the matching rows of a dataset, from its columns.

    Args:
        settings: which rows to count; the output is ignored.
        summary: counts them.

    Returns:
        The account of what the dataset holds, from when it was made.

    Raises:
        ConfigError: it holds no events, or no column that answers a condition.
        SourceError: a file of it is missing or damaged.
    """
    manifest, files = open_files(settings.place)
    told = manifest.query or {}
    if "holds" in told:
        raise ConfigError(
            f"dataset: {manifest.name}: holds tables of packages, not events; name logs, or a"
            " dataset of edxlogs filter"
        )
    if (bad := manifest.place.first_not_whole(files)) is not None:
        raise unreadable(f"{manifest.name}: {shown(bad.path)}")
    if of_lines(written_as(manifest, files)):
        in_worker(partial(_count_lines, settings, manifest, files, summary))
    else:
        stored, scanner = scanner_of(settings, manifest, COLUMNS)
        with reads(settings.place):
            in_worker(lambda: summary.rows(stored, scanner.to_reader()))
    account = Account()
    for one in manifest.inputs():
        account.enter(SourceAccount.of(one.account))
    return account


def _count_lines(
    settings: CatSettings, manifest: Manifest, files: Sequence[DataFile], summary: _core.Summary
) -> None:
    """Count the lines of a dataset of lines."""
    query = query_of_lines(settings, manifest)
    for file in files:
        counted, site = summary.another(), values_of(file.path).get("site")
        counts, error = _core.scan(
            os.fspath(manifest.place.local(file)),
            query,
            counted,
            name=file.path,
            site=None if site is None else unquote(site),
            control=_core.Control(),
        )
        if counts["rejected"] or error is not None:
            raise unreadable(f"{manifest.name}: {shown(file.path)}")
        summary.add(counted)
        manifest.place.forget([file])
