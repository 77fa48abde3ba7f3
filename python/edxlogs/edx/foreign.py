"""Recognises files of lines that are not logs, by their first bytes. No I/O.

The core refuses files of entirely different formats, such as archives, before it reads a line.
"""

from __future__ import annotations

import re

_ARMOUR = b"-----BEGIN PGP "
SHOWN_BY_INSPECT = "; edxlogs inspect FILE shows them"
_LF_JQ = "; jq -c . FILE > NEW puts each event on a line of its own"


def kind_of(head: bytes) -> str:
    """What a file is whose first lines hold no event, and what to do about it.

    Args:
        head: its first bytes, decrypted and inflated; 64 KiB are enough.

    Returns:
        The end of a sentence whose subject is the file.
    """
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n\0")
    if re.match(rb"<(\?xml|!doctype|html|error|head|body)\b", text, re.IGNORECASE):
        return "is XML or HTML, such as an error that a server sent in place of it; fetch it again"
    if _ARMOUR in head:
        return _armoured(head)
    wide = _wide_without_mark(head)
    if wide is not None:
        return f"is {wide} text; iconv -f {wide} -t UTF-8 FILE > NEW makes it readable"
    if text.startswith(b"[") and b"{" in text[:1024]:
        return "is one JSON array, not one event per line; jq -c '.[]' FILE > NEW makes it a log"
    if is_report(text):
        return "is a report of edxlogs, not a log; leave it out"
    if is_pretty_printed(text):
        return f"holds events that span several lines, not one event per line{_LF_JQ}"
    if _is_binary(head):
        return "is neither text nor gzip nor OpenPGP; fetch it again"
    return f"holds no event in its first lines{SHOWN_BY_INSPECT}"


def is_report(head: bytes) -> bool:
    """Whether a file begins like a report of edxlogs, or like the output of `--json`."""
    return re.match(rb'\s*\{\s*"schema_version": ?[0-9]+,\s*"version": ?"', head) is not None


def is_pretty_printed(text: bytes) -> bool:
    """Whether text begins with an object whose first key is on a line of its own."""
    return re.match(rb'\{[ \t]*\r?\n[ \t]*"', text) is not None


def _armoured(head: bytes) -> str:
    start = head.index(_ARMOUR)
    label = head[start + len(_ARMOUR) :][:24].partition(b"-----")[0]
    if label == b"MESSAGE":
        return (
            "is text around an OpenPGP message; sed -n '/^-----BEGIN PGP/,/^-----END PGP/p' FILE"
            " > NEW.gpg extracts it"
        )
    if label.endswith(b"KEY BLOCK"):
        return "is an OpenPGP key, not a log; gpg --import FILE puts it on the key ring"
    return "is signed with OpenPGP, not encrypted; gpg --decrypt FILE > NEW extracts the log"


def _wide_without_mark(head: bytes) -> str | None:
    """Recognise UTF-16 without a mark: in mostly ASCII text, every other byte is zero."""
    sample = head[:512] if len(head) % 2 == 0 or len(head) > 512 else head[:-1]
    if len(sample) < 8:
        return None
    for name, zeros, others in (("UTF-16LE", 1, 0), ("UTF-16BE", 0, 1)):
        if not any(sample[zeros::2]) and all(sample[others::2]):
            return name
    return None


def _is_binary(head: bytes) -> bool:
    odd = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    return b"\0" in head.strip(b"\0") or odd * 20 > len(head)
