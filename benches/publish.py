"""What a Delta table over a dataset costs: publish.py COURSES DAYS [NIGHTS].

Makes a dataset of a small Parquet file for each course and day, by the store's own commits, ten
days each; then publishes it, publishes it again, and after each of some more days once more. Each
publication is a process of its own, and its answer is checked.

    python benches/publish.py 500 200      100,000 files
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow
import pyarrow.parquet

import measure
from edxlogs.delta.log import DeltaLog
from edxlogs.store.manifest import DataFile, Identity, Input, Segment, now
from edxlogs.store.place import Folder
from edxlogs.store.store import Store

ROWS, DAYS_A_COMMIT = 50, 10
QUERY = {"format": "parquet", "partition_by": ["course_id", "date"]}


def content() -> bytes:
    """A file of rows."""
    numbers = pyarrow.array(range(ROWS))
    moments = numbers.cast(pyarrow.timestamp("us", "UTC"))
    columns = {"time": moments, "course_id": pyarrow.array(["course"] * ROWS), "line": numbers}
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink)
    return bytes(sink.getvalue())


def add(folder: Path, days: range, courses: int, rows: bytes) -> None:
    """Commit the files of some days."""
    sha256 = hashlib.sha256(rows).hexdigest()
    with Store(Folder(folder)) as store:
        store.claim(QUERY, overwrite=False)
        number, added = store.manifest.next_number, []
        for day in days:
            for course in range(courses):
                staged = f"{day}-{course}"
                (store.new / staged).write_bytes(rows)
                place = f"course_id=course-v1%3AUnivX%2BCS{course:04}%2B2014/date={day:04}"
                path = f"{place}/part-{hashlib.sha256(staged.encode()).hexdigest()[:20]}.parquet"
                added.append(DataFile(path, staged, ROWS, len(rows), sha256, [(number, ROWS)]))
        one = Input(number, Identity(f"{number}", 1), "delivered", ROWS * len(added), {})
        store.commit(Segment(now(), inputs=[one], added=added))


def publish(folder: Path, what: str, files: int) -> None:
    """Publish, and tell the cost."""
    cost = measure.run([sys.executable, "-m", "edxlogs", "publish", folder, "--as", "delta"])
    assert len(DeltaLog(folder, "it").files()) == files
    memory = cost.memory_bytes / 1e6
    print(f"  {what:6} {cost.cpu_seconds:.2f} s CPU {memory:>5.0f} MB at most")


def main(words: list[str]) -> None:
    courses, days, nights = (int(word) for word in (*words, "3")[:3])
    rows = content()
    with tempfile.TemporaryDirectory(dir=".") as place:
        folder = Path(place, "out")
        for first in range(0, days, DAYS_A_COMMIT):
            add(folder, range(first, min(first + DAYS_A_COMMIT, days)), courses, rows)
        print(f"{courses} courses, {days} days: {courses * days:,} files")
        publish(folder, "first", courses * days)
        publish(folder, "again", courses * days)
        for night in range(nights):
            add(folder, range(days + night, days + night + 1), courses, rows)
            publish(folder, "night", courses * (days + night + 1))
        size = subprocess.run(["du", "-sm", folder / "_delta_log"], capture_output=True, check=True)
        print(f"  log    {size.stdout.split()[0].decode()} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
