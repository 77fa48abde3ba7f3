"""Runs jobs, with a report of each run and one sentence at the end.

Steps come in this order: fetch packages, convert tables, bring datasets up to date, derive tables,
publish.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edxlogs import _core
from edxlogs.account import Outcome
from edxlogs.buckets.place import places_at
from edxlogs.delta.publish import Published
from edxlogs.derived.account import Derived
from edxlogs.derived.verb import derive
from edxlogs.errors import EdxlogsError, OutputError, cannot_write
from edxlogs.groups.writer import DatasetWriter
from edxlogs.jobs.convert import ConvertedTables, convert
from edxlogs.jobs.datasets.verbs import publish_dataset
from edxlogs.jobs.datasets.write import write_datasets, write_event_tables
from edxlogs.jobs.job import Job
from edxlogs.jobs.sync import Synced, sync
from edxlogs.jobs.work import Written
from edxlogs.store import disk
from edxlogs.store.file import OutputFile
from edxlogs.store.manifest import now
from edxlogs.text import indented, many, shown
from edxlogs.watching import Watcher

SCHEMA_VERSION = 1


@dataclass(repr=False)
class JobDone:
    """The result of a job. It prints as one sentence, fit for an e-mail.

    Attributes:
        name: name of the job.
        started: when it began, UTC.
        seconds: how long it took.
        synced: result of fetching packages, or None.
        converted: result of each conversion that ran.
        datasets: the datasets, with their accounts.
        tables: the event tables of each folder, with their account.
        derived: result of each derivation that ran.
        published: what was published to other engines.
        failed: steps that ended in an error.
    """

    name: str
    started: str
    seconds: float = 0.0
    synced: Synced | None = None
    converted: list[ConvertedTables] = field(default_factory=list)
    datasets: list[DatasetWriter] = field(default_factory=list)
    tables: list[Written] = field(default_factory=list)
    derived: list[Derived] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether nothing failed."""
        return (
            not self.failed
            and (self.synced is None or self.synced.is_whole)
            and all(one.is_whole for one in self.converted)
            and all(one.account.is_whole for one in self.datasets)
            and all(one.is_whole for one in self.tables)
            and all(one.is_whole for one in self.derived)
        )

    def report(self) -> dict[str, Any]:
        """The result as a JSON document."""
        document = {
            "schema_version": SCHEMA_VERSION,
            "version": _core.__version__,
            "job": self.name,
            "started": self.started,
            "seconds": round(self.seconds, 3),
            "datasets": [
                one.account.report(output=one.store.name, read=one.read) for one in self.datasets
            ],
            "tables": [one.report(read=one.read) for one in self.tables],
            "conversions": [one.report() for one in self.converted],
            "sync": None if self.synced is None else self.synced.report(),
            "derived": [one.report() for one in self.derived],
            "published": [one.report() for one in self.published],
            "failed": self.failed,
        }
        return {name: value for name, value in document.items() if value not in ([], None)}

    def __str__(self) -> str:
        done, wrong = [], list(self.failed)
        if self.synced is not None:
            done.append(f"{many(self.synced.counts['fetched'], 'object')} fetched")
            if not self.synced.is_whole:
                wrong.append("some objects were not fetched")
        if self.converted:
            rows = sum(one.account.total.rows_written for one in self.converted)
            tables = sum(len(one.account.tables) for one in self.converted)
            done.append(f"{many(rows, 'row')} in {many(tables, 'table')}")
            if not all(one.is_whole for one in self.converted):
                wrong.append("some tables are incomplete")
        if self.datasets or self.tables:
            read = [one.read for one in self.datasets] + [one.read for one in self.tables]
            done.append(f"{many(max(read), 'source')} read")
        if self.datasets:
            rows = sum(one.account.rows_written for one in self.datasets)
            done.append(f"{many(rows, 'row')} in {many(len(self.datasets), 'dataset')}")
        if self.tables:
            of_each = [table for one in self.tables for table in one.tables]
            rows = sum(table.rows for table in of_each)
            done.append(f"{many(rows, 'row')} in {many(len(of_each), 'table')} of events")
        if (left := self._sources_left()) > 0:
            wrong.append(f"{many(left, 'source')} not delivered in full")
        if self.derived:
            made = sum(bool(one.made) for its in self.derived for one in its.courses)
            tables = sum(len(one.rows) for one in self.derived)
            done.append(f"{many(tables, 'derived table')}, {many(made, 'course')} made anew")
            if not all(one.is_whole for one in self.derived):
                wrong.append("some courses were not derived")
        if self.published:
            done.append(f"{many(len(self.published), 'dataset')} published")
        ended = "ok" if not wrong else f"FAILED: {', '.join(wrong)}"
        return f"{shown(self.name)}: {', '.join([ended, *done, f'{self.seconds:.1f} s'])}"

    __repr__ = __str__

    def _sources_left(self) -> int:
        """Number of sources that a dataset or an event table does not hold in full."""
        accounts = [one.account for one in self.datasets]
        accounts += [one.account for one in self.tables]
        withheld = {
            source.path
            for one in accounts
            for source in one.sources
            if source.status not in (Outcome.DELIVERED, Outcome.COPY)
        }
        return len(withheld) + max((len(one.failed) for one in accounts), default=0)


