"""The generator of logs keeps the promises of its docstring, counted by plain Python."""

import datetime
import gzip
import importlib
import itertools
import json
import pathlib
import random
import re
import sys
import urllib.parse
import zlib
from collections import Counter
from typing import Any

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benches"))
import oracle_event_tables
from edxlogs.edx.categories import categories

log_cast = importlib.import_module("log_cast")
make_logs = importlib.import_module("make_logs")

DAY = datetime.date(2014, 10, 1)
MAIN = "course-v1:UniversityX+CS101+2014_T1"
# The key's parts as any spelling decodes to, but neither a CCX nor a longer number or run.
MAIN_PARTS = re.compile(r"v1:UniversityX\+CS101\+2014_T1(?!\w|\+ccx@)")
KEY_ENCODED = re.compile(r"v1%(25)?3a", re.IGNORECASE)
ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u00([0-9a-f]{2})")

Line = tuple[bytes, dict[str, Any]]


@pytest.fixture(scope="module")
def sample() -> list[Line]:
    """Twenty whole decks: what the docstring promises holds exactly in them."""
    lines = itertools.islice(make_logs.lines(7, DAY, "prod", 1_000), 20 * log_cast.DECK_LINES)
    return [(line, json.loads(line)) for line in lines]


def is_main(event: dict[str, Any]) -> bool:
    """Tell whether an event is of MAIN, by context, else by what URL and payload decode to."""
    known = event.get("context", {}).get("course_id")
    if known:
        return bool(known == MAIN)
    text = " ".join((event["event_type"], event["page"] or "", json.dumps(event["event"])))
    return bool(MAIN_PARTS.search(urllib.parse.unquote(urllib.parse.unquote(text))))


def share(sample: list[Line], chosen: int) -> float:
    return chosen / len(sample)


def test_same_seed_same_lines() -> None:
    first = list(make_logs.lines(7, DAY, "prod", 1))
    assert first == list(make_logs.lines(7, DAY, "prod", 1))
    assert first != list(make_logs.lines(8, DAY, "prod", 1))
    assert first != list(make_logs.lines(7, DAY, "edge", 1))
    assert first != list(make_logs.lines(7, DAY + datetime.timedelta(days=1), "prod", 1))


def test_generators_do_not_disturb_each_other() -> None:
    alone = list(make_logs.lines(7, DAY, "prod", 0.2))
    together = zip(
        make_logs.lines(7, DAY, "prod", 0.2), make_logs.lines(7, DAY, "edge", 0.5), strict=False
    )
    assert [line for line, _ in together] == alone


def test_files_do_not_depend_on_jobs(tmp_path: pathlib.Path) -> None:
    arguments = ["--days", "2", "--megabytes", "0.5", "--org", "UnivX", "--odd", "0.01"]
    for jobs in ("1", "2"):
        assert make_logs.main([str(tmp_path / jobs), *arguments, "--jobs", jobs]) == 0
    names = [
        f"univx-{site}-events-2014-10-0{n}.log.gz" for site in ("edge", "prod") for n in (1, 2)
    ]
    assert sorted(path.name for path in (tmp_path / "1").iterdir()) == names
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_plain_and_gzip_hold_the_same_lines(tmp_path: pathlib.Path) -> None:
    arguments = [str(tmp_path), "--days", "1", "--sites", "prod", "--megabytes", "1"]
    make_logs.main(arguments)
    make_logs.main([*arguments, "--plain"])
    plain = (tmp_path / "universityx-prod-events-2014-10-01.log").read_bytes()
    packed = tmp_path / "universityx-prod-events-2014-10-01.log.gz"
    assert gzip.decompress(packed.read_bytes()) == plain
    assert packed.read_bytes()[4:8] == bytes(4)  # no time of writing
    assert plain == b"".join(make_logs.lines(7, DAY, "prod", 1))
    assert 1_000_000 <= len(plain) < 1_010_000


def test_lines_are_written_as_the_platform_writes(sample: list[Line]) -> None:
    for line, event in sample:
        assert line.isascii()
        assert line.endswith(b"}\n")
        # The platform writes with json.dumps; escaped ASCII is the one liberty taken.
        if not re.search(rb"\\u00[0-7]", line):
            assert json.dumps(event) + "\n" == line.decode()


