"""Words, numbers and names in the form in which people see them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import Any

GAP = "  "  # between the columns of a table
_LEAST = 20  # columns of a terminal that a cell keeps when it is cut
_FEWEST = 2  # columns that a table keeps
# Control characters, and those that reorder or break a line of a terminal; lone surrogates stand
# for bytes that are not UTF-8.
_UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(name: str) -> str:
    r"""Escape what a terminal or a UTF-8 column cannot hold, as `\xNN` or `\uNNNN`."""

    def escape(match: re.Match[str]) -> str:
        code = ord(match[0])
        if 0xDC80 <= code <= 0xDCFF:
            code -= 0xDC00
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"

    return _UNSHOWABLE.sub(escape, name)


def many(count: int, noun: str) -> str:
    """A count with its noun, in the plural if necessary."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def some(names: Sequence[str], most: int) -> str:
    """The first of several names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def size(count: int) -> str:
    """A number of bytes, in a suitable unit."""
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def duration(seconds: float) -> str:
    """A length of time, in suitable units."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    parts = ((whole // 3600, "h"), (whole // 60 % 60, "min"), (whole % 60, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def indented(document: Any) -> bytes:
    """A JSON document for people. Times end in Z."""
    import orjson  # which a command that only helps has no need of

    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z)


def table(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> list[str]:
    """The lines of a table.

    Args:
        rows: cells, already escaped. An empty cell is shown as `-`.
        right: numbers of right-aligned columns, from 0.
    """
    lines = [[cell or "-" for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    return [
        GAP.join(
            _pad(cell, width, right=column in right)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def fitted(
    rows: Sequence[Sequence[str]], columns: int | None, *, is_text: bool = False
) -> list[list[str]]:
    """The rows of a table whose lines a terminal does not break.

    Long names in the first column lose their beginning. If that is not enough, the last column
    loses its end, or the last columns are left out.

    Args:
        rows: cells, already escaped. The first row holds the headings.
        columns: number of columns of the terminal; None if it does not matter.
        is_text: whether the last column holds text, whose end may be missing.
    """
    told = [list(row) for row in rows]
    if columns is None or _total(told) <= columns:
        return told
    told[0][-1] = told[0][-1].partition(",")[0]
    if is_text:
        room = columns - _total([row[:-1] for row in told]) - len(GAP)
        for row in told:
            row[-1] = _cut(row[-1], max(room, _LEAST))
    if (spare := _total(told) - columns) > 0:
        most = max(max(_width(row[0]) for row in told) - spare, _LEAST)
        for row in told:
            row[0] = _cut(row[0][::-1], most)[::-1]
    while _total(told) > columns and len(told[0]) > _FEWEST:
        for row in told:
            row.pop()
    return told


def _total(rows: Sequence[Sequence[str]]) -> int:
    """How many columns of a terminal a table takes."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _cut(text: str, most: int) -> str:
    """A text without its end, if it takes more columns."""
    if _width(text) <= most:
        return text
    while _width(text) >= most:
        text = text[:-1]
    return f"{text}…"


def _pad(cell: str, width: int, *, right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if right else cell + space


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )
