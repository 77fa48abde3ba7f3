"""The oracle of event tables reads events of any shape, and the same however they are wrapped."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import oracle
import oracle_event_tables
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

PLACE = Place("prod", "tracking.log", 1, 0)


def rows_of(event: Event) -> dict[str, list[dict[str, Any]]]:
    """The rows of the event that stands in its line."""
    (read,) = oracle.read_events(line_of(event).rstrip(b"\n")).events
    return oracle_event_tables.rows(read, PLACE)


@settings(max_examples=60)
@given(shaped_events())
def test_every_shape_has_a_row_of_one_home(event: Event) -> None:
    made = rows_of(event)
    homes = made.keys() - oracle_event_tables.CHILDREN.keys()
    assert len(homes) == 1
    (row,) = made[homes.pop()]
    json.dumps(row)  # nothing but texts, numbers and truth values


def without_layout(made: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Rows without what tells of the layout of a payload."""
    for table, column in (("requests", "payload_chars"), ("other_events", "payload")):
        for row in made.get(table, ()):
            del row[column]
    return made


@settings(max_examples=40)
@given(shaped_events(), st.data())
def test_the_layout_of_a_payload_changes_no_row(event: Event, data: st.DataObject) -> None:
    context = event["context"] if isinstance(event["context"], dict) else {}
    # The course of an event is looked for in a payload that is decoded once: it is known here.
    if not isinstance(meaning(event["event"]), dict | list) or not context.get("course_id"):
        return
    other = data.draw(st.sampled_from(wrappings(event["event"])))
    assert without_layout(rows_of(event | {"event": other})) == without_layout(rows_of(event))


def test_forms_in_json_text_are_forms() -> None:
    forms = [(event, meaning(event["event"])) for event in each_event()]
    forms = [(event, text) for event, text in forms if str(text).startswith("input_")]
    assert len(forms) > 8
    for event, form in forms:
        made = [rows_of(event | {"event": layout}) for layout in wrappings(form)]
        assert made[0] == made[1] == made[2]
        assert made[0]["problem_events"][0]["n_form_inputs"] > 0


def test_large_events_are_as_large_as_lines_may_be() -> None:
    many, _, form, large, *_ = large_events()
    assert 8_000_000 < len(line_of(large)) < 8 * 2**20
    assert len(rows_of(many)["problem_inputs"]) == 10_000
    assert rows_of(form)["problem_events"][0]["n_form_inputs"] == 10_000
