"""Datasets as Delta tables: what readers of Delta see, over all that can happen to a dataset."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import commands
import datasets
import edxlogs
from deltas import assert_tells_the_same, held_by, rows_of, versions
from small_logs import lines, real_shaped, write

KEYS = "course_id,date"


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return real_shaped(tmp_path_factory.mktemp("logs"), days=3, megabytes=0.1)


def _filter(cwd: Path, *sources: Path, keys: str = KEYS, more: tuple[str, ...] = ()) -> Path:
    words = ("-o", "out", "--partition-by", keys, "-q", *more)
    assert commands.run("filter", *sources, *words, cwd=cwd).code == 0
    return cwd / "out"


def _publish(folder: Path) -> str:
    done = commands.run("publish", folder, "--as", "delta", cwd=folder.parent)
    assert done.code == 0, done.stderr
    return done.stderr


def _data(folder: Path) -> set[str]:
    """Files with rows on disk."""
    return {path for path in datasets.files(folder) if "_delta_log" not in path}


def _grace_is_over(folder: Path) -> None:
    place = folder / "_edxlogs" / "published"
    told = [[number, f"2001{moment[4:]}"] for number, moment in json.loads(place.read_bytes())]
    place.write_text(json.dumps(told))


def test_a_run_a_version(tmp_path: Path, logs: list[Path]) -> None:
    out = _filter(tmp_path, logs[0])
    assert _publish(out).startswith("version 0 of ")
    assert_tells_the_same(out)
    _filter(tmp_path, *logs)
    _publish(out)
    assert_tells_the_same(out)
    first, second = versions(out)
    assert [one["txn"]["appId"] for one in (*first, *second) if "txn" in one] == ["edxlogs"] * 2
    numbers = [one["txn"]["version"] for one in (*first, *second) if "txn" in one]
    assert numbers[1] == datasets.manifest(out)["commits"]
    assert not [one for one in second if "metaData" in one or "remove" in one]


def test_the_same_words_again_do_nothing(tmp_path: Path, logs: list[Path]) -> None:
    out = _filter(tmp_path, *logs)
    _publish(out)

    def state() -> dict[str, bytes]:
        return {
            str(path): path.read_bytes()
            for path in sorted(out.rglob("*"))
            if path.is_file() and path.name != "lock"
        }

    before = state()
    assert "0 files added, 0 removed" in _publish(out)
    assert state() == before


def test_old_versions_are_read_until_the_grace_is_over(tmp_path: Path) -> None:
    log = write(tmp_path / "universityx-prod-events-2014-10-01.log.gz", lines(40))
    other = write(tmp_path / "universityx-edge-events-2014-10-02.log.gz", lines(9, first=90_000))
    out = _filter(tmp_path, log, other)
    _publish(out)
    first, files = held_by(out), _data(out)
    write(log, lines(70, username="somebody else"))
    _filter(tmp_path, log, other)
    # Not told yet: what the table has is all there.
    assert rows_of(out) == first != held_by(out)
    _publish(out)
    assert_tells_the_same(out)
    assert rows_of(out, version=0) == first
    second = held_by(out)
    assert edxlogs.compact(out).joined == 0
    done = commands.run("clean", out, cwd=tmp_path)
    assert (done.code, done.stderr) == (0, "0 files removed; 1 waits for the end of 7 days\n")
    assert _data(out) > files
    _grace_is_over(out)
    assert commands.run("clean", out, "--json", cwd=tmp_path).stdout.count(b'"removed": 1')
    assert rows_of(out) == held_by(out) == second
    assert _data(out) == {path for path in datasets.manifest(out)["files"] if path[0] != "_"}
    assert commands.run("clean", out, cwd=tmp_path).stderr == "0 files removed\n"
