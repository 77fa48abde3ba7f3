"""Conditions in the user's words, made a query."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edxlogs import _core
from edxlogs.edx.categories import event_types_of
from edxlogs.edx.layout import Days
from edxlogs.errors import ConfigError
from edxlogs.sources.source import DEFAULT_SLACK, Slack
from edxlogs.text import shown
from edxlogs.values import Moment, ReadValues, Values, micros, texts, values

_MOST_LINE_BYTES = 1 << 30


# Conditions that take values, or files of them.
_KINDS = tuple(
    f"{prefix}{kind}"
    for prefix in ("", "exclude_")
    for kind in ("course", "org", "event_type", "category", "event_source", "user", "site")
)


@dataclass(slots=True)
class Conditions:
    """Which events are wanted. Kinds are joined by *and*, the values of one kind by *or*.

    Each kind takes one value or several; `@FILE` stands for the lines of a file. See the help of
    `edxlogs filter` for what they match. Sites and days choose among the sources, by their names.
    """

    course: Values = None
    org: Values = None
    event_type: Values = None
    category: Values = None
    event_source: Values = None
    user: Values = None
    site: Values = None
    exclude_course: Values = None
    exclude_org: Values = None
    exclude_event_type: Values = None
    exclude_category: Values = None
    exclude_event_source: Values = None
    exclude_user: Values = None
    exclude_site: Values = None
    since: Moment = None
    until: Moment = None
    by: str = "time"
    where: Values = None
    slack: Slack | None = field(default_factory=lambda: DEFAULT_SLACK)
    days: Days | None = None

    def __post_init__(self) -> None:
        """Read the files of values once: a pipe cannot be read again, and a file may change."""
        for name in _KINDS:
            setattr(self, name, ReadValues(values(name.replace("_", "-"), getattr(self, name))))

    def keywords(self) -> dict[str, Any]:
        """The conditions as `_core.Query` takes them.

        Raises:
            ConfigError: a value cannot be used.
        """
        if self.by not in ("time", "received_at"):
            raise ConfigError(f"by: '{shown(self.by)}': is no time; use time or received_at")
        since, until = micros("since", self.since), micros("until", self.until)
        if since is not None and until is not None and since >= until:
            raise ConfigError("since: is not before until; --until itself is not included")
        event_types = values("event-type", self.event_type)
        for category in values("category", self.category):
            event_types += event_types_of(category)
        excluded = values("exclude-event-type", self.exclude_event_type)
        for category in values("exclude-category", self.exclude_category):
            excluded += event_types_of(category)
        return {
            "courses": values("course", self.course),
            "orgs": values("org", self.org),
            "event_types": event_types,
            "event_sources": values("event-source", self.event_source),
            "users": values("user", self.user),
            "sites": _sites("site", self.site),
            "exclude_courses": values("exclude-course", self.exclude_course),
            "exclude_orgs": values("exclude-org", self.exclude_org),
            "exclude_event_types": excluded,
            "exclude_event_sources": values("exclude-event-source", self.exclude_event_source),
            "exclude_users": values("exclude-user", self.exclude_user),
            "exclude_sites": _sites("exclude-site", self.exclude_site),
            "since": since,
            "until": until,
            "by_received_at": self.by == "received_at",
            "expressions": texts("where", self.where),
        }

    def wants_site(self, site: str | None) -> bool:
        """Whether sources of a site are read; without one, each of their lines is asked."""
        wanted, unwanted = _sites("site", self.site), _sites("exclude-site", self.exclude_site)
        return site is None or ((not wanted or site in wanted) and site not in unwanted)

    def wants_day(self, day: datetime.date | None) -> bool:
        """Whether sources of a day are read; those without a day in their name are."""
        return self.days is None or day in self.days

    def shown(self) -> dict[str, Any]:
        """Those conditions that ask for something, for reports."""
        asked = {
            name: value
            for name, value in self.keywords().items()
            if value is not None and value is not False and value != []
        }
        if self.days is not None:
            asked["days"] = str(self.days)
        return asked


def _sites(what: str, given: Values) -> list[str]:
    """Sites by the names that rows have: edX also writes `edx` for `prod`."""
    return ["prod" if site == "edx" else site for site in values(what, given)]


def make_query(
    conditions: Conditions,
    *,
    columns: Values = None,
    collect: str = "columns",
    check: str = "fast",
    strict: bool = False,
    course_from: str = "all",
    max_line_bytes: int | None = None,
    keep_rejects: bool = False,
    partition_by: Sequence[str] = (),
    known_courses: Values = None,
    encodes_case: bool = False,
) -> _core.Query:
    """The query of conditions and options.

    The last three are for datasets; see `_core.Query`.

    Raises:
        ConfigError: a condition, a column or an option cannot be used.
    """
    if check not in ("fast", "full"):
        raise ConfigError(f"check: '{shown(check)}': is not known; use fast or full")
    if course_from not in ("all", "context"):
        raise ConfigError(f"course-from: '{shown(course_from)}': is not known; use all or context")
    if max_line_bytes is not None and max_line_bytes < 1:
        raise ConfigError("max-line-bytes: must be 1 or more")
    if max_line_bytes is not None and max_line_bytes > _MOST_LINE_BYTES:
        raise ConfigError("max-line-bytes: must be 1 GiB or less")
    return _core.Query(
        **conditions.keywords(),
        columns=None if columns is None else texts("columns", columns),
        collect=collect,
        check_full=check == "full",
        strict=strict,
        course_from_context=course_from == "context",
        max_line_bytes=max_line_bytes,
        keep_rejects=keep_rejects,
        partition_by=partition_by,
        known_courses=None
        if known_courses is None
        else set(values("known-courses", known_courses)),
        encodes_case=encodes_case,
    )
