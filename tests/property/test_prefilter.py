"""The prefilter loses nothing: whatever the spelling of a value, a line that matches is found.

Lines that name a value in a random spelling stand among many that do not. Parsing every line and
the oracle must both say the same as the search of bytes does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle
import product
import strategies
from expressions import expressions

EXAMPLES = 120


def _filler(number: int) -> bytes:
    event: dict[str, Any] = {
        "username": f"somebody_{number}",
        "event_type": ["seek_video", "/courses/EdY/B2/2013/about", "page_close"][number % 3],
        "event_source": "browser",
        "time": f"2015-10-01T03:02:{number % 60:02}.5+00:00",
        "event": json.dumps({"code": "mobile", "say": "caf\u00e9 100 %" * (number % 5)}),
        "context": {"course_id": "course-v1:EdY+B2+2013", "org_id": "EdY", "user_id": number},
    }
    return json.dumps(event).encode()


FIRST_LINES = b"\n" * 100
FILLERS = [_filler(number) for number in range(40)]


def log_of(data: st.DataObject, lines: Sequence[bytes]) -> bytes:
    """The lines at random places among the fillers, behind those that are always parsed."""
    log = list(FILLERS)
    for line in lines:
        log.insert(data.draw(st.integers(1, len(log))), line)
    return FIRST_LINES + b"".join(line + b"\n" for line in log)


def check(log: bytes, least: int, asked: dict[str, Any], expected: dict[str, Any]) -> None:
    """Fail unless all three ways to the rows agree, and find `least` of them."""
    with product.log(log) as path:
        wanted = oracle.filter_file(path, **expected)
        assert len(wanted) >= least
        fast = product.rows(path, check="fast", **asked)
        product.assert_same_rows(fast, wanted)
        assert product.rows(path, check="full", **asked) == fast


@given(data=st.data())
@settings(max_examples=EXAMPLES)
def test_no_spelling_of_a_course_is_lost(data: st.DataObject) -> None:
    key = data.draw(strategies.course_keys())
    events = [
        event | {"time": "2015-10-01T03:02:38+00:00"}
        for event, _ in data.draw(st.lists(strategies.spelled_course(key), min_size=1, max_size=4))
    ]
    log = log_of(data, [data.draw(strategies.spell(event)) for event in events])
    start = data.draw(st.integers(0, len(key)))
    course = data.draw(st.sampled_from([key, key[:start] + "*", "*" + key[start:]]))
    check(log, len(events), {"course": course}, {"courses": [course]})


@given(data=st.data())
@settings(max_examples=EXAMPLES)
def test_no_spelling_of_an_organisation_is_lost(data: st.DataObject) -> None:
    key = data.draw(strategies.course_keys())
    org = key.partition(":")[2].split("+")[0] if ":" in key else key.split("/")[0]
    event, _ = data.draw(strategies.spelled_course(key))
    lines = [
        data.draw(strategies.spell(event)),
        data.draw(strategies.spell({"name": "x", "context": {"org_id": org.swapcase()}})),
    ]
    asked = data.draw(st.sampled_from([org, org.upper(), org.lower()]))
    check(log_of(data, lines), 1, {"org": asked}, {"orgs": [asked]})


NAMES = st.one_of(
    st.text(min_size=1, max_size=12),
    st.sampled_from(["problem_check", "edx.forum.thread.created", "/courses/a/b"]),
    st.sampled_from(['say "hi"', "a\\b", "\u212aelvin", "Zo\u00eb_Smith"]),
).filter(lambda name: name.strip() == name and name[0] != "@" and not set(name) & set("*?"))


@given(data=st.data(), name=NAMES)
@settings(max_examples=EXAMPLES)
def test_no_spelling_of_a_name_is_lost(data: st.DataObject, name: str) -> None:
    forms: list[tuple[str, str, dict[str, Any]]] = [
        ("event_type", "event_types", {"event_type": name}),
        ("event_type", "event_types", {"event_type": "other", "name": name}),
        ("event_source", "event_sources", {"event_source": name, "name": "x"}),
        ("user", "users", {"username": name, "event_type": "x"}),
        ("user", "users", {"name": "x", "context": {"username": name + "\n"}}),
    ]
    asked, kind, event = data.draw(st.sampled_from(forms))
    wrong = dict.fromkeys(event, "not it")
    lines = [data.draw(strategies.spell(one)) for one in (event, wrong, event)]
    if asked == "user" and name.lstrip("+-").isdigit():
        return  # A number, which means an id as well.
    check(log_of(data, lines), 2, {asked: name}, {kind: [name]})


@given(data=st.data())
@settings(max_examples=2 * EXAMPLES)
def test_no_spelling_of_what_an_expression_names_is_lost(data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        event, _ = data.draw(strategies.spelled_course(data.draw(strategies.course_keys())))
        event |= {"time": "2015-10-01T03:02:38+00:00"}
    else:
        event = data.draw(strategies.events())
    lines = [data.draw(strategies.spell(event)) for _ in range(2)]
    (read,) = oracle.read_events(lines[0]).events
    expression = data.draw(expressions(oracle.row(read), read))
    check(log_of(data, lines), 1, {"where": str(expression)}, {"where": expression.truth})


@given(data=st.data())
@settings(max_examples=EXAMPLES)
def test_no_odd_line_that_matches_is_lost(data: st.DataObject) -> None:
    """Mended lines too: the search sees the line as it stands, the condition as mended."""
    lines = [line.line for line in data.draw(st.lists(strategies.log_lines(), max_size=4))]
    name = data.draw(strategies.EVENT_TYPES.filter(bool))
    log = log_of(data, lines)
    check(log, 0, {"event_type": name}, {"event_types": [name]})
    outcomes = [oracle.read_events(line) for line in lines]
    for event in [event for outcome in outcomes for event in outcome.events][:2]:
        expression = data.draw(expressions(oracle.row(event), event))
        check(log, 1, {"where": str(expression)}, {"where": expression.truth})


@given(data=st.data())
@settings(max_examples=2 * EXAMPLES)
def test_nothing_is_lost_in_an_envelope(data: st.DataObject) -> None:
    """The needles stand in JSON text, escaped once more for each envelope."""
    key = data.draw(strategies.course_keys())
    event, _ = data.draw(strategies.spelled_course(key))
    event |= {"time": "2015-10-01T03:02:38+00:00", "username": data.draw(NAMES)}
    lines = [
        data.draw(strategies.spell(event).flatmap(strategies.wrapped)),
        data.draw(strategies.spell(event | {"username": "another"}).flatmap(strategies.wrapped)),
    ]
    log = log_of(data, lines)
    check(log, 2, {"course": key}, {"courses": [key]})
    (read,) = oracle.read_events(lines[0]).events
    expression = data.draw(expressions(oracle.row(read), read))
    check(log, 1, {"where": str(expression)}, {"where": expression.truth})
    if not event["username"].lstrip("+-").isdigit():
        check(log, 1, {"user": event["username"]}, {"users": [event["username"]]})


@given(data=st.data())
@settings(max_examples=2 * EXAMPLES)
def test_nothing_is_lost_in_pieces(data: st.DataObject) -> None:
    """A needle may be cut in two, and other lines may stand between."""
    key = data.draw(strategies.course_keys())
    event, _ = data.draw(strategies.spelled_course(key))
    event |= {"time": "2015-10-01T03:02:38+00:00"}
    log = [*FILLERS[:10], data.draw(strategies.spell(event).flatmap(strategies.wrapped))]
    pieces = data.draw(strategies.spell(event).flatmap(strategies.in_pieces))
    at = 0
    for piece in pieces:
        at = data.draw(st.integers(at + 1, len(log)))
        log.insert(at, piece)
    content = b"".join(line + b"\n" for line in log)
    check(content, 1, {"course": key}, {"courses": [key]})
    with product.log(content) as path:
        joined = oracle.joined(path)
        for words in ({"course": key}, {"course": "none", "check": "full"}, {"threads": 2}):
            counts = product.run(path, **words)[1]
            assert counts["joined"] == sum(joined.values())
            assert sum(counts[name] for name in ("kept", "dropped", "rejected")) == len(log)


@given(data=st.data(), number=st.integers(-(2**63), 2**63 - 1))
@settings(max_examples=40)
def test_no_spelling_of_a_user_id_is_lost(data: st.DataObject, number: int) -> None:
    spellings: list[Any] = [number, str(number), f" {number}\n"]
    if abs(number) < 2**53:
        spellings.append(float(number))
    events = [{"name": "x", "context": {"user_id": spelled}} for spelled in spellings]
    lines = [data.draw(strategies.spell(event)) for event in events]
    check(log_of(data, lines), len(events), {"user": str(number)}, {"users": [str(number)]})


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b'{"event_type": ["\\ud83d"], "time": 1}', r'["\ufffd"]'),
        (b'{"event_type": [NaN], "time": 1}', "[null]"),
        (b'{"event_type": {"a": 1}, "time": 1}', '{"a": 1}'),
        (b'{"event_type": "", "name": {"a": 1}, "time": 1}', '{"a": 1}'),
        (b'{"name": ["a"], "event": {}, "context": {"event_type": "x"}}', '["a"]'),
    ],
)
def test_a_list_or_an_object_is_no_name(line: bytes, name: str) -> None:
    """Mended, its text would equal the name; as it stands, the prefilter cannot find it."""
    log = b"".join(line + b"\n" for line in [*FILLERS, line])
    check(log, 0, {"event_type": name}, {"event_types": [name]})


def test_the_prefilter_drops_lines_unparsed() -> None:
    """Else the laws above would say nothing of it."""
    with product.log(FIRST_LINES + b"".join(line + b"\n" for line in FILLERS)) as path:
        asked: dict[str, Any]
        for asked in (
            {"course": "course-v1:UniX+CS101+2015"},
            {"org": "OtherX"},
            {"event_type": "problem_check"},
            {"user": "learner"},
            {"event_source": "server"},
            {"where": "event_type = 'problem_check'"},
            {"where": "name in ('problem_check', 'play_video') and not event.grade = 1"},
            {"where": "course_id = 'UniX/CS101/2013' or event.problem_id like 'block-v1:%'"},
            {"where": "event.attempts >= 2"},
            {"where": "not (context.module.usage_key is null or event.grade = 1)"},
        ):
            assert product.run(path, check="fast", **asked)[1]["parsed"] < len(FILLERS)
