"""The conditions on events, in one table that everything else follows.

Options of the command, keywords of Python, keys of job files, suggestions, reports and the compiled
query are made from it, or tested against it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from edxlogs.values import Moment, Values


class ConditionKind(enum.Enum):
    """What a condition accepts."""

    VALUES = "values"
    """One or several values; `@FILE` stands for those in a file."""
    EXPRESSIONS = "expressions"
    """One or several expressions, all of which must hold."""
    MOMENT = "moment"
    """A day or an instant."""
    TIME = "time"
    """The name of the time that moments refer to."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. A condition on values can be negated: with `exclude_` before its name.

    Attributes:
        name: its name as a keyword and in job files. The option has hyphens.
        kind: what it accepts.
        into: keyword of `_core.Query`, and key of reports, that receives its values.
        metavar: how help calls a value.
        help: help of the option.
        columns: columns that hold such values, for suggestions; none for people.
        is_hidden: whether its values may name people, so that they are never shown.
    """

    name: str
    kind: ConditionKind
    into: str
    metavar: str
    help: str
    columns: tuple[str, ...] = ()
    is_hidden: bool = False

    @property
    def option(self) -> str:
        """Its name on the command line, without the leading hyphens."""
        return self.name.replace("_", "-")

    @property
    def is_negatable(self) -> bool:
        """Whether it also exists with `exclude_`."""
        return self.kind is ConditionKind.VALUES

    @property
    def names(self) -> tuple[str, ...]:
        """Its own name, and that of its negation if there is one."""
        return (self.name, f"exclude_{self.name}") if self.is_negatable else (self.name,)


_COURSE = "Course id, or glob (course-v1:UnivX+CS101+*)."
_TYPE = "Event type, or glob (edx.forum.*); also matches name, which mobile events have."
_CATEGORY = "Group of event types: video, problem, forum, …."
_SOURCE = "server, browser, mobile or task."
_SITE = "prod, edge, …, from the names of the sources."
_SINCE = "First day or instant (UTC), included."
_UNTIL = "Day or instant (UTC) to stop at, not included."
_BY = "Which time --since and --until refer to."
_WHERE = "Condition on any field: event.grade >= 0.5."
_VALUES = ConditionKind.VALUES

CONDITIONS = (
    Condition("course", _VALUES, "courses", "ID", _COURSE, ("course_id",)),
    Condition("org", _VALUES, "orgs", "ORG", "Organisation, case ignored.", ("org_id",)),
    Condition("event_type", _VALUES, "event_types", "TYPE", _TYPE, ("event_type", "name")),
    Condition("category", _VALUES, "event_types", "NAME", _CATEGORY),
    Condition("event_source", _VALUES, "event_sources", "SOURCE", _SOURCE, ("event_source",)),
    Condition("user", _VALUES, "users", "USER", "Username or user id.", is_hidden=True),
    Condition("site", _VALUES, "sites", "SITE", _SITE, ("site",)),
    Condition("since", ConditionKind.MOMENT, "since", "TIME", _SINCE),
    Condition("until", ConditionKind.MOMENT, "until", "TIME", _UNTIL),
    Condition("by", ConditionKind.TIME, "by_received_at", "", _BY),
    Condition(
        "where", ConditionKind.EXPRESSIONS, "expressions", "EXPRESSION", _WHERE, is_hidden=True
    ),
)
NAMES = tuple(name for one in CONDITIONS for name in one.names)


class TimelessWords(TypedDict, total=False):
    """The conditions as keywords, except which time to compare."""

    course: Values
    org: Values
    event_type: Values
    category: Values
    event_source: Values
    user: Values
    site: Values
    exclude_course: Values
    exclude_org: Values
    exclude_event_type: Values
    exclude_category: Values
    exclude_event_source: Values
    exclude_user: Values
    exclude_site: Values
    since: Moment
    until: Moment
    where: Values


class ConditionWords(TimelessWords, total=False):
    """The conditions as keywords, for type checkers. A test compares them with the table."""

    by: str
