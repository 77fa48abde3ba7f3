"""Database packages: zips as edX makes them, folders of tables, single tables, and tars.

edX makes a zip of tables every week, and one of e-mail preferences. The other forms are how people
keep them. The directory of a zip tells what it contains; nothing is decrypted. From a zip in S3,
only the directory is fetched.
"""

from __future__ import annotations

import datetime
import os
import stat
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile
from typing import Any

from edxlogs.database.account import PackedFile
from edxlogs.database.tars import TarPackage, folder_day, open_tar, stored_head
from edxlogs.edx.members import MemberName, describe_members, is_table
from edxlogs.edx.names import CUMULATIVE_TAR, is_hidden, is_of_macos, is_recognised
from edxlogs.edx.packages import describe_folder, describe_key
from edxlogs.errors import (
    EdxlogsError,
    FormatError,
    MissingObjectError,
    MissingSourceError,
    S3Error,
    SourceError,
)
from edxlogs.globs import is_path_glob
from edxlogs.gpg.input import Readable
from edxlogs.s3.client import S3, SCHEME, S3Object, split_url
from edxlogs.s3.errors import Reason, trouble
from edxlogs.sources.local import glob_paths
from edxlogs.sources.source import (
    SNIFF_BYTES,
    Packing,
    cannot_open,
    inflated,
    looks_like_tar,
    packing_of,
)
from edxlogs.sources.zips import FileRange, ZipArchive
from edxlogs.text import shown

_EPOCH_ORDINAL = 719_163  # of 1970-01-01
_DATASET = os.path.join("_edxlogs", "head")  # in folders that were written, not delivered
_TARS = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
_ZIP_MAGIC = b"PK"
_NANOSECONDS = 1_000_000_000
_ABOVE = 3  # folders above tables that may tell their day, as in `universityx-2014-10-05/ora`
_LIKE = "UnivX-CS101-2014-auth_user-prod-analytics.sql"


@dataclass(frozen=True, slots=True)
class Member(PackedFile):
    """A file of a package whose files can be read in any order.

    Attributes:
        stored_bytes: bytes that it takes.
        day: day of the snapshot.
        checksum: identifies this release of it: its CRC, or the time of its last change.
        open: begins to read it.
    """

    stored_bytes: int
    day: datetime.date | None
    checksum: int
    open: Callable[[], AbstractContextManager[Readable]] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class DatabasePackage:
    """An opened package.

    Attributes:
        place: its path or URL, escaped.
        name: its base name, escaped.
        partner: organisation in its name.
        day: day of the snapshot.
        size: size in bytes.
        members: its files, in the order of its directory.
        beside: files that do not belong to it, but tell the course of those that do.
        is_zip: whether it is a zip; otherwise it is a folder, or files from one.
        identity: device and inode of a local file.
    """

    place: str
    name: str
    partner: str | None
    day: datetime.date | None
    size: int
    members: tuple[Member, ...]
    beside: tuple[Member, ...] = ()
    is_zip: bool = True
    identity: tuple[int, int] | None = None

    @property
    def stem(self) -> str:
        """Its name without the ending."""
        return self.name.removesuffix(".zip")

    @property
    def release(self) -> tuple[object, ...]:
        """Identifies it. A folder may get more files."""
        return (self.name, self.size) if self.is_zip else (self.name,)

    def is_copy_of(self, other: object) -> bool:
        """Whether another package is the same file, or has the same name, size and directory."""
        if not isinstance(other, DatabasePackage):
            return False
        if self.identity is not None and self.identity == other.identity:
            return True
        return (self.name, self.size, self.members) == (other.name, other.size, other.members)

    def open(self, member: Member) -> AbstractContextManager[Readable]:
        """Begin to read a file as stored.

        Raises:
            FormatError: the file contradicts the directory.
            SourceError: the package cannot be read.
        """
        try:
            return member.open()
        except EdxlogsError:
            raise
        except OSError as error:
            place = self.place if self.is_zip else f"{self.place}/{member.path}"
            raise cannot_open(place, error) from error


def epoch_day(day: datetime.date | None) -> int | None:
    """A day in days since 1970-01-01."""
    return None if day is None else day.toordinal() - _EPOCH_ORDINAL


def open_package(place: str, s3: S3 | None = None) -> DatabasePackage:
    """Open a zip by its path or its `s3://` URL.

    Raises:
        FormatError: it is not a zip, or must not be trusted.
        SourceError: it cannot be opened or read.
    """
    if place.startswith(SCHEME):
        return _open_object(place, s3 or S3())
    try:
        with open(place, "rb") as file:
            status = os.fstat(file.fileno())
            opener = partial(FileRange, os.path.abspath(place))
            archive = ZipArchive(shown(place), file, opener, check_headers=True)
    except OSError as error:
        raise cannot_open(place, error) from error
    return _package(place, archive, status.st_size, (status.st_dev, status.st_ino))


