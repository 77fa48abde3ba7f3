"""The tab-separated dialect: the product against the oracle, escape by escape."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import make_package
import oracle_tables
from edxlogs import _core
from edxlogs.edx.tables import Dialect, tables
from edxlogs.errors import FormatError
from edxlogs.generator import exporter
from product import table_rows

COLUMNS = (
    ("id", "int64"),
    ("name", "text"),
    ("ok", "bool"),
    ("when", "timestamp"),
    ("day", "date"),
    ("grade", "float64"),
    ("state", "json"),
)


def convert(
    data: bytes,
    columns: oracle_tables.Columns = COLUMNS,
    dialect: str = "tab",
    renamed: tuple[tuple[str, str], ...] = (),
    threads: int = 1,
    error: type[Exception] | None = None,
) -> tuple[list[dict[str, Any]], dict[str, Any], bytes]:
    """Rows, counts and rejects of a file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").write_bytes(data)
        counts, ended = _core.convert(
            folder / "in",
            _core.Table(dialect, [(*column, "", "") for column in columns], renamed),
            folder / "out",
            package="p.zip",
            member="m.sql",
            site="prod",
            day=16_348,
            label="p.zip: m.sql",
            rejects_path=folder / "rejects",
            threads=threads,
            control=_core.Control(),
        )
        if error is not None:
            assert isinstance(ended, error)
            return [], counts, b""
        assert ended is None
        rows = table_rows(pq.read_table(folder / "out"))
        rejects = folder / "rejects"
        return rows, counts, rejects.read_bytes() if rejects.exists() else b""


def check(
    data: bytes,
    columns: oracle_tables.Columns = COLUMNS,
    *,
    module: bool = False,
    renamed: tuple[tuple[str, str], ...] = (),
    literals: bool = False,
    threads: int = 1,
) -> list[dict[str, Any]]:
    """Fail unless rows, counts and rejects are the oracle's; the rows."""
    dialect = "module" if module else "tab"
    rows, counts, rejects = convert(data, columns, dialect, renamed, threads)
    expected = oracle_tables.read_tab(
        data, columns, module=module, renamed=dict(renamed), literals=literals
    )
    assert counts["literals"] == literals
    assert len(rows) == len(expected.rows) == counts["rows_written"]
    place = {"site": "prod", "package": "p.zip", "member": "m.sql"}
    for mine, theirs in zip(rows, expected.rows, strict=True):
        assert {name: mine[name] for name in place} == place
        assert str(mine["snapshot_date"]) == "2014-10-05"
        for name in ("extra", "misfits"):
            assert (mine[name] and json.loads(mine[name])) == theirs[name]
        for name, kind in columns:
            if kind == "json":
                strict = mine[name] and json.loads(mine[name], parse_constant=pytest.fail)
                assert strict == oracle_tables.json_value(theirs[name])
            else:
                assert mine[name] == theirs[name], name
        assert mine["row"] == theirs["row"]
    assert counts["rows"] == len(expected.rows) + len(expected.rejected)
    assert counts["reasons"] == ({"fields": len(expected.rejected)} if expected.rejected else {})
    for name in ("blank", "misfits", "zero_dates", "utf8", "nul"):
        assert counts[name] == getattr(expected, name), name
    assert counts["unknown_columns"] == expected.unknown_columns
    assert counts["missing_columns"] == (expected.missing_columns if data else [])
    assert counts["bytes_expanded"] == len(data)
    assert rejects == b"".join(
        b'# edxlogs reject: {"package": "p.zip", "member": "m.sql", '
        + f'"line": {line}, "byte": {byte}, "reason": "fields"}}\n'.encode()
        + raw
        + b"\n"
        for line, byte, raw in expected.rejected
    )
    return rows


HEADER = b"\t".join(name.encode() for name, _ in COLUMNS) + b"\n"


@pytest.mark.parametrize(
    "field",
    [
        b"NULL", b"\\N", b"null", b"", b"a", b"\\t", b"\\n", b"\\r", b"\\0", b"\\\\", b"\\\\n",
        b"\\\\\\n", b"\\x", b"\\", b"a\\", b"caf\xc3\xa9", b"caf\xe9", b"\xff\xfe\\n", b"a\0b",
        b"bare\rreturn", b'"quoted"', b"'x'", b"a,b", b"0", b"1", b"True", b"2", b"-5", b"+5",
        b" 5", b"9223372036854775807", b"9223372036854775808", b"1.5", b"-1e-3", b"nan", b"inf",
        b"1e999",
        b".5", b"5.", b".", b"2013-08-08 22:00:58", b"2013-08-08 22:00:58.5",
        b"2013-08-08 22:00:58.123456", b"2013-08-08T22:00:58+00:00", b"2013-08-08 22:00:58-04:00",
        b"0000-00-00 00:00:00", b"0000-00-00", b"2013-02-29 00:00:00", b"2013-08-08", b"2012-02-29",
        b"2013-13-01", b"{}", b'{"a": NaN}', b'{"a": "x\\ty"}', b'{"a": "\\\\n"}', b"[1", b"{} x",
        b'"\\\\ud83d"', b"\xef\xbb\xbf1",
    ],
)  # fmt: skip
def test_any_field_in_any_column(field: bytes) -> None:
    row = b"\t".join([field] * len(COLUMNS)) + b"\n"
    check(HEADER + row)
    check(HEADER + row, module=True)


