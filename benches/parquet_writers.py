"""Parquet by pyarrow or by edxlogs' own writer: the same rows, every default column.

`parquet_writers.py FILE [ROUNDS]` prints processor time, wall time, memory and size of both, in
processes of their own, beside a stream that is read and not written: what a writer costs is the
difference to it. Settings are the same: zstd 1, dictionaries and statistics but for the JSON
columns, deltas for the numbers that grow, row groups of as many rows.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import measure

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from commands import COMMAND

JSON_COLUMNS = ("context", "event")
GROWING_COLUMNS = ("time", "line")
ROW_GROUP_ROWS = 122_880


def stream(source: str) -> pa.RecordBatchReader:
    import edxlogs

    return pa.RecordBatchReader.from_stream(edxlogs.filter(source))


def drain(source: str, _: str) -> None:
    """Read the stream to nowhere."""
    for _batch in stream(source):
        pass


def by_pyarrow(source: str, out: str) -> None:
    """Write the stream by pyarrow."""
    batches = stream(source)
    names = [name for name in batches.schema.names if name not in JSON_COLUMNS]
    writer = pq.ParquetWriter(
        out,
        batches.schema,
        compression="zstd",
        compression_level=1,
        write_statistics=names,
        use_dictionary=[name for name in names if name not in GROWING_COLUMNS],
        column_encoding=dict.fromkeys(GROWING_COLUMNS, "DELTA_BINARY_PACKED"),
    )
    with writer:
        for batch in batches:
            writer.write_batch(batch, row_group_size=ROW_GROUP_ROWS)


def main(source: str, rounds: int) -> int:
    """Measure both in turns; the exit status is 1 if they wrote different rows."""
    with tempfile.TemporaryDirectory(dir=Path(source).parent) as folder:
        outputs = {name: Path(folder, f"{name}.parquet") for name in ("pyarrow", "edxlogs")}
        this: list[str | Path] = [sys.executable, Path(__file__)]
        commands: dict[str, list[str | Path]] = {
            "no writer (stream alone)": [*this, "drain", source, "-"],
            "pyarrow": [*this, "pyarrow", source, outputs["pyarrow"]],
            "edxlogs": [*COMMAND, "filter", source, "--quiet", "-o", outputs["edxlogs"]],
        }
        costs: dict[str, list[measure.Cost]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                if name in outputs:
                    outputs[name].unlink(missing_ok=True)
                costs[name].append(measure.run(command))
        ours, theirs = (pq.read_table(outputs[name]) for name in ("edxlogs", "pyarrow"))
        same = ours.replace_schema_metadata().equals(theirs.replace_schema_metadata())
        rows = []
        for name, each in costs.items():
            cost = measure.median(each)
            size = f"{outputs[name].stat().st_size / 1e6:.2f} MB" if name in outputs else ""
            seconds = f"{cost.cpu_seconds:.2f} s", f"{cost.wall_seconds:.2f} s"
            rows.append((name, *seconds, f"{cost.memory_bytes / 1e6:.0f} MB", size))
        print(f"{measure.machine()}; pyarrow {pa.__version__}; {ours.num_rows:,} rows.\n")
        print(measure.table(("writer", "CPU", "wall", "memory", "size"), rows))
        print(f"\nThe rows are {'the same' if same else 'DIFFERENT'}.")
    return 0 if same else 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["drain", source, out]:
            drain(source, out)
        case ["pyarrow", source, out]:
            by_pyarrow(source, out)
        case [source, *rest]:
            sys.exit(main(source, int(rest[0]) if rest else 5))
        case _:
            sys.exit("usage: parquet_writers.py FILE [ROUNDS]")
