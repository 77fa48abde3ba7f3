"""Datasets as tests see them: runs of the command, their files, and rows by the oracle."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import commands
import forked

Row = dict[str, Any]

NULL = "__HIVE_DEFAULT_PARTITION__"

# Runs the command, and kills it as SIGKILL does when the numbered step of a publication begins.
# Notes each step before it is done; of what a step takes away, a copy. READ_BY_HOSTS names the
# folder of `hosts`, which then do the reading: their steps are watched as well.
_DRIVER = """
import json, os, shutil, signal, sys
from edxlogs import cli
from edxlogs.store import disk
from edxlogs.store import inputs
from edxlogs.store import journal
from edxlogs.buckets import bucket
journal.BEGIN_SECONDS = journal.COMMIT_SECONDS = 0.0
bucket._AT_ONCE = 1  # a step after the other
if sys.argv[4] == "db":
    from edxlogs.database import folder, target
    target.READY_BYTES, folder.COMMIT_SECONDS = 1, 0.0
kill_at, inputs.GROUP_INPUTS, trace = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if os.environ.get("READ_BY_HOSTS"):
    import random
    sys.path.insert(0, os.environ["READ_BY_HOSTS"])
    from edxlogs.jobs.datasets import write
    from hosts import CarelessHosts
    write.hosts_of = lambda *_: CarelessHosts(random.Random(5))
steps = 0
def watcher(name, *paths):
    global steps
    if steps == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    saved = None
    if name in ("rename", "unlink") and os.path.exists(paths[-1]):
        saved = f"{trace}.{steps}"
        shutil.copy2(paths[-1], saved)
    with open(trace, "a") as file:
        file.write(json.dumps([name, saved, *map(os.path.abspath, paths)]) + chr(10))
    steps += 1
with disk.watch(watcher):
    status = cli.execute(sys.argv[4:])
sys.exit(status)
"""


@dataclass(frozen=True)
class Step:
    """A step of a publication: its name, its paths, and a copy of what it takes away."""

    name: str
    saved: Path | None
    paths: list[Path]


def run(
    *arguments: str | Path,
    cwd: Path,
    kill_at: int = -1,
    group: int = 16,
    environment: dict[str, str] | None = None,
) -> tuple[int, list[Step]]:
    """Run the command with its steps watched; it is killed at one of them, if told.

    Returns:
        Its exit status, and the steps it did.
    """
    trace = Path(tempfile.mkdtemp(dir=cwd, prefix="trace-"), "trace")
    done = forked.run(
        [*forked.PYTHON, "-c", _DRIVER, str(kill_at), str(group), trace, *arguments],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        seconds=commands.SECONDS,
    )
    told = done.stderr.decode()
    assert "Traceback" not in told, told
    assert done.returncode in ((0, -signal.SIGKILL) if kill_at >= 0 else (0, 1, 2)), told
    lines = trace.read_text().splitlines() if trace.exists() else []
    steps = [json.loads(line) for line in lines]
    return done.returncode, [
        Step(name, None if saved is None else Path(saved), [Path(path) for path in paths])
        for name, saved, *paths in steps
    ]


def lose_power(steps: list[Step]) -> None:
    """Take back the names that were given or taken away after they were last synced."""
    last = max(
        (at for at, step in enumerate(steps) if step.name in ("sync-all", "sync-folder")),
        default=-1,
    )
    for step in reversed(steps[last + 1 :]):
        if step.name == "rename" and step.paths[1].exists():
            step.paths[0].parent.mkdir(parents=True, exist_ok=True)
            step.paths[1].rename(step.paths[0])
        if step.saved is not None:
            step.paths[-1].parent.mkdir(parents=True, exist_ok=True)
            step.saved.rename(step.paths[-1])


def files(folder: Path) -> dict[str, str]:
    """The digests of a dataset's files with rows, by their paths."""
    return {
        os.fspath(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] != "_edxlogs"
    }


