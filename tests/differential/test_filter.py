"""`edxlogs filter` against the oracle: random logs, random conditions, every format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle
import product
import strategies
from conditions import Conditions, conditions

# Not first in the file, a line tells nothing of what the file is.
FIRST = b'{"event_type": "first", "time": "2015-10-01T03:02:38+00:00"}\n'
LOGS = strategies.log_bytes().map(FIRST.__add__)
CLASSES = ("blank", "rejected", "kept", "dropped", "duplicate", "withheld")


@given(log=LOGS, data=st.data())
@settings(max_examples=150)
def test_rows_and_account_equal_the_oracles(log: bytes, data: st.DataObject) -> None:
    with product.log(log) as path:
        everything = oracle.filter_file(path)
        wanted = data.draw(conditions(everything))
        expected = wanted.select(path)
        rows, fast = product.run(path, check="fast", **wanted.asked)
        product.assert_same_rows(rows, expected)
        again, full = product.run(path, check="full", **wanted.asked)
        assert again == rows
        for counts in (fast, full):
            assert sum(counts[name] for name in CLASSES) == counts["lines"]
            assert counts["lines"] == len(list(oracle.read_lines(path)))
            assert counts["rows"] == len(rows)
            assert counts["kept"] == len({row["line"] for row in rows})
        assert_same_counts(full, path)


def assert_same_counts(counts: dict[str, Any], path: Path) -> None:
    """Compare what is counted over every line of a log."""
    outcomes = [outcome for _, outcome in oracle.read_lines(path)]
    expected = product.oracle_counts(path)
    for name in ("lines", "blank", "rejected", "reasons"):
        assert counts[name] == expected[name]
    assert counts["parsed"] == sum(outcome.kind != "blank" for outcome in outcomes)
    # A duplicate key is counted where it is one that is read; an object in `time` as an export.
    loose = {"duplicate_key", "mongo_export"}
    assert set(counts["mends"]) - loose == set(expected["mends"]) - loose
    for mend in set(counts["mends"]) - loose:
        # The oracle counts lines, the product events.
        events = sum(len(outcome.events) for outcome in outcomes if mend in outcome.mends)
        assert expected["mends"][mend] <= counts["mends"][mend] <= events
    assert counts["mends"].get("duplicate_key", 0) <= sum(
        len(outcome.events) for outcome in outcomes if "duplicate_key" in outcome.mends
    )


@given(log=LOGS, data=st.data())
@settings(max_examples=40)
def test_every_format_holds_the_same_rows(log: bytes, data: st.DataObject) -> None:
    with product.log(log) as path:
        wanted = data.draw(conditions(oracle.filter_file(path), most=1))
        rows = product.rows(path, **wanted.asked)
        folder, words = path.parent, wanted.options()

        content = product.command(path, folder / "out.parquet", *words)
        table = pq.ParquetFile(pa.BufferReader(content)).read()
        assert product.table_rows(table) == rows

        content = product.command(path, folder / "out.arrow", *words)
        assert product.table_rows(pa.ipc.open_file(content).read_all()) == rows

        cells = product.csv_rows(product.command(path, folder / "out.csv", *words))
        read = [{name: csv_value(name, cell) for name, cell in row.items()} for row in cells]
        assert read == rows


def csv_value(name: str, cell: str | None) -> Any:
    if cell is None:
        return None
    if name in ("time", "received_at"):
        return product.microseconds(cell)
    return int(cell) if name in ("user_id", "line", "line_item") else cell


@given(log=LOGS, data=st.data())
@settings(max_examples=80)
def test_json_lines_hold_the_lines_themselves(log: bytes, data: st.DataObject) -> None:
    with product.log(log) as path:
        everything = oracle.filter_file(path)
        wanted = data.draw(conditions(everything, most=1))
        expected = wanted.select(path)
        output = path.parent / "out.jsonl"
        written = product.command(path, output, *wanted.options()).split(b"\n")
        lines, outcomes = log.split(b"\n"), dict(oracle.read_lines(path))
        assert written.pop() == b""
        assert len(written) == len(expected)
        for mine, row in zip(written, expected, strict=True):
            line, outcome = lines[row["line"] - 1], outcomes[row["line"]]
            if outcome.mends <= product.SHAPE_MENDS:
                assert mine == line
                continue
            # A mended event is one clean line, and means the same.
            again = oracle.read_events(mine)
            assert again.mends <= product.SHAPE_MENDS
            (event,) = again.events
            kept = {name: row[name] for name in oracle.COLUMNS}
            product.assert_same_columns(oracle.row(event), kept)

        raw = product.command(path, output, "--raw", *wanted.options())
        numbers = sorted({row["line"] for row in expected})
        assert raw == b"".join(lines[number - 1] + b"\n" for number in numbers)


@given(log=LOGS)
@settings(max_examples=40)
def test_strict_rejects_exactly_the_lines_that_need_a_mend(log: bytes) -> None:
    with product.log(log) as path:
        clean = {
            number
            for number, outcome in oracle.read_lines(path)
            if outcome.kind == "events" and not outcome.mends
        }
        rows = product.rows(path, strict=True)
        lines = {row["line"] for row in rows}
        assert lines >= clean
        # Keys that stand twice count where they are read.
        for number, outcome in oracle.read_lines(path):
            if number in lines - clean:
                assert outcome.mends <= {"duplicate_key", "mongo_export"}


def test_an_object_is_no_event_type_and_a_text_like_it_is() -> None:
    log = b'{"time": 0, "event_type": {}}\n{"time": 0, "event_type": "{}"}\n'
    wanted = Conditions({"event_type": ["{}"]}, {"event_types": ["{}"]})
    with product.log(log) as path:
        rows, _ = product.run(path, **wanted.asked)
        assert [row["line"] for row in rows] == [2]
        product.assert_same_rows(rows, wanted.select(path))
