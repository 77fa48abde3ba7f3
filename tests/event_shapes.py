"""Hypothesis strategies for tables of events: events of every family, mutated and wrapped anew.

An event is a value for `line_of`. Texts of the form `@@…@@` in it stand in the line as they are,
without quotes: `NaN`, `1e400`, `0.10` and other numbers that Python would write otherwise.
"""

from __future__ import annotations

import copy
import datetime
import functools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

import make_logs
from strategies import course_keys

Event = dict[str, Any]
_RAW = re.compile(r'(\\*)"@@([^@"\\]+)@@\1"')
_DAYS = (datetime.date(2013, 7, 1), datetime.date(2016, 1, 20))

NUMBERS = st.sampled_from(
    [
        *(0, 1, -1, 2, 7.0, 0.5, -0.0, 36_000, 36_000.5, 2**53 + 1, 2**63 - 1, 2**63, -(2**63)),
        *("@@NaN@@", "@@-Infinity@@", "@@1e400@@", "@@-1E400@@", "@@1e2@@", "@@0.10@@", "@@-0@@"),
        "@@123456789012345678901234567890@@",
        *("12", "1.5", "1.", ".5", "+3", "-0", " 7", "7\n", "1_000", "1e3", "1e400", "0x10", "٣"),
        *("9223372036854775807", "9223372036854775808", "9" * 400),
        *("NaN", "nan", "Infinity", "None"),
    ]
)
TEXTS = st.sampled_from(
    [
        *("", " ", "null", "true", "True", "false", "False", "0", "[]", "{}", '"', "\\"),
        *("a=b", "a=b&c", "{}=", "a=%E4%A", "a=%E4%BD%A0", "a=%FF+b&a=c"),
        *("[1", '{"a": 1}', '["a", 1.50]', '"\\"a\\""'),
        *("x\x00y", "\u2028", "\ud83d", "\U0001f600", "e\u0301", "\ufeffa", "ﬁ", "line\nl\r\tend"),
        *("2016-01-01T10:00:00+00:00", "2016-01-01 10:00:00.5+00:00", "2016-01-01T10:00:00"),
        *("'2016-01-01T10:00:00Z'", '"2016-01-01 10:00:00"', "2016-13-01T10:00:00Z", "2016-01-01"),
        *("2016-01-01T10:00:00-04:00", "2016-01-01T10:00:00 UTC", "2016-01-01T10:00:00+0530"),
        "block-v1:A+B+C+type@problem+block@p1",
        " block-v1:A+B+C+type@video+block@v.1\n",
        "block-v1%3AA%2BB%2BC%2Btype%40html%2Bblock%40h1",
        "ccx-block-v1:A+B+C+ccx@7+type@problem+block@p1",
        "i4x://A/B/video/v1@3",
        "i4x:;_;_A;_B;_problem;_p1",
        "i4x-A-B-problem-p1",
        "i4x-A-B_2-video-x-video-y\nvideo",
        "i4x-A-nothing",
        "amy,block-v1:A+B+C+type@vertical+block@u1",
        "block-v1:A+B+C+type@sequential+block@s/block-v1:A+B+C+type@vertical+block@u",
    ]
)
PLAIN: SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), NUMBERS, TEXTS, st.text(max_size=8)
)
KEYS = st.sampled_from(
    [
        *(
            "",
            " ",
            "a.b",
            "*",
            "0",
            "id",
            "ID",
            "i\u0307d",
            "ｉｄ",
            "e\u0301",
            "\x00",
            "\ud83d",
            "数",
        ),
        *("p1_2_1", "p1_2_1_dynamath", "p1_2_1_comment", "p1_2_1_comment_value", "p1_2", "_2_1"),
        *("i4x-A-B-problem-p1_3_1", f"p1_{'9' * 30}_1"),
        *("answers", "text", "points possible", "a b"),
    ]
)
VALUES: SearchStrategy[Any] = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
SOURCES = st.sampled_from(["server", "browser", "mobile", "task", "", None, "other"])


@functools.cache
def each_event() -> tuple[Event, ...]:
    """An event of every act that the generator knows, on two days of different years."""
    return tuple(
        json.loads(line)
        for seed, day in enumerate(_DAYS)
        for line in make_logs.one_of_each(seed, day, "prod")
    )


def line_of(event: Event) -> bytes:
    """An event as a line, with its LF."""
    return _RAW.sub(r"\2", json.dumps(event)).encode() + b"\n"


def meaning(payload: Any) -> Any:
    """A payload as an object or a list, or the text of a form or of nothing that is known."""
    value = payload
    for _ in range(2):
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                break
    return value if isinstance(value, dict | list | str) else payload