def _open_object(url: str, s3: S3) -> DatabasePackage:
    from edxlogs.sources.remote import Remote

    remote = Remote(s3, s3.object(*split_url(url)))
    with remote.open_seekable() as file:
        # Looking at every member's own header would take one request each, so this is done later.
        archive = ZipArchive(shown(url), file, remote.open, check_headers=False)
    return _package(url, archive, remote.object.size, None)


def _package(
    place: str, archive: ZipArchive, size: int, identity: tuple[int, int] | None
) -> DatabasePackage:
    stored = [one for one in archive.members if not is_of_macos(one.name)]
    names = describe_members(one.name for one in stored)
    said, base = describe_key(place), shown(place.rpartition("/")[2])
    partner, day = (None, None) if said is None else (said.partner, said.day)
    members = []
    for one, name in zip(stored, names, strict=True):
        path, sizes = shown(one.name), (one.size, one.stored_bytes)
        its_day = day or folder_day(one.name)
        members.append(Member(path, name, *sizes, its_day, one.crc, partial(archive.open, one)))
    files = tuple(members)
    return DatabasePackage(shown(place), base, partner, day, size, files, identity=identity)


def find_packages(
    places: Iterable[str], s3: S3, fail: Callable[[EdxlogsError], None]
) -> list[DatabasePackage | TarPackage]:
    """Open packages, and files from packages.

    Args:
        places: paths, globs and `s3://` URLs of zips, tars and tables, and folders and prefixes,
            which are searched for all of these. Logs of events in them are skipped.
        s3: server and credentials for URLs.
        fail: called for what cannot be opened, or is not a package.

    Returns:
        Packages in the order of the places. The tables of one folder make one package.

    Raises:
        MissingSourceError: a place does not exist.
    """
    search = _PackageSearch(s3, fail)
    for place in places:
        is_pattern = not place.startswith(SCHEME) and not os.path.lexists(place)
        found = glob_paths(place, lambda *_: None) if is_pattern and is_path_glob(place) else ()
        # A pattern that matches nothing is reported when it is opened.
        for one in sorted(found, key=os.fsencode) or [place]:
            try:
                search.add(one)
            except MissingSourceError:
                raise
            except EdxlogsError as error:
                fail(error)
            except OSError as error:
                missing = cannot_open(one, error)
                if isinstance(missing, MissingSourceError):
                    raise missing from error
                fail(missing)
    return search.packages()


