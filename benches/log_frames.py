"""The frames of lines: what stands around a payload, as each writer of the platform puts it."""

from __future__ import annotations

import datetime
import functools
import json
import random
from typing import Any

from families import Act, Scene
from log_cast import Block, Course, Person, Slot

HOSTS = {"prod": "courses.learn.example", "edge": "edge.learn.example"}


@functools.cache
def clock() -> list[str]:
    """Return HH:MM:SS of every second of a day."""
    return [
        f"{hour:02d}:{minute:02d}:{second:02d}"
        for hour in range(24)
        for minute in range(60)
        for second in range(60)
    ]


class Frames:
    """One site on one day: a method for each writer returns a line as text.

    Key order follows the writers: browser and URL events, explicit server events, mobile events.

    Attributes:
        scene: the course and the person of the line being written.
        slot: what that line must be.
    """

    def __init__(self, rng: random.Random, scene: Scene, slot: Slot) -> None:
        """Begin with any scene and slot: both change from line to line."""
        self.rng, self.random = rng, rng.random
        self.scene, self.slot = scene, slot
        self.host, self.day, self.date = scene.host, scene.day, scene.day.isoformat()
        self.clock = clock()

    @property
    def course(self) -> Course:
        """The course of the line."""
        return self.scene.course

    @property
    def who(self) -> Person:
        """The person of the line."""
        return self.scene.who

    def time(self) -> str:
        """Return an instant of the day, as the platform writes it."""
        second, micro = int(self.random() * 86_400), int(self.random() * 1_000_000)
        return f"{self.date}T{self.clock[second]}.{micro:06d}+00:00"

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

    def browser(
        self, event_type: str, payload: str, place: str, name: str = "", more: str = ""
    ) -> str:
        """Return a browser event; `payload` is JSON text, most often of a string."""
        page = self.page(place)
        named = f'"name": "{name}", ' if name else ""
        return (
            f'{{"username": "{self.who.name}", {named}"event_type": "{event_type}", '
            f'"ip": "{self.who.ip}", "agent": "{self.who.agent}", "host": "{self.host}", '
            f'"session": "{self.who.session}", "referer": "{page}", '
            f'"accept_language": "{self.who.language}", "event": {payload}, '
            f'"event_source": "browser", {self.context("/event", page, more)}'
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

    def module(self, block: Block) -> str:
        """Return the module member of a server event's context."""
        title = block.accented if self.slot.escape == "accent" else block.title
        return f'"module": {{"display_name": "{title}", "usage_key": "{block.usage_key}"}}, '

    def app(self, kind: str, name: str, page: str, payload: str) -> str:
        """Return an event of the app, received today, happened today or days ago."""
        second = int(self.random() * 86_400)
        chance = self.random()
        # Most lines are sent at once, some after a night, a few after a journey.
        longest = 300 if chance < 0.7 else 43_200 if chance < 0.95 else 6 * 86_400
        received = datetime.datetime.combine(self.day, datetime.time())
        received += datetime.timedelta(seconds=second, milliseconds=int(self.random() * 1_000))
        happened = received - datetime.timedelta(seconds=int(self.random() * longest))
        if chance < 0.35:
            happened = happened.replace(microsecond=0)
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
            f'"page": "{page}", "host": "{self.host}", '
            f'"session": "", "context": {{"component": "videoplayer", '
            f'"received_at": "{received.isoformat()}+00:00", {self.course.ids}, '
            f'"user_id": {self.who.id}, "path": "/segmentio/event", '
            f'"application": {{"name": "{app}", "version": "1.0.1"}}, "client": {client}}}, '
            f'"ip": "", "event": {payload}, "event_type": "{kind}"}}'
        )

    def act(self, act: Act) -> str:
        """Return the line of an act."""
        payload = json.dumps(act.spelled())
        place = self.course.sequences.draw().place
        if act.source == "request":
            return self.implicit(act.event_type, payload[1:-1], self.page(place))
        if act.source == "browser":
            more = f"{json.dumps(dict(act.context))[1:-1]}, " if act.context else ""
            name = act.event_type if act.name is None else act.name
            return self.browser(act.event_type, payload, place, name, more)
        if act.source == "mobile":
            return self.app(act.event_type, act.name or "", self.page(place), payload)
        return json.dumps(self._of_server(act))

    def _of_server(self, act: Act) -> dict[str, Any]:
        """An explicit event: of a request, of a worker, which knows none, or of a task."""
        unknown = {"server": "", "task": "unknown"}[act.source]
        is_asked = act.source == "server" and not act.is_worker
        user_id = self.scene.user_id
        name = act.event_type if act.name is None else act.name
        context: dict[str, Any] = {"course_user_tags": {}, "user_id": user_id}
        context |= {"course_id": self.course.key, "org_id": self.course.org}
        context["path"] = f"/courses/{self.course.key}/" if is_asked else ""
        if act.block:
            context["module"] = {"display_name": "Checkpoint 3", "usage_key": act.block}
            if is_asked:
                key = act.block.replace("/", ";_")
                context["path"] += f"xblock/{key}/handler/xmodule_handler/go"
        return {
            "username": self.scene.username if is_asked else unknown,
            "event_source": act.source,
            "name": name,
            "time": self.time(),
            "agent": json.loads(f'"{self.who.agent}"') if is_asked else unknown,
            "page": "x_module" if act.block else None,
            "host": self.host if is_asked else unknown,
            "session": "",
            "context": context | dict(act.context),
            "ip": self.who.ip if is_asked else unknown,
            "event": act.spelled(),
            "event_type": act.event_type,
            **act.fields,
        }
