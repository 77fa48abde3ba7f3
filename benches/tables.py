"""courseware_studentmodule to zstd Parquet: edxlogs beside pandas and DuckDB, on the same rows.

`tables.py [MEGABYTES] [ROUNDS]` makes a seeded file, runs the three in turns, each in a process of
its own, holds their rows against each other, and prints wall time, processor time and memory. The
peers read the file alone; edxlogs reads it out of a zip, and says beside the rows where they came
from. `--encrypted` has edxlogs decrypt it, too, which the peers cannot.

What the peers do not do: check that `state` is JSON, keep values that do not fit, count rows. A
tab in a value is a backslash and a real tab, which pandas reads with `escapechar`; DuckDB has no
such thing, and would lose those rows, so the file has none.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

import make_package
import measure
from edxlogs.edx.tables import tables
from edxlogs.generator import exporter

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from commands import COMMAND
from edxlogs.generator import keys

TABLE = tables()["courseware_studentmodule"]
COURSE = make_package.COURSES[0]
DECK_ROWS = 40_000
PANDAS = r"""
import sys, pandas
frame = pandas.read_csv(sys.argv[1], sep="\t", quoting=3, escapechar="\\", na_values=["NULL"],
                        keep_default_na=False, parse_dates=["created", "modified"])
frame.to_parquet(sys.argv[2], compression="zstd")
"""
DUCKDB = r"""
import sys, duckdb
types = {"id": "BIGINT", "module_type": "VARCHAR", "module_id": "VARCHAR", "student_id": "BIGINT",
         "state": "VARCHAR", "grade": "DOUBLE", "created": "TIMESTAMP", "modified": "TIMESTAMP",
         "max_grade": "DOUBLE", "done": "VARCHAR", "course_id": "VARCHAR"}
database = duckdb.connect(config={"threads": 2})
database.execute(
    "COPY (SELECT * REPLACE (replace(state, chr(92) || chr(92), chr(92)) AS state) FROM "
    "read_csv(?, delim='\t', quote='', escape='', header=true, nullstr='NULL', columns=?)) "
    "TO '" + sys.argv[2] + "' (FORMAT parquet, COMPRESSION zstd)", [sys.argv[1], types])
"""
# Times of pandas have no zone; they are compared as they stand.
DIGEST = """
    SELECT count(*), sum(id), sum(student_id), bit_xor(hash(state)), bit_xor(hash(module_id)),
           sum(epoch_us(created::TIMESTAMP)), sum(epoch_us(modified::TIMESTAMP)),
           round(sum(grade), 3), bit_xor(hash(course_id))
    FROM read_parquet(?)
"""


def chunks(megabytes: int) -> Iterator[bytes]:
    """The header, then a deck of rows as often as it takes."""
    deck = list(exporter.tab_lines(TABLE, make_package.rows(TABLE, COURSE, DECK_ROWS, 7)))
    yield deck[0]
    body = b"".join(line for line in deck[1:] if b"\\\t" not in line)
    yield from itertools.repeat(body, max(1, round(megabytes * 1e6 / len(body))))


def main() -> int:
    """Measure; the exit status is 1 if the rows differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("megabytes", type=int, nargs="?", default=2000)
    parser.add_argument("rounds", type=int, nargs="?", default=3)
    parser.add_argument("--encrypted", action="store_true")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as name, keys.home() as home:
        folder = Path(name)
        text, package = folder / "studentmodule.sql", folder / "universityx-2014-10-05.zip"
        with text.open("wb") as file:
            file.writelines(chunks(told.megabytes))
        encrypt = None
        if told.encrypted:
            keys.make_key(home, "Data Czar <czar@univx.example>")
            encrypt = make_package.gpg_encrypt(home, "czar@univx.example")
        member = exporter.file_name(TABLE, COURSE, "prod")
        exporter.write(package, [(member, chunks(told.megabytes))], encrypt=encrypt)
        ours: list[str | Path] = [
            *COMMAND,
            "db",
            "convert",
            package,
            "-o",
            folder / "out",
            "--overwrite",
            "-q",
        ]
        commands: dict[str, list[str | Path]] = {
            "edxlogs": [*ours, "--gnupg-home", home],
            "DuckDB": [sys.executable, "-c", DUCKDB, text, folder / "duckdb.parquet"],
            "pandas": [sys.executable, "-c", PANDAS, text, folder / "pandas.parquet"],
        }
        costs: dict[str, list[measure.Cost]] = {name: [] for name in commands}
        for _ in range(told.rounds):
            for name, command in commands.items():
                costs[name].append(measure.run(command))
        size = text.stat().st_size / 1e6
        print(f"{size:,.0f} MB expanded, medians of {told.rounds}")
        for name, runs in costs.items():
            wall = statistics.median(cost.wall_seconds for cost in runs)
            cpu = statistics.median(cost.cpu_seconds for cost in runs)
            memory = max(cost.memory_bytes for cost in runs) / 1e6
            print(
                f"{name:8} {wall:6.1f} s {size / wall:6.0f} MB/s {cpu:6.1f} s CPU {memory:6.0f} MB"
            )
        for name in list(commands)[1:]:
            rounds = zip(costs[name], costs["edxlogs"], strict=True)
            ratios = sorted(peer.wall_seconds / mine.wall_seconds for peer, mine in rounds)
            print(
                f"{name:8} takes {statistics.median(ratios):.2f} times as long as edxlogs, "
                f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
            )
        written = {
            "edxlogs": str(next((folder / "out").rglob("*.parquet"))),
            "DuckDB": str(folder / "duckdb.parquet"),
            "pandas": str(folder / "pandas.parquet"),
        }
        digests = {
            name: duckdb.connect().execute(DIGEST, [path]).fetchone()
            for name, path in written.items()
        }
    for name, digest in digests.items():
        if digest != digests["edxlogs"]:
            print(f"{name} has other rows: {digest}, edxlogs {digests['edxlogs']}")
    return int(len(set(digests.values())) > 1)


if __name__ == "__main__":
    sys.exit(main())
