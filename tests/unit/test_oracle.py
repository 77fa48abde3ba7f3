"""The oracle against worked examples: its own judge, before it judges anything else."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracle
import strategies
from oracle_mend import MAX_LINE_BYTES

DATA = Path(__file__).parents[1] / "data"

MENDS_BY_CODE = {
    "trailing_garbage": {"trailing_text"},
    "nul_padding": {"nul"},
    "bad_utf8": {"utf8"},
    "lone_surrogate": {"surrogate"},
    "control_char": {"control_character"},
    # These are no mends of a line: a value is read or repaired in its own column.
    "number_range": set(),
    "time_format": set(),
    "trimmed": set(),
    "course_repaired": set(),
}


def json_lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_bytes().splitlines()]


def expected_event(event: oracle.Event) -> dict[str, Any]:
    columns = oracle.row(event)
    fields = ("event_type", "course_id", "course_source", "user_id", "username")
    return {field: columns[field] for field in fields} | {"time_us": columns["time"]}


MALFORMED_LINES = (DATA / "malformed.log").read_bytes().split(b"\n")


def test_the_malformed_file_is_whole() -> None:
    entries = json_lines("malformed.expected.jsonl")
    covered = [line for entry in entries for line in range(entry["line"], entry["end_line"] + 1)]
    assert covered == list(range(1, 123))
    assert len(MALFORMED_LINES) == 122
    assert sum(len(entry["events"]) for entry in entries) == 89


@pytest.mark.parametrize(
    "entry", json_lines("malformed.expected.jsonl"), ids=lambda entry: f"line {entry['line']}"
)
def test_each_malformed_line_has_its_verdict_and_events(entry: dict[str, Any]) -> None:
    lines = MALFORMED_LINES[entry["line"] - 1 : entry["end_line"]]
    for line in lines:
        outcome = oracle.read_events(line)
        if entry["verdict"] == "skip":
            assert outcome == oracle.Outcome("blank")
        elif entry["verdict"] == "reject":
            assert outcome.kind == "rejected"
            assert outcome.reason in entry["code"].split(" / ")
        else:
            assert outcome.kind == "events"
            assert [expected_event(event) for event in outcome.events] == entry["events"]
            repaired = entry["verdict"] == "repair"
            mends = MENDS_BY_CODE.get(entry["code"], {entry["code"]}) if repaired else set()
            assert outcome.mends == mends


@pytest.mark.parametrize(
    "case", json_lines("course-id-cases.jsonl"), ids=lambda case: f"case {case['case']}"
)
def test_each_worked_example_has_its_course(case: dict[str, Any]) -> None:
    expected = (case["course_id"], case["course_source"])
    assert oracle.course(case["event"]) == expected
    from_context = expected if case["course_source"] == "context" else (None, None)
    assert oracle.course_from_context_only(case["event"]) == from_context


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"page": "https://h/courses/A/B/C"}, ("A/B/C", "url")),
        ({"context": {"page": "https://h/courses/A/B/C"}}, ("A/B/C", "url")),
        ({"page": None, "context": {"page": "https://h/courses/A/B/C"}}, (None, None)),
        ({"page": "https://courses/A/B/C"}, (None, None)),
        ({"page": "/courses/v1/B/C"}, (None, None)),
        ({"page": "/x-course-v1:A+B+C"}, (None, None)),
        ({"page": "/lib-block-v1:A+B+C"}, (None, None)),
        ({"page": "/course-v1:A+B+C+D"}, (None, None)),
        ({"page": "/course-v1:A+B/course-v1:D+E+F"}, ("course-v1:D+E+F", "url")),
        ({"page": "/e?course_key=library-v1:A+B"}, (None, None)),
        ({"course_id": "library-v1:A+B"}, ("library-v1:A+B", "top")),
        ({"course_id": "course-v1:A+B+C%22"}, (None, None)),
        ({"course_id": "course-v1:A  B C"}, (None, None)),
        ({"course_id": ["A/B/C"]}, (None, None)),
        ({"event": {"id": "course-v1:A+B+C"}}, (None, None)),
        ({"event": {"course": "A/B/C", "course_id": "A/B"}}, ("A/B/C", "payload")),
        (
            {"event": {"POST": {"course_id": []}, "GET": {"course_key": "A/B/C"}}},
            ("A/B/C", "request"),
        ),
        ({"context": '{"course_id": "A/B/C"}'}, ("A/B/C", "context")),
    ],
)
def test_the_rules_that_the_worked_examples_leave_open(
    event: dict[str, Any], expected: tuple[str | None, str | None]
) -> None:
    assert oracle.course(event) == expected


# 2015-10-01T03:02:38Z: 16,709 days after 1970-01-01, and 10,958 seconds into the day.
SECOND = (16_709 * 86_400 + 10_958) * 1_000_000


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2015-10-01T03:02:38.407715+00:00", SECOND + 407_715),
        ("2015-10-01T03:02:38+00:00", SECOND),
        ("2015-10-01T03:02:38.407715", SECOND + 407_715),
        ("2015-10-01T03:02:38", SECOND),
        ("2015-10-01T03:02:38Z", SECOND),
        ("2015-10-01T03:02:38.407Z", SECOND + 407_000),
        ("2015-10-01T03:02:38.4+0000", SECOND + 400_000),
        ("2015-10-01T03:02:38.407715999Z", SECOND + 407_715),
        ("2015-10-01 03:02:38.407715", SECOND + 407_715),
        ("2015-09-30T23:02:38-04:00", SECOND),
        ("2015-10-01T08:47:38+0545", SECOND),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2015-10-01 03:02:38.407715 UTC", SECOND + 407_715),
        ("2015-10-01 03:02:38 UTC", SECOND),
        ("2015-10-01 03:02:38.407715+00", SECOND + 407_715),
        ("2015-10-01 03:02:38.407715+0000", SECOND + 407_715),
        ("2015-10-01 05:02:38 +02:00", SECOND),
        ("2015-09-30 23:02:38-04", SECOND),
        (str(SECOND // 1_000_000), SECOND),
        (f"{SECOND // 1_000_000}.4077159", SECOND + 407_715),
        (str(SECOND // 1000 + 407), SECOND + 407_000),
        (f" {SECOND + 407_715}\n", SECOND + 407_715),
        (SECOND + 407_715, SECOND + 407_715),
        ("2016-02-29T00:00:00Z", 16_860 * 86_400 * 1_000_000),
        (SECOND // 1000 + 407, SECOND + 407_000),
        (SECOND / 1000 + 0.5, SECOND + 500),
        (0, 0),
        ({"$date": SECOND // 1000}, SECOND),
        ({"$date": "2015-10-01T03:02:38.407Z"}, SECOND + 407_000),
        ({"$date": {"$numberLong": str(SECOND // 1000)}}, SECOND),
    ],
)
def test_each_form_of_time_is_read(written: object, expected: int) -> None:
    assert oracle.microseconds(written) == expected


@pytest.mark.parametrize(
    "written",
    [
        None,
        "",
        "2015-10-01",
        "2015-10-01T03:02",
        "hello-this-is-a-mess",
        "0000-00-00T00:00:00",
        "2015-13-01T00:00:00Z",
        "2015-02-29T00:00:00Z",
        "2015-10-01T24:00:00Z",
        "2015-10-01T23:60:00Z",
        "2015-10-01T23:59:60Z",
        "2015-10-01T03:02:38.Z",
        "2015-10-01T03:02:38+25:00",
        "\u0662\u0660\u0661\u0665-10-01T03:02:38Z",
        True,
        1e400,
        10**18,
        "20151001",
        "201510010302",
        "20151001030238",
        "2015-10-01T03:02:38 EST",
        "2015-10-01T03:02:38+0",
        [SECOND],
        {"$date": None},
        {"$date": {"$numberLong": "soon"}},
        {"date": 0},
    ],
)
def test_what_is_no_time_is_null(written: object) -> None:
    assert oracle.microseconds(written) is None


def test_a_row_has_every_column_as_hand_read() -> None:
    line = (
        rb'{"event_type": "play_video", "name": "edx.video.played", "event_source": "mobile",'
        rb' "time": "2015-10-01T03:02:38Z", "username": " zo\u00eb\n", "session": "", "page": null,'
        rb' "host": 7, "event": "{\"a\": [1.0, NaN],\"b\":\"\\ud83d\"}", "context": {"agent": "A",'
        rb' "ip": "203.0.113.9", "page": "https://x/", "path": "/segmentio/event",'
        rb' "received_at": 1443668559000, "user_id": "+42", "org_id": "unix",'
        rb' "course_id": "UniX/CS101/2014"}}'
    )
    (event,) = oracle.read_events(line).events
    columns = oracle.row(event)
    assert tuple(columns) == oracle.COLUMNS
    context, payload = columns.pop("context"), columns.pop("event")
    assert context == event.text[event.text.index('{"agent"') : -1]
    assert payload == '{"a": [1.0, null],"b":"\\ufffd"}'
    assert columns == {
        "time": SECOND,
        "received_at": SECOND + 1_000_000,
        "event_type": "play_video",
        "name": "edx.video.played",
        "event_source": "mobile",
        "course_id": "UniX/CS101/2014",
        "course_source": "context",
        "org_id": "UniX",
        "user_id": 42,
        "username": "zo\u00eb",
        "session": "",
        "ip": "203.0.113.9",
        "agent": "A",
        "host": "7",
        "page": None,
        "referer": None,
        "accept_language": None,
        "path": "/segmentio/event",
    }


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("null", None),
        (r'"null"', None),
        ('""', '""'),
        ("[1, 2]", "[1, 2]"),
        ('{"a": 1e400, "a": NaN}', '{"a": 1e400, "a": null}'),
        (r'"{\"a\": 12345678901234567890}"', '{"a": 12345678901234567890}'),
        (r'"\"a=1&b=2\""', '"a=1&b=2"'),
        ('"a=1&b=2"', '"a=1&b=2"'),
        (r'"{\"cut\": "', r'"{\"cut\": "'),
        (r'"{\"a\": \"x\ny\"}"', r'{"a": "x\u000ay"}'),
        ('"a\tb"', r'"a\u0009b"'),
        (r'"\ud83d\ude00 \ud83d"', r'"\ud83d\ude00 \ufffd"'),
        ("true", "true"),
    ],
)
def test_each_form_of_payload_is_strict_json(written: str, expected: str | None) -> None:
    (event,) = oracle.read_events(b'{"name":"x","event":%s}' % written.encode()).events
    assert oracle.row(event)["event"] == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"time": "\xff', "truncated"),
        (b"x" * 11, "too_long"),
        (b'{"name":%b1%b}' % (b"[" * 500, b"]" * 500), "too_deep"),
        (b"[" * 600, "too_deep"),
        (b'[{"name": 1}, {"name": 2}]', "not_an_object"),
        (b'{"page": it, "event": {"name": "chapter 1"}, "time": ""}', "bad_json"),
        (b'ge": 1, "event": {"name": "chapter 1"}, "time": ""}', "no_object"),
        (b'"{\\"user', "bad_json"),
        (b"\xef\xbb\xbf", "no_object"),
    ],
)
def test_what_holds_no_event_is_rejected(line: bytes, reason: str) -> None:
    limit = 10 if reason == "too_long" else MAX_LINE_BYTES
    assert oracle.read_events(line, max_line_bytes=limit).reason == reason


@pytest.mark.parametrize(
    ("line", "mends", "names"),
    [
        (b'{"event_type":%b1%b}\n' % (b"[" * 499, b"]" * 499), set(), 1),
        (b'\x00 \xef\xbb\xbf\xef\xbb\xbf {"event_type":1}\x00\r\n', {"bom", "nul"}, 1),
        (b'\xff {"event_type":1}', {"prefix"}, 1),
        (b'{"event_type":"\xff\xed\xa0\x80"}', {"utf8"}, 1),
        (b'"\\"{\\\\\\"event_type\\\\\\": 1}\\""', {"nested_json"}, 1),
        (
            b'a {"event_type":1,"event_source":2} b {"event_type":2}',
            {"prefix", "concatenated", "trailing_text"},
            2,
        ),
        (b'a {"event_type":1} b {"event_type":2}', {"prefix"}, 1),
        (b'{"event_type": NaN, "\\u0065vent_type": "\\ud800\t"}', None, 1),
    ],
)
def test_mends_add_up(line: bytes, mends: set[str] | None, names: int) -> None:
    outcome = oracle.read_events(line)
    wanted = {"nan", "duplicate_key", "surrogate", "control_character"} if mends is None else mends
    assert outcome.mends == wanted
    assert len(outcome.events) == names


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            b'{"name":"x","timestamp":5,"data":{"b": 1.0},"context":{"ip":"::1","page":null}}',
            '{"name":"x","time":5,"event":{"b":1.0},"context":{"ip":"::1","page":null},'
            '"ip":"::1","page":null}',
        ),
        (
            b'{"name":"x","timestamp":5,"data":1,"event":2,"ip":"a","context":{"ip":"b"}}',
            '{"name":"x","time":5,"data":1,"event":2,"ip":"a","context":{"ip":"b"}}',
        ),
        (b'{"name":"x","timestamp":5,"context":null}', '{"name":"x","time":5,"context":null}'),
        (
            b'{"name":"x","timestamp":5,"time":6,"data":7}',
            '{"name":"x","timestamp":5,"time":6,"event":7}',
        ),
        (b'{"name":"x","time":5,"data":7}', '{"name":"x","time":5,"event":7}'),
        (b'{"name":"x","timestamp":5,"time":6,"event":7}', None),
    ],
)
def test_an_event_in_process_shape_is_written_as_a_log_line(
    line: bytes, expected: str | None
) -> None:
    outcome = oracle.read_events(line)
    assert outcome.mends == ({"prelog_shape"} if expected else set())
    assert oracle.same_json(outcome.events[0].text, expected or line.decode())


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (None, None, True),
        (None, "null", False),
        ('{"a": "\\u00e9"}', '{"a":"\u00e9"}', True),
        ("1.0", "1", False),
        ('{"a":1,"b":2}', '{"b":2,"a":1}', False),
        ('{"a":1,"a":2}', '{"a":2}', False),
        ("NaN", "NaN", False),
        ("{", "{", False),
    ],
)
def test_same_json_forgives_spelling_only(left: str | None, right: str | None, same: bool) -> None:
    assert oracle.same_json(left, right) is same


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("course-v1:UnivX+CS101+*", "course-v1:UnivX+CS101+2014", True),
        ("course-v1:UnivX+CS101+*", "course-v1:UnivX+CS1010+2014", False),
        ("edx.forum.*", "edx.forum.", True),
        ("edx.forum.*", "edxxforum.a", False),
        ("*a*b?", "xxaxbxb1", True),
        ("*a*b?", "xxaxbxb", False),
        ("?", "\u00e9", True),
        ("[ab]", "a", False),
        ("", "", True),
        ("**", "/a/b", True),
    ],
)
def test_a_glob_knows_star_and_question_mark(pattern: str, text: str, expected: bool) -> None:
    assert oracle.glob_matches(pattern, text) is expected


@pytest.mark.parametrize(
    ("conditions", "selected"),
    [
        ({}, True),
        ({"courses": ["x", "UniX/*"]}, True),
        ({"courses": ["course-v1:UniX+CS101+2014"]}, False),
        ({"courses": ["unix/cs101/2014"]}, False),
        ({"orgs": ["UNIX"]}, True),
        ({"orgs": ["Uni"]}, False),
        ({"event_types": ["edx.video.*"]}, True),
        ({"event_types": ["play_video"], "event_sources": ["server"]}, False),
        ({"event_types": ["play_vide"]}, False),
        ({"users": ["Ann"]}, True),
        ({"users": ["ann"]}, False),
        ({"users": ["7"]}, True),
        ({"since": 1_000_000, "until": 1_000_001}, True),
        ({"since": 0, "until": 1_000_000}, False),
        ({"since": 1_000_001}, False),
        ({"since": 2_000_000_000, "by": "received_at"}, True),
        ({"exclude_courses": ["UniX/*"]}, False),
        ({"exclude_event_types": ["edx.video.played"]}, False),
        ({"exclude_users": ["Bob"]}, True),
        ({"exclude_orgs": ["unix"]}, False),
        ({"exclude_event_sources": ["browser"]}, True),
    ],
)
def test_conditions_select(conditions: dict[str, Any], selected: bool) -> None:
    event = {
        "event_type": "play_video",
        "name": "edx.video.played",
        "event_source": "mobile",
        "username": "Ann",
        "time": 1,
        "context": {"course_id": "UniX/CS101/2014", "user_id": 7, "received_at": 2_000},
    }
    assert oracle.matches(event, oracle.row(event), **conditions) is selected


def test_a_null_time_matches_no_time_condition_unless_received() -> None:
    silent: dict[str, Any] = {"name": "x"}
    received = {"name": "x", "context": {"received_at": 1}}
    assert oracle.matches(silent, oracle.row(silent))
    for event in (silent, received):
        assert not oracle.matches(event, oracle.row(event), since=0)
    assert oracle.matches(received, oracle.row(received), since=0, by="received_at")
    assert not oracle.matches(silent, oracle.row(silent), since=0, by="received_at")


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_filter_file_says_where_an_event_stood(tmp_path: Path, layers: int) -> None:
    data = b'\n{"event_type":"a"}{"event_type":"b"}\nrubbish\n{"event_type":"b"}'
    for _ in range(layers):
        data = gzip.compress(data[:9]) + gzip.compress(data[9:])
    path = tmp_path / "some.log"
    path.write_bytes(data)
    rows = oracle.filter_file(path, event_types=["b"])
    assert [(row["source"], row["line"], row["line_item"]) for row in rows] == [
        ("some.log", 2, 1),
        ("some.log", 4, 0),
    ]


@given(st.data())
def test_any_spelling_is_the_same_object(data: st.DataObject) -> None:
    event = data.draw(strategies.events())
    line = data.draw(strategies.spell(event))
    assert b"\n" not in line
    assert json.loads(line) == event
    outcome = oracle.read_events(line)
    assert outcome.mends <= {"mongo_export", "prelog_shape"}
    (read,) = outcome.events
    columns, again = oracle.row(read), oracle.row(event)
    for name, value in columns.items():
        # A value that is no text keeps its spelling in a text column.
        assert value == again[name] or json.loads(value) == json.loads(again[name])


@pytest.mark.parametrize(
    "event",
    [
        {"username": []},
        {"context": {"username": []}},
        {"context": '{"username": []}'},
    ],
)
def test_a_list_is_no_name_wherever_it_stands(event: dict[str, Any]) -> None:
    line = oracle.Event(json.dumps({"event_type": "a", **event}))
    assert oracle.row(line)["username"] == "[]"
    assert not oracle.matches(line, oracle.row(line), users=["[]"])


@given(st.data())
def test_a_course_is_found_however_it_is_spelled(data: st.DataObject) -> None:
    key = data.draw(strategies.course_keys())
    event, source = data.draw(strategies.spelled_course(key))
    assert oracle.course(event) == (key, source)


@given(st.data())
def test_every_generated_line_is_what_it_was_made_as(data: st.DataObject) -> None:
    lines = data.draw(st.lists(strategies.log_lines(), max_size=8))
    for line, kind, mends in lines:
        outcome = oracle.read_events(line)
        assert outcome.kind == kind
        assert outcome.mends >= mends
        # Every column must be readable, whatever the event.
        for event in outcome.events:
            json.loads(event.text)
            assert tuple(oracle.row(event)) == oracle.COLUMNS


@given(st.data())
def test_members_join_to_the_data(data: st.DataObject) -> None:
    content = data.draw(st.binary(max_size=200))
    assert gzip.decompress(data.draw(strategies.gzip_members(content))) == content
