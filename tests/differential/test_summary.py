"""`edxlogs summary` against the oracle: random logs, conditions and keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

import counted
import edxlogs
import oracle
import product
import strategies
from conditions import conditions

# Not first in the file, a line tells nothing of what the file is.
FIRST = b'{"event_type": "first", "time": "2015-10-01T03:02:38+00:00"}\n'
LOGS = strategies.log_bytes().map(FIRST.__add__)
BY = st.lists(st.sampled_from(counted.KEYS), min_size=1, max_size=6, unique=True)


def groups(sources: Path | list[Path], keys: list[str], **words: Any) -> counted.Groups:
    """The groups that a summary tells."""
    told = edxlogs.summary(sources, by=keys, **words).groups
    assert told is not None
    assert list(told.columns) == [
        *keys,
        *("events", "people", "people_exact", "first_time", "last_time"),
    ]
    assert all(row[len(keys) + 2] for row in told.rows)
    return {row[: len(keys)]: (*row[len(keys) :][:2], *row[-2:]) for row in told.rows}


@given(log=LOGS, keys=BY, clock=st.sampled_from(["time", "received_at"]), data=st.data())
@settings(max_examples=100)
def test_groups_equal_the_oracles(log: bytes, keys: list[str], clock: str, data: Any) -> None:
    with product.log(log) as path:
        everything = oracle.filter_file(path)
        # A person who has a number alone is none of those who are called so.
        assume(not any(str(one["username"] or "").isdigit() for one in everything))
        wanted = data.draw(conditions(everything))
        rows = wanted.select(path)
        expected = counted.groups(rows, keys, clock)
        asked = {name: one for name, one in wanted.asked.items() if name != "by"}
        assume(asked == wanted.asked or clock == wanted.asked["by"])
        assert groups(path, keys, clock=clock, **asked) == expected


@given(log=LOGS)
@settings(max_examples=50)
def test_what_is_odd_is_what_the_account_counts(log: bytes) -> None:
    with product.log(log) as path:
        done = edxlogs.summary(path, check="full")
        assert done.digest is not None
        total = done.account.total
        told: dict[str, dict[str, int]] = {"mended": {}, "rejected": {}}
        for kind, name, times, places in done.digest.notes:
            told.setdefault(kind, {})[name] = times
            lines = [line for _, line in places]
            assert lines == sorted(set(lines))
            assert 1 <= len(lines) <= 5
            if kind == "rejected":
                reasons = {line: one.reason for line, one in oracle.read_lines(path)}
                assert {reasons[line] for line in lines} == {name}
        assert told["mended"] == total.mends
        assert told["rejected"] == total.reasons
        assert done.digest.events == total.rows
