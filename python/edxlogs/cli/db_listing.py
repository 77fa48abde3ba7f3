"""What `edxlogs db list` shows: a table by table or course, or JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click
import orjson

from edxlogs import _core
from edxlogs.account import many, size
from edxlogs.cli.options import s3_of
from edxlogs.cli.progress import tell
from edxlogs.cli.tables import table
from edxlogs.database_package import DatabasePackage, absent, courses, open_package, unknown
from edxlogs.database_tables import tables
from edxlogs.errors import EdxlogsError
from edxlogs.s3 import SCHEME

SCHEMA_VERSION = 1


def run_list(places: Sequence[str], **options: Any) -> int:
    """Run `edxlogs db list`; its exit status."""
    s3 = s3_of(options) if any(place.startswith(SCHEME) for place in places) else None
    packages, failed = [], []
    for place in places:
        try:
            packages.append(open_package(place, s3))
        except EdxlogsError as error:
            failed.append(str(error))
    if options["as_json"]:
        document = {
            "schema_version": SCHEMA_VERSION,
            "version": _core.__version__,
            "packages": [_document(package) for package in packages],
            "failed": failed,
        }
        click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        return 1 if failed else 0
    for message in failed:
        tell(f"edxlogs: {message}")
    for number, package in enumerate(packages):
        if number:
            click.echo("")
        rows = _by_course(package) if options["by"] == "course" else _by_table(package)
        for line in [_title(package), *rows, *_remarks(package)]:
            click.echo(line)
    return 1 if failed else 0


def _title(package: DatabasePackage) -> str:
    day = "" if package.day is None else f" of {package.day}"
    return f"{package.place}{day}: {many(len(package.members), 'file')}, {size(package.size)}"


def _by_table(package: DatabasePackage) -> list[str]:
    groups: dict[tuple[str, str], list[int]] = {}
    stems: dict[tuple[str, str], set[str | None]] = {}
    for member in package.members:
        if member.table is not None:
            key = (member.table.name, member.name.site or "")
            groups.setdefault(key, []).append(member.stored.size)
            stems.setdefault(key, set()).add(member.name.stem)
    order = list(tables())
    rows = [
        [name, site, f"{len(stems[name, site]):,}", f"{len(sizes):,}", size(sum(sizes))]
        for (name, site), sizes in sorted(
            groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1])
        )
    ]
    return table([["table", "site", "courses", "files", "size"], *rows], right=(2, 3, 4))


def _by_course(package: DatabasePackage) -> list[str]:
    rows = [
        [
            one.stem,
            one.site or "",
            f"{len(one.members):,}",
            size(sum(member.stored.size for member in one.members)),
            ", ".join(one.missing),
        ]
        for one in courses(package.members)
    ]
    return table([["course", "site", "files", "size", "missing"], *rows], right=(2, 3))


def _remarks(package: DatabasePackage) -> Iterator[str]:
    for member in package.members:
        if member.name.failed:
            yield f"failed: {member.path}: its export failed; the table is missing"
    for member in unknown(package.members):
        yield f"unknown: {member.path}: the name says no table"
    if missing := absent(package.members):
        yield f"in no course: {', '.join(missing)}"


def _document(package: DatabasePackage) -> dict[str, Any]:
    return {
        "place": package.place,
        "partner": package.partner,
        "day": package.day,
        "bytes": package.size,
        "files": [
            {
                "name": member.path,
                "table": member.name.table and member.name.table.name,
                "course": member.name.stem,
                "site": member.name.site,
                "bytes": member.stored.size,
                "failed": member.name.failed,
            }
            for member in package.members
        ],
        "courses": [
            {
                "course": one.stem,
                "site": one.site,
                "files": len(one.members),
                "bytes": sum(member.stored.size for member in one.members),
                "missing": one.missing,
            }
            for one in courses(package.members)
        ],
        "failed": [member.path for member in package.members if member.name.failed],
        "unknown": [member.path for member in unknown(package.members)],
        "absent": absent(package.members),
    }
