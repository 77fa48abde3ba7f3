"""Measure the command beside the floor (igzip) and its peers, on the same files in one run.

Figures are processor time, user and system, children included; a ratio is that of a run to the
igzip run just before it, and the ratio told is the median over the rounds. Work alternates within
a round, so that a slow spell of the machine falls on all. Every output is checked before a figure
of it is told. Prints Markdown to standard output and what it is doing to standard error.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import dataclasses
import datetime
import gzip
import json
import math
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

import make_logs
import measure
import peers
from log_cast import MAIN
from measure import CommandError, Cost

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from commands import COMMAND
from edxlogs.generator import keys

ROOT = Path(__file__).parents[1]
BENCH_PYTHON = ROOT / ".venv-bench/bin/python"
PEERS = Path(__file__).with_name("peers.py")
SITES = "prod,edge"
DAYS = 4
FILTER = ("--course", MAIN, "--event-type", peers.EVENT_TYPE)
# What simeon takes for the course: the old form of its id, and a custom course made of it.
ITS_NAMESAKES = ("UniversityX/CS101/2014_T1", "ccx-v1:UniversityX+CS101+2014_T1+ccx@7")
THREADS = ("--threads", "2")
WALL_ROUNDS = 5  # at least: they are short, and wall time varies
SECONDS = 1800.0  # a peer that takes longer is given up
SLICE_SHARE = 100 / 4160  # of the data, for those that would take hours
LONG_LINE_BYTES = 200_000_000


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclasses.dataclass(frozen=True)
class Data:
    """The files of a run, made once and kept under `folder`."""

    folder: Path
    megabytes: float

    @property
    def logs(self) -> list[Path]:
        """Eight daily files of two sites."""
        return self._made("logs", DAYS, self.megabytes / DAYS / 2)

    @property
    def slice(self) -> list[Path]:
        """One file for the slow ones."""
        return self._made("slice", 1, self.megabytes * SLICE_SHARE, "prod")

    @property
    def many(self) -> list[Path]:
        """A thousand small files."""
        return self._made("many", 500, self.megabytes * SLICE_SHARE / 1000)

    @property
    def big(self) -> Path:
        """All logs as one file of many members."""
        path = self.folder / "universityx-prod-events-2014-10-09.log.gz"
        if not path.exists():
            part = path.with_suffix(".part")
            with part.open("wb") as output:
                for log in self.logs:
                    with log.open("rb") as source:
                        shutil.copyfileobj(source, output)
            part.replace(path)
        return path

    @property
    def one_line(self) -> Path:
        """The first line of the logs: what is left is start-up."""
        path = self.folder / "universityx-prod-events-2014-10-10.log.gz"
        with gzip.open(self.logs[0]) as log, gzip.open(path, "wb") as output:
            output.write(log.readline())
        return path

    @property
    def long_line(self) -> Path:
        """A line of 200 MB between two that are sound."""
        path = self.folder / "universityx-prod-events-2014-10-11.log.gz"
        if not path.exists():
            sound = gzip.decompress(self.one_line.read_bytes())
            part = path.with_suffix(".part")
            with gzip.open(part, "wb", compresslevel=1) as output:
                output.write(sound + b'{"event_type": "')
                for _ in range(LONG_LINE_BYTES // 1_000_000):
                    output.write(b"x" * 1_000_000)
                output.write(b'"}\n' + sound)
            part.replace(path)
        return path

    def _made(self, name: str, days: int, megabytes: float, sites: str = SITES) -> list[Path]:
        folder = self.folder / name
        if not folder.exists():
            say(f"Making {folder} …")
            part = folder.with_name(f".{name}.part")
            shutil.rmtree(part, ignore_errors=True)
            sizes = ["--days", str(days), "--megabytes", str(megabytes)]
            with open(os.devnull, "w") as quiet, contextlib.redirect_stderr(quiet):
                make_logs.main([str(part), *sizes, "--sites", sites])
            part.rename(folder)
        return sorted(folder.glob("*.log.gz"))


@dataclasses.dataclass(frozen=True)
class Work:
    """Something that is run in every round.

    Attributes:
        name: for the table.
        command: makes `output`.
        output: removed before each run.
        check: says whether the output is right; returns (rows, what to tell).
        aim: of the processor time in floors; peers have none.
        limit: never above.
    """

    name: str
    command: Sequence[str | Path]
    output: Path
    check: Callable[[Path], tuple[int, str]]
    aim: float = math.inf
    limit: float = math.inf


class Results:
    """What was measured of works, each run behind a run of the floor."""

    def __init__(self, floor: Sequence[str]) -> None:
        self.floors: list[Cost] = []
        self.costs: dict[str, list[Cost]] = {}
        self.ratios: dict[str, list[float]] = {}
        self.answers: dict[str, tuple[int, str]] = {}
        self.failed: dict[str, str] = {}
        self._floor = floor

    def run(self, work: Work) -> None:
        """Run a work once; one that has failed is left out."""
        if work.name in self.failed:
            return
        say(f"  {work.name}")
        try:
            floor = measure.run(self._floor)
            cost = _fresh(work.command, work.output)
            answer = work.check(work.output)
            if work.name not in self.answers or answer[1].startswith("NO"):
                self.answers[work.name] = answer
        except (CommandError, ImportError) as error:
            self.failed[work.name] = str(error)
            return
        self.floors.append(floor)
        self.costs.setdefault(work.name, []).append(cost)
        self.ratios.setdefault(work.name, []).append(cost.cpu_seconds / floor.cpu_seconds)

    def floor(self) -> Cost:
        """The median of all runs of the floor."""
        return measure.median(self.floors)


def edxlogs(*words: str | Path) -> list[str | Path]:
    return [*COMMAND, "filter", *words, "--quiet"]


def summary(*words: str | Path) -> list[str | Path]:
    return [*COMMAND, "summary", *words, "--quiet"]


def _fresh(command: Sequence[str | Path], output: Path) -> Cost:
    if output.is_dir():
        shutil.rmtree(output)
    output.unlink(missing_ok=True)
    return measure.run(command, seconds=SECONDS)


@contextlib.contextmanager
def encrypted(logs: Sequence[Path], folder: Path) -> Iterator[tuple[Path, Path]]:
    """Encrypt the logs for a throw-away RSA key; yield its key ring and the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with keys.home() as home:
        key = keys.make_key(home, "Data Czar <czar@universityx.example>")
        for log in logs:
            # The logs are compressed already.
            keys.encrypt_file(home, [key], log, folder / f"{log.name}.gpg", "-z", "0")
        yield home, folder


