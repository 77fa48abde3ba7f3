"""The verbs of the command line as functions: keywords in, a stream or an account out."""

from __future__ import annotations

from collections.abc import Iterable
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from edxlogs.jobs.settings import (
    CatWords,
    CheckWords,
    ChoiceWords,
    ConvertWords,
    EventWords,
    Keys,
    OnePath,
    OutputWords,
    Settings,
    SomeSources,
    TablesWords,
)
from edxlogs.jobs.views.words import SummaryWords
from edxlogs.keywords import spelled
from edxlogs.values import Values
from edxlogs.watching import Watcher

if TYPE_CHECKING:
    from edxlogs.database.stream import Tables
    from edxlogs.datasets.cat import Copied
    from edxlogs.events.stream import BatchStream
    from edxlogs.jobs.convert import ConvertedTables
    from edxlogs.jobs.doctor import Examination
    from edxlogs.jobs.listing import Listing
    from edxlogs.jobs.run import JobDone
    from edxlogs.jobs.sync import Synced
    from edxlogs.jobs.views.summary import Summary
    from edxlogs.jobs.work import Written
    from edxlogs.s3.client import S3


@spelled(EventWords, Settings.of, by="time")
def filter(  # noqa: A001 - the verb of the command line
    sources: SomeSources = (), *, raise_rejects: bool = False, **words: Unpack[EventWords]
) -> BatchStream:
    """Stream the events that match, as Arrow batches in the order of the sources.

    Args:
        sources: paths, folders, globs, `s3://` URLs, `Source`s or open binary files, one or
            several, read in this order; plain, gzip, tar or OpenPGP, as their bytes tell.
        raise_rejects: end the stream with a ParseError at the first line that is rejected; else
            such lines are counted.
        partner: a partner's folder in edX's bucket, whose events are read after the sources.
        days: of the sources by their names, such as `2014-01-01..2014-12-31`, both included.
        course: course ids, or globs over them. As for all conditions that take values, one or
            several, and `@FILE` stands for the lines of a file.
        org: organisations, whatever their case.
        event_type: types or globs; matched with `event_type` and with `name`.
        category: groups of event types, such as `video`.
        event_source: server, browser, mobile, task.
        user: usernames or user ids.
        site: prod, edge, …, from the names of the sources.
        exclude_course: and the like with `exclude_`: the same, excluded.
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
        columns: names or dotted paths (`grade=event.grade` is called `grade`) in output order; None
            means the default columns.
        course_from: `all` rules, or `context` for the platform's own attribution alone.
        time_from: path where to look for a time first: in the event, then in its envelope.
        check: `fast`, or `full` to parse every line. The rows are the same.
        strict: reject lines that need a mend.
        dedupe: leave out lines that an earlier source of the same site and day holds, too.
        dedupe_within: the same for one that its own source held before, too.
        max_line_bytes: longest line that is read; 8 MiB unless told.
        gnupg_home: GnuPG's folder; None means the user's own.
        passphrase_file: holds the passphrase of the secret key; None asks the agent.
        prompt: whether the agent may ask for a passphrase.
        s3: server and credentials; None: as the AWS configuration says.
        threads: sources read at once; 0 means one per core. Never changes the answer.

    Returns:
        BatchStream of (at most 4 MiB or a little over 8,192 rows) x (len(columns)). At its end
            `account.warnings` tell what was asked for and is nowhere.

    Raises:
        MissingSourceError: a source does not exist (a FileNotFoundError).
        SourceError: a source cannot be opened.
        S3Error: S3 refuses to list what is there.
        ConfigError: a condition, column or option cannot be used.
        EdxlogsError: of the stream, before its end, if a source failed.

    Source: EdX Research Guide, "Events in the Tracking Logs".
    """
    from edxlogs.jobs.filter import stream

    return stream(Settings.of(sources, **words), raise_rejects=raise_rejects)


