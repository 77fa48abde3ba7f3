"""Which events a line holds, by plain Python: the part of the oracle that reads odd lines.

It imports nothing of edxlogs but `edxlogs.plain`, and is never made fast. Two readers work
together: `scan` walks the grammar of JSON and says where a value ends or why it does not; Python's
`json` then decodes what `scan` accepted, so a mistake in one of them shows as an exception in the
other.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from edxlogs.plain.reader import is_event

MAX_LINE_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 500
MAX_ENVELOPES = 3
MESSAGE_KEYS = (
    *("log", "message", "msg", "short_message", "full_message", "MESSAGE"),
    *("tracking_json", "_source"),
)
"""Where log shippers put a message, as text or as an object."""

BLANK = " \t\r\n\x0b\x0c\x00"
ASCII_SPACE = " \t\r\n\x0c"
JOURNALD = "MESSAGE"
"""Where journald writes text that it cannot print as the numbers of its bytes."""
_FIRST_PLATFORM_KEY = re.compile(
    rb'\{"(?:username|event_source|name|event_type|agent|context|session|event|ip|page|'
    rb'accept_language|referer)"'
)
LIFTED_FIELDS = (
    "username",
    "session",
    "ip",
    "agent",
    "host",
    "referer",
    "accept_language",
    "event_source",
    "page",
)
"""What an event holds in its context before it is written as a log line."""

_STRING_BODY = re.compile(r'"[^"\\]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\]*)*')
_CUT_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_CUT_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)?(?:\.[0-9]*)?(?:[eE][+-]?[0-9]*)?")
_WORDS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|NaN|-?Infinity', re.DOTALL)
_STRING_PIECE = re.compile(
    r"(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|(?P<escape>\\.)"
    r"|(?P<control>[\x00-\x1f])"
)
CRI_HEAD = re.compile(
    r"(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?) (?P<stream>stdout|stderr) (?P<tag>[PF])(?::[^ ]*)?(?: |\Z)"
)
"""What the runtimes of Kubernetes put before a message; P is a piece, F the last or only one."""
_MEMBER_POSITION = re.compile(r'"[ \t\r\n]*:[ \t\r\n]*\Z')
_OBJECT_START = re.compile(r'\{[ \t\r\n]*"')
_ESCAPED_OBJECT_START = re.compile(r'\{[ \t\r\n]*\\"')

Reason = Literal[
    "no_object",
    "truncated",
    "bad_json",
    "not_an_object",
    "not_an_event",
    "too_long",
    "too_deep",
    "piece",
]


class Event(dict[str, Any]):
    """One decoded event; `text` is its JSON as mended: strict, with all else as it was written."""

    def __init__(self, text: str) -> None:
        super().__init__(decode(text))
        self.text = text


@dataclass(frozen=True)
class Outcome:
    """What one physical line is."""

    kind: Literal["blank", "rejected", "events"]
    reason: Reason | None = None
    mends: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)


@dataclass(frozen=True)
class Scan:
    """Where a JSON value ends, or where and why it stops being one."""

    status: Literal["complete", "truncated", "bad", "deep"]
    end: int


def scan(text: str, start: int) -> Scan:
    """Walk one JSON value from `start`, without recursion.

    Control characters in strings and the tokens NaN and Infinity pass; the caller mends them.
    """
    closers: list[str] = []
    expect = "value"
    at = start
    while True:
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        if at == len(text):
            return Scan("truncated", at)
        char = text[at]
        if char in "]}" and closers and char == closers[-1] and expect in (char, "comma"):
            closers.pop()
            at += 1
        elif expect == "comma":
            if char != ",":
                return Scan("bad", at)
            expect = "key" if closers[-1] == "}" else "value"
            at += 1
            continue
        elif expect in ("key", "}"):
            key = _scalar(text, at) if char == '"' else Scan("bad", at)
            if key.status != "complete":
                return key
            at, expect = key.end, "colon"
            continue
        elif expect == "colon":
            if char != ":":
                return Scan("bad", at)
            at, expect = at + 1, "value"
            continue
        elif char in "[{":
            if len(closers) == MAX_DEPTH:
                return Scan("deep", at)
            closers.append("]" if char == "[" else "}")
            at, expect = at + 1, closers[-1]
            continue
        else:
            scalar = _scalar(text, at)
            if scalar.status != "complete":
                return scalar
            at = scalar.end
        if not closers:
            return Scan("complete", at)
        expect = "comma"


def _scalar(text: str, at: int) -> Scan:
    if body := _STRING_BODY.match(text, at):
        end = body.end()
        if end == len(text) or _CUT_ESCAPE.fullmatch(text, end):
            return Scan("truncated", len(text))
        return Scan("complete", end + 1) if text[end] == '"' else Scan("bad", end)
    rest = text[at : at + 10]
    for word in _WORDS:
        if rest.startswith(word):
            return Scan("complete", at + len(word))
        if len(rest) < 10 and word.startswith(rest):
            return Scan("truncated", len(text))
    if number := _NUMBER.match(text, at):
        if number.end() < len(text) and _CUT_NUMBER.fullmatch(text, at):
            return Scan("truncated", len(text))
        return Scan("complete", number.end())
    return Scan("bad", at)


def decode(text: str) -> Any:
    """Decode strict JSON; an integer too long for Python's own limit becomes a float."""

    def integer(digits: str) -> int | float:
        return int(digits) if len(digits) < 4000 else float(digits)

    return json.loads(text, parse_int=integer)


