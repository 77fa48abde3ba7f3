"""The blocks of a course once more in plain Python, and which of them the keys of events mean."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from twins_events import Inputs, Row

OF_BLOCKS = [
    f"{name}_events"
    for name in ("problem", "video", "navigation", "ora", "completion", "exam", "content", "block")
]
OF_BLOCKS += ["study_events", "grade_events", "requests"]
INHERITED = ("format", "graded", "start", "due")


def parts_of(key: str) -> tuple[str, str, str]:
    """Organisation, number and id of a usage key."""
    if key.startswith("i4x://"):
        org, number, _, name = key.removeprefix("i4x://").split("/", 3)
        return org, number, name.split("@")[0]
    place, _, name = key.partition("+block@")
    org, number = place.split(":", 1)[1].split("+")[:2]
    return org, number, name


def course_items(inputs: Inputs, parameters: Mapping[str, Any]) -> list[Row]:
    found: list[Row] = []
    structure = inputs.get("db_course_structure", ())
    for site in sorted({row.get("site") or "" for row in structure}):
        rows = [row for row in structure if (row.get("site") or "") == site]
        found += _of_site(site, rows, inputs, parameters)
    return found


def _of_site(
    site: str, rows: list[Row], inputs: Inputs, parameters: Mapping[str, Any]
) -> list[Row]:
    by_key = {row["usage_key"]: row for row in rows}
    holders: Counter[str] = Counter()
    for row in rows:
        holders.update(set(json.loads(row.get("children") or "[]")))
    below = defaultdict(list)
    for row in rows:
        if row.get("depth") and row.get("parent"):
            below[row["parent"]].append(row)
    walked: dict[str, Row] = {}
    numbers: dict[str, int] = {}

    def walk(row: Row, above: Row) -> None:
        told = json.loads(row.get("metadata") or "{}")
        its: Row = {
            name: above.get(name) if row.get(name) is None else row[name] for name in INHERITED
        }
        hidden = told.get("visible_to_staff_only") in (True, "true")
        its["hidden"] = hidden or above.get("hidden", False)
        its["split"] = above.get("split")
        if row["block_type"] == "split_test":
            its["split"] = row.get("display_name") or parts_of(row["usage_key"])[2]
        its["index"] = len(walked)
        walked[row["usage_key"]] = its
        kind = row["block_type"]
        scope = {"chapter": "", "sequential": row.get("chapter"), "vertical": row.get("sequential")}
        if kind in scope:
            beside = [
                one
                for one in numbers
                if by_key[one]["block_type"] == kind
                and {"chapter": "", "sequential": by_key[one].get("chapter")}.get(
                    kind, by_key[one].get("sequential")
                )
                == scope[kind]
            ]
            numbers[row["usage_key"]] = len(beside) + 1
        for one in sorted(below[row["usage_key"]], key=lambda one: one["position"]):
            walk(one, its)

    for row in rows:
        if row.get("depth") == 0:
            walk(row, {})
    checked = _checked(inputs)
    content = {row["block_key"]: row for row in inputs.get("olx_blocks", ())}
    policy = {row["assignment_type"]: row for row in inputs.get("olx_policy", ())}
    found = []
    for row in rows:
        key = row["usage_key"]
        org, number, name = parts_of(key)
        told = json.loads(row.get("metadata") or "{}")
        own_hidden = told.get("visible_to_staff_only") in (True, "true")
        its = walked.get(key) or {**row, "index": None, "hidden": own_hidden, "split": None}
        children = json.loads(row.get("children") or "[]")
        n_inputs, points = checked.get(name, (None, None))
        if row["block_type"] != "problem":
            n_inputs = points = None
        of_format = policy.get(its.get("format") or "", {})
        html = f"i4x-{org}-{number}-{row['block_type']}-{name}"

        def above(kind: str, row: Row = row) -> Row:
            holder = by_key.get(row.get(kind) or "", {})
            title = holder.get("display_name") if row.get(kind) in numbers else None
            return {
                f"{kind}_key": row.get(kind),
                f"{kind}_name": title,
                f"{kind}_number": numbers.get(row.get(kind) or ""),
            }

        found.append(
            {
                "site": site,
                "course_id": parameters["course_id"],
                "index": its["index"],
                "block_key": key,
                "block_id": name,
                "html_id": re.sub(r"[^\w-]", "_", html),
                "block_type": row["block_type"],
                "display_name": row.get("display_name"),
                "parent_key": row.get("parent"),
                "multi_parent": holders[key] > 1,
                "depth": row.get("depth"),
                **above("chapter"),
                **above("sequential"),
                **above("vertical"),
                "path": row.get("path"),
                **{one: its.get(one) for one in INHERITED},
                "visible_to_staff_only": its["hidden"],
                "hide_from_toc": told.get("hide_from_toc") in (True, "true"),
                "group_access": json.dumps(told["group_access"], separators=(",", ":"))
                if told.get("group_access") is not None
                else None,
                "split_name": its["split"],
                "weight": None if told.get("weight") is None else float(told["weight"]),
                "max_attempts": None
                if told.get("max_attempts") is None
                else int(told["max_attempts"]),
                "youtube_id": told.get("youtube_id_1_0") or None,
                "discussion_id": told.get("discussion_id") or None,
                "n_children": len(children),
                "is_leaf": not children,
                "n_inputs": n_inputs,
                "max_points": points,
                "is_empirical": n_inputs is not None,
                "length_s": content.get(key, {}).get("video_s"),
                "labels": content.get(key, {}).get("labels"),
                "format_weight": of_format.get("weight"),
                "format_min_count": of_format.get("min_count"),
                "format_drop_count": of_format.get("drop_count"),
            }
        )
    last = len(found)
    return sorted(
        found, key=lambda one: (last if one["index"] is None else one["index"], one["block_key"])
    )


def _checked(inputs: Inputs) -> dict[str, tuple[int, float | None]]:
    """Of each problem, the most inputs of a check, and the most points one could give."""
    counts = Counter(
        (row["source"], row["line"], row["line_item"])
        for row in inputs.get("problem_inputs", ())
        if row["action"] == "check"
    )
    found: dict[str, tuple[int, float | None]] = {}
    for row in inputs.get("problem_events", ()):
        n = counts[row["source"], row["line"], row["line_item"]]
        if row["action"] != "check" or not n or row.get("block_id") is None:
            continue
        most, points = found.get(row["block_id"], (0, None))
        told = [one for one in (points, row.get("max_grade")) if one is not None]
        found[row["block_id"]] = max(most, n), max(told, default=None)
    return found


def blocks_of_events(
    inputs: Inputs, parameters: Mapping[str, Any]
) -> dict[str, tuple[str | None, str | None, str | None]]:
    """By the key as events spell it: key, id and type of the block that it means."""
    items = course_items(inputs, parameters)
    spelled: dict[str, tuple[str | None, str | None]] = {}
    for table in OF_BLOCKS:
        for row in inputs.get(table, ()):
            if row.get("block_key") is not None:
                spelled[row["block_key"]] = (row.get("block_type"), row.get("block_id"))

    def only(name: str, value: Any) -> Row | None:
        its = {one["block_key"]: one for one in items if one[name] == value}
        return next(iter(its.values())) if len(its) == 1 else None

    found: dict[str, tuple[str | None, str | None, str | None]] = {}
    for key, (kind, name) in spelled.items():
        item = next((one for one in items if one["block_key"] == key), None)
        if item is None and key.startswith("i4x-"):
            item = only("html_id", key)
        if item is None and kind is None:
            item = only("block_id", name)
        if item is None and kind is not None and name is not None:
            same = {
                one["block_key"]: one
                for one in items
                if (one["block_type"], one["block_id"]) == (kind, name)
            }
            item = next(iter(same.values())) if len(same) == 1 else None
        if item is None:
            found[key] = (None, name, kind)
        else:
            found[key] = (item["block_key"], item["block_id"], item["block_type"])
    return found