def same_rows(expected: Counter[peers.Key]) -> Callable[[Path], tuple[int, str]]:
    """A check that an output holds those rows and no other."""

    def check(output: Path) -> tuple[int, str]:
        rows = peers.rows(output)
        if rows == expected:
            return rows.total(), "yes"
        lacking, more = (expected - rows).total(), (rows - expected).total()
        return rows.total(), f"NO: {lacking} lacking, {more} more"

    return check


def same_count(expected: int) -> Callable[[Path], tuple[int, str]]:
    """A check that a Parquet file has that many rows."""

    def check(output: Path) -> tuple[int, str]:
        rows = peers.count(output)
        return rows, "yes" if rows == expected else f"NO: {expected} lines"

    return check


def same_events(expected: int) -> Callable[[Path], tuple[int, str]]:
    """A check that the page of a summary counts that many events."""

    def check(output: Path) -> tuple[int, str]:
        packed = output.read_bytes().split(b'<script id="data"')[1].split(b">")[1].split(b"<")[0]
        events = json.loads(zlib.decompress(base64.b64decode(packed)))["events"]
        return events, "yes" if events == expected else f"NO: {expected} lines"

    return check


def mixed(
    expected: Counter[peers.Key], other: Counter[peers.Key]
) -> Callable[[Path], tuple[int, str]]:
    """A check of a tool that takes other courses for the course itself."""
    both = same_rows(expected + other)

    def check(output: Path) -> tuple[int, str]:
        rows, told = both(output)
        return rows, f"{told}, with {other.total()} of other courses" if told == "yes" else told

    return check


