"""What exists for each course: files of event tables, of package tables, and its content.

Everything is read from manifests when a run begins: the state of one commit of each dataset.
"""

from __future__ import annotations

import datetime
import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from edxlogs.buckets.place import place_at
from edxlogs.database.account import MemberAccount
from edxlogs.database.folder import HOLDS
from edxlogs.database.snapshots import package_of
from edxlogs.datasets.reader import table_of, values_of
from edxlogs.derived.definition import DATABASE, OLX
from edxlogs.derived.olx import CourseContent, contents
from edxlogs.edx.event_tables import event_tables
from edxlogs.errors import ConfigError
from edxlogs.formats import format_by_ending
from edxlogs.globs import value_matches
from edxlogs.s3.client import S3
from edxlogs.store.manifest import DataFile, Manifest
from edxlogs.store.place import Place
from edxlogs.store.store import open_manifest
from edxlogs.text import shown

COURSE = "course_id"
DAY = "snapshot_date"
PARQUET = "parquet"
_COPYING = threading.Lock()  # a place takes one question after the other
_CUT = "~"  # in the name of a folder that is too long to tell the course


@dataclass(frozen=True, slots=True)
class Course:
    """A course in the inputs.

    Attributes:
        id: its id; if the name of its folder is cut, that name until the rows were read.
        folder: folder of its rows in every dataset: `course_id=…`.
    """

    id: str
    folder: str

    @property
    def is_cut(self) -> bool:
        """Whether only the rows tell the whole id."""
        return _CUT in self.folder


@dataclass(frozen=True, slots=True)
class Files:
    """The files of an input that hold a course's rows.

    Attributes:
        place: place of their dataset.
        files: the files, in the order of their paths.
    """

    place: Place
    files: tuple[DataFile, ...]

    def local(self) -> list[Path]:
        """Paths of the files on this host, until `forget`. Raises OSError."""
        with _COPYING:
            return [self.place.local(file) for file in self.files]

    def forget(self) -> None:
        """The files are no longer read."""
        with _COPYING:
            self.place.forget(self.files)


class Package(NamedTuple):
    """Where a file of a table comes from.

    Attributes:
        site: its site; empty if that is not known.
        name: name of the package.
        day: day of the snapshot; empty if the package has none.
    """

    site: str
    name: str
    day: str


@dataclass(frozen=True, slots=True)
class CourseInputs:
    """What exists for a course.

    Attributes:
        course: the course.
        tables: by input name, the inputs that exist; without files if they have no rows.
        packages: by input name, the packages of the files.
        sources: by input name, digests of the sources of the events.
        content: what its content tells; None if it is not given.
    """

    course: Course
    tables: Mapping[str, Files]
    packages: Mapping[str, frozenset[Package]]
    sources: Mapping[str, frozenset[bytes]]
    content: CourseContent | None

    @property
    def has_events(self) -> bool:
        """Whether the course has rows in any event table."""
        return any(not name.startswith(DATABASE) for name in self.tables)

    @property
    def has_package(self) -> bool:
        """Whether any package table belongs to the course."""
        return bool(self.packages)

    @property
    def day(self) -> str | None:
        """The day of its newest package, such as `2014-10-05`; None if that is not known."""
        return max((one.day for its in self.packages.values() for one in its), default="") or None

    def has(self, name: str) -> bool:
        """Whether an input exists, even if it has no rows."""
        return name in self.tables or (name in OLX and self.content is not None)

    def has_rows(self, name: str) -> bool:
        """Whether an input has files with rows."""
        return name in self.tables and bool(self.tables[name].files)

    def told(self, names: Iterable[str]) -> list[Any]:
        """What identifies some inputs: if the list is equal, so are the rows."""
        found: list[Any] = []
        for name in sorted(names):
            if name in self.tables:
                files = self.tables[name].files
                found.append([name, sorted(file.sha256 for file in files)])
            elif name in OLX and self.content is not None:
                found.append([name, self.content.sha256])
        return [self.has_events, self.has_package, *found]

    def origin(self, names: Iterable[str]) -> dict[str, str]:
        """Where rows made from some inputs come from, whatever the order of the inputs.

        Returns:
            `sources`: a digest of the logs. `packages`: names and days, one after another.
        """
        names = set(names)
        logs = {one for name in names for one in self.sources.get(name, ())}
        packages = {one for name in names for one in self.packages.get(name, ())}
        found = {}
        if logs:
            found["sources"] = hashlib.sha256(b"".join(sorted(logs))).hexdigest()
        if packages:
            told = sorted({(one.name, one.day) for one in packages})
            found["packages"] = ", ".join(f"{name} of {day or 'no day'}" for name, day in told)
        return found


