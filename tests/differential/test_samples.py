"""Samples that other projects test with, where the reference folder is there."""

from __future__ import annotations

from pathlib import Path

import pytest

import oracle
import product

SAMPLES = (
    "edx-analytics-pipeline.jsonl",
    "edx-analytics-pipeline-unit.jsonl",
    "edx2bigquery.jsonl",
    "event-routing-backends.jsonl",
    "event-routing-backends-logshape.jsonl",
    "event-routing-backends-tracking.log",
    "research-guide.jsonl",
    "simeon.jsonl",
)
NO_EVENTS = {
    "event-routing-backends-tracking.log": {
        3: "broken on purpose: the brace that opens the context is missing",
        11: "broken on purpose: cut inside a string",
    },
    "simeon.jsonl": {
        41: "a fragment: course_id alone",
        42: "a fragment: context alone",
        46: "an empty object",
        47: "a fragment: a time, and an empty course_id",
        48: "a fragment: username and user_id alone",
    },
}
"""Lines that are no tracking events, and why; all others are read."""


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("check", ["fast", "full"])
def test_all_is_read_as_the_oracle_reads_it(reference: Path, name: str, check: str) -> None:
    path = reference / "data" / "events" / name
    rows, counts = product.run(path, check=check)
    product.assert_same_rows(rows, oracle.filter_file(path))
    expected = product.oracle_counts(path)
    assert {key: counts[key] for key in ("lines", "blank", "rejected", "reasons")} == {
        key: expected[key] for key in ("lines", "blank", "rejected", "reasons")
    }
    numbers = {row["line"] for row in rows}
    lost = {line for line in range(1, counts["lines"] + 1) if line not in numbers}
    assert lost == set(NO_EVENTS.get(name, {}))
