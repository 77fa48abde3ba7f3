"""Which course the files of a package belong to.

Files of one course share a stem, `{Org}-{Course}-{Run}`, which cannot be split: each part may hold
hyphens, and several courses can have one stem. So a course is taken from the content: of the file
itself, else what most of the other files with its stem tell; else a known course is, whose spelling
is the stem.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

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
