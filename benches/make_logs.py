r"""Write seeded tracking logs that are shaped like edX's, for the demo, the benches and the tests.

Every person, address, host, course and university is invented. The same seed and arguments give
the same bytes, whatever the number of jobs. Lines are dealt from shuffled decks of 1,000, so these
shares hold in every whole deck (in a file: to within one deck), and not just on average:

* 20 % belong to `MAIN`, 4 % to it with event type problem_check (2.5 % server, 1.5 % browser);
  15 % of its lines name it only in a URL or the payload (context.course_id is "", or no context).
* 2 % spell a course key percent-encoded in page or URL, 0.5 % twice encoded; in 0.8 % the course
  is known from nothing else.
* 3 % have a form-encoded payload, half of them as JSON text of a JSON string.
* 10 % hold `\u00xx` escapes, 1 % of ASCII characters (`+ < > &`, as some JSON writers do).
* 3 % are anonymous: username "", user_id null or "".
* 4.3 % are mobile: received on the file's day, happened up to six days before.

About 6 % belong to three look-alikes (the old slash id, a CCX, a longer number), so the parts of
MAIN's key stand in about 25 % of the lines, and in 6 % together with the text problem_check.

Payloads are objects in server events, text in browser, mobile and URL events. Lines average
1.2 to 1.7 KB, and `gzip -6` shrinks them 15 to 20 times, as it does real logs. To that end a few
learners and courses are active at a time, and lines of one kind come in runs of four or fewer.

With `odd`, that share of the lines is made malformed. The others stay as they are without it, and
line n is always the same event, so a test can compare the two.

Source of the shapes: EdX Research Guide, "Events in the Tracking Logs".
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import datetime
import functools
import itertools
import json
import operator
import os
import pathlib
import random
import sys
import urllib.parse
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

MAIN = "course-v1:UniversityX+CS101+2014_T1"
DECK_LINES, RUN_LINES = 1_000, 4
CHUNK_LINES = 1_000

# Course key, and how many of 94 lines of the other courses it gets. The first three look like MAIN.
OTHER_COURSES = (
    ("UniversityX/CS101/2014_T1", 4),
    ("ccx-v1:UniversityX+CS101+2014_T1+ccx@7", 2),
    ("course-v1:UniversityX+CS101x+2014_T1", 1),
    ("course-v1:UniversityX+CS101+2015_T1", 12),
    ("course-v1:universityx+HIST-200+2014_T3", 12),
    ("course-v1:UniversityX+MATH.18~a+Fall2014", 12),
    ("UniversityX/BIO2.1x/2013_Fall", 12),
    ("UNIVERSITYX/Phys_8.01/2014_T2", 9),
    ("course-v1:LakesideX+ECON101+2014_T1", 12),
    ("LakesideX/PH207x/2012_Fall", 9),
    ("course-v1:UniversityX+STAT110+self_paced", 9),
)

# Kind of event, lines of MAIN and of other courses in a deck.
PLAN = (
    ("check_server", 25, 45),
    ("check_browser", 15, 15),
    ("video", 42, 190),
    ("sequence", 20, 90),
    ("page_close", 10, 45),
    ("handler", 36, 150),
    ("course_page", 14, 72),
    ("change_enrollment", 2, 8),
    ("show_answer", 6, 25),
    ("graded", 4, 15),
    ("enrollment", 5, 25),
    ("forum", 7, 35),
    ("book", 4, 15),
    ("mobile", 8, 35),
    ("certificate", 2, 5),
    ("site_page", 0, 30),
)

RAW, ENCODED, ENCODED_LOWER, ENCODED_TWICE = range(4)

# Kind, whether of MAIN, number of lines, how they are changed. Each takes lines not yet changed.
MARKS: tuple[tuple[str, bool, int, dict[str, object]], ...] = (
    ("check_server", True, 2, {"known": "blank"}),
    ("check_browser", True, 1, {"known": "absent"}),
    ("video", True, 4, {"known": "absent"}),
    ("page_close", True, 2, {"known": "blank"}),
    ("handler", True, 6, {"known": "blank"}),
    ("course_page", True, 3, {"known": "absent"}),
    ("check_server", False, 4, {"known": "blank"}),
    ("video", False, 20, {"known": "absent"}),
    ("handler", False, 20, {"known": "blank"}),
    ("course_page", False, 8, {"known": "absent"}),
    # Percent-encoded and known from nothing else.
    ("video", True, 1, {"known": "absent", "spelling": ENCODED}),
    ("course_page", True, 1, {"known": "blank", "spelling": ENCODED}),
    ("course_page", True, 1, {"known": "blank", "spelling": ENCODED_TWICE}),
    ("video", False, 2, {"known": "absent", "spelling": ENCODED_LOWER}),
    ("course_page", False, 2, {"known": "blank", "spelling": ENCODED}),
    ("page_close", False, 1, {"known": "blank", "spelling": ENCODED_TWICE}),
    # Percent-encoded beside context.course_id.
    ("video", True, 2, {"spelling": ENCODED_LOWER}),
    ("page_close", True, 1, {"spelling": ENCODED}),
    ("video", False, 3, {"spelling": ENCODED}),
    ("course_page", False, 2, {"spelling": ENCODED_LOWER}),
    ("page_close", False, 1, {"spelling": ENCODED}),
    ("video", False, 3, {"spelling": ENCODED_TWICE}),
    ("course_page", True, 2, {"anonymous": True}),
    ("course_page", False, 12, {"anonymous": True}),
    ("page_close", False, 2, {"anonymous": True}),
    ("site_page", False, 14, {"anonymous": True}),
)

# Kinds whose accents stand in a text; in the others they stand in the username.
TEXT_KINDS = frozenset({"check_server", "show_answer", "forum", "certificate"})
# Kinds whose requests are no course's, so context.course_id is always empty.
BLANK_KINDS = frozenset({"change_enrollment", "enrollment", "certificate", "site_page"})
PEOPLE, ACCENTED_PEOPLE, VISITORS = 6_000, 200, 400
BLOCKS, PLACES = 40, 15  # of each kind, in a course
# How many are in use at a time, and how often one gives way: these set how well a file compresses.
ACTIVE_PEOPLE, ACTIVE_BLOCKS, ACTIVE_COURSES, RENEWED = 5, 1, 2, 0.06

TEXT = (
    "the a of to and in that is it for was on are with they be at one have this from or had by but "
    "what some we can out other were all there when up use your how said an each she which do "
    "their time if will way about many then them write would like so these her long make thing "
    "see him two has look more day could go come did number sound no most people my over know "
    "water than call first who may down side been now find any new work part take get place made "
    "live where after back little only round man year came show every good me give our under name "
    "lecture homework exercise answer question grade deadline video proof integral vector matrix"
)
WORDS = TEXT.split()
ACCENTS = (
    "caf\\u00e9",
    "na\\u00efve",
    "pi\\u00f1ata",
    "\\u00fcbung",
    "\\u00e9tude",
    "\\u00bfqu\\u00e9",
)
TITLES = (
    "Checkpoint",
    "Multiple Choice",
    "Numerical Input",
    "Lab Report",
    "Pendulum",
    "Recap Quiz",
)
LANGUAGES = ("en-US,en;q=0.8", "en-US,en;q=0.5", "es-ES,es;q=0.8,en;q=0.6", "de-DE,de;q=0.8", "")
HOSTS = {"prod": "courses.learn.example", "edge": "edge.learn.example"}
NO_REQUEST = '{\\"POST\\": {}, \\"GET\\": {}}'


T = TypeVar("T")


@dataclasses.dataclass(slots=True)
class Person:
    """One learner on one site: the values of a line that follow from who acts."""

    name: str
    id: str  # JSON text: digits, null or ""
    ip: str
    agent: str
    language: str
    session: str


@dataclasses.dataclass(slots=True)
class Block:
    """One problem, video or sequence of a course, with the JSON texts made from it."""

    usage_key: str
    handler_key: str
    part: str  # what input names and video ids start with
    place: str  # where the course shows it, as in page
    title: str
    accented: str
    checks: tuple[str, ...] = ()
    graded: str = ""


@dataclasses.dataclass(slots=True)
class Course:
    """One course run: its key, the key as URLs spell it, and its blocks."""

    key: str
    ids: str
    spellings: tuple[str, str, str, str]
    problems: Busy[Block]
    videos: Busy[Block]
    sequences: Busy[Block]


@dataclasses.dataclass(slots=True)
class Slot:
    """One card of the deck: what the line must be, apart from chance."""

    order: int  # of kind and main, as in PLAN
    kind: str
    main: bool
    courses: Busy[Course]
    known: str = "context"  # or blank: ids are empty; or absent: no context
    spelling: int = RAW
    anonymous: bool = False
    escape: str = ""  # or accent, or ascii


class Busy(Generic[T]):
    """Draws items as work draws them: a few are in use, and now and then one gives way.

    Without it each line would be about someone and something else, and compress far worse than
    real logs do.
    """

    def __init__(self, rng: random.Random, items: Sequence[T], active: int) -> None:
        """Start with `active` of the items in use."""
        self.random = rng.random
        self.items = items
        self.active = [rng.choice(items) for _ in range(active)]

    def draw(self) -> T:
        """Return an item in use, or bring in another."""
        n = int(self.random() * len(self.active))
        if self.random() < RENEWED:
            self.active[n] = self.items[int(self.random() * len(self.items))]
        return self.active[n]


def agents(rng: random.Random) -> list[str]:
    """Return User-Agent headers of browsers, most of them variants of a few."""
    systems = (
        "Windows NT 6.1; WOW64",
        "Windows NT 6.3; WOW64",
        "Macintosh; Intel Mac OS X 10_9_5",
        "X11; Linux x86_64",
    )
    chrome = [
        f"Mozilla/5.0 ({rng.choice(systems)}) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{rng.randint(34, 39)}.0.{rng.randint(1800, 2180)}.{rng.randint(60, 130)} "
        "Safari/537.36"
        for _ in range(25)
    ]
    firefox = [
        f"Mozilla/5.0 ({system}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
        for system in systems
        for version in range(32, 34)
    ]
    return chrome + firefox


def hex_id(rng: random.Random) -> str:
    """Return 32 hex digits."""
    return f"{rng.getrandbits(128):032x}"


def address(rng: random.Random) -> str:
    """Return an address from the ranges that are kept for documentation."""
    if rng.random() < 0.05:
        return f"2001:db8:{rng.getrandbits(16):x}::{rng.getrandbits(16):x}"
    return f"{rng.choice(('192.0.2', '198.51.100', '203.0.113'))}.{rng.randint(1, 254)}"


def make_people(rng: random.Random, site: str) -> tuple[list[Person], list[Person], list[Person]]:
    """Return learners, learners with accents in their names, and visitors without a name."""
    browsers = agents(rng)
    # The sites number their users independently, so ids overlap and mean different people.
    ids = rng.sample(range(1, 60_000 if site == "edge" else 300_000), PEOPLE + ACCENTED_PEOPLE)
    first = ("ada", "bo", "chen", "dara", "eli", "fatou", "gus", "hana", "ivo", "jun", "kai", "lia")
    last = ("ash", "brook", "cliff", "dale", "elm", "fern", "grove", "hill", "isle", "marsh")
    marks = ("ren\\u00e9e", "jos\\u00e9", "bj\\u00f6rn", "fran\\u00e7ois", "nu\\u00f1ez")

    def person(name: str, user_id: str) -> Person:
        browser, language = rng.choice(browsers), rng.choice(LANGUAGES)
        return Person(name, user_id, address(rng), browser, language, hex_id(rng))

    people = [
        # The place in the list keeps names unique; neither site's order is that of its ids.
        person(f"{rng.choice(first)}_{rng.choice(last)}{place}", str(number))
        for place, number in enumerate(ids[:PEOPLE])
    ]
    accented = [
        person(f"{rng.choice(marks)}{place}", str(number))
        for place, number in enumerate(ids[PEOPLE:])
    ]
    visitors = [person("", ("null", '""')[n % 2]) for n in range(VISITORS)]
    return people, accented, visitors


def problem_texts(part: str, usage_key: str, titles: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Return the server's problem_check payloads and the browser's problem_graded payload.

    `@A@` stands for the learner's number, `@N@` for the attempt: a line fills them in.
    """
    names = [f"{part}_{n}_1" for n in (2, 3, 4)]
    checks = []
    for right in range(3):
        answers = dict(zip(names, ("choice_1", "@A@", ["choice_0", "choice_2"]), strict=True))
        inputs = ("choicegroup", "formulaequationinput", "checkboxgroup")
        responses = ("multiplechoiceresponse", "numericalresponse", "choiceresponse")
        correct = [n <= right for n in range(3)]
        marks = {
            name: {
                "hint": "",
                "hintmode": None,
                "correctness": "correct" if good else "incorrect",
                "npoints": None,
                "msg": "",
                "queuestate": None,
            }
            for name, good in zip(names, correct, strict=True)
        }
        submission = {
            name: {
                "input_type": kind,
                "question": f"{title}: which of these is right?",
                "response_type": response,
                "answer": answers[name],
                "variant": "",
                "correct": good,
            }
            for name, kind, response, good, title in zip(
                names, inputs, responses, correct, titles, strict=True
            )
        }
        state = {
            "student_answers": {},
            "seed": 1,
            "done": None,
            "correct_map": {},
            "input_state": {name: {} for name in names},
        }
        event = {
            "submission": submission,
            "success": "correct" if all(correct) else "incorrect",
            "grade": right + 1,
            "correct_map": marks,
            "state": state,
            "answers": answers,
            "attempts": "@N@",
            "max_grade": 3,
            "problem_id": usage_key,
        }
        checks.append(json.dumps(event).replace('"@N@"', "@N@"))
    form = f"input_{names[0]}=choice_1&input_{names[1]}=@A@"
    page = (
        f'<h2 class="problem-header">\n  {titles[0]}\n</h2>\n<div class="problem">\n'
        f'  <span id="input_{names[1]}" class="correct">@A@</span>\n'
        '  <p class="status" aria-hidden="true">correct &amp; saved</p>\n</div>\n'
    )
    return tuple(checks), json.dumps(json.dumps([form, page]))


