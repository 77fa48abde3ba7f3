"""The verbs of published datasets as functions, beside those of `edxlogs.api`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edxlogs.jobs.settings import OnePath

if TYPE_CHECKING:
    from edxlogs.datasets.clean import Cleaned
    from edxlogs.delta.publish import Published


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
    from edxlogs.jobs.dataset import publish_dataset

    return publish_dataset(folder, kind)


def clean(folder: OnePath) -> Cleaned:
    """Remove files that a published dataset has replaced, seven days after its table told of it.

    Args:
        folder: of the dataset.

    Returns:
        Cleaned: how many files were removed, and how many wait.

    Raises:
        ConfigError: the folder is no dataset.
        OutputError: it cannot be written, or a run writes to it.
    """
    from edxlogs.jobs.dataset import clean_dataset

    return clean_dataset(folder)
