"""The runs that made a dataset, as its manifest records them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from edxlogs.store.place import Place
from edxlogs.store.store import HMAC, open_manifest
from edxlogs.text import table

SCHEMA_VERSION = 1
_COUNTS = ("sources", "withheld", "rows", "added", "removed", "commits")


@dataclass(frozen=True, repr=False)
class History:
    """The runs that made a dataset. It prints as a table.

    Attributes:
        query: what its rows are, in the form that is shown; None before the first commit.
        runs: the runs, oldest first.
    """

    query: dict[str, Any] | None
    runs: list[dict[str, Any]]

    def report(self) -> dict[str, Any]:
        """The result as a JSON document."""
        return {"schema_version": SCHEMA_VERSION, "query": self.query, "runs": self.runs}

    def __str__(self) -> str:
        query = orjson.dumps(self.query, option=orjson.OPT_SORT_KEYS).decode()
        cells = [[str(value) for value in run.values()] for run in self.runs]
        heads = [list(run) for run in self.runs[:1]]
        return "\n".join([f"query: {query}", *table([*heads, *cells], right=range(1, 7))])

    __repr__ = __str__


@dataclass(frozen=True, repr=False)
class Histories:
    """The runs that made event tables. It prints as one table for each.

    Attributes:
        tables: histories by table name.
    """

    tables: dict[str, History]

    def report(self) -> dict[str, Any]:
        """The result as a JSON document."""
        tables = {name: {"query": one.query, "runs": one.runs} for name, one in self.tables.items()}
        return {"schema_version": SCHEMA_VERSION, "tables": tables}

    def __str__(self) -> str:
        return "\n\n".join(f"{name}\n{one}" for name, one in self.tables.items())

    __repr__ = __str__


def history_of(place: Place) -> History:
    """The runs of a dataset.

    Each run has: when it `started` (UTC); the number of `sources` that it delivered and `withheld`;
    the `rows` of the delivered ones; files `added` and `removed`; its `commits`; and how it
    `ended`: `done`, `failed` (the rest is delivered), or `stopped` before its end.

    Raises:
        ConfigError: there is no dataset, or its manifest is invalid.
        OutputError: the manifest cannot be read.
    """
    manifest = open_manifest(place)
    runs: dict[str, dict[str, Any]] = {}
    for commit in manifest.history():
        new = {"started": commit["run"], **dict.fromkeys(_COUNTS, 0), "ended": "stopped"}
        run = runs.setdefault(commit["run"], new)
        run["commits"] += 1
        for name in _COUNTS[:-1]:
            run[name] += commit[name]
        if commit["ended"] is not None:
            run["ended"] = "done" if commit["ended"] else "failed"
    query = manifest.query
    if query is not None:
        query.pop(HMAC, None)
    return History(query, list(runs.values()))
