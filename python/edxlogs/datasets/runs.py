"""The runs that made a dataset, as its manifest has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edxlogs.store.manifest import Segment, holds_rows
from edxlogs.store.store import read_segments


def runs_of(folder: Path) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The query of a dataset, and its runs, the oldest first.

    Each run tells when it was `started` (UTC), the `sources` it delivered and those it `withheld`,
    the `rows` of the former, files `added` and `removed`, its `commits`, and how it `ended`:
    `done`, `failed` (the rest is delivered), or `stopped` before its end.

    Raises:
        ConfigError: the folder is no dataset, or its manifest cannot be used.
        OutputError: it cannot be read.
    """
    query: dict[str, Any] | None = None
    runs: dict[str, dict[str, Any]] = {}
    for segment in read_segments(folder):
        query = segment.query or query
        run = runs.setdefault(segment.run, _new(segment))
        run["commits"] += 1
        for one in segment.inputs:
            run["sources" if one.is_done else "withheld"] += 1
            run["rows"] += one.rows
        run["added"] += sum(file.holds_rows for file in segment.added)
        run["removed"] += sum(holds_rows(path) for path in segment.removed)
        if segment.ended is not None:
            run["ended"] = "done" if segment.ended["whole"] else "failed"
    return query, list(runs.values())


def _new(segment: Segment) -> dict[str, Any]:
    counts = ("sources", "withheld", "rows", "added", "removed", "commits")
    return {"started": segment.run, **dict.fromkeys(counts, 0), "ended": "stopped"}