def test_rows_that_do_not_fit_the_header_are_rejected_alone() -> None:
    good = b"1\ta\t1\tNULL\tNULL\t0.5\tNULL\n"
    data = HEADER + good + b"1\t2\n" + good + b"\n" + good.replace(b"\n", b"\tmore\n") + good[:-1]
    assert len(check(data)) == 3


def test_a_studentmodule_keeps_escaped_tabs_and_letters() -> None:
    data = b'name\tstate\n\\\\\\\ta\t{"a": "\\\\n\\\\\\\\"}\n\\\\\t{}\n'
    rows = check(data, (("name", "text"), ("state", "json")), module=True)
    assert rows[0]["name"] == "\\\ta"
    assert json.loads(rows[0]["state"]) == {"a": "\n\\"}
    assert rows[1]["name"] == "\\"


def test_columns_are_found_by_their_headers() -> None:
    data = b"new\tuser_id\tname\nx\t7\tn\nNULL\t8\tm\n"
    rows = check(
        data, (("id", "int64"), ("name", "text"), ("old", "text")), renamed=(("user_id", "id"),)
    )
    assert [(row["id"], row["name"], row["old"]) for row in rows] == [
        (7, "n", None),
        (8, "m", None),
    ]
    assert [row["extra"] for row in rows] == ['{"new":"x"}', None]


def test_a_header_that_names_a_column_twice_is_no_table() -> None:
    convert(b"id\tid\n1\t2\n", error=FormatError)
    convert(b"id\tuser_id\n1\t2\n", renamed=(("user_id", "id"),), error=FormatError)


@pytest.mark.parametrize("data", [b"Traceback\n1\t2\n", b"a\tb", b"\x85\x01\x0c\n"])
def test_a_header_of_no_known_column_is_no_table(data: bytes) -> None:
    convert(data, error=FormatError)


@pytest.mark.parametrize("data", [b"", b"id", b"id\n", b"id\n\n", b"\n"])
def test_files_without_rows(data: bytes) -> None:
    check(data)


def test_bytes_literals_are_read() -> None:
    rows = check(
        b"id\tname\tgrade\n"
        b"b'1'\tb'caf\\\\xc3\\\\xa9 \\\\'x\\\\''\tb'0.5'\n"
        b"b'2'\tb\"it's\"\tNULL\n"
        b"b'3'\tb'a\\\\\\\\n\\\\n\\\\t'\tb'NULL'\n"
        b"bytearray(b'4')\tb'\\\\xff'\tb''\n",
        (("id", "int64"), ("name", "text"), ("grade", "float64")),
        literals=True,
    )
    assert [row["name"] for row in rows[:3]] == ["café 'x'", "it's", "a\\n\n\t"]


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize(
    "name",
    [name for name, table in tables().items() if table.dialect in (Dialect.TAB, Dialect.MODULE)],
)
def test_every_table_is_as_the_oracle_reads_it(name: str, odd: bool) -> None:
    table = tables()[name]
    course = make_package.COURSES[1]
    truth = list(make_package.rows(table, course, 40, 3))
    lines = (
        make_package.odd_tab_lines(table, truth, random.Random(name))
        if odd
        else exporter.tab_lines(table, truth)
    )
    data = b"".join(lines)
    rows = check(data, table.columns, module=table.dialect is Dialect.MODULE, renamed=table.renamed)
    if odd:
        return
    for mine, theirs in zip(rows, truth, strict=True):
        for column, kind in table.columns:
            value = theirs[column]
            if kind == "timestamp" and value is not None:
                value = oracle_tables.moment(str(value))
            if kind == "json":
                assert json.loads(mine[column]) == json.loads(str(value))
            else:
                assert mine[column] == value, column


FIELDS = st.one_of(
    st.binary(max_size=8).filter(lambda raw: b"\n" not in raw),
    st.sampled_from([b"NULL", b"\\\\", b"\\n", b"\\\t", b"1", b"0.5", b"{}", b"\t", b"\\"]),
)


@given(st.lists(st.lists(FIELDS, min_size=1, max_size=4), max_size=6), st.booleans(), st.booleans())
def test_any_bytes(rows: list[list[bytes]], ended: bool, module: bool) -> None:
    columns = (("a", "text"), ("b", "int64"), ("c", "json"))
    data = b"a\tb\tc\n" + b"\n".join(b"\t".join(row) for row in rows) + (b"\n" if ended else b"")
    _, counts, _ = convert(data, columns, "module" if module else "tab")
    if not counts["literals"]:
        check(data, columns, module=module)
