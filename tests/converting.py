"""Packages of one course, `edxlogs db convert`, and the rows that come of it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

import make_package
import oracle_tables
from commands import Done, run
from edxlogs.edx.tables import Dialect, tables
from edxlogs.generator import exporter
from product import table_rows

NAME = "universityx-2014-10-05.zip"
COURSE = make_package.COURSES[0]
STEM = exporter.stem(COURSE)
Rows = list[dict[str, Any]]


def convert(package: Path, folder: Path, *options: str | Path) -> Done:
    return run("db", "convert", package, "-o", folder / "out", *options, cwd=folder)


def rows_of(folder: Path, table: str) -> Rows:
    (path,) = (folder / "out" / table).rglob("*.parquet")
    with path.open("rb") as file:
        return table_rows(pq.read_table(file))


def package(folder: Path, **replaced: bytes) -> Path:
    """A package of one course, some of its files replaced."""
    contents = []
    for name, chunks in make_package.members([COURSE], count=30):
        table = name.removeprefix("ora/").removeprefix(f"{STEM}-").split("-")[0]
        contents.append((name, iter([replaced[table]]) if table in replaced else chunks))
    return exporter.write(folder / NAME, contents)


def truth(name: str) -> Rows:
    """The rows of a table as the oracle reads them."""
    table = tables()[name]
    made = make_package.rows(table, COURSE, 30, 7)
    data = b"".join(exporter.tab_lines(table, made))
    module = table.dialect is Dialect.MODULE
    return oracle_tables.read_tab(data, table.columns, module=module).rows


def packed(*files: tuple[str, bytes], link: str | None = None) -> bytes:
    """A packed tar of those files, and of a symbolic link to that place."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        if link is not None:
            info = tarfile.TarInfo("link")
            info.type, info.linkname = tarfile.SYMTYPE, link
            archive.addfile(info)
    return out.getvalue()
