"""Uses of the public names, checked by mypy and never run."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, assert_type

import edxlogs
from edxlogs import Account, BatchStream, ConfigError, EdxlogsError, Slack, Source, SourceError


def sources() -> None:
    """A source is a path, text, an open file, a Source, or several of them."""
    assert_type(edxlogs.filter("logs/"), BatchStream)
    assert_type(edxlogs.filter(Path("logs")), BatchStream)
    assert_type(edxlogs.filter(["a.log", Path("b.log")]), BatchStream)
    assert_type(edxlogs.filter(Source("a.log", "a.log", None)), BatchStream)
    with open("a.log", "rb") as file:
        assert_type(edxlogs.filter(file), BatchStream)


def conditions() -> None:
    """A kind takes one value or several; a moment takes text, a date or a datetime."""
    edxlogs.filter("logs/", course="course-v1:A+B+C", event_type=["problem_check", "edx.forum.*"])
    edxlogs.filter("logs/", since="2014-10-01", until=datetime.date(2014, 10, 15))
    edxlogs.filter("logs/", since=datetime.datetime(2014, 10, 1), slack=None)
    edxlogs.filter("logs/", slack=Slack(1, 60), columns=("time", "event.grade::float64"))
    edxlogs.filter("logs/", course=7)  # type: ignore[arg-type]
    edxlogs.filter("logs/", "course-v1:A+B+C")  # type: ignore[call-arg]


def stream(events: BatchStream) -> None:
    """A stream has an account, and is a context manager and an iterator."""
    assert_type(events.verified, bool)
    assert_type(events.account, Account)
    assert_type(events.account.total.rejected, int)
    assert_type(events.stats, dict[str, Any])
    with events as entered:
        assert_type(entered, BatchStream)
        for batch in entered:
            assert_type(batch, Any)


def errors() -> None:
    """One hierarchy, joined to Python's own."""
    try:
        edxlogs.filter("logs/")
    except (ConfigError, SourceError) as error:
        assert_type(error.source, str | None)
        assert_type(error.line, int | None)
    base: type[Exception] = EdxlogsError
    missing: type[FileNotFoundError] = edxlogs.MissingSourceError
    wrong: type[ValueError] = ConfigError
    print(base, missing, wrong, edxlogs.__version__)
