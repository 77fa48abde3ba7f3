"""The functions for existing datasets, beside those of `edxlogs.api`."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from os import fspath
from typing import TYPE_CHECKING

from edxlogs.jobs.settings import OutputSettings
from edxlogs.jobs.words import OnePath
from edxlogs.store.store import TARGET_FILE_BYTES
from edxlogs.values import Values
from edxlogs.watching import Watcher

if TYPE_CHECKING:
    from edxlogs.datasets.clean import Cleaned
    from edxlogs.datasets.compact import Compacted
    from edxlogs.delta.publish import Published
    from edxlogs.derived.account import Derived
    from edxlogs.jobs.datasets.verbs import Merged
    from edxlogs.s3.client import S3


def compact(
    folder: OnePath,
    *,
    target_file_size: int | None = None,
    mode: int = 0o600,
    s3: S3 | None = None,
) -> Compacted:
    """Join the small files of each partition of a dataset. The rows and their order do not change.

    Args:
        folder: folder of the dataset.
        target_file_size: approximate largest file in bytes; None means 128 MiB.
        mode: permissions of new files.
        s3: server and credentials; None takes them from the AWS configuration.

    Returns:
        Compacted: how many files there were, how many were joined, and how many there are now.

    Raises:
        ConfigError: the folder is not a dataset, or the dataset is empty.
        OutputError: the dataset cannot be written. What was joined stays joined.
    """
    from edxlogs.jobs.datasets.verbs import compact_dataset

    size = target_file_size or TARGET_FILE_BYTES
    return compact_dataset(OutputSettings(fspath(folder), file_bytes=size, mode=mode), s3)


def merge(
    shards: Iterable[OnePath],
    output: OnePath,
    *,
    report: OnePath | None = None,
    overwrite: bool = False,
    mode: int = 0o600,
    s3: S3 | None = None,
) -> Merged:
    """Join the datasets of shards, or their tables, into one, with their accounts. The shards stay.

    Args:
        shards: folders of datasets of one query, or of tables. No two may share an input.
        output: folder of the joined dataset. Inputs that it already holds are skipped.
        report: file for the account, as JSON.
        overwrite: replace an existing report.
        mode: permissions of new files.
        s3: server and credentials; None takes them from the AWS configuration.

    Returns:
        Merged: holds the account of all inputs, in the order of the shards.

    Raises:
        ConfigError: a folder is not a dataset, their rows differ, two share an input, or a
            conversion was interrupted.
        OutputError: a shard cannot be read, or the output cannot be written.
    """
    from edxlogs.jobs.datasets.verbs import merge_datasets

    place = None if report is None else fspath(report)
    settings = OutputSettings(fspath(output), report=place, overwrite=overwrite, mode=mode)
    return merge_datasets([fspath(shard) for shard in shards], settings, s3)


def publish(folder: OnePath, kind: str = "delta") -> Published:
    """Publish a dataset as a table for other engines, or bring that table up to date.

    No data are rewritten. From now on, files that the dataset replaces are kept for seven days.

    Args:
        folder: a dataset of Parquet files; or a folder of tables from `convert`, each published.
        kind: kind of table; only `delta`.

    Returns:
        Published: versions of the tables, and how many files this call added to them and removed.

    Raises:
        ConfigError: the folder is not a dataset, or cannot be published; the table's log is damaged
            or belongs to another program; or pyarrow is not installed.
        SourceError: a file of the dataset is missing or damaged.
        OutputError: the log cannot be read or written, or a run is writing to the dataset.

    Source: the Delta transaction log protocol.
    """
    from edxlogs.jobs.datasets.verbs import publish_dataset

    return publish_dataset(folder, kind)


def clean(folder: OnePath, *, s3: S3 | None = None) -> Cleaned:
    """Remove replaced files of a published dataset, seven days after its table stopped naming them.

    Args:
        folder: folder of the dataset. Also the `s3://` URL of one: there, replaced files and the
            leftovers of interrupted runs go after seven days.
        s3: server and credentials; None takes them from the AWS configuration.

    Returns:
        Cleaned: how many files were removed, and how many still have to wait.

    Raises:
        ConfigError: the folder is not a dataset.
        OutputError: the dataset cannot be written, or a run is writing to it.
    """
    from edxlogs.jobs.datasets.verbs import clean_dataset

    return clean_dataset(folder, s3)


def derive(
    output: OnePath,
    *,
    events: OnePath | None = None,
    db: OnePath | None = None,
    table: Values = None,
    course: Values = None,
    as_of: str | datetime.date | None = None,
    tz: str = "UTC",
    gap: float = 30,
    cap: Sequence[float] | float = (5, 30),
    min_n: int = 10,
    olx: OnePath | None = None,
    with_email_domain: bool = False,
    memory: int | None = None,
    sql_dir: OnePath | None = None,
    compat: Values = None,
    s3: S3 | None = None,
    threads: int = 0,
    report: OnePath | None = None,
    overwrite: bool = False,
    mode: int = 0o600,
    watcher: Watcher | None = None,
) -> Derived:
    """Make derived tables, such as sessions and outcomes, by SQL over event tables and packages.

    A course is made again only if its inputs have changed; its new rows replace the old ones.
    Values that a missing input would supply are null, and the result says so.

    Args:
        output: folder for the tables, or the `s3://` URL of a prefix.
        events: folder of event tables, or None.
        db: folder of package tables that `convert` wrote, or None.
        table: names of derived tables; None means all.
        course: course ids or globs; None means all.
        as_of: last day that counts; None means everything counts.
        tz: time zone in which days begin.
        gap: minutes of inactivity after which a new session begins.
        cap: most minutes credited after an act; or two numbers, for clicks and for video and text.
        min_n: fewest learners for whom statistics are given.
        olx: folder with the content of courses, as `convert` unpacks it.
        with_email_domain: whether to include the domains of e-mail addresses.
        memory: bytes that DuckDB may use before it spills to disk; None means 2 GB.
        sql_dir: folder of SQL files that replace or add to the built-in definitions.
        compat: `simeon` adds tables that use simeon's column names.
        s3: server and credentials; None takes them from the AWS configuration.
        threads: threads of DuckDB; 0 means one per core. The answer is always the same.
        report: file for the account, as JSON.
        overwrite: replace tables that were made with other parameters.
        mode: permissions of the files.
        watcher: receives progress and messages, in the calling thread.

    Returns:
        Derived: what became of each course. `is_whole` is true if all were made.

    Raises:
        ConfigError: an input does not exist, a value or a definition is invalid, DuckDB is not
            installed, or the output holds tables made with other parameters.
        OutputError: the output cannot be written.
    """
    from edxlogs.derived.verb import DeriveSettings, derive

    settings = DeriveSettings.of(
        output,
        events=events,
        db=db,
        table=table,
        course=course,
        as_of=as_of,
        tz=tz,
        gap=gap,
        cap=cap,
        min_n=min_n,
        olx=olx,
        with_email_domain=with_email_domain,
        memory=memory,
        sql_dir=sql_dir,
        compat=compat,
        s3=s3,
        threads=threads,
        report=report,
        overwrite=overwrite,
        mode=mode,
    )
    return derive(settings, watcher or Watcher())
