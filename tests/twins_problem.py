"""What learners answered, and how they stand with problems, once more in plain Python."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from twins_course import blocks_of_events, course_items, parts_of
from twins_events import Inputs, Person, Row, head, learner_events, micros, persons

Parameters = Mapping[str, Any]
HELPERS = re.compile(r"(_dynamath|_comment|_comment_value)\Z")


def points_of(correctness: str | None, npoints: float | None, queued: bool | None) -> float | None:
    if queued:
        return None
    if npoints is not None:
        return npoints
    return {"correct": 1.0, "incorrect": 0.0}.get(correctness or "")


def problem_acts(inputs: Inputs, parameters: Parameters) -> list[Row]:
    """Events of learners with problems that are known, in order, with `problem` and `key`."""
    blocks = blocks_of_events(inputs, parameters)
    found = []
    for event in learner_events(inputs, parameters):
        key, name, _ = blocks.get(event.get("block_key") or "", (None, None, None))
        if event["table"] == "problem_events" and name is not None:
            found.append({**event, "problem": name, "key": key or event["block_key"]})
    return found


def _given(inputs: Inputs) -> dict[tuple[Any, ...], list[Row]]:
    found = defaultdict(list)
    for row in inputs.get("problem_inputs", ()):
        if row["action"] == "check":
            found[row["source"], row["line"], row["line_item"]].append(row)
    return found


def checks(inputs: Inputs, parameters: Parameters) -> list[Row]:
    """Checks in order, without doubles, each with what its learner did with the problem before."""
    given = _given(inputs)
    last_same: dict[tuple[Any, ...], Any] = {}
    so_far: dict[tuple[Person, str], Row] = {}
    found = []
    for event in problem_acts(inputs, parameters):
        where = event["person"], event["problem"]
        its = so_far.setdefault(
            where, {"rank": 0, "at": None, "answer_shown": 0, "hint": 0, "save": 0}
        )
        if event["action"] in ("answer_shown", "hint", "save"):
            its[event["action"]] += 1
        if event["action"] != "check":
            continue
        rows = given[event["source"], event["line"], event["line_item"]]
        answers = tuple(sorted((row["input_id"], repr(row.get("answer"))) for row in rows))
        same = (*where, event.get("attempts"), answers)
        before = last_same.get(same)
        last_same[same] = event["at"]
        if before is not None and micros(event["at"] - before) <= 5_000_000:
            continue
        since = None if its["at"] is None else micros(event["at"] - its["at"])
        its["rank"] += 1
        its["at"] = event["at"]
        found.append(
            {
                **event,
                "rank": its["rank"],
                "since_us": since,
                "seen": its["answer_shown"] > 0,
                "hints": its["hint"],
                "saved": its["save"] > 0,
                "rows": rows,
                "of": its,
            }
        )
    return found


def attempts(inputs: Inputs, parameters: Parameters) -> list[Row]:
    everybody = persons(inputs, parameters)
    found = []
    for check in checks(inputs, parameters):
        for row in check["rows"]:
            found.append(
                {
                    **head(check["person"], everybody, parameters),
                    "block_key": check["key"],
                    "block_id": check["problem"],
                    "input_id": row["input_id"],
                    "part": row.get("part"),
                    "input": row.get("input"),
                    "attempt": check.get("attempts"),
                    "attempt_rank": check["rank"],
                    "time": check["at"],
                    "answer": row.get("answer"),
                    "answer_text": row.get("answer_text"),
                    "correctness": row.get("correctness"),
                    "points": points_of(
                        row.get("correctness"), row.get("npoints"), row.get("queued")
                    ),
                    "max_points": None,
                    "response_type": row.get("response_type"),
                    "variant": row.get("variant"),
                    "seed": check.get("seed"),
                    "is_first": check["rank"] == 1,
                    "is_last": check["rank"] == check["of"]["rank"],
                    "s_since_previous": None
                    if check["since_us"] is None
                    else check["since_us"] / 1e6,
                    "answer_seen_before": check["seen"],
                    "hints_before": check["hints"],
                    "saved_before": check["saved"],
                }
            )
    for one in found:
        same = [other for other in found if _item(other)[2:] == _item(one)[2:]]
        its = [other["points"] for other in same if other["site"] == one["site"]]
        one["max_points"] = max([1.0, *(value for value in its if value is not None)])
    return sorted(found, key=lambda one: (*_item(one)[:3], one["attempt_rank"], one["input_id"]))


def _item(row: Row) -> tuple[Any, ...]:
    return row["site"], row["user_id"], row["block_id"], row["input_id"]


def states(inputs: Inputs) -> list[Row]:
    """Of each row of a problem, what its state tells; `inputs` are those of its answers."""
    found = []
    for row in inputs.get("db_courseware_studentmodule", ()):
        if row.get("module_type") != "problem" or row.get("student_id") is None:
            continue
        state, is_bad = None, bool(json.loads(row.get("misfits") or "{}").get("state"))
        try:
            state = json.loads(row["state"]) if row.get("state") else None
        except ValueError:
            is_bad = True
        if state is not None and not isinstance(state, dict):
            state, is_bad = None, True
        is_bad = is_bad and state is None
        told = {}
        for key, its in ((state or {}).get("correct_map") or {}).items():
            if HELPERS.search(key):
                continue
            one: Row = {"correctness": its} if isinstance(its, str) else its
            told[key] = {
                "correctness": one.get("correctness"),
                "points": points_of(
                    one.get("correctness"),
                    one.get("npoints"),
                    one.get("queuestate") is not None,
                ),
            }
        found.append(
            {
                "person": (row.get("site") or "", row["student_id"]),
                "key": row["module_id"],
                "problem": parts_of(row["module_id"])[2],
                "attempts": (state or {}).get("attempts"),
                "inputs": told,
                "is_bad": is_bad,
                **{name: row.get(name) for name in ("grade", "max_grade", "created", "modified")},
            }
        )
    return found


def most(values: Iterable[Any]) -> Any:
    """The greatest that is known."""
    return max((value for value in values if value is not None), default=None)


def person_item(inputs: Inputs, parameters: Parameters) -> list[Row]:
    everybody = persons(inputs, parameters)
    has_events = "problem_events" in inputs and "problem_inputs" in inputs
    of_events: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for one in attempts(inputs, parameters) if has_events else ():
        of_events[_item(one)].append(one)
    of_state: dict[tuple[Any, ...], Row] = {}
    of_problem: dict[tuple[Any, ...], Row] = {}
    for one in states(inputs):
        where = (*one["person"], one["problem"])
        of_problem[where] = one
        for key, its in one["inputs"].items():
            of_state[(*where, key)] = {**one, **its}
        if not one["inputs"] and one["is_bad"]:
            of_state[(*where, None)] = one
    weights = {}
    for item in course_items(inputs, parameters):
        if item["block_type"] == "problem":
            weights[item["block_id"]] = item["weight"]

    found = []
    for where in {*of_events, *of_state}:
        site, user, problem, key = where
        its, state = of_events.get(where, []), of_state.get(where)
        told = of_problem.get((site, user, problem), {})
        all_points = [one["points"] for at, rows in of_events.items() if at[2:] == where[2:]
                      for one in rows]  # fmt: skip
        all_points += [one.get("points") for at, one in of_state.items() if at[2:] == where[2:]]
        top = max(1.0, most(all_points) or 0)
        if key is None:
            top = 1.0
        by_problem = [
            one for at, rows in of_events.items() for one in rows if at[:3] == (site, user, problem)
        ]
        numbers = [one["attempt"] for one in by_problem if one["attempt"] is not None]
        counted = most(numbers)
        if counted is None:
            counted = most(one["attempt_rank"] for one in by_problem)
        n_attempts = most([told.get("attempts"), counted])
        firsts = [one for one in its if one["attempt"] == 1]
        first = firsts[0] if firsts else None
        best = most(one["points"] for one in its)
        use_state = state is not None and key is not None
        last: Row = state if use_state else its[-1] if its else {}  # type: ignore[assignment]

        def score(points: float | None, top: float = top) -> float | None:
            return None if points is None else points / top

        rungs = len({one for one in numbers if one >= 1})
        found.append(
            {
                **head((site, user), everybody, parameters),
                "block_key": its[0]["block_key"] if its else state["key"] if state else None,
                "block_id": problem,
                "input_id": key,
                "item_score": score(last.get("points")),
                "score_source": "state" if use_state else "events" if its else None,
                "correctness": last.get("correctness"),
                "first_score": score(first["points"]) if first else None,
                "best_score": score(best) if first else None,
                "first_correct": first["correctness"] == "correct" if first else None,
                "max_points": top,
                "n_attempts": n_attempts,
                "n_attempts_state": told.get("attempts"),
                "n_attempts_events": counted,
                "ladder_gap": n_attempts - rungs if has_events and n_attempts is not None else None,
                "first_time": its[0]["time"] if its else None,
                "last_time": its[-1]["time"] if its else None,
                "modified": told.get("modified"),
                "grade": told.get("grade"),
                "max_grade": told.get("max_grade"),
                "weight": weights.get(problem),
                "state_bad": bool(state and state["is_bad"])
                if "db_courseware_studentmodule" in inputs
                else None,
            }
        )
    return sorted(found, key=lambda one: (*_item(one)[:3], one["input_id"] or "~"))
