"""Measure long runs: a split by course beside its peers, many queries in one pass, one night.

Prints a Markdown table of processor time (user and system, children included), wall time and peak
memory. Each answer is checked before its figure is told.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.dataset
import pyarrow.parquet

import make_logs
import measure
from log_cast import MAIN
from measure import Cost

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from commands import COMMAND

ROOT = Path(__file__).parents[1]
SIMEON = ROOT / ".venv-bench/bin/simeon"
DAY = datetime.date(2014, 10, 1)
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


def _job(folder: Path, logs: Path, name: str, queries: Sequence[Sequence[str]]) -> Path:
    """A job of a dataset for each list of event types, of one course."""
    text = f'sources = ["{logs}"]\nthreads = 2\n'
    for number, types in enumerate(queries):
        text += f'[[dataset]]\noutput = "{name}/{number}"\npartition_by = "date"\n'
        text += f'course = "{MAIN}"\nevent_type = {list(types)}\n'
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def _splits(folder: Path, logs: Path, files: Sequence[Path]) -> Iterator[tuple[str, Cost]]:
    """A split by course, beside DuckDB, and beside simeon on 100 MB."""
    out = folder / "out"
    split = ("filter", "-q", "-o", out, "--partition-by", "course_id", *THREADS)
    yield "split by course", _run([*COMMAND, *split, logs], out)
    count = _rows(out)
    yield (
        "DuckDB, by the context's course alone, without columns",
        _run([sys.executable, "-c", _DUCKDB, out, *files], out),
    )
    # It knows the context's course alone: some fiftieth of the events has another one.
    assert abs(_rows(out) - count) < count / 50
    if not SIMEON.exists():
        return
    small = folder / "small"
    # Of two sites, it would let the files of one write over those of the other.
    make_logs.main(_make(small, 1, 100, sites="prod"))
    shutil.rmtree(out)
    yield (
        "100 MB: split by course, JSON Lines",
        _run([*COMMAND, *split, small, "--format", "jsonl.gz"], out),
    )
    count = _lines(out, "*.jsonl.gz")
    words: list[str | Path] = [
        SIMEON,
        "split",
        "-f",
        "log",
        "-V",
        "-d",
        out,
        *sorted(small.iterdir()),
    ]
    yield "100 MB: simeon split", _run(words, out)
    # It leaves out what it finds no course of.
    assert count * 0.8 < _lines(out, "*.json.gz") <= count


def _lines(out: Path, pattern: str) -> int:
    return sum(sum(1 for _ in gzip.open(path)) for path in out.rglob(pattern) if path.is_file())


def _jobs(folder: Path, logs: Path) -> Iterator[tuple[str, Cost]]:
    """One pass for one query and for many, which keep the same rows or fewer."""
    counts = {}
    for name, told, queries in (
        ("job-type", "a job of one query, of one type of events", [EVENT_TYPES[:1]]),
        ("job-one", "a job of one query, of 20 types", [EVENT_TYPES]),
        ("job-many", "a job of 20 queries, a type each", [[one] for one in EVENT_TYPES]),
    ):
        shutil.rmtree(folder / name, ignore_errors=True)
        yield told, _run([*COMMAND, "run", _job(folder, logs, name, queries), "-q"])
        counts[name] = _rows(folder / name)
    assert (
        counts["job-many"] >= counts["job-one"] > counts["job-type"]
    )  # an event can be of two types


def _nights(folder: Path, many: Path, days: int) -> Iterator[tuple[str, Cost]]:
    """Many small files, and one more night."""
    out = folder / "out"
    nightly = ("filter", many, "-q", "-o", out, "--partition-by", "course_id", *THREADS)
    yield f"{2 * days:,} small files", _run([*COMMAND, *nightly], out)
    count = _rows(out)
    late = DAY + datetime.timedelta(days=days)
    first = min(many.iterdir())
    new = many / f"universityx-prod-events-{late}.log.gz"
    shutil.copyfile(first, new)
    try:
        yield "one more night", _run([*COMMAND, *nightly])
    finally:
        new.unlink()
    assert _rows(out) > count


def _dedupe(folder: Path, logs: Path, files: Sequence[Path]) -> Iterator[tuple[str, Cost]]:
    """Every event of the files and of the same files of another organisation: with it, once."""
    twice, out = folder / "twice", folder / "twice.parquet"
    shutil.rmtree(twice, ignore_errors=True)
    twice.mkdir()
    for file in files:
        os.link(file, twice / file.name)
        shutil.copyfile(file, twice / file.name.replace("universityx", "zzz"))
    counts = []
    for told, sources, more in (
        ("every event", logs, []),
        ("every event, --dedupe, nothing twice", logs, ["--dedupe"]),
        ("every event twice", twice, []),
        ("every event twice, --dedupe", twice, ["--dedupe"]),
    ):
        out.unlink(missing_ok=True)
        yield told, _run([*COMMAND, "filter", sources, "-q", "-o", out, *THREADS, *more])
        counts.append(pyarrow.parquet.read_metadata(out).num_rows)
    assert counts[0] == counts[1] == counts[3] == counts[2] / 2
    shutil.rmtree(twice)


def main(argv: Sequence[str] | None = None) -> int:
    """Run everything; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "bench-data" / "datasets")
    parser.add_argument("--megabytes", type=float, default=4160)
    parser.add_argument("--days", type=int, default=3650)
    given = parser.parse_args(argv)
    folder: Path = given.folder
    logs, many = folder / "logs", folder / "many"
    make_logs.main(_make(logs, 4, given.megabytes / 8))
    make_logs.main(_make(many, given.days, 0.02))
    files = sorted(logs.iterdir())
    floor = _run(["igzip", "-dc", *files])
    rows = [
        ("`igzip -dc`, the floor", floor),
        *_splits(folder, logs, files),
        *_jobs(folder, logs),
        *_nights(folder, many, given.days),
        *_dedupe(folder, logs, files),
    ]
    cells = [
        (
            name,
            f"{cost.cpu_seconds:.2f} s",
            f"{cost.cpu_seconds / floor.cpu_seconds:.1f}",
            f"{cost.wall_seconds:.1f} s",
            f"{cost.memory_bytes / 1e6:.0f} MB",
        )
        for name, cost in rows
    ]
    print(measure.table(("work", "CPU", "in floors", "wall", "memory"), cells))
    return 0


def _make(folder: Path, days: int, megabytes: float, sites: str = SITES) -> list[str]:
    return [str(folder), "--days", str(days), "--megabytes", str(megabytes), "--sites", sites]


if __name__ == "__main__":
    sys.exit(main())
