"""Tables of courses as edX's exporter writes them: file names, text, encryption, the zip.

Source: EdX Research Guide, "Data Delivered in Data Packages"; the exporter.
"""

from __future__ import annotations

import datetime
import itertools
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from edxlogs.edx.tables import Dialect, Table

ORG = "UniversityX"
DAY = datetime.date(2014, 10, 5)
FOLDER = f"{ORG.lower()}-{DAY}"
Value = str | int | float | bool | datetime.datetime | datetime.date | None
Encrypt = Callable[[Iterator[bytes]], Iterator[bytes]]


def stem(course: str) -> str:
    """A course as the exporter spells it in file names."""
    body = re.sub(r"^(course-v1|ccx-v1):", "", course).replace("+ccx@", "+ccx-")
    return "".join(c if ord(c) < 128 else "_" for c in re.sub(r"[+/]", "-", body))


def file_name(table: Table, course: str, site: str) -> str:
    """The name of a file, without the folder of its package."""
    if table.dialect is Dialect.FORUM:
        return f"{stem(course)}-{site}.mongo"
    whose = stem(course) if table.is_of_course else ORG
    name = f"{whose}-{table.file_names[0]}-{site}-analytics{table.extension}"
    return f"ora/{name}" if table.in_ora else name


def spelled(value: Value) -> str:
    """A value as text, not escaped yet."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(int(value))
    return str(value)


def tab_field(value: Value) -> str:
    """A value as most files write it."""
    text = spelled(value).replace("\\", "\\\\").replace("\r", "\\r")
    return text.replace("\t", "\\t").replace("\n", "\\n")


def module_field(value: Value) -> str:
    """A value as courseware_studentmodule writes it. Line feeds cannot be written there."""
    return spelled(value).replace("\\", "\\\\").replace("\t", "\\\t")


def tab_header(table: Table) -> bytes:
    """The first line of a table, with its LF."""
    return "\t".join(name for name, _ in table.columns).encode() + b"\n"


def tab_fields(table: Table, row: Mapping[str, Value]) -> list[bytes]:
    """The values of a row of a table, as its file writes them."""
    escape = module_field if table.dialect is Dialect.MODULE else tab_field
    return [escape(row[name]).encode() for name, _ in table.columns]


def tab_lines(table: Table, rows: Iterable[Mapping[str, Value]]) -> Iterator[bytes]:
    """A table as text, with its header first. Every row has all columns."""
    yield tab_header(table)
    for row in rows:
        yield b"\t".join(tab_fields(table, row)) + b"\n"


def usage_key(course: str, kind: str, name: str) -> str:
    """The key of a block, in the old or the new style."""
    scheme, colon, body = course.partition(":")
    if not colon:
        org, number, run = course.split("/")
        return f"i4x://{org}/{number}/{kind}/{run if kind == 'course' else name}"
    prefix = "ccx-block" if scheme == "ccx-v1" else "block"
    return f"{prefix}-v1:{body}+type@{kind}+block@{name}"


def larger(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of a thousand chunks."""
    while batch := b"".join(itertools.islice(chunks, 1000)):
        yield batch


def write(
    path: Path,
    contents: Iterable[tuple[str, Iterator[bytes]]],
    *,
    encrypt: Encrypt | None = None,
    folder: str = FOLDER,
) -> Path:
    """Write a zip as `zip -r` does: Zip64 sizes, one folder at the top, folder entries."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for entry in (f"{folder}/", f"{folder}/ora/"):
            archive.writestr(zipfile.ZipInfo(entry), b"")
        for name, chunks in contents:
            stored = chunks if encrypt is None else encrypt(chunks)
            info = zipfile.ZipInfo(f"{folder}/{name}{'' if encrypt is None else '.gpg'}")
            with archive.open(info, "w", force_zip64=True) as member:
                for chunk in larger(stored):
                    member.write(chunk)
    return path
