"""Which files of packages are wanted, and to which course each belongs.

Files of one course share a stem, `{Org}-{Course}-{Run}`. It cannot be split, because each part may
contain hyphens, and several courses can have the same stem. So the course is taken from the
content: that of the file itself, else what most other files with its stem say. Failing that, it is
a known course whose spelling is the stem.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, partial

from edxlogs.account import Outcome
from edxlogs.database.account import PackedFile, RowCounts, Task
from edxlogs.database.package import DatabasePackage, Member
from edxlogs.database.reading import TableReader
from edxlogs.database.tars import PassingFile
from edxlogs.edx.members import Key, MemberName
from edxlogs.edx.tables import Dialect, Table, tables
from edxlogs.globs import is_value_glob, value_matches
from edxlogs.text import shown
from edxlogs.threads import Workers

_ASKED = 20  # names that near ones are looked for: a file may hold thousands
_IN_ID = re.compile("[+/]")

Found = tuple[str | None, str | None]
"""Course and stem of a converted file."""


def spellings(course: str) -> set[str]:
    """The stems, in lower case, that the exporter and the research exchange make from a course."""
    body = re.sub(r"^(course|ccx)-v1:", "", course).replace("+ccx@", "+ccx+")
    found = set()
    for strange in "_-":
        ascii_body = "".join(c if ord(c) < 128 else strange for c in body)
        found.add(re.sub(r"[/+]", "-", ascii_body).lower())
    found.add(re.sub(r"[^\w.-]", "_", body).lower())
    return found


def course_of(courses: Mapping[str, int], stem: str | None) -> str | None:
    """The course of a file, given the number of its rows by course.

    Courses that are spelled like its stem come first, because a broken row may say anything.
    """
    spelled = [course for course in courses if (stem or "").lower() in spellings(course)]
    return max(spelled or courses, key=lambda course: courses[course], default=None)


class Stems:
    """What content has said about stems, and which courses are known."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._told: dict[Key, Counter[str]] = {}
        self._known: dict[str, set[str]] = {}
        for course in known:
            self.know(course)

    def know(self, course: str) -> None:
        """Add a course that exists."""
        for spelling in spellings(course):
            self._known.setdefault(spelling, set()).add(course)

    def tell(self, key: Key, course: str) -> None:
        """Record what the content of a file with this stem says."""
        self._told.setdefault(key, Counter())[course] += 1
        self.know(course)

    def course(self, key: Key) -> str | None:
        """The only course that it can be; None if there is none, or several are equally likely."""
        if told := self._told.get(key):
            course, files = told.most_common(1)[0]
            return course if files * 2 > told.total() else None
        known = self._known.get((key[0] or "").lower(), set())
        return next(iter(known)) if len(known) == 1 else None


