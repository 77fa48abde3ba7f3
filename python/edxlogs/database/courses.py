"""Which files of packages are wanted, and of which course each is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from edxlogs.database.package import DatabasePackage, Member
from edxlogs.database.probe import PROBED, course_in_head
from edxlogs.database.reading import TableReader
from edxlogs.database.stems import Key, Stems, spellings
from edxlogs.edx.members import MemberName
from edxlogs.threads import Workers

_File = tuple[DatabasePackage, Member]


@dataclass(frozen=True, slots=True)
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
        return [course for course in self.courses if not re.search(r"[*?]", course)]

    def hints(self, names: Sequence[MemberName]) -> list[str]:
        """Name what files are of that are nearest to what was asked for, where nothing was found.

        Args:
            names: of all files.
        """
        of_courses = [one for one in names if one.table is not None and one.table.is_of_course]
        stems = sorted({one.stem for one in of_courses if one.stem is not None})
        sites = sorted({one.site for one in names if one.site is not None})
        hints = []
        spelled = {spelling for course in self.courses for spelling in spellings(course)}
        for what, asked, there in (
            ("courses", spelled, {stem.lower(): stem for stem in stems}),
            ("sites", set(self.sites), {site: site for site in sites}),
        ):
            if asked and there and asked.isdisjoint(there):
                near = [
                    one for name in sorted(asked) for one in get_close_matches(name, there, 3, 0)
                ]
                named = ", ".join(dict.fromkeys(there[one] for one in near))
                hints.append(f"nothing was converted; {what} in the names of files: {named}")
        return hints

    def wants_course(self, course: str | None) -> bool:
        """Whether a course is wanted; one that is not known is, only if all are."""
        return not self.courses or (course is not None and self._matches(course))

    def _matches(self, course: str) -> bool:
        return any(_glob(pattern).fullmatch(course) for pattern in self.courses)

    def wants(self, name: MemberName) -> bool:
        """Whether a file is one of a table and site that are wanted."""
        table = None if name.failed else name.table
        if table is None or (self.tables and table.name not in self.tables):
            return False
        return not self.sites or name.site in self.sites

    def may_be_wanted(self, stem: str | None) -> bool:
        """Whether one of the courses can be spelled like that; names can be cut."""
        if not self.courses or len(self.exact_courses) < len(self.courses):
            return True
        spelled = (stem or "").lower()
        return any(
            spelling == spelled or (len(spelled) > 100 and spelling.startswith(spelled))
            for course in self.courses
            for spelling in spellings(course)
        )


def _glob(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"([*?])", pattern)
    special = {"*": ".*", "?": "."}
    return re.compile("".join(special.get(part, re.escape(part)) for part in parts), re.DOTALL)


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

        def probe(beside: list[_File]) -> Callable[[], None]:
            return lambda: self._look(sorted(beside, key=_order))

        tasks = [probe(beside) for beside in groups.values()]
        workers = Workers(tasks, self._workers).start() if tasks else None
        for _ in tasks:
            assert workers is not None
            try:
                workers.take()
            except BaseException:
                workers.stop()
                raise

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