def test_lengths_and_ratio() -> None:
    data = b"".join(make_logs.lines(7, DAY, "prod", 20))
    assert 1_200 <= len(data) / data.count(b"\n") <= 1_700
    assert 15 <= len(data) / len(zlib.compress(data, 6)) <= 20


def test_shares_of_the_main_course(sample: list[Line]) -> None:
    events = [event for _, event in sample if is_main(event)]
    assert share(sample, len(events)) == pytest.approx(0.20)
    checks = [event["event_source"] for event in events if event["event_type"] == "problem_check"]
    assert share(sample, checks.count("server")) == pytest.approx(0.025)
    assert share(sample, checks.count("browser")) == pytest.approx(0.015)
    hidden = [event for event in events if not event.get("context", {}).get("course_id")]
    assert len(hidden) / len(events) == pytest.approx(0.15)
    assert any("context" not in event for event in hidden)
    assert any("course_id" in event.get("context", {}) for event in hidden)


def test_courses(sample: list[Line]) -> None:
    keys = [event["context"]["course_id"] for _, event in sample if "context" in event]
    assert set(keys) == {"", MAIN, *dict(log_cast.OTHER_COURSES)}
    alike = [key for key, _ in log_cast.OTHER_COURSES[:3]]
    assert 0.03 <= share(sample, sum(key in alike for key in keys)) <= 0.09


def test_percent_encoded_keys(sample: list[Line]) -> None:
    encoded = [
        event
        for _, event in sample
        if KEY_ENCODED.search(event["event_type"] + (event["page"] or ""))
    ]
    assert share(sample, len(encoded)) == pytest.approx(0.02)
    twice = [e for e in encoded if "v1%253A" in e["event_type"] + (e["page"] or "")]
    assert share(sample, len(twice)) == pytest.approx(0.005)
    alone = [e for e in encoded if not e.get("context", {}).get("course_id")]
    assert share(sample, len(alone)) == pytest.approx(0.008)
    for event in alone:
        # Nothing else in it says which course: not the payload, not even the referer.
        assert "v1:" not in json.dumps(event)


def test_payload_forms(sample: list[Line]) -> None:
    forms = [e["event"] for _, e in sample if re.match('"?input_', str(e["event"]))]
    assert share(sample, len(forms)) == pytest.approx(0.03)
    assert 0.4 <= sum(form.startswith('"') for form in forms) / len(forms) <= 0.6
    assert all("%5B%5D=" in form for form in forms)
    odd = 0
    for _, event in sample:
        payload = event["event"]
        explicit = event["event_source"] != "browser" and not event["event_type"].startswith("/")
        expected = dict if explicit and event["event_source"] != "mobile" else str
        text = payload if isinstance(payload, str) else ""
        odd += not isinstance(payload, expected) or (expected is str and is_odd(text))
    assert 0 < share(sample, odd) < 0.01


def is_odd(text: str) -> bool:
    """Whether a payload is neither empty, nor a form, nor JSON text of an object or a list."""
    if not text or text.startswith("input_"):
        return False
    try:
        value = json.loads(text)
    except ValueError:
        assert len(text) == 512
        return True
    return not isinstance(value, dict | list) and not value.startswith("input_")


def test_every_type_and_every_home_comes(sample: list[Line]) -> None:
    each = [json.loads(line) for line in make_logs.one_of_each(7, DAY, "prod")]
    types = {text for event in each for text in (event["event_type"], event.get("name"))}
    known = {one for types_of in categories().values() for one in types_of} - {"/*"}
    assert known <= types
    homes = Counter(
        oracle_event_tables.home(event["event_type"], event.get("name"))[0] for event in each
    )
    assert len(homes) == 19
    decks = [event for _, event in sample]
    in_decks = {
        oracle_event_tables.home(event["event_type"], event.get("name"))[0] for event in decks
    }
    assert in_decks == set(homes)
    of_decks = {text for event in decks for text in (event["event_type"], event.get("name"))}
    assert len(known - of_decks) < len(known) / 10


def test_acts_are_of_the_course_of_their_line(sample: list[Line]) -> None:
    for line, event in sample:
        course = event.get("context", {}).get("course_id", "")
        if course.startswith("course-v1:") and event["event_source"] != "mobile":
            keys = re.findall(rb"(?<!ccx-)block-v1:([^+]+\+[^+]+\+[^+]+)\+type@", line)
            assert {key.decode() for key in keys} <= {course.partition(":")[2]}


