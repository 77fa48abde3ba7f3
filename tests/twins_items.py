"""Problems as learners stand with them, and items as they stand with learners, in plain Python."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from twins_course import course_items
from twins_events import Inputs, Row, head, micros, persons
from twins_problem import attempts, most, person_item, problem_acts, states

Parameters = Mapping[str, Any]
PARTS = 720_720_000
"""Scores are summed as so many parts."""
TOLD = {
    f"{kind}response"
    for kind in ("choice", "multiplechoice", "option", "numerical", "string", "formula")
}


def problems(inputs: Inputs, parameters: Parameters) -> dict[str, Row]:
    """The blocks that are problems, by their ids."""
    items = course_items(inputs, parameters)
    return {one["block_id"]: one for one in items if one["block_type"] == "problem"}


def person_problem(inputs: Inputs, parameters: Parameters) -> list[Row]:
    everybody = persons(inputs, parameters)
    has_events = "problem_events" in inputs
    acts: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for act in problem_acts(inputs, parameters):
        if act["act"]:
            acts[(*act["person"], act["problem"])].append(act)
    state_of = {(*one["person"], one["problem"]): one for one in states(inputs)}
    blocks = problems(inputs, parameters)
    found = []
    for where in sorted({*acts, *state_of}):
        its, state = acts.get(where, []), state_of.get(where)
        checks = [one for one in its if one["action"] == "check"]
        graded = [
            one
            for one in checks
            if one.get("grade") is not None and (one.get("max_grade") or 0) > 0
        ]
        source, last = None, None
        if state and state["grade"] is not None and (state["max_grade"] or 0) > 0:
            source, last = "state", state
        elif graded:
            source, last = "events", graded[-1]
        firsts = [one for one in checks if one.get("attempts") == 1]
        first = firsts[0] if firsts else None
        first_score = None
        if first and first.get("grade") is not None and (first.get("max_grade") or 0) > 0:
            first_score = first["grade"] / first["max_grade"]
        numbers = [one["attempts"] for one in checks if one.get("attempts") is not None]
        counted = most(numbers) if numbers else len(checks) or None
        n_attempts = most([state["attempts"] if state else None, counted])
        gap = None
        if has_events and n_attempts is not None:
            gap = n_attempts - len({one for one in numbers if one >= 1})

        def n(action: str, its: Sequence[Row] = its) -> int | None:
            return sum(one["action"] == action for one in its) if has_events else None

        found.append(
            {
                **head(where[:2], everybody, parameters),
                "block_key": min(one["key"] for one in its) if its else state and state["key"],
                "block_id": where[2],
                "score": last["grade"] / last["max_grade"] if last else None,
                "grade": last["grade"] if last else None,
                "max_grade": last["max_grade"] if last else None,
                "score_source": source,
                "weight": blocks.get(where[2], {}).get("weight"),
                "first_score": first_score,
                "first_correct": first.get("success") == "correct" if first else None,
                "n_attempts": n_attempts,
                "n_attempts_state": state["attempts"] if state else None,
                "n_attempts_events": counted,
                "ladder_gap": gap,
                "n_checks": n("check"),
                "n_answers_shown": n("answer_shown"),
                "n_hints": n("hint"),
                "n_saves": n("save"),
                "first_seen": state["created"] if state else None,
                "first_time": checks[0]["at"] if checks else None,
                "last_time": checks[-1]["at"] if checks else None,
                "modified": state["modified"] if state else None,
                "state_bad": bool(state and state["is_bad"])
                if "db_courseware_studentmodule" in inputs
                else None,
            }
        )
    return found


def correlation(pairs: Sequence[tuple[int, int]]) -> float | None:
    """Pearson's, from exact sums."""
    n = len(pairs)
    xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
    spread_x = n * sum(x * x for x in xs) - sum(xs) ** 2
    spread_y = n * sum(y * y for y in ys) - sum(ys) ** 2
    if not spread_x or not spread_y:
        return None
    both = n * sum(x * y for x, y in pairs) - sum(xs) * sum(ys)
    return round(both / (math.sqrt(spread_x) * math.sqrt(spread_y)), 12)


