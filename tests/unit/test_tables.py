"""Tables: columns stand below each other, whatever is in them."""

from __future__ import annotations

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from edxlogs.text import GAP, table

CELLS = st.text(st.characters(categories=["L", "N", "P", "Mn"]), max_size=8)


def width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5))
@example([("", "", ""), ("", "", "\u302a")])  # wide by its block, and combining
def test_every_row_is_as_wide(rows: list[tuple[str, str, str]]) -> None:
    lines = table(rows, right=(2,))
    assert len({width(line) for line in lines}) == 1
    for line, row in zip(lines, rows, strict=True):
        assert line.startswith(row[0] or "-")
        assert line.endswith(row[2] or "-")
        assert (row[1] or "-") in line


def test_a_table() -> None:
    rows = [["site", "files", "day"], ["prod", "12", ""], ["", "3", "2014-03-09"]]
    assert table(rows, right=[1]) == [
        f"site{GAP}files{GAP}day",
        f"prod{GAP}   12{GAP}-",
        f"-   {GAP}    3{GAP}2014-03-09",
    ]


def test_no_rows() -> None:
    assert table([]) == []