def test_more_courses() -> None:
    lines = list(make_logs.lines(7, DAY, "prod", 8, courses=500))
    keys = {json.loads(line).get("context", {}).get("course_id") for line in lines}
    assert 150 < len(keys) <= 500 + len(log_cast.OTHER_COURSES) + 2
    assert sum("FurtherX" in (key or "") for key in keys) > 150


def test_escapes(sample: list[Line]) -> None:
    codes = [set(ESCAPE.findall(line)) for line, _ in sample]
    assert share(sample, sum(bool(found) for found in codes)) == pytest.approx(0.10)
    ascii_ = sum(any(code < b"80" for code in found) for found in codes)
    assert share(sample, ascii_) == pytest.approx(0.01)


def test_people(sample: list[Line]) -> None:
    workers = [e for _, e in sample if e["username"] == "" and e["agent"] == ""]
    assert all(e["ip"] == "" and e["context"]["path"] == "" for e in workers)
    assert 0 < share(sample, len(workers)) < 0.01
    anonymous = [e for _, e in sample if e["username"] == "" and e["agent"]]
    assert share(sample, len(anonymous)) == pytest.approx(0.03)
    ids = {event["context"]["user_id"] for event in anonymous if "context" in event}
    assert ids == {None, ""}
    named = [e["context"]["user_id"] for _, e in sample if e["username"] and "context" in e]
    assert all(isinstance(user, int) for user in named)
    assert len(set(named)) > 500


def test_sites_number_people_independently() -> None:
    def people(site: str) -> dict[str, str]:
        learners, accented, _ = log_cast.make_people(random.Random(f"7/{site}"), site)
        return {person.id: person.name for person in learners + accented}

    prod, edge = people("prod"), people("edge")
    both = prod.keys() & edge.keys()
    assert len(both) >= 50
    assert all(prod[user] != edge[user] for user in both)


def test_people_are_the_same_on_all_days_of_a_site() -> None:
    names: dict[int, str] = {}
    for offset in range(2):
        for line in make_logs.lines(7, DAY + datetime.timedelta(days=offset), "prod", 5):
            event = json.loads(line)
            if event["username"] not in {"", "unknown"} and "context" in event:
                user = event["context"]["user_id"]
                assert names.setdefault(user, event["username"]) == event["username"]
    assert len(set(names.values())) == len(names)


def test_times(sample: list[Line]) -> None:
    times = [event["time"] for _, event in sample if event["event_source"] != "mobile"]
    assert {time[:10] for time in times} == {"2014-10-01"}
    assert {time[11:13] for time in times} == {f"{hour:02d}" for hour in range(24)}
    assert times != sorted(times)
    mobile = [event for _, event in sample if event["event_source"] == "mobile"]
    assert share(sample, len(mobile)) == pytest.approx(0.043)
    delays = []
    for event in mobile:
        received = datetime.datetime.fromisoformat(event["context"]["received_at"])
        assert received.date() == DAY
        delays.append(received - datetime.datetime.fromisoformat(event["time"]))
    assert min(delays) >= datetime.timedelta(0)
    assert datetime.timedelta(days=3) < max(delays) <= datetime.timedelta(days=6, seconds=1)


def test_odd_lines_leave_the_others_alone() -> None:
    clean = list(make_logs.lines(7, DAY, "prod", 8))
    odd = list(make_logs.lines(7, DAY, "prod", 8, odd=0.1))
    assert len(odd) == len(clean)
    changed = [line for line, was in zip(odd, clean, strict=True) if line != was]
    assert 0.08 <= len(changed) / len(clean) <= 0.12
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in changed)
    ways = (
        rb"Oct  1 00:00:48 localhost \{",
        rb"\n",
        rb'\{"nonInteraction": NaN,',
        rb'\{"label": "\\ud83d"',
        rb'\{"label": "caf\xe9"',
        rb'\{"username": "overwritten", "username"',
        rb"\{.*\} -- log rotated\n",
        rb"\{.*\}\{.*\}\n",
        rb"\{.*[^}]\n",
    )
    for way in ways:
        assert any(re.fullmatch(way + rb".*\n?", line) for line in changed), way
