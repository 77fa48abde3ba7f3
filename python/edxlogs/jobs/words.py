"""The keywords of functions that only show what there is."""

from __future__ import annotations

from edxlogs.events.conditions import TimelessWords
from edxlogs.jobs.settings import KeyWords, OnePath
from edxlogs.s3.client import S3
from edxlogs.sources.window import Slack


class SummaryWords(TimelessWords, KeyWords, total=False):
    """Which events to count, by which time, and which files to write besides."""

    partner: str | None
    days: str | None
    slack: Slack | str | None
    course_from: str
    time_from: str | None
    check: str
    strict: bool
    dedupe: bool
    dedupe_within: bool
    max_line_bytes: int | None
    s3: S3 | None
    threads: int
    clock: str
    salvage: bool
    report: OnePath | None
    overwrite: bool
    mode: int
