"""edxlogs filters edX tracking logs at the speed of gunzip, and accounts for every line.

`filter` streams the events that match as Arrow batches; the command `edxlogs filter` writes them
to Parquet, CSV, JSON Lines or Arrow files, or to a partitioned dataset, which `dataset` opens.
"""

from __future__ import annotations

from edxlogs.errors import (
    ConfigError,
    DecryptError,
    EdxlogsError,
    FormatError,
    InflateError,
    InternalError,
    MissingObjectError,
    MissingSourceError,
    OutputError,
    ParseError,
    S3Error,
    SourceError,
    StoppedError,
)

TYPE_CHECKING = False  # importing `typing` takes a tenth of what `edxlogs --help` may take
if TYPE_CHECKING:
    from typing import Any

    from edxlogs._core import __version__
    from edxlogs.account import Account
    from edxlogs.api import BatchStream, filter  # noqa: A004 - the verb of the command line
    from edxlogs.dataset_reader import dataset
    from edxlogs.s3 import S3
    from edxlogs.sources import Slack, Source
    from edxlogs.table_streams import Tables, TableStream, tables

__all__ = [
    "S3",
    "Account",
    "BatchStream",
    "ConfigError",
    "DecryptError",
    "EdxlogsError",
    "FormatError",
    "InflateError",
    "InternalError",
    "MissingObjectError",
    "MissingSourceError",
    "OutputError",
    "ParseError",
    "S3Error",
    "Slack",
    "Source",
    "SourceError",
    "StoppedError",
    "TableStream",
    "Tables",
    "__version__",
    "dataset",
    "filter",
    "tables",
]

_HOMES = {
    "S3": "edxlogs.s3",
    "Account": "edxlogs.account",
    "BatchStream": "edxlogs.api",
    "Slack": "edxlogs.sources",
    "Source": "edxlogs.sources",
    "__version__": "edxlogs._core",
    "TableStream": "edxlogs.table_streams",
    "Tables": "edxlogs.table_streams",
    "dataset": "edxlogs.dataset_reader",
    "filter": "edxlogs.api",
    "tables": "edxlogs.table_streams",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, so that `edxlogs --help` need not wait for all of it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'edxlogs' has no attribute '{name}'")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
