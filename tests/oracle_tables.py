"""The tables of a database package once more in plain Python, to judge the rest."""

from __future__ import annotations

import datetime
import json
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

Columns = tuple[tuple[str, str], ...]
Row = dict[str, Any]

MISFIT = object()
_EPOCH = datetime.datetime(1970, 1, 1)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:?\d\d)?", re.ASCII
)
_TAB_ESCAPES = {"\\": "\\", "n": "\n", "r": "\r", "t": "\t", "0": "\0"}
_MODULE_ESCAPES = {"\\": "\\", "\t": "\t"}
_LITERAL = re.compile(r"b'(.*)'|b\"(.*)\"", re.DOTALL)


@dataclass
class Read:
    """What a file comes to."""

    rows: list[Row] = field(default_factory=list)
    rejected: list[tuple[int, int, bytes]] = field(default_factory=list)
    blank: int = 0
    misfits: Counter[str] = field(default_factory=Counter)
    zero_dates: int = 0
    utf8: int = 0
    nul: int = 0
    unknown_columns: list[str] = field(default_factory=list)
    missing_columns: list[str] = field(default_factory=list)


def typed(text: str, kind: str) -> Any:
    """A value of a column's type; `MISFIT` if the text is none, "zero" for a zero date."""
    if kind == "text":
        return text
    if text == "":
        return None
    match kind:
        case "int64":
            whole = re.fullmatch(r"[+-]?[0-9]+", text)
            return int(text) if whole and -(2**63) <= int(text) < 2**63 else MISFIT
        case "float64":
            if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
                return MISFIT
            return float(text) if math.isfinite(float(text)) else MISFIT
        case "bool":
            known = {"0": False, "False": False, "false": False, "1": True, "True": True}
            return {**known, "true": True}.get(text, MISFIT)
        case "date":
            if text == "0000-00-00":
                return "zero"
            try:
                return (
                    datetime.datetime.strptime(text, "%Y-%m-%d").date()
                    if len(text) == 10
                    else MISFIT
                )
            except ValueError:
                return MISFIT
        case "timestamp":
            return "zero" if text.startswith("0000-00-00") else moment(text)
        case "json":
            try:
                json.loads(text, strict=False)
            except (ValueError, RecursionError):
                return MISFIT
            return text
    raise AssertionError(kind)


def json_value(text: str | None) -> Any:
    """What a JSON text says, as strict JSON can say it."""
    if text is None:
        return None
    value = json.loads(text, strict=False, parse_constant=lambda _: None)
    return json.loads(re.sub("[\ud800-\udfff]", "\ufffd", json.dumps(value, ensure_ascii=False)))


def moment(text: str) -> Any:
    """Microseconds since 1970, or `MISFIT`."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return MISFIT
    day, clock, fraction, offset = match.groups()
    try:
        at = datetime.datetime.strptime(f"{day} {clock}", "%Y-%m-%d %H:%M:%S") - _EPOCH
    except ValueError:
        return MISFIT
    micros = (at.days * 86400 + at.seconds) * 10**6 + int((fraction or "0").ljust(6, "0")[:6])
    if offset and offset != "Z":
        sign = 1 if offset[0] == "+" else -1
        minutes = int(offset[1:3]) * 60 + int(offset[-2:])
        micros -= sign * minutes * 60 * 10**6
    return micros


def unescaped(text: str, *, module: bool) -> str:
    """Escapes undone, each once, from left to right."""
    known = _MODULE_ESCAPES if module else _TAB_ESCAPES
    return re.sub(r"\\(.)?", lambda m: known.get(m[1], m[0]), text, flags=re.DOTALL)


def literal(text: str) -> str | None:
    """The text of a Python bytes literal; None if it is none."""
    inner = re.fullmatch(r"bytearray\((.*)\)", text, re.DOTALL)
    match = _LITERAL.fullmatch(inner[1] if inner else text)
    if match is None:
        return None
    body = match[1] if match[1] is not None else match[2]
    named = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", '"': '"'}

    def one(found: re.Match[str]) -> str:
        return chr(int(found[1], 16)) if found[1] else named[found[2]]

    raw = re.sub(r"""\\(?:x([0-9a-fA-F]{2})|([nrt\\'"]))""", one, body)
    return raw.encode("latin-1").decode("utf-8", "replace")


def fields_of(row: bytes, *, module: bool) -> list[bytes]:
    """The fields between tabs; in courseware_studentmodule, an escaped tab is data."""
    if not module:
        return row.split(b"\t")
    fields, start = [], 0
    for match in re.finditer(rb"(\\*)\t", row):
        if len(match[1]) % 2 == 0:
            fields.append(row[start : match.end() - 1])
            start = match.end()
    return [*fields, row[start:]]


def read_tab(
    data: bytes,
    columns: Columns,
    *,
    module: bool = False,
    renamed: dict[str, str] | None = None,
    literals: bool = False,
) -> Read:
    """The rows of a tab-separated file."""
    read = Read()
    if not data:
        return read
    header, _, body = data.partition(b"\n")
    names = [
        (renamed or {}).get(name, name) for name in header.decode("utf-8", "replace").split("\t")
    ]
    kinds = dict(columns)
    read.unknown_columns = [name for name in names if name not in kinds]
    read.missing_columns = [name for name, _ in columns if name not in names]
    lines = body.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    offset = len(header) + 1
    for number, line in enumerate(lines, 2):
        if line == b"":
            read.blank += 1
        else:
            fields = fields_of(line, module=module)
            if len(fields) == len(names):
                read.rows.append(
                    _row(read, dict(zip(names, fields, strict=True)), columns, module, literals)
                )
                read.rows[-1]["row"] = number - 1
            else:
                read.rejected.append((number, offset, line))
        offset += len(line) + 1
    return read


def _row(
    read: Read, fields: dict[str, bytes], columns: Columns, module: bool, literals: bool
) -> Row:
    kinds = dict(columns)
    row: Row = dict.fromkeys(kinds)
    misfits: dict[str, str] = {}
    extra: dict[str, str] = {}
    for name, raw in fields.items():
        if raw in (b"NULL", b"\\N"):
            continue
        text = raw.decode("utf-8", "replace")
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            read.utf8 += 1
        text = unescaped(text, module=module)
        if literals and (inner := literal(text)) is not None:
            if inner == "NULL":
                continue
            read.utf8 += "\ufffd" in inner and "\ufffd" not in text
            text = inner
        read.nul += text.count("\0")
        text = text.replace("\0", "")
        if name not in kinds:
            extra[name] = text
            continue
        value = typed(text, kinds[name])
        if value is MISFIT:
            read.misfits[name] += 1
            misfits[name] = text
        elif value == "zero" and kinds[name] in ("date", "timestamp"):
            read.zero_dates += 1
        else:
            row[name] = value
    row["misfits"] = misfits or None
    row["extra"] = extra or None
    return row
