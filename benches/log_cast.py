"""Whom and what the lines of `make_logs` are about: people, courses, and the deck of slots."""

from __future__ import annotations

import dataclasses
import json
import random
import urllib.parse
from collections.abc import Sequence
from typing import Generic, TypeVar

MAIN = "course-v1:UniversityX+CS101+2014_T1"
DECK_LINES = 1_000

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
    ("video", 40, 179),
    ("sequence", 19, 86),
    ("page_close", 9, 43),
    ("handler", 34, 144),
    ("course_page", 14, 68),
    ("change_enrollment", 2, 8),
    ("problem", 6, 25),
    ("graded", 4, 15),
    ("enrollment", 5, 25),
    ("forum", 7, 35),
    ("book", 3, 12),
    ("mobile", 8, 35),
    ("certificate", 2, 5),
    ("grades", 2, 8),
    ("completion", 2, 8),
    ("ora", 1, 4),
    ("rare", 2, 10),
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

# Kinds whose lines all come from a family of acts.
FAMILY_KINDS = frozenset({"grades", "completion", "ora", "rare"})
# Kinds whose requests are no course's, so context.course_id is always empty.
BLANK_KINDS = frozenset({"change_enrollment", "enrollment", "certificate", "site_page"})
PEOPLE, ACCENTED_PEOPLE, VISITORS = 6_000, 200, 400
BLOCKS, PLACES = 40, 15  # of each kind, in a course
# How many are in use at a time, and how often one gives way: these set how well a file compresses.
ACTIVE_PEOPLE, ACTIVE_BLOCKS, ACTIVE_COURSES, RENEWED = 5, 1, 2, 0.06

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
    org: str
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

    @property
    def is_plain(self) -> bool:
        """Whether any event of its kind will do."""
        is_known = self.known == "context" and self.spelling == RAW
        is_counted = self.main and self.kind == "check_browser"
        return is_known and not self.anonymous and self.escape != "accent" and not is_counted


class Busy(Generic[T]):
    """Draws from a few items that are in use; now and then one gives way to another.

    Without it each line would be about someone and something else, and compress far worse.
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


def usage_key(course_key: str, kind: str, name: str) -> str:
    """The key of a block: new-style if the course key has a namespace, else i4x."""
    namespace, colon, body = course_key.partition(":")
    if colon:
        prefix = "ccx-block-v1" if namespace == "ccx-v1" else "block-v1"
        return f"{prefix}:{body}+type@{kind}+block@{name}"
    org, number, _run = course_key.split("/")
    return f"i4x://{org}/{number}/{kind}/{name}"


def make_block(rng: random.Random, key: str, kind: str, places: Sequence[str]) -> Block:
    """Return a block of a course."""
    # Old courses name their blocks by hand, new ones by chance.
    name = (
        hex_id(rng)
        if ":" in key
        else f"{kind[0].upper()}{rng.randint(1, 12)}{kind[1]}{rng.randint(1, 30)}"
    )
    usage = usage_key(key, kind, name)
    part, handler = name, usage.replace("/", ";_")
    if ":" not in key:
        org, number, _run = key.split("/")
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
    return Course(key, org, ids, spellings, problems, videos, sequences)


def more_courses(count: int) -> list[str]:
    """Return the keys of that many further courses, two of three of them old."""
    return [
        f"FurtherX/F{number}x/2013_Fall"
        if number % 3 == 0
        else f"course-v1:FurtherX+F{number}+1T2015"
        for number in range(count)
    ]


def make_deck(rng: random.Random, courses: Sequence[Course]) -> list[Slot]:
    """Return the 1,000 slots whose shares the module promises, in no useful order."""
    main, others = Busy(rng, courses[:1], 1), courses[1:]
    weights = [*dict(OTHER_COURSES).values(), *[1] * (len(others) - len(OTHER_COURSES))]
    weighted = [
        course for course, weight in zip(others, weights, strict=True) for _ in range(weight)
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
    # Some lines of a family name nobody.
    named = [slot for slot in deck if not slot.anonymous and slot.kind not in FAMILY_KINDS]
    for n in range(DECK_LINES // 10):
        named[n * len(named) // (DECK_LINES // 10)].escape = "ascii" if n % 10 == 3 else "accent"
    return deck
