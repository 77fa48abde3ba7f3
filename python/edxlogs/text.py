"""Words, numbers and names as people are shown them."""

from __future__ import annotations

import re

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
    """Spell a count with its noun, in the plural if need be."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size(count: int) -> str:
    """Spell a number of bytes in the unit that suits it."""
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