def run(job: Job, watcher: Watcher) -> JobDone:
    """Run the steps of a job, one after the other.

    If a step ends in an error, the error is reported, and later steps still run; they report what
    they need and cannot find. If the job has only one step, its error is raised.

    Raises:
        EdxlogsError: the only step failed, or the folder for the report cannot be made.
    """
    if job.reports is not None:
        _make_folder(job.reports)
    done, start = JobDone(job.name, now()), time.monotonic()
    steps = len(job.conversions) + bool(job.datasets) + len(job.tables) + len(job.derivations)
    is_only = steps + (job.sync is not None) == 1

    @contextmanager
    def step(name: str) -> Iterator[None]:
        try:
            yield
        except EdxlogsError as error:
            if is_only:
                raise
            watcher.fail(str(error))
            done.failed.append(f"{name} failed")

    if job.sync is not None:
        with step("sync"):
            done.synced = sync(job.sync, watcher)
    for number, one in enumerate(job.conversions, 1):
        with step(f"convert {number}"):
            done.converted.append(convert(one, watcher))
    if job.datasets:
        with step("dataset"):
            done.datasets = write_datasets(job.datasets, watcher)
    for number, tables in enumerate(job.tables, 1):
        with step(f"tables {number}"):
            done.tables.append(write_event_tables(tables, watcher))
    for number, derivation in enumerate(job.derivations, 1):
        with step(f"derive {number}"):
            done.derived.append(derive(derivation, watcher))
    is_only = False  # what was written is there, whatever comes of telling it
    for folder, kind in job.published:
        with step(f"publish {shown(folder.name)}"):
            if any(place.exists for place in places_at(folder).values()):
                done.published.append(publish_dataset(folder, kind))
    done.seconds = time.monotonic() - start
    if job.reports is not None:
        try:
            _write_report(job.reports, job.keep_reports, done)
        except EdxlogsError as error:  # the last line still tells what came of the steps
            watcher.fail(str(error))
            done.failed.append("report failed")
    return done


def _make_folder(folder: Path) -> None:
    try:
        disk.make_folders(folder)
    except OSError as error:
        raise OutputError(
            f"reports: {shown(os.fspath(folder))}: {error.strerror}; name another folder"
        ) from error


def _write_report(folder: Path, most: int | None, done: JobDone) -> None:
    """Write the report of this run, and remove the oldest reports beyond the number to keep."""
    stamp = done.started.replace(":", "").replace("+0000", "Z")
    with OutputFile(folder / f"edxlogs-{stamp}.json") as file:
        file.write(indented(done.report()) + b"\n")
        file.publish()
    ours = sorted(folder.glob("edxlogs-????-??-??T*Z.json"))
    try:
        for old in ours[: -most if most else 0]:
            disk.unlink(old)
    except OSError as error:
        raise cannot_write(shown(os.fspath(folder)), error) from error
