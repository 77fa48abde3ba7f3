"""What a manifest costs that has grown for years: manifests.py COMMITS INPUTS FILES [NIGHTS].

Makes, by the store's own commits, the manifest of a dataset that grew by COMMITS commits of INPUTS
inputs and FILES new files each, one a partition; with NIGHTS, the files of each partition are
joined to one every so many commits, as `compact` does. There are no files of rows: what is measured
is what the manifest adds. Each measurement is a process of its own, and checks its answer:

    import   nothing but the imports: what the others begin with
    open     open it to read, as `cat` and `dataset()` do
    known    look up whether each of the last 30 inputs is known, as a run does
    night    open it to write, look up an input, commit FILES files
    list     go through all files that are there
    runs     tell the runs that made it

    python benches/manifests.py 228 16 500       ten years of 500 courses, made at once
    python benches/manifests.py 3650 1 500       ten years of nights, never compacted
    python benches/manifests.py 3650 1 500 30    ten years of nights, compacted every 30
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from edxlogs.datasets.runs import history_of
from edxlogs.store.manifest import DataFile, Identity, Input, Manifest, Segment
from edxlogs.store.place import Folder
from edxlogs.store.segments import Runs

ROWS = 7


def key_of(number: int) -> str:
    return f"/data/universityx/prod/universityx-prod-events-{number:06}.log.gz.gpg"


def an_input(number: int, files: int) -> Input:
    counts = dict.fromkeys(("bytes_read", "lines", "kept", "dropped", "parsed"), number * 1000)
    account = {"source": key_of(number)[-40:], "path": key_of(number), "status": "delivered"}
    identity = Identity(
        key_of(number), 1000 + number, 1_400_000_000_000_000 + number, None, "0" * 64
    )
    return Input(number, identity, "delivered", ROWS * files, {**account, "counts": counts})


def a_file(course: int, name: str, runs: Runs, rows: int) -> DataFile:
    digest = hashlib.sha256(f"{course} {name}".encode()).hexdigest()
    path = f"course_id=course-v1%3AUnivX%2BCS{course:04}%2B2014/part-{digest[:20]}.parquet"
    return DataFile(path, f"{digest[:20]}.{course}", rows, 1000 * rows, digest, runs)


def a_night(commit: int, inputs: int, files: int) -> Segment:
    numbers = range(commit * inputs, (commit + 1) * inputs)
    runs = Runs.of([(number, ROWS) for number in numbers])
    return Segment(
        f"2014-{commit:08}",
        inputs=[an_input(number, files) for number in numbers],
        added=[a_file(course, str(commit), runs, ROWS * inputs) for course in range(files)],
    )


def make(folder: Path, commits: int, inputs: int, files: int, nights: int) -> None:
    """Make the manifest; nothing is waited for until it is on disk."""
    os.fsync = lambda fd: None
    manifest = Manifest(Folder(folder.parent))
    manifest.place.open()
    manifest.load()
    manifest.tidy()
    joined: list[str] = []
    for commit in range(commits):
        segment = a_night(commit, inputs, files)
        segment.query = (
            {"format": "parquet", "partition_by": ["course_id"]} if commit == 0 else None
        )
        manifest.commit(segment)
        joined += [file.path for file in segment.added]
        if nights and (commit + 1) % nights == 0:
            read = (commit + 1) * inputs
            runs = Runs.of([(number, ROWS) for number in range(read)])
            name = f"joined {commit}"
            added = [a_file(course, name, runs, ROWS * read) for course in range(files)]
            manifest.commit(Segment(f"compact-{commit:08}", added=added, removed=joined))
            joined = [file.path for file in added]
    manifest.place.close()


def opened(folder: Path) -> Manifest:
    manifest = Manifest(Folder(folder.parent))
    manifest.load()
    return manifest


def measure_import(*_: Any) -> None:
    pass


def measure_open(folder: Path, commits: int, inputs: int, *_: int) -> None:
    assert opened(folder).next_number == commits * inputs


def measure_known(folder: Path, commits: int, inputs: int, *_: int) -> None:
    manifest = opened(folder)
    for number in range(commits * inputs - 30, commits * inputs):
        known = manifest.newest(key_of(number))
        assert known is not None
        assert known.number == number
    assert manifest.newest(key_of(commits * inputs)) is None


def measure_night(folder: Path, commits: int, inputs: int, files: int, _: int) -> None:
    manifest = Manifest(Folder(folder.parent))
    manifest.place.open()
    manifest.load()
    manifest.tidy()
    assert manifest.newest(key_of(commits * inputs)) is None
    manifest.commit(a_night(commits, inputs, files))
    assert manifest.newest(key_of(commits * inputs)) is not None
    manifest.place.close()


def measure_list(folder: Path, commits: int, inputs: int, files: int, nights: int) -> None:
    rows = count = 0
    for file in opened(folder).files():
        count += 1
        rows += file.rows
    left = commits % nights if nights else commits
    assert count == files * (left + (1 if nights and commits >= nights else 0))
    assert rows == commits * inputs * files * ROWS


def measure_runs(folder: Path, commits: int, inputs: int, files: int, nights: int) -> None:
    runs = history_of(Folder(folder.parent)).runs
    assert len(runs) == commits + (commits // nights if nights else 0)
    assert sum(run["rows"] for run in runs) == commits * inputs * files * ROWS


MEASURES: dict[str, Callable[..., None]] = {
    "import": measure_import,
    "open": measure_open,
    "known": measure_known,
    "night": measure_night,
    "list": measure_list,
    "runs": measure_runs,
}


def measure(name: str, folder: Path, numbers: list[int]) -> None:
    """Do one of them in this process, and tell its cost."""
    MEASURES[name](folder, *numbers)
    cost = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/status", encoding="ascii") as status, closing(status):
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(f"{cost.ru_utime + cost.ru_stime:.3f} {peak / 1000:.0f}")


def main(words: list[str]) -> None:
    if words[0] == "--measure":
        measure(words[1], Path(words[2]), [int(word) for word in words[3:]])
        return
    numbers = [int(word) for word in (*words, "0")[:4]]
    with tempfile.TemporaryDirectory(dir=".") as place:
        folder = Path(place, "out", "_edxlogs")
        folder.parent.mkdir()
        make(folder, *numbers)
        size = sum(path.stat().st_size for path in folder.iterdir())
        print(f"{' '.join(words)}: {size / 1e6:.0f} MB on disk")
        for name in MEASURES:
            copy = Path(place, "copy")
            shutil.copytree(folder.parent, copy)
            command = [sys.executable, __file__, "--measure", name, copy / "_edxlogs", *numbers]
            done = subprocess.run(
                [str(word) for word in command], check=True, capture_output=True, text=True
            )
            cpu, memory = done.stdout.split()
            print(f"  {name:8} {cpu} s CPU {memory:>5} MB at most")
            shutil.rmtree(copy)


if __name__ == "__main__":
    main(sys.argv[1:])