class _PackageSearch:
    """Packages found so far, and folders of tables that will become packages."""

    def __init__(self, s3: S3, fail: Callable[[EdxlogsError], None]) -> None:
        self._s3 = s3
        self._fail = fail
        self._found: list[DatabasePackage | TarPackage | _Tables] = []
        self._tables: dict[str, _Tables] = {}

    def add(self, place: str) -> None:
        """Add what one argument names."""
        if place.startswith(SCHEME):
            self._add_url(place)
        elif os.path.isdir(place):
            self._add_folder(place)
        elif is_table(place):
            if not stat.S_ISREG(os.stat(place).st_mode):
                raise SourceError(f"{shown(place)}: is not a file; save it to one", shown(place))
            self._take(place, os.path.dirname(place) or ".").given.append(place)
        else:
            self._add_file(place)

    def _add_folder(self, top: str) -> None:
        """Search a folder at every depth, and through links, skipping datasets."""
        before, seen = len(self._found), set()
        for folder, below, names in os.walk(top, followlinks=True, onerror=self._unreadable):
            status = os.stat(folder)
            is_known = (status.st_dev, status.st_ino) in seen
            seen.add((status.st_dev, status.st_ino))
            if is_known or os.path.exists(os.path.join(folder, _DATASET)):
                below.clear()
                continue
            below[:] = sorted((one for one in below if not is_hidden(one)), key=os.fsencode)
            for name in sorted(names, key=os.fsencode):
                path = os.path.join(folder, name)
                if is_hidden(name) or is_of_macos(path):
                    continue
                if is_table(name):
                    self._attempt(os.stat, path)
                    self._take(path, top)
                elif name.endswith(".zip") or _is_tar(name):
                    self._attempt(self._add_file, path)
                elif not is_recognised(name) and not name.endswith(_TARS):
                    self._take(path, top, is_unknown=True)
        self._refuse_nothing(before, top)

    def _refuse_nothing(self, before: int, top: str) -> None:
        """Refuse a place if nothing was found below it, given how many there were before."""
        if not any(not isinstance(one, _Tables) or one.has_tables for one in self._found[before:]):
            why = "holds no package and no table of one; name a zip, a tar, or a folder of tables"
            raise SourceError(f"{shown(top)}: {why}", shown(top))

    def _add_url(self, url: str) -> None:
        """Add an object, or search a prefix or the matches of a glob like folders."""
        from edxlogs.sources.remote import list_url

        bucket, key = split_url(url)
        name, missing = key.rpartition("/")[2], None
        if name and not is_path_glob(key):
            try:
                if is_table(name):
                    one = self._s3.object(bucket, key)
                    self._take_object(one, _folder(one.url)).given.append(one.url)
                else:
                    self._add_file(url)
                return
            except MissingObjectError as error:
                missing = error
        objects, before = list(list_url(self._s3, url)), len(self._found)
        if not objects:
            raise missing or trouble(Reason.NO_PREFIX, "cannot open", url)
        literal = takewhile(lambda part: not is_path_glob(part), key.split("/"))
        top = f"{SCHEME}{bucket}/{'/'.join(literal)}".rstrip("/")
        written = [one.key.removesuffix(_DATASET) for one in objects if one.key.endswith(_DATASET)]
        for one in objects:
            below = one.url.removeprefix(f"{top}/").split("/")
            if any(map(is_hidden, below)) or is_of_macos(one.key) or not one.name:
                continue
            if one.key.startswith(tuple(written)):
                continue
            if is_table(one.name):
                self._take_object(one, top)
            elif one.name.endswith(".zip") or _is_tar(one.name):
                self._attempt(self._add_file, one.url)
            elif not is_recognised(one.name) and not one.name.endswith(_TARS):
                self._take_object(one, top, is_unknown=True)
        self._refuse_nothing(before, url)

    def _take_object(self, one: S3Object, top: str, *, is_unknown: bool = False) -> _Tables:
        """Add an object to the tables of its package, like a file."""
        parts, place = _folder(one.url).split("/"), top
        for up in range(min(len(parts) - top.count("/") - 1 + _ABOVE, len(parts) - 3)):
            if describe_folder(parts[len(parts) - 1 - up]) is not None:
                place = "/".join(parts[: len(parts) - up])
                break
        found = self._tables_of(place, place)
        found.objects[one.url] = one
        (found.unknown if is_unknown else found.files)[one.url] = one.url
        return found

    def _tables_of(self, place: str, key: str) -> _Tables:
        found = self._tables.get(key)
        if found is None:
            found = self._tables[key] = _Tables(place, self._s3)
            self._found.append(found)
        return found

    def _attempt(self, look: Callable[[str], object], path: str) -> None:
        """Look at a file. If it is faulty, the others are not affected."""
        try:
            look(path)
        except EdxlogsError as error:
            self._fail(error)
        except OSError as error:
            self._fail(cannot_open(path, error))

    def _unreadable(self, error: OSError) -> None:
        self._fail(cannot_open(error.filename, error))

    def _take(self, path: str, top: str, *, is_unknown: bool = False) -> _Tables:
        """Add a file to the tables of its package: below a folder for a day, or the one given."""
        folder = os.path.dirname(path) or "."
        parts = os.path.abspath(folder).split("/")
        inside = len(os.path.relpath(folder, top).split("/")) if folder != top else 0
        place = top
        for up, name in zip(range(inside + _ABOVE), reversed(parts), strict=False):
            if describe_folder(name) is not None:
                place = os.path.normpath(os.path.join(folder, *[".."] * up)) if up else folder
                break
        found = self._tables_of(place, os.path.realpath(place))
        (found.unknown if is_unknown else found.files).setdefault(os.path.realpath(path), path)
        return found

    def _add_file(self, place: str) -> None:
        name = place.rpartition("/")[2]
        head = stored_head(place, self._s3)
        packing = packing_of(head)
        is_packed = packing is not Packing.PLAIN or name.endswith(_TARS)
        if is_recognised(name) and not _is_tar(name) and not CUMULATIVE_TAR.fullmatch(name):
            is_log = True
        else:
            text = inflated(head, SNIFF_BYTES) if packing is Packing.GZIP else head
            is_log = text.lstrip().startswith(b"{") and not looks_like_tar(text[:512])
        if is_log or CUMULATIVE_TAR.fullmatch(name):
            why = f"holds events, not tables; read it with edxlogs filter {shown(place)}"
            raise FormatError(f"{shown(place)}: {why}", shown(place))
        if packing is Packing.GZIP and not looks_like_tar(inflated(head, SNIFF_BYTES)[:512]):
            raise _no_package(place)
        if head.startswith(_ZIP_MAGIC) or (name.endswith(".zip") and not is_packed):
            self._found.append(open_package(place, self._s3))
        elif is_packed:
            self._found.append(open_tar(place, self._s3))
        else:
            raise _no_package(place)

    def packages(self) -> list[DatabasePackage | TarPackage]:
        """Everything that was found, in order."""
        return [
            one.package() if isinstance(one, _Tables) else one
            for one in self._found
            if not isinstance(one, _Tables) or one.has_tables
        ]