def alpha(rows: Sequence[Sequence[int]]) -> float | None:
    """Cronbach's, of a row of scores a learner."""
    n, m = len(rows), len(rows[0])

    def spread(values: Sequence[int]) -> int:
        return n * sum(value * value for value in values) - sum(values) ** 2

    total = spread([sum(row) for row in rows])
    if not total:
        return None
    parts = sum(spread(column) for column in zip(*rows, strict=True))
    return round(m / (m - 1) * (1 - parts / total), 12)


def whole(score: float | None) -> int | None:
    """A score in whole parts; None for one that no problem gives."""
    return None if score is None or abs(score) > 1000 else math.floor(score * PARTS + 0.5)


def item_stats(inputs: Inputs, parameters: Parameters) -> list[Row]:
    least = parameters["min_n"]
    blocks = problems(inputs, parameters)
    rows = [
        {
            **one,
            "assignment": blocks.get(one["block_id"], {}).get("sequential_key"),
            "first_score": whole(one["first_score"]),
            "item_score": whole(one["item_score"]),
        }
        for one in person_item(inputs, parameters)
        if not one["is_staff"] and one["input_id"] is not None
    ]
    answered = [one for one in rows if one["item_score"] is not None]
    by_item = defaultdict(list)
    for one in rows:
        if (one["n_attempts"] or 0) >= 1 or one["item_score"] is not None:
            by_item[one["site"], one["block_id"], one["input_id"]].append(one)

    def rest(where: tuple[Any, ...], scope: str) -> tuple[int | None, float | None]:
        """How many answered half of a scope, and the correlation of an item with its others."""
        of = None if scope == "course" else blocks.get(where[1], {}).get("sequential_key")
        if scope == "assignment" and of is None:
            return None, None
        beside = [
            one for one in answered
            if one["site"] == where[0] and (scope == "course" or one["assignment"] == of)
        ]  # fmt: skip
        items = {(one["block_id"], one["input_id"]) for one in beside}
        people: dict[int, dict[Any, int]] = defaultdict(dict)
        for one in beside:
            people[one["user_id"]][one["block_id"], one["input_id"]] = one["item_score"]
        pairs = [
            (its[where[1:]], sum(its.values()) - its[where[1:]])
            for its in people.values()
            if where[1:] in its and len(its) * 2 >= len(items)
        ]
        if len(items) < 2 or not pairs:
            return None, None
        return len(pairs), correlation(pairs) if len(pairs) >= least else None

    def of_assignment(where: tuple[Any, ...]) -> tuple[int | None, float | None]:
        of = blocks.get(where[1], {}).get("sequential_key")
        its = [one for one in answered if one["site"] == where[0] and one["assignment"] == of]
        items = sorted({(one["block_id"], one["input_id"]) for one in its})
        people: dict[int, dict[Any, Any]] = defaultdict(dict)
        for one in its:
            people[one["user_id"]][one["block_id"], one["input_id"]] = one["item_score"]
        cases = [[row[item] for item in items] for row in people.values() if len(row) == len(items)]
        if of is None or len(items) < 2 or not cases:
            return None, None
        return len(cases), alpha(cases) if len(cases) >= least else None

    spans = defaultdict(list)
    for one in person_problem(inputs, parameters):
        if one["is_staff"] or one["first_correct"] is None or one["first_seen"] is None:
            continue
        us = micros(one["first_time"] - one["first_seen"])
        if us >= 0:
            spans[one["site"], one["block_id"]].append(us)
    seen: dict[Any, dict[int, bool]] = defaultdict(dict)
    if "problem_events" in inputs and "problem_inputs" in inputs:
        for one in attempts(inputs, parameters):
            if one["is_last"] and not one["is_staff"]:
                place = one["site"], one["block_id"], one["input_id"]
                seen[place][one["user_id"]] = one["answer_seen_before"]

    def mean(values: Sequence[Any], scale: float = 1) -> float | None:
        known = [value for value in values if value is not None]
        return round(sum(known) / len(known) / scale, 12) if len(known) >= least else None

    found = []
    for where, its in sorted(by_item.items()):
        block = blocks.get(where[1], {})
        tries = [one["n_attempts"] for one in its if one["n_attempts"] is not None]
        limit = block.get("max_attempts")
        n_assignment, in_assignment = rest(where, "assignment")
        n_course, in_course = rest(where, "course")
        n_alpha, its_alpha = of_assignment(where)
        waits = spans[where[:2]]
        found.append(
            {
                "site": where[0],
                "course_id": parameters["course_id"],
                "block_key": min(one["block_key"] for one in its),
                "block_id": where[1],
                "input_id": where[2],
                "display_name": block.get("display_name"),
                "assignment_key": block.get("sequential_key"),
                "format": block.get("format"),
                "n": len(its),
                "n_first": sum(one["first_score"] is not None for one in its),
                "p_first": mean([one["first_score"] for one in its], PARTS),
                "p_last": mean([one["item_score"] for one in its], PARTS),
                "discrimination_assignment": in_assignment,
                "n_assignment": n_assignment,
                "discrimination_course": in_course,
                "n_course": n_course,
                "alpha": its_alpha,
                "n_alpha": n_alpha,
                "attempts_mean": mean(tries),
                "attempts_median": float(statistics.median(tries)) if len(tries) >= least else None,
                "max_attempts_share": mean([one >= limit for one in tries])
                if limit is not None
                else None,
                "s_to_first_median": round(statistics.median(waits) / 1e6, 12)
                if len(waits) >= least
                else None,
                "answer_seen_share": mean(list(seen[where].values())),
            }
        )
    return found


