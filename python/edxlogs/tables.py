"""The events that match as tables, one typed row for what a learner did, as functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from edxlogs.jobs.datasets.tables import (
    EventTableOutputWords,
    EventTableSettings,
    EventTableWords,
)
from edxlogs.jobs.settings import OnePath, Settings, SomeSources
from edxlogs.keywords import spelled
from edxlogs.watching import Watcher

if TYPE_CHECKING:
    from edxlogs.events.stream import EventTables
    from edxlogs.jobs.work import Written


@spelled(EventTableWords, Settings.of, by="time", with_forms=False, no_text=False)
def event_tables(sources: SomeSources = (), **words: Unpack[EventTableWords]) -> EventTables:
    """Give tables of the events that match, each as a stream of Arrow batches.

    Args:
        sources: as for `filter`.
        tables: names; None means all but `problem_forms`.
        table_file: paths of files that define tables of your own.
        with_forms: `problem_forms`, too: what browsers sent, input by input.
        no_text: leave free text out; those columns are null.
        **words: and the keywords of `filter`, but for columns.

    Returns:
        EventTables by name. Each look reads the sources for that table alone; `batches()` gives
            those of all tables in one pass.

    Raises:
        ConfigError: a table is not known, or a condition or an option cannot be used.

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
    """Write tables of the events that match into a folder, verified, in one pass.

    Each event is a row of the one table that is its home; others have rows for parts of an event.
    Each table is a dataset of its name in the folder, which gets what is new.

    Args:
        sources: as for `filter`.
        folder: of the tables, or the `s3://` URL of a prefix.
        watcher: is told how it goes, in this thread.
        tables: as for `event_tables`, and the three after it.
        table_file: see `tables`.
        with_forms: see `tables`.
        no_text: see `tables`.
        partition_by: keys of each table, as for `write`; course_id unless told.
        **words: and the keywords of `filter` and, for datasets, of `write`, but for columns.

    Returns:
        Written: with the account, and what each of the `tables` has.

    Raises:
        ConfigError: a table is not known, something asked for cannot be used, or rows of another
            query are there.
        MissingSourceError: a source that is named does not exist (a FileNotFoundError).
        OutputError: a table cannot be written. What was committed stays.
    """
    from edxlogs.jobs.datasets.write import write_event_tables

    return write_event_tables(EventTableSettings.of(sources, folder, **words), watcher or Watcher())
