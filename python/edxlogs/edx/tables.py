"""The tables of a database package: their columns, and the names of their files.

Source: EdX Research Guide, "Data Delivered in Data Packages" and the pages on each table, in its
revisions of 2013 to 2023. For two tables, the exporter's file names differ from the guide's.
"""

from __future__ import annotations

import csv
import enum
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Dialect(enum.StrEnum):
    """How the text of a table's file is written."""

    TAB = "tab"
    r"""Tab-separated with a header; a backslash escapes tab, line feed, return, NUL and itself."""
    MODULE = "module"
    """As `TAB`, but only a backslash and a real tab are escaped: courseware_studentmodule."""
    CSV = "csv"
    """Comma-separated with a header, quoted where needed, rows ended by CR LF."""
    STRUCTURE = "structure"
    """One JSON object: the blocks of a course by their usage keys."""
    FORUM = "forum"
    """One MongoDB document per line, as extended JSON."""
    OLX = "olx"
    """A gzipped tar of the course's content: listed and unpacked, but not a table."""


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        name: its name in the database.
        type: text, json, int64, float64, bool, timestamp or date.
        hint: how its values are distributed: `grows`, `long` or nothing.
        role: what it tells about a person: `person id`, `username`, `e-mail`, `address`,
            `free text` or nothing.
    """

    name: str
    type: str
    hint: str
    role: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table, and the names of its files.

    Attributes:
        name: its name in the guide and the database.
        dialect: how its files are written.
        defined: its columns, in order.
        file_names: names of the table in file names.
        extension: ending of its files, before `.gpg`.
        renamed: other headers for a column, each with the column's name.
        derived: extra columns on request: name, type, the column whose JSON they are taken from,
            and the keys that lead to the value.
        in_ora: whether its files are in the folder `ora`.
        is_of_course: whether a file holds a single course.
    """

    name: str
    dialect: Dialect
    defined: tuple[Column, ...]
    file_names: tuple[str, ...]
    extension: str
    renamed: tuple[tuple[str, str], ...] = ()
    derived: tuple[tuple[str, str, str, tuple[str, ...]], ...] = ()
    in_ora: bool = False
    is_of_course: bool = True

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Name and type of each column, in order."""
        return tuple((column.name, column.type) for column in self.defined)

    @property
    def is_content(self) -> bool:
        """Whether it stands for the archives of the courses' content, which have no rows."""
        return self.dialect is Dialect.OLX

    @property
    def tells_course(self) -> bool:
        """Whether its rows contain whole course ids (two tables cut them at 40 letters)."""
        names = {name for name, _ in self.columns}
        in_keys = self.dialect is Dialect.STRUCTURE
        return in_keys or ("course_id" in names and self.name not in _CUT_COURSES)


_FORMATS = {
    "courseware_studentmodule": (Dialect.MODULE, ".sql"),
    "course_structure": (Dialect.STRUCTURE, ".json"),
    "forum": (Dialect.FORUM, ".mongo"),
    "email_opt_in": (Dialect.CSV, ".csv"),
}
_FILE_NAMES = {
    "teams_courseteam": ("teams", "teams_courseteam"),
    "teams_courseteammembership": ("teams_membership", "teams_courseteammembership"),
    "forum": (),
}
_RENAMED = {
    "user_id_map": (("user_id", "id"),),
    "credit_crediteligibility": (("course_key", "course_id"),),
    "verify_student_verificationstatus": (("checkpoint_name", "checkpoint_location"),),
    "auth_user": (("avatar_typ", "avatar_type"),),
}
_DERIVED = {
    "courseware_studentmodule": (
        ("state_attempts", "int64", "state", ("attempts",)),
        ("state_seed", "int64", "state", ("seed",)),
        ("state_done", "bool", "state", ("done",)),
        ("state_correct_map", "json", "state", ("correct_map",)),
        ("state_student_answers", "json", "state", ("student_answers",)),
        ("state_score_earned", "float64", "state", ("score", "raw_earned")),
        ("state_score_possible", "float64", "state", ("score", "raw_possible")),
    ),
}
_CUT_COURSES = ("assessment_peerworkflow", "assessment_studenttrainingworkflow")
_ORA = ("assessment_", "submissions_", "workflow_")


JOINED = "ora_submissions"
"""A table that is in no file: it joins those of open response assessments."""


@functools.cache
def _columns() -> dict[str, tuple[Column, ...]]:
    text = Path(__file__).with_name("tables.tsv").read_text("utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    columns: dict[str, list[Column]] = {}
    for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
        column = Column(row["column"], row["type"], row["hint"], row["role"])
        columns.setdefault(row["table"], []).append(column)
    return {name: tuple(its) for name, its in columns.items()}


@functools.cache
def tables() -> dict[str, Table]:
    """Every table that has files, by name, in display order."""
    found = {}
    for name, columns in _columns().items():
        if name == JOINED:
            continue
        dialect, extension = _FORMATS.get(name, (Dialect.TAB, ".sql"))
        found[name] = Table(
            name=name,
            dialect=dialect,
            defined=columns,
            file_names=_FILE_NAMES.get(name, (name,)),
            extension=extension,
            renamed=_RENAMED.get(name, ()),
            derived=_DERIVED.get(name, ()),
            in_ora=name.startswith(_ORA),
            is_of_course=name != "email_opt_in",
        )
    found["course"] = Table("course", Dialect.OLX, (), ("course",), ".xml.tar.gz")
    return found


def joined_table() -> Table:
    """The table `JOINED`, whose dialect means nothing."""
    return Table(JOINED, Dialect.TAB, _columns()[JOINED], (), "")
