"""Measure datasets: a split by course beside igzip and DuckDB, many queries in one pass, one night.

Prints a Markdown table of processor time (user and system, children included), wall time and peak
memory. Each answer is checked before its figure is told.
"""

from __future__ import annotations

import argparse
import datetime
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow.dataset

import make_logs
import measure
from log_cast import MAIN
from measure import Cost

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from commands import COMMAND

ROOT = Path(__file__).parents[1]
BENCH_PYTHON = ROOT / ".venv-bench/bin/python"
SITES = "prod,edge"
THREADS = ("--threads", "2")
EVENT_TYPES = (
    *("problem_check", "problem_show", "problem_save", "problem_graded", "showanswer"),
    *("load_video", "play_video", "pause_video", "seek_video", "stop_video"),
    *("speed_change_video", "hide_transcript", "show_transcript", "page_close", "book"),
    *("seq_goto", "seq_next", "seq_prev", "edx.forum.*", "edx.course.*"),
)
_DUCKDB = """
import sys, duckdb
files, out = sys.argv[2:], sys.argv[1]
duckdb.sql("set threads = 2; set partitioned_write_max_open_files = 64")
duckdb.sql(f\"\"\"copy (select json_extract_string(line, '$.context.course_id') as course_id, line
    from read_csv({files}, columns = {{'line': 'varchar'}}, delim = '\\x01', quote = '',
    escape = '', header = false, max_line_size = 16777216, parallel = false))
    to '{out}' (format parquet, compression zstd, partition_by (course_id), overwrite)\"\"\")
"""


def _run(words: Sequence[str | Path], out: Path | None = None) -> Cost:
    if out is not None:
        shutil.rmtree(out, ignore_errors=True)
    return measure.run([*map(str, words)])


def _rows(out: Path) -> int:
    return int(pyarrow.dataset.dataset(sorted(out.rglob("*.parquet"))).count_rows())


def _job(folder: Path, logs: Path, count: int) -> Path:
    """A job of that many queries, each of one type of events of a course."""
    text = f'sources = ["{logs}"]\nthreads = 2\n'
    for number in range(count):
        text += f'[[dataset]]\noutput = "job/{number}"\npartition_by = "date"\n'
        text += f'course = "{MAIN}"\nevent_type = "{EVENT_TYPES[number]}"\n'
    path = folder / f"job-{count}.toml"
    path.write_text(text)
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """Run everything; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "bench-data" / "datasets")
    parser.add_argument("--megabytes", type=float, default=4160)
    parser.add_argument("--days", type=int, default=3650)
    given = parser.parse_args(argv)
    folder: Path = given.folder
    logs, many, out = folder / "logs", folder / "many", folder / "out"
    day = datetime.date(2014, 10, 1)
    make_logs.main(_make(logs, 4, given.megabytes / 8))
    make_logs.main(_make(many, given.days, 0.02))
    files = sorted(logs.iterdir())
    rows: list[tuple[str, Cost]] = []
    floor = _run(["igzip", "-dc", *files])
    rows.append(("`igzip -dc`, the floor", floor))
    split = ("filter", logs, "-q", "-o", out, "--partition-by", "course_id", *THREADS)
    rows.append(("split by course", _run([*COMMAND, *split], out)))
    count = _rows(out)
    if BENCH_PYTHON.exists():
        cost = _run([BENCH_PYTHON, "-c", _DUCKDB, out, *files], out)
        rows.append(("DuckDB, by the context's course alone, without columns", cost))
        assert abs(_rows(out) - count) < count / 50
    for queries in (1, 20):
        shutil.rmtree(folder / "job", ignore_errors=True)
        job = _job(folder, logs, queries)
        rows.append((f"a job of {queries} queries", _run([*COMMAND, "run", job, "-q"])))
    nightly = ("filter", many, "-q", "-o", out, "--partition-by", "course_id", *THREADS)
    rows.append((f"{2 * given.days:,} small files", _run([*COMMAND, *nightly], out)))
    late = day + datetime.timedelta(days=given.days)
    first = min(many.iterdir())
    new = many / f"universityx-prod-events-{late}.log.gz"
    shutil.copyfile(first, new)
    rows.append(("one more night", _run([*COMMAND, *nightly])))
    new.unlink()
    cells = [
        (
            name,
            f"{cost.cpu_seconds:.2f} s",
            f"{cost.cpu_seconds / floor.cpu_seconds:.1f}",
            f"{cost.wall_seconds:.1f} s",
        )
        for name, cost in rows
    ]
    print(measure.table(("work", "CPU", "in floors", "wall"), cells))
    return 0


def _make(folder: Path, days: int, megabytes: float) -> list[str]:
    return [str(folder), "--days", str(days), "--megabytes", str(megabytes), "--sites", SITES]


if __name__ == "__main__":
    sys.exit(main())
