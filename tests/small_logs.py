"""Small logs for the tests of the Python layer, and what must come of them by the oracle."""

from __future__ import annotations

import datetime
import gc
import gzip
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import make_logs
import oracle

DAY = datetime.date(2014, 10, 1)
COURSE = "course-v1:UniversityX+CS101+2014_T1"


def event(number: int = 0, **fields: Any) -> dict[str, Any]:
    """A server event, one second after another."""
    moment = datetime.datetime(2014, 10, 1) + datetime.timedelta(seconds=number)
    context = {"user_id": number, "course_id": COURSE, "org_id": "UniversityX", "path": "/x"}
    return {
        "time": moment.isoformat() + "+00:00",
        "event_type": "problem_check",
        "event_source": "server",
        "username": f"learner_{number}",
        "context": context,
        "event": {"grade": number / 2, "number": number, "odd": number % 2 == 1},
    } | fields


def lines(count: int, first: int = 0, **fields: Any) -> bytes:
    """That many events, a line each."""
    numbers = range(first, first + count)
    return b"".join(json.dumps(event(number, **fields)).encode() + b"\n" for number in numbers)


def write(path: Path, content: bytes) -> Path:
    """A file with that content, packed if its name says so."""
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def real_shaped(folder: Path, days: int = 3, megabytes: float = 0.4) -> list[Path]:
    """Daily logs of the generator, some of their lines malformed."""
    paths = []
    for offset in range(days):
        day = DAY + datetime.timedelta(days=offset)
        path = folder / f"universityx-{'prod' if offset % 2 else 'edge'}-events-{day}.log.gz"
        content = b"".join(make_logs.lines(3 + offset, day, "prod", megabytes, odd=0.05))
        paths.append(write(path, content))
    return paths


def expected(*paths: Path, **conditions: Any) -> list[dict[str, Any]]:
    """The rows of files in order, by the oracle."""
    return [row for path in paths for row in oracle.filter_file(path, **conditions)]


def plain(table: Any) -> list[dict[str, Any]]:
    """The rows of a pyarrow table as the oracle writes them: times in microseconds."""
    import pyarrow as pa

    for number, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            assert field.type == pa.timestamp("us", "UTC")
            table = table.set_column(number, field.name, table[field.name].cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def without_site(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The site comes from the name of a file, which the oracle does not read."""
    return [{name: value for name, value in row.items() if name != "site"} for row in rows]


def usage() -> tuple[int, int]:
    """Open descriptors and Python threads, without those that wait to be collected."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def settles_to(before: tuple[int, int], seconds: float = 5.0) -> bool:
    """Whether descriptors and threads come back to what they were."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        now = usage()
        if now[0] <= before[0] and now[1] <= before[1]:
            return True
        time.sleep(0.02)
    return False
