"""Two weeks on two sites: who learns what, and what logs and packages say about it.

Everything follows from one seed. A person has one name, id, address and browser in all courses of a
site. People enrol, come back, watch, answer and talk as `Learner` does, more in the evening and on
weekdays. As in real logs, some lines are odd: `ODD` says where.
"""

from __future__ import annotations

import datetime
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edxlogs.generator.course import Course
from edxlogs.generator.enrolling import SPANS, STORIES, enrol
from edxlogs.generator.learner import Learner
from edxlogs.generator.lines import Line, Lines, Person
from edxlogs.generator.package import Roll

SEED = 7
ORG = "UniversityX"
FIRST = datetime.date(2014, 10, 1)
DAYS = tuple(FIRST + datetime.timedelta(days=number) for number in range(14))
_BEGIN = datetime.datetime.combine(FIRST, datetime.time(), datetime.UTC)
_DAY, _SECOND = datetime.timedelta(days=1), datetime.timedelta(seconds=1)
# Weights of sessions by the hour (UTC) in which they begin, and by weekday, from Monday.
_HOURS = (2, 1, 1, 1, 1, 2, 4, 6, 8, 9, 10, 10, 11, 11, 12, 13, 14, 16, 18, 19, 18, 14, 8, 4)
_WEEKDAYS = (10, 10, 9, 9, 7, 4, 6)
_SESSIONS = (0, 1, 1, 2, 2, 3, 4, 5, 7, 9)  # of a learner in two weeks
_MOST_ACTS = 14  # of a session
_SHARE_MOBILE, _SHARE_LATE = 0.15, 0.2  # of the sessions; of these, those sent days later
_GIVEN = (
    *("ada", "amir", "bela", "chen", "dana", "elif", "emeka", "farah", "goran", "hana", "ines"),
    *("ivo", "jonas", "kofi", "lena", "lucia", "mei", "milan", "nadia", "noor", "olga", "pablo"),
    *("priya", "quynh", "rafael", "sana", "sven", "tariq", "uma", "vera", "wen", "yuki", "zoe"),
)
_AGENTS = (
    "Mozilla/5.0 (Windows NT 6.1; WOW64; rv:32.0) Gecko/20100101 Firefox/32.0",
    "Mozilla/5.0 (Windows NT 6.3; WOW64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/37.0.2062.124 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_5) AppleWebKit/600.1.17 (KHTML, like Gecko)"
    " Version/7.1 Safari/537.85.10",
    "Mozilla/5.0 (X11; Linux x86_64; rv:32.0) Gecko/20100101 Firefox/32.0",
)
_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")  # for documentation: nobody's


@dataclass(frozen=True, slots=True)
class Site:
    """A site: its courses with the number of their learners, out of so many people.

    Attributes:
        name: its name in file names.
        host: its web server.
        first_id: user id of the first person.
        people: how many people have an account.
        courses: key, title, and how many of the people are in it.
    """

    name: str
    host: str
    first_id: int
    people: int
    courses: Sequence[tuple[str, str, int]]


MAIN = f"course-v1:{ORG}+CS101+2014_T1"
SITES = (
    Site(
        "prod",
        "courses.universityx.example",
        1001,
        300,
        (
            (MAIN, "Introduction to Programming", 170),
            (f"course-v1:{ORG}+CS101+2013_T3", "Introduction to Programming (archived)", 20),
            (f"course-v1:{ORG}+HIST200+2014_T3", "Cities and Empires", 90),
            (f"course-v1:{ORG}+STAT110+2014_T3", "Chance and Data", 60),
        ),
    ),
    Site(
        "edge",
        "edge.universityx.example",
        51,
        16,
        (
            (MAIN, "Introduction to Programming (draft)", 9),
            (f"course-v1:{ORG}+SANDBOX+2014", "Trying Things", 6),
        ),
    ),
)


