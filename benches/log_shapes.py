"""The shapes of the lines that `make_logs` writes: a method for each kind of event."""

from __future__ import annotations

import datetime
import functools
import itertools
import operator
import random
from collections.abc import Callable, Iterator

from log_cast import (
    ACCENTS,
    ACTIVE_PEOPLE,
    DECK_LINES,
    MAIN,
    OTHER_COURSES,
    PLAN,
    Block,
    Busy,
    hex_id,
    make_course,
    make_deck,
    make_people,
)

RUN_LINES = 4  # of one kind, unless two kinds meet

# Kinds whose accents stand in a text; in the others they stand in the username.
TEXT_KINDS = frozenset({"check_server", "show_answer", "forum", "certificate"})

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
HOSTS = {"prod": "courses.learn.example", "edge": "edge.learn.example"}
NO_REQUEST = '{\\"POST\\": {}, \\"GET\\": {}}'


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

        Within a deck equal kinds come in short runs: these help a file to compress.
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