def wrappings(payload: Any) -> list[Any]:
    """A payload in each of the layouts that mean the same: as it is, JSON text, JSON text of it."""
    value = meaning(payload)
    layouts = [value]
    for _ in range(2):
        layouts.append(json.dumps(layouts[-1]))
    return layouts


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values inside a value, itself first."""
    yield path
    items: Any = value.items() if isinstance(value, dict) else ()
    for key, inner in enumerate(value) if isinstance(value, list) else items:
        yield from places(inner, (*path, key))


def changed(value: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    """A value with what stands at a path changed."""
    if not path:
        return change(value)
    made = copy.copy(value)
    made[path[0]] = changed(value[path[0]], path[1:], change)
    return made


def nested(depth: int, inner: Any = 1) -> Any:
    """A value inside that many lists and objects in turn."""
    for level in range(depth):
        inner = [inner] if level % 2 else {"a": inner}
    return inner


def _reshaped(value: Any) -> list[Any]:
    """A value in other shapes: a list for an object, text for a number, and the like."""
    shapes = [[value], {"a": value}, json.dumps(value), nested(9, value)]
    if isinstance(value, dict):
        shapes += [list(value.items()), list(value.values()), {**value, "": value}]
    elif isinstance(value, list):
        shapes += [
            {str(at): one for at, one in enumerate(value)},
            value * 2,
            value[1:],
            [*value, None],
        ]
    elif isinstance(value, str):
        shapes += [value[: len(value) // 2], f" {value}\n", value + value, value.upper()]
    else:
        shapes += [str(value), f"{value}.0"]
    return shapes


def _other(value: Any) -> SearchStrategy[Any]:
    """What may stand where a value does."""
    if isinstance(value, dict):
        more = st.tuples(KEYS, PLAIN).map(lambda pair: {**value, pair[0]: pair[1]})
        renamed = st.tuples(st.sampled_from([*value, None]), KEYS).map(
            lambda pair: {pair[1] if key == pair[0] else key: value[key] for key in value}
        )
        fewer = st.sampled_from([*value, None]).map(
            lambda gone: {key: value[key] for key in value if key != gone}
        )
        return st.one_of(VALUES, st.sampled_from(_reshaped(value)), more, renamed, fewer)
    return st.one_of(VALUES, st.sampled_from(_reshaped(value)))


@st.composite
def _with_odd_payload(draw: DrawFn, payload: Any) -> Any:
    """A payload with up to three changes in it."""
    value = meaning(payload)
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(list(places(value))))
        value = changed(value, path, lambda old: draw(_other(old)))
    return value


@st.composite
def _cut(draw: DrawFn, payload: Any) -> Any:
    """The text of a payload up to some place: within an escape, or where old servers ended it."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    ends = [512, len(text) // 2, *(found.start() + 1 for found in re.finditer(r"[%\\]", text))]
    return text[: draw(st.sampled_from(ends))]


@st.composite
def shaped_events(draw: DrawFn) -> Event:
    """An event of any family, its payload, context and names as they are or changed."""
    event = copy.deepcopy(draw(st.sampled_from(each_event())))
    payload = draw(_with_odd_payload(event.get("event")))
    layout = draw(st.integers(0, 4))
    if layout < 3:
        event["event"] = wrappings(payload)[layout]
    else:
        event["event"] = draw(_cut(payload)) if layout == 3 else payload
    if draw(st.integers(0, 3)) == 0:
        _change_frame(draw, event)
    return event


def _change_frame(draw: DrawFn, event: Event) -> None:
    way = draw(st.integers(0, 6))
    context = event.get("context")
    if way == 0:
        event["event_source"] = draw(SOURCES)
    elif way == 1:
        event["name"] = draw(st.sampled_from(each_event()))["event_type"]
    elif way == 2:
        event["event_type"] = draw(st.sampled_from(["", None, "/courses/x", "unknown", 7]))
    elif way == 3 and isinstance(context, dict):
        event["context"] = draw(st.sampled_from([json.dumps(context), None, {}, [], "x"]))
    elif way == 4 and isinstance(context, dict):
        context["course_id"] = draw(course_keys())
    elif way == 5 and isinstance(context, dict):
        context["module"] = draw(VALUES)
    else:
        event["username"] = event["session"] = event["ip"] = draw(st.sampled_from(["", None]))


def large_events() -> list[Event]:
    """Events whose payload is as large or as deep as any that a line may hold."""
    checks = [event for event in each_event() if event["event_type"] == "problem_check"]
    check = copy.deepcopy(next(event for event in checks if isinstance(event["event"], dict)))
    form = copy.deepcopy(
        next(e for e in checks if isinstance(e["event"], str) and "=" in e["event"])
    )
    ids = [f"p1_{number + 2}_1" for number in range(10_000)]
    many = {
        "answers": {one: f"choice_{number % 4}" for number, one in enumerate(ids)},
        "correct_map": {one: {"correctness": "correct"} for one in ids[::2]},
        "submission": {one: {"answer": "é"} for one in reversed(ids)},
    }
    return [
        check | {"event": check["event"] | many},
        check | {"event": json.dumps(json.dumps(check["event"] | many))},
        form | {"event": "&".join(f"input_{one}=%C3%A9" for one in ids)},
        check | {"event": check["event"] | {"answers": {"p1_2_1": "x" * (8 * 2**20 - 9_000)}}},
        check | {"event": check["event"] | {"answers": {"p1_2_1": nested(400)}}},
        check | {"event": nested(400)},
        check | {"event": json.dumps(nested(400))},
    ]
