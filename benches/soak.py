"""Memory and open files of long runs: ten years of small files, 40 GB of logs, 20 GB of tables.

Prints a Markdown table, and draws resident memory over the run with --plot. Each answer is checked
before its figures are told.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.dataset

import make_logs
import make_package
import measure
import tables
from edxlogs.generator import exporter

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from commands import COMMAND
from edxlogs.generator import keys

ROOT = Path(__file__).parents[1]
DAY = datetime.date(2014, 10, 1)
SITES = ("prod", "edge")
SAMPLE_SECONDS = 0.1
LIMIT_MB = 300  # of the first two
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 720, 300, 60, 20, 40
_COLOURS = ("#1b6ca8", "#c2571a", "#3b7d3b")
_COURSES = 10


@dataclass
class Watched:
    """One run.

    Attributes:
        name: what it did.
        seconds: wall time.
        memory: resident bytes at each sample.
        files: open files at each sample.
        rows: in the dataset.
    """

    name: str
    seconds: float = 0.0
    memory: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    rows: int = 0

    def quarter(self, number: int) -> float:
        """The median of memory in a quarter of the run, from 0, in MB."""
        count = len(self.memory)
        return statistics.median(self.memory[count * number // 4 : count * (number + 1) // 4]) / 1e6


def _watch(name: str, out: Path, *words: str | Path) -> Watched:
    """Run a command of edxlogs into a folder with two workers, and sample it."""
    watched = Watched(name)
    shutil.rmtree(out, ignore_errors=True)
    words = (*COMMAND, *words, "-q", "-o", out, "--threads", "2")
    start = time.monotonic()
    process = subprocess.Popen([str(word) for word in words])
    while process.poll() is None:
        time.sleep(SAMPLE_SECONDS)
        with contextlib.suppress(OSError, StopIteration):
            home = Path(f"/proc/{process.pid}")
            lines = (home / "status").read_text().splitlines()
            resident = next(line for line in lines if line.startswith("VmRSS:"))
            files = len(list((home / "fd").iterdir()))
            watched.memory.append(int(resident.split()[1]) * 1024)
            watched.files.append(files)
    watched.seconds = time.monotonic() - start
    if process.returncode != 0:
        raise measure.CommandError(f"{name}: ended with status {process.returncode}")
    watched.rows = int(pyarrow.dataset.dataset(sorted(out.rglob("*.parquet"))).count_rows())
    shutil.rmtree(out)
    return watched


def _repeat(logs: Path, folder: Path, times: int) -> None:
    """The same logs again and again, each time of other days."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = sorted(logs.iterdir())
    days = len(files) // len(SITES)
    for number in range(times):
        for file in files:
            day = datetime.date.fromisoformat(file.name[-17:-7])
            day += datetime.timedelta(days=days * number)
            shutil.copyfile(file, folder / f"{file.name[:-17]}{day}.log.gz")


def _tables(folder: Path, out: Path, megabytes: int) -> Watched:
    """Convert an encrypted package whose tables are courseware_studentmodule of ten courses."""
    package = folder / "universityx-2014-10-05.zip"
    each = megabytes // _COURSES
    with keys.home() as home:
        keys.make_key(home, "Data Czar <czar@univx.example>")
        encrypt = make_package.gpg_encrypt(home, "czar@univx.example")
        rows = sum(chunk.count(b"\n") for chunk in tables.chunks(each)) - 1
        courses = (f"course-v1:UniversityX+S{number}+2014" for number in range(_COURSES))
        members = (
            (exporter.file_name(tables.TABLE, course, "prod"), tables.chunks(each))
            for course in courses
        )
        exporter.write(package, members, encrypt=encrypt)
        words = ("db", "convert", package, "--gnupg-home", home)
        watched = _watch(f"{megabytes / 1000:.0f} GB of tables", out, *words)
    package.unlink()
    assert watched.rows == rows * _COURSES
    return watched


