"""Shards: a stable part of the inputs for each of several jobs."""

from __future__ import annotations

import hashlib

from edxlogs.errors import ConfigError
from edxlogs.sources.source import Source
from edxlogs.text import shown


def in_shard(source: Source, shard: tuple[int, int], *, whole_days: bool = False) -> bool:
    """Whether a source is in shard I of N: this follows from its name alone.

    With `whole_days`, all sources of a site and day are in the same one.
    """
    number, count = shard
    name = source.name
    if whole_days and source.date is not None:
        name = f"{source.site} {source.date}"
    digest = hashlib.sha256(name.encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:8]) % count == number - 1


def parse_shard(text: str) -> tuple[int, int]:
    """Read `I/N`.

    Raises:
        ConfigError: it is none, or out of range.
    """
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise ConfigError(
            f"shard: '{shown(text)}': is none; write I/N, such as 1/8, with I from 1 to N"
        )
    return int(number), int(count)