class _Events(NamedTuple):
    """An event table, with what identifies each of its inputs, by number."""

    manifest: Manifest
    sources: Mapping[int, bytes]


class Inputs:
    """The inputs of a run.

    Args:
        events: folder or URL of the event tables, or None.
        database: folder or URL of the package tables, or None.
        content: folder with the content of courses, or None.
        until: day of the last snapshot that counts; None means that all count.
        s3: server and credentials.

    Attributes:
        no_course: rows of event tables that belong to no course.

    Raises:
        ConfigError: an input does not exist, or is not one.
        OutputError: a manifest cannot be read.
    """

    def __init__(
        self,
        events: str | None,
        database: str | None,
        content: Path | None = None,
        until: datetime.date | None = None,
        s3: S3 | None = None,
    ) -> None:
        self._until = until
        self._events: dict[str, _Events] = {}
        self._database: Manifest | None = None
        self._packages: dict[int, Package] = {}  # of the inputs of the database, by number
        self._table_folders: dict[str, str] = {}  # of the database, with {} for the course's
        self._courses: dict[str, None] = {}
        self._contents: Mapping[str, CourseContent] = {} if content is None else contents(content)
        self.no_course = 0
        if events is not None:
            self._open_events(events, s3)
        if database is not None:
            self._open_database(database, s3)

    def _open_events(self, named: str, s3: S3 | None) -> None:
        for name in event_tables():
            place = place_at(f"{named.rstrip('/')}/{name}", s3)
            if not place.exists:
                continue
            manifest = open_manifest(place)
            query = manifest.query or {}
            if query and query.get("format", PARQUET) != PARQUET:
                raise ConfigError(
                    f"events: {manifest.name}: is not Parquet; write the event tables as Parquet"
                )
            if query and list(query.get("partition_by", ()))[:1] != [COURSE]:
                raise ConfigError(
                    f"events: {manifest.name}: its first partition key is not {COURSE}; write the"
                    f" event tables with --partition-by {COURSE}"
                )
            inputs = (one for one in manifest.inputs() if one.is_done)
            sources = {one.number: _told(one.text or one.identity) for one in inputs}
            self._events[name] = _Events(manifest, sources)
            for file in manifest.files():
                if file.holds_rows and not self._enter(file) and not event_tables()[name].parent:
                    self.no_course += file.rows
        if not self._events:
            raise ConfigError(
                f"events: {shown(named)}: holds no event tables; name a folder that edxlogs"
                " tables wrote"
            )

    def _open_database(self, named: str, s3: S3 | None) -> None:
        place = place_at(named, s3)
        if not place.exists and place.above() is None:
            raise _no_packages(named)
        manifest = self._database = open_manifest(place)
        if (manifest.query or {}).get("holds") != HOLDS:
            raise _no_packages(named)
        for one in manifest.inputs():
            if "member" in one.account:
                account = MemberAccount.of(one.account["member"])
                package = package_of(account)
                name = account.package.rpartition("/")[2].partition(".")[0]
                day = "" if package is None else str(package.day or "")
                self._packages[one.number] = Package(account.site or "", name, day)
        for file in manifest.files():
            if not file.holds_rows or file.is_folder:
                continue
            table, form = table_of(file.path), format_by_ending(file.path)
            if form != PARQUET:
                raise ConfigError(
                    f"db: {manifest.name}: holds {table} as {form}; convert the packages to Parquet"
                )
            is_first = file.path.startswith(f"{COURSE}=")
            if self._enter(file):
                self._table_folders[table] = f"{{}}/{table}/" if is_first else f"{table}/{{}}/"

    def _enter(self, file: DataFile) -> bool:
        """Record the course of a file. Returns whether it has one."""
        value = values_of(file.path).get(COURSE)
        if value is None:
            return False
        self._courses[value] = None
        return True

    def courses(self, patterns: Sequence[str] = ()) -> list[Course]:
        """The courses of all inputs, or those that match the ids or globs, by their ids."""
        found = [self._named(value) for value in self._courses]
        chosen = (
            one
            for one in found
            if not patterns or any(value_matches(one.id, pattern) for pattern in patterns)
        )
        return sorted(chosen, key=lambda one: one.id)

    def _named(self, value: str) -> Course:
        course = Course(unquote(value), f"{COURSE}={value}")
        if course.is_cut:
            for files in self._files(course).values():
                for path in files.local():
                    if (name := _course_in(path)) is not None:
                        return Course(name, course.folder)
        return course

    def _files(self, course: Course) -> dict[str, Files]:
        found = {}
        for name, events in self._events.items():
            there = _held(events.manifest, f"{course.folder}/")
            found[name] = Files(events.manifest.place, there)
        if not any(one.files for one in found.values()):
            found.clear()  # nothing is known of its events
        if self._database is not None:
            for table, folder in self._table_folders.items():
                if there := self._newest(_held(self._database, folder.format(course.folder))):
                    found[f"{DATABASE}{table}"] = Files(self._database.place, there)
        return found

    def _packages_of(self, file: DataFile) -> Iterator[Package]:
        """The packages whose rows are in a file."""
        return (self._packages[number] for number, _ in file.runs if number in self._packages)

    def _newest(self, files: tuple[DataFile, ...]) -> tuple[DataFile, ...]:
        """Of the files of a table, those of the newest snapshot of each site."""
        if not any(f"/{DAY}=" in file.path for file in files):
            return files  # only the newest was kept
        until = str(self._until or "9999")
        newest: dict[str, str] = {}
        for one in (one for file in files for one in self._packages_of(file)):
            if newest.get(one.site, "") <= one.day <= until:
                newest[one.site] = one.day
        return tuple(
            file
            for file in files
            if any(newest.get(one.site) == one.day for one in self._packages_of(file))
        )

    def of(self, course: Course) -> CourseInputs:
        """What exists for a course."""
        tables = self._files(course)
        packages, sources = {}, {}
        for name, its in tables.items():
            if name.startswith(DATABASE):
                packages[name] = frozenset(
                    one for file in its.files for one in self._packages_of(file)
                )
                continue
            known = self._events[name].sources
            numbers = {number for file in its.files for number, _ in file.runs}
            sources[name] = frozenset(known[one] for one in numbers if one in known)
        return CourseInputs(course, tables, packages, sources, self._contents.get(course.id))

    def snapshots(self) -> dict[str, Any]:
        """What distinguishes the states of the datasets from earlier and later ones."""
        states = sorted((name, one.manifest.sha256) for name, one in self._events.items())
        found: dict[str, Any] = {"events": None, "db": None}
        if states:
            found["events"] = hashlib.sha256(repr(states).encode()).hexdigest()[:16]
        if self._database is not None:
            found["db"] = self._database.sha256[:16]
        return found

    def close(self) -> None:
        """Nothing is read any more."""
        for manifest in (*(one.manifest for one in self._events.values()), self._database):
            if manifest is not None:
                manifest.place.close()


def _no_packages(named: str) -> ConfigError:
    return ConfigError(
        f"db: {shown(named)}: holds no database tables; name a folder that edxlogs db convert wrote"
    )


def _held(manifest: Manifest, folder: str) -> tuple[DataFile, ...]:
    return tuple(file for file in manifest.files(folder) if file.holds_rows and not file.is_folder)


def _told(identity: object) -> bytes:
    """What identifies a source. Its place is included only if its text is not known."""
    return hashlib.sha256(repr(identity).encode()).digest()


def _course_in(path: Path) -> str | None:
    """The course named in the first row of a file."""
    import duckdb

    try:
        row = duckdb.connect().execute(
            f"select {COURSE} from read_parquet($1, hive_partitioning = false) limit 1", [str(path)]
        )
        found = row.fetchone()
    except duckdb.BinderException:  # the table does not have it
        return None
    return None if found is None else found[0]
