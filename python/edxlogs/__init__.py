"""edxlogs filters edX tracking logs about as fast as they decompress, and accounts for every line.

`filter` streams the matching events as Arrow batches. `write` writes them to a file or to a
partitioned dataset, and `dataset` opens that dataset. `event_tables` and `write_event_tables` turn
events into tables, with one typed row for each thing that a learner did. Every command of the
command line is a function of the same name.
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
    from edxlogs.api import (
        cat,
        check,
        convert,
        database_tables,
        dataset,
        doctor,
        filter,  # noqa: A004 - the verbs of the command line
        list,  # noqa: A004
        run,
        summary,
        sync,
        write,
    )
    from edxlogs.database.stream import Tables, TableStream
    from edxlogs.events.stream import BatchStream, EventTableBatches, EventTables
    from edxlogs.looking import demo, inspect, selftest
    from edxlogs.s3.client import S3
    from edxlogs.sources.source import Source
    from edxlogs.sources.window import Slack
    from edxlogs.tables import event_tables, write_event_tables
    from edxlogs.upkeep import clean, compact, derive, merge, publish
    from edxlogs.watching import Watcher

__all__ = [
    "S3",
    "Account",
    "BatchStream",
    "ConfigError",
    "DecryptError",
    "EdxlogsError",
    "EventTableBatches",
    "EventTables",
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
    "Watcher",
    "__version__",
    "cat",
    "check",
    "clean",
    "compact",
    "convert",
    "database_tables",
    "dataset",
    "demo",
    "derive",
    "doctor",
    "event_tables",
    "filter",
    "inspect",
    "list",
    "merge",
    "publish",
    "run",
    "selftest",
    "summary",
    "sync",
    "write",
    "write_event_tables",
]

_HOMES = {
    "S3": "edxlogs.s3.client",
    "Account": "edxlogs.account",
    "BatchStream": "edxlogs.events.stream",
    "EventTableBatches": "edxlogs.events.stream",
    "EventTables": "edxlogs.events.stream",
    "Slack": "edxlogs.sources.window",
    "Source": "edxlogs.sources.source",
    "TableStream": "edxlogs.database.stream",
    "Tables": "edxlogs.database.stream",
    "Watcher": "edxlogs.watching",
    "clean": "edxlogs.upkeep",
    "compact": "edxlogs.upkeep",
    "demo": "edxlogs.looking",
    "derive": "edxlogs.upkeep",
    "event_tables": "edxlogs.tables",
    "inspect": "edxlogs.looking",
    "merge": "edxlogs.upkeep",
    "publish": "edxlogs.upkeep",
    "selftest": "edxlogs.looking",
    "write_event_tables": "edxlogs.tables",
    "__version__": "edxlogs._core",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `edxlogs --help` starts quickly."""
    if name not in __all__:
        raise AttributeError(f"module 'edxlogs' has no attribute '{name}'")
    import importlib

    value = getattr(importlib.import_module(_HOMES.get(name, "edxlogs.api")), name)
    globals()[name] = value
    return value
