"""Converts the tables of database packages to a folder of typed files."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Self, Unpack

from edxlogs import _core
from edxlogs.account import Done, Outcome
from edxlogs.buckets.place import place_at
from edxlogs.database.account import SHOWN, TableAccount
from edxlogs.database.courses import TableChoice, found_of
from edxlogs.database.folder import TableFolder
from edxlogs.database.package import DatabasePackage, find_packages
from edxlogs.database.reading import TableReader
from edxlogs.database.target import TableTarget
from edxlogs.database.tars import TarPackage
from edxlogs.edx.members import describe_member
from edxlogs.edx.names import KNOWN_SITES
from edxlogs.edx.tables import tables
from edxlogs.errors import ConfigError, EdxlogsError
from edxlogs.formats import FORMATS, SAFE, of_cells, refuse_file_name
from edxlogs.groups.hosts import hosts_of
from edxlogs.groups.tables import MemberCrew
from edxlogs.jobs.settings import Keys
from edxlogs.jobs.words import KeyWords, OnePath
from edxlogs.s3.client import S3, SCHEME
from edxlogs.sources.source import Source
from edxlogs.stops import goes_on, put_off
from edxlogs.store.file import OutputFile
from edxlogs.store.segments import outputs_beside
from edxlogs.store.store import Store
from edxlogs.targets import fill
from edxlogs.text import indented, many, shown
from edxlogs.threads import worker_count
from edxlogs.values import Values, names, texts, values
from edxlogs.watching import Teller, Watcher, followed

if TYPE_CHECKING:
    from edxlogs.database.stream import Tables

LAYOUTS = ("table", "course")
EXPANSIONS = ("studentmodule", "ora")
SNAPSHOTS = ("newest", "all")


@dataclass(frozen=True, slots=True)
class ConvertSettings:
    """What to convert, and where to put it.

    Attributes:
        packages: paths or URLs, in the order given.
        output: folder of the tables.
        choice: which files of the packages to use.
        format_name: format of the tables.
        course_first: whether there is a folder per course with its tables in it.
        all_snapshots: whether to keep every package, in a folder for its day, or only the newest.
        expand: extra columns, and extra tables that join others.
        unpack: whether to unpack the content of courses too.
        keys: which key decrypts.
        s3: server and credentials; None takes them from the AWS configuration.
        workers: number of threads.
        dask: cluster whose hosts read; None reads in this process.
        rejects: path of a file for rows that cannot be read, or None.
        report: path of a file for the account, or None.
        overwrite: whether existing files may be replaced.
        mode: permissions of the files.
    """

    packages: tuple[str, ...]
    output: str
    choice: TableChoice = field(default_factory=TableChoice)
    format_name: str = "parquet"
    course_first: bool = False
    all_snapshots: bool = False
    expand: frozenset[str] = frozenset()
    unpack: bool = False
    keys: Keys = field(default_factory=Keys)
    s3: S3 | None = None
    workers: int = 1
    dask: str | None = None
    rejects: str | None = None
    report: str | None = None
    overwrite: bool = False
    mode: int = 0o600

    @classmethod
    def of(
        cls,
        packages: OnePath | Iterable[OnePath],
        output: OnePath,
        *,
        course: Values = None,
        table: Values = None,
        site: Values = None,
        known_courses: Values = None,
        format: str = "parquet",  # noqa: A002 - the word of the command line
        csv_excel_safe: bool = False,
        layout: str = "table",
        snapshots: str = "newest",
        expand: Values = None,
        unpack: bool = False,
        gnupg_home: OnePath | None = None,
        passphrase_file: OnePath | None = None,
        prompt: bool = False,
        s3: S3 | None = None,
        threads: int = 0,
        dask: str | None = None,
        rejects: OnePath | None = None,
        report: OnePath | None = None,
        overwrite: bool = False,
        mode: int = 0o600,
    ) -> Self:
        """Make settings from keywords.

        Raises:
            ConfigError: a value is invalid.
        """
        target = fspath(output)
        refuse_file_name(target, "tables of packages")
        if target.startswith(SCHEME) and unpack:
            raise ConfigError(
                "unpack: is for local folders; leave it out, or name one for the output"
            )
        expansions = texts("expand", expand)
        for what, words, known in (
            ("format", [format], FORMATS),
            ("layout", [layout], LAYOUTS),
            ("expand", expansions, EXPANSIONS),
        ):
            for word in words:
                if word not in known:
                    raise ConfigError(
                        f"{what}: {shown(word)}: is not known; use {', '.join(known)}"
                    )
        if csv_excel_safe and not of_cells(format):
            raise ConfigError("csv-excel-safe: is for CSV, TSV; leave it out, or add --format csv")
        if threads < 0:
            raise ConfigError("threads: must be 0 or more; 0 means one per core")
        places = [packages] if isinstance(packages, str | PathLike) else packages
        return cls(
            tuple(fspath(place) for place in places),
            target,
            table_choice(course=course, table=table, site=site, known_courses=known_courses),
            format_name=f"{format}{SAFE}" if csv_excel_safe else format,
            course_first=layout == "course",
            all_snapshots=all_snapshots(snapshots),
            expand=frozenset(expansions),
            unpack=unpack,
            keys=Keys.of(gnupg_home=gnupg_home, passphrase_file=passphrase_file, prompt=prompt),
            s3=s3,
            workers=worker_count(threads),
            dask=dask,
            rejects=None if rejects is None else fspath(rejects),
            report=None if report is None else fspath(report),
            overwrite=overwrite,
            mode=mode,
        )


def table_choice(
    *,
    course: Values = None,
    table: Values = None,
    site: Values = None,
    known_courses: Values = None,
) -> TableChoice:
    """Which files of packages to use. `@FILE` stands for the values in a file.

    Raises:
        ConfigError: a value is invalid, or a table is unknown.
    """
    return TableChoice(
        courses=tuple(values("course", course)),
        tables=tuple(map(_known_table, names("table", table))),
        sites=tuple(KNOWN_SITES.get(one, one) for one in values("site", site)),
        known_courses=tuple(values("known-courses", known_courses)),
    )


def open_tables(
    packages: OnePath | Iterable[OnePath],
    *,
    course: Values = None,
    site: Values = None,
    known_courses: Values = None,
    expand: bool = False,
    snapshots: str = "newest",
    s3: S3 | None = None,
    threads: int = 0,
    **keys: Unpack[KeyWords],
) -> Tables:
    """Open database packages, and return their tables as streams.

    Raises:
        FormatError: a package is not a zip, or must not be trusted.
        SourceError: a package cannot be opened.
        ConfigError: a value is invalid.
    """
    from edxlogs.database.stream import Tables, opened

    choice = table_choice(course=course, site=site, known_courses=known_courses)
    gpg, workers = Keys.of(**keys).gpg(), worker_count(threads)
    kept = {"expand": expand, "keep_all": all_snapshots(snapshots)}
    return Tables(opened(packages, s3), choice, gpg, workers, **kept)


def all_snapshots(word: str) -> bool:
    """Whether to use each of several packages: `newest` means no, `all` means yes.

    Raises:
        ConfigError: the word is another one.
    """
    if word not in SNAPSHOTS:
        known = ", ".join(SNAPSHOTS)
        raise ConfigError(f"snapshots: {shown(word)}: is not known; use {known}")
    return word == "all"


def _known_table(name: str) -> str:
    if name not in tables():
        near = difflib.get_close_matches(name, tables(), 1) or ["what edxlogs db list shows"]
        raise ConfigError(f"table: {shown(name)}: is not known; try {near[0]}")
    return name


@dataclass(frozen=True, repr=False)
class ConvertedTables(Done):
    """The result of `convert`.

    Attributes:
        account: what became of every file and row.
        folder: folder of the tables.
        seconds: how long the run took.
        hints: what the packages hold instead, if nothing was converted.
    """

    account: TableAccount
    folder: str
    seconds: float
    hints: list[str]

    def report(self, **more: Any) -> dict[str, Any]:
        """The account as a JSON document."""
        return super().report(seconds=round(self.seconds, 3), hints=self.hints, **more)

    def __str__(self) -> str:
        account = self.account
        lines = list(self.hints)
        for status in (Outcome.FAILED, Outcome.UNKNOWN):
            its = account.of_status(status)
            for member in its[:SHOWN]:
                what = (
                    "its export failed"
                    if status is Outcome.FAILED
                    else "its name is not that of a table"
                )
                lines.append(f"{status}: {member.package}: {member.member}: {what}")
            if len(its) > SHOWN:
                lines.append(f"{status}: {len(its) - SHOWN:,} more; --report names them")
        lines += account.summary(self.seconds)
        rows, count = account.total.rows_written, len(account.tables)
        lines.append(f"{many(rows, 'row')} of {many(count, 'table')}: tables to {self.folder}")
        return "\n".join(lines)


def convert(settings: ConvertSettings, watcher: Watcher) -> ConvertedTables:
    """Write the tables of packages as typed files. A file that fails its checks is left out.

    Raises:
        MissingSourceError: a named package does not exist.
        ConfigError: existing files would be replaced.
        OutputError: the folder cannot be written to.
    """
    account = TableAccount()
    packages = _open(settings, account, watcher)
    start = time.monotonic()
    with ExitStack() as stack:
        hosts = hosts_of(stack, settings.dask, watcher)
        output = place_at(settings.output, settings.s3, settings.mode, shared=True)
        store = stack.enter_context(Store(output))
        named = {"rejects": settings.rejects, "report": settings.report}
        beside = {name: path for name, path in named.items() if path}
        gpg = settings.keys.gpg()
        stack.callback(gpg.close)
        for warning in gpg.warnings:
            watcher.warn(warning)
        folder = TableFolder(
            store,
            overwrite=settings.overwrite,
            course_first=settings.course_first,
            keep_rejects="rejects" in beside,
            keep_all=settings.all_snapshots,
        )
        target = TableTarget(
            reader=TableReader(gpg, _core.Control()),
            packages=packages,
            choice=settings.choice,
            folder=folder,
            format_name=settings.format_name,
            workers=settings.workers,
            expand="studentmodule" in settings.expand,
            expand_ora="ora" in settings.expand,
            unpack=settings.unpack,
            beside=outputs_beside(*beside.values()),
            account=account,
        )
        if hosts is not None:
            home, passphrase = settings.keys.home, settings.keys.passphrase_file
            target.elsewhere = lambda tasks: MemberCrew(hosts, target, tasks, home, passphrase)
        # Its runs may rewrite what they wrote beside the folder.
        overwrite = settings.overwrite or target.wrote_beside
        inputs = _inputs(settings, packages)
        files = {
            name: stack.enter_context(
                OutputFile(path, overwrite=overwrite, mode=settings.mode, inputs=inputs)
            )
            for name, path in beside.items()
        }
        with goes_on(lambda: folder.is_resumable):
            _read(target, watcher)
        delivered = any(one.status is Outcome.DELIVERED for one in account.members)
        names = [describe_member(one.member) for one in account.members]
        is_told = bool(delivered or account.failed or account.of_status(Outcome.WITHHELD))
        hints = settings.choice.hints(names, found_of(target.delivered), any_left=is_told)
        done = ConvertedTables(account, store.name, time.monotonic() - start, hints)
        if "rejects" in files:
            files["rejects"].join(target.rejects())
        folder.clean()
        if "report" in files:
            files["report"].write(indented(done.report()) + b"\n")
        with suppress(KeyboardInterrupt), put_off():
            for file in files.values():
                file.publish()
    tell = Teller(watcher, "file")
    for member in account.members:
        tell.warn_of(member)
    tell.tell()
    return done


def _inputs(
    settings: ConvertSettings, packages: Iterable[DatabasePackage | TarPackage]
) -> list[Source]:
    """The files that no output may be, by their paths."""
    places = [*settings.packages]
    for package in packages:
        if isinstance(package, TarPackage) or package.is_zip:
            places.append(package.place)
        else:
            places += [os.path.join(package.place, member.path) for member in package.members]
    return [Source(place, place, None) for place in places if not place.startswith(SCHEME)]


def _open(
    settings: ConvertSettings, account: TableAccount, watcher: Watcher
) -> Sequence[DatabasePackage | TarPackage]:
    """Open the packages, each once, and one of several copies. Failures go into the account."""

    def fail(error: EdxlogsError) -> None:
        account.failed.append(str(error))
        watcher.fail(str(error))

    packages: list[DatabasePackage | TarPackage] = []
    for package in find_packages(settings.packages, settings.s3 or S3(), fail):
        try:
            first = next((one.place for one in packages if package.is_copy_of(one)), None)
        except EdxlogsError as error:
            fail(error)
            continue
        if first is not None:
            watcher.warn(f"{package.place}: the same as {first}: read once")
        else:
            packages.append(package)
    return packages


def _read(target: TableTarget, watcher: Watcher) -> None:
    total = target.plan()

    told = len(target.account.failed)
    with followed(watcher, target.count, total, lambda: target.reader.bytes_read):
        tell = Teller(watcher, "file", warns=False)
        try:
            fill(target, tell)
        finally:
            tell.tell()
        for failure in target.account.failed[told:]:
            watcher.fail(failure)
