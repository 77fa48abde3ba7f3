"""Which files of packages are wanted, and which course each is of.

Files of one course share a stem, `{Org}-{Course}-{Run}`, which cannot be split: each part may hold
hyphens, and several courses can have one stem. So a course is taken from the content: of the file
itself, else what most of the other files with its stem tell; else a known course is, whose spelling
is the stem.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, partial

from edxlogs.database.package import DatabasePackage, Member
from edxlogs.database.reading import TableReader
from edxlogs.edx.members import MemberName
from edxlogs.edx.tables import Dialect, Table
from edxlogs.globs import is_value_glob, value_matches
from edxlogs.threads import Workers

_ASKED = 20  # names that near ones are looked for: a file may hold thousands

Key = tuple[str | None, str | None]
"""Stem and site: both platforms have courses of their own."""


def spellings(course: str) -> set[str]:
    """The stems, in lower case, that the exporter and the research exchange make of a course."""
    body = re.sub(r"^(course|ccx)-v1:", "", course).replace("+ccx@", "+ccx+")
    found = set()
    for strange in "_-":
        ascii_body = "".join(c if ord(c) < 128 else strange for c in body)
        found.add(re.sub(r"[/+]", "-", ascii_body).lower())
    found.add(re.sub(r"[^\w.-]", "_", body).lower())
    return found


def course_of(courses: Mapping[str, int], stem: str | None) -> str | None:
    """The course of a file, by the rows of each that it holds.

    Those that are spelled like its stem come first: a broken row may tell anything.
    """
    spelled = [course for course in courses if (stem or "").lower() in spellings(course)]
    return max(spelled or courses, key=lambda course: courses[course], default=None)


class Stems:
    """What content has told of stems, and what courses are known."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._told: dict[Key, Counter[str]] = {}
        self._known: dict[str, set[str]] = {}
        for course in known:
            self.know(course)

    def know(self, course: str) -> None:
        """Take a course that exists."""
        for spelling in spellings(course):
            self._known.setdefault(spelling, set()).add(course)

    def tell(self, key: Key, course: str) -> None:
        """Take what the content of a file with that stem says."""
        self._told.setdefault(key, Counter())[course] += 1
        self.know(course)

    def course(self, key: Key) -> str | None:
        """The one course that it can be; None if there is none, or several with equal right."""
        if told := self._told.get(key):
            course, files = told.most_common(1)[0]
            return course if files * 2 > told.total() else None
        known = self._known.get((key[0] or "").lower(), set())
        return next(iter(known)) if len(known) == 1 else None


@dataclass(frozen=True)
class TableChoice:
    """Which files are wanted: conditions of different kinds joined by and, values by or.

    Attributes:
        courses: exact ids or globs; none means all.
        tables: names; none means all.
        sites: as in `prod`, `edge`; none means all.
        known_courses: ids that exist: a file whose course nothing tells is of one spelled like it.
    """

    courses: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    known_courses: tuple[str, ...] = ()

    @property
    def exact_courses(self) -> list[str]:
        """Those courses that are no globs."""
        return [course for course in self.courses if not is_value_glob(course)]

    def hints(self, names: Sequence[MemberName]) -> list[str]:
        """Name what files are of that are nearest to what was asked for, where nothing was found.

        Args:
            names: of all files.
        """
        of_courses = [one for one in names if one.table is not None and one.table.is_of_course]
        stems = sorted({one.stem for one in of_courses if one.stem is not None})
        sites = sorted({one.site for one in names if one.site is not None})
        hints = []
        for what, asked, there in (
            ("courses", self._spelled, {stem.lower(): stem for stem in stems}),
            ("sites", set(self.sites), {site: site for site in sites}),
        ):
            if asked and there and asked.isdisjoint(there):
                near = [
                    one
                    for name in sorted(asked)[:_ASKED]
                    for one in get_close_matches(name, there, 3, 0)
                ]
                named = ", ".join(dict.fromkeys(there[one] for one in near))
                hints.append(f"nothing was converted; {what} in the names of files: {named}")
        return hints

    def wants_course(self, course: str | None) -> bool:
        """Whether a course is wanted; one that is not known is, only if all are."""
        if not self.courses or course is None:
            return not self.courses
        return course in self._exact or any(value_matches(course, one) for one in self._globs)

    @cached_property
    def _exact(self) -> frozenset[str]:
        return frozenset(self.exact_courses)

    @cached_property
    def _globs(self) -> list[str]:
        return [course for course in self.courses if is_value_glob(course)]

    @cached_property
    def _spelled(self) -> frozenset[str]:
        return frozenset(spelling for course in self.courses for spelling in spellings(course))

    def wants(self, name: MemberName) -> bool:
        """Whether a file is one of a table and site that are wanted."""
        table = None if name.failed else name.table
        if table is None or (self.tables and table.name not in self.tables):
            return False
        return not self.sites or name.site in self.sites

    def may_be_wanted(self, stem: str | None) -> bool:
        """Whether one of the courses can be spelled like that; names can be cut."""
        if not self.courses or self._globs:
            return True
        spelled = (stem or "").lower()
        return spelled in self._spelled or (
            len(spelled) > 100 and any(one.startswith(spelled) for one in self._spelled)
        )


