"""Manifests that grew: nothing lost by checkpoints, damage found, no work for what is past."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import datasets
from edxlogs.errors import ConfigError
from edxlogs.store import checkpoint, disk, manifest
from edxlogs.store.manifest import DataFile, Identity, Input, Manifest, Segment
from edxlogs.store.place import Folder
from edxlogs.store.segments import Runs


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints every second commit, merged by threes, of small blocks."""
    monkeypatch.setattr(manifest, "CHECKPOINT_COMMITS", 2)
    monkeypatch.setattr(manifest, "_MERGED", 3)
    monkeypatch.setattr(checkpoint, "BLOCK_BYTES", 300)
    monkeypatch.setattr(os, "fsync", lambda _: None)


def _opened(folder: Path, *, lock: bool = False) -> Manifest:
    place = Folder(folder)
    one = Manifest(place)
    if lock:
        place.open()
    one.load()
    if lock:
        one.tidy()
    return one


class _Grown:
    """A manifest that grows at random, and what it must say by a dict and a list."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "_edxlogs").mkdir(exist_ok=True)
        self.rng = random.Random(seed)
        self.inputs: dict[str, Input] = {}
        self.files: dict[str, DataFile] = {}
        self.history: list[tuple[str, int, int]] = []
        self.outputs: set[str] = set()
        self.number = 0
        self.made = 0

    def segment(self) -> Segment:
        rng = self.rng
        segment = Segment(f"run {len(self.history) // 3}")
        for _ in range(rng.randrange(4)):
            name = rng.choice(["a b", "é", "tab\there", "line\nend", "x"])
            key = f"/logs/{name}{rng.randrange(9)}"
            identity = Identity(key, rng.randrange(99), self.number)
            status = rng.choice(["delivered", "withheld"])
            account = {"counts": {"kept": self.number}}
            segment.inputs.append(Input(self.number, identity, status, 7, account, [self.number]))
            self.number += 1
        for _ in range(rng.randrange(5)):
            folder = rng.choice(
                ["course_id=a", "course_id=a%2Bb", "course_id=b", "_edxlogs/rejects"]
            )
            numbers = rng.sample(range(self.number + 5), rng.randrange(4))
            runs = [(number, rng.randrange(1, 50)) for number in numbers]
            self.made += 1
            path, staged = f"{folder}/part-{self.made:03}.csv", f"new-{self.made}"
            segment.added.append(DataFile(path, staged, 3, 4, f"{self.made:064x}", runs))
        there = sorted(self.files)
        segment.removed = rng.sample(there, rng.randrange(min(3, len(there)) + 1))
        if not self.history or rng.random() < 0.1:
            segment.query = {"format": "csv", "of": len(self.history)}
        if rng.random() < 0.1 and self.history:
            segment.replaces_all, segment.removed = True, there
        if rng.random() < 0.3:
            segment.ended = {"whole": True, "outputs": [f"/report {len(self.history)}"]}
        return segment

    def take(self, segment: Segment) -> None:
        if segment.replaces_all:
            self.inputs, self.files = {}, {}
        for one in segment.inputs:
            self.inputs[one.identity.key] = one
        for path in segment.removed:
            self.files.pop(path, None)
        for file in segment.added:
            self.files[file.path] = file
        if segment.ended is not None:
            self.outputs.update(segment.ended["outputs"])
        rows = sum(one.rows for one in segment.inputs)
        self.history.append((segment.run, len(segment.inputs), rows))

    def check(self, one: Manifest) -> None:
        def plain(file: DataFile) -> tuple[Any, ...]:
            return file.path, file.rows, file.bytes, file.sha256, list(file.runs)

        assert one.next_number == self.number
        assert {key: one.newest(key) for key in self.inputs} == self.inputs
        assert one.newest("/logs/none") is None
        by_number = sorted(self.inputs.values(), key=lambda known: known.number)
        assert one.inputs() == by_number
        files = [plain(self.files[path]) for path in sorted(self.files)]
        assert [plain(file) for file in one.files()] == files
        for prefix in ("course_id=a/", "course_id=a%2Bb/", "_edxlogs/"):
            below = [file for file in files if file[0].startswith(prefix)]
            assert [plain(file) for file in one.files(prefix)] == below
        for path in self.files:
            assert one.file(path) is not None
        assert one.file("course_id=a/none") is None
        for numbers in ({0, 1}, {self.number - 1}, set(range(3, self.number, 5))):
            wanted = [file for file in files if any(number in numbers for number, _ in file[4])]
            assert [plain(file) for file in one.holding(numbers)] == wanted
        told = [
            (commit["run"], commit["sources"] + commit["withheld"], commit["rows"])
            for commit in one.history()
        ]
        assert told == self.history
        assert all(one.wrote(path) for path in self.outputs)
        assert not one.wrote("/report")


@pytest.mark.parametrize("seed", range(4))
def test_it_says_what_was_committed(tmp_path: Path, seed: int) -> None:
    grown = _Grown(tmp_path / "out", seed)
    writer = _opened(grown.folder, lock=True)
    for count in range(60):
        segment = grown.segment()
        writer.commit(segment)
        grown.take(segment)
        grown.check(writer)
        if count % 7 == 0:
            writer.place.close()
            writer = _opened(grown.folder, lock=True)
            grown.check(writer)
        if count % 5 == 0:
            grown.check(_opened(grown.folder))
            state = datasets.manifest(grown.folder)
            assert state["commits"] == len(grown.history)
            assert set(state["files"]) == set(grown.files)
            runs = {path: list(file.runs) for path, file in grown.files.items()}
            assert {path: file["runs"] for path, file in state["files"].items()} == runs
    writer.place.close()
    assert len(os.listdir(grown.folder / "_edxlogs")) < 10


def test_a_reader_keeps_its_state_while_others_write(tmp_path: Path) -> None:
    grown = _Grown(tmp_path / "out", 7)
    writer = _opened(grown.folder, lock=True)
    for _ in range(9):
        segment = grown.segment()
        writer.commit(segment)
        grown.take(segment)
    reader = _opened(grown.folder)
    more = _Grown(tmp_path / "more", 8)
    more.number, more.made = grown.number, 500
    for _ in range(30):
        writer.commit(more.segment())
    grown.check(reader)
    writer.place.close()


def test_killed_at_each_step_of_a_checkpoint(tmp_path: Path) -> None:
    """What counts is the state before a commit or after it, and what is left over goes."""

    class KilledError(BaseException):
        pass

    grown = _Grown(tmp_path / "out", 3)
    writer = _opened(grown.folder, lock=True)
    survived = 0
    for count in range(-1, 24):
        segment = grown.segment()
        left = count % 12 if count >= 0 else 99

        def watcher(*_: object) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise KilledError

        try:
            with disk.watch(watcher):
                writer.commit(segment)
        except KilledError:
            writer.place.close()
            writer = _opened(grown.folder, lock=True)
            if sum(1 for _ in writer.history()) > len(grown.history):
                grown.take(segment)
                survived += 1
            grown.number = writer.next_number
        else:
            grown.take(segment)
        grown.check(writer)
        there = [path.name for path in (grown.folder / "_edxlogs").iterdir()]
        head = json.loads((grown.folder / "_edxlogs" / "head").read_bytes())
        named = {head["segments"]["name"], *(one["name"] for one in head["checkpoints"])}
        assert {name for name in there if name.startswith(("segments", "checkpoint"))} == named
    writer.place.close()
    assert survived > 0


@pytest.mark.parametrize("place", ["first block", "index"])
def test_damage_is_found_where_it_is_read(tmp_path: Path, place: str) -> None:
    grown = _Grown(tmp_path / "out", 5)
    writer = _opened(grown.folder, lock=True)
    for _ in range(9):
        segment = grown.segment()
        segment.replaces_all = False
        writer.commit(segment)
        grown.take(segment)
    writer.place.close()
    oldest = sorted((grown.folder / "_edxlogs").glob("checkpoint-*"))[0]
    content = bytearray(oldest.read_bytes())
    content[5 if place == "first block" else -5] ^= 1
    oldest.write_bytes(content)
    with pytest.raises(ConfigError, match=r"checksum.*changed by hand, or is damaged"):
        list(_opened(grown.folder).files())


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 10**9))))
def test_runs_come_back(pairs: list[tuple[int, int]]) -> None:
    runs = Runs(Runs.of(pairs).text)
    assert list(runs) == pairs
    assert len(runs) == len(pairs)
    assert runs == pairs


@given(st.lists(st.text(max_size=6), unique=True, max_size=30))
def test_keys_keep_apart_and_what_begins_alike_does_so(keys: list[str]) -> None:
    escaped = [checkpoint.escaped(key) for key in keys]
    assert len(set(escaped)) == len(keys)
    assert all(min(key, default=32) >= 32 for key in escaped)
    for key in keys:
        for end in range(len(key)):
            assert checkpoint.escaped(key).startswith(checkpoint.escaped(key[:end]))


def test_a_night_reads_and_writes_what_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes of a night do not grow with the years: to open, to look up an input, to commit."""
    monkeypatch.setattr(manifest, "CHECKPOINT_COMMITS", 16)
    monkeypatch.setattr(manifest, "_MERGED", 8)
    monkeypatch.setattr(checkpoint, "BLOCK_BYTES", 8 << 10)
    (tmp_path / "out").mkdir()
    writer = _opened(tmp_path / "out", lock=True)
    read = written = 0
    pread, write_all = os.pread, disk.write_all

    def reading(file: int, size: int, at: int) -> bytes:
        nonlocal read
        read += size
        return pread(file, size, at)

    def writing(file: int, content: bytes, *more: Any) -> None:
        nonlocal written
        written += len(content)
        write_all(file, content, *more)

    monkeypatch.setattr(os, "pread", reading)
    monkeypatch.setattr(disk, "write_all", writing)
    costs: list[tuple[int, int]] = []
    for night in range(1024):
        added = [
            DataFile(f"course_id={course}/part-{night}.csv", "", 1, 1, "0" * 64, [(night, 1)])
            for course in range(10)
        ]
        identity = Identity(f"/logs/{night:06}", 1)
        segment = Segment(f"{night:06}", inputs=[Input(night, identity, "delivered", 10, {})])
        segment.added = added
        if night in (40, 1000):
            writer.place.close()
            read = written = 0
            writer = _opened(tmp_path / "out", lock=True)
            assert writer.newest(f"/logs/{night - 30:06}") is not None
            assert writer.newest(f"/logs/{night:06}") is None
            writer.commit(segment)
            costs.append((read, written))
        else:
            writer.commit(segment)
    writer.place.close()
    (early_read, early_written), (late_read, late_written) = costs
    assert late_written < 2 * early_written
    assert late_read < 16 * early_read