def manifest(folder: Path) -> dict[str, Any]:
    """What the manifest of a dataset says, read by nothing of the product's."""
    home = folder / "_edxlogs"
    head = json.loads((home / "head").read_bytes())
    assert head["format"] == 3
    state: dict[str, Any] = {"inputs": {}, "files": {}, "segments": 0, "commits": head["commits"]}
    for checkpoint in reversed(head["checkpoints"]):
        for key, value in checkpoint_records(home, checkpoint):
            if key[:1] == "f":
                file = _file(value)
                state["files"].pop(key[1:], None)
                if file is not None:
                    state["files"][file["path"]] = file
            elif key[:1] == "i":
                one = json.loads(value)
                state["inputs"][one["identity"]["key"]] = one
    told = head["segments"]
    content = (home / told["name"]).read_bytes()[: told["bytes"]]
    digest = told["start"]
    if not head["checkpoints"]:
        assert digest == hashlib.sha256(b"edxlogs manifest").hexdigest()
    for line in content.splitlines():
        sha256, _, document = line.partition(b" ")
        digest = hashlib.sha256(digest.encode() + document).hexdigest()
        assert sha256.decode() == digest
        segment = json.loads(document)
        state["segments"] += 1
        if segment.get("replaces_all"):
            state["files"], state["inputs"] = {}, {}
        for one in segment["inputs"]:
            state["inputs"][one["identity"]["key"]] = one
        for path in segment.get("removed", []):
            state["files"].pop(path, None)
        for file in segment["added"]:
            state["files"][file["path"]] = {**file, "runs": _runs(file["runs"])}
    assert digest == told["sha256"]
    return state


def checkpoint_records(home: Path, told: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The records of a checkpoint, every checksum of it compared."""
    content = (home / told["name"]).read_bytes()
    assert len(content) == told["bytes"]
    index = content[told["index"] :]
    assert hashlib.sha256(index).hexdigest() == told["sha256"]
    before = ""
    for first, at, size, sha256, *_ in json.loads(zlib.decompress(index)):
        block = content[at : at + size]
        assert hashlib.sha256(block).hexdigest() == sha256
        for number, line in enumerate(zlib.decompress(block).decode().split("\n")):
            key, _, value = line.partition("\t")
            assert key.encode() > before.encode()
            assert number > 0 or key == first
            before = key
            yield key, value


def _file(value: str) -> dict[str, Any] | None:
    if not value:
        return None
    path, rows, size, sha256, runs = value.rsplit("\t", 4)
    told = {"path": path, "rows": int(rows), "bytes": int(size), "sha256": sha256}
    return {**told, "runs": _runs(runs)}


def _runs(text: str) -> list[tuple[int, int]]:
    """Pairs of the number of an input and its rows: `3-9 3:70 80 4:5` is of inputs 3, 4 and 9."""
    runs: list[tuple[int, int]] = []
    following = 0
    for word in text.split()[1:]:
        passed, rows = word.split(":") if ":" in word else ("0", word)
        runs.append((following + int(passed), int(rows)))
        following = runs[-1][0] + 1
    numbers = [number for number, _ in runs]
    assert text.split()[:1] == ([f"{min(numbers)}-{max(numbers)}"] if numbers else [])
    return runs


def assert_whole(folder: Path) -> None:
    """Fail unless manifest and folder agree, and nothing is left over."""
    state = manifest(folder)
    there = files(folder)
    told = {path: file for path, file in state["files"].items() if not path.startswith("_edxlogs/")}
    assert {path: file["sha256"] for path, file in told.items()} == there
    numbers: Counter[int] = Counter()
    for path, file in told.items():
        assert (folder / path).stat().st_size == file["bytes"]
        assert sum(rows for _, rows in file["runs"]) == file["rows"]
        for number, rows in file["runs"]:
            numbers[number] += rows
    by_number = {one["number"]: one for one in state["inputs"].values()}
    assert {n: c for n, c in numbers.items() if c} == {
        number: one["rows"] for number, one in by_number.items() if one["rows"]
    }
    assert list((folder / "_edxlogs" / "new").iterdir()) == []


def partition(path: str) -> dict[str, str | None]:
    """The values that the folders of a file tell."""
    pairs = (folder.partition("=") for folder in path.split("/")[:-1])
    return {key: None if value == NULL else unquote(value) for key, _, value in pairs}


def place(row: Row) -> tuple[Any, ...]:
    """Where a row comes from: no two have it in common."""
    return (row["source"], row["line"], row["line_item"])


def by_place(rows: list[Row]) -> list[Row]:
    """Rows in the order of where they come from."""
    return sorted(rows, key=place)
