"""The conditions on events: one table, which all that knows of conditions reads.

The options of the command, the keywords of Python, the keys of a job file, the suggestions, the
reports and the compiled query follow it, or are tested against it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from edxlogs.values import Moment, Values


class Kind(enum.Enum):
    """What a condition takes."""

    VALUES = "values"
    """One or several; `@FILE` stands for those in a file."""
    EXPRESSIONS = "expressions"
    """One or several, all of which must hold."""
    MOMENT = "moment"
    """A day or an instant."""
    TIME = "time"
    """The name of the time that moments mean."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition.

    Attributes:
        name: as a keyword and as a key of a job file; the option has hyphens.
        kind: what it takes.
        into: keyword of `_core.Query` that gets its values, and of reports.
        metavar: what help calls a value.
        help: of the option.
        columns: where its values stand in rows, for suggestions; none of people.
        called: by suggestions.
        negatable: whether there is also one with `exclude_`.
    """

    name: str
    kind: Kind
    into: str
    metavar: str
    help: str
    columns: tuple[str, ...] = ()
    called: str = ""
    negatable: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Its own name, and that of its negation if it has one."""
        return (self.name, f"exclude_{self.name}") if self.negatable else (self.name,)


CONDITIONS = (
    Condition(
        "course",
        Kind.VALUES,
        "courses",
        "ID",
        "Course id, or glob (course-v1:UnivX+CS101+*).",
        ("course_id",),
        "course",
        negatable=True,
    ),
    Condition(
        "org",
        Kind.VALUES,
        "orgs",
        "ORG",
        "Organisation, whatever its case.",
        ("org_id",),
        "organisation",
        negatable=True,
    ),
    Condition(
        "event_type",
        Kind.VALUES,
        "event_types",
        "TYPE",
        "Event type, or glob (edx.forum.*). Matches event_type or name: mobile events carry the"
        " modern name there.",
        ("event_type", "name"),
        "event type",
        negatable=True,
    ),
    Condition(
        "category",
        Kind.VALUES,
        "event_types",
        "NAME",
        "Group of event types: video, problem, forum, ….",
        negatable=True,
    ),
    Condition(
        "event_source",
        Kind.VALUES,
        "event_sources",
        "SOURCE",
        "server, browser, mobile or task.",
        ("event_source",),
        "event source",
        negatable=True,
    ),
    Condition("user", Kind.VALUES, "users", "USER", "Username or user id.", negatable=True),
    Condition(
        "site",
        Kind.VALUES,
        "sites",
        "SITE",
        "prod, edge, …, as the names of the sources tell.",
        ("site",),
        "site",
        negatable=True,
    ),
    Condition("since", Kind.MOMENT, "since", "TIME", "First day or instant (UTC), included."),
    Condition("until", Kind.MOMENT, "until", "TIME", "Last day or instant (UTC), not included."),
    Condition("by", Kind.TIME, "by_received_at", "", "The time that --since and --until mean."),
    Condition(
        "where",
        Kind.EXPRESSIONS,
        "expressions",
        "EXPRESSION",
        "Condition on any field: event.grade >= 0.5.",
    ),
)
NAMES = tuple(name for one in CONDITIONS for name in one.names)


class ConditionWords(TypedDict, total=False):
    """The conditions as keywords, for type checkers; a test holds them against the table."""

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
    by: str
    where: Values
