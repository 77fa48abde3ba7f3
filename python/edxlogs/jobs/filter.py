"""What `filter` and `check` share: a run, what is told of it, and its files."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import orjson

from edxlogs import _core
from edxlogs.account import Account, Outcome, SourceAccount
from edxlogs.cli.options import gpg_of, partner_of, s3_of
from edxlogs.cli.progress import Progress, tell
from edxlogs.errors import ConfigError, OutputError, ResumableInterrupt, cannot_write
from edxlogs.events.conditions import NAMES
from edxlogs.events.dedupe import Dedupe, kind_of, remarks
from edxlogs.events.delivery import DatasetRun
from edxlogs.events.query import Conditions, make_query
from edxlogs.events.run import Delivery, Run
from edxlogs.events.suggestions import near_columns, suggest
from edxlogs.events.target import DatasetTarget
from edxlogs.s3.client import S3, SCHEME
from edxlogs.sources.reading import Reader
from edxlogs.sources.selection import Selection, select
from edxlogs.sources.source import Source
from edxlogs.sources.transfers import Transfers
from edxlogs.sources.window import DEFAULT_SLACK, Window, in_shard, parse_shard
from edxlogs.stops import put_off
from edxlogs.store.file import STDOUT, OutputFile, format_of, open_output
from edxlogs.store.journal import Journal, finished_outputs, is_own
from edxlogs.store.s3_file import S3Output
from edxlogs.text import many, shown
from edxlogs.threads import in_worker, worker_count

T = TypeVar("T")


def run_filter(arguments: Sequence[str], **options: Any) -> int:
    """Run `edxlogs filter`; its exit status."""
    conditions = Conditions.of(
        days=options["days"],
        slack=options["slack"] or DEFAULT_SLACK,
        **{name: options[name] for name in NAMES},
    )
    if options["partition_by"] is not None:
        from edxlogs.jobs.dataset import run_dataset

        return run_dataset(arguments, conditions, options)
    target: str = options["output"]
    format_name = format_of(target, options["format_name"])
    _refuse_mismatch(format_name, target, options)
    if target == STDOUT and sys.stdout is None:
        raise OutputError("output: standard output is closed; name a file with -o")
    lines = format_name.startswith("jsonl")
    collect = ("raw_lines" if options["raw"] else "lines") if lines else "columns"
    if options["csv_excel_safe"]:
        format_name = "csv-excel-safe"
    what = {
        "columns": split_columns(options["columns"]),
        "collect": collect,
        "strict": options["strict"],
        "course_from": options["course_from"],
        "max_line_bytes": options["max_line_bytes"],
        "keep_rejects": options["rejects"] is not None,
    }
    query = make_query(conditions, **what, check=options["check"])
    kind = kind_of(dedupe=options["dedupe"], within=options["dedupe_within"])
    more = {"format": format_name, "salvage": options["salvage"], "dedupe": kind}
    asked = asked_for(conditions, {**what, **more})
    s3 = s3_of(options)
    selection = select_sources(arguments, conditions.window, s3, options)
    selection.account.warnings += near_columns(query.column_names)
    refuse_same(target, options, selection)
    metadata = [
        ("edxlogs.version", _core.__version__),
        ("edxlogs.query", orjson.dumps(conditions.shown()).decode()),
    ]
    with ExitStack() as stack:
        command = Command(stack, query, conditions, selection, options)
        delivery = Delivery(
            format_name=format_name,
            salvage=options["salvage"],
            unverified=options["unverified"],
        )
        if target != STDOUT:
            delivery.file = command.output(target, s3)
        where = "stdout" if delivery.file is None else delivery.file.name
        delivery.output = open_output(delivery.file or 1, query, format_name, metadata)
        rejects = command.rejects(delivery)
        if type(delivery.file) is OutputFile and len(selection.sources) > 1:
            delivery.journal = command.journal(delivery.file, asked)
        with written_to(where), keeps_what_is_done(delivery):
            account = command.run(delivery, kind)
            delivery.output.finish(sync=delivery.file is not None)
        if delivery.file is not None and account.is_all_withheld:
            return command.close(account, _not_written(delivery.file))
        told = f"{many(account.rows_written, 'row')} to {where}"
        return command.close(account, told, delivery.file, rejects)


def asked_for(conditions: Conditions, what: dict[str, Any]) -> dict[str, Any]:
    """What the rows of an output are: where it differs, they are others."""
    asked = {name: value for name, value in what.items() if value not in (None, False, "all")}
    shown_conditions = conditions.shown()
    shown_conditions.pop("days", None)  # chooses among the inputs, not among rows
    return {**asked, **shown_conditions}


@contextmanager
def keeps_what_is_done(delivery: Delivery) -> Iterator[None]:
    """Let a run that does not come to its end leave what it has finished to the next one."""
    try:
        yield
    except BaseException as error:
        journal = delivery.journal
        if journal is not None:
            with suppress(OutputError):
                journal.commit()
            if isinstance(error, KeyboardInterrupt) and journal.is_kept:
                raise ResumableInterrupt from None
        raise


def run_check(arguments: Sequence[str], **options: Any) -> int:
    """Run `edxlogs check`; its exit status."""
    conditions = Conditions.of(site=options["site"], days=options["days"])
    query = make_query(
        conditions,
        collect="nothing",
        check="full",
        strict=options["strict"],
        max_line_bytes=options["max_line_bytes"],
        keep_rejects=options["rejects"] is not None,
    )
    selection = select_sources(arguments, conditions.window, s3_of(options), options)
    refuse_same(STDOUT, options, selection)
    with ExitStack() as stack:
        command = Command(stack, query, conditions, selection, options)
        delivery = Delivery()
        if options["rejects"] is not None:
            # Rejected lines wait for the verdict in parts, as rows do.
            delivery.format_name = "jsonl"
            delivery.output = open_output(_nowhere(stack), query, "jsonl")
            delivery.file = command.rejects(delivery)
        with written_to(shown(options["rejects"] or "")):
            account = command.run(delivery)
        if delivery.file is not None and account.is_all_withheld:
            return command.close(account, _not_written(delivery.file))
        told = f"{many(account.total.rows, 'event')} checked"
        return command.close(account, told, delivery.file)


@contextmanager
def written_to(where: str) -> Iterator[None]:
    """Name the output that cannot be written."""
    try:
        yield
    except OutputError as error:
        raise cannot_write(where, error) from error


def select_sources(
    arguments: Sequence[str],
    window: Window,
    s3: S3,
    options: dict[str, Any],
    is_known: Callable[[Source], bool] = lambda _: False,
) -> Selection:
    """Find the sources that a command names; those that are known are not opened."""
    shard = None if options.get("shard") is None else parse_shard(options["shard"])
    selection = select(
        arguments,
        window,
        partner=partner_of(options, arguments, needs_days=True),
        s3=s3,
        keep_going=True,
        is_known=is_known,
    )
    if shard is not None:
        whole_days = bool(options.get("dedupe") or options.get("dedupe_within"))
        selection.sources = [
            one for one in selection.sources if in_shard(one, shard, whole_days=whole_days)
        ]
    return selection


def _nowhere(stack: ExitStack) -> int:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    stack.callback(os.close, descriptor)
    return descriptor


class Command:
    """One run with its files, its progress, its report and its last words.

    Files that cannot be written are found out before anything is read.
    """

    def __init__(
        self,
        stack: ExitStack,
        query: _core.Query,
        conditions: Conditions,
        selection: Selection,
        options: dict[str, Any],
    ) -> None:
        self._stack = stack
        self._conditions = conditions
        self._selection = selection
        self._options = options
        control = _core.Control()
        transfers = Transfers(selection.sources, control)
        self.reader = Reader(query, gpg_of(options), control, conditions.window, transfers)
        self._own = finished_outputs(options.get("output", STDOUT))
        self._journal: Journal | None = None
        self._start = time.monotonic()
        self._report = None if options["report"] is None else self.file(options["report"])

    def output(self, target: str, s3: S3) -> OutputFile:
        """The output in the making: a file, or an object of S3."""
        if not target.startswith(SCHEME):
            return self.file(target)
        overwrite, inputs = self._options["overwrite"], self._selection.inputs
        with put_off():
            output = S3Output(target, s3, overwrite=overwrite, inputs=inputs)
            self._stack.enter_context(output)
        output.begin()
        return output

    def file(self, target: str) -> OutputFile:
        """A file in the making, with the options that hold for all of them."""
        with put_off():
            return self._stack.enter_context(
                OutputFile(
                    target,
                    overwrite=self._options["overwrite"] or is_own(Path(target), self._own),
                    mode=self._options["mode"],
                    inputs=self._selection.inputs,
                )
            )

    def journal(self, file: OutputFile, asked: dict[str, Any]) -> Journal:
        """What outlives this run, beside an output."""
        self._journal = Journal(file, asked, overwrite=self._options["overwrite"])
        self._stack.callback(self._journal.close)
        return self._journal

    def rejects(self, delivery: Delivery) -> OutputFile | None:
        """The file for rejected lines, if one was asked for."""
        if self._options["rejects"] is None:
            return None
        delivery.rejects_file = self.file(self._options["rejects"])
        delivery.rejects = delivery.rejects_file.create()
        return delivery.rejects_file

    def run(self, delivery: Delivery, dedupe: str | None = None) -> Account:
        """Read everything into one output, telling what fails as it fails."""
        sources, account = self._selection.sources, self._selection.account
        held = None
        if dedupe is not None:
            account.warnings += remarks(sources)
            held = Dedupe(sources, dedupe, self._place_of_hashes(delivery))

        def make_run(on_source: Callable[[SourceAccount], None]) -> Run:
            return Run(self.reader, sources, delivery, self.workers, on_source, account, held)

        return self.read(make_run)

    def _place_of_hashes(self, delivery: Delivery) -> Callable[[int], Path]:
        """Where what a source holds may be noted, beside the output."""
        if (file := delivery.file) is not None:
            return lambda number: file.part_path(number).with_suffix(".hashes")
        folder = Path(self._stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
        return lambda number: folder / str(number)

    def read_into(self, targets: Sequence[DatasetTarget], dedupe: str | None) -> None:
        """Read what is new into datasets, telling what fails as it fails."""
        sources = self._selection.sources
        if dedupe is not None:
            for target in targets:
                target.account.warnings += remarks(sources)

        def make_run(on_source: Callable[[SourceAccount], None]) -> DatasetRun:
            return DatasetRun(self.reader, sources, targets, self.workers, on_source, dedupe)

        self.read(make_run)

    @property
    def workers(self) -> int:
        """Sources read at once."""
        return worker_count(self._options["threads"])

    def read(self, make_run: Callable[[Callable[[SourceAccount], None]], Callable[[], T]]) -> T:
        """Do a run that is made with what it calls after each source; tell what fails."""
        sources = self._selection.sources
        for failure in self._selection.account.failed:
            self._tell(failure)
        for warning in self._selection.account.warnings:
            self._tell(f"warning: {warning}")
        shows = not self._options["quiet"] and not self._options["as_json"]
        total, control = sum(source.size or 0 for source in sources), self.reader.control
        with Progress(len(sources), total, lambda: control.bytes_read, shows=shows) as progress:

            def on_source(account: SourceAccount) -> None:
                progress.one_done()
                if account.error is not None:
                    end = " (withheld)" if account.status is Outcome.WITHHELD else " (salvaged)"
                    end = " (unauthenticated)" if account.unauthenticated else end
                    self._tell_beside(progress, f"{account.error}{end}")
                for warning in account.warnings:
                    self._tell_beside(progress, f"warning: {warning}")

            return make_run(on_source)()

    def _tell_beside(self, progress: Progress, message: str) -> None:
        if not self._options["as_json"]:
            progress.tell(f"edxlogs: {message}")

    def close(self, account: Account, told: str, *files: OutputFile | None) -> int:
        """Publish the files and the report, show the account; the exit status."""
        seconds = time.monotonic() - self._start
        hints = []
        if account.total.rows == 0 and self._conditions.shown():
            hints = in_worker(lambda: suggest(self.reader, self._selection, self._conditions))
        report = account.report(
            version=_core.__version__,
            query=self._conditions.shown(),
            seconds=round(seconds, 3),
            hints=hints,
        )
        if self._report is not None:
            options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
            self._report.write(orjson.dumps(report, option=options))
        made = [file for file in (*files, self._report) if file is not None]
        for file in made:
            file.store()
        # Too late to stop: all files take their names.
        with suppress(KeyboardInterrupt), put_off():
            if self._journal is not None:
                self._journal.end(made)
            # What is hidden goes when all have their names, the output's first: until then, the
            # same command goes on after a kill.
            for file in reversed(made):
                file.take_name()
            for file in made:
                file.discard()
        with suppress(KeyboardInterrupt):  # which may have come while they took them
            if self._options["as_json"]:
                tell(orjson.dumps(report).decode())
            elif not self._options["quiet"]:
                for line in [*account.summary(seconds), *hints, told]:
                    tell(line)
        return 0 if account.is_whole else 1

    def _tell(self, message: str) -> None:
        """What went wrong; with --json the account alone tells it."""
        if not self._options["as_json"]:
            tell(f"edxlogs: {message}")


def _not_written(file: OutputFile) -> str:
    return f"{file.name} is not written: no source passed its checks"


def split_columns(text: str | None) -> list[str] | None:
    """Column names between commas that stand outside of double quotes."""
    if text is None:
        return None
    names, quoted = [""], False
    for character in text:
        if character == '"':
            quoted = not quoted
        if character == "," and not quoted:
            names.append("")
        else:
            names[-1] += character
    return [name.strip() for name in names]


def _refuse_mismatch(format_name: str, target: str, options: dict[str, Any]) -> None:
    """Options that do not fit each other are wrong use."""
    lines = format_name.startswith("jsonl")
    if options["columns"] is not None and lines:
        raise ConfigError(
            "columns: JSON Lines are whole lines; choose another --format for columns"
        )
    if options["raw"] and not lines:
        raise ConfigError("raw: is for JSON Lines; leave it out, or add --format jsonl")
    if options["csv_excel_safe"] and format_name != "csv":
        raise ConfigError("csv-excel-safe: is for CSV; leave it out, or add --format csv")
    if options["unverified"] and target != STDOUT:
        raise ConfigError("unverified: is for standard output; files are always verified first")
    if options["unverified"] and options["rejects"] is not None:
        raise ConfigError("rejects: are only known after the checks; leave --unverified out")


def refuse_same(target: str, options: dict[str, Any], selection: Selection) -> None:
    """Files that are written must be different ones, and local but for the output."""
    named = [
        os.path.realpath(path)
        for path in (target, options["rejects"], options["report"])
        if path is not None and path != STDOUT
    ]
    if len(set(named)) < len(named):
        raise ConfigError("output: two outputs have the same name; name each differently")
    for option in ("rejects", "report"):
        if options[option] == STDOUT:
            raise ConfigError(f"{option}: standard output is not for it; name a file")
        if (options[option] or "").startswith(SCHEME):
            raise ConfigError(
                f"{option}: {shown(options[option])}: is written to local files only; name a file"
            )
    if target == STDOUT:
        _refuse_stdout(selection)


def _refuse_stdout(selection: Selection) -> None:
    """Standard output that leads to an input would be read while it grows."""
    status = os.fstat(1)
    identity = (status.st_dev, status.st_ino)
    if stat.S_ISREG(status.st_mode) and any(one.identity == identity for one in selection.inputs):
        raise ConfigError("output: standard output is also an input; write to another file")
