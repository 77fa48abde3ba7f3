"""One run over logs, with its files, its report, and what it says at the end."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from edxlogs import _core
from edxlogs.account import Account, Done, Outcome, TableRows, tallies
from edxlogs.buckets.output import S3Output
from edxlogs.errors import ConfigError, OutputError
from edxlogs.events.dedupe import Dedupe, remarks
from edxlogs.events.file_target import FileTarget
from edxlogs.events.query import Conditions
from edxlogs.events.scanning import LineReader
from edxlogs.events.suggestions import nowhere, payload_columns, suggest
from edxlogs.events.target import EventTarget
from edxlogs.formats import STDOUT
from edxlogs.jobs.settings import OutputSettings, Settings
from edxlogs.s3.client import S3, SCHEME
from edxlogs.sources.selection import Selection, select
from edxlogs.sources.source import Source
from edxlogs.sources.transfers import Transfers
from edxlogs.sources.window import Window, of_shard
from edxlogs.stops import put_off
from edxlogs.store.file import OutputFile
from edxlogs.store.journal import Journal, finished_outputs, is_own
from edxlogs.targets import fill
from edxlogs.text import indented, shown
from edxlogs.threads import in_worker
from edxlogs.watching import Teller, Watcher, followed

if TYPE_CHECKING:
    from edxlogs.groups.cluster import ClusterTarget
    from edxlogs.groups.hosts import Hosts
    from edxlogs.groups.writer import DatasetWriter

Missing = Sequence[tuple[str, int]]
_TITLES = {"home": "events by table", "children": "rows of their parts", "apart": "rows beside"}


@dataclass(frozen=True, repr=False)
class Written(Done):
    """The result of a run over logs.

    Attributes:
        account: what became of every line and source.
        conditions: what was asked for.
        seconds: how long the run took.
        hints: what the logs hold instead, if nothing was kept.
        told: what was written where, in one sentence.
        tables: the event tables written, in the order of their definitions.
        read: number of sources that this run read.
    """

    account: Account
    conditions: Conditions
    seconds: float
    hints: list[str] = field(default_factory=list)
    told: str = ""
    tables: list[TableRows] = field(default_factory=list)
    read: int = 0

    def report(self, **more: Any) -> dict[str, Any]:
        """The account as a JSON document."""
        query, seconds = self.conditions.shown(), round(self.seconds, 3)
        if self.tables:
            more["tables"] = self.tables
        return super().report(query=query, seconds=seconds, hints=self.hints, **more)

    def __str__(self) -> str:
        rows: dict[str, dict[str, int]] = {}
        for one in self.tables:
            rows.setdefault(_TITLES[one.kind], {})[one.table] = one.rows
        lines = [*self.account.summary(self.seconds), *tallies(rows), *self.hints, self.told]
        return "\n".join(lines)


def select_sources(
    settings: Settings,
    window: Window,
    is_known: Callable[[Source], bool] = lambda _: False,
    dealt: dict[str, int] | None = None,
) -> Selection:
    """Find the sources that were asked for. Sources that are known are not opened.

    Args:
        settings: which sources are asked for.
        window: chooses among them.
        is_known: tells whether a source was read before.
        dealt: earlier assignments to shards, as `of_shard` takes them; None means there are none.
    """
    sources, shard = settings.sources, settings.sources.shard
    selection = select(
        sources.named,
        window,
        partner=sources.partner,
        s3=settings.reading.s3,
        keep_going=True,
        is_known=is_known,
    )
    if shard is not None:
        selection.sources = of_shard(selection.sources, shard, {} if dealt is None else dealt)
    return selection


def refuse_same(settings: Settings, selection: Selection) -> None:
    """Refuse outputs that are the same file, or that are remote without being the main output.

    Raises:
        ConfigError: there are such outputs.
    """
    output = settings.output
    target = output.target or STDOUT
    named = [
        os.path.realpath(path)
        for path in (target, output.rejects, output.report)
        if path is not None and path != STDOUT
    ]
    if len(set(named)) < len(named):
        raise ConfigError("output: two outputs have the same name; name each differently")
    for option, path in (("rejects", output.rejects), ("report", output.report)):
        if path == STDOUT:
            raise ConfigError(f"{option}: cannot go to standard output; name a file")
        if path is not None and path.startswith(SCHEME):
            raise ConfigError(
                f"{option}: {shown(path)}: is written to local files only; name a file"
            )
    if output.partition_by and any(Path(named[0]) in Path(one).parents for one in named[1:]):
        raise ConfigError(
            f"output: {shown(target)}: the rejects and the report are not part of the dataset; name"
            " places outside of it"
        )
    if target == STDOUT:
        _refuse_stdout(selection)


def _refuse_stdout(selection: Selection) -> None:
    """Refuse standard output that leads to an input, which would grow while it is read."""
    status = os.fstat(1)
    identity = (status.st_dev, status.st_ino)
    if stat.S_ISREG(status.st_mode) and any(one.identity == identity for one in selection.inputs):
        raise ConfigError("output: standard output is also an input; write to another file")


class Work:
    """One run with its files, its report and its closing message.

    It finds files that cannot be written before it reads anything.

    Args:
        stack: releases what the run holds.
        query: query of the run.
        settings: how to read sources, and what to write besides the rows.
        selection: the sources.
        watcher: receives progress and messages.
    """

    def __init__(
        self,
        stack: ExitStack,
        query: _core.Query,
        settings: Settings,
        selection: Selection,
        watcher: Watcher,
    ) -> None:
        self._stack = stack
        self._settings = settings
        self._output: OutputSettings = settings.output
        self._selection = selection
        self._watcher = watcher
        control = _core.Control()
        transfers = Transfers(selection.sources, control)
        gpg, window = settings.reading.keys.gpg(), settings.conditions.window
        stack.callback(gpg.close)
        selection.account.warnings += gpg.warnings
        self.reader = LineReader(query, gpg, control, window, transfers)
        self._own = finished_outputs(self._output.target or STDOUT)
        self._journal: Journal | None = None
        self._read_now: Sequence[Source] = ()
        self._start = time.monotonic()
        self._report = None if self._output.report is None else self.file(self._output.report)

    def output(self, target: str) -> OutputFile:
        """Begin the output: a file or an S3 object."""
        if not target.startswith(SCHEME):
            return self.file(target)
        s3 = self._settings.reading.s3 or S3()
        overwrite, inputs = self._output.overwrite, self._selection.inputs
        with put_off():
            output = S3Output(target, s3, overwrite=overwrite, inputs=inputs)
            self._stack.enter_context(output)
        output.begin()
        return output

    def file(self, target: str) -> OutputFile:
        """Begin a file, with the options that all files of the run share."""
        with put_off():
            return self._stack.enter_context(
                OutputFile(
                    target,
                    overwrite=self._output.overwrite or is_own(Path(target), self._own),
                    mode=self._output.mode,
                    inputs=self._selection.inputs,
                )
            )

    def journal(self, file: OutputFile) -> Journal | None:
        """Begin the journal beside an output. It outlives the run. None without a salt for it."""
        try:
            asked = self._settings.asked()
        except OutputError as error:
            self._selection.account.warnings.append(f"if it is stopped, it starts over: {error}")
            return None
        self._journal = Journal(file, asked, overwrite=self._output.overwrite)
        self._stack.callback(self._journal.close)
        return self._journal

    def target(self) -> FileTarget:
        """Make the target that takes the events. Without further settings it only counts them."""
        output, reading = self._output, self._settings.reading
        return FileTarget(
            self.reader,
            self._selection.sources,
            reading.workers,
            self._selection.account,
            format_name=output.format_name,
            salvage=output.salvage,
            unverified=output.unverified,
            limit=output.limit,
        )

    def rejects(self, target: FileTarget) -> OutputFile | None:
        """Begin the file for rejected lines, if one was asked for."""
        if self._output.rejects is None:
            return None
        target.rejects_file = self.file(self._output.rejects)
        target.rejects = target.rejects_file.create()
        return target.rejects_file

    def run(self, target: EventTarget) -> Account:
        """Read everything into one output, and report failures as they happen."""
        file = target.file if isinstance(target, FileTarget) else None
        if file is not None:
            self._compare(target, lambda number: file.part_path(number).with_suffix(".hashes"))
        else:
            hidden = TemporaryDirectory(ignore_cleanup_errors=True)
            folder = Path(self._stack.enter_context(hidden))
            self._compare(target, lambda number: folder / str(number))
        self._read(target)
        return target.account

    def read_into(self, datasets: Sequence[DatasetWriter], hosts: Hosts | None = None) -> None:
        """Read what is new into datasets, and report failures as they happen.

        Args:
            datasets: the datasets.
            hosts: hosts that read; None reads in this process.
        """
        from edxlogs.groups.cluster import ClusterTarget  # few runs need them
        from edxlogs.groups.target import DatasetTarget

        sources, reading = self._selection.sources, self._settings.reading
        if hosts is not None:
            window, control = self._settings.conditions.window, self.reader.control
            kind, keys = reading.dedupe, reading.keys
            warnings = [] if kind is None else remarks(sources)
            for one in datasets:
                one.account.warnings += warnings
            more = window, kind, keys.home, keys.passphrase_file
            self._read(ClusterTarget(hosts, control, sources, datasets, *more))
            return
        target = DatasetTarget(self.reader, sources, reading.workers, datasets=datasets)
        place = datasets[0].store.new
        self._compare(target, lambda number: place / f"held-{number}")
        for one in datasets:
            one.account.warnings += target.account.warnings
        self._read(target)

    def _compare(self, target: EventTarget, place: Callable[[int], Path]) -> None:
        """Have the lines of the sources compared, if that was asked for."""
        if (kind := self._settings.reading.dedupe) is not None:
            target.account.warnings += remarks(target.sources)
            target.dedupe = Dedupe(target.sources, kind, place)

    def _read(self, target: EventTarget | ClusterTarget) -> None:
        """Carry out a run, and report failures."""
        sources, watcher = self._selection.sources, self._watcher
        tell = Teller(watcher)
        for failure in self._selection.failures:
            tell.fail(str(failure), failure.source)
        for warning in self._selection.account.warnings:
            watcher.warn(warning)

        total = sum(source.size or 0 for source in sources)
        around = followed(watcher, len(sources), total, lambda: target.bytes_read)
        try:
            fill(target, tell, around)
        finally:
            tell.tell()
        self._read_now = target.read_now

    def warn(
        self, account: Account, conditions: Conditions, query: _core.Query, missing: Missing
    ) -> None:
        """Warn about values that were asked for but not found; also in the account.

        Args:
            account: receives the warnings.
            conditions: the conditions asked for.
            query: the query made from them.
            missing: condition values that match nothing kept, as `_core.Query.unmet` returns them.
        """
        told = self._read_now, conditions, query, missing, account.total.rows
        self._warn(account, lambda: nowhere(self.reader, self._selection, *told))

    def warn_of_columns(self, account: Account, columns: Sequence[str] | None) -> None:
        """Warn about columns of fields that are in the payload alone; also in the account."""
        if columns is not None:
            self._warn(account, lambda: payload_columns(self.reader, self._read_now, columns))

    def _warn(self, account: Account, find: Callable[[], list[str]]) -> None:
        warnings = in_worker(find)
        account.warnings += warnings
        for warning in warnings:
            self._watcher.warn(warning)

    def close(
        self,
        account: Account,
        told: str,
        *files: OutputFile | None,
        missing: Missing | None = None,
        tables: Sequence[TableRows] = (),
        more: Mapping[str, Any] | None = None,
    ) -> Written:
        """Publish the files and the report, and return the result of the run.

        Args:
            account: account of the run.
            told: what was written where, in one sentence.
            files: files besides the report.
            missing: as for `warn`; None takes what the reader's query returns.
            tables: the event tables written.
            more: is added to the report at the top level.
        """
        seconds, conditions = time.monotonic() - self._start, self._settings.conditions
        hints: list[str] = []
        if account.total.rows == 0 and conditions.shown():
            hints = in_worker(lambda: suggest(self.reader, self._selection, conditions))
        self.warn_of_columns(account, self._settings.columns)
        query = self.reader.query
        if not account.of_status(Outcome.UNVERIFIED):  # else it may be in what was not read
            self.warn(account, conditions, query, query.unmet() if missing is None else missing)
        read = len(self._read_now)
        written = Written(account, conditions, seconds, hints, told, list(tables), read)
        if self._report is not None:
            self._report.write(indented(written.report(**(more or {}))) + b"\n")
        made = [file for file in (*files, self._report) if file is not None]
        for file in made:
            file.store()
        # Too late to stop: all files take their names.
        with suppress(KeyboardInterrupt), put_off():
            if self._journal is not None:
                self._journal.end(made)
            # Hidden files are removed once all files have their names, the output first: until
            # then, the same command can resume after a kill.
            for file in reversed(made):
                file.take_name()
            for file in made:
                file.discard()
        return written
