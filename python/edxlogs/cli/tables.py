"""Tables of plain text: aligned, alike on a terminal and in a pipe."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

GAP = "  "


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: set[str]) -> list[str]:
    """The lines of a table.

    Args:
        header: names of the columns.
        rows: cells, which must be escaped; an empty one is shown as `-`.
        numbers: names of columns that are aligned at the right.
    """
    lines = [list(header), *([cell or "-" for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    return [
        GAP.join(
            _pad(cell, width, right=name in numbers)
            for cell, width, name in zip(line, widths, header, strict=True)
        ).rstrip()
        for line in lines
    ]


def _pad(cell: str, width: int, *, right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if right else cell + space


def _width(text: str) -> int:
    """Columns that a terminal needs."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    none = sum(unicodedata.combining(character) != 0 for character in text)
    return len(text) + wide - none
