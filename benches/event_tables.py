"""Measure the tables of events beside the filter and igzip's floor, and beside peers on a slice.

As `end_to_end.py`: processor time in floors, work in turns within a round, every output checked
before a figure of it is told. The rows of the home tables must add up to the lines, each of which
is one event; a family must have as many rows as DuckDB counts events of its types. Memory and open
files are those of logs of 500 courses.

Peers do what they do: DuckDB two tables with the JSON paths written by hand (`event_table_peers`),
whose rows are held against ours; simeon its split, which copies lines to a file a course, a part of
the work. edx2bigquery's `rephrase_tracking_logs` is not among them: it is for Python 2, and no
package index has it. They run on 100 MB, and edxlogs beside them on the same.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import end_to_end
import event_table_peers
import make_logs
import measure
import peers
from edxlogs.edx.event_tables import homes
from end_to_end import BENCH_PYTHON, ROOT, Data, Results, Work, edxlogs, say
from measure import CommandError

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from commands import COMMAND

PEERS = Path(event_table_peers.__file__)
VIDEO = [one for its in event_table_peers.VIDEO_ACTS.values() for one in its]
COURSES = 500
COURSES_SHARE = 0.1  # of the data, for memory and open files
LIMIT_MB, LIMIT_FILES = 300, 256
Check = Callable[[Path], tuple[int, str]]


def tables(*words: str | Path) -> list[str | Path]:
    """The command that writes tables of events."""
    return [*COMMAND, "tables", *words, "--quiet"]


def row_count(folder: Path) -> int:
    """Rows of a table, whatever its partitions; 0 where no event was of it.

    Raises:
        CommandError: a file has none.
    """
    counts = {path: peers.count(path) for path in folder.rglob("*.parquet")}
    for path, rows in counts.items():
        if rows == 0:
            raise CommandError(f"{path}: a file without rows")
    return sum(counts.values())


def all_tables(events: int) -> Check:
    """A check that the home tables hold that many rows."""

    def check(output: Path) -> tuple[int, str]:
        rows = sum(row_count(output / name) for name in homes().tables)
        return rows, "yes" if rows == events else f"NO: {events} events"

    return check


def one_table(name: str, events: int) -> Check:
    """A check that a home table holds that many rows."""

    def check(output: Path) -> tuple[int, str]:
        rows = row_count(output / name)
        return rows, "yes" if rows == events else f"NO: {events} events"

    return check


def counted(logs: Sequence[Path], types: Sequence[str]) -> int:
    """Events of some types, by DuckDB."""
    import duckdb

    columns = {"event_type": "VARCHAR", "name": "VARCHAR"}
    lines = f"read_json(?, format = 'newline_delimited', columns = {columns!r})"
    found = duckdb.execute(
        f"SELECT count(*) FROM {lines} WHERE event_type IN (SELECT unnest(?))"
        " OR name IN (SELECT unnest(?))",
        [list(map(str, logs)), list(types), list(types)],
    )
    return int(found.fetchall()[0][0])


def lines_of(logs: Sequence[Path]) -> int:
    """Lines, which are events, one each."""
    return sum(
        int(subprocess.check_output(["bash", "-c", f"zcat {shlex.quote(str(log))} | wc -l"]))
        for log in logs
    )


def works(logs: Sequence[Path], out: Path) -> list[Work]:
    """All tables, one family, and the filter with every column."""
    lines, videos = lines_of(logs), counted(logs, VIDEO)
    folder, output = out / "tables", out / "filter.parquet"
    every = end_to_end.same_count(lines)
    family = one_table("video_events", videos)
    kind = ("--category", "video", "--category", "video_preroll")
    return [
        Work("tables: all", tables(*logs, "-o", folder), folder, all_tables(lines), 8, 12),
        Work(
            "tables: video_events",
            tables(*logs, "--table", "video_events", "-o", folder),
            folder,
            family,
            3,
            4,
        ),
        Work("filter: every event", edxlogs(*logs, "-o", output), output, every, 7, 10),
        Work(
            "filter: category video",
            edxlogs(*logs, *kind, "-o", output),
            output,
            end_to_end.same_count(videos),
        ),
    ]


def peer_works(data: Data, out: Path) -> list[Work]:
    """Peers on one small file, each behind edxlogs on the same."""
    (path,) = data.slice
    size = f"{data.megabytes * end_to_end.SLICE_SHARE:.3g} MB"
    folder = out / "slice"
    lines = lines_of([path])
    found = [
        Work(f"edxlogs: all tables, {size}", tables(path, "-o", folder), folder, all_tables(lines))
    ]
    for table in ("video_events", "problem_inputs"):
        mine, theirs = out / f"slice-{table}", out / f"duckdb-{table}.parquet"
        words = tables(path, "--table", table, "-o", mine)
        agrees = as_ours(table, mine)
        found.append(Work(f"edxlogs: {table}, {size}", words, mine, _rows(table)))
        command: list[str | Path] = [sys.executable, PEERS, table, theirs, path]
        found.append(Work(f"DuckDB: {table}, {size}", command, theirs, agrees))
    split = out / "simeon"
    command = [BENCH_PYTHON.with_name("simeon"), "split", "-f", "log", "-d", split, path]
    found.append(Work(f"simeon: split, {size}", command, split, _split(lines)))
    return found


def _rows(table: str) -> Check:
    def check(output: Path) -> tuple[int, str]:
        return row_count(output / table), "itself"

    return check


def _split(lines: int) -> Check:
    """How many lines simeon gave to courses; those of no course it keeps apart or drops."""

    def check(output: Path) -> tuple[int, str]:
        command = f"find {shlex.quote(str(output))} -name '*.json.gz' -exec zcat {{}} + | wc -l"
        rows = int(subprocess.check_output(["bash", "-c", command]))
        return rows, f"of {lines:,} lines"

    return check


def as_ours(table: str, mine: Path) -> Check:
    """A check of a peer's table: what it lacks, and what it has otherwise."""
    columns = {
        "video_events": ["time", "username", "action", "position", "position_to"],
        "problem_inputs": ["time", "username", "input_id", "answer", "correctness"],
    }[table]

    def check(output: Path) -> tuple[int, str]:
        ours, theirs = keys_of(mine / table, columns), keys_of(output, columns)
        lacking, other = (ours - theirs).total(), (theirs - ours).total()
        told = "yes" if not lacking and not other else f"{lacking:,} lacking, {other:,} otherwise"
        return theirs.total(), told

    return check