def _plot(runs: Sequence[Watched]) -> str:
    """Resident memory over each run, as SVG."""
    width, height = _WIDTH - _LEFT - 20, _HEIGHT - _TOP - _BOTTOM
    most = max(LIMIT_MB, *(max(run.memory) / 1e6 for run in runs)) * 1.1

    def y(megabytes: float) -> float:
        return _TOP + height * (1 - megabytes / most)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
    ]
    for megabytes in range(0, LIMIT_MB + 1, 100):
        dash = "" if megabytes == LIMIT_MB else ' stroke-dasharray="2 3"'
        colour = "#b00020" if megabytes == LIMIT_MB else "#bbbbbb"
        parts += [
            f'<line x1="{_LEFT}" x2="{_LEFT + width}" y1="{y(megabytes):.1f}"'
            f' y2="{y(megabytes):.1f}" stroke="{colour}"{dash}/>',
            f'<text x="{_LEFT - 8}" y="{y(megabytes) + 4:.1f}" text-anchor="end">{megabytes}'
            f"{' MB' if megabytes == LIMIT_MB else ''}</text>",
        ]
    for run, colour in zip(runs, _COLOURS, strict=False):
        count = len(run.memory)
        step = max(1, count // 400)
        points = " ".join(
            f"{_LEFT + width * at / max(1, count - 1):.1f},"
            f"{y(max(run.memory[at : at + step]) / 1e6):.1f}"
            for at in range(0, count, step)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
    for at, (run, colour) in enumerate(zip(runs, _COLOURS, strict=False)):
        x = _LEFT + 10 + at * width // len(runs)
        parts += [
            f'<rect x="{x}" y="{_HEIGHT - 24}" width="12" height="12" fill="{colour}"/>',
            f'<text x="{x + 18}" y="{_HEIGHT - 14}">{run.name}, {run.seconds:.0f} s</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Run everything; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "bench-data" / "datasets")
    parser.add_argument("--megabytes", type=float, default=4160, help="of logs, made once")
    parser.add_argument("--times", type=int, default=10, help="how often they are read")
    parser.add_argument("--days", type=int, default=3650)
    parser.add_argument("--package-megabytes", type=int, default=20_000, help="of tables")
    parser.add_argument("--plot", type=Path, help="an SVG file")
    given = parser.parse_args(argv)
    folder: Path = given.folder
    logs, many, large = folder / "logs", folder / "many", folder / "large"
    sites = ("--sites", ",".join(SITES))
    each = str(given.megabytes / 8)
    make_logs.main([str(logs), "--days", "4", "--megabytes", each, *sites])
    make_logs.main([str(many), "--days", str(given.days), "--megabytes", "0.02", *sites])
    _repeat(logs, large, given.times)
    out = folder / "out"
    split = ("--partition-by", "course_id")
    once = _watch("once", out, "filter", logs, *split)
    runs = [
        _watch(
            f"{given.megabytes * given.times / 1000:.0f} GB of logs", out, "filter", large, *split
        ),
        _watch(f"{2 * given.days:,} small files", out, "filter", many, *split),
    ]
    shutil.rmtree(large)
    assert runs[0].rows == once.rows * given.times
    if keys.missing() is None:
        runs.append(_tables(folder, out, given.package_megabytes))
    cells = [
        (
            run.name,
            f"{run.seconds:.0f} s",
            f"{run.rows:,}",
            f"{max(run.memory) / 1e6:.0f} MB",
            f"{run.quarter(1):.0f}, {run.quarter(2):.0f}, {run.quarter(3):.0f} MB",
            f"{max(run.files)}",
        )
        for run in runs
    ]
    head = ("what", "wall", "rows", "peak memory", "quarters 2, 3, 4", "open files")
    print(measure.machine())
    print(measure.table(head, cells))
    if given.plot is not None:
        given.plot.write_text(_plot(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
