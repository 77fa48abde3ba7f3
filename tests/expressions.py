"""Random expressions of `--where`: as text for the product, and as their meaning for the oracle."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from edxlogs.plain.course import SPACES
from oracle_mend import Event, Scan, members, scan

Truth = bool | None
Value = str | int | None
Step = str | int

TEXT_COLUMNS = (
    "event_type",
    "name",
    "event_source",
    "course_id",
    "org_id",
    "username",
    "session",
    "ip",
    "agent",
    "host",
    "page",
    "referer",
    "accept_language",
    "path",
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Expression:
    """Shows as the text of the expression; `truth` gives its meaning, None for unknown."""

    text: str
    truth: Callable[[Mapping[str, Any], Mapping[str, Any]], Truth]

    def __str__(self) -> str:
        return self.text


def negated(inner: Expression) -> Expression:
    """Not `inner`."""

    def truth(event: Mapping[str, Any], row: Mapping[str, Any]) -> Truth:
        inner_truth = inner.truth(event, row)
        return None if inner_truth is None else not inner_truth

    return Expression(f"not ({inner})", truth)


def joined(word: str, parts: list[Expression]) -> Expression:
    """All of the parts, or one of them, as `word` is "and" or "or"."""
    decisive = word == "or"

    def truth(event: Mapping[str, Any], row: Mapping[str, Any]) -> Truth:
        truths = [part.truth(event, row) for part in parts]
        return decisive if decisive in truths else None if None in truths else not decisive

    return Expression(f" {word} ".join(f"({part})" for part in parts), truth)


def _leaf(path: tuple[Step, ...], text: str, test: Callable[[Value], Truth]) -> Expression:
    def truth(event: Mapping[str, Any], row: Mapping[str, Any]) -> Truth:
        return test(value_at(event, row, path))

    return Expression(f"{_path_text(path)} {text}", truth)


def _path_text(path: tuple[Step, ...]) -> str:
    steps = [
        f"[{step}]" if isinstance(step, int) else '."{}"'.format(step.replace('"', '""'))
        for step in path
    ]
    return "".join(steps).removeprefix(".")


def _quoted(literal: str | int) -> str:
    return str(literal) if isinstance(literal, int) else "'{}'".format(literal.replace("'", "''"))


def value_at(event: Mapping[str, Any], row: Mapping[str, Any], path: tuple[Step, ...]) -> Value:
    """The value of a path without cast: of a column, or what stands in the event."""
    root = str(path[0])
    if len(path) == 1 and root in row:
        column: Value = row[root]
        return column
    assert isinstance(event, Event)
    raw = dict(members(event.text)).get(root)
    if root in ("event", "context") and raw is not None and raw.startswith('"'):
        raw = _string(raw).strip(" \t\r\n")
        if scan(raw, 0) != Scan("complete", len(raw)):
            return None
        if root == "context" and not raw.startswith("{"):
            return None
    for step in path[1:]:
        if raw is None:
            return None
        if isinstance(step, int):
            items = list(_items(raw)) if raw.startswith("[") else []
            raw = items[step] if step < len(items) else None
        else:
            raw = dict(members(raw)).get(step) if raw.startswith("{") else None
    if raw is None or raw in ("null", "NaN", "Infinity", "-Infinity"):
        return None
    return _string(raw) if raw.startswith('"') else raw


def _string(raw: str) -> str:
    text: str = json.loads(raw, strict=False)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _items(raw: str) -> Iterator[str]:
    at = 1
    while True:
        while raw[at] in " \t\r\n,":
            at += 1
        if raw[at] == "]":
            return
        end = scan(raw, at).end
        yield raw[at:end]
        at = end


def _compare(value: Value, sign: str, literal: str | int) -> Truth:
    """Text with a text, and a number with a number, which text may be too."""
    if value is None:
        return None
    if isinstance(literal, str):
        return _OPERATORS[sign](str(value), literal)
    if isinstance(value, str):
        text = value.strip(SPACES)
        if _NUMBER.fullmatch(text) is None:
            return None
        whole = re.fullmatch(r"[+-]?[0-9]+", text) is not None and len(text) < 20
        number = int(text) if whole and -(2**63) <= int(text) < 2**63 else float(text)
        if isinstance(number, float):
            return (
                None
                if number in (float("inf"), -float("inf"))
                else _OPERATORS[sign](number, float(literal))
            )
        value = number
    return _OPERATORS[sign](value, literal)


def comparison(path: tuple[Step, ...], sign: str, literal: str | int) -> Expression:
    """`path sign literal`"""
    return _leaf(path, f"{sign} {_quoted(literal)}", lambda value: _compare(value, sign, literal))


def is_in(path: tuple[Step, ...], literals: list[str | int]) -> Expression:
    """`path in (literals)`"""

    def test(value: Value) -> Truth:
        truths = [_compare(value, "=", literal) for literal in literals]
        return True if True in truths else False if False in truths else None

    return _leaf(path, f"in ({', '.join(map(_quoted, literals))})", test)


def like(path: tuple[Step, ...], pattern: list[str]) -> Expression:
    """`path like` the parts, in which "%" and "_" stand alone where they are wildcards."""
    wild = {"%": ".*", "_": "."}
    regex = re.compile("".join(wild.get(part) or re.escape(part) for part in pattern), re.DOTALL)
    text = "".join(p if p in wild else re.sub(r"([\\%_])", r"\\\1", p) for p in pattern)

    def test(value: Value) -> Truth:
        return None if value is None else regex.fullmatch(str(value)) is not None

    return _leaf(path, f"like {_quoted(text)}", test)


def is_null(path: tuple[Step, ...]) -> Expression:
    """`path is null`"""
    return _leaf(path, "is null", lambda value: value is None)


def paths_of(event: Mapping[str, Any]) -> Iterator[tuple[Step, ...]]:
    """The paths into the payload, the context and what else no column holds."""
    assert isinstance(event, Event)
    for root, raw in members(event.text):
        if root in ("event", "context") and raw.startswith('"'):
            raw = _string(raw).strip(" \t\r\n")
            if scan(raw, 0) != Scan("complete", len(raw)):
                continue
        if root in ("event", "context", "label"):
            yield from _paths_into(raw, (root,))


def _paths_into(raw: str, path: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    if len(path) > 1 or path[0] == "label":
        yield path
    if raw.startswith("{"):
        for key, value in members(raw):
            yield from _paths_into(value, (*path, key))
    elif raw.startswith("["):
        for at, item in enumerate(_items(raw)):
            yield from _paths_into(item, (*path, at))


@st.composite
def expressions(
    draw: DrawFn, row: Mapping[str, Any], event: Mapping[str, Any] | None = None
) -> Expression:
    """An expression that an event, whose columns are `row`, meets.

    Its paths are columns and, where the event is given, what stands in it.
    """
    columns: list[tuple[Step, ...]] = [(name,) for name in (*TEXT_COLUMNS, "user_id")]
    inner = sorted(set(paths_of(event)), key=repr) if event is not None else []
    paths = st.sampled_from(columns)
    if inner:
        paths = st.one_of(paths, st.sampled_from(inner))
    known: Mapping[str, Any] = {} if event is None else event

    def value(path: tuple[Step, ...]) -> Value:
        return value_at(known, row, path)

    leaves = paths.flatmap(lambda path: _about(path, value(path)))
    tree = st.recursive(
        leaves,
        lambda below: st.one_of(
            below.map(negated),
            st.tuples(st.sampled_from(["and", "or"]), st.lists(below, min_size=2, max_size=3)).map(
                lambda parts: joined(*parts)
            ),
        ),
        max_leaves=5,
    )
    drawn = draw(tree)
    truth = drawn.truth(known, row)
    if truth is None:
        return joined("or", [drawn, is_null(("no such key",))])
    return drawn if truth else negated(drawn)


def _about(path: tuple[Step, ...], value: Value) -> SearchStrategy[Expression]:
    """Conditions on a path, most of them about the value that is there."""
    text = "" if value is None else str(value)
    others: list[str | int] = ["", "problem_check", "UniX", "[1]", 7]
    literals = st.one_of(st.just(text), st.just(text), st.sampled_from(others))
    cut = st.integers(0, len(text))
    pattern = st.builds(
        lambda start, sign, end: [part for part in (text[:start], sign, text[end:]) if part],
        cut,
        st.sampled_from(["%", "_"]),
        cut,
    )
    signs = st.sampled_from(["=", "=", "=", *_OPERATORS])
    return st.one_of(
        st.tuples(signs, literals).map(lambda drawn: comparison(path, *drawn)),
        st.lists(literals, min_size=1, max_size=3).map(lambda drawn: is_in(path, drawn)),
        pattern.map(lambda parts: like(path, parts)),
        st.just(is_null(path)),
    )
