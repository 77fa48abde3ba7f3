"""What was watched of videos, once more in plain Python: the rules of edX's own pipeline."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from twins_course import blocks_of_events, course_items
from twins_events import Inputs, Person, Row, day_of, head, learner_events, persons

ACTS = ("play", "pause", "stop", "seek")


def us(seconds: float) -> int:
    """A position in whole microseconds, halves away from zero."""
    return math.floor(seconds * 1_000_000 + 0.5)


def _videos(inputs: Inputs, parameters: Mapping[str, Any]) -> list[Row]:
    """Events of learners with videos that are known, each with its `video`."""
    blocks = blocks_of_events(inputs, parameters)
    found = []
    for event in learner_events(inputs, parameters):
        its = blocks.get(event.get("block_key") or "")
        if event["table"] == "video_events" and its and its[1] is not None:
            found.append({**event, "video": its[1], "item": its[0]})
    return found


def durations(inputs: Inputs, parameters: Mapping[str, Any]) -> dict[tuple[str, Any], float]:
    """By video and code; the most frequent, of several the longest."""
    counts: dict[tuple[str, Any], Counter[float]] = defaultdict(Counter)
    for event in _videos(inputs, parameters):
        if 1 <= (event.get("duration") or 0) <= 36_000:
            counts[event["video"], event.get("code")][event["duration"]] += 1
    return {
        key: max(its, key=lambda value, its=its: (its[value], value))  # type: ignore[misc]
        for key, its in counts.items()
    }


def runs(inputs: Inputs, parameters: Mapping[str, Any]) -> list[Row]:
    """Each time that a video began to play: its viewing, or `dropped` and why."""
    told = durations(inputs, parameters)
    lengths = {
        one["block_id"]: one["length_s"]
        for one in course_items(inputs, parameters)
        if one["block_type"] == "video" and (one["length_s"] or 0) > 0
    }
    speeds: dict[tuple[Person, Any], float] = {}
    open_run: dict[tuple[Person, str], Row] = {}
    last_end: dict[tuple[Person, str], Row | None] = {}
    found: list[Row] = []
    for event in _videos(inputs, parameters):
        login = event["person"], event.get("session")
        if event["action"] in (*ACTS, "speed") and event.get("speed_to") is not None:
            speeds[login] = event["speed_to"]
        where = event["person"], event["video"]
        if event["action"] == "play":
            before = last_end.get(where)
            start = event.get("position")
            if before and before["action"] == "seek" and before.get("position_to") is not None:
                start = before["position_to"]
            code = event.get("code")
            run = {
                "person": event["person"],
                "video": event["video"],
                "item": event["item"],
                "code": code,
                "player": event.get("player"),
                "speed": speeds.get(login),
                "duration": lengths.get(event["video"], told.get((event["video"], code))),
                "start_time": event["at"],
                "start_pos": start,
                "dropped": "no end",
            }
            found.append(run)
            open_run[where], last_end[where] = run, None
        elif event["action"] in ACTS and where in open_run:
            run = open_run.pop(where)
            last_end[where] = event
            run |= {
                "end_time": event["at"],
                "end_pos": event.get("position"),
                "ended_by": event["action"],
            }
            run["dropped"] = _why_dropped(run)
    return found


def _why_dropped(run: Row) -> str | None:
    start, end = run["start_pos"], run["end_pos"]
    if start is None or end is None:
        return "no position"
    if not (0 <= start <= 36_000 and 0 <= end <= 36_000):
        return "position out of range"
    if us(end) < us(start):
        return "end before start"
    if us(end) - us(start) < 250_000:
        return "shorter than 0.25 s"
    if run["duration"] is not None and end > run["duration"] + 1:
        return "end past the end of the video"
    return None


def viewings(inputs: Inputs, parameters: Mapping[str, Any]) -> list[Row]:
    everybody = persons(inputs, parameters)
    items = _items(inputs, parameters)
    counts: Counter[tuple[Person, str]] = Counter()
    found = []
    for run in runs(inputs, parameters):
        if run["dropped"] is not None:
            continue
        counts[run["person"], run["video"]] += 1
        found.append(
            {
                **head(run["person"], everybody, parameters),
                "block_id": run["video"],
                "block_key": items.get(run["video"]),
                "viewing_no": counts[run["person"], run["video"]],
                "code": run["code"],
                "day": day_of(run["start_time"], parameters),
                "start_time": run["start_time"],
                "end_time": run["end_time"],
                "start_pos": run["start_pos"],
                "end_pos": run["end_pos"],
                "seconds": (us(run["end_pos"]) - us(run["start_pos"])) / 1e6,
                "ended_by": run["ended_by"],
                "speed": run["speed"],
                "duration": run["duration"],
                "player": run["player"],
            }
        )
    return sorted(
        found, key=lambda one: (one["site"], one["user_id"], one["block_id"], one["viewing_no"])
    )


def _items(inputs: Inputs, parameters: Mapping[str, Any]) -> dict[str | None, str]:
    """Key of a block in the course by its id, as events mean it."""
    found: dict[str | None, str] = {}
    for key, name, _ in blocks_of_events(inputs, parameters).values():
        if key is not None:
            found[name] = min(key, found.get(name, key))
    return found


def segments(inputs: Inputs, parameters: Mapping[str, Any]) -> list[Row]:
    titles: dict[str | None, str] = {}
    for one in course_items(inputs, parameters):
        if one["display_name"] is not None:
            title = titles.get(one["block_key"], one["display_name"])
            titles[one["block_key"]] = min(title, one["display_name"])
    touched: dict[tuple[str, str], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    longest: dict[tuple[str, str], float] = {}
    keys = {}
    for one in viewings(inputs, parameters):
        if one["is_staff"]:
            continue
        video = one["site"], one["block_id"]
        keys[video] = one["block_key"]
        if one["duration"] is not None:
            longest[video] = max(one["duration"], longest.get(video, 0))
        for number in range(int(one["start_pos"]) // 5, int(one["end_pos"]) // 5 + 1):
            touched[video][number].append(one["user_id"])
    found = []
    for video, its in sorted(touched.items()):
        most = max(len(set(users)) for users in its.values())
        for number, users in sorted(its.items()):
            found.append(
                {
                    "site": video[0],
                    "course_id": parameters["course_id"],
                    "block_id": video[1],
                    "block_key": keys[video],
                    "display_name": titles.get(keys[video]),
                    "segment": number,
                    "start_s": number * 5.0,
                    "users": len(set(users)),
                    "views": len(users),
                    "users_at_start": len(set(its.get(0, ()))),
                    "drop_off": len(set(users)) / most,
                    "duration": longest.get(video),
                }
            )
    return found


def unique_us(spans: list[tuple[int, int]]) -> int:
    """Length of the union of intervals, by its cuts: each stretch between two is in or out."""
    cuts = sorted({cut for span in spans for cut in span})
    return sum(
        after - cut
        for cut, after in itertools.pairwise(cuts)
        if any(start <= cut and after <= end for start, end in spans)
    )


def person_video(inputs: Inputs, parameters: Mapping[str, Any]) -> list[Row]:
    everybody = persons(inputs, parameters)
    items = _items(inputs, parameters)
    seen: dict[tuple[Person, str], list[Row]] = defaultdict(list)
    for one in viewings(inputs, parameters):
        seen[(one["site"], one["user_id"]), one["block_id"]].append(one)
    acts: dict[tuple[Person, str], list[Row]] = defaultdict(list)
    for event in _videos(inputs, parameters):
        if event["act"]:
            acts[event["person"], event["video"]].append(event)
    found = []
    for (person, video), events in sorted(acts.items()):
        its = seen.get((person, video), [])
        jumps = [
            (one["position"], one["position_to"])
            for one in events
            if one["action"] == "seek"
            and one.get("position") is not None
            and one.get("position_to") is not None
        ]
        spans = [(us(one["start_pos"]), us(one["end_pos"])) for one in its]
        unique = unique_us(spans) / 1e6
        known = [one["duration"] for one in its if one["duration"] is not None]
        ends = [
            one["end_pos"] >= max(one["duration"] - 30, one["duration"] * 0.95)
            for one in its
            if one["duration"] is not None
        ]
        found.append(
            {
                **head(person, everybody, parameters),
                "block_id": video,
                "block_key": items.get(video),
                "unique_s": unique,
                "total_s": sum(end - start for start, end in spans) / 1e6,
                "n_viewings": len(its),
                "n_plays": sum(one["action"] == "play" for one in events),
                "n_pauses": sum(one["action"] == "pause" for one in events),
                "n_seeks_back": sum(after < before for before, after in jumps),
                "n_seeks_forward": sum(after > before for before, after in jumps),
                "max_pos": max((one["end_pos"] for one in its), default=None),
                "duration": max(known, default=None),
                "share": min(unique / max(known), 1.0) if known else None,
                "completed": any(ends) if ends else None,
                "first": events[0]["at"],
                "last": events[-1]["at"],
            }
        )
    return found
