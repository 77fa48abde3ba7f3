"""Lists data packages, and the contents of database packages."""

from __future__ import annotations

import calendar
import datetime
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from os import PathLike, fspath
from typing import Any

from edxlogs import _core
from edxlogs.database.account import Converted, PackedFile
from edxlogs.database.courses import absent, courses, unknown
from edxlogs.database.package import DatabasePackage, find_packages
from edxlogs.database.reading import TableReader
from edxlogs.database.tars import TarPackage, walk
from edxlogs.edx.layout import Days
from edxlogs.edx.members import MemberName, describe_member
from edxlogs.edx.packages import Choice
from edxlogs.edx.tables import tables
from edxlogs.errors import ConfigError, EdxlogsError, FormatError
from edxlogs.jobs.settings import Keys
from edxlogs.mirror.inventory import (
    Gaps,
    Group,
    Item,
    find_gaps,
    group,
    list_objects,
    local_items,
    object_items,
    stretches,
    why_nothing,
)
from edxlogs.s3.client import S3, SCHEME
from edxlogs.text import many, shown, size, table
from edxlogs.threads import in_worker
from edxlogs.watching import Watcher

SCHEMA_VERSION = 1
_THERE, _MISSING = "#", "-"


@dataclass(frozen=True, repr=False)
class Listing:
    """The data packages found. It prints as a table, followed by the days that are missing.

    Attributes:
        items: the packages.
        groups: the packages grouped by partner, site, kind and period.
        gaps: for each partner and site, the days without events.
        by: what one row covers: `year` or `day`.
        failed: what could not be listed.
        warnings: one sentence each.
        hint: what there is instead, if nothing was found.
    """

    items: list[Item]
    groups: list[Group]
    gaps: list[Gaps]
    by: str
    failed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    hint: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether something was found, and everything could be listed."""
        return not self.failed and bool(self.items)

    def __str__(self) -> str:
        if not self.items:
            return self.hint
        return "\n".join([*_table(self.groups, self.gaps, by=self.by), *_calendars(self.gaps)])

    __repr__ = __str__

    def report(self) -> dict[str, Any]:
        """The result as a JSON document, package by package."""
        return {
            "schema_version": SCHEMA_VERSION,
            "version": _core.__version__,
            "total": {"files": len(self.items), "bytes": sum(one.size for one in self.items)},
            "groups": [
                {
                    "partner": one.partner,
                    "site": one.site,
                    "kind": one.kind,
                    "period": one.period,
                    "files": one.files,
                    "bytes": one.bytes,
                    "first": min(one.days, default=None),
                    "last": max(one.days, default=None),
                    "newest": one.newest,
                }
                for one in self.groups
            ],
            "gaps": [
                {
                    "partner": one.partner,
                    "site": one.site,
                    "first": one.window.first,
                    "last": one.window.last,
                    "missing_days": len(one.missing),
                    "missing": [
                        {"first": first, "last": last} for first, last in stretches(one.missing)
                    ],
                }
                for one in self.gaps
            ],
            "packages": [
                {
                    "place": one.place,
                    "partner": one.package and one.package.partner,
                    "site": one.package and one.package.site,
                    "kind": one.package and one.package.kind,
                    "day": one.package and one.package.day,
                    "bytes": one.size,
                    "modified": one.modified,
                }
                for one in self.items
            ],
            "failed": self.failed,
            "warnings": self.warnings,
            "hints": [self.hint] if self.hint else [],
        }


def list_packages(
    sources: str | PathLike[str] | Iterable[str | PathLike[str]],
    choice: Choice,
    watcher: Watcher,
    *,
    by: str = "year",
    s3: S3 | None = None,
) -> Listing:
    """List data packages.

    Args:
        sources: folders, files and `s3://` URLs; empty means edX's buckets.
        choice: which packages to list.
        watcher: is told about anything odd or failed.
        by: what one row covers: `year` or `day`.
        s3: server and credentials; None takes them from the AWS configuration.

    Raises:
        MissingSourceError: a named source does not exist.
        ConfigError: neither sources nor a partner is given, or the settings are invalid.
    """
    if by not in ("year", "day"):
        raise ConfigError(f"by: {shown(by)}: is not known; use year or day")
    several = [sources] if isinstance(sources, str | PathLike) else sources
    places = [fspath(place) for place in several]
    if not places and choice.partner is None:
        raise ConfigError(
            "sources: none given; name folders or s3:// URLs, or your folder in edX's buckets with"
            " --partner"
        )
    s3 = s3 or S3()
    items, failed, warnings = _found(places, choice, s3)
    hint = ""
    if not items and not failed:
        hint = why_nothing(
            choice, lambda other: [one.package for one in _found(places, other, s3)[0]], s3
        )
    today = datetime.datetime.now(datetime.UTC).date()
    gaps = find_gaps(items, choice.days, today=today)
    for warning in warnings:
        watcher.warn(warning)
    for error in failed:
        watcher.fail(str(error))
    told = [str(error) for error in failed]
    return Listing(items, group(items, by=by), gaps, by, told, warnings, hint)


def _found(
    places: Sequence[str], choice: Choice, s3: S3
) -> tuple[list[Item], list[EdxlogsError], list[str]]:
    """The packages at some places, what could not be listed, and warnings."""
    items: list[Item] = []
    failed: list[EdxlogsError] = []
    warnings: list[str] = []
    urls = [place for place in places if place.startswith(SCHEME)]
    if urls or not places:
        objects = list_objects(s3, urls, choice)
        failed += objects.failed
        warnings += objects.warnings
        items += object_items(objects.objects)
    local = local_items([path for path in places if path not in urls], failed)
    items += choice.select(local, lambda item: item.package)
    return items, failed, warnings


def _table(groups: Sequence[Group], gaps: Sequence[Gaps], *, by: str) -> list[str]:
    missing = {(gap.partner, gap.site): gap.missing for gap in gaps}
    rows = []
    for one in groups:
        count = ""
        if by == "year" and one.period is not None and one.kind == "events":
            days = missing.get((one.partner, one.site), [])
            count = str(sum(day.year == int(one.period) for day in days))
        rows.append(
            [
                one.partner or "",
                one.site or "",
                one.kind or "other",
                one.period or "",
                f"{one.files:,}",
                size(one.bytes),
                str(min(one.days, default="")),
                str(max(one.days, default="")),
                count,
            ]
        )
    files, total = sum(one.files for one in groups), sum(one.bytes for one in groups)
    rows.append(["total", "", "", "", f"{files:,}", size(total), "", "", ""])
    header = ["partner", "site", "kind", by, "files", "size", "first", "last", "missing"]
    columns = 6 if by == "day" else len(header)
    return table([row[:columns] for row in (header, *rows)], right=(4, 5, 8))


def _calendars(gaps: Sequence[Gaps]) -> Iterator[str]:
    """The months with missing days, one line each."""
    for one in gaps:
        if one.missing:
            whose = " ".join(filter(None, (one.partner, one.site)))
            first, last = one.window.first, one.window.last
            yield ""
            missing = f"{many(len(one.missing), 'day')} missing"
            marks = f"{_THERE} there, {_MISSING} missing"
            yield f"{missing}{whose and f' of {whose}'}, {first}..{last} ({marks})"
            yield from _calendar(one)


def _calendar(gaps: Gaps) -> Iterator[str]:
    """The days of each month with a gap. Months without any file are combined."""
    months = itertools.groupby(gaps.missing, key=lambda day: (day.year, day.month))
    empty: list[str] = []
    for (year, month), missing in months:
        days = list(missing)
        name = f"{year}-{month:02}"
        if len(days) == calendar.monthrange(year, month)[1]:
            empty.append(name)
            continue
        yield from _empty(empty)
        yield f"{name}  {_marks(gaps.window, year, month, days):31}  {_spelled(days)}"
    yield from _empty(empty)


def _empty(months: list[str]) -> Iterator[str]:
    """A line for consecutive months. Empties the list."""
    if months:
        yield f"{'..'.join(sorted({months[0], months[-1]}))}  every day"
        months.clear()


def _marks(window: Days, year: int, month: int, missing: list[datetime.date]) -> str:
    last = calendar.monthrange(year, month)[1]
    days = [datetime.date(year, month, number) for number in range(1, last + 1)]
    return "".join(
        " " if day not in window else _MISSING if day in missing else _THERE for day in days
    )


def _spelled(days: list[datetime.date]) -> str:
    """Days of one month, such as `4, 7..9`."""
    return ", ".join(
        f"{first.day}" if first == last else f"{first.day}..{last.day}"
        for first, last in stretches(days)
    )


@dataclass(frozen=True, slots=True)
class PackageContents:
    """What a package contains.

    Attributes:
        place: its path or URL, escaped.
        partner: organisation in its name.
        day: day of the snapshot.
        size: size in bytes.
        members: its files except logs, in their order.
        events: its logs of events.
    """

    place: str
    partner: str | None
    day: datetime.date | None
    size: int
    members: Sequence[PackedFile]
    events: Sequence[PackedFile] = ()


@dataclass(frozen=True, repr=False)
class Contents:
    """What several packages contain. It prints as a table for each package.

    Attributes:
        packages: the packages that could be read.
        by: what one row covers: `table` or `course`.
        failed: why others could not be read.
    """

    packages: list[PackageContents]
    by: str
    failed: list[str]

    @property
    def is_whole(self) -> bool:
        """Whether every package could be read."""
        return not self.failed

    def __str__(self) -> str:
        make = _by_course if self.by == "course" else _by_table
        return "\n\n".join(
            "\n".join([_title(one), *make(one), *_remarks(one)]) for one in self.packages
        )

    __repr__ = __str__

    def report(self) -> dict[str, Any]:
        """The result as a JSON document, file by file."""
        return {
            "schema_version": SCHEMA_VERSION,
            "version": _core.__version__,
            "packages": [_document(package) for package in self.packages],
            "failed": self.failed,
        }


def list_contents(
    places: Sequence[str], keys: Keys, watcher: Watcher, *, by: str = "table", s3: S3 | None = None
) -> Contents:
    """List what packages contain. For a zip, its directory is read; a tar is read to its end.

    Args:
        places: paths, folders and `s3://` URLs.
        keys: which key decrypts tars.
        watcher: is told about failures.
        by: what one row covers: `table` or `course`.
        s3: server and credentials; None takes them from the AWS configuration.

    Raises:
        MissingSourceError: a named package does not exist.
    """
    gpg = keys.gpg()
    for warning in gpg.warnings:
        watcher.warn(warning)
    reader = TableReader(gpg, _core.Control())
    packages: list[PackageContents] = []
    failed: list[str] = []

    def fail(error: EdxlogsError) -> None:
        failed.append(str(error))
        watcher.fail(str(error))

    for one in find_packages(places, s3 or S3(), fail):
        if isinstance(one, DatabasePackage):
            packages.append(PackageContents(one.place, one.partner, one.day, one.size, one.members))
            continue
        try:
            packages.append(in_worker(partial(_of_tar, one, reader)))
        except EdxlogsError as error:
            fail(error)
    return Contents(packages, by, failed)


def _of_tar(package: TarPackage, reader: TableReader) -> PackageContents:
    """Read a package to its end: its contents are certain only then.

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
                is_log = file.is_events
                name = MemberName() if is_log else describe_member(file.path, package.stem)
                one = PackedFile(shown(file.path), name, file.size)
                (events if is_log else files).append(one)
                if file.day is not None:
                    days.add(file.day)
        except FormatError as error:
            return Converted(error=error)
        return Converted()

    if (error := reader.read_stored(package.place, package.open, work).error) is not None:
        raise error
    return PackageContents(
        package.place,
        package.partner,
        max(days, default=package.day),
        package.size,
        files,
        events,
    )


def _title(package: PackageContents) -> str:
    day = "" if package.day is None else f" of {package.day}"
    count = len(package.members) + len(package.events)
    return f"{package.place}{day}: {many(count, 'file')}, {size(package.size)}"


def _by_table(package: PackageContents) -> list[str]:
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


def _by_course(package: PackageContents) -> list[str]:
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


def _remarks(package: PackageContents) -> Iterator[str]:
    for member in package.members:
        if member.name.failed:
            yield f"failed: {member.path}: its export failed; the table is missing"
    for member in unknown(package.members):
        yield f"unknown: {member.path}: its name is not that of a table"
    for log in package.events:
        yield f"events: {log.path}: a log; edxlogs filter reads it from the package"
    if missing := absent(package.members):
        yield f"in no course: {', '.join(missing)}"


def _document(package: PackageContents) -> dict[str, Any]:
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
