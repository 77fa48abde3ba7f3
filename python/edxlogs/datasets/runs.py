"""The runs that made a dataset, as its manifest has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edxlogs.store.store import open_manifest

_COUNTS = ("sources", "withheld", "rows", "added", "removed", "commits")


def runs_of(folder: Path) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The query of a dataset, and its runs, the oldest first.

    Each run tells when it was `started` (UTC), the `sources` it delivered and those it `withheld`,
    the `rows` of the former, files `added` and `removed`, its `commits`, and how it `ended`:
    `done`, `failed` (the rest is delivered), or `stopped` before its end.

    Raises:
        ConfigError: the folder is no dataset, or its manifest cannot be used.
        OutputError: it cannot be read.
    """
    manifest = open_manifest(folder)
    runs: dict[str, dict[str, Any]] = {}
    for commit in manifest.history():
        new = {"started": commit["run"], **dict.fromkeys(_COUNTS, 0), "ended": "stopped"}
        run = runs.setdefault(commit["run"], new)
        run["commits"] += 1
        for name in _COUNTS[:-1]:
            run[name] += commit[name]
        if commit["ended"] is not None:
            run["ended"] = "done" if commit["ended"] else "failed"
    return manifest.query, list(runs.values())
