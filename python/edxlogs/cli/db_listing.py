"""What `edxlogs db list` shows: a table by table or course, or JSON."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import click
import orjson

from edxlogs import _core
from edxlogs.cli.options import gpg_of, s3_of
from edxlogs.cli.progress import tell
from edxlogs.cli.tables import table
from edxlogs.database.account import RowCounts
from edxlogs.database.package import (
    DatabasePackage,
    PackedFile,
    absent,
    courses,
    open_package,
    unknown,
)
from edxlogs.database.reading import Converted, TableReader
from edxlogs.database.research import ResearchPackage, find_research_package, walk
from edxlogs.edx.members import MemberName, describe_member
from edxlogs.edx.tables import tables
from edxlogs.errors import EdxlogsError, FormatError
from edxlogs.s3.client import SCHEME
from edxlogs.text import many, shown, size
from edxlogs.threads import in_worker

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Listing:
    """What a package holds.

    Attributes:
        place: its path or URL, escaped.
        partner: the organisation in its name.
        day: the day of the snapshot.
        size: its bytes.
        members: its files but logs, in their order.
        events: logs of events.
    """

    place: str
    partner: str | None
    day: datetime.date | None
    size: int
    members: Sequence[PackedFile]
    events: Sequence[PackedFile] = ()


def run_list(places: Sequence[str], **options: Any) -> int:
    """Run `edxlogs db list`; its exit status."""
    s3 = s3_of(options) if any(place.startswith(SCHEME) for place in places) else None
    reader = TableReader(gpg_of(options), _core.Control())
    packages, failed = [], []
    for place in places:
        try:
            research = find_research_package(place, s3)
            if research is None:
                packages.append(_of_zip(open_package(place, s3)))
            else:
                packages.append(in_worker(partial(_of_research, research, reader)))
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


def _of_zip(package: DatabasePackage) -> Listing:
    return Listing(package.place, package.partner, package.day, package.size, package.members)


def _of_research(package: ResearchPackage, reader: TableReader) -> Listing:
    """Read a package to its end: only then it is sure what it holds.

    Raises:
        EdxlogsError: it cannot be decrypted, or is damaged.
    """
    files: list[PackedFile] = []
    events: list[PackedFile] = []
    days: set[datetime.date] = set()

    def work(source: Any) -> Converted:
        for found in (files, events, days):
            found.clear()
        try:
            for file in walk(source, package.place):
                has_table = file.day is not None
                name = describe_member(file.path, package.stem) if has_table else MemberName()
                one = PackedFile(shown(file.path), name, file.size)
                (events if file.is_events else files).append(one)
                if file.day is not None:
                    days.add(file.day)
        except FormatError as error:
            return Converted(RowCounts(), error=error)
        return Converted(RowCounts())

    if (error := reader.read(package.place, package.open, work).error) is not None:
        raise error
    return Listing(package.place, None, max(days, default=None), package.size, files, events)


def _title(package: Listing) -> str:
    day = "" if package.day is None else f" of {package.day}"
    count = len(package.members) + len(package.events)
    return f"{package.place}{day}: {many(count, 'file')}, {size(package.size)}"


def _by_table(package: Listing) -> list[str]:
    groups: dict[tuple[str, str], list[int]] = {}
    stems: dict[tuple[str, str], set[str | None]] = {}
    for member in package.members:
        if member.table is not None:
            key = (member.table.name, member.name.site or "")
            groups.setdefault(key, []).append(member.size)
            stems.setdefault(key, set()).add(member.name.stem)
    order = list(tables())
    rows = [
        [name, site, f"{len(stems[name, site]):,}", f"{len(sizes):,}", size(sum(sizes))]
        for (name, site), sizes in sorted(
            groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1])
        )
    ]
    return table([["table", "site", "courses", "files", "size"], *rows], right=(2, 3, 4))


def _by_course(package: Listing) -> list[str]:
    rows = [
        [
            one.stem,
            one.site or "",
            f"{len(one.members):,}",
            size(sum(member.size for member in one.members)),
            ", ".join(one.missing),
        ]
        for one in courses(package.members)
    ]
    return table([["course", "site", "files", "size", "missing"], *rows], right=(2, 3))


def _remarks(package: Listing) -> Iterator[str]:
    for member in package.members:
        if member.name.failed:
            yield f"failed: {member.path}: its export failed; the table is missing"
    for member in unknown(package.members):
        yield f"unknown: {member.path}: the name says no table"
    for log in package.events:
        yield f"events: {log.path}: a log; edxlogs filter reads it from the package"
    if missing := absent(package.members):
        yield f"in no course: {', '.join(missing)}"


def _document(package: Listing) -> dict[str, Any]:
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
                "bytes": member.size,
                "failed": member.name.failed,
            }
            for member in package.members
        ],
        "courses": [
            {
                "course": one.stem,
                "site": one.site,
                "files": len(one.members),
                "bytes": sum(member.size for member in one.members),
                "missing": one.missing,
            }
            for one in courses(package.members)
        ],
        "failed": [member.path for member in package.members if member.name.failed],
        "unknown": [member.path for member in unknown(package.members)],
        "events": [log.path for log in package.events],
        "absent": absent(package.members),
    }
