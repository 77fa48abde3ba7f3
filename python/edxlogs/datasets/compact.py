"""Joins files of a dataset that are small for their partition.

A joined file still records whose rows it holds, so that the rows of one input can be replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from edxlogs import _core
from edxlogs.datasets.reader import data_files
from edxlogs.errors import ConfigError
from edxlogs.formats import DATASET_FORMATS, format_by_ending
from edxlogs.store.manifest import DataFile, Segment, now
from edxlogs.store.store import TARGET_FILE_BYTES, Store
from edxlogs.text import many

SCHEMA_VERSION = 1
SMALL_FILES = 30  # of a partition, which a job joins
_FILES_A_COMMIT = 200  # old ones


@dataclass(slots=True, repr=False)
class Compacted:
    """The result of `compact`. It prints as one line.

    Attributes:
        before: number of files before.
        joined: how many of them were joined into fewer.
        after: number of files now.
        tables: for event tables, the same numbers by table.
    """

    before: int = 0
    joined: int = 0
    after: int = 0
    tables: dict[str, Compacted] = field(default_factory=dict)

    def add(self, table: str, done: Compacted) -> None:
        """Add the result for a table; without a name, for everything."""
        self.before += done.before
        self.joined += done.joined
        self.after += done.after
        if table:
            self.tables[table] = done

    def counts(self) -> dict[str, Any]:
        """The numbers as plain data, those of tables by name."""
        counts = {"before": self.before, "joined": self.joined, "after": self.after}
        tables = {name: one.counts() for name, one in self.tables.items()}
        return {**counts, "tables": tables} if tables else counts

    def report(self) -> dict[str, Any]:
        """The result as a JSON document."""
        return {"schema_version": SCHEMA_VERSION, "version": _core.__version__, **self.counts()}

    def __str__(self) -> str:
        before, joined = many(self.before, "file"), f"{self.joined:,} were joined"
        return f"{before} before, {self.after:,} now: {joined}"

    __repr__ = __str__


def compact(store: Store, file_bytes: int = TARGET_FILE_BYTES) -> Compacted:
    """Join the small files of each partition, into files of about `file_bytes`.

    The rows of a partition keep the order of the files' first inputs. Work is committed as it goes,
    so a compaction can be interrupted at any moment and run again.

    Raises:
        ConfigError: the dataset is empty.
        OutputError: the dataset cannot be written.
    """
    if store.manifest.query is None:
        raise ConfigError(f"dataset: {store.name}: is empty; run edxlogs filter first")
    files = data_files(store.manifest)
    result = Compacted(len(files))
    _join(store, _joinable(store, files, file_bytes), result)
    result.after = len(data_files(store.manifest))
    return result


def compact_grown(store: Store, folders: Iterable[str], file_bytes: int) -> None:
    """Join the small files of partitions that have many of them.

    Args:
        store: the dataset.
        folders: folders of partitions that got files; no others are looked at.
        file_bytes: approximate largest file.

    Raises:
        OutputError: the dataset cannot be written.
    """

    def files_of(folder: str) -> list[DataFile]:
        return [file for file in store.manifest.files(f"{folder}/") if file.holds_rows]

    several = [files_of(folder) for folder in sorted(folders)]
    many_small = [
        files
        for files in several
        if sum(_is_small(file, file_bytes) for file in files) >= SMALL_FILES
    ]
    groups = (group for files in many_small for group in _joinable(store, files, file_bytes))
    _join(store, groups, Compacted())


def _join(store: Store, groups: Iterable[list[DataFile]], result: Compacted) -> None:
    """Make one file of each group, with a few hundred old files per commit."""
    started = now()
    segment = Segment(started)
    for files in list(groups):
        pieces = [(file, [(0, file.rows)]) for file in files]
        segment.added.append(store.remake(pieces, _runs(files)))
        segment.removed += [file.path for file in files]
        result.joined += len(files)
        if len(segment.removed) >= _FILES_A_COMMIT:
            store.commit(segment)
            segment = Segment(started)
    if result.joined:
        segment.ended = {"whole": True}
        store.commit(segment)


def _is_small(file: DataFile, file_bytes: int) -> bool:
    return file.bytes < file_bytes / 2 and format_by_ending(file.path) in DATASET_FORMATS


def _joinable(store: Store, files: list[DataFile], file_bytes: int) -> Iterator[list[DataFile]]:
    """Groups of files to join: two or more of a partition, each less than half the largest size."""

    def folder_and_ending(file: DataFile) -> tuple[str, str]:
        return file.path.rpartition("/")[0], file.path.rpartition(".")[2]

    for _, partition in groupby(sorted(files, key=folder_and_ending), folder_and_ending):
        small = [file for file in partition if _is_small(file, file_bytes)]
        small.sort(key=lambda file: (next(iter(file.runs), (-1, 0))[0], file.path))
        if len(small) < 2:
            continue
        # Files of tables may have more columns, on request or from a later version.
        alike: dict[bytes, list[DataFile]] = {}
        for file in small:
            alike.setdefault(store.header(file), []).append(file)
        for one in alike.values():
            yield from _together(one, file_bytes)


def _together(files: list[DataFile], file_bytes: int) -> Iterator[list[DataFile]]:
    """Groups of two or more neighbours that fit into one file."""
    together: list[DataFile] = []
    size = 0
    for file in files:
        if together and size + file.bytes > file_bytes:
            if len(together) > 1:
                yield together
            together, size = [], 0
        together.append(file)
        size += file.bytes
    if len(together) > 1:
        yield together


def _runs(files: list[DataFile]) -> list[tuple[int, int]]:
    """Whose rows follow each other in joined files."""
    runs: list[tuple[int, int]] = []
    for number, rows in (run for file in files for run in file.runs):
        if runs and runs[-1][0] == number:
            runs[-1] = (number, runs[-1][1] + rows)
        else:
            runs.append((number, rows))
    return runs
