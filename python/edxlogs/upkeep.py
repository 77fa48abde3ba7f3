"""The verbs over datasets that are there as functions, beside those of `edxlogs.api`."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from os import fspath
from typing import TYPE_CHECKING

from edxlogs.jobs.settings import OnePath, OutputSettings
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
    """Join the small files of each partition of a dataset. Rows and their order stay.

    Args:
        folder: of the dataset.
        target_file_size: about how many bytes a file may get; 128 MiB unless told.
        mode: permissions of the files written.
        s3: server and credentials; None: as the AWS configuration says.

    Returns:
        Compacted: how many files there were, were joined, and are.

    Raises:
        ConfigError: the folder is no dataset, or an empty one.
        OutputError: it cannot be written. What was joined stays.
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
    """Join the datasets of shards to one, or their tables, with manifests and accounts. They stay.

    Args:
        shards: folders of datasets of one query, or of tables, without an input in common.
        output: folder of the dataset; what it has already is passed over.
        report: a file for the account, as JSON.
        overwrite: replace a report that is there.
        mode: permissions of the files written.
        s3: server and credentials; None: as the AWS configuration says.

    Returns:
        Merged: with the account of all inputs, in the order of the shards.

    Raises:
        ConfigError: they are none, hold different rows, or the same input twice, or a conversion
            was stopped.
        OutputError: one cannot be read, or the dataset not be written.
    """
    from edxlogs.jobs.datasets.verbs import merge_datasets

    place = None if report is None else fspath(report)
    settings = OutputSettings(fspath(output), report=place, overwrite=overwrite, mode=mode)
    return merge_datasets([fspath(shard) for shard in shards], settings, s3)


def publish(folder: OnePath, kind: str = "delta") -> Published:
    """Make a dataset a table that other engines read, or bring that table up to date.

    Nothing is rewritten. Files that the dataset replaces from now on stay for seven days.

    Args:
        folder: of a dataset of Parquet, or of tables that `convert` wrote, each a table then.
        kind: of table: `delta`.

    Returns:
        Published: versions of the tables, and how many files they tell, and tell no more, by this.

    Raises:
        ConfigError: the folder is no dataset, or one that cannot be such a table; its log is
            damaged, or of another program; or pyarrow is not installed.
        SourceError: a file of the dataset is missing or damaged.
        OutputError: the log cannot be read or written, or a run writes to the dataset.

    Source: the Delta transaction log protocol.
    """
    from edxlogs.jobs.datasets.verbs import publish_dataset

    return publish_dataset(folder, kind)


def clean(folder: OnePath, *, s3: S3 | None = None) -> Cleaned:
    """Remove files that a published dataset has replaced, seven days after its table told of it.

    Args:
        folder: of the dataset, or the `s3://` URL of one, whose files go seven days after they
            were replaced, as does what came of no commit.
        s3: server and credentials; None: as the AWS configuration says.

    Returns:
        Cleaned: how many files were removed, and how many wait.

    Raises:
        ConfigError: the folder is no dataset.
        OutputError: it cannot be written, or a run writes to it.
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
    """Make derived tables: what learners did and came to, by SQL over events and packages.

    A course whose inputs have not changed is not made again; one that is made again replaces its
    rows. What a missing input would tell is null, and told.

    Args:
        output: folder of the tables, or `s3://` URL of a prefix.
        events: of the tables of events; None: there are none.
        db: of the tables of packages that `convert` wrote; None: there are none.
        table: names of tables; None means all.
        course: ids, or globs over them; None means all.
        as_of: the last day that counts; None: all that is there counts.
        tz: time zone of days.
        gap: minutes without an act after which a new session begins.
        cap: most minutes that are credited after an act, or two: of clicks, of video and text.
        min_n: least number of learners whose statistics are told.
        olx: folder of the content of courses, as `convert` unpacks it.
        with_email_domain: whether the domains of e-mail addresses are told.
        memory: bytes that DuckDB may use before it spills; 2 GB unless told.
        sql_dir: folder of SQL files that stand for, or beside, the package's own definitions.
        compat: `simeon` adds tables with the names of simeon's columns, over ours.
        s3: server and credentials; None: as the AWS configuration says.
        threads: of DuckDB; 0 means one per core. Never changes the answer.
        report: a file for the account, as JSON.
        overwrite: replace tables that were made with other parameters.
        mode: permissions of the files.
        watcher: is told how it goes, in this thread.

    Returns:
        Derived: what became of each course; `is_whole` tells whether all were made.

    Raises:
        ConfigError: an input is not there, a value or a definition cannot be used, DuckDB is not
            installed, or the output holds tables of other parameters.
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
