"""Turns conditions in the user's words into a query."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import orjson

from edxlogs import _core
from edxlogs.edx.categories import event_types_of
from edxlogs.errors import ConfigError
from edxlogs.events.conditions import CONDITIONS, NAMES, ConditionKind
from edxlogs.sources.window import DEFAULT_SLACK, Slack, Window
from edxlogs.text import shown
from edxlogs.values import Values, texts, values

if TYPE_CHECKING:
    from edxlogs.events.tables import AskedTable

MOST_LINE_BYTES = 1 << 30
_OF_WINDOW = ("site", "exclude_site", "since", "until", "by")


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which events are wanted. An event must meet every condition, with one of its values.

    Attributes:
        window: sites and times of the events, which choose among the sources too.
        asked: values of the other conditions, by their names in `CONDITIONS`. Not printed, since
            they may name people.
    """

    window: Window = field(default_factory=Window)
    asked: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls, *, days: str | None = None, slack: Slack | str | None = DEFAULT_SLACK, **given: Any
    ) -> Self:
        """Make conditions from keywords: the names of `CONDITIONS`, each with one or more values.

        Files of values are read here, once: a pipe cannot be read again, and a file may change.

        Raises:
            ConfigError: a value is invalid.
        """
        if unknown := given.keys() - set(NAMES):
            raise TypeError(f"unknown keyword: {', '.join(sorted(unknown))}")
        times = {name: given[name] for name in _OF_WINDOW if name in given}
        window = Window.of(days=days, slack=slack, **times)
        asked = {}
        for one in CONDITIONS:
            read = texts if one.kind is ConditionKind.EXPRESSIONS else values
            for name in one.names:
                if name in _OF_WINDOW:
                    continue
                told = name.replace("_", "-")
                if found := read(told, given.get(name), is_hidden=one.is_hidden):
                    asked[name] = tuple(found)
        return cls(window, asked)

    def values(self, name: str) -> tuple[str, ...]:
        """The values of the condition of that name."""
        sites = {"site": self.window.sites, "exclude_site": self.window.exclude_sites}
        return sites[name] if name in sites else self.asked.get(name, ())

    def keywords(self) -> dict[str, Any]:
        """The conditions as `_core.Query` takes them.

        Raises:
            ConfigError: a category is unknown.
        """
        found: dict[str, Any] = {}
        for one in CONDITIONS:
            if one.kind in (ConditionKind.MOMENT, ConditionKind.TIME):
                found[one.into] = getattr(self.window, one.into)
                continue
            for name in one.names:
                into = found.setdefault(name.replace(one.name, one.into), [])
                for value in self.values(name):
                    into += event_types_of(value) if one.name == "category" else [value]
        return found

    def shown(self) -> dict[str, Any]:
        """The conditions that were asked for, in the form in which they may be shown.

        For people, the number of values is shown. Expressions have `…` for their values.

        Raises:
            ConfigError: a category is unknown, or an expression is invalid.
        """
        asked = {
            name: value
            for name, value in self.keywords().items()
            if value is not None and value is not False and value != []
        }
        for name, told in self._hidden():
            asked[name] = len(told)
            if name == "expressions":
                asked[name] = [_core.expression(text, hides_values=True) for text in told]
        if self.window.days is not None:
            asked["days"] = str(self.window.days)
        return asked

    def hidden(self) -> bytes:
        """What is not shown, as a canonical text; empty if everything is shown.

        Raises:
            ConfigError: an expression is invalid.
        """
        hidden = {}
        for name, told in self._hidden():
            is_where = name == "expressions"
            hidden[name] = sorted({_core.expression(one) if is_where else one for one in told})
        return orjson.dumps(hidden, option=orjson.OPT_SORT_KEYS) if hidden else b""

    def _hidden(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The values that are not shown, by their names in reports."""
        for one in CONDITIONS:
            for name in one.names if one.is_hidden else ():
                if told := self.values(name):
                    yield name.replace(one.name, one.into), told


def make_query(
    conditions: Conditions,
    *,
    columns: Values = None,
    collect: str = "columns",
    check: str = "fast",
    strict: bool = False,
    course_from: str = "all",
    time_from: str | None = None,
    max_line_bytes: int | None = None,
    keep_rejects: bool = False,
    partition_by: Sequence[str] = (),
    known_courses: Collection[str] | None = None,
    encodes_case: bool = False,
    table: AskedTable | None = None,
) -> _core.Query:
    """Make a query from conditions and options.

    `partition_by`, `known_courses` and `encodes_case` are for datasets; see `_core.Query`. With a
    `table`, rows are those of that event table, and no columns are given.

    Raises:
        ConfigError: a condition, a column or an option is invalid.
    """
    if check not in ("fast", "full"):
        raise ConfigError(f"check: '{shown(check)}': is not known; use fast or full")
    if course_from not in ("all", "context"):
        raise ConfigError(f"course-from: '{shown(course_from)}': is not known; use all or context")
    if max_line_bytes is not None and max_line_bytes < 1:
        raise ConfigError("max-line-bytes: must be 1 or more")
    if max_line_bytes is not None and max_line_bytes > MOST_LINE_BYTES:
        raise ConfigError("max-line-bytes: must be 1 GiB or less")
    keywords = conditions.keywords()
    asked = [(name, values) for name, values in keywords.items() if isinstance(values, list)]
    return _core.Query(
        conditions=[(name, values) for name, values in asked if values],
        **{name: keywords[name] for name in ("since", "until", "by_received_at")},
        columns=None if columns is None else texts("columns", columns),
        collect=collect,
        check_full=check == "full",
        strict=strict,
        course_from_context=course_from == "context",
        time_from=time_from,
        max_line_bytes=max_line_bytes,
        keep_rejects=keep_rejects,
        partition_by=partition_by,
        known_courses=None if known_courses is None else set(known_courses),
        encodes_case=encodes_case,
        **({} if table is None else table.words()),
    )
