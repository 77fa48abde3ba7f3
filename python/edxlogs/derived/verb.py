"""Derives tables of courses from event tables and package tables."""

from __future__ import annotations

import datetime
import difflib
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

from edxlogs.buckets.place import place_at
from edxlogs.derived.account import Derived
from edxlogs.derived.definition import PEERS, Definitions, read_definitions
from edxlogs.derived.engine import Engine, check_installed
from edxlogs.derived.inputs import Course, Inputs
from edxlogs.derived.parameters import Parameters
from edxlogs.derived.target import Target
from edxlogs.errors import ConfigError
from edxlogs.formats import refuse_file_name
from edxlogs.globs import value_matches
from edxlogs.s3.client import S3
from edxlogs.stops import goes_on, put_off
from edxlogs.store.file import OutputFile
from edxlogs.store.segments import outputs_beside
from edxlogs.store.store import Store
from edxlogs.text import indented, many, shown
from edxlogs.threads import worker_count
from edxlogs.values import Values, names, texts, values
from edxlogs.watching import Watcher, followed

MEMORY_BYTES = 2_000_000_000
_LEAST_MEMORY = 100_000_000
_TOGETHER = 32  # courses that are looked at before any of them is made
_NO_ZONES = ("localtime", "posix", "posixrules", "right")
"""Files beside the zones in a system's folder that ZoneInfo would read too."""

OnePath = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class DeriveSettings:
    """What to derive, and where to put it.

    Attributes:
        output: folder or URL of the tables.
        events: folder or URL of the event tables, or None.
        database: folder or URL of the package tables, or None.
        tables: names; empty means all.
        courses: ids or globs; empty means all.
        parameters: parameters of the definitions.
        content: folder with the content of courses, or None.
        sql_folder: folder with definitions that replace or add to the built-in ones, or None.
        compat: tools whose tables are made too, with their column names.
        memory_bytes: memory that DuckDB may use before it spills.
        threads: threads of DuckDB.
        s3: server and credentials; None takes them from the AWS configuration.
        report: path of a file for the account, or None.
        overwrite: whether tables made with other parameters may be replaced.
        mode: permissions of the files.
    """

    output: str
    events: str | None = None
    database: str | None = None
    tables: tuple[str, ...] = ()
    courses: tuple[str, ...] = ()
    parameters: Parameters = field(default_factory=Parameters)
    content: Path | None = None
    sql_folder: Path | None = None
    compat: tuple[str, ...] = ()
    memory_bytes: int = MEMORY_BYTES
    threads: int = 1
    s3: S3 | None = None
    report: str | None = None
    overwrite: bool = False
    mode: int = 0o600

    @classmethod
    def of(
        cls,
        output: OnePath,
        *,
        events: OnePath | None = None,
        db: OnePath | None = None,
        table: Values = None,
        course: Values = None,
        as_of: str | datetime.date | None = None,
        tz: str = "UTC",
        gap: float = 30,
        cap: Sequence[float] | float = (5, 30),
        min_n: int = 10,
        olx: OnePath | None = None,
        with_email_domain: bool = False,
        memory: int | None = None,
        sql_dir: OnePath | None = None,
        compat: Values = None,
        s3: S3 | None = None,
        threads: int = 0,
        report: OnePath | None = None,
        overwrite: bool = False,
        mode: int = 0o600,
    ) -> Self:
        """Make settings from keywords.

        Raises:
            ConfigError: a value is invalid.
        """
        if events is None and db is None:
            raise ConfigError(
                "derive: nothing to read; name event tables with --events, database tables with"
                " --db, or both"
            )
        refuse_file_name(fspath(output), "derived tables")
        for name, path in (("output", output), ("events", events), ("db", db)):
            if path is not None:
                _refuse_not_utf8(name, path)
        if memory is not None and memory < _LEAST_MEMORY:
            raise ConfigError("memory: is too small; give 100MB or more")
        if threads < 0:
            raise ConfigError("threads: must be 0 or more; 0 means one per core")
        caps = (cap,) if isinstance(cap, int | float) else tuple(cap)
        if len(caps) not in (1, 2) or any(not 0 < one <= 1440 for one in (*caps, gap)):
            raise ConfigError(
                "gap, cap: must be minutes above 0, at most a day; cap may be two numbers, for"
                " clicks and for video and text"
            )
        peers = texts("compat", compat)
        for peer in peers:
            if peer not in PEERS:
                raise ConfigError(f"compat: {shown(peer)}: is not known; use {', '.join(PEERS)}")
        if not 1 <= min_n < 2**63:
            raise ConfigError("min-n: must be 1 or more, below 2 to the 63rd")
        return cls(
            fspath(output),
            events=None if events is None else fspath(events),
            database=None if db is None else fspath(db),
            tables=tuple(names("table", table)),
            courses=tuple(values("course", course)),
            parameters=Parameters(
                as_of=_day(as_of),
                tz=_zone(tz),
                gap=float(gap),
                cap=float(caps[0]),
                cap_long=float(caps[-1]),
                min_n=min_n,
                with_email_domain=with_email_domain,
            ),
            content=None if olx is None else Path(olx),
            sql_folder=None if sql_dir is None else Path(sql_dir),
            compat=tuple(peers),
            memory_bytes=memory or MEMORY_BYTES,
            threads=worker_count(threads),
            s3=s3,
            report=None if report is None else fspath(report),
            overwrite=overwrite,
            mode=mode,
        )


