"""A site that rotates its logs, and the dataset that it brings up to date each night."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.dataset

import edxlogs
from small_logs import event


def line(number: int) -> bytes:
    """An event that tells its number."""
    return json.dumps(event(number, name=f"event-{number}")).encode() + b"\n"


def lines(*numbers: int) -> bytes:
    """Events, one a line."""
    return b"".join(line(number) for number in numbers)


def bring_up(logs: Path | list[Path], out: Path) -> edxlogs.Written:
    """One night of a site."""
    sources = logs if isinstance(logs, list) else [logs]
    return edxlogs.write(
        sources, output=out, partition_by="date", columns=["name", "source", "line"]
    )


def rows(out: Path) -> list[dict[str, object]]:
    """All rows of the dataset."""
    if not any(out.rglob("*.parquet")):
        return []
    folder = pyarrow.dataset.dataset(out, partitioning="hive", exclude_invalid_files=True)
    there: list[dict[str, object]] = folder.to_table(columns=["name", "source", "line"]).to_pylist()
    return there


def names(out: Path) -> list[str]:
    """The events in the dataset, each as often as it is there."""
    return sorted(str(row["name"]) for row in rows(out))


def expected(*numbers: int) -> list[str]:
    """The names of events."""
    return sorted(f"event-{number}" for number in numbers)


def nights(logs: Path, out: Path, chance: random.Random, count: int) -> None:
    """A site writes, rotates as it likes, and brings its dataset up to date; all must be there."""
    written: list[int] = []
    live = logs / "tracking.log"
    live.touch()
    stamp = 20240101

    def write() -> None:
        more = range(len(written), len(written) + chance.randint(0, 4))
        with live.open("ab") as file:
            file.write(lines(*more))
        written.extend(more)

    def numbered() -> list[Path]:
        found = [
            one
            for one in logs.iterdir()
            if one.name.split(".")[-1 if one.suffix != ".gz" else -2].isdigit()
        ]
        return sorted(found, key=lambda one: -int(one.name.split(".")[2]))

    def move_on() -> None:
        for one in numbered():
            number = int(one.name.split(".")[2]) + 1
            content = one.read_bytes()
            one.unlink()
            if not one.name.endswith(".gz") and chance.random() < 0.7:
                (logs / f"tracking.log.{number}.gz").write_bytes(gzip.compress(content))
            else:
                (logs / one.name.replace(f".{number - 1}", f".{number}", 1)).write_bytes(content)

    def rename() -> None:
        move_on()
        live.rename(logs / "tracking.log.1")
        live.touch()

    def copytruncate() -> None:
        move_on()
        shutil.copyfile(live, logs / "tracking.log.1")
        live.write_bytes(b"")

    def date() -> None:
        nonlocal stamp
        stamp += 1
        (logs / f"tracking.log-{stamp}.gz").write_bytes(gzip.compress(live.read_bytes()))
        live.write_bytes(b"")

    steps: list[Callable[[], None]] = [rename, copytruncate, date, lambda: None]
    for _ in range(count):
        for _ in range(chance.randint(1, 3)):
            write()
            chance.choice(steps)()
            write()
        bring_up(logs, out)
        assert names(out) == expected(*written)
        told = [(row["source"], row["line"]) for row in rows(out)]
        assert len(told) == len(set(told))
