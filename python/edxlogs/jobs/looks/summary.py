"""Counts what is in logs, or in a dataset of logs, in one pass, and shows it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from edxlogs import _core
from edxlogs.account import Account
from edxlogs.buckets.output import S3Output
from edxlogs.buckets.place import dataset_at, holds_dataset
from edxlogs.datasets.cat import CatSettings
from edxlogs.edx.names import describe_name, is_rotated
from edxlogs.errors import ConfigError, written_to
from edxlogs.events.query import MOST_LINE_BYTES, make_query
from edxlogs.formats import FORMATS, STDOUT, format_of, of_lines
from edxlogs.jobs.settings import Settings, SomeSources
from edxlogs.jobs.words import OnePath
from edxlogs.jobs.work import Work, Written, refuse_same, select_sources
from edxlogs.s3.client import S3, SCHEME
from edxlogs.sources.selection import Selection
from edxlogs.store.file import OutputFile
from edxlogs.store.place import Place
from edxlogs.store.store import open_manifest
from edxlogs.summaries.counting import BY, SummaryTarget, count_dataset, counter, keys_of
from edxlogs.summaries.digest import Delivered, Digest, Table, delivered
from edxlogs.summaries.screen import groups, screen
from edxlogs.text import indented, many, shown, size
from edxlogs.threads import in_worker
from edxlogs.values import Values, texts
from edxlogs.watching import Watcher

PAGE = "html"
_PAGES = (".html", ".htm")
_TABLES = tuple(one for one in FORMATS if not of_lines(one))


@dataclass(frozen=True, slots=True)
class SummarySettings:
    """A question about what is in logs.

    Attributes:
        whole: which events, how to read them, and which files to write besides.
        by: keys of a table of the user's own; None counts everything that a summary shows.
        form: `PAGE`, or one of `FORMATS`; None writes no file.
    """

    whole: Settings
    by: tuple[str, ...] | None = None
    form: str | None = None

    @classmethod
    def of(
        cls,
        named: SomeSources = (),
        output: OnePath | None = None,
        *,
        by: Values = None,
        clock: str = "time",
        format: str | None = None,  # noqa: A002 - the word of the command line
        **words: Any,
    ) -> Self:
        """Make settings from the keywords of `SummaryWords`.

        Raises:
            ConfigError: a value is invalid.
        """
        keys = None
        if by is not None:
            listed = [key for text in texts("by", by) for key in text.split(",")]
            keys = keys_of(listed)
            counter(keys, by_received_at=False)
        if clock not in ("time", "received_at"):
            raise ConfigError(f"clock: {shown(clock)}: is not known; use time or received_at")
        target = None if output is None else os.fspath(output)
        form = _form(target, format, keys)
        whole = Settings.of(named, by=clock, **words)
        if whole.reading.dask is not None or whole.output.partition_by:
            raise ConfigError("summary: writes no dataset; leave --dask and --partition-by out")
        settings = replace(whole, output=replace(whole.output, target=target, collect="nothing"))
        return cls(settings, keys, form)


def _form(target: str | None, named: str | None, keys: Sequence[str] | None) -> str | None:
    """What to write to a target: a page, a table or nothing."""
    if target is None and named is None:
        return None
    target = target or STDOUT
    if named is None and target.lower().endswith(_PAGES):
        if keys is not None:
            raise ConfigError(
                "by: a page has tables of its own; leave --by out, or write a table, such as"
                " -o table.csv"
            )
        return PAGE
    if keys is None:
        raise ConfigError(
            f"output: {shown(target)}: a table needs keys; add --by, such as --by course,date, or"
            " name a page, such as report.html"
        )
    form = format_of(target, named, None) if named or target != STDOUT else "csv"
    if form not in _TABLES:
        raise ConfigError(
            f"format: {form}: is for lines; use {', '.join(_TABLES)}, or a page, .html"
        )
    return form


@dataclass(frozen=True, repr=False)
class Summary(Written):
    """What is in logs. It prints as a screen of figures, or as the table asked for.

    For a dataset, the account is that of the run that made it.

    Attributes:
        digest: the counts; None with `by`.
        groups: the table by the given keys; None without `by`.
    """

    digest: Digest | None = None
    groups: Table | None = None

    def report(self, **more: Any) -> dict[str, Any]:
        """The result as a JSON document."""
        return super().report(**_found(self.digest, self.groups), **more)

    def run(self) -> str:
        """The account of the run, in a few lines."""
        return super().__str__().rstrip()

    def __str__(self) -> str:
        return self.shown()

    def shown(self, columns: int | None = None) -> str:
        """What it prints on a terminal with this number of columns; None for no bound."""
        lines = [] if self.groups is None else [*groups(self.groups)]
        if self.digest is not None:
            lines = [*screen(self.digest, columns)]
        return "\n".join([*lines, *self.hints])


def _found(digest: Digest | None, told: Table | None) -> dict[str, Any]:
    """The counts as plain data."""
    if digest is not None:
        return {"summary": digest.document()}
    return {} if told is None else {"groups": told.documents()}


def summarise(settings: SummarySettings, watcher: Watcher) -> Summary:
    """Count what is in logs or in a dataset.

    Raises:
        ConfigError: a value is invalid, or the output already exists.
        MissingSourceError: a named source does not exist.
        SourceError: no source can be searched, or a dataset is damaged.
        OutputError: the output cannot be written.
    """
    whole = settings.whole
    by_received_at = bool(whole.conditions.keywords()["by_received_at"])
    summary = counter(settings.by, by_received_at=by_received_at)
    if (dataset := _dataset(whole.sources.named, whole.reading.s3)) is not None:
        return _of_dataset(dataset, settings, summary, watcher)
    target = whole.output.target
    query = whole.query()
    selection = select_sources(whole, whole.conditions.window)
    if settings.form is not None:
        refuse_same(whole, selection)
    with ExitStack() as stack:
        work = Work(stack, query, whole, selection, watcher)
        file = None if target in (None, STDOUT) else work.output(target or "")
        into = SummaryTarget(
            work.reader,
            selection.sources,
            whole.reading.workers,
            selection.account,
            salvage=whole.output.salvage,
            summary=summary,
        )
        account = work.run(into)
        named = [one for one in selection.inputs if not is_rotated(one.name)]
        files = delivered((one.site, one.date) for one in named)
        digest, told = _counted(settings, summary, account, files)
        where = ""
        if not account.is_all_withheld:
            where = _write(settings, file, summary, digest)
        more = _found(digest, told)
        written = work.close(account, where, None if account.is_all_withheld else file, more=more)
    return _summary(written, digest, told)


def _of_dataset(
    named: str, settings: SummarySettings, summary: _core.Summary, watcher: Watcher
) -> Summary:
    """Count what is in a dataset."""
    start, whole = time.monotonic(), settings.whole
    conditions, output = whole.conditions, whole.output
    if settings.form is not None:
        refuse_same(whole, Selection())
    keywords = conditions.keywords()
    values = [(name, one) for name, one in keywords.items() if isinstance(one, list) and one]

    def lines(told: Mapping[str, Any]) -> _core.Query:
        known = {name: told[name] for name in ("course_from", "time_from") if name in told}
        return make_query(conditions, collect="nothing", max_line_bytes=MOST_LINE_BYTES, **known)

    asked = CatSettings(
        dataset_at(named, whole.reading.s3),
        conditions=values,
        days=conditions.window.days,
        since=keywords["since"],
        until=keywords["until"],
        by_received_at=keywords["by_received_at"],
        lines=lines,
    )
    with ExitStack() as stack:

        def made(path: str) -> OutputFile:
            if not path.startswith(SCHEME):
                file = OutputFile(path, overwrite=output.overwrite, mode=output.mode)
                return stack.enter_context(file)
            there = S3Output(path, whole.reading.s3 or S3(), overwrite=output.overwrite)
            stack.enter_context(there).begin()
            return there

        file = None if output.target in (None, STDOUT) else made(output.target or "")
        report = None if output.report is None else made(output.report)
        account = count_dataset(asked, summary)
        for warning in account.warnings:
            watcher.warn(warning)
        files = _delivered_to(asked.place)
        digest, told = _counted(settings, summary, account, files, of_dataset=True)
        where = _write(settings, file, summary, digest)
        written = Written(account, conditions, time.monotonic() - start, told=where)
        if report is not None:
            report.write(indented(written.report(**_found(digest, told))) + b"\n")
        for one in (file, report):
            if one is not None:
                one.publish()
    return _summary(written, digest, told)


def _dataset(named: Sequence[Any], s3: S3 | None) -> str | None:
    """The dataset to count, or None for logs.

    Raises:
        ConfigError: something else is named beside it.
    """
    paths = [os.fspath(one) for one in named if isinstance(one, str | os.PathLike)]
    found = next((path for path in paths if holds_dataset(path, s3)), None)
    if found is not None and len(named) > 1:
        raise ConfigError(f"sources: {shown(found)}: is a dataset; name it alone")
    return found


def _delivered_to(place: Place) -> list[Delivered]:
    """The files whose rows a dataset holds."""
    names = [one.name for one in open_manifest(place).inputs() if one.name is not None]
    told = [describe_name(name) for name in names if not is_rotated(name)]
    return delivered((one.site, one.date) for one in told)


def _counted(
    settings: SummarySettings,
    summary: _core.Summary,
    account: Account,
    files: Sequence[Delivered],
    *,
    of_dataset: bool = False,
) -> tuple[Digest | None, Table | None]:
    """The counts, either all of them or by the given keys."""
    if settings.by is None:
        return Digest.of(summary, account, files, of_dataset=of_dataset), None
    # A table that goes to a file may be large, and nobody sees it here.
    return None, None if settings.form is not None else Table(*summary.table(BY))


def _write(
    settings: SummarySettings,
    file: OutputFile | S3Output | None,
    summary: _core.Summary,
    digest: Digest | None,
) -> str:
    """Write the page or table, if one was asked for. Returns a sentence that says so."""
    if settings.form is None:
        return ""
    where = "stdout" if file is None else file.name
    with written_to(where):
        if digest is not None and file is not None:
            from edxlogs.summaries.page import page  # most runs make none

            content = page(digest, settings.whole.conditions.shown())
            file.write(content)
            return f"a page of {size(len(content))} to {where}"
        metadata, descriptor = settings.whole.metadata(), 1 if file is None else file.create()
        form = settings.form
        rows = in_worker(lambda: summary.write(BY, descriptor, form, metadata))
    return f"{many(rows, 'row')} to {where}"


def _summary(written: Written, digest: Digest | None, told: Table | None) -> Summary:
    known = {one.name: getattr(written, one.name) for one in fields(written)}
    return Summary(**known, digest=digest, groups=told)
