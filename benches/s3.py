"""Measure filtering from S3 beside filtering local files: the same 60 daily files, in one run.

The server is moto's, on loopback and on the same cores; its own processor time is not the client's.
Local and S3 alternate within a round, and a ratio told is the median over the rounds. Every output
must be, byte for byte, that of the local files, and hold rows. Prints Markdown to standard output
and what it is doing to standard error; the exit status is 1 if an answer is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import make_logs
import measure
from log_cast import MAIN
from measure import Cost

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import s3_server
from commands import COMMAND
from edxlogs.edx.layout import EVENTS_BUCKET
from edxlogs.generator import keys

ROOT = Path(__file__).parents[1]
DAYS = 60
WORKS = {
    "one course, one event type, to Parquet": ("--course", MAIN, "--event-type", "problem_check"),
    "every event, every column, to Parquet": (),
}
MOST_CPU, MOST_WALL, MOST_MEMORY = 1.25, 1.5, 300e6


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def daily_files(folder: Path, megabytes: float) -> Path:
    """Daily files of one site, made once."""
    logs = folder / f"daily-{megabytes:g}"
    if not logs.exists():
        say(f"Making {logs} …")
        part = logs.with_name(f".{logs.name}.part")
        sizes = ["--days", str(DAYS), "--megabytes", str(megabytes / DAYS)]
        with open(os.devnull, "w") as quiet, contextlib.redirect_stderr(quiet):
            make_logs.main([str(part), *sizes, "--sites", "prod", "--start", "2014-09-01"])
        part.rename(logs)
    return logs


@contextlib.contextmanager
def delivered(logs: Path, folder: Path) -> Iterator[tuple[s3_server.Server, Path, Path]]:
    """The server with plain and encrypted files, the encrypted ones, and their key ring."""
    with keys.home() as home, s3_server.run() as server:
        recipient = keys.make_key(home, "Data Czar <czar@universityx.example>")
        encrypted = folder / "daily-encrypted"
        encrypted.mkdir(exist_ok=True)
        for path in sorted(logs.iterdir()):
            target = encrypted / f"{path.name}.gpg"
            target.unlink(missing_ok=True)
            keys.encrypt_file(home, [recipient], path, target)
        for bucket, source in (("plain", logs), (EVENTS_BUCKET, encrypted)):
            objects = {
                f"universityx/prod/events/2014/{path.name}": path.read_bytes()
                for path in sorted(source.iterdir())
            }
            server.bucket(bucket, objects)
        yield server, encrypted, home


def run(source: Sequence[str | Path], words: Sequence[str], output: Path, **env: str) -> Cost:
    """One run of the filter with two threads."""
    output.unlink(missing_ok=True)
    command = [*COMMAND, "filter", *source, *words, "--threads", "2", "-q", "-o", output]
    return measure.run(command, seconds=3600, **env)


def row(name: str, rounds: Sequence[tuple[Cost, Cost]]) -> list[str]:
    """A line of the table."""
    local = measure.median([one for one, _ in rounds])
    remote = measure.median([one for _, one in rounds])
    cpu = statistics.median(there.cpu_seconds / here.cpu_seconds for here, there in rounds)
    wall = statistics.median(there.wall_seconds / here.wall_seconds for here, there in rounds)
    cells = [
        f"{local.cpu_seconds:.2f} s",
        f"{remote.cpu_seconds:.2f} s",
        _against(cpu, MOST_CPU),
        f"{local.wall_seconds:.2f} s",
        f"{remote.wall_seconds:.2f} s",
        _against(wall, MOST_WALL),
        f"{local.memory_bytes / 1e6:.0f} MB",
        f"{remote.memory_bytes / 1e6:.0f} MB"
        + ("" if remote.memory_bytes < MOST_MEMORY else " (over 300 MB)"),
    ]
    return [name, *cells]


def _against(ratio: float, most: float) -> str:
    return f"{ratio:.2f}" + ("" if ratio <= most else f" (over {most})")


def main() -> int:
    """Make, deliver, measure, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=4200, help="of all files, expanded")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=ROOT / "bench-data")
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    logs = daily_files(arguments.folder, arguments.megabytes)
    rows = []
    with delivered(logs, arguments.folder) as (server, encrypted, home):
        outputs = [arguments.folder / f"{name}.parquet" for name in ("local", "remote")]
        for work, conditions in WORKS.items():
            for kind, folder, url in (
                (".gz", logs, "s3://plain/universityx/"),
                (".gz.gpg", encrypted, f"s3://{EVENTS_BUCKET}/universityx/"),
            ):
                words = [*conditions, "--gnupg-home", str(home)]
                rounds = []
                for number in range(arguments.rounds):
                    say(f"{work}, {kind}, round {number + 1}")
                    local = run([folder], words, outputs[0])
                    remote = run([url], words, outputs[1], **server.environment)
                    rounds.append((local, remote))
                    content = outputs[0].read_bytes()
                    if len(content) < 100_000 or content != outputs[1].read_bytes():
                        print(f"WRONG: {work}, {kind}: the outputs differ, or are empty")
                        return 1
                rows.append(row(f"{work}, from `{kind}`", rounds))
        for path in outputs:
            path.unlink()
    size = sum(path.stat().st_size for path in logs.iterdir())
    print(f"{measure.machine()}; {DAYS} files, {size / 1e6:.0f} MB, {arguments.rounds} rounds\n")
    head = ["work", *("CPU, local", "CPU, S3", "ratio", "wall, local", "wall, S3", "ratio")]
    head += ["memory, local", "memory, S3"]
    print(measure.table(head, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