def strict(raw: str) -> tuple[str, set[str]]:
    """Strict JSON of a value that `scan` accepts, and what had to be mended; the rest stands."""
    mends: set[str] = set()

    def piece(match: re.Match[str]) -> str:
        if match["lone"]:
            mends.add("surrogate")
            return "\\ufffd"
        if match["control"]:
            mends.add("control_character")
            return f"\\u{ord(match['control']):04x}"
        return match[0]

    def token(match: re.Match[str]) -> str:
        if match[0].startswith('"'):
            return _STRING_PIECE.sub(piece, match[0])
        mends.add("nan")
        return "null"

    return _TOKEN.sub(token, raw), mends


def members(text: str) -> list[tuple[str, str]]:
    """Keys, decoded, and values, as written, of the text of a JSON object, in order."""
    found: list[tuple[str, str]] = []
    at = text.index("{") + 1
    while (at := _skip(text, at, " \t\r\n,")) < len(text) and text[at] != "}":
        key_end = scan(text, at).end
        value_start = _skip(text, key_end, " \t\r\n:")
        value_end = scan(text, value_start).end
        found.append((decode(strict(text[at:key_end])[0]), text[value_start:value_end]))
        at = value_end
    return found


def _skip(text: str, at: int, chars: str) -> int:
    while at < len(text) and text[at] in chars:
        at += 1
    return at


def same_json(left: str | None, right: str | None) -> bool:
    """Whether two JSON texts differ in white space and in the spelling of strings at most.

    Numbers must be spelled alike, and members stand in the same order, duplicates included: a
    payload is to leave as it was written. Text that is not strict JSON equals nothing.
    """
    if left is None or right is None:
        return left is right
    try:
        return bool(_lossless(left) == _lossless(right))
    except ValueError:
        return False


def _lossless(text: str) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    return json.loads(
        text,
        object_pairs_hook=lambda pairs: ("object", pairs),
        parse_int=lambda digits: ("number", digits),
        parse_float=lambda digits: ("number", digits),
        parse_constant=refuse,
    )


def _has_duplicate_key(raw: str) -> bool:
    found = False

    def check(pairs: list[tuple[str, Any]]) -> None:
        nonlocal found
        found = found or len({key for key, _ in pairs}) < len(pairs)

    json.loads(raw, strict=False, object_pairs_hook=check, parse_int=str)
    return found


def read_events(line: bytes, *, max_line_bytes: int = MAX_LINE_BYTES) -> Outcome:
    """Read one physical line, with or without its LF.

    Args:
        line: the bytes of the line.
        max_line_bytes: longest line that is read, its LF not counted.

    Returns:
        The class of the line, with its events in order or the reason of its rejection.
    """
    line = line.removesuffix(b"\n")
    if len(line) > max_line_bytes:
        return Outcome("rejected", "too_long")
    # Bytes that are not UTF-8 live on as lone surrogates until the event is cut out.
    text = line.decode("utf-8", "surrogateescape")
    if not text.strip(BLANK):
        return Outcome("blank")
    if _FIRST_PLATFORM_KEY.match(line):  # No line of journald's: an array is left as it is.
        return read_text(text, set(), 0, numbers=False)
    return read_text(text, set(), 0)


