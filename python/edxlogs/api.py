"""Events to Python, as a stream of Arrow batches."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

from edxlogs import _core
from edxlogs.account import Account
from edxlogs.arrow_stream import ArrowStream
from edxlogs.errors import ConfigError, ParseError, StoppedError
from edxlogs.events.dedupe import Dedupe, kind_of, remarks
from edxlogs.events.query import Conditions, make_query
from edxlogs.events.run import account_of
from edxlogs.events.suggestions import near_columns
from edxlogs.gpg.process import Gpg
from edxlogs.s3.client import S3
from edxlogs.sources.reading import Reader, Scanned
from edxlogs.sources.selection import select
from edxlogs.sources.source import Readable, Source
from edxlogs.sources.transfers import Transfers
from edxlogs.sources.window import DEFAULT_SLACK, Slack
from edxlogs.threads import worker_count
from edxlogs.values import Moment, Values

OneSource = str | PathLike[str] | Readable | Source


class BatchStream(ArrowStream):
    """Kept events as Arrow batches, in the order of the sources; read once.

    It has `__arrow_c_stream__`, so `pyarrow.table(stream)`, `polars.DataFrame(stream)`,
    DuckDB (`select … from stream`) and
    `pandas.DataFrame.from_arrow(stream)` take it without a copy.
    Batches come as they are read, before the checks of their source are done. A source that fails
    its checks makes the stream raise before its end; until `verified` is true, nothing is sure.

    Attributes:
        account: what became of every line, complete after the end.
    """

    account: Account
    _reader: Reader
    _sources: Sequence[Source]
    _dedupe: Dedupe | None = None
    _folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def _count(self) -> int:
        return len(self._sources)

    @property
    def _control(self) -> _core.Control:
        return self._reader.control

    def _read(self, number: int, writer: _core.BatchWriter) -> Scanned:
        left = len(self._sources) - number
        threads = max(2, self._threads // left)
        hashes = None if self._dedupe is None else self._dedupe.hashes(number)
        scanned = self._reader.scan(
            self._sources[number], lambda: writer, threads=threads, hashes=hashes
        )
        if self._dedupe is not None:
            self._dedupe.settle(number, hashes, delivered=scanned.error is None)
        return scanned

    def _enter(self, number: int, done: Scanned) -> BaseException | None:
        if isinstance(done.error, StoppedError | ParseError):
            raise done.error
        # Rows of one that failed went out, but do not count.
        self.account.enter(account_of(self._sources[number], done, delivered=done.error is None))
        if self._dedupe is not None:
            self._dedupe.done(number)
        return done.error

    def _end(self) -> None:
        self._reader.close()
        if self._dedupe is not None:
            self._dedupe.stop()
        if self._folder is not None:
            self._folder.cleanup()


def filter(  # noqa: A001 - the verb of the command line
    sources: OneSource | Iterable[OneSource] = (),
    *,
    partner: str | None = None,
    days: str | None = None,
    course: Values = None,
    org: Values = None,
    event_type: Values = None,
    category: Values = None,
    event_source: Values = None,
    user: Values = None,
    site: Values = None,
    exclude_course: Values = None,
    exclude_org: Values = None,
    exclude_event_type: Values = None,
    exclude_category: Values = None,
    exclude_event_source: Values = None,
    exclude_user: Values = None,
    exclude_site: Values = None,
    since: Moment = None,
    until: Moment = None,
    by: str = "time",
    slack: Slack | None = DEFAULT_SLACK,
    where: Values = None,
    columns: Values = None,
    course_from: str = "all",
    check: str = "fast",
    strict: bool = False,
    raise_rejects: bool = False,
    dedupe: bool = False,
    dedupe_within: bool = False,
    max_line_bytes: int | None = None,
    gnupg_home: str | PathLike[str] | None = None,
    passphrase_file: str | PathLike[str] | None = None,
    prompt: bool = False,
    s3: S3 | None = None,
    threads: int = 0,
) -> BatchStream:
    """Stream the events that match, as Arrow batches in the order of the sources.

    Args:
        sources: paths, folders, globs, `s3://` URLs, `Source`s or open binary files, one or
            several, read in this order; plain, gzip, tar or OpenPGP, as their bytes tell.
        partner: a partner's folder in edX's bucket, whose events are read after the sources.
        days: of the sources by their names, such as `2014-01-01..2014-12-31`, both included.
        course: course ids, or globs over them.
        org: organisations, whatever their case.
        event_type: types or globs; matched with `event_type` and with `name`.
        category: groups of event types, such as `video`.
        event_source: server, browser, mobile, task.
        user: usernames or user ids.
        site: prod, edge, …, as the names of the sources tell.
        exclude_course: and the like: the same, excluded.
        exclude_org: see `exclude_course`.
        exclude_event_type: see `exclude_course`.
        exclude_category: see `exclude_course`.
        exclude_event_source: see `exclude_course`.
        exclude_user: see `exclude_course`.
        exclude_site: see `exclude_course`.
        since: first day or instant, included; text, date or datetime, naive ones in UTC.
        until: last day or instant, not included.
        by: which time: `time` or `received_at`.
        slack: days that a file's date may lie outside; None opens every file.
        where: expressions, all of which must hold; see the page on `--where`.
        columns: names or dotted paths in output order; None means the default columns.
        course_from: `all` rules, or `context` for the platform's own attribution alone.
        check: `fast`, or `full` to parse every line. The rows are the same.
        strict: reject lines that need a mend.
        raise_rejects: end the stream with a ParseError at the first line that is rejected; else
            such lines are counted.
        dedupe: count a line for a duplicate that stands byte for byte in an earlier source of the
            same site and day.
        dedupe_within: the same for one that its own source held before, too.
        max_line_bytes: longest line that is read; 8 MiB unless told.
        gnupg_home: GnuPG's folder; None means the user's own.
        passphrase_file: holds the passphrase of the secret key; None asks the agent.
        prompt: whether the agent may ask for a passphrase.
        s3: server and credentials; None: as the AWS configuration says.
        threads: sources read at once; 0 means one per core. Never changes the answer.

    Returns:
        BatchStream of (at most 4 MiB or a little over 8,192 rows) x (len(columns)).

    Raises:
        MissingSourceError: a source does not exist (a FileNotFoundError).
        SourceError: a source cannot be opened.
        S3Error: S3 refuses to list what is there.
        ConfigError: a condition, column or option cannot be used.
        EdxlogsError: of the stream, before its end, if a source failed.

    Source: EdX Research Guide, "Events in the Tracking Logs".
    """
    if threads < 0:
        raise ConfigError("threads: must be 0 or more; 0 means one per core")
    conditions = Conditions.of(
        course=course,
        org=org,
        event_type=event_type,
        category=category,
        event_source=event_source,
        user=user,
        site=site,
        exclude_course=exclude_course,
        exclude_org=exclude_org,
        exclude_event_type=exclude_event_type,
        exclude_category=exclude_category,
        exclude_event_source=exclude_event_source,
        exclude_user=exclude_user,
        exclude_site=exclude_site,
        since=since,
        until=until,
        by=by,
        slack=slack,
        where=where,
        days=days,
    )
    query = make_query(
        conditions,
        columns=columns,
        check=check,
        strict=strict,
        course_from=course_from,
        max_line_bytes=max_line_bytes,
        keep_rejects=raise_rejects,
    )
    selection = select(sources, conditions.window, partner=partner, s3=s3)
    selection.account.warnings += near_columns(query.column_names)
    gpg = Gpg(
        home=None if gnupg_home is None else Path(gnupg_home),
        passphrase_file=None if passphrase_file is None else Path(passphrase_file),
        prompt=prompt,
    )
    control = _core.Control()
    stream = BatchStream(query, control)
    stream.account = selection.account
    transfers = Transfers(selection.sources, control)
    stream._reader = Reader(query, gpg, control, conditions.window, transfers)
    stream._sources = selection.sources
    stream._threads = worker_count(threads)
    stream._error = selection.failures[0] if selection.failures else None
    stream._started = False
    if (kind := kind_of(dedupe=dedupe, within=dedupe_within)) is not None:
        selection.account.warnings += remarks(selection.sources)
        folder = stream._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        stream._dedupe = Dedupe(
            selection.sources, kind, lambda number: Path(folder.name, str(number))
        )
    return stream
