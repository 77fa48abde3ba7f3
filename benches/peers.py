"""The same work by other tools, each as its own users would write it.

`peers.py TOOL WORK OUT FILE...` does WORK (`filter`: one course and one event type; `all`: every
event with every column) over gzip files into OUT. `rows` reads what any of them wrote.
Types are declared by hand: engines that infer them lose what they see first late in a file.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from log_cast import MAIN

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import oracle

EVENT_TYPE = "problem_check"
TEXTS = (
    "accept_language",
    "agent",
    "event_source",
    "event_type",
    "host",
    "ip",
    "name",
    "page",
    "referer",
    "session",
    "time",
    "username",
)
CONTEXT = ("course_id", "course_user_tags", "org_id", "path", "received_at", "user_id")

Key = tuple[int | None, int | None, str | None, str | None, str | None]


def duckdb(work: str, out: str, files: Sequence[str]) -> None:
    """DuckDB, by `read_json` with declared columns."""
    import duckdb

    columns = dict.fromkeys(TEXTS, "VARCHAR") | dict.fromkeys(("context", "event"), "JSON")
    wanted = f"(event_type = '{EVENT_TYPE}' OR name = '{EVENT_TYPE}')"
    where = f"WHERE {wanted} AND context->>'course_id' = '{MAIN}'" if work == "filter" else ""
    duckdb.sql(f"""
        COPY (
            SELECT * FROM read_json(
                {list(files)!r}, format = 'newline_delimited', columns = {columns!r}
            ) {where}
        ) TO '{out}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)
    """)


def chdb(work: str, out: str, files: Sequence[str]) -> None:
    """ClickHouse in this process, objects read as text."""
    import chdb

    structure = ", ".join(f"{name} Nullable(String)" for name in (*TEXTS, "context", "event"))
    wanted = f"(event_type = '{EVENT_TYPE}' OR name = '{EVENT_TYPE}')"
    where = f"WHERE {wanted} AND JSONExtractString(context, 'course_id') = '{MAIN}'"
    chdb.query(f"""
        INSERT INTO FUNCTION file('{out}', 'Parquet')
        SELECT * FROM file('{Path(files[0]).parent}/*.log.gz', 'JSONEachRow', '{structure}')
        {where if work == "filter" else ""}
        SETTINGS input_format_json_read_objects_as_strings = 1,
            input_format_json_infer_incomplete_types_as_strings = 1,
            input_format_skip_unknown_fields = 1,
            engine_file_truncate_on_insert = 1
    """)


def polars(work: str, out: str, files: Sequence[str]) -> None:
    """Polars, by `scan_ndjson` with a declared schema; `event` is null where it is an object."""
    import polars as pl

    text = pl.String()
    context = pl.Struct(dict.fromkeys(CONTEXT, text))
    schema = dict.fromkeys(TEXTS, text) | {"context": context, "event": text}
    frame = pl.scan_ndjson(list(files), schema=schema)
    if work == "filter":
        course = pl.col("context").struct.field("course_id") == MAIN
        kind = (pl.col("event_type") == EVENT_TYPE) | (pl.col("name") == EVENT_TYPE)
        frame = frame.filter(kind & course)
    frame.sink_parquet(out, compression="zstd", compression_level=1)


def loop(work: str, out: str, files: Sequence[str]) -> None:
    """Plain Python: gzip, json and a loop, by all rules of the contract."""
    conditions: dict[str, Any] = {}
    if work == "filter":
        conditions = {"courses": [MAIN], "event_types": [EVENT_TYPE]}
    with open(out, "w") as output:
        for path in files:
            for row in oracle.filter_file(path, **conditions):
                output.write(json.dumps(row) + "\n")


TOOLS: dict[str, Callable[[str, str, Sequence[str]], None]] = {
    "duckdb": duckdb,
    "chdb": chdb,
    "polars": polars,
    "loop": loop,
}


def rows(path: Path) -> Counter[Key]:
    """What stands in an output of edxlogs or of a peer: who did something when, and how often.

    Args:
        path: Parquet or JSON Lines of events or the default columns, or the folder of `simeon
            split`, of which the events of the wanted type count.
    """
    return Counter(map(_key, _records(path)))


def count(path: Path) -> int:
    """Rows of a Parquet file."""
    import pyarrow.parquet

    return int(pyarrow.parquet.read_metadata(path).num_rows)


def _records(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_dir():
        for split in path.rglob("*.json.gz"):
            with gzip.open(split) as lines:
                for record in map(json.loads, lines):
                    if EVENT_TYPE in (record.get("event_type"), record.get("name")):
                        yield record
        return
    if path.suffix != ".parquet":
        with path.open("rb") as lines:
            yield from map(json.loads, lines)
        return
    import pyarrow as pa
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(path)
    wanted = ["time", "user_id", "username", "session", "ip"]
    if "user_id" not in file.schema_arrow.names:
        wanted[1] = "context"
    for batch in file.iter_batches(columns=wanted):
        times = batch.column("time")
        if pa.types.is_timestamp(times.type):
            place = batch.schema.get_field_index("time")
            batch = batch.set_column(place, "time", times.cast("int64"))
        yield from batch.to_pylist()


def _key(record: dict[str, Any]) -> Key:
    time = record["time"]
    micros = time if isinstance(time, int) else oracle.microseconds(time)
    if "user_id" in record:
        user = record["user_id"]
    else:
        context = record.get("context") or {}
        user = (json.loads(context) if isinstance(context, str) else context).get("user_id")
    username = record.get("username")
    return (
        micros,
        int(user) if str(user).isdigit() else None,
        None if username is None else username.strip(),
        record.get("session"),
        record.get("ip"),
    )


if __name__ == "__main__":
    TOOLS[sys.argv[1]](sys.argv[2], sys.argv[3], sys.argv[4:])
