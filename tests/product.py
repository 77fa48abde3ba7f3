"""The product as tests see it: rows through `edxlogs.filter`, files through the command line."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

import edxlogs
import oracle
from edxlogs import cli

_CELL = re.compile(r'(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^",\r\n]*))(?P<end>[,\n])')
JSON_COLUMNS = ("context", "event")
PLACE = ("source", "line", "line_item")
SHAPE_MENDS = {"duplicate_key", "prelog_shape", "mongo_export"}
"""Mends of how an event is read: its text is strict JSON, and stays as it is."""

Row = dict[str, Any]


@contextmanager
def log(content: bytes, name: str = "tracking.log") -> Iterator[Path]:
    """A log of that content; hypothesis asks for a new one for each example."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        yield path


def table_rows(table: pa.Table) -> list[Row]:
    """The rows of an Arrow table, times as microseconds since 1970, UTC."""
    columns = [
        column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
        for column in table.columns
    ]
    rows: list[Row] = pa.table(columns, names=table.column_names).to_pylist()
    return rows


def run(source: Path | Sequence[Path], **options: Any) -> tuple[list[Row], dict[str, Any]]:
    """Rows of `edxlogs.filter`, and the counts of its account."""
    stream = edxlogs.filter(source, **options)
    rows = table_rows(pa.table(stream))
    assert stream.verified
    return rows, stream.stats["total"]


def rows(source: Path | Sequence[Path], **options: Any) -> list[Row]:
    """Rows of `edxlogs.filter`."""
    return run(source, **options)[0]


def command(source: Path | Sequence[Path], output: Path, *options: str) -> bytes:
    """What `edxlogs filter` writes to a file, run in this process."""
    sources = [str(path) for path in ([source] if isinstance(source, Path) else source)]
    status = cli.execute(["filter", *sources, "-q", "--overwrite", "-o", str(output), *options])
    assert status == 0
    return output.read_bytes()


def csv_rows(content: bytes) -> list[Row]:
    """The rows of a CSV file by the project's rule: an empty cell without quotes is null.

    In a file of one column, null is the bare word NULL or, of numbers and times, `""`; the rows of
    such a file come as those of text.
    """
    text = content.decode()
    rows: list[list[str | None]] = [[]]
    at = 0
    while at < len(text):
        cell = _CELL.match(text, at)
        assert cell is not None, text[at : at + 80]
        quoted, plain = cell["quoted"], cell["plain"]
        null = "NULL" if len(rows) > 1 and len(rows[0]) == 1 else ""
        if quoted is None:
            rows[-1].append(None if plain == null else plain)
        else:
            rows[-1].append(quoted.replace('""', '"'))
        at = cell.end()
        if cell["end"] == "\n":
            rows.append([])
    assert rows.pop() == []
    header = rows.pop(0)
    return [dict(zip(map(str, header), cells, strict=True)) for cells in rows]


def microseconds(text: str) -> int:
    """A time as CSV holds it."""
    moment = datetime.fromisoformat(text)
    offset = moment.utcoffset()
    assert offset is not None
    assert not offset
    naive = moment.replace(tzinfo=None) - datetime(1970, 1, 1)
    return (naive.days * 86_400 + naive.seconds) * 1_000_000 + naive.microseconds


def assert_same_rows(actual: Sequence[Row], expected: Sequence[Row]) -> None:
    """Fail unless the rows of the product are those of the oracle, in their order."""
    places = [tuple(row[name] for name in PLACE) for row in actual]
    assert places == [tuple(row[name] for name in PLACE) for row in expected]
    for mine, theirs in zip(actual, expected, strict=True):
        assert_same_columns(mine, theirs)


def assert_same_columns(actual: Row, expected: Row) -> None:
    """Fail unless the columns of `expected` have its values in `actual`.

    JSON columns may differ in white space and in the spelling of strings.
    """
    plain = {name: value for name, value in expected.items() if name not in JSON_COLUMNS}
    assert {name: actual[name] for name in plain} == plain
    for name in JSON_COLUMNS:
        mine, theirs = actual[name], expected[name]
        assert oracle.same_json(mine, theirs), (name, mine, theirs)


def oracle_counts(path: Path, **options: Any) -> dict[str, Any]:
    """Lines by class, rejects by reason and lines by mend, as the oracle counts them."""
    counts: dict[str, Any] = {"lines": 0, "blank": 0, "rejected": 0, "reasons": {}, "mends": {}}
    for _, outcome in oracle.read_lines(path, **options):
        counts["lines"] += 1
        if outcome.kind == "blank":
            counts["blank"] += 1
        if outcome.reason is not None:
            counts["rejected"] += 1
            counts["reasons"][outcome.reason] = counts["reasons"].get(outcome.reason, 0) + 1
        for mend in outcome.mends:
            counts["mends"][mend] = counts["mends"].get(mend, 0) + 1
    return counts


def json_lines(content: bytes) -> list[Any]:
    """The documents of a JSON Lines file."""
    return [json.loads(line) for line in content.split(b"\n")[:-1]]