def _cut(line: bytes, _before: bytes) -> bytes:
    return line[: len(line) // 2]


def _with_prefix(line: bytes, _before: bytes) -> bytes:
    return b"Oct  6 00:00:48 localhost " + line


def _joined(line: bytes, before: bytes) -> bytes:
    return before + line


Odd = Callable[[bytes, bytes], bytes]
ODD: Mapping[tuple[str, int], tuple[Odd, int]] = {
    ("prod", 3): (_cut, 1),
    ("prod", 5): (_with_prefix, 3),
    ("prod", 9): (_joined, 2),
    ("edge", 5): (_cut, 1),
}
"""By site and number of the day: what happens to some lines, and to how many."""
TWICE = 4  # lines of the seventh day of prod that stand in the log of the next day as well


def rolls(site: Site) -> list[Roll]:
    """The courses of a site, the people in them, and everything that they do."""
    rng = random.Random(f"{SEED}/{site.name}")
    people = [_person(rng, site.first_id + 7 * number) for number in range(site.people)]
    found = []
    for number, (key, title, count) in enumerate(site.courses, 1):
        course = Course(key, title, _BEGIN - 20 * _DAY, site=site.name, host=site.host)
        staff = Person(site.first_id - number, f"staff_{number}")
        its = sorted(rng.sample(people, count), key=lambda who: who.user_id)
        found.append(_roll(rng, course, staff, its))
    return found


def logs(site: Site, courses: Sequence[Roll]) -> Iterator[tuple[datetime.date, list[bytes]]]:
    """The lines of each day, in the order in which they were received, each with its LF."""
    by_day: dict[str, list[Line]] = defaultdict(list)
    for line in _lines(site, courses):
        by_day[_received(line)[:10]].append(line)
    again: list[Line] = []
    for number, day in enumerate(DAYS):
        its = sorted([*by_day[day.isoformat()], *again], key=_received)
        again = its[-TWICE:] if (site.name, number) == ("prod", 6) else []
        written = [json.dumps(line).encode() for line in its]
        yield day, [line + b"\n" for line in _made_odd(written, site.name, number)]


def _received(line: Line) -> str:
    moment: str = line["context"].get("received_at", line["time"])
    return moment


def _lines(site: Site, courses: Sequence[Roll]) -> Iterator[Line]:
    for roll in courses:
        for enrolled in roll.enrolled.values():
            yield from enrolled.lines
        for learner in roll.learners:
            yield from learner.lines
        yield from _visits(random.Random(f"{SEED}/{roll.course.key}/{site.name}"), roll)


def _visits(rng: random.Random, roll: Roll) -> Iterator[Line]:
    """Somebody who is not logged in reads about a course."""
    for _ in range(len(roll.learners)):
        visitor = Lines(roll.course, Person(0, "", _address(rng), rng.choice(_AGENTS)), "")
        visitor.is_nameless = True
        yield visitor.request(_moment(rng), "about")


def _made_odd(lines: list[bytes], site: str, number: int) -> Iterator[bytes]:
    odd, count = ODD.get((site, number), (None, 0))
    places = {(place + 1) * len(lines) // (count + 1) for place in range(count)}
    for place, line in enumerate(lines):
        yield odd(line, lines[place - 1]) if odd and place in places else line


def _person(rng: random.Random, user_id: int) -> Person:
    name = f"{rng.choice(_GIVEN)}_{user_id % 1000}"
    return Person(user_id, name, _address(rng), rng.choice(_AGENTS))


def _address(rng: random.Random) -> str:
    return f"{rng.choice(_NETWORKS)}.{rng.randrange(1, 255)}"


def _moment(rng: random.Random) -> datetime.datetime:
    """A moment of the two weeks."""
    weights = [_WEEKDAYS[day.weekday()] for day in DAYS]
    (number,), (hour,) = rng.choices(range(len(DAYS)), weights), rng.choices(range(24), _HOURS)
    return _BEGIN + number * _DAY + datetime.timedelta(hours=hour, seconds=rng.randrange(3600))


def _roll(rng: random.Random, course: Course, staff: Person, people: Sequence[Person]) -> Roll:
    roll = Roll(course, staff)
    for number, who in enumerate(people):
        story = number % STORIES
        # A story ends within the two weeks; one without a span may be earlier.
        start = _moment(rng) - SPANS[story] * _DAY
        if not SPANS[story] and rng.random() < 0.5:
            start -= len(DAYS) * _DAY
        start += datetime.timedelta(milliseconds=number)
        roll.enrolled[who.user_id] = enrol(course, who, roll.staff, start, story)
        learner = Learner(course, who, rng)
        roll.learners.append(learner)
        moments = (_moment(rng) for _ in range(rng.choice(_SESSIONS)))
        for moment in sorted(moment for moment in moments if moment > start):
            mobile = rng.random() < _SHARE_MOBILE
            is_late = mobile and rng.random() < _SHARE_LATE
            learner.write.late = rng.randrange(1, 4) * _DAY if is_late else _SECOND
            acts = rng.randrange(2, _MOST_ACTS + 1)
            learner.study(moment, acts, mobile=mobile, closes=rng.random() < 0.4)
        if len(learner.checked) >= 6:
            roll.certified.add(who.user_id)
    return roll