def answer_distribution(inputs: Inputs, parameters: Parameters) -> list[Row]:
    rows = attempts(inputs, parameters)
    types: dict[Any, str] = {}
    for one in rows:
        place = one["site"], one["block_id"], one["input_id"]
        told = [one["response_type"], types.get(place)]
        if any(told):
            types[place] = max(one for one in told if one)
    cells: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for one in rows:
        if one["is_staff"]:
            continue
        kind = types.get((one["site"], one["block_id"], one["input_id"]))
        told = (
            [one["answer"], one["answer_text"], None]
            if kind in TOLD
            else [None, None, one["correctness"]]
        )
        cell = one["site"], one["block_id"], one["input_id"], kind, one["variant"]
        cells[(*cell, *told)].append(one)
    merged: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for cell, its in cells.items():
        users = len({one["user_id"] for one in its})
        if users < parameters["min_n"]:
            merged[(*cell[:5], "(other)", None, None, None)] += its
        else:
            known = [one for one in its if one["correctness"] is not None]
            last = max(
                known,
                key=lambda one: (one["time"], one["user_id"], one["attempt_rank"]),
                default={"correctness": None},
            )
            merged[(*cell[:7], last["correctness"], users)] += its
    blocks = problems(inputs, parameters)
    found = [
        {
            "site": cell[0],
            "course_id": parameters["course_id"],
            "block_key": min(one["block_key"] for one in its),
            "block_id": cell[1],
            "display_name": blocks.get(cell[1], {}).get("display_name"),
            "input_id": cell[2],
            "response_type": cell[3],
            "variant": cell[4],
            "answer": cell[5],
            "answer_text": cell[6],
            "correctness": cell[7],
            "n_learners": cell[8],
            "n_first": sum(one["is_first"] for one in its),
            "n_last": sum(one["is_last"] for one in its),
            "n_all": len(its),
        }
        for cell, its in merged.items()
    ]
    order = ("site", "block_id", "input_id", "variant", "answer", "answer_text", "correctness")
    return sorted(
        found, key=lambda one: tuple((one[name] is None, one[name] or "") for name in order)
    )
