"""The functions for event tables: matching events as tables, one typed row for each act."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from edxlogs.jobs.datasets.tables import (
    EventTableOutputWords,
    EventTableSettings,
    EventTableWords,
)
from edxlogs.jobs.settings import Settings, SomeSources
from edxlogs.jobs.words import OnePath
from edxlogs.keywords import spelled
from edxlogs.watching import Watcher

if TYPE_CHECKING:
    from edxlogs.events.stream import EventTables
    from edxlogs.jobs.work import Written


@spelled(EventTableWords, Settings.of, by="time", with_forms=False, no_text=False)
def event_tables(sources: SomeSources = (), **words: Unpack[EventTableWords]) -> EventTables:
    """Turn the matching events into tables, each a stream of Arrow batches.

    Args:
        sources: as for `filter`.
        tables: names of tables; None means all but `problem_forms`.
        table_file: paths of files that define tables of your own.
        with_forms: also make `problem_forms`: what browsers sent, input by input.
        no_text: leave columns of free text null.
        **words: also the keywords of `filter`, except `columns`.

    Returns:
        EventTables: streams by table name. Each lookup reads the sources again, for that table
            alone; `batches()` reads all tables in one pass.

    Raises:
        ConfigError: a table is unknown, or a condition or an option is invalid.

    Examples:
        >>> tables = edxlogs.event_tables("logs/", course="course-v1:UniversityX+*")
        >>> frame = polars.DataFrame(tables["forum_events"])

    Source: EdX Research Guide, "Events in the Tracking Logs".
    """
    from edxlogs.jobs.filter import event_tables

    return event_tables(EventTableSettings.of(sources, **words))


@spelled(EventTableOutputWords, Settings.of, by="time", with_forms=False, no_text=False)
def write_event_tables(
    sources: SomeSources,
    folder: OnePath,
    *,
    watcher: Watcher | None = None,
    **words: Unpack[EventTableOutputWords],
) -> Written:
    """Write the matching events into a folder as tables, verified, in one pass.

    Every event is one row in exactly one table, its home. Some tables also have rows for parts of
    an event. Each table is a dataset, in the folder of its name, to which new events are added.

    Args:
        sources: as for `filter`.
        folder: folder for the tables, or the `s3://` URL of a prefix.
        watcher: receives progress and messages, in the calling thread.
        tables: as for `event_tables`.
        table_file: as for `event_tables`.
        with_forms: as for `event_tables`.
        no_text: as for `event_tables`.
        partition_by: partition keys of each table, as for `write`; None means course_id.
        **words: also the keywords of `filter` and, for datasets, of `write`, except `columns`.

    Returns:
        Written: holds the account. `tables` gives the number of rows in each table.

    Raises:
        ConfigError: a table is unknown, a value is invalid, or the folder holds rows of another
            query.
        MissingSourceError: a named source does not exist (also a FileNotFoundError).
        OutputError: a table cannot be written. What was committed stays.
    """
    from edxlogs.jobs.datasets.write import write_event_tables

    return write_event_tables(EventTableSettings.of(sources, folder, **words), watcher or Watcher())