def _day(given: str | datetime.date | None) -> datetime.date | None:
    if given is None:
        return None
    if type(given) is datetime.date:
        day = given
    else:
        try:
            day = datetime.date.fromisoformat(str(given))
        except ValueError:
            told = shown(str(given))
            raise ConfigError(f"as-of: {told}: is not a day; write it like 2014-10-05") from None
    if day == datetime.date.max:
        raise ConfigError(f"as-of: {day}: no day follows it; leave it out, and everything counts")
    return day


def _refuse_not_utf8(name: str, path: OnePath) -> None:
    """Refuse a folder that DuckDB cannot open."""
    try:
        fspath(path).encode()
    except UnicodeEncodeError:
        told = shown(fspath(path))
        raise ConfigError(
            f"{name}: {told}: DuckDB reads only names in UTF-8; rename the folder"
        ) from None


def _zone(name: str) -> str:
    """The name of a time zone, as the tz database has it."""
    try:
        if name.partition("/")[0] in _NO_ZONES:
            raise ValueError(name)
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ConfigError(
            f"tz: {shown(name)}: is not a time zone; write it like Europe/Berlin"
        ) from None
    return name


def _check_zone(name: str) -> None:
    """Refuse a time zone that is newer than DuckDB."""
    import duckdb

    with duckdb.connect() as connection:
        try:
            connection.execute("select timezone(?, timestamptz 'epoch')", [name])
        except duckdb.Error:
            raise ConfigError(
                f"tz: {shown(name)}: DuckDB does not know it; update DuckDB, or name another zone"
            ) from None


def definition_text(table: str, sql_folder: OnePath | None = None) -> str:
    """The definition of a table, or of an intermediate result: its SQL file.

    Args:
        table: its name.
        sql_folder: folder with definitions that replace the built-in ones, or None.

    Raises:
        ConfigError: there is no such table.
    """
    folder = None if sql_folder is None else Path(sql_folder)
    definitions = read_definitions(folder, PEERS)
    _check_tables(definitions, [table], list(definitions.by_name))
    return definitions.by_name[table].text


def _check_tables(definitions: Definitions, asked: Sequence[str], known: Sequence[str]) -> None:
    for name in asked:
        if name in known:
            continue
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
        if name.partition("_")[0] in PEERS:
            hint = f"add --compat {name.partition('_')[0]}"
        elif name in definitions.by_name:
            hint = "other tables are made from it; --show prints it"
        raise ConfigError(f"table: {shown(name)}: is not known; {hint}")