def keys_of(place: Path, columns: Sequence[str]) -> Counter[tuple[Any, ...]]:
    """What stands in some columns of a table, and how often."""
    import pyarrow as pa
    import pyarrow.parquet

    paths = sorted(place.rglob("*.parquet")) if place.is_dir() else [place]
    found: Counter[tuple[Any, ...]] = Counter()
    for path in paths:
        read = pyarrow.parquet.ParquetFile(path).read(columns=list(columns))
        values = [
            (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
            for column in read.select(list(columns)).columns
        ]
        found.update(zip(*values, strict=True))
    return found


def many_courses(data: Data) -> list[Path]:
    """Logs of 500 courses."""
    folder = data.folder / "courses"
    if not folder.exists():
        say(f"Making {folder} …")
        part = folder.with_name(".courses.part")
        shutil.rmtree(part, ignore_errors=True)
        size = data.megabytes * COURSES_SHARE / 8
        words = [str(part), "--days", "4", "--megabytes", str(size), "--courses", str(COURSES)]
        with open(os.devnull, "w") as quiet, contextlib.redirect_stderr(quiet):
            make_logs.main(words)
        part.rename(folder)
    return sorted(folder.glob("*.log.gz"))


def courses_table(data: Data, out: Path) -> str:
    """Memory, open files and files written of all tables of 500 courses, with two workers."""
    logs, folder = many_courses(data), out / "courses"
    shutil.rmtree(folder, ignore_errors=True)
    say("  500 courses")
    cost = measure.run(tables(*logs, "--with-forms", *end_to_end.THREADS, "-o", folder))
    rows, agrees = all_tables(lines_of(logs))(folder)
    if agrees != "yes":
        raise CommandError(f"tables of 500 courses: {agrees}")
    written = list(folder.rglob("*.parquet"))
    keys = {path.parent.name for path in written}
    figures = (
        ("rows of home tables", f"{rows:,}", ""),
        ("tables with rows", str(len({path.relative_to(folder).parts[0] for path in written})), ""),
        ("courses", str(len(keys)), ""),
        ("files", f"{len(written):,}", ""),
        ("CPU", f"{cost.cpu_seconds:.1f} s", ""),
        ("wall", f"{cost.wall_seconds:.1f} s", ""),
        ("peak resident memory", f"{cost.memory_bytes / 1e6:.0f} MB", f"{LIMIT_MB} MB"),
        ("most open files", str(cost.descriptors), str(LIMIT_FILES)),
    )
    return measure.table((f"all tables of {COURSES} courses, two workers", "", "limit"), figures)


def measured(data: Data, rounds: int, command: str, *, alone: bool) -> str:
    """Run everything; the report in Markdown.

    Raises:
        CommandError: edxlogs fails, or has other rows than there are events.
    """
    logs, out = data.logs, data.folder / "out"
    out.mkdir(exist_ok=True)
    mine = works(logs, out)
    results = Results(["igzip", "-dc", *map(str, logs)])
    start_ups = []
    for number in range(rounds):
        say(f"Round {number + 1} of {rounds}")
        for work in mine:
            results.run(work)
        one = out / "one"
        shutil.rmtree(one, ignore_errors=True)
        start_ups.append(measure.run(tables(data.one_line, "-o", one)))
    for work in mine:
        if work.name in results.failed:
            raise CommandError(f"{work.name}: {results.failed[work.name]}")
        if (told := results.answers[work.name][1]) != "yes":
            raise CommandError(f"{work.name}: wrong rows: {told}")
    others = [] if alone else peer_works(data, out)
    slow = Results(["igzip", "-dc", *map(str, data.slice)])
    for work in others:
        slow.run(work)
    start_up, floor = measure.median(start_ups), results.floor()
    size = sum(log.stat().st_size for log in logs) / 1e6
    return "\n\n".join(
        (
            f"{datetime.date.today()}, `{command}`: {measure.machine()}.",
            f"{end_to_end.versions()}.",
            f"{len(logs)} files, {data.megabytes / 1000:.2f} GB expanded, {size:.0f} MB; {rounds}"
            f" rounds. The floor, `igzip -dc FILES > /dev/null`: {floor.cpu_seconds:.2f} s CPU."
            f" Start-up (one line): {start_up.cpu_seconds:.2f} s CPU,"
            f" {start_up.wall_seconds:.2f} s wall.",
            end_to_end.works_table(mine, results, start_up),
            courses_table(data, out),
            *([] if alone else [end_to_end.peers_table(others, slow)]),
        )
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; the exit status is 1 if edxlogs fails or has other rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=4160.0, help="expanded, in all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--small", action="store_true", help="20 MB and one round: whether it runs, not how fast"
    )
    parser.add_argument("--alone", action="store_true", help="without the peers")
    told = parser.parse_args(argv)
    if told.small:
        told.megabytes, told.rounds = 20.0, 1
    folder = ROOT / "bench-data" / f"{told.megabytes:g}"
    folder.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["benches/event_tables.py", *(sys.argv[1:] if argv is None else argv)])
    try:
        data = Data(folder, told.megabytes)
        print(measured(data, told.rounds, command, alone=told.alone))
    except CommandError as error:
        print(f"edxlogs failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
