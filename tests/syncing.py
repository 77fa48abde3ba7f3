"""What the tests of `edxlogs sync` share: objects, and what is in the folder afterwards."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from commands import Done
from fault_proxy import FaultProxy

YEAR = "universityx/prod/events/2014"
PARTNER = ("--partner", "universityx")


def content(key: str, size: int) -> bytes:
    """Bytes that no other object has, always the same for a key."""
    return random.Random(key).randbytes(size)


def day(number: int, site: str = "prod") -> str:
    name = f"universityx-{site}-events-2014-{number // 28 + 1:02}-{number % 28 + 1:02}.log.gz.gpg"
    return f"universityx/{site}/events/2014/{name}"


def objects(count: int, size: int) -> dict[str, bytes]:
    return {day(number): content(day(number), size) for number in range(count)}


Sync = Callable[..., Done]
"""Runs the command: words, `code` for the exit status, and the environment."""


def delivered(folder: Path) -> dict[str, bytes]:
    """The files of a mirror; each that is there is in its manifest, by its own SHA-256."""
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] != "_edxlogs"
    }
    told = records(folder)
    assert {key: hashlib.sha256(data).hexdigest() for key, data in files.items()} == {
        key: told[key]["sha256"] for key in files
    }
    return files


def records(folder: Path) -> dict[str, dict[str, Any]]:
    lines = (folder / "_edxlogs/objects.jsonl").read_bytes().splitlines()
    return {document["key"]: document for document in map(json.loads, lines)}


def left(folder: Path) -> list[str]:
    """Parts that wait to be gone on with."""
    return [path.name for path in (folder / "_edxlogs/parts").glob("*.part")]


def gets(proxy: FaultProxy) -> Counter[str]:
    """How many bytes of each object were sent."""
    sent: Counter[str] = Counter()
    for request in proxy.requests:
        if request.method == "GET" and not request.is_list:
            sent[request.path.split("/", 2)[2]] += request.sent
    return sent