@spelled(OutputWords, Settings.of, by="time")
def write(
    sources: SomeSources,
    output: OnePath,
    *,
    watcher: Watcher | None = None,
    **words: Unpack[OutputWords],
) -> Written:
    """Write the events that match to a file or a dataset, verified: whole, or not at all.

    A source that fails its checks adds no row, and is named in the account; the others are
    written. Rows stand in the order of the sources. A run that was stopped goes on if asked again.

    Args:
        sources: as for `filter`.
        output: path of a file, `s3://` URL of an object, `-` for standard output; with
            `partition_by` the folder of a dataset, which gets what is new.
        watcher: is told how it goes, in this thread.
        format: `parquet`, `arrow`, or `csv`, `tsv`, `jsonl` (also `csv.gz`, `csv.zst`, …); None: by
            the ending of the output. A dataset is never `arrow`, and Parquet unless told.
        partition_by: keys of a dataset, in the order of its folders: course_id, org_id, site,
            date, month, year, event_type or event_source.
        known_courses: of a dataset: the courses that exist; others count as none.
        target_file_size: of a dataset: about how many bytes a file may get; 128 MiB unless told.
        csv_excel_safe: make cells of CSV or TSV harmless that a spreadsheet would run.
        limit: write the first rows alone, so many, and read no further: for a look. A source that
            was not read to its end is `unverified` in the account. Not for datasets.
        raw: write mended lines of JSON Lines as they stood, once.
        salvage: deliver what precedes the damage in a source.
        unverified: to standard output: pass rows on before their source has passed its checks.
        shard: `I/N`, to read the Ith of N parts of the sources; `merge` joins their datasets.
        salt_file: by which values that nothing shows are known again; made if it is not there.
        rejects: a file for the lines that are no events.
        report: a file for the account, as JSON.
        overwrite: replace files that are there, and a dataset of another query.
        mode: permissions of the files.
        **words: and the keywords of `filter`.

    Returns:
        Written: with the account; `is_whole` tells whether every source was delivered.

    Raises:
        ConfigError: something asked for cannot be used, or the output is there.
        MissingSourceError: a source that is named does not exist (a FileNotFoundError).
        OutputError: the output cannot be written.
    """
    from edxlogs.jobs.filter import write

    return write(Settings.of(sources, output, **words), watcher or Watcher())


@spelled(CheckWords, Settings.of)
def check(
    sources: SomeSources = (), *, watcher: Watcher | None = None, **words: Unpack[CheckWords]
) -> Written:
    """Decrypt, unpack and parse every line, and account for it, without output.

    Args:
        sources: as for `filter`.
        watcher: is told how it goes, in this thread.
        rejects: a file for the lines that are no events.
        report: a file for the account, as JSON.
        overwrite: replace files that are there.
        mode: permissions of the files.
        **words: partner, days, site, strict, max_line_bytes, gnupg_home, passphrase_file, prompt,
            s3 and threads, as for `filter`.

    Returns:
        Written: with the account; `is_whole` tells whether every source passed its checks.

    Raises:
        ConfigError: something asked for cannot be used, or a file is there.
        MissingSourceError: a source that is named does not exist (a FileNotFoundError).
        OutputError: a file cannot be written.
    """
    from edxlogs.jobs.filter import check

    return check(Settings.of(sources, **words), watcher or Watcher())


