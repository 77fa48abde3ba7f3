"""The lines of events, as the platform writes them."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from typing import Any

from edxlogs.generator.course import Block, Course

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account, one address and one browser."""

    user_id: int
    username: str
    ip: str = "192.0.2.7"
    agent: str = "Mozilla/5.0 (X11; Linux x86_64; rv:40.0) Gecko/20100101 Firefox/40.0"


def at(moment: datetime.datetime) -> str:
    """A time as the platform writes it."""
    return moment.isoformat()


class Lines:
    """The lines of one person in one course, in one session of a browser or an app.

    Attributes:
        is_mobile: whether videos are watched in the app.
        is_nameless: whether lines contain only the username.
        ahead: how far the clock of the app is ahead.
        late: how long the app takes to send its events.
    """

    def __init__(self, course: Course, who: Person, session: str) -> None:
        self.course, self.who, self.session = course, who, session
        self.is_mobile = self.is_nameless = False
        self.ahead = datetime.timedelta()
        self.late = datetime.timedelta(seconds=1)

    def browser(self, now: datetime.datetime, kind: str, payload: Any) -> Line:
        """What a page of the course sends."""
        text = payload if isinstance(payload, str) else json.dumps(payload)
        page = f"https://{self.course.host}/courses/{self.course.key}/courseware/a/b/"
        return self._line(now, kind, "browser", text, "/event") | {"page": page}

    def server(
        self, now: datetime.datetime, kind: str, payload: Any, block: Block | None = None
    ) -> Line:
        """An explicit event of a request, about a block or not."""
        path = f"/courses/{self.course.key}/"
        line = self._line(now, kind, "server", payload, path) | {"name": kind, "page": None}
        if block:
            key = f"xblock/{block.key}/handler/xmodule_handler/go"
            module = {"display_name": block.title, "usage_key": block.key}
            line["context"] |= {"path": path + key, "module": module}
        return line

    def request(self, now: datetime.datetime, path: str, **post: list[str]) -> Line:
        """A request below the course."""
        whole = f"/courses/{self.course.key}/{path}"
        text = json.dumps({"POST": post, "GET": {}})
        return self._line(now, whole, "server", text, whole) | {"page": None}

    def app(self, now: datetime.datetime, kind: str, name: str, payload: Any) -> Line:
        """What the app sends some time after it happened. Its clock may be wrong."""
        line = self._line(now + self.ahead, kind, "mobile", json.dumps(payload), "/segmentio/event")
        received = now if self.ahead else now + self.late
        line["context"] |= {"received_at": at(received), "component": "videoplayer"}
        return line | {"name": name, "page": None, "session": "", "ip": ""}

    def worker(self, now: datetime.datetime, kind: str, payload: Any) -> Line:
        """An event that was not caused by a request."""
        line = self._line(now, kind, "server", payload, "")
        nobody = dict.fromkeys(("username", "ip", "agent", "session", "host"), "")
        return line | nobody | {"name": kind, "page": None}

    def _line(
        self, now: datetime.datetime, kind: str, source: str, payload: Any, path: str
    ) -> Line:
        course = {"course_id": self.course.key, "org_id": self.course.org, "path": path}
        user_id = None if self.is_nameless else self.who.user_id
        return {
            "username": self.who.username,
            "event_type": kind,
            "ip": self.who.ip,
            "agent": self.who.agent,
            "host": self.course.host,
            "session": self.session if source != "server" or kind.startswith("/") else "",
            "referer": "",
            "accept_language": "en",
            "event": payload,
            "event_source": source,
            "context": {**course, "user_id": user_id},
            "time": at(now),
        }
