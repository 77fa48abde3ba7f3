"""Events as a Dask DataFrame. A partition is a group of sources, read by the worker that needs it.

It needs the extras `edxlogs[dask]` and `edxlogs[arrow]`, and pandas.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from edxlogs.errors import ConfigError
from edxlogs.jobs.filter import stream
from edxlogs.jobs.settings import Settings, SomeSources
from edxlogs.jobs.words import EventWords
from edxlogs.jobs.work import select_sources
from edxlogs.keywords import spelled
from edxlogs.sources.source import Source
from edxlogs.store.inputs import groups

if TYPE_CHECKING:
    import pandas

_PANDAS = "pip install 'edxlogs[arrow,dask]' 'dask[dataframe]'"


@spelled(EventWords, Settings.of, by="time")
def read(sources: SomeSources = (), **words: Unpack[EventWords]) -> Any:
    """Read the matching events as a Dask DataFrame, in the order of the sources.

    The columns are known without reading, and columns that are not used later are not read. A
    partition raises an error if one of its sources fails its checks. With `dedupe`, lines are
    compared within a partition, which holds all sources of a site and day.

    Args:
        sources: as for `edxlogs.filter`, but no streams. Workers open them at the same paths.
        **words: as for `edxlogs.filter`. `threads` is the number for each partition, by default 1.

    Returns:
        dask.dataframe.DataFrame: columns of Arrow types. A partition holds up to 16 sources or 256
            MiB, as stored.

    Raises:
        ConfigError: as for `edxlogs.filter`; a source is a stream; or Dask or pandas is missing.
        MissingSourceError: a source does not exist.

    Examples:
        >>> events = edxlogs.dask.read("logs/", event_type="problem_check", columns=["course_id"])
        >>> events.course_id.value_counts().compute()
    """
    try:
        import dask.dataframe as dataframe
    except ImportError:
        raise ConfigError(f"dask: its data frames are not installed; {_PANDAS}") from None
    words.setdefault("threads", 1)
    settings = Settings.of(sources, None, **words)
    selection = select_sources(settings, settings.conditions.window)
    if selection.failures:
        raise selection.failures[0]
    found = [replace(one, folder=os.getcwd()) for one in selection.sources]
    for one in found:
        if one.is_stream or one.file is not None:
            raise ConfigError(f"sources: {one.label}: is a stream; save it to a file")
    together = settings.reading.dedupe is not None
    parts = [[found[number] for number in group] for group in groups(found, together=together)]
    # The sources are chosen by now.
    settings = replace(settings, sources=replace(settings.sources, named=(), partner=None))
    empty = _frame([], settings)
    made: Any = dataframe.from_map  # which has no types
    return made(_read, parts, meta=empty, settings=settings, label="edxlogs")


def _read(
    sources: Sequence[Source], settings: Settings, columns: Sequence[str] | None = None
) -> pandas.DataFrame:
    """Read one partition, on a worker, with only the columns given, if any."""
    frame = _frame(sources, settings, columns)
    return frame if columns is None else frame[list(columns)]


def _frame(
    sources: Sequence[Source], settings: Settings, columns: Sequence[str] | None = None
) -> pandas.DataFrame:
    import pandas
    import pyarrow

    if columns is not None:
        asked = settings.columns or tuple(columns)
        wanted = tuple(one for one in asked if _name(one) in columns)
        settings = replace(settings, columns=wanted or asked)
    named: tuple[Any, ...] = tuple(sources) or (io.BytesIO(),)
    settings = replace(settings, sources=replace(settings.sources, named=named))
    with stream(settings) as batches:
        schema = pyarrow.schema(batches)
        table = pyarrow.Table.from_batches(list(batches), schema=schema)
    frame: pandas.DataFrame = table.to_pandas(types_mapper=pandas.ArrowDtype)
    return frame


def _name(column: str) -> str:
    """The name of a column that was asked for as `name=path::type`."""
    name, is_named, _ = column.partition("=")
    return name if is_named else column.partition("::")[0]
