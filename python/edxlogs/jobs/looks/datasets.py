"""Checks datasets that are named among logs."""

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
    """The result of a check: the account of the logs, and whether datasets have their files.

    Attributes:
        looks: the results for the datasets that were named.
    """

    looks: Sequence[Look] = field(default_factory=list)

    def report(self, **more: Any) -> dict[str, Any]:
        """The result as a JSON document."""
        return super().report(**reported(self.looks), **more)

    def __str__(self) -> str:
        has_logs = self.account.sources or not self.looks
        return "\n".join([*map(str, self.looks), *([super().__str__()] if has_logs else [])])


def reported(looks: Sequence[Look]) -> dict[str, Any]:
    """What a report says about datasets, if any were named."""
    return {"datasets": [one.report() for one in looks]} if looks else {}


def checked(written: Written, looks: Sequence[Look]) -> Checked:
    """Combine the result of checking logs with that of looking at datasets."""
    return Checked(**{one.name: getattr(written, one.name) for one in fields(written)}, looks=looks)


def looked_at(settings: Settings) -> tuple[list[Look], Settings]:
    """Look at the datasets that are named, and at those of event tables in named folders.

    Returns:
        The results, and settings with what is left to be read as logs.

    Raises:
        ConfigError: a manifest is invalid.
        OutputError: a manifest cannot be read.
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
    """The results for the event tables in a folder."""
    if not os.path.isdir(folder):
        return []
    return [Look.at(place) for table, place in places_at(folder).items() if table]


def _holds_logs(folder: str | os.PathLike[str]) -> bool:
    """Whether there is something to read besides datasets."""
    try:
        return bool(find([folder]).sources)
    except SourceError:
        return False
