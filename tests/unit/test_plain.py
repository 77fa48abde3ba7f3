"""edxlogs.plain: of a plain line what the oracle says, and no word of any other."""

from __future__ import annotations

import datetime
import itertools
import json

import pytest

import make_logs
import oracle
from edxlogs.plain import reader
from oracle_mend import read_events

DAY = datetime.date(2014, 10, 1)
EVENT = {"event_type": "play_video", "event_source": "browser", "username": " ada ", "event": "{}"}


def test_plain_lines_are_read_as_the_oracle_reads_them() -> None:
    odd = itertools.islice(make_logs.lines(3, DAY, "prod", 4, odd=0.2), 1500)
    lines = [line.removesuffix(b"\n") for line in (*make_logs.one_of_each(1, DAY, "prod"), *odd)]
    judged = 0
    for line in lines:
        columns = reader.read(line)
        if columns is None:
            continue
        judged += 1
        outcome = read_events(line)
        assert (outcome.kind, len(outcome.events), outcome.mends) == ("events", 1, set())
        row = oracle.row(outcome.events[0])
        for name in reader.DOCUMENTS:
            row[name] = None if row[name] is None else reader.document(row[name])
        assert columns == {name: row[name] for name in columns}
        assert len(columns) >= len(reader.COLUMNS) - 2
    assert judged > 0.75 * len(lines)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b'{"a": 1}',
        b'x {"event_type": "a"}',
        b'{"event_type": "a"}{"event_type": "b"}',
        b'{"event_type": "a", "event_type": "b"}',
        b'{"event_type": "a", "event": {"b": 1, "b": 2}}',
        b'{"event_type": "a", "event": NaN}',
        b'{"event_type": "a", "event": "{\\"b\\": NaN}"}',
        b'{"event_type": "a", "event": "{\\"b\\": \\"\\n\\"}"}',
        b'{"event_type": "\\ud83d"}',
        b'{"event_type": "a", "event": "{\\"b\\": \\"\\\\ud83d\\"}"}',
        b'{"event_type": "caf\xe9"}',
        b'{"event_type": "a", "timestamp": 1}',
        b'{"event_type": "a", "data": {}}',
        b'{"event_type": "a", "time": {"$date": 1}}',
        b'{"event_type": "a", "event": ' + b"[" * 501 + b"]" * 501 + b"}",
        b'{"event_type": "' + b"a" * (8 << 20) + b'"}',
    ],
)
def test_other_lines_are_left_to_the_core(line: bytes) -> None:
    assert reader.read(line) is None


def test_what_is_no_text_is_not_judged() -> None:
    columns = reader.read(json.dumps({**EVENT, "ip": 7, "page": None}).encode())
    assert columns is not None
    assert "ip" not in columns
    assert (columns["page"], columns["username"]) == (None, "ada")


def test_documents_are_equal_where_they_say_the_same() -> None:
    same = reader.document
    assert same('{"a": "\\u00e9", "b": [1]}') == same('{"a":"é","b":[ 1 ]}')
    for other in ('{"b": [1], "a": "é"}', '{"a": "é", "b": [1.0]}', '{"a": "é", "b": ["1"]}'):
        assert same(other) != same('{"a": "é", "b": [1]}')
    assert same("[true]") != same("[1]")
    with pytest.raises(ValueError, match="NaN"):
        same("[NaN]")