@dataclass(frozen=True)
class TableChoice:
    """Which files are wanted. A file must meet every condition, with one of its values.

    Attributes:
        courses: ids, names of courses in file names, or globs over either; empty means all.
        tables: names; empty means all.
        sites: sites, such as `prod` and `edge`; empty means all.
        known_courses: course ids that exist. If nothing in a file tells its course, it is the known
            id that its name spells.
    """

    courses: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    known_courses: tuple[str, ...] = ()

    @property
    def exact_courses(self) -> list[str]:
        """The courses that are given as ids, not as globs or names of files."""
        return [one for one in self.courses if not is_value_glob(one) and _IN_ID.search(one)]

    def hints(
        self, names: Sequence[MemberName], found: Collection[Found], *, any_left: bool
    ) -> list[str]:
        """Suggest what is nearest to what was asked for and not found.

        Args:
            names: names of all files.
            found: courses and stems of those that were converted.
            any_left: whether something was converted, or other messages say why not.
        """
        of_courses = [one for one in names if one.table is not None and one.table.is_of_course]
        stems = {one.stem: None for one in of_courses if one.stem is not None}
        there = {course or stem: None for course, stem in found} | stems
        hints: list[str] = []
        exact = {name.lower() for _, name in found if name} | {name for name, _ in found if name}
        for course in self.courses:
            if course in exact or (is_value_glob(course) and self._holds(course, found)):
                continue
            if course.lower() not in exact or _IN_ID.search(course):
                near = _near(course, there)
                hints.append(
                    f"course: {shown(course)}: no file belongs to it{near and f'; near: {near}'}"
                )
            if len(hints) == _ASKED:
                break
        sites = {one.site: None for one in names if one.site is not None}
        if self.sites and sites and not sites.keys() & set(self.sites):
            hints.append(f"site: in the names of files: {', '.join(sorted(sites))}")
        if not any_left:
            hints.insert(0, "nothing was converted: no file is a table that was asked for")
        return hints

    def _holds(self, glob: str, found: Collection[Found]) -> bool:
        return any(self._matches(glob, *one) for one in found)

    @staticmethod
    def _matches(asked: str, course: str | None, stem: str | None) -> bool:
        """Whether a file is of a course that was asked for, by id or by its name in `db list`."""
        if course is not None and (asked == course or value_matches(course, asked)):
            return True
        return stem is not None and value_matches(stem.lower(), asked.lower())

    def wants_course(self, course: str | None, stem: str | None) -> bool:
        """Whether a course is wanted. An unknown one is wanted only if all are, or by its stem."""
        if not self.courses or course in self._exact or (stem or "").lower() in self._lower:
            return True
        return any(self._matches(one, course, stem) for one in self._globs)

    @cached_property
    def _exact(self) -> frozenset[str | None]:
        return frozenset(self.courses)

    @cached_property
    def _lower(self) -> frozenset[str]:
        return frozenset(course.lower() for course in self.courses)

    @cached_property
    def _globs(self) -> list[str]:
        return [course for course in self.courses if is_value_glob(course)]

    @cached_property
    def _spelled(self) -> frozenset[str]:
        return frozenset(spelling for course in self.courses for spelling in spellings(course))

    def wants(self, name: MemberName) -> bool:
        """Whether a file is of a table and site that are wanted."""
        table = None if name.failed else name.table
        if table is None or (self.tables and table.name not in self.tables):
            return False
        return not self.sites or name.site in self.sites

    def may_be_of(self, name: MemberName, *, unpack: bool) -> bool:
        """Whether a file is wanted, or may be: its course may become known only later."""
        if name.table is None or not self.wants(name) or (name.table.is_content and not unpack):
            return False
        return not name.table.is_of_course or self.may_be_wanted(name.stem)

    def may_be_wanted(self, stem: str | None) -> bool:
        """Whether a wanted course may be spelled like this. Names may be cut."""
        spelled = (stem or "").lower()
        if not self.courses or self._globs or spelled in self._lower:
            return True
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
"""Tables to look into first, in the order of how likely they are to hold a row."""

HEAD_BYTES = (64 << 10, 1 << 20, 16 << 20)
_HEAD_ROWS = 100
_COURSE_COLUMNS = (b"course_id", b"course_key")
_LITERAL = re.compile(rb"b(['\"])(.*)\1")

_KEY = re.compile(rb'"(?:(?:ccx-)?block-v1:|i4x://)(?:[^"\\]|\\.)*"')
_NEW_BLOCK = re.compile(r"(?P<ccx>ccx-)?block-v1:(?P<body>.+?)\+type@.*", re.DOTALL)
_OLD_ROOT = re.compile(r"i4x://([^/]+)/([^/]+)/course/([^/]+)")
_IN_POST = re.compile(rb'"course_id"\s*:\s*("(?:[^"\\]|\\.)*")')


def course_in_structure(text: bytes) -> str | None:
    """The course in the first usage keys of a course structure."""
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


def course_in_head(table: Table, head: bytes, stem: str | None, *, is_whole: bool) -> str | None:
    """The course in the first decrypted bytes of a file; None if they do not tell.

    Args:
        table: the table whose rows it holds.
        head: the first bytes.
        stem: stem in its name.
        is_whole: whether these are all its bytes; otherwise the last row is cut off.
    """
    if table.dialect is Dialect.STRUCTURE:
        return course_in_structure(head)
    if table.dialect is Dialect.FORUM:
        match = _IN_POST.search(head)
        return _decoded(match[1]) if match else None
    header, *rows = head.split(b"\n", _HEAD_ROWS)
    names = header.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r").split(b"\t")
    column = next((at for at, name in enumerate(names) if name in _COURSE_COLUMNS), None)
    if column is None:
        return None
    courses: Counter[str] = Counter()
    for row in rows if is_whole else rows[:-1]:
        fields = row.rstrip(b"\r").split(b"\t")
        if len(fields) == len(names):
            literal = _LITERAL.fullmatch(fields[column])
            course = (literal[2] if literal else fields[column]).decode(errors="replace")
            if course not in ("", "NULL") and "\\" not in course:
                courses[course] += 1
    return course_of(courses, stem)