def make_block(rng: random.Random, key: str, kind: str, places: Sequence[str]) -> Block:
    """Return a block of a course: new-style if the course key has a namespace, else i4x."""
    namespace, colon, body = key.partition(":")
    # Old courses name their blocks by hand, new ones by chance.
    name = (
        hex_id(rng)
        if colon
        else f"{kind[0].upper()}{rng.randint(1, 12)}{kind[1]}{rng.randint(1, 30)}"
    )
    if colon:
        prefix = "ccx-block-v1" if namespace == "ccx-v1" else "block-v1"
        usage = handler = f"{prefix}:{body}+type@{kind}+block@{name}"
        part = name
    else:
        org, number, _run = key.split("/")
        usage = f"i4x://{org}/{number}/{kind}/{name}"
        handler = usage.replace("/", ";_")
        part = f"i4x-{org}-{number}-{kind}-{name}".replace(".", "_")
    title = f"{rng.choice(TITLES)} {rng.randint(1, 12)}"
    block = Block(
        usage, handler, part, rng.choice(places), title, f"{title}, {rng.choice(ACCENTS)}"
    )
    if kind == "problem":
        block.checks, block.graded = problem_texts(part, usage, rng.sample(TITLES, 3))
    return block


def make_course(rng: random.Random, key: str) -> Course:
    """Return a course with its blocks."""
    org = key.partition(":")[2].partition("+")[0] or key.partition("/")[0]
    encoded = urllib.parse.quote(key, safe="")
    lower = encoded.replace("%3A", "%3a").replace("%2B", "%2b")
    spellings = (key, encoded, lower, urllib.parse.quote(encoded, safe=""))
    if ":" in key:
        chapters = [hex_id(rng) for _ in range(PLACES // 3)]
        places = [f"courseware/{rng.choice(chapters)}/{hex_id(rng)}" for _ in range(PLACES)]
    else:
        places = [f"courseware/Week_{1 + n // 3}/Part_{n}" for n in range(PLACES)]
    problems, videos, sequences = (
        Busy(rng, [make_block(rng, key, kind, places) for _ in range(BLOCKS)], ACTIVE_BLOCKS)
        for kind in ("problem", "video", "sequential")
    )
    ids = f'"org_id": "{org}", "course_id": "{key}"'
    return Course(key, ids, spellings, problems, videos, sequences)


def make_deck(rng: random.Random, courses: Sequence[Course]) -> list[Slot]:
    """Return the 1,000 slots whose shares the module promises, in no useful order."""
    main, others = Busy(rng, courses[:1], 1), courses[1:]
    weighted = [
        course
        for course, (_, weight) in zip(others, OTHER_COURSES, strict=True)
        for _ in range(weight)
    ]
    rest = Busy(rng, weighted, ACTIVE_COURSES)
    namespaced = Busy(rng, [course for course in weighted if ":" in course.key], 1)
    deck: list[Slot] = []
    for order, (kind, main_lines, other_lines) in enumerate(PLAN):
        known = "blank" if kind in BLANK_KINDS else "context"
        deck += [Slot(2 * order, kind, True, main, known) for _ in range(main_lines)]
        deck += [Slot(2 * order + 1, kind, False, rest, known) for _ in range(other_lines)]
    unmarked = list(deck)
    for kind, of_main, count, changes in MARKS:
        chosen = [slot for slot in unmarked if slot.kind == kind and slot.main is of_main][:count]
        if len(chosen) < count:
            raise ValueError(f"too few {kind} lines to change")
        for slot in chosen:
            unmarked.remove(slot)
            for name, value in changes.items():
                setattr(slot, name, value)
            if slot.spelling != RAW and not of_main:
                slot.courses = namespaced
    named = [slot for slot in deck if not slot.anonymous]
    for n in range(DECK_LINES // 10):
        named[n * len(named) // (DECK_LINES // 10)].escape = "ascii" if n % 10 == 3 else "accent"
    return deck


@functools.cache
def clock() -> list[str]:
    """Return HH:MM:SS of every second of a day."""
    return [
        f"{hour:02d}:{minute:02d}:{second:02d}"
        for hour in range(24)
        for minute in range(60)
        for second in range(60)
    ]


class Day:
    """One site on one day: a method for each kind of event returns a line as text.

    Key order follows the writers: browser and URL events, explicit server events, mobile events.
    """

    def __init__(self, seed: int, day: datetime.date, site: str) -> None:
        """Make the courses, the people and the deck."""
        self.host = HOSTS.get(site, f"{site}.learn.example")
        self.rng = random.Random(f"{seed}/{site}/{day.isoformat()}")
        self.random = self.rng.random
        self.day = day
        self.date = day.isoformat()
        self.clock = clock()
        # Courses are the same on all sites and days, people on all days of a site.
        course_rng = random.Random(f"{seed}/courses")
        courses = [make_course(course_rng, key) for key in (MAIN, *dict(OTHER_COURSES))]
        self.deck = make_deck(self.rng, courses)
        casts = make_people(random.Random(f"{seed}/{site}"), site)
        for person in itertools.chain(*casts):
            person.session = hex_id(self.rng)  # learners log in anew each day
        # What the line being written is about; `lines` sets them.
        self.slot, self.course, self.who = self.deck[0], courses[0], casts[0][0]
        self.people = Busy(self.rng, casts[0], ACTIVE_PEOPLE)
        self.accented = Busy(self.rng, casts[1], 2)
        self.visitors = Busy(self.rng, casts[2], 2)
        self.writers: dict[str, Callable[[], str]] = {
            kind: getattr(self, kind) for kind, _, _ in PLAN
        }

    def lines(self) -> Iterator[str]:
        """Yield lines without end, one shuffled deck after the other.

        Within a deck equal kinds come in short runs, as one learner's clicks do.
        """
        while True:
            self.rng.shuffle(self.deck)
            self.deck.sort(key=operator.attrgetter("order"))
            runs = [self.deck[n : n + RUN_LINES] for n in range(0, DECK_LINES, RUN_LINES)]
            self.rng.shuffle(runs)
            for slot in itertools.chain.from_iterable(runs):
                self.slot, self.course = slot, slot.courses.draw()
                if slot.anonymous:
                    cast = self.visitors
                elif slot.escape == "accent" and slot.kind not in TEXT_KINDS:
                    cast = self.accented
                else:
                    cast = self.people
                self.who = cast.draw()
                line = self.writers[slot.kind]()
                if slot.escape == "ascii":
                    for character in "+<>&":
                        line = line.replace(character, f"\\u{ord(character):04x}")
                yield line

    def time(self) -> str:
        """Return an instant of the day, as the platform writes it."""
        second, micro = int(self.random() * 86_400), int(self.random() * 1_000_000)
        return f"{self.date}T{self.clock[second]}.{micro:06d}+00:00"

    def answer(self) -> str:
        """Return what a learner types into a numerical input."""
        return str(int(self.random() * 900) / 4)

    def context(self, path: str, referer: str, more: str = "") -> str:
        """Return the context member, with the copies of 2014, or nothing if the slot has none."""
        if self.slot.known == "absent":
            return ""
        who = self.who
        ids = self.course.ids if self.slot.known == "context" else '"org_id": "", "course_id": ""'
        return (
            f'"context": {{"username": "{who.name}", "course_user_tags": {{'
            '"xblock.partition_service.partition_1830051": "group_control"}, '
            f'{more}"user_id": {who.id}, "ip": "{who.ip}", {ids}, "agent": "{who.agent}", '
            f'"host": "{self.host}", "session": "{who.session}", "referer": "{referer}", '
            f'"accept_language": "{who.language}", "path": "{path}"}}, '
        )

    def page(self, place: str) -> str:
        """Return the URL of a course page, its key spelled as the slot says."""
        spelling = self.course.spellings[self.slot.spelling]
        return f"https://{self.host}/courses/{spelling}/{place}/"

    def browser(self, event_type: str, payload: str, place: str, name: str = "") -> str:
        """Return a browser event; `payload` is JSON text of a string."""
        page = self.page(place)
        named = f'"name": "{name}", ' if name else ""
        return (
            f'{{"username": "{self.who.name}", {named}"event_type": "{event_type}", '
            f'"ip": "{self.who.ip}", "agent": "{self.who.agent}", "host": "{self.host}", '
            f'"session": "{self.who.session}", "referer": "{page}", '
            f'"accept_language": "{self.who.language}", "event": {payload}, '
            f'"event_source": "browser", {self.context("/event", page)}'
            f'"time": "{self.time()}", "page": "{page}"}}'
        )

    def server(
        self, event_type: str, payload: str, path: str, referer: str, block: Block | None = None
    ) -> str:
        """Return an explicit server event; `payload` is JSON text of an object."""
        page = '"x_module"' if block else "null"
        module = self.module(block) if block else ""
        return (
            f'{{"username": "{self.who.name}", "event_source": "server", "name": "{event_type}", '
            f'"accept_language": "{self.who.language}", "time": "{self.time()}", '
            f'"agent": "{self.who.agent}", "page": {page}, "host": "{self.host}", "session": "", '
            f'"referer": "{referer}", {self.context(path, referer, module)}'
            f'"ip": "{self.who.ip}", "event": {payload}, "event_type": "{event_type}"}}'
        )

    def implicit(self, path: str, request: str, referer: str) -> str:
        """Return a URL event; `request` is the escaped JSON of its GET and POST."""
        return (
            f'{{"username": "{self.who.name}", "event_type": "{path}", "ip": "{self.who.ip}", '
            f'"agent": "{self.who.agent}", "host": "{self.host}", "session": "{self.who.session}", '
            f'"referer": "{referer}", "accept_language": "{self.who.language}", '
            f'"event": "{request}", "event_source": "server", '
            f'{self.context(path, referer)}"time": "{self.time()}", "page": null}}'
        )

    def handler_path(self, block: Block, handler: str) -> str:
        """Return the path by which a page asks a block to do something."""
        spelling = self.course.spellings[self.slot.spelling]
        return f"/courses/{spelling}/xblock/{block.handler_key}/handler/xmodule_handler/{handler}"

    def module(self, block: Block) -> str:
        """Return the module member of a server event's context."""
        title = block.accented if self.slot.escape == "accent" else block.title
        return f'"module": {{"display_name": "{title}", "usage_key": "{block.usage_key}"}}, '

    def sentence(self, words: int, escape: str) -> str:
        """Return words at random, one of them with an accent if asked."""
        text = self.rng.choices(WORDS, k=words)
        if escape == "accent":
            text[words // 2] = self.rng.choice(ACCENTS)
        return " ".join(text)

    def check_server(self) -> str:
        """Return problem_check as the server grades it."""
        block = self.course.problems.draw()
        check = block.checks[int(self.random() * 3)].replace("@A@", self.answer())
        check = check.replace("@N@", str(1 + int(self.random() * 4)))
        path = self.handler_path(block, "problem_check")
        referer = self.page(block.place)
        return self.server("problem_check", check, path, referer, block)

    def check_browser(self) -> str:
        """Return problem_check as the browser sends it: a form, bare or as JSON text."""
        block = self.course.problems.draw()
        name = f"input_{block.part}"
        form = (
            f"{name}_2_1=choice_{int(self.random() * 4)}&{name}_3_1={self.answer()}+m%2Fs"
            f"&{name}_4_1%5B%5D=choice_0&{name}_4_1%5B%5D=choice_2"
        )
        payload = f'"{form}"' if self.random() < 0.5 else f'"\\"{form}\\""'
        return self.browser("problem_check", payload, block.place)

    def graded(self) -> str:
        """Return problem_graded: an array of the answers and the page that came back."""
        block = self.course.problems.draw()
        payload = block.graded.replace("@A@", self.answer())
        return self.browser("problem_graded", payload, block.place)

    def video(self) -> str:
        """Return what a learner does to a video."""
        block = self.course.videos.draw()
        start = f'"{{\\"id\\": \\"{block.part}\\", \\"code\\": \\"{block.part[-11:]}\\"'
        at = f"{self.random() * 600:.3f}"
        chance = self.random()
        if chance < 0.35:
            kind, rest = "play_video", f', \\"currentTime\\": {at}}}"'
        elif chance < 0.65:
            kind, rest = "pause_video", f', \\"currentTime\\": {at}}}"'
        elif chance < 0.85:
            kind, rest = "load_video", '}"'
        elif chance < 0.95:
            kind = "seek_video"
            rest = f', \\"old_time\\": {at}, \\"new_time\\": 0, \\"type\\": \\"onSlideSeek\\"}}"'
        else:
            kind, rest = "stop_video", f', \\"currentTime\\": {at}}}"'
        return self.browser(kind, start + rest, block.place)

    def sequence(self) -> str:
        """Return a step inside a sequence, half of them under the modern names."""
        block = self.course.sequences.draw()
        old = 1 + int(self.random() * 8)
        kind, name, new = (
            ("seq_next", "edx.ui.lms.sequence.next_selected", old + 1)
            if self.random() < 0.7
            else ("seq_goto", "edx.ui.lms.sequence.tab_selected", 1 + int(self.random() * 8))
        )
        start = f'"{{\\"old\\": {old}, \\"new\\": {new}, \\"id\\": \\"{block.usage_key}\\"'
        if self.random() < 0.5:
            return self.browser(kind, start + '}"', block.place)
        rest = (
            f', \\"current_tab\\": {old}, \\"tab_count\\": 9, \\"widget_placement\\": \\"top\\"}}"'
        )
        return self.browser(kind, start + rest, block.place, name)

    def page_close(self) -> str:
        """Return page_close, whose payload is empty."""
        place = self.course.sequences.draw().place
        return self.browser("page_close", '""', place)

    def book(self) -> str:
        """Return a page turned in a PDF textbook."""
        old = 1 + int(self.random() * 200)
        payload = (
            f'"{{\\"type\\": \\"gotopage\\", \\"old\\": {old}, \\"new\\": {old + 1}, '
            '\\"chapter\\": \\"/static/Unit_1.pdf\\", \\"name\\": \\"textbook.pdf.page.loaded\\"}"'
        )
        return self.browser("book", payload, "pdfbook/0")

    def handler(self) -> str:
        """Return the request of a block's own code."""
        problem, chance = self.course.problems.draw(), self.random()
        block, name, request = problem, "problem_get", NO_REQUEST
        if chance < 0.25:
            name = "problem_check"
            request = (
                f'{{\\"POST\\": {{\\"input_{problem.part}_2_1\\": [\\"choice_1\\"], '
                f'\\"input_{problem.part}_3_1\\": [\\"{self.answer()}\\"]}}, \\"GET\\": {{}}}}'
            )
        elif chance < 0.5:
            block, name = self.course.videos.draw(), "save_user_state"
            place = self.clock[int(self.random() * 3_600)]
            request = (
                f'{{\\"POST\\": {{\\"saved_video_position\\": [\\"{place}\\"]}}, \\"GET\\": {{}}}}'
            )
        elif chance < 0.7:
            block, name = self.course.sequences.draw(), "goto_position"
            tab = 1 + int(self.random() * 9)
            request = f'{{\\"POST\\": {{\\"position\\": [\\"{tab}\\"]}}, \\"GET\\": {{}}}}'
        path = self.handler_path(block, name)
        referer = self.page(block.place)
        return self.implicit(path, request, referer)

    def course_page(self) -> str:
        """Return the request of a course page."""
        start, chance = f"/courses/{self.course.spellings[self.slot.spelling]}", self.random()
        request = NO_REQUEST
        if chance < 0.4:
            path = f"{start}/{self.course.sequences.draw().place}/"
        elif chance < 0.6:
            path = f"{start}/discussion/forum"
            request = (
                '{\\"POST\\": {}, \\"GET\\": {\\"ajax\\": [\\"1\\"], \\"sort_key\\": [\\"date\\"]}}'
            )
        else:
            path = f"{start}/{('info', 'progress', 'about', 'wiki/')[int(chance * 20) % 4]}"
        referer = f"https://{self.host}{start}/info"
        return self.implicit(path, request, referer)

    def change_enrollment(self) -> str:
        """Return the request to enrol: only its payload names the course."""
        request = (
            f'{{\\"POST\\": {{\\"course_id\\": [\\"{self.course.key}\\"], '
            '\\"enrollment_action\\": [\\"enroll\\"]}, \\"GET\\": {}}'
        )
        referer = f"https://{self.host}/dashboard"
        return self.implicit("/change_enrollment", request, referer)

    def site_page(self) -> str:
        """Return the request of a page that is no course's."""
        paths = ("/dashboard", "/search/course_discovery/", "/jsi18n/", "/courses", "/logout")
        path = paths[int(self.random() * len(paths))]
        referer = f"https://{self.host}/"
        return self.implicit(path, NO_REQUEST, referer)

    def show_answer(self) -> str:
        """Return the server's note that an answer was shown."""
        block = self.course.problems.draw()
        payload = f'{{"problem_id": "{block.usage_key}"}}'
        path = self.handler_path(block, "problem_show")
        return self.server("showanswer", payload, path, self.page(block.place), block)

    def enrollment(self) -> str:
        """Return an enrolment: the request has no course, the payload does."""
        word = "activated" if self.random() < 0.8 else "deactivated"
        mode = "honor" if self.random() < 0.8 else "verified"
        payload = (
            f'{{"course_id": "{self.course.key}", "user_id": {self.who.id}, "mode": "{mode}"}}'
        )
        referer = f"https://{self.host}/courses/{self.course.key}/about"
        kind = f"edx.course.enrollment.{word}"
        return self.server(kind, payload, "/change_enrollment", referer)

    def certificate(self) -> str:
        """Return a certificate as it is made: only its payload names the course."""
        uuid = hex_id(self.rng)
        name = "Ren\\u00e9e Roy" if self.slot.escape == "accent" else "Jo Roy"
        payload = (
            f'{{"course_id": "{self.course.key}", "user_id": {self.who.id}, '
            f'"enrollment_mode": "honor", "certificate_id": "{uuid}", "name": "{name}", '
            f'"generation_mode": "batch", "certificate_url": "https://{self.host}/certificates/{uuid}"}}'
        )
        return self.server("edx.certificate.created", payload, "", "")

    def forum(self) -> str:
        """Return a post in the forum."""
        kind = ("thread", "response", "comment")[int(self.random() * 3)]
        post, topic = hex_id(self.rng)[:24], self.course.sequences.draw().part[-32:]
        start = f"/courses/{self.course.spellings[self.slot.spelling]}/discussion"
        path, url = f"{start}/{topic}/threads/create", f"https://{self.host}{start}/forum/"
        body = self.sentence(10 + int(self.random() * 50), self.slot.escape)
        title = f'"title": "{self.sentence(5, "")}", "thread_type": "discussion", '
        payload = (
            f'{{"body": "<p>{body}</p>", {title if kind == "thread" else ""}"truncated": false, '
            f'"commentable_id": "{topic}", "id": "{post}", "url": "{url}{topic}/threads/{post}", '
            '"category_name": "Week 1 / Questions & answers", "options": {"followed": false}, '
            '"user_forums_roles": ["Student"], "user_course_roles": []}'
        )
        return self.server(f"edx.forum.{kind}.created", payload, path, url)

    def mobile(self) -> str:
        """Return a video event of the app, received today, happened today or days ago."""
        kind, name = (
            ("play_video", "edx.video.played"),
            ("pause_video", "edx.video.paused"),
            ("load_video", "edx.video.loaded"),
        )[int(self.random() * 3)]
        second = int(self.random() * 86_400)
        chance = self.random()
        # Most lines are sent at once, some after a night, a few after a journey.
        longest = 300 if chance < 0.7 else 43_200 if chance < 0.95 else 6 * 86_400
        received = datetime.datetime.combine(self.day, datetime.time())
        received += datetime.timedelta(seconds=second, milliseconds=int(self.random() * 1_000))
        happened = received - datetime.timedelta(seconds=int(self.random() * longest))
        if chance < 0.35:
            happened = happened.replace(microsecond=0)
        block = self.course.videos.draw()
        android = self.random() < 0.6
        app, agent = (
            ("edx.mobileapp.android", "Dalvik/1.6.0 (Linux; U; Android 4.4.2; sdk Build/ICS)")
            if android
            else ("edx.mobileapp.iOS", "edX/1.0.1 (iPhone; iOS 8.0.2; Scale/2.00)")
        )
        library = "analytics-android" if android else "analytics-ios"
        width = (720, 768, 1080)[int(self.random() * 3)]
        client = (
            '{"network": {"wifi": true, "carrier": "Carrier", "cellular": false, "bluetooth": '
            'false}, "locale": "en-US", "app": {"name": "edX", "packageName": "org.edx.mobile", '
            '"version": "1.0.1", "build": "org.edx.mobile@29", "versionName": "1.0.1"}, '
            f'"library": {{"version": 203, "name": "{library}", "versionName": "2.0.3"}}, '
            f'"device": {{"model": "sdk", "type": "phone", "id": "{self.who.session[:16]}"}}, '
            f'"screen": {{"densityDpi": 320, "scaledDensity": 2, "width": {width}}}}}'
        )
        return (
            f'{{"username": "{self.who.name}", "event_source": "mobile", "name": "{name}", '
            f'"time": "{happened.isoformat()}+00:00", "agent": "{agent}", '
            f'"page": "{self.page(block.place)}", "host": "{self.host}", '
            f'"session": "", "context": {{"component": "videoplayer", '
            f'"received_at": "{received.isoformat()}+00:00", {self.course.ids}, '
            f'"user_id": {self.who.id}, "path": "/segmentio/event", '
            f'"application": {{"name": "{app}", "version": "1.0.1"}}, "client": {client}}}, '
            f'"ip": "", "event": "{{\\"code\\": \\"mobile\\", \\"id\\": \\"{block.part}\\", '
            f'\\"currentTime\\": {int(self.random() * 600)}}}", "event_type": "{kind}"}}'
        )


def mangle(rng: random.Random, line: bytes, previous: bytes) -> bytes:
    """Return one line (no LF) made malformed, in one of nine ways that logs show."""
    way = rng.randrange(9)
    if way == 0:
        return b"Oct  1 00:00:48 localhost " + line
    if way == 1:
        return line[: rng.randrange(1, len(line))]
    if way == 2:
        return b""
    if way == 3:
        return previous + line
    if way == 4:
        return line + b" -- log rotated"
    extra = (
        b'"nonInteraction": NaN',
        b'"label": "\\ud83d"',
        b'"label": "caf\xe9"',
        b'"username": "overwritten"',  # a duplicate: the line's own comes later and wins
    )[way - 5]
    return b"{" + extra + b", " + line[1:]


def lines(
    seed: int, day: datetime.date, site: str, megabytes: float, *, odd: float = 0.0
) -> Iterator[bytes]:
    """Yield the lines of one site and day, each with its LF.

    Args:
        seed: what everything random follows from.
        day: the date of the file; mobile events may have happened before.
        site: prod, edge or any other token; people differ by site, courses do not.
        megabytes: stop at this many million bytes, counted before lines are made odd.
        odd: share of lines to make malformed, 0 to 1.
    """
    rest = megabytes * 1_000_000
    # Odd lines draw from a generator of their own, so the others stay as they are.
    odd_rng = random.Random(f"{seed}/{site}/{day.isoformat()}/odd")
    previous = b""
    for text in Day(seed, day, site).lines():
        line = text.encode("ascii")
        rest -= len(line) + 1
        if odd and odd_rng.random() < odd:
            yield mangle(odd_rng, line, previous or line) + b"\n"
        else:
            yield line + b"\n"
        previous = line
        if rest <= 0:
            return


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """One file: its path, lines, bytes before compression and bytes on disk."""

    path: pathlib.Path
    lines: int
    expanded_bytes: int
    file_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One file to write."""

    path: pathlib.Path
    seed: int
    day: datetime.date
    site: str
    megabytes: float
    odd: float
    level: int  # of gzip; 0 writes plain text


def write(job: Job) -> Written:
    """Write one file, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    # wbits 31 is a gzip stream, whose header then has no time and no name.
    packer = zlib.compressobj(job.level, zlib.DEFLATED, 31) if job.level else None
    part = job.path.with_name(f".{job.path.name}.part")
    count = expanded = 0

    def flush(chunk: list[bytes]) -> int:
        data = b"".join(chunk)
        file.write(packer.compress(data) if packer else data)
        return len(data)

    with part.open("wb") as file:
        chunk: list[bytes] = []
        for line in lines(job.seed, job.day, job.site, job.megabytes, odd=job.odd):
            chunk.append(line)
            count += 1
            if len(chunk) == CHUNK_LINES:
                expanded += flush(chunk)
                chunk.clear()
        expanded += flush(chunk)
        if packer:
            file.write(packer.flush())
    part.replace(job.path)
    return Written(job.path, count, expanded, job.path.stat().st_size)


def main(argv: Sequence[str] | None = None) -> int:
    """Write one file a site and day, named as edX names them; return the exit status."""
    parser = argparse.ArgumentParser(description="Write seeded tracking logs, shaped like edX's.")
    parser.add_argument("out_dir", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--days", type=int, default=4)
    parser.add_argument("--start", type=datetime.date.fromisoformat, default="2014-10-01")
    parser.add_argument("--sites", default="prod,edge", help="separated by commas")
    parser.add_argument("--org", default="universityx", help="for the file names")
    parser.add_argument("--megabytes", type=float, default=100.0, help="expanded, per file")
    parser.add_argument("--odd", type=float, default=0.0, help="share of malformed lines")
    packing = parser.add_mutually_exclusive_group()
    packing.add_argument("--plain", dest="gzip", action="store_false")
    packing.add_argument("--gzip", dest="gzip", action="store_true", default=True)
    parser.add_argument("--level", type=int, choices=range(1, 10), default=6)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args(argv)

    arguments.out_dir.mkdir(parents=True, exist_ok=True)
    ending = ".log.gz" if arguments.gzip else ".log"
    jobs = []
    for site in arguments.sites.split(","):
        for offset in range(arguments.days):
            day = arguments.start + datetime.timedelta(days=offset)
            jobs.append(
                Job(
                    arguments.out_dir / f"{arguments.org.lower()}-{site}-events-{day}{ending}",
                    arguments.seed,
                    day,
                    site,
                    arguments.megabytes,
                    arguments.odd,
                    arguments.level if arguments.gzip else 0,
                )
            )
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs) as pool:
        for written in pool.map(write, jobs):
            ratio = written.expanded_bytes / written.file_bytes
            print(
                f"{written.path.name}: {written.lines} lines, {written.expanded_bytes} bytes, "
                f"{written.file_bytes} on disk, ratio {ratio:.1f}",
                file=sys.stderr,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