def text_of_numbers(value: str) -> str | None:
    """The text of an array of bytes, of which those that are not UTF-8 are surrogates."""
    try:
        numbers = [int(number) for number in value[1:-1].split(",") if number.strip() != "-0"]
        return bytes(numbers).decode("utf-8", "surrogateescape")
    except ValueError:
        return None


def read_text(text: str, mends: set[str], envelopes: int, *, numbers: bool = True) -> Outcome:
    """Read a text that stood in so many envelopes, and needed those mends so far."""
    if not text.strip(BLANK):
        return Outcome("rejected", "no_object")
    text = _without_padding(text, mends)
    if envelopes < MAX_ENVELOPES and (head := CRI_HEAD.match(text)):
        message = text[head.end() :].strip(ASCII_SPACE)
        if not message:
            return Outcome("rejected", "no_object")
        return read_text(message, mends | {"envelope"}, envelopes + 1, numbers=numbers)
    whole = scan(text, 0) if text else Scan("bad", 0)
    if whole.status == "complete" and whole.end == len(text):
        return _read_value(text, mends, envelopes, numbers)
    if whole.status == "deep":
        return Outcome("rejected", "too_deep")
    if "{" not in text:
        return Outcome("rejected", "no_object")
    if _ESCAPED_OBJECT_START.match(text):
        nested = _read_value(f'"{text}"', mends, envelopes, numbers)
        return nested if nested.kind == "events" else Outcome("rejected", "bad_json")
    return _read_objects(text, mends, envelopes, numbers)


def _open(raw: str, mends: set[str], envelopes: int, numbers: bool) -> Outcome:
    """The events of an object that is none itself: it may be what a log shipper put around one."""
    reasons: list[Reason | None] = []
    if envelopes < MAX_ENVELOPES:
        own: set[str] = set()
        found = dict(members(_mend_utf8(raw, own)))
        for key in [key for key in MESSAGE_KEYS if key in found]:
            value = found[key]
            text, needed = value, set(own)
            if value.startswith('"'):
                text, more = strict(value)
                text, needed = decode(text).strip(ASCII_SPACE), needed | more
            elif value.startswith("[") and key == JOURNALD and numbers:
                text = (text_of_numbers(value) or "").strip(ASCII_SPACE)
            elif not value.startswith("{"):
                continue
            if not text:
                continue
            needed |= mends | {"envelope"}
            outcome = read_text(text, needed, envelopes + 1, numbers=numbers)
            if outcome.kind == "events":
                return outcome
            reasons.append(outcome.reason)
    for reason in ("too_deep", "truncated"):
        if reason in reasons:
            return Outcome("rejected", reason)
    return Outcome("rejected", "not_an_event")


def _without_padding(text: str, mends: set[str]) -> str:
    trimmed = text.strip(BLANK)
    start = text.index(trimmed)
    padding = text[:start] + text[start + len(trimmed) :]
    while trimmed.startswith("\ufeff"):
        mends.add("bom")
        rest = trimmed[1:].lstrip(BLANK)
        padding += trimmed[1 : len(trimmed) - len(rest)]
        trimmed = rest
    if "\x00" in padding:
        mends.add("nul")
    return trimmed


def _read_value(text: str, mends: set[str], envelopes: int, numbers: bool) -> Outcome:
    """A line that is one JSON value and nothing else."""
    for _ in range(2):
        if not text.startswith('"') or scan(text, 0) != Scan("complete", len(text)):
            break
        text, found = strict(_mend_utf8(text, mends))
        mends = mends | found | {"nested_json"}
        text = decode(text).strip(" \t\r\n")
    if "nested_json" in mends:
        inner = scan(text, 0) if text.startswith("{") else Scan("bad", 0)
        if inner.status == "deep":
            return Outcome("rejected", "too_deep")
        if inner != Scan("complete", len(text)):
            return Outcome("rejected", "not_an_object")
    is_array = text.startswith("[")
    if is_array:
        first = _skip(text, 1, " \t\r\n")
        end = scan(text, first).end
        if not text.startswith("{", first) or text[_skip(text, end, " \t\r\n")] != "]":
            return Outcome("rejected", "not_an_object")
        text = text[first:end]
        mends = mends | {"array"}
    if not text.startswith("{"):
        return Outcome("rejected", "not_an_object")
    event = _event(text, mends)
    if event is None and is_array:
        return Outcome("rejected", "not_an_object")
    if event is None:
        return _open(text, mends, envelopes, numbers)
    return Outcome("events", mends=mends, events=[event])


