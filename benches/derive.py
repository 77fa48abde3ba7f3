"""What `edxlogs derive` takes: one large course, and many small ones.

`derive.py [EVENTS] [LEARNERS] [COURSES]` makes seeded tables of events and of packages, derives all
tables of one course with so many events and learners, and then of so many courses with 2,000 events
and 60 learners each, from nothing and again, checks that their counts are those of the inputs, and
prints time and memory. `--sql-dir`, `--memory` and `--threads` are those of the command; `--keep`
leaves the inputs for the next time.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import duckdb

import derive_inputs
import measure

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from commands import COMMAND

SMALL_EVENTS, SMALL_LEARNERS = 2_000, 60


def derive(what: str, folder: Path, *options: str) -> measure.Cost:
    """Run the command once; say what it took."""
    words = ("derive", "--events", folder / "events", "--db", folder / "tables")
    cost = measure.run([*COMMAND, *words, "-o", folder / "derived", *options])
    print(
        f"{what}: {cost.wall_seconds:.1f} s, {cost.cpu_seconds:.1f} s of CPU,"
        f" {cost.memory_bytes / 1e6:.0f} MB",
        flush=True,
    )
    return cost


def check(folder: Path, courses: int) -> None:
    """Say no where the counts of derived tables are not those of the inputs, or of each other."""
    with duckdb.connect() as connection:

        def count(what: str, place: str, where: str = "true") -> int:
            files = f"read_parquet('{folder}/{place}/*/*.parquet', hive_partitioning = false)"
            row = connection.execute(f"select {what} from {files} where {where}").fetchone()
            assert row is not None
            return int(row[0])

        checks = count("count(*)", "events/problem_events", "action = 'check'")
        assert count("sum(n_checks)", "derived/person_course") == checks
        plays = count("count(*)", "events/video_events", "action = 'play'")
        assert count("sum(n_play)", "derived/person_course_day") == plays
        acts = {
            count("sum(n_events)", f"derived/{table}")
            for table in ("person_course", "person_course_day", "sessions")
        }
        assert len(acts) == 1, acts
        enrolled = count("count(*)", "tables/student_courseenrollment")
        assert count("count(*)", "derived/person_course", "enrolled") == enrolled
        assert count("count(distinct course_id)", "derived/person_course") == courses


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("events", type=int, nargs="?", default=10_000_000)
    parser.add_argument("learners", type=int, nargs="?", default=60_000)
    parser.add_argument("courses", type=int, nargs="?", default=500)
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--sql-dir")
    parser.add_argument("--keep", type=Path)
    told = parser.parse_args()
    options = ["--memory", told.memory, "--threads", told.threads]
    options += [] if told.sql_dir is None else ["--sql-dir", told.sql_dir]
    with ExitStack() as stack:
        keep = told.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(dir=".")))
        large, small = keep / f"large-{told.events}", keep / f"small-{told.courses}"
        if told.events and not large.exists():
            course = "course-v1:UniversityX+Large+2014"
            derive_inputs.write_course(large, course, told.events, told.learners)
        if told.courses and not small.exists():
            for number in range(told.courses):
                derive_inputs.write_course(
                    small,
                    f"course-v1:UniversityX+Small{number:04}+2014",
                    SMALL_EVENTS,
                    SMALL_LEARNERS,
                    files=1,
                    seed=number,
                )
        for folder, count in ((large, 1), (small, told.courses)):
            if not folder.exists():
                continue
            shutil.rmtree(folder / "derived", ignore_errors=True)
            name = f"{count} of {SMALL_EVENTS:,}" if folder == small else f"1 of {told.events:,}"
            first = derive(f"courses: {name} events", folder, *options)
            print(
                f"  a course: {first.wall_seconds / count:.3f} s,"
                f" {first.cpu_seconds / count:.3f} s of CPU"
            )
            check(folder, count)
            derive("  nothing new", folder, *options)


if __name__ == "__main__":
    main()
