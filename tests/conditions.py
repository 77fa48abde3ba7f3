"""Random conditions, for the product and for the oracle at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

import oracle
import product
from expressions import expressions

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Names of a kind: for the oracle, for the product and of the columns it looks at.
_KINDS = (
    ("courses", "course", ("course_id",)),
    ("orgs", "org", ("org_id",)),
    ("event_types", "event_type", ("event_type", "name")),
    ("event_sources", "event_source", ("event_source",)),
    ("users", "user", ("username", "user_id")),
)
_OTHERS = {
    "course": ["course-v1:UniX+CS101+2015", "UniX/CS101/2012_Fall", "course-v1:*", "*/CS10?/*"],
    "org": ["UNIX", "unix", "edX"],
    "event_type": ["play_video", "edx.*", "*video*", "problem_chec?", "/dashboard"],
    "event_source": ["server", "browser", "mobile", "task"],
    "user": ["learner_17", "170017", "7"],
}


@dataclass
class Conditions:
    """The same conditions twice: as `edxlogs.filter` takes them, and as the oracle does."""

    asked: dict[str, Any] = field(default_factory=dict)
    judged: dict[str, Any] = field(default_factory=dict)

    def __and__(self, other: Conditions) -> Conditions:
        assert not self.asked.keys() & other.asked.keys()
        return Conditions(self.asked | other.asked, self.judged | other.judged)

    def options(self) -> list[str]:
        """The words of the command line."""
        words = []
        for name, value in self.asked.items():
            option = "--" + name.replace("_", "-")
            values = value if isinstance(value, list) else [value]
            for one in values:
                words.append(f"{option}={one.isoformat() if isinstance(one, datetime) else one}")
        return words

    def select(self, path: Path) -> list[product.Row]:
        """The oracle's rows of a file that match.

        Their columns alone do not tell: an object is no name, and a text that looks like one is.
        """
        return oracle.filter_file(path, **self.judged)


def conditions(rows: Sequence[product.Row], *, most: int = 3) -> SearchStrategy[Conditions]:
    """Conditions of different kinds, most of whose values stand in the rows."""
    return _conditions(rows, most)


@st.composite
def _conditions(draw: DrawFn, rows: Sequence[product.Row], most: int) -> Conditions:
    found = Conditions()
    names = [*(kind[1] for kind in _KINDS), "time", "where"]
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=most, unique=True)):
        if name == "time":
            _times(draw, rows, found)
            continue
        if name == "where":
            row = draw(st.sampled_from(rows)) if rows else dict.fromkeys(oracle.COLUMNS)
            expression = draw(expressions(row))
            found.asked[name], found.judged[name] = str(expression), expression.truth
            continue
        mine, theirs, columns = next(kind for kind in _KINDS if kind[1] == name)
        present = {str(row[column]) for row in rows for column in columns}
        values = sorted({*filter(_is_usable, present), *_OTHERS[name]})
        if name in ("org", "event_source"):
            values = [value for value in values if not set(value) & set("*?")]
        chosen = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
        if name in ("course", "event_type"):
            chosen = [draw(_glob(value)) for value in chosen]
        prefix = draw(st.sampled_from(["", "", "exclude_"]))
        found.asked[prefix + theirs] = chosen
        found.judged[prefix + mine] = chosen
    return found


def _is_usable(value: str) -> bool:
    """Whether a value can be asked for, and means the same as a name and as a number."""
    number = re.fullmatch(r"\s*[+-]?\d+\s*", value) is not None
    canonical = number and value.isascii() and str(int(value)) == value
    return bool(value.strip()) and not value.startswith("@") and (canonical or not number)


@st.composite
def _glob(draw: DrawFn, value: str) -> str:
    """The value, or a glob that matches it."""
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(value))] * 2)))
    form = draw(st.sampled_from(["as it is", "as it is", "run", "one"]))
    if form == "run":
        value = f"{value[:start]}*{value[end:]}"
    elif form == "one" and start < len(value):
        value = f"{value[:start]}?{value[start + 1 :]}"
    return value if _is_usable(value) else "*"


def _times(draw: DrawFn, rows: Sequence[product.Row], found: Conditions) -> None:
    by = draw(st.sampled_from(["time", "received_at"]))
    present = [row[column] for row in rows for column in ("time", "received_at")]
    known = [time for time in present if time is not None and abs(time) < 2**55]
    times = st.sampled_from([*known, 0, 1_443_668_558_407_715])
    since, until = sorted(draw(st.tuples(times, times)))
    ends = draw(st.sampled_from(["since", "until", "both"]))
    if ends in ("since", "both"):
        found.judged["since"] = since
    if ends in ("until", "both"):
        found.judged["until"] = until + 1
    for name in ("since", "until"):
        if name in found.judged:
            moment = _EPOCH + timedelta(microseconds=found.judged[name])
            found.asked[name] = moment
    found.judged["by"] = found.asked["by"] = by