def _no_package(place: str) -> FormatError:
    why = "is not a package, and its name is not that of a table"
    return FormatError(
        f"{shown(place)}: {why}; name a table as edX does, like {_LIKE}", shown(place)
    )


def _folder(url: str) -> str:
    return url.rpartition("/")[0]


def _is_tar(name: str) -> bool:
    is_tar = name.removesuffix(".gpg").endswith(_TARS)
    return is_tar and CUMULATIVE_TAR.fullmatch(name) is None


@dataclass(slots=True)
class _Tables:
    """Tables of one folder.

    Attributes:
        place: the folder.
        files: its files, by real path.
        unknown: other files, likewise.
        given: files that were named themselves.
        objects: files that are in S3, by URL.
    """

    place: str
    s3: S3
    files: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)
    objects: dict[str, S3Object] = field(default_factory=dict)

    @property
    def day(self) -> datetime.date | None:
        """The day in the name of the folder."""
        said = describe_folder(os.path.basename(os.path.abspath(self.place)))
        return None if said is None else said.day

    @property
    def has_tables(self) -> bool:
        return bool(self.files)

    def package(self) -> DatabasePackage:
        """The tables as a package. If a table was named itself, those beside it are looked into."""
        others: list[str] = []
        for folder in dict.fromkeys(os.path.dirname(path) or "." for path in self.given):
            with suppress(OSError, S3Error):  # one may read a file of what one may not list
                names = sorted(filter(is_table, self._names(folder)), key=os.fsencode)
                others += [os.path.join(folder, name) for name in names if not is_hidden(name)]
        beside = [one for one in others if self._real(one) not in self.files]
        members = self._members([*self.files.values(), *self.unknown.values()])
        is_remote = self.place.startswith(SCHEME)
        base = os.path.basename(self.place if is_remote else os.path.abspath(self.place))
        said = describe_folder(base)
        return DatabasePackage(
            shown(self.place),
            shown(base),
            None if said is None else said.partner,
            self.day,
            sum(one.size for one in members),
            tuple(members),
            tuple(self._members(beside)),
            is_zip=False,
        )

    def _names(self, folder: str) -> list[str]:
        """The names in a folder, or directly below a prefix."""
        if not folder.startswith(SCHEME):
            return os.listdir(folder)
        there = self.s3.level(*split_url(f"{folder}/")).objects
        self.objects |= {one.url: one for one in there}
        return [one.name for one in there]

    def _real(self, path: str) -> str:
        return path if path in self.objects else os.path.realpath(path)

    def _found(self, path: str) -> tuple[int, int, Callable[[], Any]] | None:
        """Size of a file, time of its last change, and what opens it; None if it is not a file."""
        one = self.objects.get(path)
        if one is not None:
            from edxlogs.sources.remote import Remote

            # Two objects of one second have different ETags.
            seconds, tag = int(one.modified.timestamp()), zlib.crc32(one.etag.encode())
            return one.size, seconds * _NANOSECONDS + tag % _NANOSECONDS, Remote(self.s3, one).open
        with suppress(OSError):  # it went since, or is a broken link
            status = os.stat(path)
            if stat.S_ISREG(status.st_mode):
                return (
                    status.st_size,
                    status.st_mtime_ns,
                    partial(open, os.path.abspath(path), "rb"),
                )
        return None

    def _members(self, paths: Sequence[str]) -> list[Member]:
        every = ((path, self._found(path)) for path in paths)
        regular = [(path, found) for path, found in every if found is not None]
        names = describe_members(path for path, _ in regular)
        members = []
        for (path, (size, changed, opener)), name in zip(regular, names, strict=True):
            inside = os.path.relpath(path, self.place)
            if path in self.objects:
                inside = path.removeprefix(f"{self.place}/")
            if name.table is not None and name.stem is None and os.path.dirname(inside):
                # `CS101/auth_user.sql`: the folder stands for the course.
                name = replace(name, stem=shown(os.path.dirname(inside)))
            if self._real(path) in self.unknown:
                name = MemberName()
            members.append(Member(shown(inside), name, size, size, self.day, changed, opener))
        return members
