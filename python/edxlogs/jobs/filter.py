"""Writes events to one file, to standard output, or to nothing at all."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from edxlogs import _core
from edxlogs.errors import OutputError, written_to
from edxlogs.events.file_target import FileTarget
from edxlogs.events.scanning import LineReader
from edxlogs.events.suggestions import near_columns
from edxlogs.formats import STDOUT
from edxlogs.jobs.looks.datasets import Checked, checked, looked_at, reported
from edxlogs.jobs.settings import Settings
from edxlogs.jobs.work import Work, Written, refuse_same, select_sources
from edxlogs.sources.selection import Selection, drop_copies, select
from edxlogs.sources.transfers import Transfers
from edxlogs.stops import goes_on
from edxlogs.store.file import OutputFile, open_output
from edxlogs.text import many, shown
from edxlogs.watching import Watcher

B = TypeVar("B", bound="BatchStream")

if TYPE_CHECKING:
    from edxlogs.events.stream import BatchStream, EventTables
    from edxlogs.jobs.datasets.tables import EventTableSettings


def write(settings: Settings, watcher: Watcher) -> Written:
    """Write the matching events to a file, an S3 object, standard output or a dataset.

    Raises:
        ConfigError: a value is invalid, or the output already exists.
        MissingSourceError: a named source does not exist.
        SourceError: no source can be searched.
        OutputError: the output cannot be written.
    """
    if settings.output.partition_by:
        from edxlogs.jobs.datasets.write import write_dataset  # few runs need it

        return write_dataset(settings, watcher)
    output = settings.output
    target = output.target or STDOUT
    if target == STDOUT and sys.stdout is None:
        raise OutputError("output: standard output is closed; name a file with -o")
    query = settings.query()
    selection = select_sources(settings, settings.conditions.window)
    selection.account.warnings += near_columns(settings.columns or ())
    refuse_same(settings, selection)
    if output.unverified or output.limit is not None:
        drop_copies(selection)
    with ExitStack() as stack:
        work = Work(stack, query, settings, selection, watcher)
        into = work.target()
        if target != STDOUT:
            into.file = work.output(target)
        where = "stdout" if into.file is None else into.file.name
        into.output = open_output(into.file or 1, query, output.format_name, settings.metadata())
        rejects = work.rejects(into)
        is_long = len(selection.sources) > 1 and output.limit is None
        if type(into.file) is OutputFile and is_long:
            into.journal = work.journal(into.file)
        hidden = None if rejects is None else (os.fspath(rejects.path.parent), rejects.name)
        leaves = partial(_leaves, into)
        with written_to(where, hidden), goes_on(leaves):
            account = work.run(into)
            into.output.finish(sync=into.file is not None)
        if into.file is not None and account.is_all_withheld:
            return work.close(account, _not_written(into.file))
        told = f"{many(account.rows_written, 'row')} to {where}"
        return work.close(account, told, into.file, rejects)


def stream(settings: Settings, *, raise_rejects: bool = False) -> BatchStream:
    """Stream the matching events as Arrow batches, in the order of the sources.

    Args:
        settings: what is asked for; its output is ignored.
        raise_rejects: end the stream with a ParseError at the first rejected line.

    Raises:
        ConfigError: a value is invalid.
        SourceError: a source cannot be found or opened.
    """
    from edxlogs.events.stream import BatchStream

    return _opened(BatchStream, settings, settings.query(keeps_rejects=raise_rejects))


def _opened(kind: type[B], settings: Settings, query: _core.Query) -> B:
    """Open a stream of this kind over what a query keeps of the sources."""
    reading, window = settings.reading, settings.conditions.window
    sources = settings.sources
    selection = select(sources.named, window, partner=sources.partner, s3=reading.s3)
    selection.account.warnings += near_columns(settings.columns or ())
    drop_copies(selection)
    control = _core.Control()
    transfers = Transfers(selection.sources, control)
    reader = LineReader(query, reading.keys.gpg(), control, window, transfers)
    selection.account.warnings += reader.gpg.warnings
    return kind.over(reader, selection, reading.workers, reading.dedupe, settings.conditions)


def event_tables(asked: EventTableSettings) -> EventTables:
    """The matching events as tables, each a stream.

    Raises:
        ConfigError: a value is invalid.
    """
    from edxlogs.events.stream import EventTableBatches, EventTables

    settings = {one.table.name: one for one in asked.each() if one.table is not None}
    for one in settings.values():
        one.query()

    def together() -> EventTableBatches:
        query = _core.Query.of_several([one.query() for one in settings.values()])
        batches = _opened(EventTableBatches, asked.whole, query)
        batches.tables = list(settings)
        return batches

    return EventTables(list(settings), lambda name: stream(settings[name]), together)


def check(settings: Settings, watcher: Watcher) -> Checked:
    """Parse every line, and account for it. Only rejected lines are written, if asked for.

    For datasets that are named, it checks that their files are there. If they hold lines, the lines
    are parsed.

    Raises:
        ConfigError: a value is invalid, or a file already exists.
        MissingSourceError: a named source does not exist.
        SourceError: no source can be searched.
        OutputError: a file cannot be written.
    """
    settings = replace(
        settings,
        reading=replace(settings.reading, check="full"),
        output=replace(settings.output, target=None, collect="nothing"),
    )
    rejects = settings.output.rejects
    query = settings.query()
    looks, settings = looked_at(settings)
    selection = Selection()
    if settings.sources.named or settings.sources.partner or not looks:
        selection = select_sources(settings, settings.conditions.window)
    for look in looks:
        if (failure := look.failure()) is not None:
            selection.fail(failure)
    refuse_same(settings, selection)
    with ExitStack() as stack:
        work = Work(stack, query, settings, selection, watcher)
        into = work.target()
        if rejects is not None:
            # Rejected lines wait for the verdict in parts, as rows do.
            into.format_name = "jsonl"
            into.output = open_output(_nowhere(stack), query, "jsonl")
            into.file = work.rejects(into)
        with written_to(shown(rejects or "")):
            account = work.run(into)
        if into.file is not None and account.is_all_withheld:
            told = _not_written(into.file)
            return checked(work.close(account, told, more=reported(looks)), looks)
        told = f"{many(account.total.rows, 'event')} checked"
        return checked(work.close(account, told, into.file, more=reported(looks)), looks)


def _leaves(target: FileTarget) -> bool:
    return target.journal is not None and target.journal.leave()


def _nowhere(stack: ExitStack) -> int:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    stack.callback(os.close, descriptor)
    return descriptor


def _not_written(file: OutputFile) -> str:
    return f"{file.name} is not written: no source passed its checks"