@spelled(SummaryWords, Settings.of, clock="time")
def summary(
    sources: SomeSources = (),
    output: OnePath | None = None,
    *,
    by: Values = None,
    format: str | None = None,  # noqa: A002 - the word of the command line
    watcher: Watcher | None = None,
    **words: Unpack[SummaryWords],
) -> Summary:
    """Count what is in logs, or in a dataset of them, in one pass.

    A person is a username on a site; where that is empty, a user id. People are counted exactly up
    to 1,000 in a group and 100,000 on a site, and then by a sketch (HyperLogLog) whose standard
    error is 1.6 % and 0.4 %.

    Args:
        sources: as for `filter`; or a dataset, alone, whose columns are counted.
        output: path of a page of charts, `.html`; with `by`, of a file for its table, or `-` for
            standard output; None for none.
        by: keys of a table of one's own, such as `course,date,event_type`.
        format: of the table; None: by the ending of the output.
        watcher: is told how it goes, in this thread.
        clock: which time counts: `time`, or `received_at` where there is one.
        salvage: count what precedes the damage in a source.
        report: a file for the account and what was counted, as JSON.
        overwrite: replace files that are there.
        mode: permissions of the files.
        **words: and the keywords of `filter` but `columns` and `by`.

    Returns:
        Summary: `digest.document()` is all that was counted as plain data, and `digest.tables` the
            same as tables; `groups`, with `by` and without an output, that table.

    Raises:
        ConfigError: something asked for cannot be used, or the output is there.
        MissingSourceError: a source that is named does not exist (a FileNotFoundError).
        OutputError: the output cannot be written.
    """
    from edxlogs.jobs.views.summary import SummarySettings, summarise

    settings = SummarySettings.of(sources, output, by=by, format=format, **words)
    return summarise(settings, watcher or Watcher())


@spelled(ChoiceWords, Settings.of, latest=False)
def list(  # noqa: A001 - the verb of the command line
    sources: OnePath | Iterable[OnePath] = (),
    *,
    by: str = "year",
    s3: S3 | None = None,
    watcher: Watcher | None = None,
    **words: Unpack[ChoiceWords],
) -> Listing:
    """Look what data packages are there: how many, how large, of which days, and days missing.

    Args:
        sources: folders, files and `s3://` URLs, one or several; none means edX's buckets.
        partner: a partner's folder there; None means all.
        site: prod, edge, …; None means all.
        days: in the names, such as `2014-01-01..2014-12-31`, both included.
        kind: of package: `events`, `database` and the like; None means all.
        latest: of the snapshots of an organisation and site, the newest alone.
        by: what a row is about, `year` or `day`.
        s3: server and credentials; None: as the AWS configuration says.
        watcher: is told what is odd or cannot be looked at.

    Returns:
        Listing: packages in the order they were found, groups by partner, site, kind and period.

    Raises:
        ConfigError: neither sources nor a partner is given, or a value cannot be used.
    """
    from edxlogs.jobs.listing import list_packages
    from edxlogs.jobs.sync import choice_of

    return list_packages(sources, choice_of(**words), watcher or Watcher(), by=by, s3=s3)


@spelled(ChoiceWords, Settings.of, latest=False)
def sync(
    folder: OnePath,
    urls: Values = None,
    *,
    s3: S3 | None = None,
    dry_run: bool = False,
    threads: int = 8,
    mode: int = 0o600,
    watcher: Watcher | None = None,
    **words: Unpack[ChoiceWords],
) -> Synced:
    """Copy data packages that are new or changed into a folder, each whole and verified.

    Args:
        folder: keeps the layout of the bucket. Nothing in it is deleted.
        urls: `s3://` URLs of objects or prefixes; none means edX's buckets.
        s3: server and credentials; None: as the AWS configuration says.
        dry_run: tell what would be fetched, and fetch nothing.
        threads: objects fetched at once, 1 to 64.
        mode: permissions of the files.
        watcher: is told how it goes, in this thread.
        **words: and partner, needed without URLs, site, days, kind, latest, as for `list`.

    Returns:
        Synced: what became of each object, in the order of the listing; `is_whole` tells whether
            nothing failed.

    Raises:
        ConfigError: neither URLs nor a partner is given, or a value cannot be used.
        OutputError: the folder cannot be written.
    """
    from edxlogs.jobs.sync import SyncSettings, sync

    how: dict[str, Any] = {"dry_run": dry_run, "threads": threads, "mode": mode}
    return sync(SyncSettings.of(folder, urls, s3=s3, **how, **words), watcher or Watcher())