PROBED = (
    "student_courseenrollment",
    "course_structure",
    "forum",
    "certificates_generatedcertificate",
    "grades_persistentcoursegrade",
    "student_anonymoususerid",
    "courseware_studentmodule",
)
"""Tables to look into, the likeliest to hold a row first."""

_KEY = re.compile(rb'"(?:(?:ccx-)?block-v1:|i4x://)(?:[^"\\]|\\.)*"')
_NEW_BLOCK = re.compile(r"(?P<ccx>ccx-)?block-v1:(?P<body>.+?)\+type@.*", re.DOTALL)
_OLD_ROOT = re.compile(r"i4x://([^/]+)/([^/]+)/course/([^/]+)")
_IN_POST = re.compile(rb'"course_id"\s*:\s*("(?:[^"\\]|\\.)*")')


def course_in_structure(text: bytes) -> str | None:
    """The course of the usage keys that a course structure begins with."""
    for match in _KEY.finditer(text):
        key = _decoded(match[0]) or ""
        if new := _NEW_BLOCK.fullmatch(key):
            return f"{'ccx-v1' if new['ccx'] else 'course-v1'}:{new['body']}"
        if old := _OLD_ROOT.fullmatch(key):
            return "/".join(old.groups())
    return None


def _decoded(string: bytes) -> str | None:
    try:
        text: str = json.loads(string)
    except ValueError:
        return None
    return text


def course_in_head(table: Table, head: bytes) -> str | None:
    """The course that the first bytes of a file, decrypted, tell; None if they do not."""
    if table.dialect is Dialect.STRUCTURE:
        return course_in_structure(head)
    if table.dialect is Dialect.FORUM:
        match = _IN_POST.search(head)
        return _decoded(match[1]) if match else None
    header, *rows = head.split(b"\n", 2)
    names = header.split(b"\t")
    if b"course_id" not in names or not rows:
        return None
    fields = rows[0].split(b"\t")
    if len(fields) != len(names):
        return None
    course = fields[names.index(b"course_id")].decode(errors="replace")
    return course if course not in ("", "NULL") and "\\" not in course else None


_File = tuple[DatabasePackage, Member]


class Courses:
    """Courses of files, as far as they are known: by their content, and by those asked for.

    Args:
        reader: looks into files.
        packages: all that are read.
        choice: whose known and exact course ids exist.
        workers: files looked into at once.
    """

    def __init__(
        self,
        reader: TableReader,
        packages: Sequence[DatabasePackage],
        choice: TableChoice,
        workers: int,
    ) -> None:
        self._reader = reader
        self._packages = packages
        self._workers = workers
        self._stems = Stems([*choice.exact_courses, *choice.known_courses])

    def course(self, key: Key) -> str | None:
        """The course of files with that stem; None if it is not known."""
        return self._stems.course(key)

    def tell(self, key: Key, course: str) -> None:
        """Take what the content of a file with that stem says."""
        self._stems.tell(key, course)

    def probe(self, files: Sequence[_File]) -> None:
        """Look into a file or two beside each of these, for its course."""
        wanted = {(package.place, member.name.key) for package, member in files}
        groups: dict[tuple[str, Key], list[_File]] = {}
        for package in self._packages:
            for member in package.members:
                group = (package.place, member.name.key)
                if member.table is not None and member.table.name in PROBED and group in wanted:
                    groups.setdefault(group, []).append((package, member))

        tasks = [partial(self._look, sorted(its, key=_order)) for its in groups.values()]
        with Workers(tasks, self._workers) as workers:
            for _ in workers:
                pass

    def _look(self, beside: Sequence[_File]) -> None:
        for package, member in beside:
            assert member.table is not None
            course = course_in_head(member.table, self._reader.first_bytes(package, member))
            if course is not None:
                self.tell(member.name.key, course)
                return


def _order(file: _File) -> int:
    table = file[1].table
    return len(PROBED) if table is None else PROBED.index(table.name)
