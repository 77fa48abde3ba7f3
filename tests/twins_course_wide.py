"""Blocks by person, days of a course, and the course in one row, once more in plain Python."""

from __future__ import annotations

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import twins_enrollment
import twins_forum
import twins_person
from twins_course import blocks_of_events, course_items
from twins_events import Inputs, Person, Row, head, if_there, learner_events, persons

Parameters = Mapping[str, Any]
FORUM = "forum_events requests"
ENROLMENTS = "enrollment_events db_student_courseenrollment"


def person_block(inputs: Inputs, parameters: Parameters) -> list[Row]:
    everybody = persons(inputs, parameters)
    blocks = blocks_of_events(inputs, parameters)
    items = course_items(inputs, parameters)
    titles: dict[Any, Any] = {}
    topics: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for item in items:
        known = [titles.get(item["block_key"]), item["display_name"]]
        titles[item["block_key"]] = min((one for one in known if one is not None), default=None)
        if item["discussion_id"] is not None:
            topics[item["discussion_id"]].add((item["block_key"], item["block_id"]))
    found: dict[tuple[Person, str, str], list[Row]] = defaultdict(list)
    for event in learner_events(inputs, parameters):
        spelled = event.get("block_key")
        if not event["act"] or spelled not in blocks:
            continue
        own, name, kind = blocks[spelled]
        if name is not None:
            found[event["person"], name, kind or ""].append({**event, "key": own or spelled})
    for act in twins_forum.acts(inputs, parameters):
        its = topics.get(act.get("commentable_id") or "", set())
        if act["what"] == "create" and len(its) == 1:
            ((key, name),) = its
            found[act["person"], name, "discussion"].append({**act, "key": key, "table": "posts"})
    rows = []
    for (person, name, kind), acts in sorted(found.items()):

        def n(table: str, action: str, acts: Sequence[Row] = acts) -> int:
            return sum(one["table"] == table and one["action"] == action for one in acts)

        right = [
            one
            for one in acts
            if one["table"] == "problem_events"
            and one["action"] == "check"
            and one.get("success") == "correct"
        ]
        rows.append(
            {
                **head(person, everybody, parameters),
                "block_key": min(one["key"] for one in acts),
                "block_id": name,
                "block_type": kind or None,
                "display_name": titles.get(acts[0]["key"]),
                "n_events": len(acts),
                "n_days": len({one["day"] for one in acts}),
                "first": min(one["at"] for one in acts),
                "last": max(one["at"] for one in acts),
                "n_attempted": n("problem_events", "check"),
                "n_completed": len(right),
                "n_viewed": n("video_events", "play"),
                "n_contributed": sum(one["table"] == "posts" for one in acts),
            }
        )
    return rows


def course_day(inputs: Inputs, parameters: Parameters) -> list[Row]:
    has_events = any(not name.startswith(("db_", "olx_")) for name in inputs)
    acts: dict[tuple[str, Any], list[Row]] = defaultdict(list)
    for one in twins_person.person_course_day(inputs, parameters):
        if not one["is_staff"]:
            acts[one["site"], one["day"]].append(one)
    enrolled: dict[tuple[str, Any], Counter[str]] = defaultdict(Counter)
    for one in twins_enrollment.days(inputs, parameters):
        its = {name: one[name] for name in ("n_new", "n_left", "n_active")}
        enrolled[one["site"], one["day"]].update(its)
    found: list[Row] = []
    last: dict[str, int] = {}
    for site, day in sorted({*acts, *enrolled}):
        its_acts = acts.get((site, day), [])
        if (site, day) in enrolled:
            last[site] = enrolled[site, day]["n_active"]
        moved = enrolled.get((site, day), Counter())

        def total(name: str, its: Sequence[Row] = its_acts) -> int:
            return sum(one[name] or 0 for one in its)

        players = sum((one["n_play"] or 0) > 0 for one in its_acts)
        solvers = sum((one["n_checks"] or 0) > 0 for one in its_acts)
        us = sum(round(one["time_s"] * 1_000_000) for one in its_acts)
        found.append(
            {
                "site": site,
                "course_id": parameters["course_id"],
                "day": day,
                "n_learners": len(its_acts) if has_events else None,
                "n_events": total("n_events") if has_events else None,
                "n_sessions_started": total("n_sessions_started") if has_events else None,
                "time_s": us / 1e6 if has_events else None,
                "n_video_learners": if_there(inputs, "video_events", players),
                "n_play": if_there(inputs, "video_events", total("n_play")),
                "n_problem_learners": if_there(inputs, "problem_events", solvers),
                "n_checks": if_there(inputs, "problem_events", total("n_checks")),
                "n_forum_posts": if_there(inputs, FORUM, total("n_forum_posts")),
                "n_forum_reads": if_there(inputs, FORUM, total("n_forum_reads")),
                "n_new": if_there(inputs, ENROLMENTS, moved["n_new"]),
                "n_left": if_there(inputs, ENROLMENTS, moved["n_left"]),
                "n_enrolled": if_there(inputs, ENROLMENTS, last.get(site, 0)),
            }
        )
    return found