def run(job: OnePath, *, dask: str | None = None, watcher: Watcher | None = None) -> JobDone:
    """Do the steps of a job file: fetch packages, convert tables, bring datasets up to date.

    Args:
        job: path of the file. Paths in it start in its folder.
        dask: cluster that reads for its datasets, as for `write`.
        watcher: is told how it goes, in this thread.

    Returns:
        JobDone: what came of each step; `is_whole` tells whether nothing failed.

    Raises:
        ConfigError: the file cannot be read, or asks for what cannot be used.
        EdxlogsError: the only step of the job failed.
    """
    from edxlogs.jobs.job import read_job
    from edxlogs.jobs.run import run

    return run(read_job(Path(job), dask), watcher or Watcher())


@spelled(
    ConvertWords, Settings.of, format="parquet", layout="table", snapshots="newest", unpack=False
)
def convert(
    packages: OnePath | Iterable[OnePath],
    output: OnePath,
    *,
    watcher: Watcher | None = None,
    **words: Unpack[ConvertWords],
) -> ConvertedTables:
    """Write the tables of database packages as typed files, partitioned by course.

    A file that fails its checks is named in the account and left out.

    Args:
        packages: paths, globs or `s3://` URLs of zips and tars (of the research exchange, too),
            folders with any of these or of tables, and tables.
        output: folder of the tables, or the `s3://` URL of a prefix.
        watcher: is told how it goes, in this thread.
        course: course ids or globs, or names as `db list` shows them; None means all. `@FILE`
            stands for the lines of a file.
        table: tables; None means all.
        site: prod, edge, …; None means all.
        known_courses: ids that exist; a file whose course nothing tells is of one spelled like it.
        format: `parquet`, `arrow`, or `csv`, `tsv`, `jsonl` (also `csv.gz`, `csv.zst`, …).
        csv_excel_safe: make cells of CSV or TSV harmless that a spreadsheet would run.
        layout: `table`, a dataset a table; or `course`, a folder a course.
        snapshots: `newest` of several packages of an organisation, or `all`, in folders of days.
        expand: `studentmodule` for columns of its state, `ora` for a table that joins those of
            open response assessments.
        unpack: unpack the content of courses, too.
        rejects: a file for rows that cannot be read.
        report: a file for the account, as JSON.
        overwrite: replace files that are there.
        mode: permissions of the files.
        **words: and gnupg_home, passphrase_file, prompt, s3 and threads, the keywords of `filter`.

    Returns:
        ConvertedTables: with the account of every file and row.

    Raises:
        ConfigError: something asked for cannot be used, or files are there.
        OutputError: the folder cannot be written.

    Source: EdX Research Guide, "Data Delivered in Data Packages".
    """
    from edxlogs.jobs.convert import ConvertSettings, convert

    return convert(ConvertSettings.of(packages, output, **words), watcher or Watcher())


@spelled(TablesWords, Settings.of, expand=False, snapshots="newest")
def database_tables(packages: OnePath | Iterable[OnePath], **words: Unpack[TablesWords]) -> Tables:
    """Open database packages, and give their tables as streams of Arrow batches.

    The course of files whose rows do not tell it is looked for in others of the course.

    Args:
        packages: paths or `s3://` URLs of zips, paths of folders of tables, or of tables.
        course: course ids or globs; None means all, and files of no single course, too.
            `@FILE` stands for the lines of a file.
        site: `prod`, `edge`, …; None means all.
        known_courses: ids that exist; a file whose course nothing tells is of one spelled like it.
        expand: whether courseware_studentmodule has columns of what is in its `state`.
        snapshots: `newest` of several packages of an organisation, or `all`.
        **words: and gnupg_home, passphrase_file, prompt, s3 and threads, the keywords of `filter`.

    Returns:
        Tables by name, those alone that a package holds. Rows have the columns that
        `convert` writes, and `course_id`: the course of their file, where it is known.

    Raises:
        FormatError: a package is no zip, or must not be trusted.
        SourceError: a package cannot be opened.
        ConfigError: a value cannot be used.

    Source: EdX Research Guide, "Data Delivered in Data Packages".
    """
    from edxlogs.jobs.convert import open_tables

    return open_tables(packages, **words)


