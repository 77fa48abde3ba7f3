"""`edxlogs db convert`: a conversion, what is told of it, and its files."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

import orjson

from edxlogs import _core
from edxlogs.account import Outcome
from edxlogs.cli.options import gpg_of, s3_of
from edxlogs.cli.progress import Progress, tell
from edxlogs.database.account import MemberAccount, TableAccount
from edxlogs.database.convert import TableRun
from edxlogs.database.courses import TableChoice
from edxlogs.database.folder import TableFolder
from edxlogs.database.package import DatabasePackage, open_package
from edxlogs.database.reading import TableReader
from edxlogs.database.research import ResearchPackage, find_research_package
from edxlogs.edx.members import describe_member
from edxlogs.edx.names import KNOWN_SITES
from edxlogs.edx.tables import tables
from edxlogs.errors import ConfigError, EdxlogsError, ResumableInterrupt
from edxlogs.s3.client import SCHEME
from edxlogs.stops import put_off
from edxlogs.store.file import OutputFile
from edxlogs.text import many, shown
from edxlogs.threads import worker_count
from edxlogs.values import values


def run_convert(places: Sequence[str], **options: Any) -> int:
    """Run `edxlogs db convert`; its exit status."""
    target: str = options["output"]
    if target.startswith(SCHEME):
        raise ConfigError(f"output: {shown(target)}: tables go to a local folder; name one")
    known = options["known_courses"]
    choice = TableChoice(
        courses=tuple(values("course", options["course"])),
        tables=tuple(map(_known_table, options["table"])),
        sites=tuple(KNOWN_SITES.get(site, site) for site in options["site"]),
        known_courses=() if known is None else tuple(values("known-courses", f"@{known}")),
    )
    account = TableAccount()
    packages = _open(places, account, options)
    start = time.monotonic()
    with ExitStack() as stack:
        folder = stack.enter_context(
            TableFolder(target, overwrite=options["overwrite"], mode=options["mode"])
        )
        beside = {name: options[name] for name in ("rejects", "report") if options[name]}
        run = TableRun(
            reader=TableReader(gpg_of(options), _core.Control()),
            packages=packages,
            choice=choice,
            folder=folder,
            format_name=_format(options),
            course_first=options["layout"] == "course",
            workers=worker_count(options["threads"]),
            keep_rejects="rejects" in beside,
            expand="studentmodule" in options["expand"],
            expand_ora="ora" in options["expand"],
            unpack=options["unpack"],
            beside=frozenset(map(os.path.abspath, beside.values())),
            account=account,
        )
        # What its runs wrote beside the folder is theirs to write anew.
        overwrite = options["overwrite"] or run.wrote_beside
        files = {
            name: stack.enter_context(OutputFile(path, overwrite=overwrite, mode=options["mode"]))
            for name, path in beside.items()
        }
        try:
            _convert(run, options)
        except KeyboardInterrupt:
            if folder.journal.exists():
                raise ResumableInterrupt from None
            raise
        delivered = any(one.status is Outcome.DELIVERED for one in account.members)
        names = [describe_member(one.member) for one in account.members]
        hints = [] if delivered else choice.hints(names)
        report = account.report(
            version=_core.__version__, seconds=round(time.monotonic() - start, 3), hints=hints
        )
        if "rejects" in files:
            files["rejects"].join(run.rejects())
        if "report" in files:
            style = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
            files["report"].write(orjson.dumps(report, option=style))
        with suppress(KeyboardInterrupt), put_off():
            for file in files.values():
                file.publish()
    for hint in hints:
        _say(hint, options)
    _tell(account, report, f"tables to {folder.name}", time.monotonic() - start, options)
    return 0 if account.is_whole else 1


def _format(options: dict[str, Any]) -> str:
    name: str = options["format_name"]
    if options["csv_excel_safe"]:
        if name != "csv":
            raise ConfigError("csv-excel-safe: is for CSV; leave it out, or add --format csv")
        return "csv-excel-safe"
    return name


def _known_table(name: str) -> str:
    if name not in tables():
        near = difflib.get_close_matches(name, tables(), 1) or ["what edxlogs db list shows"]
        raise ConfigError(f"table: {shown(name)}: is not known; try {near[0]}")
    return name


def _open(
    places: Sequence[str], account: TableAccount, options: dict[str, Any]
) -> list[DatabasePackage | ResearchPackage]:
    """Open the packages, each once, and one of several copies; what cannot be is in the account."""
    s3 = s3_of(options) if any(place.startswith(SCHEME) for place in places) else None
    packages: list[DatabasePackage | ResearchPackage] = []
    for place in places:
        try:
            package = find_research_package(place, s3) or open_package(place, s3)
            first = next((one.place for one in packages if package.is_copy_of(one)), None)
        except EdxlogsError as error:
            account.failed.append(str(error))
            _say(f"edxlogs: {error}", options)
            continue
        if first is not None:
            _say(f"edxlogs: warning: {package.place}: the same as {first}: read once", options)
        else:
            packages.append(package)
    return packages


def _say(message: str, options: dict[str, Any]) -> None:
    """What went wrong; with --json the account alone tells it."""
    if not options["as_json"]:
        tell(message)


def _convert(run: TableRun, options: dict[str, Any]) -> None:
    total = run.plan()
    shows = not options["quiet"] and not options["as_json"]
    with Progress(run.count, total, lambda: run.reader.bytes_read, shows=shows) as progress:

        def on_member(account: MemberAccount) -> None:
            progress.one_done()
            if options["as_json"]:
                return
            if account.status is Outcome.WITHHELD:
                progress.tell(f"edxlogs: {account.error} (withheld)")

        run.on_member = on_member
        told = len(run.account.failed)
        for failure in run().failed[told:]:
            _say(f"edxlogs: {failure}", options)


def _tell(
    account: TableAccount,
    report: dict[str, Any],
    told: str,
    seconds: float,
    options: dict[str, Any],
) -> None:
    if options["as_json"]:
        tell(orjson.dumps(report).decode())
        return
    for member in account.members:
        for warning in member.warnings:
            tell(f"edxlogs: warning: {warning}")
    if options["quiet"]:
        return
    for status in (Outcome.FAILED, Outcome.UNKNOWN):
        for member in account.of_status(status):
            what = "its export failed" if status is Outcome.FAILED else "the name says no table"
            tell(f"{status}: {member.package}: {member.member}: {what}")
    for line in account.summary(seconds):
        tell(line)
    tell(
        f"{many(account.total.rows_written, 'row')} of {many(len(account.tables), 'table')}: {told}"
    )
