"""CSV, as other programs read it: null, empty text, quoting, lines."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

import product
from small_logs import event, write

# Text that a row of one column must not be mistaken for, nor a reader pass over.
TEXTS = ["", None, "NULL", "a", " ", None, '"', "null", "\n", ",", "'NULL'", '""', "\\N", None, ""]


def csv_of(folder: Path, columns: str, events: list[dict[str, Any]], *options: str) -> bytes:
    """What the command writes for these events."""
    content = b"".join(json.dumps(event(0, **fields)).encode() + b"\n" for fields in events)
    source = write(folder / "a.log", content)
    return product.command(source, folder / "out.csv", "--columns", columns, *options)


def by_pyarrow(path: Path) -> list[Any]:
    """PyArrow tells an empty cell from a quoted one."""
    options = pyarrow.csv.ConvertOptions(
        strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=["", "NULL"]
    )
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    rows = pyarrow.csv.read_csv(path, convert_options=options, parse_options=parse).to_pylist()
    return [tuple(row.values()) for row in rows]


def test_null_and_empty_text_are_told_apart(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = [
        {"page": "", "username": 'a "quoted",\nname', "referer": "=1+1"},
        {"page": None, "username": "NULL"},
    ]
    content = csv_of(tmp_path, "page,username,referer", events)
    expected = [("", 'a "quoted",\nname', "=1+1"), (None, "NULL", None)]
    assert [tuple(row.values()) for row in product.csv_rows(content)] == expected
    # The word NULL means null where there is one column, and only there.
    options = pyarrow.csv.ConvertOptions(
        strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
    )
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    table = pyarrow.csv.read_csv(tmp_path / "out.csv", convert_options=options, parse_options=parse)
    assert [tuple(row.values()) for row in table.to_pylist()] == expected


def test_for_spreadsheets(tmp_path: Path) -> None:
    starts = ["=1", "+1", "-1", "@a", "\ta", "\ra", "a=1", "", "'a", '="x"']
    events = [{"page": text} for text in starts]
    for columns in ("page,user_id", "page"):
        content = csv_of(tmp_path, columns, events, "--csv-excel-safe")
        cells = [row[0] for row in csv.reader(io.StringIO(content.decode(), newline=""))]
        assert cells[1:] == [
            f"'{text}" if text[:1] in set("=+-@\t\r") and text else text for text in starts
        ]


def read_by_csv(path: Path) -> list[str]:
    with path.open(newline="") as file:
        return [row["x"] for row in csv.DictReader(file)]


def read_by_pandas(path: Path) -> list[Any]:
    column = pd.read_csv(path)["x"]
    return [None if pd.isna(value) else value for value in column]


def read_by_pyarrow(path: Path) -> list[Any]:
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    return list(pyarrow.csv.read_csv(path, parse_options=parse)["x"].to_pylist())


def read_by_duckdb(path: Path, options: str = "") -> list[Any]:
    question = f"SELECT x::VARCHAR FROM read_csv('{path}', header = true{options})"
    return [value for (value,) in duckdb.connect().execute(question).fetchall()]


@pytest.mark.parametrize("cast", ["int64", "float64", "bool", "timestamp"])
@pytest.mark.parametrize(
    "read", [read_by_csv, read_by_pandas, read_by_pyarrow, read_by_duckdb], ids=lambda f: f.__name__
)
def test_no_reader_passes_over_a_null_number(
    tmp_path: Path, cast: str, read: Callable[[Path], list[Any]]
) -> None:
    """The only cell of a row, null, would be an empty line."""
    value: Any = {"bool": True, "timestamp": "2014-10-01T00:00:00Z"}.get(cast, 7)
    values = [None, value, None, None, value, None]
    csv_of(tmp_path, f"x::{cast}", [{} if one is None else {"x": one} for one in values])
    read_back = read(tmp_path / "out.csv")
    assert len(read_back) == len(values)
    assert [one in (None, "") for one in read_back] == [one is None for one in values]


@pytest.mark.parametrize(
    "read", [read_by_csv, read_by_pandas, read_by_pyarrow, read_by_duckdb], ids=lambda f: f.__name__
)
def test_no_reader_passes_over_a_null_text(
    tmp_path: Path, read: Callable[[Path], list[Any]]
) -> None:
    csv_of(tmp_path, "x", [{} if text is None else {"x": text} for text in TEXTS])
    assert len(read(tmp_path / "out.csv")) == len(TEXTS)


def test_null_and_empty_text_are_told_apart_in_one_column_too(tmp_path: Path) -> None:
    content = csv_of(tmp_path, "x", [{} if text is None else {"x": text} for text in TEXTS])
    assert [row["x"] for row in product.csv_rows(content)] == TEXTS
    assert [value for (value,) in by_pyarrow(tmp_path / "out.csv")] == TEXTS
    careful = ", nullstr = 'NULL', allow_quoted_nulls = false, columns = {'x': 'VARCHAR'}"
    assert read_by_duckdb(tmp_path / "out.csv", careful) == TEXTS


@given(st.lists(st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"))))
def test_one_column_of_any_text(texts: list[str | None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        events = [{} if text is None else {"x": text} for text in texts]
        content = csv_of(Path(folder), "x", events)
    assert [row["x"] for row in product.csv_rows(content)] == texts
