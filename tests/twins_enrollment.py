"""Spells of enrolment once more in plain Python: a machine of states, fed event by event."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from twins_events import Inputs, Person, Row, day_of, head, persons, subject_events

Parameters = Mapping[str, Any]


def _events(inputs: Inputs, parameters: Parameters) -> dict[Person, list[Row]]:
    found = defaultdict(list)
    for event in subject_events(inputs, parameters):
        told = event.get("payload_course_id")
        if event["table"] == "enrollment_events" and told in (None, parameters["course_id"]):
            found[event["person"]].append(event)
    return found


def _row(spell: int, number: int, start: Any, mode: str | None, source: str, by: Any) -> Row:
    return {
        "spell_no": spell,
        "mode_no": number,
        "start": start,
        "end": None,
        "is_open": True,
        "mode": mode,
        "start_source": source,
        "end_source": None,
        "actor_is_other": by,
        "upgraded_at": None,
        "n_duplicates": 0,
    }


def _of_person(events: list[Row]) -> list[Row]:
    """The rows that events make."""
    rows: list[Row] = []

    def close(at: Any, source: str) -> None:
        rows[-1] |= {"end": at, "is_open": False, "end_source": source}

    for event in events:
        action, at, mode, by = (
            event["action"],
            event["at"],
            event.get("mode"),
            event.get("by_other"),
        )
        is_active = bool(rows) and rows[-1]["is_open"]
        if action == "activate":
            if is_active:
                rows[-1]["n_duplicates"] += 1
            else:
                spell = rows[-1]["spell_no"] + 1 if rows else 1
                rows.append(_row(spell, 1, at, mode, "event", by))
        elif action == "deactivate":
            if not rows:
                rows.append(_row(1, 1, None, mode, "unknown", None))
                close(at, "event")
            elif is_active:
                close(at, "event")
            else:
                rows[-1]["n_duplicates"] += 1
        elif action == "mode_change":
            if not rows:
                rows.append(_row(1, 1, None, None, "unknown", None))
                is_active = True
            elif is_active and rows[-1]["mode"] == mode:
                is_active = False
            if is_active:
                close(at, "mode_change")
                last = rows[-1]
                rows.append(_row(last["spell_no"], last["mode_no"] + 1, at, mode, "event", by))
            else:
                rows[-1]["n_duplicates"] += 1
    for event in events:
        if event["action"] == "upgrade_done":
            for row in rows:
                begun = row["start"] is None or event["at"] >= row["start"]
                if begun and (row["end"] is None or event["at"] < row["end"]):
                    row["upgraded_at"] = row["upgraded_at"] or event["at"]
    return rows


def spells(inputs: Inputs, parameters: Parameters) -> list[Row]:
    everybody = persons(inputs, parameters)
    events = _events(inputs, parameters)
    enrolled = {
        (row.get("site") or "", row["user_id"]): row
        for row in inputs.get("db_student_courseenrollment", ())
        if row.get("user_id") is not None
    }
    has_events = "enrollment_events" in inputs
    found = []
    for person in sorted({*events, *enrolled}):
        rows = _of_person(events.get(person, []))
        snapshot = enrolled.get(person)
        came = any(one["action"] == "activate" for one in events.get(person, ()))
        if snapshot and not rows:
            rows = [_row(1, 1, snapshot["created"], snapshot["mode"], "snapshot", None)]
            if not snapshot["is_active"]:
                rows[0] |= {"is_open": False, "end_source": "unknown"}
        elif snapshot and snapshot["is_active"] and not came and snapshot["created"] is not None:
            rows[0] |= {"start": snapshot["created"], "start_source": "snapshot"}
        is_open = any(row["is_open"] for row in rows)
        for row in rows:
            agrees = snapshot["is_active"] == is_open if snapshot and has_events else None
            more = {"agrees": agrees}
            if not has_events:
                more["n_duplicates"] = None
            found.append({**head(person, everybody, parameters), **row, **more})
    return found


def days(inputs: Inputs, parameters: Parameters) -> list[Row]:
    rows = [
        {
            **row,
            "first": None if row["start"] is None else day_of(row["start"], parameters),
            "last": None if row["end"] is None else day_of(row["end"], parameters),
        }
        for row in spells(inputs, parameters)
        if row["end_source"] != "unknown"
    ]
    found = []
    for site in sorted({row["site"] for row in rows}):
        its = [row for row in rows if row["site"] == site]
        told = [day for row in its for day in (row["first"], row["last"]) if day is not None]
        if not told:
            continue
        usual = (max(min(told), date(2010, 1, 1)), min(max(told), date(2099, 12, 31)))
        between = range((usual[1] - usual[0]).days + 1)
        for day in sorted({*told, *(usual[0] + timedelta(days=one) for one in between)}):
            came = Counter(row["mode"] for row in its if row["first"] == day)
            gone = Counter(row["mode"] for row in its if row["last"] == day)
            active = Counter(
                row["mode"]
                for row in its
                if (row["first"] is None or row["first"] <= day)
                and (row["last"] is None or row["last"] > day)
            )
            for mode in sorted({row["mode"] for row in its}, key=lambda one: (one is None, one)):
                found.append(
                    {
                        "site": site,
                        "course_id": parameters["course_id"],
                        "day": day,
                        "mode": mode,
                        "n_new": came[mode],
                        "n_left": gone[mode],
                        "n_active": active[mode],
                    }
                )
    return found