def _read_objects(text: str, mends: set[str], envelopes: int, numbers: bool) -> Outcome:
    """A line with something before, between or after its objects, or with a torn one."""
    events: list[Event] = []
    failures: set[Reason] = set()
    at = loose = 0
    while (at := text.find("{", at)) >= 0:
        found = scan(text, at)
        if found.status in ("truncated", "deep"):
            # All that follows lies inside this object: its parts are no events of their own.
            failures.add("truncated" if found.status == "truncated" else "too_deep")
            break
        if found.status == "bad":
            failures.add("bad_json")
            if not events and _OBJECT_START.match(text, at):
                mends.add("interleaved")
            at += 1
            continue
        # A value of a member belongs to an object whose head is lost or broken.
        member = _MEMBER_POSITION.search(text, max(0, at - 64), at)
        own: set[str] = set()
        event = None if member else _event(text[at : found.end], own)
        clear = not text[loose:at].strip(BLANK) or not text[found.end :].strip(BLANK)
        inside = [event] if event is not None and (clear or _is_surely_event(event)) else []
        if not member and event is None and clear:
            opened = _open(text[at : found.end], set(), envelopes, numbers)
            inside, own = opened.events, opened.mends
            if opened.reason is not None:
                failures.add(opened.reason)
        if not inside:
            if not member or found.end == len(text):
                failures.add("not_an_event")
            at = found.end
            continue
        mends |= own
        before = text[loose:at].strip(BLANK)
        if not events and before and "interleaved" not in mends:
            mends.add("prefix")
        elif events:
            mends |= {"concatenated", "trailing_text"} if before else {"concatenated"}
        events += inside
        at = loose = found.end
    if not events:
        order: tuple[Reason, ...] = ("too_deep", "truncated", "bad_json", "not_an_event")
        reasons: list[Reason] = [reason for reason in order if reason in failures]
        return Outcome("rejected", reasons[0] if reasons else "no_object")
    if text[loose:].strip(BLANK) and "interleaved" not in mends:
        mends.add("trailing_text")
    return Outcome("events", mends=mends, events=events)


def _event(raw: str, mends: set[str]) -> Event | None:
    """The event that the text of an object is, its mends added; None if it is no event."""
    own: set[str] = set()
    raw = _mend_utf8(raw, own)
    text, found = strict(raw)
    event = Event(text)
    if not is_event(event):
        return None
    own |= found
    if _has_duplicate_key(raw):
        own.add("duplicate_key")
    if _has_key(event.get("_id"), "$oid") or _has_key(event.get("time"), "$date"):
        own.add("mongo_export")
    if ("timestamp" in event and "time" not in event) or ("data" in event and "event" not in event):
        own.add("prelog_shape")
        event = Event(_log_shape(text))
    mends |= own
    return event


def _is_surely_event(event: Event) -> bool:
    """Whether it has a type and a source, which no part of a torn event has."""
    return "event_source" in event and ("event_type" in event or "name" in event)


def _mend_utf8(raw: str, mends: set[str]) -> str:
    text = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if text != raw:
        mends.add("utf8")
    return text


def _has_key(value: object, key: str) -> bool:
    return isinstance(value, dict) and key in value


def _log_shape(text: str) -> str:
    """An event as it is inside the platform, written in the shape of a log line."""
    written = members(text)
    keys = dict(written)
    renamed = {
        old: new for old, new in (("timestamp", "time"), ("data", "event")) if new not in keys
    }
    pairs = [(renamed.get(key, key), value) for key, value in written]
    top = dict(pairs)
    context = top.get("context", "")
    lifted = dict(members(context)) if context.startswith("{") else {}
    pairs += [(key, lifted[key]) for key in LIFTED_FIELDS if key in lifted and key not in top]
    return "{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in pairs) + "}"
