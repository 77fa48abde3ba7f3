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
    from edxlogs.database.stream import Tables, TableStream, tables
    from edxlogs.datasets.reader import dataset
    from edxlogs.s3.client import S3
    from edxlogs.sources.source import Source
    from edxlogs.sources.window import Slack

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
    "S3": "edxlogs.s3.client",
    "Account": "edxlogs.account",
    "BatchStream": "edxlogs.api",
    "Slack": "edxlogs.sources.window",
    "Source": "edxlogs.sources.source",
    "__version__": "edxlogs._core",
    "TableStream": "edxlogs.database.stream",
    "Tables": "edxlogs.database.stream",
    "dataset": "edxlogs.datasets.reader",
    "filter": "edxlogs.api",
    "tables": "edxlogs.database.stream",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, so that `edxlogs --help` need not wait for all of it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'edxlogs' has no attribute '{name}'")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