def peer_works(
    logs: Sequence[Path], out: Path, expected: Counter[peers.Key], lines: int
) -> Iterator[Work]:
    """The peers on all files. They know a course by its context alone."""
    check = same_rows(expected)
    for tool, name in (("duckdb", "DuckDB"), ("chdb", "chdb"), ("polars", "Polars")):
        python = BENCH_PYTHON if tool == "chdb" else Path(sys.executable)
        output = out / f"{tool}.parquet"
        command: list[str | Path] = [python, PEERS, tool, "filter", output, *logs]
        yield Work(f"{name}: filter", command, output, check)
        if tool != "chdb":
            output = out / f"{tool}-all.parquet"
            command = [python, PEERS, tool, "all", output, *logs]
            yield Work(f"{name}: every event", command, output, same_count(lines))
    output = out / "jq.jsonl"
    wanted = f'(.event_type == "{peers.EVENT_TYPE}" or .name == "{peers.EVENT_TYPE}")'
    pipe = (
        f"zcat {shlex.join(map(str, logs))} | rg -F {peers.EVENT_TYPE} | rg -F UniversityX"
        f" | jq -c 'select({wanted} and .context.course_id == \"{MAIN}\")' > {output}"
    )
    yield Work("zcat, rg, jq: filter", ["bash", "-o", "pipefail", "-c", pipe], output, check)


def slice_works(data: Data, out: Path) -> Iterator[Work]:
    """Those that would take hours, and edxlogs beside them, on one small file."""
    (path,) = data.slice
    expected = answer([path], out / "answer.parquet")
    size = f"{data.megabytes * SLICE_SHARE:.3g} MB"
    output = out / "slice.parquet"
    command = edxlogs(path, *FILTER, "-o", output)
    yield Work(f"edxlogs, {size} alone", command, output, same_rows(expected))
    output = out / "loop.jsonl"
    command = [sys.executable, PEERS, "loop", "filter", output, path]
    yield Work(f"plain Python loop, {size} alone", command, output, same_rows(expected))
    output = out / "simeon"
    simeon = BENCH_PYTHON.with_name("simeon")
    command = [simeon, "split", "-f", "log", "-c", MAIN, "-d", output, path]
    # One folder takes them all, though they are different courses.
    namesakes = [answer([path], out / "answer.parquet", course=c) for c in ITS_NAMESAKES]
    other = sum(namesakes, Counter[peers.Key]())
    yield Work(f"simeon split, {size} alone", command, output, mixed(expected, other))


def answer(
    sources: Sequence[str | Path], output: Path, *options: str, course: str = MAIN
) -> Counter[peers.Key]:
    """The rows of the filter, by edxlogs."""
    conditions = ("--course", course, "--event-type", peers.EVENT_TYPE)
    _fresh(edxlogs(*sources, *conditions, *options, "-o", output), output)
    return peers.rows(output)


def works_table(works: Sequence[Work], results: Results, start_up: Cost) -> str:
    rows = []
    floor = results.floor().cpu_seconds
    for work in works:
        cost = measure.median(results.costs[work.name])
        ratio = statistics.median(results.ratios[work.name])
        rows.append(
            (
                work.name,
                f"{ratio:.2f}{_verdict(ratio, work)}",
                f"{ratio - start_up.cpu_seconds / floor:.2f}",
                f"{work.aim:g}",
                f"{work.limit:g}",
                f"{cost.cpu_seconds:.2f} s",
                f"{cost.wall_seconds:.2f} s",
                f"{cost.memory_bytes / 1e6:.0f} MB",
                f"{results.answers[work.name][0]:,}",
                results.answers[work.name][1],
            )
        )
    head = ("work", "CPU in floors", "without start-up", "aim", "limit", "CPU", "wall", "memory")
    return measure.table((*head, "rows", "agrees"), rows)


