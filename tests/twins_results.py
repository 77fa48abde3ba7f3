"""Grades over time, and open responses, once more in plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from twins_course import blocks_of_events, course_items, parts_of
from twins_events import (
    Inputs,
    Person,
    Row,
    day_of,
    head,
    learner_events,
    micros,
    persons,
    subject_events,
)

Parameters = Mapping[str, Any]


def titles(inputs: Inputs, parameters: Parameters, name: str, kind: str = "") -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for item in course_items(inputs, parameters):
        if item["display_name"] is not None and kind in ("", item["block_type"]):
            found[item[name]] = min(
                item["display_name"], found.get(item[name], item["display_name"])
            )
    return found


def grades(inputs: Inputs, parameters: Parameters) -> list[Row]:
    everybody = persons(inputs, parameters)
    blocks = blocks_of_events(inputs, parameters)
    named = titles(inputs, parameters, "block_key")
    last: dict[tuple[Any, ...], Row] = {}
    for event in subject_events(inputs, parameters):
        if event["table"] != "grade_events" or event["action"] not in ("calculated", "overridden"):
            continue
        level, key = event.get("level"), event.get("block_key")
        if level not in ("subsection", "course"):
            continue
        place = (blocks.get(key, (None,))[0] or key) if key is not None else None
        last[event["person"], level, place, event["day"]] = {
            **event,
            "block_key": place if level == "subsection" else None,
            "source": "event",
        }
    rows = list(last.values())
    for row in inputs.get("db_grades_persistentsubsectiongrade", ()):
        rows.append(
            {
                "person": (row.get("site") or "", row["user_id"]),
                "level": "subsection",
                "block_key": row["usage_key"],
                "source": "snapshot",
                "at": row["modified"],
                "earned": row.get("earned_all"),
                "possible": row.get("possible_all"),
                "graded_earned": row.get("earned_graded"),
                "graded_possible": row.get("possible_graded"),
            }
        )
    for row in inputs.get("db_grades_persistentcoursegrade", ()):
        rows.append(
            {
                "person": (row.get("site") or "", row["user_id"]),
                "level": "course",
                "block_key": None,
                "source": "snapshot",
                "at": row["modified"],
                "percent": row.get("percent_grade"),
                "letter_grade": row.get("letter_grade") or None,
            }
        )
    found = []
    for row in rows:
        percent = row.get("percent")
        if row["level"] == "subsection":
            known = row.get("earned") is not None and (row.get("possible") or 0) > 0
            percent = row["earned"] / row["possible"] if known else None
        numbers = ("earned", "possible", "graded_earned", "graded_possible")
        found.append(
            {
                **head(row["person"], everybody, parameters),
                "level": row["level"],
                "block_key": row["block_key"],
                "display_name": named.get(row["block_key"]),
                "source": row["source"],
                "day": day_of(row["at"], parameters),
                "time": row["at"],
                **{name: row.get(name) for name in numbers},
                "percent": percent,
                "letter_grade": row.get("letter_grade"),
                "transaction_id": row.get("transaction_id"),
            }
        )
    order = ("site", "user_id", "level", "block_key", "source", "day")
    return sorted(
        found, key=lambda one: tuple((one[name] is None, one[name] or "") for name in order)
    )


def _package(inputs: Inputs) -> dict[tuple[Any, ...], Row]:
    """By person and assessment, what the package tells."""
    people = {
        (row.get("site") or "", row["anonymous_user_id"]): row["user_id"]
        for row in inputs.get("db_student_anonymoususerid", ())
    }
    items: dict[Any, tuple[Person, str]] = {}
    for row in inputs.get("db_submissions_studentitem", ()):
        site = row.get("site") or ""
        user = people.get((site, row["student_id"]))
        if user is not None:
            items[site, row["id"]] = ((site, user), row["item_id"])
    found: dict[tuple[Any, ...], Row] = defaultdict(
        lambda: {"handed": [], "PE": 0, "SE": 0, "ST": 0, "given": 0, "keys": set()}
    )

    def of(person: Person, key: str) -> Row:
        row = found[person, parts_of(key)[2]]
        row["keys"].add(key)
        return row

    authors: dict[Any, tuple[Person, str]] = {}
    for row in inputs.get("db_submissions_submission", ()):
        site = row.get("site") or ""
        if (site, row["student_item_id"]) in items:
            person, key = items[site, row["student_item_id"]]
            of(person, key)["handed"].append(row["submitted_at"])
            authors[site, row["uuid"].replace("-", "")] = (person, key)
    for row in inputs.get("db_assessment_assessment", ()):
        site = row.get("site") or ""
        author = authors.get((site, row["submission_uuid"].replace("-", "")))
        if author is None:
            continue
        of(*author)[row["score_type"]] += 1
        scorer = people.get((site, row["scorer_id"]))
        if row["score_type"] == "PE" and scorer is not None:
            of((site, scorer), author[1])["given"] += 1
    scores = defaultdict(list)
    for row in inputs.get("db_submissions_score", ()):
        if (row.get("site") or "", row["student_item_id"]) in items:
            scores[row.get("site") or "", row["student_item_id"]].append(row)
    for where, rows in scores.items():
        rows = sorted(rows, key=lambda one: one["id"])
        while any(one.get("reset") for one in rows):
            rows.pop(0)
        if rows:
            person, key = items[where]
            key = parts_of(key)[2]
            if (person, key) in found:
                before = found[person, key].get("score")
                found[person, key]["score"] = max(
                    [*rows, *([before] if before else [])],
                    key=lambda one: (one["created_at"], one["id"]),
                )
    return found


def ora_person(inputs: Inputs, parameters: Parameters) -> list[Row]:
    everybody = persons(inputs, parameters)
    blocks = blocks_of_events(inputs, parameters)
    named = titles(inputs, parameters, "block_id", "openassessment")
    package = _package(inputs)
    acts: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for event in learner_events(inputs, parameters):
        if event["table"] == "ora_events":
            item, name, _ = blocks.get(event.get("block_key") or "", (None, None, None))
            if name is not None:
                key = item or event["block_key"]
                acts[event["person"], name].append({**event, "key": key})
    names = ("submissions_submission", "submissions_studentitem", "student_anonymoususerid")
    has_submissions = {f"db_{name}" for name in names} <= set(inputs)
    has_assessments = has_submissions and "db_assessment_assessment" in inputs
    has_events = "ora_events" in inputs
    found = []
    for person, name in sorted({*package, *acts}):
        its, did = package.get((person, name)), acts.get((person, name), [])
        submits = [one["at"] for one in did if one["action"] in ("submit", "team_submit")]
        handed = [one for one in its["handed"] if one] if its else []
        score = (its or {}).get("score") or {}

        def best(column: str | None, action: str, its: Any = its, did: Any = did) -> int | None:
            """The package's count, else that of events."""
            if column and has_assessments:
                return its[column] if its else 0
            return sum(one["action"] == action for one in did) if has_events else None

        n_submissions: int | None = len(submits) if has_events else None
        if has_submissions:
            n_submissions = len(its["handed"]) if its else 0
        keys = its["keys"] if its else {one["key"] for one in did}
        found.append(
            {
                **head(person, everybody, parameters),
                "block_key": min(keys),
                "block_id": name,
                "display_name": named.get(name),
                "submitted_at": min(handed or submits, default=None),
                "n_submissions": n_submissions,
                "n_saves": best(None, "save"),
                "n_peer_given": best("given", "peer_assess"),
                "n_peer_got": (its["PE"] if its else 0) if has_assessments else None,
                "n_self": best("SE", "self_assess"),
                "n_staff": (its["ST"] if its else 0) if has_assessments else None,
                "points_earned": score.get("points_earned"),
                "points_possible": score.get("points_possible"),
                "scored_at": score.get("created_at"),
                "s_to_submit": micros(submits[0] - did[0]["at"]) / 1e6 if submits else None,
            }
        )
    return found
