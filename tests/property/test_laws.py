"""Laws of a run: how bytes arrive and who reads them changes nothing; p and q is p, then q."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edxlogs
import oracle
import product
import strategies
from conditions import conditions

FIRST = b'{"event_type": "first", "time": "2015-10-01T03:02:38+00:00"}\n'
LOGS = strategies.log_bytes().map(FIRST.__add__)
MALFORMED = (Path(__file__).parents[1] / "data" / "malformed.log").read_bytes()


class Trickle(io.RawIOBase):
    """A file that gives its bytes in pieces of given sizes, in turn."""

    name = "tracking.log"

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        self._content = content
        self._sizes = sizes
        self._at = self._turn = 0

    def read(self, size: int = -1) -> bytes:
        self._turn += 1
        most = self._sizes[self._turn % len(self._sizes)]
        piece = self._content[self._at : self._at + (most if size < 0 else min(most, size))]
        self._at += len(piece)
        return piece


def read_all(source: Any, **options: Any) -> list[product.Row]:
    return product.table_rows(pa.table(edxlogs.filter(source, **options)))


@given(log=LOGS, data=st.data(), sizes=st.lists(st.integers(1, 300), min_size=1, max_size=5))
@settings(max_examples=50)
def test_members_and_pieces_change_nothing(
    log: bytes, data: st.DataObject, sizes: list[int]
) -> None:
    with product.log(log) as path:
        wanted = data.draw(conditions(oracle.filter_file(path), most=1)).asked
        plain = product.rows(path, **wanted)
        assert read_all(Trickle(log, sizes), **wanted) == plain
        compressed = data.draw(strategies.gzip_members(log))
        assert read_all(Trickle(compressed, sizes), **wanted) == plain
        # The bytes tell what a file is, its name does not.
        path.write_bytes(compressed)
        assert product.rows(path, **wanted) == plain
        path.write_bytes(gzip.compress(gzip.compress(log)))
        assert product.rows(path, **wanted) == plain


@pytest.fixture(scope="module")
def long_logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Several logs, the first with more bytes than a reader takes at once."""
    folder = tmp_path_factory.mktemp("laws")
    lines = MALFORMED + b"\n"
    contents = [lines * 60, lines, b"", lines * 3, MALFORMED]
    paths = []
    for number, content in enumerate(contents):
        path = folder / str(number) / "tracking.log"
        path.parent.mkdir()
        path.write_bytes(gzip.compress(content, 1) if number % 2 else content)
        paths.append(path)
    return paths


LINES, ROWS = 122, 89


def test_a_long_log_has_the_rows_of_its_pieces(long_logs: list[Path]) -> None:
    once = product.rows(long_logs[1])
    rows = product.rows(long_logs[0])
    assert len(rows) == 60 * ROWS
    for piece in range(60):
        moved = [row | {"line": row["line"] + piece * LINES} for row in once]
        assert rows[piece * ROWS : (piece + 1) * ROWS] == moved


ASKED: list[dict[str, Any]] = [
    {},
    {"course": "course-v1:UniX+CS101+2015_T3"},
    {"event_type": ["problem_*", "page_close"], "check": "full"},
]


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_threads_change_nothing(long_logs: list[Path], asked: dict[str, Any]) -> None:
    one = product.rows(long_logs, threads=1, **asked)
    assert one
    for threads in (2, 4):
        assert product.rows(long_logs, threads=threads, **asked) == one
    separate = [row for path in long_logs for row in product.rows(path, **asked)]
    # Read together, logs that are called alike are told apart.
    assert [row | {"source": ""} for row in separate] == [row | {"source": ""} for row in one]


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.zst", "csv", "parquet", "arrow"])
def test_threads_change_no_byte_of_an_output(
    long_logs: list[Path], tmp_path: Path, ending: str
) -> None:
    outputs = {
        product.command(long_logs, tmp_path / f"out.{ending}", f"--threads={threads}")
        for threads in (1, 2, 4)
    }
    assert len(outputs) == 1


def test_an_account_is_the_same_whatever_the_threads(long_logs: list[Path]) -> None:
    counts = [product.run(long_logs, threads=threads)[1] for threads in (1, 2, 4)]
    assert counts[0] == counts[1] == counts[2]
    pieces = 60 + 1 + 0 + 3 + 1
    assert counts[0]["lines"] == pieces * LINES
    assert counts[0]["rows"] == pieces * ROWS


@given(log=LOGS, data=st.data())
@settings(max_examples=50)
def test_p_and_q_is_p_then_q(log: bytes, data: st.DataObject) -> None:
    with product.log(log) as path:
        everything = oracle.filter_file(path)
        p = data.draw(conditions(everything, most=1))
        others = conditions(everything, most=1).filter(
            lambda q: not p.asked.keys() & q.asked.keys()
        )
        q = data.draw(others)
        folder = path.parent
        both = product.command(path, folder / "both.jsonl", *(p & q).options())
        product.command(path, folder / "p.jsonl", *p.options())
        then = product.command(folder / "p.jsonl", folder / "then.jsonl", *q.options())
        assert then == both


@given(log=LOGS)
@settings(max_examples=60)
def test_json_columns_are_strict_json(log: bytes) -> None:
    with product.log(log) as path:
        assert_valid_json(pa.table(edxlogs.filter(path)))


def test_json_columns_of_odd_lines_are_strict_json() -> None:
    with product.log(MALFORMED) as path:
        assert assert_valid_json(pa.table(edxlogs.filter(path))) > 100


def assert_valid_json(table: pa.Table) -> int:
    """Let DuckDB judge every payload and context; how many there were."""
    texts = table["event"].to_pylist() + table["context"].to_pylist()
    texts = [text for text in texts if text is not None]
    known = pa.table({"text": pa.array(texts, pa.string())})
    relation = duckdb.arrow(known)
    invalid = relation.filter("not json_valid(text)").fetchall()
    assert invalid == []
    return len(texts)
