"""Hypothesis strategies: events, their spellings, course keys, log lines, gzip members.

Where a choice is made for every character, it comes from a seed instead of a draw for each, which
keeps examples of real length cheap; seed 0 is the plainest spelling, for shrinking.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

SEEDS = st.integers(0, 2**32)
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", " ", "null", "unknown", "learner_17\n", "Zo\u00eb", "\u0645\u062d", "a/b"]
    ),
)
ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    st.lists(TEXTS, max_size=2),
    st.dictionaries(TEXTS, TEXTS, max_size=2),
)
JSON_VALUES = st.recursive(
    ODD_VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
EVENT_TYPES = st.sampled_from(
    [
        "play_video",
        "edx.video.played",
        "problem_check",
        "page_close",
        "edx.forum.thread.created",
        "edx.course.enrollment.activated",
        "/dashboard",
        "/jsi18n/",
        "/courses/UniX/CS101/2012_Fall/info",
        "",
    ]
)
TIMES = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat() + "+00:00"),
    st.datetimes().map(lambda moment: moment.isoformat(" ")),
    st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z"),
    st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds") + "-04:00"),
    st.datetimes().map(lambda moment: moment.isoformat(timespec="microseconds") + "123+0530"),
    st.integers(0, 2_000_000_000_000),
    st.integers(0, 2_000_000_000_000).map(lambda number: {"$date": number}),
    st.integers(0, 2_000_000_000_000).map(lambda number: {"$date": {"$numberLong": str(number)}}),
    st.sampled_from(["", "2015-10-01", "hello-this-is-a-mess", "2015-13-45T25:61:00+00:00"]),
)
USER_IDS = st.one_of(
    st.integers(1, 2**32),
    st.integers(1, 2**32).map(str),
    st.sampled_from([None, "", "-1", "+7", "anonymous", 170017.0, 0.5, 2**63 - 1, 2**63, -(2**63)]),
)


def _usually(usual: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.integers(0, 9).flatmap(lambda odd: ODD_VALUES if odd == 9 else usual)


def payloads() -> SearchStrategy[Any]:
    """Payloads as they are written: objects, JSON text, form-encoded text, cut text, odd types."""
    objects = st.dictionaries(
        st.sampled_from(["id", "currentTime", "problem_id", "user_id", "a.b", "i4x-Org-Num_2_1"]),
        JSON_VALUES,
        max_size=4,
    )
    texts = st.one_of(objects, st.lists(TEXTS, max_size=2), TEXTS).map(json.dumps)
    return st.one_of(
        objects,
        texts,
        st.tuples(texts, st.integers(0, 40)).map(lambda cut: cut[0][: cut[1]]),
        st.sampled_from(["", "null", "input_p1_2_1=a+b&input_p1_2_1%5B%5D=c", '"input_p1=1"']),
        st.sampled_from(['{"a": NaN}', '{"a": "\\ud83d"}', '{"a": 1e400, "a": 2}', "{} {}"]),
        JSON_VALUES,
    )


def contexts() -> SearchStrategy[Any]:
    """Contexts as they are written: objects, the same as JSON text, odd types."""
    course_ids = st.one_of(course_keys(), st.sampled_from(["", None, "null", "UniX/CS101"]))
    objects = st.fixed_dictionaries(
        {},
        optional={
            "course_id": _usually(course_ids),
            "org_id": _usually(st.sampled_from(["UniX", "unix", "", None])),
            "user_id": _usually(USER_IDS),
            "path": _usually(EVENT_TYPES),
            "received_at": _usually(TIMES),
            "module": _usually(st.fixed_dictionaries({"display_name": TEXTS})),
            "username": TEXTS,
            "ip": st.just("203.0.113.9"),
            "agent": TEXTS,
            "host": TEXTS,
            "session": st.sampled_from(["", None]),
            "event_source": st.just("mobile"),
            "page": st.sampled_from([None, "x_module"]),
        },
    )
    return st.one_of(objects, objects, objects, objects.map(json.dumps), ODD_VALUES)


def events() -> SearchStrategy[dict[str, Any]]:
    """Events of real shape: any field may be absent, empty, null or of an odd type."""
    pages = st.sampled_from(
        [
            None,
            "x_module",
            "https://courses.example.org/courses/course-v1:UniX+CS101+2015/info?x=1#top",
            "https://www.example.org/courses/UniX/CS101/2012_Fall/courseware/Week_1/",
        ]
    )
    fields: dict[str, SearchStrategy[Any]] = {
        "username": _usually(TEXTS),
        "event_type": _usually(EVENT_TYPES),
        "name": _usually(EVENT_TYPES),
        "ip": _usually(st.just("203.0.113.17")),
        "agent": _usually(TEXTS),
        "host": _usually(TEXTS),
        "referer": _usually(TEXTS),
        "accept_language": _usually(TEXTS),
        "session": _usually(TEXTS),
        "event": payloads(),
        "event_source": _usually(st.sampled_from(["server", "browser", "mobile", "task", ""])),
        "context": contexts(),
        "page": _usually(pages),
        "label": TEXTS,
    }
    loose = st.fixed_dictionaries({"time": _usually(TIMES)}, optional=fields)
    # One of these beside the time makes an object an event.
    sure = st.sampled_from(["event_type", "event_source", "username", "context", "page"])

    def made(event: dict[str, Any]) -> SearchStrategy[dict[str, Any]]:
        return sure.flatmap(
            lambda key: (
                _shuffled(event)
                if key in event
                else fields[key].flatmap(lambda value: _shuffled(event | {key: value}))
            )
        )

    return loose.flatmap(made)


def _shuffled(event: dict[str, Any]) -> SearchStrategy[dict[str, Any]]:
    return st.permutations(list(event.items())).map(dict)


def spell(value: Any) -> SearchStrategy[bytes]:
    """One of the spellings in JSON of a value: what Python's `json` reads as the same.

    Any white space but LF, any escape of any character of a key or a text, floats in any form.
    Key order is kept, and integers stay digits.
    """
    return SEEDS.map(lambda seed: _Speller(seed).value(value).encode())


class _Speller:
    def __init__(self, seed: int) -> None:
        self.plain = seed == 0
        self.random = Random(seed)
        self.escapes = self.random.choice([0.0, 0.1, 0.9])
        self.spaces = self.random.choice([0.0, 0.2])

    def value(self, value: Any) -> str:
        if self.plain:
            return json.dumps(value)
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, float):
            return self.number(value)
        if isinstance(value, dict):
            inner = ",".join(
                f"{self.space()}{self.text(key)}{self.space()}:{self.spaced(inner)}"
                for key, inner in value.items()
            )
            return f"{{{inner}{self.space()}}}"
        if isinstance(value, list):
            return f"[{','.join(self.spaced(inner) for inner in value)}{self.space()}]"
        return json.dumps(value)

    def spaced(self, value: Any) -> str:
        return f"{self.space()}{self.value(value)}{self.space()}"

    def space(self) -> str:
        if self.random.random() >= self.spaces:
            return ""
        return "".join(self.random.choices(" \t\r", k=self.random.randint(1, 3)))

    def text(self, text: str) -> str:
        return f'"{"".join(map(self.character, text))}"'

    def character(self, char: str) -> str:
        short = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r"}
        short |= {"\t": "\\t", "/": "\\/"}
        must = char < " " or char in '"\\'
        if not must and self.random.random() >= self.escapes:
            return char
        if char in short and self.random.random() < 0.5:
            return short[char]
        units = char.encode("utf-16-be").hex()
        digits = "".join(self.random.choice([digit, digit.upper()]) for digit in units)
        return "".join(f"\\u{digits[at : at + 4]}" for at in range(0, len(digits), 4))

    def number(self, number: float) -> str:
        forms = [repr(number), f"{number:.17e}", f"{number:.17E}"]
        if "e" not in repr(number):
            forms.append(repr(number) + "00")
        return self.random.choice(forms)


def _parts(also: str) -> SearchStrategy[str]:
    letters = "ABCXYZabcxyz0123456789"
    ascii_parts = st.text(letters + also, min_size=1, max_size=8)
    names = st.sampled_from(["UniX", "CS101", "6.002x", "2015_T3", "a-b", "Universit\u00e9X"])
    return ascii_parts | names


def course_keys() -> SearchStrategy[str]:
    """Legal course keys: `Org/Number/Run`, `course-v1:` and `ccx-v1:`."""

    def joined(separator: str) -> Callable[[tuple[str, str, str]], str]:
        return lambda parts: separator.join(parts)

    slash = _parts("_.-")
    # `/courses/v1/` is an interface of the platform, never an organisation.
    slash_keys = st.tuples(slash.filter(lambda org: not org.startswith("v")), slash, slash)
    new = st.tuples(*[_parts("_-~.:")] * 3).map(joined("+"))
    return st.one_of(
        slash_keys.map(joined("/")),
        new.map(lambda body: f"course-v1:{body}"),
        st.tuples(new, st.integers(0, 99)).map(lambda key: f"ccx-v1:{key[0]}+ccx@{key[1]}"),
    )


@st.composite
def spelled_course(draw: DrawFn, key: str) -> tuple[dict[str, Any], str]:
    """An event that names a course in one of the places and forms that are read.

    Returns:
        The event, and the step that finds the course in it: its `course_source`.
    """
    usage_key = _block_key(key, "block")
    places = ["context", "top", "payload", "url", "url", "query", "request"]
    place = draw(st.sampled_from(places if usage_key is None else [*places, "usage_key"]))
    event: dict[str, Any] = {"event_type": "problem_check", "context": {"course_id": ""}}
    if place in ("url", "query"):
        name = draw(st.sampled_from(["course_id", "course_key"]))
        written = draw(_url_keys(key) if place == "url" else _field_keys(key))
        query = quote(written, safe=":+%")
        path = f"/enroll?a=b&{name}={query}&c=d" if place == "query" else written
        host = "https://courses.example.org"
        where = draw(st.sampled_from(["event_type", "name", "path", "page"]))
        if where == "path":
            event["context"]["path"] = path
        else:
            event[where] = host + path if where == "page" else path
        return event, "url"
    written = draw(_field_keys(key)) + draw(st.sampled_from(["", "", "\n", " "]))
    payload: dict[str, Any] = {}
    if place == "context":
        event["context"]["course_id"] = written
    elif place == "top":
        event["course_id"] = written
    elif place == "payload":
        names = ["course_id", "course_key", "context_key", "course"]
        payload[draw(st.sampled_from(names))] = written
    elif place == "request":
        name = draw(st.sampled_from(["course_id", "course_key"]))
        payload = {"GET": {}, "POST": {}}
        payload[draw(st.sampled_from(["GET", "POST"]))] = {name: [written]}
    elif draw(st.booleans()):
        event["context"]["module"] = {"usage_key": usage_key}
    else:
        payload[draw(st.sampled_from(["problem_id", "usage_key", "id", "location"]))] = usage_key
    event["event"] = json.dumps(payload) if draw(st.booleans()) else payload
    return event, place


def _block_key(key: str, kind: Literal["block", "asset"]) -> str | None:
    namespace, _, body = key.partition(":")
    if namespace == "ccx-v1":
        return f"ccx-block-v1:{body}+type@problem+block@p1"
    return f"{kind}-v1:{body}+type@{kind}+block@p1.x" if namespace == "course-v1" else None


def _field_keys(key: str) -> SearchStrategy[str]:
    """The forms of a key that a field of its own is read in."""
    forms = [key]
    if key.startswith("course-v1:"):
        forms += [key.replace("+", " "), f"{key}+branch@draft", f"{key}+version@5"]
    forms += [block for kind in _KINDS if (block := _block_key(key, kind))]
    return st.sampled_from(forms).flatmap(_percent_encodings)


def _url_keys(key: str) -> SearchStrategy[str]:
    """Paths, with what may follow them, that name the course of a key."""
    starts = st.sampled_from(["", "/some/prefix"])
    if "/" in key:
        parts = key.split("/")
        encoded = "/".join(map(quote, parts))
        ends = st.sampled_from(["", "/", "/info", "/info?next=/x", "#top", "?a=/courses/a/b/c"])
        return st.tuples(starts, st.sampled_from([key, encoded]), ends).map(
            lambda path: f"{path[0]}/courses/{path[1]}{path[2]}"
        )
    before = st.sampled_from(["/courses/", "/course/", "/xblock/", "/api/grades/v1/", "/"])
    ends = st.sampled_from(["", "/", "/info?x=1", "#top", "?c=course-v1:a+b+c", '"><img', ")", ","])
    forms = [key]
    if key.startswith("course-v1:"):
        forms += [key.replace("+", " "), f"{key}+branch@draft"]
    forms += [block for kind in _KINDS if (block := _block_key(key, kind))]
    encoded_forms = st.sampled_from(forms).flatmap(_percent_encodings)
    return st.tuples(starts, before, encoded_forms, ends).map("".join)


_KINDS: tuple[Literal["block"], Literal["asset"]] = ("block", "asset")


def _percent_encodings(text: str) -> SearchStrategy[str]:
    """The text as it is, or with all that needs it percent-encoded, once or twice."""
    once = quote(text, safe="")
    lower = "".join(
        f"%{quote(char, safe='')[1:].lower()}" if char in ":+/@" else char for char in text
    )
    forms = [text, once, quote(once, safe="")]
    return st.sampled_from(forms if lower == text else [*forms, lower])


def wrapped(line: bytes) -> SearchStrategy[bytes]:
    """A line of UTF-8 that holds events, as log shippers wrap it, in up to three envelopes."""
    return st.tuples(SEEDS, st.integers(1, 3)).map(lambda drawn: _wrapped(line, *drawn))


def _wrapped(line: bytes, seed: int, times: int) -> bytes:
    speller, random = _Speller(seed), Random(seed)
    text = line.decode().strip()
    is_object = text.startswith("{")
    if random.random() < 0.3:
        text, is_object = f"2024-05-01 10:00:00,123 INFO 20 [tracking] logger.py:41 - {text}", False
    for _ in range(times):
        kind = random.choice(["cri", "docker", "object", "text", "text", "numbers"])
        if kind == "cri":
            text, is_object = f"2024-05-01T10:00:00.1Z stderr F {text}", False
            continue
        members = {"host": "h", "level": 6}
        key = random.choice(["message", "msg", "short_message", "MESSAGE", "tracking_json", "log"])
        written = speller.text(text)
        if kind == "docker":
            members, key = {"stream": "stderr", "time": "2024-05-01T10:00:00.123456789Z"}, "log"
            written = speller.text(text + random.choice(["\n", "\n", ""]))
        elif kind == "object" and is_object:
            key, written = "_source", text
        elif kind == "numbers":
            key = "MESSAGE"
            written = f"[{random.choice([',', ', ']).join(str(byte) for byte in text.encode())}]"
        pairs = [f"{speller.text(name)}: {speller.value(value)}" for name, value in members.items()]
        pairs.insert(random.randint(0, len(pairs)), f"{speller.text(key)}: {written}")
        text, is_object = "{" + ", ".join(pairs) + "}", True
    return text.encode()


def in_pieces(line: bytes) -> SearchStrategy[list[bytes]]:
    """A line of UTF-8 as docker or the runtimes of Kubernetes cut it, two pieces or more."""
    return st.tuples(SEEDS, st.integers(2, 4)).map(lambda drawn: _in_pieces(line, *drawn))


def _in_pieces(line: bytes, seed: int, count: int) -> list[bytes]:
    speller, random = _Speller(seed), Random(seed)
    text = "2024-05-01 10:00:00,123 INFO - " * random.randint(0, 1) + line.decode().strip()
    # docker's first piece tells that it is one once the event has begun.
    places = sorted(random.sample(range(text.index("{") + 1, len(text)), count - 1))
    stream = random.choice(["stdout", "stderr"])
    if random.random() < 0.5:
        raw = text.encode()
        places = [0, *(len(text[:place].encode()) + random.randint(0, 1) for place in places)]
        ends = [*places[1:], len(raw)]
        tags = ["P"] * (count - 1) + ["F"]
        return [
            f"2024-05-01T10:00:0{at}.1Z {stream} {tags[at]} ".encode() + raw[places[at] : end]
            for at, end in enumerate(ends)
        ]
    places = [0, *places]
    parts = [text[at:end] for at, end in zip(places, [*places[1:], len(text)], strict=True)]
    if random.random() < 0.3:
        return [
            speller.value(
                {"message": part, "stream": stream, "logtag": "PF"[at == count - 1]}
            ).encode()
            for at, part in enumerate(parts)
        ]
    if random.random() < 0.5:
        marked = _marked(parts, random)
        return [speller.value(piece).encode() for piece in marked]
    parts[-1] += "\n"
    return [
        speller.value({"log": part, "stream": stream, "time": f"2024-05-01T10:00:0{at}Z"}).encode()
        for at, part in enumerate(parts)
    ]


def _marked(parts: Sequence[str], random: Random) -> list[dict[str, Any]]:
    """Pieces as docker's drivers for fluentd and for journald mark them."""
    names = ["partial_message", "partial_id", "partial_ordinal", "partial_last"]
    is_journald, is_numbered = random.random() < 0.5, random.random() < 0.7
    pieces: list[dict[str, Any]] = []
    # journald has bytes: a character may be cut in two.
    rest = b""
    for number, part in enumerate(parts, start=1):
        is_last = number == len(parts)
        marks = ["true", "5af1", str(number), "true" if is_last else "false"]
        if not is_numbered:  # As older ones did.
            marks = [] if is_last else marks[:1]
        if is_journald:
            raw = rest + part.encode()
            end = len(raw) if is_last else len(raw) - random.randint(0, 1)
            raw, rest = raw[:end], raw[end:]
            piece = {"MESSAGE": [*raw], "PRIORITY": "3", "CONTAINER_ID_FULL": "c0ffee"}
            if random.random() < 0.5 and not rest and len(raw) == len(part.encode()):
                piece["MESSAGE"] = part
            keys = [f"CONTAINER_{name.upper()}" for name in names]
        else:
            keys, piece = names, {"log": part, "container_name": "/lms", "source": "stderr"}
        pieces.append(piece | dict(zip(keys, marks, strict=False)))
    if is_numbered and random.random() < 0.2:
        pieces.insert(1, pieces[0])  # sent again
    elif is_numbered and random.random() < 0.3:
        random.shuffle(pieces)
    return pieces


