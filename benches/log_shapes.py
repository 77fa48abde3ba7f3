"""The shapes of the lines that `make_logs` writes: a method for each kind of event."""

from __future__ import annotations

import datetime
import itertools
import operator
import random
from collections.abc import Callable, Iterator

from families import FAMILIES, RARE, Scene, act_at
from log_cast import (
    ACCENTS,
    ACTIVE_PEOPLE,
    DECK_LINES,
    MAIN,
    OTHER_COURSES,
    PLAN,
    Block,
    Busy,
    Slot,
    hex_id,
    make_course,
    make_deck,
    make_people,
    more_courses,
)
from log_frames import HOSTS, Frames

RUN_LINES = 4  # of one kind, unless two kinds meet

# Kinds whose accents stand in a text; in the others they stand in the username.
TEXT_KINDS = frozenset({"check_server", "problem", "forum", "certificate"})

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
# Of lines that are free to be anything of their kind: the family and the share that its acts get.
ACTS = {
    "check_server": ("checks", 0.05),
    "check_browser": ("forms", 0.2),
    "video": ("video", 0.05),
    "sequence": ("navigation", 0.05),
    "handler": ("course_requests", 0.05),
    "course_page": ("course_requests", 0.1),
    "problem": ("problem", 0.3),
    "book": ("textbook", 0.3),
    "mobile": ("apps", 0.3),
    "forum": ("forum", 0.4),
    "site_page": ("site_requests", 0.5),
}
NO_REQUEST = '{\\"POST\\": {}, \\"GET\\": {}}'


class Day(Frames):
    """One site on one day: a method for each kind of event returns a line as text."""

    def __init__(self, seed: int, day: datetime.date, site: str, courses: int = 0) -> None:
        """Make the courses, `courses` more than there are names for, the people and the deck."""
        rng = random.Random(f"{seed}/{site}/{day.isoformat()}")
        # Courses are the same on all sites and days, people on all days of a site.
        course_rng = random.Random(f"{seed}/courses")
        keys = (MAIN, *dict(OTHER_COURSES), *more_courses(courses))
        made = [make_course(course_rng, key) for key in keys]
        deck = make_deck(rng, made)
        casts = make_people(random.Random(f"{seed}/{site}"), site)
        for person in itertools.chain(*casts):
            person.session = hex_id(rng)  # learners log in anew each day
        host = HOSTS.get(site, f"{site}.learn.example")
        super().__init__(rng, Scene(rng, host, day, made[0], casts[0][0]), deck[0])
        self.deck = deck
        self.people = Busy(rng, casts[0], ACTIVE_PEOPLE)
        self.accented = Busy(rng, casts[1], 2)
        self.visitors = Busy(rng, casts[2], 2)
        self.writers: dict[str, Callable[[], str]] = {
            kind: getattr(self, kind) for kind, _, _ in PLAN
        }
        self.turns = {name: self._in_turn(name) for name in FAMILIES}
        self.turns["rare"] = self._in_turn(*RARE)

    def lines(self) -> Iterator[str]:
        """Yield lines without end, one shuffled deck after the other.

        Within a deck equal kinds come in short runs: these help a file to compress.
        """
        while True:
            self.rng.shuffle(self.deck)
            self.deck.sort(key=operator.attrgetter("order"))
            runs = [self.deck[n : n + RUN_LINES] for n in range(0, DECK_LINES, RUN_LINES)]
            self.rng.shuffle(runs)
            for slot in itertools.chain.from_iterable(runs):
                yield self.line(slot)

    def line(self, slot: Slot) -> str:
        """Return a line of a slot."""
        self.slot, self.scene.course = slot, slot.courses.draw()
        if slot.anonymous:
            cast = self.visitors
        elif slot.escape == "accent" and slot.kind not in TEXT_KINDS:
            cast = self.accented
        else:
            cast = self.people
        self.scene.who = cast.draw()
        family, share = ACTS.get(slot.kind, ("", 0.0))
        if (slot.is_plain or slot.kind == "site_page") and self.random() < share:
            line = self.from_family(family)
        else:
            line = self.writers[slot.kind]()
        if slot.escape == "ascii":
            for character in "+<>&":
                line = line.replace(character, f"\\u{ord(character):04x}")
        return line

    def one_of_each(self) -> Iterator[str]:
        """Yield a line of every act of every family, of the courses of the deck."""
        slot = next(slot for slot in self.deck if slot.kind == "rare")
        for name, family in FAMILIES.items():
            for place in range(len(list(family(self.scene)))):
                self.slot, self.scene.course = slot, slot.courses.draw()
                self.scene.who = self.people.draw()
                yield self.act(act_at(name, place, self.scene))

    def from_family(self, turn: str) -> str:
        """Return the line of the act whose turn it is."""
        return self.act(act_at(*next(self.turns[turn]), self.scene))

    def _in_turn(self, *names: str) -> Iterator[tuple[str, int]]:
        """Yield acts of families without end: each once, at random, before any comes again."""
        acts = [
            (name, place)
            for name in names
            for place in range(len(list(FAMILIES[name](self.scene))))
        ]
        while True:
            self.rng.shuffle(acts)
            yield from acts

    def answer(self) -> str:
        """Return what a learner types into a numerical input."""
        return str(int(self.random() * 900) / 4)

    def handler_path(self, block: Block, handler: str) -> str:
        """Return the path by which a page asks a block to do something."""
        spelling = self.course.spellings[self.slot.spelling]
        return f"/courses/{spelling}/xblock/{block.handler_key}/handler/xmodule_handler/{handler}"

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

    def problem(self) -> str:
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
        """Return a video event of the app."""
        kind, name = (
            ("play_video", "edx.video.played"),
            ("pause_video", "edx.video.paused"),
            ("load_video", "edx.video.loaded"),
        )[int(self.random() * 3)]
        block = self.course.videos.draw()
        payload = (
            f'"{{\\"code\\": \\"mobile\\", \\"id\\": \\"{block.part}\\", '
            f'\\"currentTime\\": {int(self.random() * 600)}}}"'
        )
        return self.app(kind, name, self.page(block.place), payload)

    def grades(self) -> str:
        """Return a grade of a problem, a subsection or the course, as they come in turn."""
        return self.from_family("grades")

    def completion(self) -> str:
        """Return that a block was done."""
        return self.from_family("completion")

    def ora(self) -> str:
        """Return a step of an open response assessment."""
        return self.from_family("ora")

    def rare(self) -> str:
        """Return an event of one of the families that have no kind of their own."""
        return self.from_family("rare")