def dataset(folder: OnePath, *, s3: S3 | None = None) -> Any:
    """Open a dataset as its manifest has it now.

    Args:
        folder: of a dataset, as `write` makes it with `partition_by`, or the `s3://` URL of one.
        s3: server and credentials; None: as the AWS configuration says.

    Returns:
        pyarrow.dataset.Dataset: of the rows of one commit; filters and columns are pushed down.
            A run that replaces a file while it is read makes reading it fail: open it again.

    Raises:
        ConfigError: the folder is no dataset, or holds lines; or pyarrow is not installed.
        OutputError: its manifest cannot be read.
    """
    from edxlogs.buckets.place import dataset_at
    from edxlogs.datasets.reader import dataset

    return dataset(dataset_at(folder, s3))


@spelled(CatWords, Settings.of, by="time")
def cat(folder: OnePath, output: OnePath, **words: Unpack[CatWords]) -> Copied:
    """Write the rows of a dataset that match to a file, those of one commit: old or new.

    Conditions are answered by the columns that the dataset holds; what is not wanted is not read,
    as far as partitions, row groups and columns tell.

    Args:
        folder: of a dataset, as `write` makes it with `partition_by`, or of a table of `convert`.
        output: path of a file, or `-` for standard output.
        days: of the logs that rows are of, by their names, such as `2014-01-01..2014-12-31`.
        columns: names, or paths with a name (`grade=event.grade`), in output order; None means all.
        format: `parquet`, `arrow`, or `csv`, `tsv`, `jsonl` (also `csv.gz`, `csv.zst`, …); None: by
            the ending of the output.
        csv_excel_safe: make cells of CSV or TSV harmless that a spreadsheet would run.
        overwrite: replace a file that is there.
        s3: server and credentials; None: as the AWS configuration says.
        **words: and the conditions of `filter`: course, user, since, where and the like.

    Returns:
        Copied: how many rows, and `warnings` of what was asked for and is nowhere.

    Raises:
        ConfigError: something asked for cannot be used, or the dataset holds no such column.
        SourceError: a file of the dataset is missing or damaged.
        OutputError: the output cannot be written.
    """
    from edxlogs.jobs.datasets.verbs import cat_dataset

    return cat_dataset(folder, output, **words)


def doctor(
    *,
    partner: str | None = None,
    sample: OnePath | None = None,
    folders: Iterable[OnePath] = (),
    gnupg_home: OnePath | None = None,
    passphrase_file: OnePath | None = None,
    s3: S3 | None = None,
) -> Examination:
    """Look at all that an unattended run needs: gpg, keys, credentials, buckets, room on disk.

    Args:
        partner: folder in edX's buckets; None: the buckets' tops are looked at.
        sample: an encrypted file whose key must be at hand.
        folders: where data will be written; an `s3://` URL is a place for a dataset.
        gnupg_home: GnuPG's folder; None means the user's own.
        passphrase_file: holds the passphrase of the secret key; nothing asks for one.
        s3: server and credentials; None: as the AWS configuration says.

    Returns:
        Examination: a check a line, in the order they were made; `is_healthy` tells whether
            nothing is missing.

    Raises:
        ConfigError: the partner or the key ring cannot be one.
    """
    from edxlogs.jobs.doctor import doctor

    keys = Keys.of(gnupg_home=gnupg_home, passphrase_file=passphrase_file)
    named = None if sample is None else fspath(sample)
    return doctor(keys, s3, partner=partner, sample=named, folders=[fspath(one) for one in folders])
