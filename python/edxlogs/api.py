"""The commands of the command line as functions: keywords in, a stream or an account out."""

from __future__ import annotations

from collections.abc import Iterable
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from edxlogs.jobs.settings import Keys, Settings, SomeSources
from edxlogs.jobs.words import (
    CatWords,
    CheckWords,
    ChoiceWords,
    ConvertWords,
    EventWords,
    OnePath,
    OutputWords,
    SummaryWords,
    TablesWords,
)
from edxlogs.keywords import spelled
from edxlogs.values import Values
from edxlogs.watching import Watcher

if TYPE_CHECKING:
    from edxlogs.database.stream import Tables
    from edxlogs.datasets.cat import Copied
    from edxlogs.events.stream import BatchStream
    from edxlogs.jobs.convert import ConvertedTables
    from edxlogs.jobs.listing import Listing
    from edxlogs.jobs.looks.doctor import Examination
    from edxlogs.jobs.looks.summary import Summary
    from edxlogs.jobs.run import JobDone
    from edxlogs.jobs.sync import Synced
    from edxlogs.jobs.work import Written
    from edxlogs.s3.client import S3


@spelled(EventWords, Settings.of, by="time")
def filter(  # noqa: A001 - the verb of the command line
    sources: SomeSources = (), *, raise_rejects: bool = False, **words: Unpack[EventWords]
) -> BatchStream:
    """Stream the matching events as Arrow batches, in the order of the sources.

    Args:
        sources: one or several paths, folders, globs, `s3://` URLs, `Source` objects or open binary
            files, read in this order. Each is plain text, gzip, tar or OpenPGP: its bytes decide.
        raise_rejects: end the stream with a ParseError at the first rejected line. By default,
            rejected lines are only counted.
        partner: a partner's folder in edX's bucket. Its events are read after `sources`.
        days: days in the names of the sources, such as `2014-01-01..2014-12-31`, both included.
        course: course ids or globs. Like every condition on values, it takes one or several, and
            `@FILE` stands for the lines of a file.
        org: organisations; case does not matter.
        event_type: event types or globs, compared with both `event_type` and `name`.
        category: groups of event types, such as `video`.
        event_source: `server`, `browser`, `mobile` or `task`.
        user: usernames or user ids.
        site: `prod`, `edge` and so on, as the names of the sources say.
        exclude_course: drop these courses; otherwise like `course`. The same holds below.
        exclude_org: drop these organisations.
        exclude_event_type: drop these event types.
        exclude_category: drop these groups of event types.
        exclude_event_source: drop these event sources.
        exclude_user: drop these users.
        exclude_site: drop these sites.
        since: first day or instant, included: text, date or datetime, in UTC if it names no zone.
        until: day or instant at which to end, not included.
        by: which time `since` and `until` refer to: `time` or `received_at`.
        slack: how many days a file's date may lie outside the window; None opens every file.
        where: expressions, all of which must hold; see the page on `--where`.
        columns: column names or dotted paths, in output order. `grade=event.grade` gives a path a
            name. None means the default columns.
        course_from: `all` rules for finding the course, or only the platform's own `context`.
        time_from: a path to try first for the time, in the event and then in its envelope.
        check: `fast`, or `full` to parse every line. The rows are the same.
        strict: reject lines that would have to be mended.
        dedupe: drop lines that an earlier source of the same site and day also holds.
        dedupe_within: like `dedupe`, and drop lines that their own source already held.
        max_line_bytes: length of the longest line to read; None means 8 MiB.
        gnupg_home: GnuPG's folder; None means the user's own.
        passphrase_file: file with the passphrase of the secret key; None asks the agent.
        prompt: whether the agent may ask for a passphrase.
        s3: server and credentials; None takes them from the AWS configuration.
        threads: sources to read at once; 0 means one per core. The answer is always the same.

    Returns:
        BatchStream: len(columns) columns, in batches of at most 4 MiB or a little over 8,192 rows.
            At its end, `account.warnings` names values that were asked for but not found.

    Raises:
        MissingSourceError: a source does not exist (also a FileNotFoundError).
        SourceError: a source cannot be opened.
        S3Error: S3 refuses to list the objects.
        ConfigError: a condition, column or option is invalid.
        EdxlogsError: raised by the stream, before its end, if a source failed.

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
    """Write the matching events to a file or a dataset, verified: whole, or not at all.

    Rows are in the order of the sources. A source that fails its checks adds no rows and is named
    in the account; the others are written. To resume an interrupted run, make the same call again.

    Args:
        sources: as for `filter`.
        output: path of a file, `s3://` URL of an object, or `-` for standard output. With
            `partition_by`, the folder of a dataset, to which new events are added.
        watcher: receives progress and messages, in the calling thread.
        format: `parquet`, `arrow`, `csv`, `tsv` or `jsonl`, or compressed text such as `csv.gz`.
            None: as the output's name ends. A dataset is Parquet by default, and never `arrow`.
        partition_by: partition keys of a dataset, outermost folder first: course_id, org_id, site,
            date, month, year, event_type or event_source.
        known_courses: for a dataset, the courses that exist. All others count as no course.
        target_file_size: for a dataset, the approximate largest file in bytes; None means 128 MiB.
        csv_excel_safe: disarm cells of CSV or TSV that a spreadsheet would run as formulas.
        limit: stop after this many rows, for a quick look; not for datasets. A source that was not
            read to its end is `unverified` in the account.
        raw: for JSON Lines, write mended lines as they were, once each.
        salvage: deliver what comes before the damage in a damaged source.
        unverified: for standard output, pass rows on before their source has passed its checks.
        shard: `I/N` reads part I of N of the sources. `merge` joins the datasets of all parts.
        salt_file: salt for recognising hidden values again; created if it does not exist.
        rejects: file for the lines that are not events.
        report: file for the account, as JSON.
        overwrite: replace existing files, or a dataset of another query.
        mode: permissions of the files.
        **words: also the keywords of `filter`.

    Returns:
        Written: holds the account. `is_whole` is true if every source was delivered.

    Raises:
        ConfigError: a value is invalid, or the output already exists.
        MissingSourceError: a named source does not exist (also a FileNotFoundError).
        OutputError: the output cannot be written.
    """
    from edxlogs.jobs.filter import write

    return write(Settings.of(sources, output, **words), watcher or Watcher())


@spelled(CheckWords, Settings.of)
def check(
    sources: SomeSources = (), *, watcher: Watcher | None = None, **words: Unpack[CheckWords]
) -> Written:
    """Decrypt, unpack and parse every line, and account for it, without writing any rows.

    Args:
        sources: as for `filter`. For a dataset, its files are compared with its manifest.
        watcher: receives progress and messages, in the calling thread.
        rejects: file for the lines that are not events.
        report: file for the account, as JSON.
        overwrite: replace existing files.
        mode: permissions of the files.
        **words: partner, days, site, strict, max_line_bytes, gnupg_home, passphrase_file, prompt,
            s3 and threads, as for `filter`.

    Returns:
        Written: holds the account. `is_whole` is true if every source passed its checks, and no
            file of a dataset is missing.

    Raises:
        ConfigError: a value is invalid, or a file already exists.
        MissingSourceError: a named source does not exist (also a FileNotFoundError).
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
    """Count what is in logs, or in a dataset of logs, in one pass.

    A person is a username on a site or, where the username is empty, a user id. Counts of people
    are exact up to 1,000 in a group and 100,000 on a site. Beyond that they are estimates
    (HyperLogLog) with a standard error of 1.6 % and 0.4 %.

    Args:
        sources: as for `filter`, or a single dataset, whose columns are counted.
        output: path or `s3://` URL of a page of charts (`.html`). With `by`, the file for the table
            instead, or `-` for standard output. None writes nothing.
        by: keys of a table of your own, such as `course,date,event_type`.
        format: format of that table. None: as the output's name ends.
        watcher: receives progress and messages, in the calling thread.
        clock: which time to count by: `time`, or `received_at` where it is known.
        salvage: count what comes before the damage in a damaged source.
        report: file for the account and the counts, as JSON.
        overwrite: replace existing files.
        mode: permissions of the files.
        **words: also the keywords of `filter`, except `columns` and `by`.

    Returns:
        Summary: `digest.document()` gives all counts as plain data, `digest.tables` the same as
            tables. With `by` and no output, `groups` is the table asked for.

    Raises:
        ConfigError: a value is invalid, or the output already exists.
        MissingSourceError: a named source does not exist (also a FileNotFoundError).
        OutputError: the output cannot be written.
    """
    from edxlogs.jobs.looks.summary import SummarySettings, summarise

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
    """List data packages: how many there are, their sizes, their days, and which days are missing.

    Args:
        sources: one or several folders, files or `s3://` URLs; by default, edX's buckets.
        partner: a partner's folder in edX's buckets; None means all.
        site: `prod`, `edge` and so on; None means all.
        days: days in the names, such as `2014-01-01..2014-12-31`, both included.
        kind: kind of package, such as `events` or `database`; None means all.
        latest: list only the newest snapshot of each organisation and site.
        by: what one row covers: `year` or `day`.
        s3: server and credentials; None takes them from the AWS configuration.
        watcher: is told about anything odd or unreadable.

    Returns:
        Listing: the packages in the order found, and groups by partner, site, kind and period.

    Raises:
        ConfigError: neither sources nor a partner is given, or a value is invalid.
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
    """Copy new and changed data packages into a folder, each whole and verified.

    Args:
        folder: where to copy to. It keeps the layout of the bucket; nothing in it is deleted.
        urls: `s3://` URLs of objects or prefixes. None means edX's buckets.
        s3: server and credentials; None takes them from the AWS configuration.
        dry_run: report what would be fetched, and fetch nothing.
        threads: objects to fetch at once, 1 to 64.
        mode: permissions of the files.
        watcher: receives progress and messages, in the calling thread.
        **words: also partner (required without URLs), site, days, kind and latest, as for `list`.

    Returns:
        Synced: what became of each object, in the order listed. `is_whole` is true if nothing
            failed.

    Raises:
        ConfigError: neither URLs nor a partner is given, or a value is invalid.
        OutputError: the folder cannot be written to.
    """
    from edxlogs.jobs.sync import SyncSettings, sync

    how: dict[str, Any] = {"dry_run": dry_run, "threads": threads, "mode": mode}
    return sync(SyncSettings.of(folder, urls, s3=s3, **how, **words), watcher or Watcher())


def run(job: OnePath, *, dask: str | None = None, watcher: Watcher | None = None) -> JobDone:
    """Run a job file: fetch packages, convert tables, bring datasets up to date.

    Args:
        job: path of the file. Relative paths in it start from its folder.
        dask: cluster that reads for the job's datasets, as for `write`.
        watcher: receives progress and messages, in the calling thread.

    Returns:
        JobDone: the result of each step. `is_whole` is true if nothing failed.

    Raises:
        ConfigError: the file cannot be read, or a value in it is invalid.
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

    A file that fails its checks is left out and named in the account.

    Args:
        packages: paths, globs or `s3://` URLs of zips, tars (also those of the research exchange),
            single tables, and folders that hold any of these.
        output: folder for the tables, or the `s3://` URL of a prefix.
        watcher: receives progress and messages, in the calling thread.
        course: course ids or globs, or names as `db list` shows them; None means all. `@FILE`
            stands for the lines of a file.
        table: names of tables; None means all.
        site: `prod`, `edge` and so on; None means all.
        known_courses: course ids that exist. If nothing in a file tells its course, it is the known
            id that its name spells.
        format: `parquet`, `arrow`, `csv`, `tsv` or `jsonl`, or compressed text such as `csv.gz`.
        csv_excel_safe: disarm cells of CSV or TSV that a spreadsheet would run as formulas.
        layout: `table` for one dataset per table, `course` for one folder per course.
        snapshots: `newest` takes the newest of several packages of an organisation; `all` takes
            every one, in folders by day.
        expand: `studentmodule` adds columns taken from its state; `ora` adds a table that joins
            those of open response assessments.
        unpack: also unpack the content of courses.
        rejects: file for rows that cannot be read.
        report: file for the account, as JSON.
        overwrite: replace existing files.
        mode: permissions of the files.
        **words: also gnupg_home, passphrase_file, prompt, s3 and threads, the keywords of `filter`.

    Returns:
        ConvertedTables: holds the account of every file and row.

    Raises:
        ConfigError: a value is invalid, or files already exist.
        OutputError: the folder cannot be written to.

    Source: EdX Research Guide, "Data Delivered in Data Packages".
    """
    from edxlogs.jobs.convert import ConvertSettings, convert

    return convert(ConvertSettings.of(packages, output, **words), watcher or Watcher())


@spelled(TablesWords, Settings.of, expand=False, snapshots="newest")
def database_tables(packages: OnePath | Iterable[OnePath], **words: Unpack[TablesWords]) -> Tables:
    """Open database packages, and return their tables as streams of Arrow batches.

    If the rows of a file do not name its course, other files of the same course are consulted.

    Args:
        packages: paths or `s3://` URLs of zips, or paths of tables or of folders with tables.
        course: course ids or globs. None means all, including files that belong to no single
            course. `@FILE` stands for the lines of a file.
        site: `prod`, `edge` and so on; None means all.
        known_courses: course ids that exist. If nothing in a file tells its course, it is the known
            id that its name spells.
        expand: whether courseware_studentmodule gets columns taken from its `state`.
        snapshots: `newest` of several packages of an organisation, or `all` of them.
        **words: also gnupg_home, passphrase_file, prompt, s3 and threads, the keywords of `filter`.

    Returns:
        Tables: streams by table name, for the tables that the packages hold. Rows have the columns
            that `convert` writes and `course_id`, the course of their file if it is known.

    Raises:
        FormatError: a package is not a zip, or must not be trusted.
        SourceError: a package cannot be opened.
        ConfigError: a value is invalid.

    Source: EdX Research Guide, "Data Delivered in Data Packages".
    """
    from edxlogs.jobs.convert import open_tables

    return open_tables(packages, **words)


def dataset(folder: OnePath, *, s3: S3 | None = None) -> Any:
    """Open a dataset as its manifest describes it now.

    Args:
        folder: folder or `s3://` URL of a dataset that `write` made with `partition_by`.
        s3: server and credentials; None takes them from the AWS configuration.

    Returns:
        pyarrow.dataset.Dataset: the rows of one commit. Filters and columns are pushed down. If a
            run replaces a file in the meantime, reading fails: open the dataset again.

    Raises:
        ConfigError: the folder is not a dataset, it holds lines, or pyarrow is not installed.
        OutputError: the manifest cannot be read.
    """
    from edxlogs.buckets.place import dataset_at
    from edxlogs.datasets.reader import dataset

    return dataset(dataset_at(folder, s3))


@spelled(CatWords, Settings.of, by="time")
def cat(folder: OnePath, output: OnePath, **words: Unpack[CatWords]) -> Copied:
    """Write the matching rows of a dataset to a file, all from the same commit.

    Conditions are answered from the columns of the dataset. Partitions, row groups and columns that
    are not needed are not read.

    Args:
        folder: a dataset that `write` made with `partition_by`, or a table from `convert`.
        output: path of a file, or `-` for standard output.
        days: days of the logs, by their names, such as `2014-01-01..2014-12-31`.
        columns: column names or named paths (`grade=event.grade`), in output order; None means all.
        format: `parquet`, `arrow`, `csv`, `tsv` or `jsonl`, or compressed text such as `csv.gz`.
            None: as the output's name ends.
        csv_excel_safe: disarm cells of CSV or TSV that a spreadsheet would run as formulas.
        overwrite: replace an existing file.
        s3: server and credentials; None takes them from the AWS configuration.
        **words: also the conditions of `filter`: course, user, since, where and so on.

    Returns:
        Copied: the number of rows, and `warnings` that name values asked for but not found.

    Raises:
        ConfigError: a value is invalid, or the dataset lacks a column that is needed.
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
    """Check what an unattended run needs: gpg, keys, credentials, buckets and disk space.

    Args:
        partner: a partner's folder in edX's buckets. None looks at the top level of the buckets.
        sample: an encrypted file that your key should be able to decrypt.
        folders: where data will be written. An `s3://` URL stands for a dataset in a bucket.
        gnupg_home: GnuPG's folder; None means the user's own.
        passphrase_file: file with the passphrase of the secret key. Nobody is asked for one.
        s3: server and credentials; None takes them from the AWS configuration.

    Returns:
        Examination: the checks, in the order they were made. It prints one check per line;
            `is_healthy` is true if nothing is missing.

    Raises:
        ConfigError: the partner or the key ring is not valid.
    """
    from edxlogs.jobs.looks.doctor import doctor

    keys = Keys.of(gnupg_home=gnupg_home, passphrase_file=passphrase_file)
    named = None if sample is None else fspath(sample)
    return doctor(keys, s3, partner=partner, sample=named, folders=[fspath(one) for one in folders])
