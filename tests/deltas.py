"""Delta tables as tests see them: rows by deltalake, and the log by nothing of the product's."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars
import pyarrow
import pytest

import edxlogs
from datasets import Step
from edxlogs.store import disk


class Killed(BaseException):
    """What ends a verb as a kill would, but that its process lives on."""


def broken_off(verb: Callable[[], object], at: int, aside: Path) -> list[Step]:
    """Do something that changes the disk, as far as the numbered step; the steps that were done.

    Args:
        verb: does it.
        at: number of the step before which it ends; -1: it goes to its end.
        aside: a new folder, for copies of what steps take away.
    """
    steps: list[Step] = []
    aside.mkdir()

    def watcher(name: str, *paths: Path) -> None:
        if len(steps) == at:
            raise Killed
        saved = None
        if name in ("rename", "unlink") and paths[-1].exists():
            saved = aside / str(len(steps))
            shutil.copy2(paths[-1], saved)
        steps.append(Step(name, saved, [Path(path).absolute() for path in paths]))

    with suppress(Killed), disk.watch(watcher):
        verb()
    return steps


def rows_of(folder: Path, version: int | None = None) -> Counter[str]:
    """The rows of a Delta table, by deltalake."""
    deltalake = pytest.importorskip("deltalake")
    table = deltalake.DeltaTable(folder, version=version)
    return _counted(pyarrow.table(table.to_pyarrow_table()))


def held_by(folder: Path) -> Counter[str]:
    """The rows of a dataset, in the columns that a Delta table of it has."""
    events = edxlogs.dataset(folder)
    names = events.schema.names
    if "time" in names:
        names = [name for name in names if name not in ("date", "month", "year")]
    return _counted(events.to_table(columns=names))


def _counted(table: pyarrow.Table) -> Counter[str]:
    return Counter(repr(sorted(row.items())) for row in table.to_pylist())


def versions(folder: Path) -> list[list[dict[str, Any]]]:
    """The actions of each version, the oldest first."""
    paths = sorted((folder / "_delta_log").glob("*.json"))
    assert [int(path.stem) for path in paths] == list(range(len(paths)))
    return [list(map(json.loads, path.read_text().splitlines())) for path in paths]


def told(folder: Path) -> dict[str, dict[str, Any]]:
    """The files that the last version has, by their paths below the table."""
    files: dict[str, dict[str, Any]] = {}
    for actions in versions(folder):
        for action in actions:
            if "remove" in action:
                del files[unquote(action["remove"]["path"])]
        for action in actions:
            if "add" in action:
                files[unquote(action["add"]["path"])] = action["add"]
    return files


def assert_tells_the_same(folder: Path) -> None:
    """Fail unless the table holds the rows of the dataset, in files that are there."""
    for path, action in told(folder).items():
        assert (folder / path).stat().st_size == action["size"]
    wanted = held_by(folder)
    assert rows_of(folder) == wanted
    counted = polars.scan_delta(folder).select(polars.len()).collect().item()
    assert counted == sum(wanted.values())