File = tuple[DatabasePackage, Member]


def found_of(tasks: Iterable[Task]) -> set[Found]:
    """Courses and stems of what was delivered."""
    found: set[Found] = set()
    for task in tasks:
        found.add((task.account.course, task.key[0]))
        if not task.table.is_of_course:
            found.update((course, None) for course in task.courses)
    return found


class Courses:
    """The courses of files, as far as they are known from content and from what was asked for.

    Args:
        reader: looks into files.
        packages: all packages that are read.
        choice: which courses are wanted. Those that are known, or exact ids, exist.
        workers: files to look into at once.
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
        self._choice = choice
        self._stems = Stems([*choice.exact_courses, *choice.known_courses])

    def course(self, key: Key) -> str | None:
        """The course of files with this stem, or None if it is not known."""
        return self._stems.course(key)

    def tell(self, key: Key, course: str) -> None:
        """Record what the content of a file with this stem says."""
        self._stems.tell(key, course)

    def probe(self, files: Sequence[File]) -> None:
        """Look into files beside these to find their courses, as far as necessary."""
        wanted = {
            (package.place, member.name.key)
            for package, member in files
            if self.course(member.name.key) is None
        }
        groups: dict[tuple[str, Key], list[File]] = {}
        for package in self._packages if wanted else ():
            for member in (*package.members, *package.beside):
                group = (package.place, member.name.key)
                if group in wanted and member.table is not None and member.table.tells_course:
                    groups.setdefault(group, []).append((package, member))

        tasks = [partial(self._look, sorted(its, key=_order)) for its in groups.values()]
        with Workers(tasks, self._workers) as workers:
            for _ in workers:
                pass

    def look_into(self, file: PassingFile, name: MemberName) -> None:
        """Record the course in a file of a tar, for the files beside it."""
        table = None if name.failed else name.table
        if table is not None and table.tells_course and self.course(name.key) is None:
            size = HEAD_BYTES[0]
            head = self._reader.head(file.path, file.content.read, size)
            course = course_in_head(table, head, name.stem, is_whole=len(head) < size)
            if course is not None:
                self.tell(name.key, course)

    def name(self, tasks: Sequence[Task]) -> None:
        """Set the course of each file that was read, and leave out those of courses not wanted."""
        for task in tasks:
            if task.table.is_of_course:
                task.account.course = course_of(task.courses, task.key[0])
                if task.account.course is not None:
                    self.tell(task.key, task.account.course)
        for task in tasks:
            account, known = task.account, task.known if task.is_published else None
            if known is not None:
                account.course = known.account.course
            if task.table.is_of_course:
                account.course = account.course or self.course(task.key)
                if self._choice.wants_course(account.course, task.key[0]):
                    account.warn_of_course()
                else:
                    account.status, account.counts = Outcome.LEFT, RowCounts()

    def _look(self, beside: Sequence[File]) -> None:
        """Look into the files one after another, then deeper into those that have more."""
        for size in HEAD_BYTES:
            deeper = []
            for package, member in beside:
                assert member.table is not None
                head = self._reader.first_bytes(package, member, size)
                is_whole, stem = len(head) < size, member.name.stem
                course = course_in_head(member.table, head, stem, is_whole=is_whole)
                if course is not None:
                    self.tell(member.name.key, course)
                    return
                if not is_whole:
                    deeper.append((package, member))
            beside = deeper


def _order(file: File) -> int:
    table = file[1].table
    return PROBED.index(table.name) if table is not None and table.name in PROBED else len(PROBED)


def _near(asked: str, there: Iterable[str | None]) -> str:
    """Similar names, each spelled as in file names."""
    spelled = {min(spellings(one)): one for one in there if one is not None}
    return ", ".join(
        spelled[one] for one in get_close_matches(min(spellings(asked)), spelled, 3, 0)
    )


@dataclass(frozen=True, slots=True)
class Course:
    """The files of one course and site, grouped by their names.

    Attributes:
        stem: organisation, course and run as the exporter wrote them.
        site: its site.
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
    """Tables that no file of the package contains."""
    there = {member.table.name for member in members if member.table is not None}
    return [name for name in tables() if name not in there]


def unknown(members: Iterable[PackedFile]) -> Iterator[PackedFile]:
    """Files whose names match no table."""
    return (member for member in members if member.name.table is None and not member.name.failed)
