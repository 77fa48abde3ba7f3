"""The verbs that keep datasets in order as functions, beside those of `edxlogs.api`."""

from __future__ import annotations

from collections.abc import Iterable
from os import fspath
from typing import TYPE_CHECKING

from edxlogs.jobs.settings import OnePath, OutputSettings
from edxlogs.store.store import TARGET_FILE_BYTES

if TYPE_CHECKING:
    from edxlogs.datasets.clean import Cleaned
    from edxlogs.datasets.compact import Compacted
    from edxlogs.delta.publish import Published
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
