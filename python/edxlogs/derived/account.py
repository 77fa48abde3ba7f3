"""What became of each course when derived tables were made, and what was not known about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from edxlogs import _core
from edxlogs.derived.definition import DATABASE
from edxlogs.text import many

SCHEMA_VERSION = 1
_MOST_COUNTS = 12  # lines of what was counted; the report has all


@dataclass(slots=True)
class CourseAccount:
    """What became of one course.

    Attributes:
        course: its id.
        made: tables that were made again.
        rows: rows of each table that exists.
        lacking: missing inputs, each with the tables in which values are therefore null.
        left: tables that cannot be made, each with the reason.
        counts: rows that were left out, by reason.
        warnings: one sentence each.
        error: why nothing was made, or None. What existed before stays.
    """

    course: str
    made: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    lacking: dict[str, list[str]] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    error: str | None = None


@dataclass(slots=True, repr=False)
class Derived:
    """The result of `derive`. It prints as a few lines.

    Attributes:
        output: folder or URL of the tables.
        courses: the courses, in the order of their ids.
        no_course: events that belong to no course, and so are in no table.
        failed: why a course was not made, one sentence each.
        seconds: how long the run took.
    """

    output: str
    courses: list[CourseAccount] = field(default_factory=list)
    no_course: int = 0
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether every course is up to date with its inputs."""
        return not self.failed

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each table, over all courses of the run."""
        total: Counter[str] = Counter()
        for one in self.courses:
            total.update(one.rows)
        return dict(total)

    def report(self) -> dict[str, Any]:
        """The result as a JSON document."""
        return {
            "schema_version": SCHEMA_VERSION,
            "version": _core.__version__,
            "output": self.output,
            "seconds": round(self.seconds, 3),
            "rows": self.rows,
            "no_course": self.no_course,
            "failed": self.failed,
            "courses": [asdict(one) for one in self.courses],
        }

    def summary(self) -> Iterator[str]:
        """The result in a few lines. What many courses share is said once."""
        made = sum(bool(one.made) for one in self.courses)
        failed = sum(one.error is not None for one in self.courses)
        same = len(self.courses) - made - failed
        yield (
            f"{many(len(self.courses), 'course')}: {made:,} made, {same:,} unchanged,"
            f" {failed:,} failed, {self.seconds:.1f} s"
        )
        yield from self._lacking()
        left = Counter((why, table) for one in self.courses for table, why in one.left.items())
        for (why, table), count in sorted(left.items()):
            yield f"not made: {table} of {many(count, 'course')}: {why}"
        counts: Counter[str] = Counter()
        for one in self.courses:
            counts.update(one.counts)
        told = [f"{what}: {count:,}" for what, count in sorted(counts.items()) if count]
        yield from told[:_MOST_COUNTS]
        if len(told) > _MOST_COUNTS:
            yield f"{len(told) - _MOST_COUNTS:,} more counts: --report shows them"
        if self.no_course:
            yield f"events without a course: {self.no_course:,}"
        rows = self.rows
        yield f"{many(sum(rows.values()), 'row')} in {many(len(rows), 'table')}: to {self.output}"

    def _lacking(self) -> Iterator[str]:
        """Missing inputs, and the tables in which they cause nulls."""
        courses: Counter[str] = Counter()
        tables: dict[str, set[str]] = {}
        for one in self.courses:
            courses.update(one.lacking.keys())
            for name, its in one.lacking.items():
                tables.setdefault(name, set()).update(its)
        together: dict[tuple[int, tuple[str, ...]], list[str]] = {}
        for name in sorted(courses):
            together.setdefault((courses[name], tuple(sorted(tables[name]))), []).append(name)
        for (count, where_null), lacking in together.items():
            need = "need it" if len(lacking) == 1 else "need them"
            where = f"columns that {need} are null in {', '.join(where_null)}"
            yield f"missing in {many(count, 'course')}: {_listed(lacking)}: {where}"

    def __str__(self) -> str:
        return "\n".join(self.summary())

    __repr__ = __str__


def _listed(inputs: Sequence[str]) -> str:
    return ", ".join(name.removeprefix(DATABASE) for name in inputs)
