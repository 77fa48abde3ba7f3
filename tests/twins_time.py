"""Sessions and time on task once more in plain Python."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from twins_events import (
    KINDS,
    Inputs,
    Person,
    Row,
    by_person,
    head,
    if_there,
    learner_events,
    micros,
    persons,
)

TELL = {
    "video": "video_events",
    "problem": "problem_events",
    "forum": "forum_events requests",
    "ora": "ora_events",
    "text": "requests textbook_events",
}
"""Which tables tell a kind of acts."""


def by_kind(inputs: Inputs, name: str, counts: Mapping[str, Any]) -> Row:
    """A column for each kind; None where no table tells it."""
    return {
        name.format(kind): if_there(inputs, TELL[kind], counts[kind])
        if kind in TELL
        else counts[kind]
        for kind in KINDS
    }


def sessions(inputs: Inputs, parameters: Mapping[str, Any]) -> list[Row]:
    everybody = persons(inputs, parameters)
    gap = timedelta(microseconds=parameters["gap"])
    found = []
    for person, events in sorted(by_person(learner_events(inputs, parameters)).items()):
        runs: list[list[Row]] = []
        closed: dict[int, Any] = {}
        for event in events:
            last = runs[-1][-1] if runs else None
            if event["act"]:
                if last is None or event["at"] - last["at"] > gap:
                    runs.append([])
                runs[-1].append(event)
            elif event["table"] == "navigation_events" and last and event["at"] - last["at"] <= gap:
                closed[len(runs)] = event["at"]
        for number, run in enumerate(runs, 1):
            kinds = {kind: sum(one["kind"] == kind for one in run) for kind in KINDS}
            last = run[-1]
            at_end = number in closed and closed[number] >= last["at"]
            found.append(
                {
                    **head(person, everybody, parameters),
                    "session_no": number,
                    "start": run[0]["at"],
                    "end": last["at"],
                    "duration_s": micros(last["at"] - run[0]["at"]) / 1e6,
                    "n_events": len(run),
                    **by_kind(inputs, "n_{}", kinds),
                    "first_route": run[0]["word"],
                    "last_route": last["word"],
                    "login_sessions": len({one["session"] for one in run if one.get("session")}),
                    "agents": len({one["agent"] for one in run if one.get("agent")}),
                    "is_mobile": any(one["is_mobile"] for one in run),
                    "ended_by": "close" if at_end else "gap" if number < len(runs) else "last",
                }
            )
    return found


def time_on_task(inputs: Inputs, parameters: Mapping[str, Any]) -> list[Row]:
    everybody = persons(inputs, parameters)
    days: dict[tuple[Person, date], dict[str, int]] = {}
    for person, events in by_person(learner_events(inputs, parameters)).items():
        acts = [one for one in events if one["act"]]
        for act, after in itertools.zip_longest(acts, acts[1:]):
            its = days.setdefault((person, act["day"]), defaultdict(int))
            if after is None:
                continue
            long = act["kind"] in ("video", "text")
            cap = parameters["cap_long" if long else "cap"]
            us = micros(after["at"] - act["at"])
            its[act["kind"]] += min(us, cap)
            its["gaps"] += 1
            its["capped"] += us > cap
    return [
        {
            **head(person, everybody, parameters),
            "day": day,
            "time_s": sum(its[kind] for kind in KINDS) / 1e6,
            **by_kind(inputs, "time_{}_s", {kind: its[kind] / 1e6 for kind in KINDS}),
            "n_gaps": its["gaps"],
            "n_capped": its["capped"],
        }
        for (person, day), its in sorted(days.items())
    ]
