"""What the families of events share: an act, and the scene that it is about."""

from __future__ import annotations

import datetime
import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from log_cast import Course, Person, usage_key

LAYOUTS = ("object", "text", "text in text")
WORDS = (
    "vector",
    "matrix",
    "lecture",
    "homework",
    "数学",
    "Łąka",
    "proof",
    "answer",
    "50 %",
    '"x"',
)


@dataclass(frozen=True, slots=True)
class Act:
    """One event without who, when and where.

    Attributes:
        event_type: as it stands in the line; the path of a request.
        payload: what `event` means; a text that is a form stays one.
        source: server, browser, mobile, task, or request (of a page, by the server).
        name: what stands in `name`, where that is another; "" for no such member.
        layout: how the payload is written: as it is, as JSON text, or as JSON text in JSON text.
        block: usage key of `context.module`, or "".
        context: more members of the context.
        fields: more members of the line.
        is_worker: written by a worker, which knows no name, address or session.
        cut: characters after which the text of the payload ends, or 0.
    """

    event_type: str
    payload: Any = field(default_factory=dict)
    source: str = "server"
    name: str | None = None
    layout: str = "object"
    block: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    is_worker: bool = False
    cut: int = 0

    def spelled(self) -> Any:
        """The payload as it stands in the line."""
        payload = self.payload
        for _ in range(LAYOUTS.index(self.layout)):
            payload = json.dumps(payload)
        return payload[: self.cut] if self.cut else payload


class Family(Protocol):
    """A family of events."""

    def __call__(self, scene: Scene) -> Iterator[Act]:
        """Each act of it once."""


@dataclass(slots=True)
class Scene:
    """What the next act is about."""

    rng: random.Random
    host: str
    day: datetime.date
    course: Course
    who: Person

    def below(self, count: int) -> int:
        """A number from 0 on."""
        return int(self.rng.random() * count)

    def key(self, kind: str, count: int = 4) -> str:
        """The key of one of a few blocks of the course."""
        number = self.below(count)
        digest = hashlib.md5(f"{self.course.key}{kind}{number}".encode(), usedforsecurity=False)
        is_old = ":" not in self.course.key
        return usage_key(
            self.course.key, kind, f"{kind}_{number}" if is_old else digest.hexdigest()
        )

    @property
    def username(self) -> str:
        """The name of who acts."""
        name: str = json.loads(f'"{self.who.name}"')
        return name

    @property
    def user_id(self) -> int | None:
        """The id of who acts; None for a visitor."""
        return int(self.who.id) if self.who.id.isdigit() else None

    def other_id(self) -> int:
        """The id of somebody else."""
        return 300_001 + self.below(100)

    def other_name(self) -> str:
        """The name of somebody else."""
        return f"learner{self.below(100)}"

    def hex24(self) -> str:
        """The id of a post."""
        return f"{self.below(200):024x}"

    def uuid(self) -> str:
        """The id of a certificate, a submission, a transaction."""
        number = str(self.below(200)).encode()
        digits = hashlib.md5(number, usedforsecurity=False).hexdigest()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def words(self, count: int) -> str:
        """What somebody wrote."""
        return " ".join(self.rng.choices(WORDS, k=count))

    def seconds(self) -> float:
        """A place in a video."""
        return round(self.rng.random() * 600, 3)

    def instant(self, blank: str = "T") -> str:
        """A time of the day before, with its zone."""
        moment = datetime.datetime.combine(self.day, datetime.time(), datetime.UTC)
        moment -= datetime.timedelta(seconds=self.below(86_400), microseconds=self.below(10**6))
        return moment.isoformat(blank)

    def page(self, place: str) -> str:
        """The URL of a page of the course."""
        return f"https://{self.host}/courses/{self.course.key}/{place}"