def course_summary(inputs: Inputs, parameters: Parameters) -> list[Row]:
    has_events = any(not name.startswith(("db_", "olx_")) for name in inputs)
    people = twins_person.person_course(inputs, parameters)
    staff = {(one["site"], one["user_id"]) for one in people if one["is_staff"]}
    learners: dict[str, list[Row]] = defaultdict(list)
    for one in people:
        if not one["is_staff"]:
            learners[one["site"]].append(one)
    items = course_items(inputs, parameters)
    found = []
    for site, its in sorted(learners.items()):
        acting = [one for one in its if (one["n_events"] or 0) > 0]
        roots = [
            row
            for row in inputs.get("db_course_structure", ())
            if (row.get("site") or "") == site and row.get("depth") == 0
        ]
        root: Row = roots[0] if roots else {}
        ends = json.loads(root.get("metadata") or "{}").get("end")
        start, end = root.get("start"), None if ends is None else datetime.fromisoformat(ends)
        moments = [
            one["at"]
            for one in learner_events(inputs, parameters)
            if one["act"] and one["person"][0] == site and one["person"] not in staff
        ]
        here = [one for one in items if one["site"] == site and one["index"] is not None]
        modes = Counter(one["mode"] for one in its if one["enrolled"] and one["mode"] is not None)
        grades = [one["grade"] for one in its if (one["grade"] or 0) > 0]

        def n(name: str, its: Sequence[Row] = its) -> int | None:
            told = [one[name] for one in its]
            return None if None in told else sum(told)

        def total(name: str, its: Sequence[Row] = its) -> Any:
            told = [one[name] for one in its if one[name] is not None]
            return sum(told) if told else None

        def middle(name: str, rows: Sequence[Row] = acting) -> float | None:
            told = [one[name] for one in rows if one[name] is not None]
            return float(statistics.median(told)) if told else None

        enrolled = "db_student_courseenrollment" in inputs
        us = [round(one["time_s"] * 1_000_000) for one in its if one["time_s"] is not None]
        of_acting = [round(one["time_s"] * 1_000_000) for one in acting]
        found.append(
            {
                "site": site,
                "course_id": parameters["course_id"],
                "display_name": root.get("display_name"),
                "start": start,
                "end": end,
                "n_persons": len(its),
                "n_enrolled": sum(one["enrolled"] for one in its) if enrolled else None,
                "n_active": sum(bool(one["is_active"]) for one in its) if enrolled else None,
                "n_by_mode": json.dumps(dict(sorted(modes.items())), separators=(",", ":"))
                if enrolled
                else None,
                "n_verified": n("ever_verified"),
                "n_viewed": n("viewed"),
                "n_explored": n("explored"),
                "n_completed": n("completed"),
                "n_certified": n("certified"),
                "n_acting": len(acting) if has_events else None,
                "n_events": total("n_events"),
                "n_events_before_start": sum(one < start for one in moments)
                if has_events and start
                else None,
                "n_events_after_end": sum(one > end for one in moments)
                if has_events and end
                else None,
                "first_event": min(moments, default=None),
                "last_event": max(moments, default=None),
                "n_sessions": total("n_sessions"),
                "time_s": sum(us) / 1e6 if us else None,
                "n_forum_posts": total("n_forum_posts"),
                "n_videos": sum(one["block_type"] == "video" for one in here) if here else None,
                "n_problems": sum(one["block_type"] == "problem" for one in here) if here else None,
                "days_median": middle("n_days"),
                "time_s_median": round(statistics.median(of_acting) / 1e6, 6)
                if of_acting
                else None,
                "videos_median": middle("n_videos"),
                "problems_median": middle("n_problems"),
                "grade_median": round(statistics.median(grades), 12) if grades else None,
            }
        )
    return found
