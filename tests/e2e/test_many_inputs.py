"""One bad input among 500: it alone is withheld, and read when it is mended."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

import commands
from commands import events, pack, report
from datasets import assert_whole
from edxlogs.generator import keys

COUNT = 500
BAD = 317
ROWS = 4  # in each input
KEY = "czar@univx.example"


@pytest.fixture(scope="module")
def ring() -> Iterator[Path]:
    if (why := keys.missing()) is not None:
        pytest.skip(why)
    with keys.home() as home:
        keys.make_key(home, KEY)
        yield home


@pytest.fixture
def logs(tmp_path: Path) -> list[Path]:
    """Small logs of many days, packed."""
    folder = tmp_path / "in"
    folder.mkdir()
    paths = []
    for number in range(COUNT):
        day = datetime.date(2014, 10, 1) + datetime.timedelta(days=number)
        path = folder / f"universityx-prod-events-{day}.log.gz"
        path.write_bytes(pack(events(ROWS, first=number * ROWS)))
        paths.append(path)
    return paths


def _numbers(*wanted: int) -> bytes:
    """What the inputs of those numbers hold, in order."""
    return b"".join(events(ROWS, first=number * ROWS) for number in wanted)


def _check(cwd: Path, *options: str | Path, why: str, bad: Path) -> None:
    """The others are delivered, exactly; the bad one is named."""
    others = [number for number in range(COUNT) if number != BAD]
    arguments = ("filter", "in", "--report", "report.json", "--overwrite", *options, "-q")
    done = commands.run(*arguments, "-o", "out.jsonl", cwd=cwd)
    assert done.code == 1
    (told,) = done.told
    assert bad.name in told
    assert why in told
    assert told.endswith(" (withheld)")
    assert (cwd / "out.jsonl").read_bytes() == _numbers(*others)
    document = report(cwd / "report.json")
    withheld = [one["source"] for one in document["sources"] if one["status"] == "withheld"]
    assert withheld == [bad.name]
    assert len(document["sources"]) == COUNT
    dataset = (*arguments, "-o", "out", "--partition-by", "site", "--format", "jsonl")
    assert commands.run(*dataset, cwd=cwd).code == 1
    assert sorted(_dataset(cwd)) == sorted(_numbers(*others).splitlines())


def _dataset(cwd: Path) -> list[bytes]:
    assert_whole(cwd / "out")
    return [
        line for path in (cwd / "out").rglob("*.jsonl") for line in path.read_bytes().splitlines()
    ]


def _mended(cwd: Path, *options: str | Path) -> None:
    arguments = ("filter", "in", "--report", "report.json", "--overwrite", *options)
    done = commands.run(*arguments, "-o", "out.jsonl", "-q", cwd=cwd)
    assert done.code == 0
    assert (cwd / "out.jsonl").read_bytes() == _numbers(*range(COUNT))
    dataset = (*arguments, "-o", "out", "--partition-by", "site", "--format", "jsonl")
    done = commands.run(*dataset, cwd=cwd)
    assert done.code == 0
    assert f"1 source read, {COUNT - 1} done before" in done.stderr
    assert sorted(_dataset(cwd)) == sorted(_numbers(*range(COUNT)).splitlines())


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_one(tmp_path: Path, logs: list[Path], damage: str) -> None:
    bad = logs[BAD]
    whole = bad.read_bytes()
    if damage == "cut":
        bad.write_bytes(whole[:-9])
    elif damage == "flipped":
        at = len(whole) // 2
        bad.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
    else:
        bad.write_bytes(b"")
    if damage == "empty":
        _empty(tmp_path, bad)
    else:
        _check(tmp_path, why="the compressed data", bad=bad)
    bad.write_bytes(whole)
    _mended(tmp_path)


def _empty(cwd: Path, bad: Path) -> None:
    """An empty file holds no lines; where its name says it is packed, that is worth a warning."""
    others = [number for number in range(COUNT) if number != BAD]
    arguments = ("filter", "in", "--report", "report.json", "-q")
    done = commands.run(*arguments, "-o", "out.jsonl", cwd=cwd)
    assert done.code == 0
    (told,) = done.told
    assert told == (
        f"edxlogs: warning: {Path('in', bad.name)}: is empty, which a compressed file never is;"
        f" fetch it again"
    )
    assert (cwd / "out.jsonl").read_bytes() == _numbers(*others)
    dataset = ("-o", "out", "--partition-by", "site", "--format", "jsonl", "--overwrite")
    assert commands.run(*arguments, *dataset, cwd=cwd).code == 0


def test_one_that_cannot_be_decrypted(tmp_path: Path, logs: list[Path], ring: Path) -> None:
    whole = logs[BAD].read_bytes()
    bad = logs[BAD].with_name(f"{logs[BAD].name}.gpg")
    logs[BAD].unlink()
    message = keys.encrypt(ring, [KEY], whole)
    at = len(message) - 40
    bad.write_bytes(message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :])
    options = ("--gnupg-home", ring)
    _check(tmp_path, *options, why="cannot decrypt", bad=bad)
    bad.write_bytes(message)
    _mended(tmp_path, *options)
