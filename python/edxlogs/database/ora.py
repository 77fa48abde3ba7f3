"""`--expand ora`: the tables of open response assessments joined, a row a submission."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from edxlogs import _core
from edxlogs.account import Outcome
from edxlogs.database.account import MemberAccount, RowCounts
from edxlogs.database.courses import Key
from edxlogs.database.package import DatabasePackage, Member
from edxlogs.database.reading import TableReader, core_table
from edxlogs.edx.tables import JOINED

SUBMISSIONS = "submissions_submission"
_TABLES = (
    SUBMISSIONS,
    "submissions_studentitem",
    "submissions_score",
    "assessment_assessment",
    "assessment_assessmentpart",
    "assessment_assessmentfeedback",
    "assessment_criterion",
    "assessment_criterionoption",
    "workflow_assessmentworkflow",
    "student_anonymoususerid",
)


def ora_files(package: DatabasePackage) -> dict[Key, list[Member]]:
    """The files that are joined, by course, of those courses that have submissions."""
    groups: dict[Key, list[Member]] = {}
    for member in package.members:
        if member.table is not None and member.table.name in _TABLES:
            groups.setdefault(member.name.key, []).append(member)
    return {key: its for key, its in groups.items() if _submissions(its) is not None}


def _submissions(members: Iterable[Member]) -> Member | None:
    found = (one for one in members if one.table is not None and one.table.name == SUBMISSIONS)
    return next(found, None)


def join_ora(
    reader: TableReader,
    package: DatabasePackage,
    members: list[Member],
    target: Path,
    format_name: str,
    account: MemberAccount,
) -> None:
    """Read the files of one course once more, and write their join to a new file.

    They are held in memory until they are joined. The account takes the joined rows: delivered, or
    withheld if a file failed its checks.

    Raises:
        OutputError: the file cannot be written.
    """
    submissions = _submissions(members)
    assert submissions is not None
    join = _core.OraJoin()
    for member in members:
        assert member.table is not None
        name = member.table.name
        done = reader.convert(package, member, core_table(name), partial(join.target, name), {})
        if done.error is not None:
            account.withhold(str(done.error))
            return
    count = join.write(
        target,
        core_table(JOINED),
        format_name=format_name,
        package=package.name,
        member=submissions.path,
        site=submissions.name.site,
        day=package.epoch_day,
        metadata=[("edxlogs.version", _core.__version__)],
    )
    account.status = Outcome.DELIVERED
    account.counts = RowCounts(rows=count, rows_written=count)