def derive(settings: DeriveSettings, watcher: Watcher) -> Derived:
    """Make the derived tables of each course whose inputs have changed, one course at a time.

    Raises:
        ConfigError: an input does not exist, a table or course is unknown, a definition is invalid,
            DuckDB is not installed, or the output holds tables made with other parameters.
        OutputError: the output cannot be written.
    """
    check_installed()
    _check_zone(settings.parameters.tz)
    start = time.monotonic()
    definitions = read_definitions(settings.sql_folder, settings.compat)
    known = [one.name for one in definitions.tables]
    _check_tables(definitions, settings.tables, known)
    wanted = settings.tables or known
    with ExitStack() as stack:
        inputs = Inputs(
            settings.events,
            settings.database,
            settings.content,
            settings.parameters.as_of,
            settings.s3,
        )
        stack.callback(inputs.close)
        courses = _chosen(inputs, settings.courses, watcher)
        place = place_at(settings.output, settings.s3, settings.mode)
        store = stack.enter_context(Store(place))
        engine = Engine(settings.parameters, settings.memory_bytes, settings.threads, store.name)
        stack.callback(engine.close)
        target = Target(store, engine, definitions, wanted, settings.parameters, inputs.snapshots())
        target.claim(overwrite=settings.overwrite)
        outputs = outputs_beside(settings.report)
        overwrite = settings.overwrite or all(map(store.manifest.wrote, outputs))
        files = [
            stack.enter_context(OutputFile(path, overwrite=overwrite, mode=settings.mode))
            for path in (settings.report,)
            if path is not None
        ]
        done = Derived(store.name, no_course=inputs.no_course)
        with goes_on(target.leave):
            _make(target, inputs, courses, done, watcher)
            target.finish(done.failed, outputs)
        done.seconds = time.monotonic() - start
        with suppress(KeyboardInterrupt), put_off():
            for file in files:
                file.write(indented(done.report()) + b"\n")
                file.publish()
    return done


def _chosen(inputs: Inputs, patterns: Sequence[str], watcher: Watcher) -> list[Course]:
    """The courses that match the ids or globs. A warning names those that match none."""
    courses = inputs.courses(patterns)
    if not courses and not patterns:
        raise ConfigError("inputs: are empty; check the folders of the event tables")
    for pattern in patterns:
        if any(value_matches(course.id, pattern) for course in courses):
            continue
        near = difflib.get_close_matches(pattern, [course.id for course in inputs.courses()], 1)
        hint = "check the folders of the event tables"
        if near:
            hint = f"did you mean {shown(near[0])}?"
        told = f"course: {shown(pattern)}: is not in the inputs; {hint}"
        if not courses:
            raise ConfigError(told)
        watcher.warn(told)
    return courses


def _make(
    target: Target, inputs: Inputs, courses: Sequence[Course], done: Derived, watcher: Watcher
) -> None:
    """Make one group of courses after another."""
    last = target.parameters.as_of
    later = 0
    with followed(watcher, len(courses), 0, lambda: 0):
        for begin in range(0, len(courses), _TOGETHER):
            group = [inputs.of(course) for course in courses[begin : begin + _TOGETHER]]
            if last is not None:
                later += sum((one.day or "") > last.isoformat() for one in group)
            for account in target.make(group):
                done.courses.append(account)
                if account.error is not None:
                    done.failed.append(account.error)
                    watcher.fail(account.error)
                for warning in account.warnings:
                    watcher.warn(f"{shown(account.course)}: {warning}")
                watcher.one_done()
    if later:
        watcher.warn(
            f"as-of: the packages of {many(later, 'course')} are newer; convert with --snapshots"
            " all to get older ones"
        )
