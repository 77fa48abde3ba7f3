"""The odd lines of tests/data/malformed.log through the product, one by one and as a file."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import oracle
import product

DATA = Path(__file__).parents[1] / "data"
LOG = DATA / "malformed.log"
ENTRIES: list[dict[str, Any]] = product.json_lines((DATA / "malformed.expected.jsonl").read_bytes())
LINES = LOG.read_bytes().split(b"\n")

MENDS_OF_CODE = {
    "trailing_garbage": {"trailing_text"},
    "nul_padding": {"nul"},
    "bad_utf8": {"utf8"},
    "lone_surrogate": {"surrogate"},
    "control_char": {"control_character"},
    # These are no mends of a line: a value is read or repaired in its own column.
    "number_range": set(),
    "time_format": set(),
    "trimmed": set(),
    "course_repaired": set(),
}


def facts(row: product.Row) -> dict[str, Any]:
    """What the expectations tell of an event."""
    fields = ("event_type", "course_id", "course_source", "user_id", "username")
    return {field: row[field] for field in fields} | {"time_us": row["time"]}


def counts_of(line: bytes) -> dict[str, Any]:
    # Not first in the file: there it would tell what the file is.
    with product.log(b'{"event_type": "first"}\n' + line + b"\n") as path:
        return product.run(path)[1]


@pytest.mark.parametrize("check", ["fast", "full"])
def test_each_event_comes_out_as_it_should(check: str) -> None:
    rows = product.rows(LOG, check=check)
    found: dict[int, list[product.Row]] = {}
    for row in rows:
        found.setdefault(row["line"], []).append(row)
    for entry in ENTRIES:
        lines = range(entry["line"], entry["end_line"] + 1)
        events = [row for line in lines for row in found.pop(line, [])]
        assert [facts(row) for row in events] == entry["events"], entry["what"]
        assert [row["line_item"] for row in events] == list(range(len(events)))
    assert not found
    assert len(rows) == 89


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"line {entry['line']}")
def test_each_line_has_its_class_and_its_mends(entry: dict[str, Any]) -> None:
    for line in LINES[entry["line"] - 1 : entry["end_line"]]:
        counts = counts_of(line)
        assert counts["lines"] == 2
        skipped, rejected = entry["verdict"] == "skip", entry["verdict"] == "reject"
        assert counts["blank"] == skipped
        assert counts["rejected"] == rejected
        assert counts["kept"] == 1 + (not skipped and not rejected)
        if rejected:
            (reason,) = counts["reasons"]
            assert reason in entry["code"].split(" / ")
            assert reason == oracle.read_events(line).reason
        repaired = entry["verdict"] == "repair"
        mends = MENDS_OF_CODE.get(entry["code"], {entry["code"]}) if repaired else set()
        assert set(counts["mends"]) == mends


def test_the_account_of_the_file() -> None:
    rows, counts = product.run(LOG)
    verdicts = Counter(
        entry["verdict"] for entry in ENTRIES for _ in range(entry["line"], entry["end_line"] + 1)
    )
    assert counts["lines"] == 122
    assert counts["blank"] == verdicts["skip"]
    assert counts["rejected"] == verdicts["reject"]
    assert counts["kept"] == verdicts["accept"] + verdicts["repair"]
    assert counts["reasons"] == product.oracle_counts(LOG)["reasons"]
    assert counts["rows"] == len(rows)


def test_rejected_lines_are_kept_with_their_place_and_reason(tmp_path: Path) -> None:
    rejects = tmp_path / "rejects"
    product.command(LOG, tmp_path / "out.jsonl", "--rejects", str(rejects))
    expected, offset = [], 0
    for number, line in enumerate(LINES, start=1):
        outcome = oracle.read_events(line)
        if outcome.kind == "rejected":
            place = {"source": "malformed.log", "line": number, "byte": offset}
            expected.append((place | {"reason": outcome.reason}, line))
        offset += len(line) + 1
    # Each stands as two lines: a comment with its place, then its bytes.
    pieces = rejects.read_bytes().split(b"\n")
    assert pieces.pop() == b""
    mark = b"# edxlogs reject: "
    assert all(comment.startswith(mark) for comment in pieces[::2])
    found = [
        (json.loads(comment.removeprefix(mark)), line)
        for comment, line in zip(pieces[::2], pieces[1::2], strict=True)
    ]
    assert found == expected


def test_json_lines_hold_clean_lines_as_they_stand_and_others_mended(tmp_path: Path) -> None:
    content = product.command(LOG, tmp_path / "out.jsonl")
    written = content.split(b"\n")
    assert written.pop() == b""
    expected = [
        (line, outcome, event)
        for line in LINES
        if (outcome := oracle.read_events(line)).kind == "events"
        for event in outcome.events
    ]
    assert len(written) == len(expected) == 89
    for mine, (line, outcome, event) in zip(written, expected, strict=True):
        if outcome.mends <= product.SHAPE_MENDS:
            assert mine == line
        else:
            again = oracle.read_events(mine)
            assert again.mends <= product.SHAPE_MENDS
            (read,) = again.events
            product.assert_same_columns(oracle.row(read), oracle.row(event))


def test_raw_json_lines_are_the_lines_themselves(tmp_path: Path) -> None:
    content = product.command(LOG, tmp_path / "out.jsonl", "--raw")
    kept = [line for line in LINES if oracle.read_events(line).kind == "events"]
    assert content == b"".join(line + b"\n" for line in kept)
