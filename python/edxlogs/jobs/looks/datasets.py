"""Datasets that are named among logs, to be checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from edxlogs.buckets.place import holds_dataset, place_at, places_at
from edxlogs.datasets.whole import Look
from edxlogs.errors import SourceError
from edxlogs.jobs.settings import Settings
from edxlogs.jobs.work import Written
from edxlogs.sources.local import find


@dataclass(frozen=True, repr=False)
class Checked(Written):
    """What came of a check: the account of the logs, and whether datasets have their files.

    Attributes:
        looks: at the datasets that were named.
    """

    looks: Sequence[Look] = field(default_factory=list)

    def report(self, **more: Any) -> dict[str, Any]:
        """It as a JSON document."""
        return super().report(**reported(self.looks), **more)

    def __str__(self) -> str:
        has_logs = self.account.sources or not self.looks
        return "\n".join([*map(str, self.looks), *([super().__str__()] if has_logs else [])])


def reported(looks: Sequence[Look]) -> dict[str, Any]:
    """What a report tells of datasets, where some were named."""
    return {"datasets": [one.report() for one in looks]} if looks else {}


def checked(written: Written, looks: Sequence[Look]) -> Checked:
    """What came of a check of logs, and of a look at datasets."""
    return Checked(**{one.name: getattr(written, one.name) for one in fields(written)}, looks=looks)


def looked_at(settings: Settings) -> tuple[list[Look], Settings]:
    """Look at the datasets that are named, and at those of tables of events in named folders.

    Returns:
        What that has shown, and the settings with what is left to be read as logs.

    Raises:
        ConfigError: a manifest cannot be used.
        OutputError: it cannot be read.
        S3Error: a bucket cannot be listed.
    """
    looks: list[Look] = []
    left: list[Any] = []
    s3 = settings.reading.s3
    for one in settings.sources.named:
        if not isinstance(one, str | os.PathLike):
            left.append(one)
        elif holds_dataset(one, s3):
            look = Look.at(place_at(one, s3))
            looks.append(look)
            left += [one] if look.has_lines else []
        else:
            tables = _tables(one)
            looks += tables
            left += [one] if not tables or _holds_logs(one) else []
    return looks, replace(settings, sources=replace(settings.sources, named=tuple(left)))


def _tables(folder: str | os.PathLike[str]) -> list[Look]:
    """Of a folder of tables of events: a look at each."""
    if not os.path.isdir(folder):
        return []
    return [Look.at(place) for table, place in places_at(folder).items() if table]


def _holds_logs(folder: str | os.PathLike[str]) -> bool:
    """Whether there is something beside datasets that is read."""
    try:
        return bool(find([folder]).sources)
    except SourceError:
        return False
