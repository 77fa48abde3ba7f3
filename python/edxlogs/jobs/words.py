"""The keywords of the public functions.

Each function reads its own into settings, which also have the defaults.
"""

from __future__ import annotations

from os import PathLike
from typing import TypedDict

from edxlogs.events.conditions import ConditionWords, TimelessWords
from edxlogs.s3.client import S3
from edxlogs.sources.window import Slack
from edxlogs.values import Values

OnePath = str | PathLike[str]


class KeyWords(TypedDict, total=False):
    """Which key decrypts."""

    gnupg_home: OnePath | None
    passphrase_file: OnePath | None
    prompt: bool


class FileWords(TypedDict, total=False):
    """Which files are written besides the rows, and how."""

    rejects: OnePath | None
    report: OnePath | None
    overwrite: bool
    mode: int


class ScanWords(KeyWords, total=False):
    """How to read logs."""

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


class ReadingWords(ConditionWords, ScanWords, total=False):
    """Which events to read, and how. Every function over logs takes these."""


class SummaryWords(TimelessWords, ScanWords, total=False):
    """Which events to count, by which time, and which files to write besides."""

    clock: str
    salvage: bool
    report: OnePath | None
    overwrite: bool
    mode: int


class EventWords(ReadingWords, total=False):
    """Which events to read, and which of their columns."""

    columns: Values


class CheckWords(KeyWords, FileWords, total=False):
    """What to check, and how."""

    partner: str | None
    days: str | None
    site: Values
    strict: bool
    max_line_bytes: int | None
    s3: S3 | None
    threads: int


class ChoiceWords(TypedDict, total=False):
    """Which data packages to use."""

    partner: str | None
    site: Values
    days: str | None
    kind: Values
    latest: bool


class CatWords(ConditionWords, total=False):
    """Which rows of a dataset to take, and how to write them."""

    days: str | None
    columns: Values
    format: str | None
    csv_excel_safe: bool
    overwrite: bool
    s3: S3 | None


class TablesWords(KeyWords, total=False):
    """Which tables of database packages to stream, and how to read them."""

    course: Values
    site: Values
    known_courses: Values
    expand: bool
    snapshots: str
    s3: S3 | None
    threads: int


class ConvertWords(KeyWords, FileWords, total=False):
    """What to convert of database packages, and how."""

    course: Values
    table: Values
    site: Values
    known_courses: Values
    format: str
    csv_excel_safe: bool
    layout: str
    snapshots: str
    expand: Values
    unpack: bool
    s3: S3 | None
    dask: str | None
    threads: int


class DatasetWords(FileWords, total=False):
    """How to write datasets."""

    format: str | None
    partition_by: Values
    known_courses: Values
    target_file_size: int | None
    csv_excel_safe: bool
    salvage: bool
    shard: str | None
    dask: str | None
    salt_file: OnePath | None


class OutputWords(EventWords, DatasetWords, total=False):
    """What to write; the place is an argument of its own."""

    limit: int | None
    raw: bool
    unverified: bool