def _verdict(ratio: float, work: Work) -> str:
    return "" if ratio <= work.aim else " (above the aim)" if ratio <= work.limit else " (ABOVE)"


def peers_table(works: Sequence[Work], results: Results) -> str:
    rows = []
    for work in works:
        if work.name in results.failed:
            rows.append((work.name, f"not run: {results.failed[work.name]}", *[""] * 4))
            continue
        cost = measure.median(results.costs[work.name])
        count, told = results.answers[work.name]
        figures = (f"{cost.wall_seconds:.2f} s", f"{cost.cpu_seconds:.2f} s")
        rows.append((work.name, *figures, f"{cost.memory_bytes / 1e6:.0f} MB", f"{count:,}", told))
    return measure.table(("tool: work", "wall", "CPU", "memory", "rows", "agrees"), rows)


def memory_table(data: Data, logs: Sequence[Path], out: Path) -> str:
    """Peak resident memory with two workers, of the filter, of every event, and of a summary."""
    rows = []
    for name, sources in (
        ("1,000 small files", data.many),
        ("8 daily files", logs),
        (f"one file, {data.megabytes / 1000:.2g} GB expanded", [data.big]),
        ("a line of 200 MB", [data.long_line]),
    ):
        say(f"  memory: {name}")
        peaks = []
        for conditions in (FILTER, ()):
            output = out / "memory.parquet"
            cost = _fresh(edxlogs(*sources, *conditions, *THREADS, "-o", output), output)
            peaks.append(f"{cost.memory_bytes / 1e6:.0f} MB")
        output = out / "memory.html"
        cost = _fresh(summary(*sources, *THREADS, "-o", output), output)
        peaks.append(f"{cost.memory_bytes / 1e6:.0f} MB")
        rows.append((name, *peaks, "300 MB"))
    head = ("peak resident memory", "filter", "every event", "summary page", "limit")
    return measure.table(head, rows)


def wall_table(data: Data, many: Cost, out: Path, rounds: int) -> str:
    """Wall time on all cores: many files to their CPU time, one file to our own inflate alone."""
    subprocess.run(
        ["cargo", "build", "--quiet", "--locked", "--release", "--example", "inflate"],
        cwd=ROOT,
        check=True,
    )
    inflate = ROOT / "target/release/examples/inflate"
    output = out / "big.parquet"
    ratios = []
    for _ in range(max(rounds, WALL_ROUNDS)):
        say("  wall: one big file")
        alone = measure.run([inflate, data.big])
        cost = _fresh(edxlogs(data.big, *FILTER, "-o", output), output)
        ratios.append(cost.wall_seconds / alone.wall_seconds)
    share = many.wall_seconds / many.cpu_seconds
    rows = [
        ("8 files, filter: wall to CPU", f"{share:.2f}", "0.6"),
        ("one big file, filter: wall to our inflate", f"{statistics.median(ratios):.2f}", "1.3"),
    ]
    return measure.table(("wall time on two cores", "ratio", "limit"), rows)