class LogLine(NamedTuple):
    """A line without its LF, its class, and the mends that it needs at least."""

    line: bytes
    kind: Literal["blank", "rejected", "events"]
    mends: set[str]


@st.composite
def log_lines(draw: DrawFn) -> LogLine:
    """One line of a log: an event as it stands, a mended one, a blank or a reject."""
    line = draw(events().flatmap(spell))
    if draw(st.booleans()):
        return LogLine(line, "events", set())
    other = draw(events().flatmap(spell))
    twice = json.dumps(json.dumps(line.decode())).encode()
    mended = {
        "envelope": draw(wrapped(line)),
        "prefix": b"Sep  9 00:00:48 localhost " + line,
        "utf8": b'{"label":"\xff",' + line.lstrip()[1:],
        "bom": b"\xef\xbb\xbf" + line,
        "nul": b"\x00\x00" + line + b"\x00",
        "surrogate": b'{"label": "\\ud83d",' + line.lstrip()[1:],
        "nan": b'{"label": [NaN, Infinity, -Infinity],' + line.lstrip()[1:],
        "duplicate_key": b'{"time": 1, "\\u0074ime": 2,' + line.lstrip()[1:],
        "control_character": b'{"label": "\t\x00",' + line.lstrip()[1:],
        "trailing_text": line + b" and more",
        "concatenated": line + b" " + other,
        "interleaved": b'{"username": "learner_17", "agent": "Mozilla'
        + b'{"event_source": "browser", "name": "seek_video",'
        + line.lstrip()[1:]
        + b'/5.0", "host": 1}',
        "nested_json": draw(st.sampled_from([twice, json.dumps(line.decode()).encode()])),
        "array": b"[" + line + b"]",
        "prelog_shape": draw(
            st.sampled_from(
                [
                    b'{"name": "x", "timestamp": 1, "data": {}, "context": {"ip": null}}',
                    b'{"name": "x", "time": 1, "data": {"id": 1}, "context": {"ip": null}}',
                ]
            )
        ),
        "mongo_export": b'{"_id": {"$oid": "5330f5e9"},' + line.lstrip()[1:],
    }
    blanks = [b"", b" \t\r", b"\x00" * 9]
    rejects = [
        b"# Enrollment events:",
        b"[",
        b"{}",
        b"12345",
        b'{"context": {"user_id": 1}}',
        b'{"name": "app", "hostname": "h", "msg": "hello", "time": "2015-10-01T03:02:38Z"}',
        b'{"log": "an ordinary line\\n", "stream": "stderr", "time": "2015-10-01T03:02:38Z"}',
        b"{'name': 'x'}",
        b"\x1f\x8b\x08\x00",
        line.rstrip()[:-1],
        b'{"name": "it\\\'s"}',
        b'{"name": ' + b"[" * 500 + b"]" * 500 + b"}",
    ]
    choice = draw(st.integers(0, 9))
    if choice == 0:
        return LogLine(draw(st.sampled_from(blanks)), "blank", set())
    if choice < 4:
        return LogLine(draw(st.sampled_from(rejects)), "rejected", set())
    mend = draw(st.sampled_from(sorted(mended)))
    return LogLine(mended[mend], "events", {mend})


def log_bytes() -> SearchStrategy[bytes]:
    """A whole log: lines of every kind, LF or CRLF, the last with or without its end."""
    lines = st.lists(
        st.tuples(log_lines(), st.sampled_from([b"\n", b"\n", b"\r\n"])).map(
            lambda parts: parts[0].line + parts[1]
        ),
        max_size=12,
    ).map(b"".join)
    return st.tuples(lines, st.booleans()).map(
        lambda log: log[0].removesuffix(b"\n") if log[1] else log[0]
    )


@st.composite
def gzip_members(draw: DrawFn, data: bytes) -> bytes:
    """The data compressed as one or more gzip members, empty ones and zero padding included."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    levels = st.integers(0, 9)
    members = [
        gzip.compress(data[start:end], draw(levels), mtime=0)
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)
    ]
    return b"".join(members) + b"\x00" * draw(st.sampled_from([0, 0, 512]))
