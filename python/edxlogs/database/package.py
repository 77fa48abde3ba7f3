"""A database package: the zip of tables that edX makes every week, or that of e-mail preferences.

What it holds is told by its directory alone; nothing is decrypted. Of an object of S3, only the
directory is fetched.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from edxlogs.edx.members import MemberName, describe_members
from edxlogs.edx.names import is_of_macos
from edxlogs.edx.packages import describe_key
from edxlogs.edx.tables import Table, tables
from edxlogs.errors import ConfigError, EdxlogsError
from edxlogs.s3.client import S3, SCHEME, split_url
from edxlogs.sources.source import cannot_open
from edxlogs.sources.zips import FileRange, MemberReader, ZipArchive, ZipMember
from edxlogs.text import shown

_EPOCH_ORDINAL = 719_163  # of 1970-01-01


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file of a package.

    Attributes:
        path: its name inside, escaped.
        name: what its name says.
        size: its bytes, as they are in the package.
    """

    path: str
    name: MemberName
    size: int

    @property
    def table(self) -> Table | None:
        """The table that it holds rows of, unless its export failed."""
        return None if self.name.failed else self.name.table


@dataclass(frozen=True, slots=True)
class Member(PackedFile):
    """A file of a zip.

    Attributes:
        stored: where it is in the archive.
    """

    stored: ZipMember


@dataclass(frozen=True, slots=True)
class DatabasePackage:
    """A package that was opened.

    Attributes:
        place: its path or URL, escaped.
        name: its base name, escaped.
        partner: the organisation in its name.
        day: the day of the snapshot.
        size: its bytes.
        members: its files, in the order of its directory.
        identity: device and inode of a local file.
    """

    place: str
    name: str
    partner: str | None
    day: datetime.date | None
    size: int
    members: tuple[Member, ...]
    archive: ZipArchive = field(repr=False)
    identity: tuple[int, int] | None = None

    @property
    def epoch_day(self) -> int | None:
        """The day in days since 1970-01-01."""
        return None if self.day is None else epoch_day(self.day)

    def is_copy_of(self, other: object) -> bool:
        """Whether another package is the same file, or has the same name, size and directory."""
        if not isinstance(other, DatabasePackage):
            return False
        if self.identity is not None and self.identity == other.identity:
            return True
        return (self.name, self.size, self.members) == (other.name, other.size, other.members)

    def open(self, member: Member) -> MemberReader:
        """Begin to read a member as it is stored.

        Raises:
            FormatError: the member contradicts the directory.
            SourceError: the package cannot be read.
        """
        try:
            return self.archive.open(member.stored)
        except EdxlogsError:
            raise
        except OSError as error:
            raise cannot_open(self.place, error) from error


def epoch_day(day: datetime.date) -> int:
    """A day in days since 1970-01-01."""
    return day.toordinal() - _EPOCH_ORDINAL


def open_package(place: str, s3: S3 | None = None) -> DatabasePackage:
    """Open a package by its path or its `s3://` URL.

    Raises:
        FormatError: it is no zip, or one that must not be trusted.
        SourceError: it cannot be opened or read.
    """
    if place.startswith(SCHEME):
        return _open_object(place, s3 or S3())
    try:
        with open(place, "rb") as file:
            status = os.fstat(file.fileno())
            archive = ZipArchive(
                shown(place),
                file,
                lambda offset, length: FileRange(place, offset, length),
                check_headers=True,
            )
    except OSError as error:
        raise cannot_open(place, error) from error
    return _package(place, archive, status.st_size, (status.st_dev, status.st_ino))


def _open_object(url: str, s3: S3) -> DatabasePackage:
    from edxlogs.sources.remote import Remote

    bucket, key = split_url(url)
    if not key or key.endswith("/"):
        raise ConfigError(f"package: {shown(url)}: is no object; name the zip itself")
    remote = Remote(s3, s3.object(bucket, key))
    with remote.open_seekable() as file:
        # Looking at every member's own header would take a request each: they are checked later.
        archive = ZipArchive(shown(url), file, remote.open, check_headers=False)
    return _package(url, archive, remote.object.size, None)


def _package(
    place: str, archive: ZipArchive, size: int, identity: tuple[int, int] | None
) -> DatabasePackage:
    said = describe_key(place)
    stored = [one for one in archive.members if not is_of_macos(one.name)]
    names = describe_members(one.name for one in stored)
    members = tuple(
        Member(shown(one.name), name, one.size, one)
        for one, name in zip(stored, names, strict=True)
    )
    return DatabasePackage(
        place=shown(place),
        name=shown(place.rpartition("/")[2]),
        partner=None if said is None else said.partner,
        day=None if said is None else said.day,
        size=size,
        members=members,
        archive=archive,
        identity=identity,
    )


@dataclass(frozen=True, slots=True)
class Course:
    """The files of one course and site, by the names that they share.

    Attributes:
        stem: organisation, course and run as the exporter wrote them.
        site: whose platform.
        members: its files.
        missing: tables that other courses of the package have.
    """

    stem: str
    site: str | None
    members: tuple[PackedFile, ...]
    missing: tuple[str, ...]


def courses(members: Iterable[PackedFile]) -> list[Course]:
    """Group the files of courses by stem and site, in the order of their first files."""
    groups: dict[tuple[str, str | None], list[PackedFile]] = {}
    expected: dict[str, None] = {}
    for member in members:
        table = member.name.table
        if table is None or not table.is_of_course or member.name.stem is None:
            continue
        groups.setdefault((member.name.stem, member.name.site), []).append(member)
        if member.table is not None:
            expected[table.name] = None
    order = [name for name in tables() if name in expected]
    found = []
    for (stem, site), its in groups.items():
        has = {member.table.name for member in its if member.table is not None}
        missing = tuple(name for name in order if name not in has)
        found.append(Course(stem, site, tuple(its), missing))
    return found


def absent(members: Sequence[PackedFile]) -> list[str]:
    """Tables that no file of the package holds."""
    there = {member.table.name for member in members if member.table is not None}
    return [name for name in tables() if name not in there]


def unknown(members: Iterable[PackedFile]) -> Iterator[PackedFile]:
    """Files whose names say no table."""
    return (member for member in members if member.name.table is None and not member.name.failed)