def versions() -> str:
    told = []
    for name in ("edxlogs", "duckdb", "polars", "pyarrow"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            told.append(f"{name} {metadata.version(name)}")
    for command in (["igzip", "--version"], ["gpg", "--version"], ["jq", "--version"]):
        with contextlib.suppress(OSError):
            done = subprocess.run(command, capture_output=True, text=True)
            told.append(done.stdout.splitlines()[0].strip())
    listed = ROOT / "requirements-bench.txt"
    peers_of_venv = [line for line in listed.read_text().splitlines() if "==" in line]
    told += [
        line.replace("==", " ") for line in peers_of_venv if line.startswith(("chdb==", "simeon"))
    ]
    return ", ".join(told)


def measured(data: Data, rounds: int, command: str, *, alone: bool = False) -> str:
    """Run everything, or what is edxlogs' `alone`; the report in Markdown.

    Raises:
        CommandError: edxlogs fails.
    """
    logs, out = data.logs, data.folder / "out"
    out.mkdir(exist_ok=True)
    lines = sum(int(subprocess.check_output(["bash", "-c", f"zcat {log} | wc -l"])) for log in logs)
    everything = answer(logs, out / "answer.parquet")
    by_context = answer(logs, out / "answer.parquet", "--course-from", "context")
    with encrypted(logs, data.folder / "gpg") as (home, folder):
        output = out / "edxlogs.parquet"
        check = same_rows(everything)
        ring = ("--gnupg-home", home)
        works = [
            Work(name, edxlogs(*words, "-o", output), output, check_of, aim, limit)
            for name, words, check_of, aim, limit in (
                ("one course, one type", [*logs, *FILTER], check, 2, 2.5),
                ("the same from .gz.gpg", [folder, *FILTER, *ring], check, 2.4, 3.2),
                ("every event, every column", logs, same_count(lines), 7, 10),
            )
        ]
        page = out / "summary.html"
        command_of = summary(*logs, "-o", page)
        works.append(Work("summary page", command_of, page, same_events(lines), 5, 8))
        others = [] if alone else list(peer_works(logs, out, by_context, lines))
        results = Results(["igzip", "-dc", *map(str, logs)])
        start_ups = []
        for number in range(rounds):
            say(f"Round {number + 1} of {rounds}")
            for work in (*works, *others):
                results.run(work)
            one = edxlogs(data.one_line, *FILTER, "-o", output)
            start_ups.append(_fresh(one, output))
        for work in works:
            if work.name in results.failed:
                raise CommandError(f"{work.name}: {results.failed[work.name]}")
            if (told := results.answers[work.name][1]) != "yes":
                raise CommandError(f"{work.name}: wrong rows: {told}")
    slow = [] if alone else list(slice_works(data, out))
    for work in slow:
        results.run(work)
    start_up, floor = measure.median(start_ups), results.floor()
    expanded = sum(_expanded(log) for log in logs)
    return "\n\n".join(
        (
            f"{datetime.date.today()}, `{command}`: {measure.machine()}.",
            f"{versions()}.",
            f"{len(logs)} files, {expanded / 1e9:.2f} GB expanded,"
            f" {sum(log.stat().st_size for log in logs) / 1e6:.0f} MB; {rounds} rounds. The floor,"
            f" `igzip -dc FILES > /dev/null`: {floor.cpu_seconds:.2f} s CPU. Start-up (one line):"
            f" {start_up.cpu_seconds:.2f} s CPU, {start_up.wall_seconds:.2f} s wall.",
            works_table(works, results, start_up),
            f"Peers know a course by its context alone, and are held against `--course-from"
            f" context`: {by_context.total():,} rows. edxlogs finds"
            f" {(everything - by_context).total():,} more by URL and payload.",
            peers_table((*others, *slow), results),
            wall_table(data, measure.median(results.costs[works[0].name]), out, rounds),
            memory_table(data, logs, out),
        )
    )


def _expanded(log: Path) -> int:
    """The length that a file of one member names in its last four bytes."""
    return int.from_bytes(log.read_bytes()[-4:], "little")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure edxlogs beside igzip and its peers.")
    parser.add_argument("--megabytes", type=float, default=4160.0, help="expanded, in all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--small", action="store_true", help="20 MB and one round: whether it runs, not how fast"
    )
    parser.add_argument("--alone", action="store_true", help="without the peers")
    arguments = parser.parse_args(argv)
    if arguments.small:
        arguments.megabytes, arguments.rounds = 20.0, 1
    for program, package in (("igzip", "isal"), ("gpg", "gnupg")):
        if shutil.which(program) is None:
            print(f"{program} is missing: apt-get install {package}", file=sys.stderr)
            return 1
    folder = ROOT / "bench-data" / f"{arguments.megabytes:g}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        command = shlex.join(["benches/end_to_end.py", *(sys.argv[1:] if argv is None else argv)])
        data = Data(folder, arguments.megabytes)
        print(measured(data, arguments.rounds, command, alone=arguments.alone))
    except CommandError as error:
        print(f"edxlogs failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
