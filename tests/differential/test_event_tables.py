"""The core against the oracle: rows of all tables of events of any family and shape."""

from __future__ import annotations

import datetime
import json
import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import make_logs
import oracle
import oracle_event_tables
from edxlogs import _core
from edxlogs.edx.event_tables import event_tables, homes
from edxlogs.edx.event_tables.document import document
from event_shapes import (
    Event,
    each_event,
    large_events,
    line_of,
    meaning,
    shaped_events,
    wrappings,
)
from oracle_event_tables import Place
from product import log, table_rows

NAMES = list(event_tables())
Rows = dict[str, list[dict[str, Any]]]


def core_rows(path: Path, threads: int = 1) -> tuple[Rows, dict[str, Any]]:
    """Rows by table, in their order, and the counts of the scan."""
    tables = _core.EventTables(document(event_tables().values(), homes()))
    query = _core.Query.of_several([_core.Query(tables=tables, table=name) for name in NAMES])
    control = _core.Control()
    stream = _core.BatchStream(query, control)
    writer = stream.writer()
    ended: list[Any] = []

    def scan() -> None:
        counts, error = _core.scan(
            path, query, writer, name=path.name, threads=threads, control=control
        )
        writer.close(error)
        ended.extend((counts, error))

    thread = threading.Thread(target=scan)
    thread.start()
    batches = defaultdict(list)
    while (told := stream.next_batch()) is not None:
        batches[NAMES[told[0]]].append(pa.record_batch(told[1]))
    thread.join()
    assert ended[1] is None
    rows = {name: table_rows(pa.Table.from_batches(its)) for name, its in batches.items()}
    return rows, ended[0]


def expected_rows(path: Path) -> Rows:
    """The same by the oracle."""
    made: Rows = defaultdict(list)
    for number, outcome in oracle.read_lines(path):
        for item, event in enumerate(outcome.events):
            place = Place(None, path.name, number, item)
            for table, rows in oracle_event_tables.rows(event, place).items():
                made[table] += rows
    return {table: rows for table, rows in made.items() if rows}


def assert_same(events: Sequence[Event], threads: int = 1) -> None:
    """Fail unless the core has the oracle's rows of events, and counts each in one home."""
    assert assert_same_log(b"".join(map(line_of, events)), threads) == len(events)


def assert_same_log(content: bytes, threads: int = 1) -> int:
    """Fail unless the core has the oracle's rows of a log; the events of it."""
    with log(content) as path:
        rows, counts = core_rows(path, threads)
        expected = expected_rows(path)
    for table in expected.keys() | rows.keys():
        for mine, theirs in zip(rows.get(table, []), expected.get(table, []), strict=True):
            assert mine == theirs, table
    homes_of = {name: len(expected.get(name, [])) for name in oracle_event_tables.TABLES}
    assert {name: count for name, count in counts["homes"].items() if count} == {
        name: count for name, count in homes_of.items() if count
    }
    assert sum(counts["homes"].values()) == counts["rows"]
    return int(counts["rows"])


def test_every_act_of_every_family() -> None:
    events = list(each_event())
    assert_same(events)
    homes_of = {oracle_event_tables.decode(event).table for event in events}
    assert homes_of == set(oracle_event_tables.TABLES)


def test_generated_logs_with_malformed_lines() -> None:
    lines = list(make_logs.lines(11, datetime.date(2015, 12, 1), "prod", 1, odd=0.05))
    assert 0.9 * len(lines) < assert_same_log(b"".join(lines), threads=2) < 1.1 * len(lines)


@settings(max_examples=25)
@given(st.lists(shaped_events(), min_size=20, max_size=20))
def test_events_of_any_shape(events: list[Event]) -> None:
    assert_same(events)


def test_large_and_deep_payloads() -> None:
    many, _, form, _, *deep = large_events()
    assert_same([many, form, *deep], threads=2)


@pytest.mark.slow
def test_payloads_of_8_mib_and_text_in_text() -> None:
    assert_same(large_events(), threads=2)


def test_a_block_that_was_given_is_none_but_its_own() -> None:
    event = next(event for event in each_event() if "librarycontentblock" in event["event_type"])
    given_blocks = [{"usage_key": None}, {}, "x", None, {"usage_key": ""}, {"usage_key": 7}]
    assert event["context"]["module"]["usage_key"]
    assert_same([event | {"event": event["event"] | {"result": given_blocks}}])


@settings(max_examples=6)
@given(st.lists(shaped_events(), min_size=20, max_size=20))
def test_the_layout_of_a_payload_changes_no_row(events: list[Event]) -> None:
    made: list[Rows] = []
    known = [
        event
        for event in events
        # The course of an event is looked for in a payload that is decoded once.
        if isinstance(event["context"], dict)
        and event["context"].get("course_id")
        and isinstance(meaning(event["event"]), dict | list)
    ]
    for layout in range(3):
        wrapped = [event | {"event": wrappings(event["event"])[layout]} for event in known]
        with log(b"".join(map(line_of, wrapped))) as path:
            rows, _ = core_rows(path)
        for table, column in (("requests", "payload_chars"), ("other_events", "payload")):
            for row in rows.get(table, ()):
                del row[column]
        made.append(rows)
    assert made[0] == made[1] == made[2]


@pytest.mark.parametrize("wrapped", [json.dumps, str])
def test_forms_in_json_text_are_forms(wrapped: Any) -> None:
    texts = [(event, meaning(event["event"])) for event in each_event()]
    forms = [(event, text) for event, text in texts if str(text).startswith("input_")]
    assert len(forms) > 8
    assert_same([event | {"event": wrapped(form)} for event, form in forms])
