"""An event on its way into a row of a table of events: a part of the oracle.

It never imports edxlogs. Whatever a table reads of an event, it reads by `Row`, which also gathers
flags; blocks and ids of inputs are read here, too.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import oracle
from oracle_payloads import Form, at, first, form_of, loads, number, payload_of, text

FLAGS = re.findall(
    r"\w+",
    "broken_payload cut512 bad_utf8 out_of_range naive_time name_disagrees possible_double no_block"
    " subject_by_name truncated seek_from_unknown many_settings worker",
)
BLOCK_TYPES = re.findall(
    r"\w+",
    "about annotatable chapter combinedopenended conditional course course_info discussion html"
    " imageannotation library_content lti openassessment peergrading poll_question problem"
    " randomize sequential split_test static_tab survey textannotation vertical video videoalpha"
    " videoannotation word_cloud",
)
HELPERS = ("_dynamath", "_comment", "_comment_value")


@dataclass
class Decoded:
    """What an event becomes.

    Attributes:
        table: its home.
        row: action, subject, flags, and the columns of the table.
        children: rows of tables of children, with the columns of their own.
    """

    table: str
    row: dict[str, Any]
    children: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def unflagged(value: Any) -> float | None:
    """A number as float64; too large ones are none."""
    found = number(value)
    try:
        return None if found is None else float(found)
    except OverflowError:
        return None


class Row:
    """One event on its way into a row: its columns, its payload, and the flags so far."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self.columns = oracle.row(event)
        self.flags: set[str] = set()
        # Read once more, so that numbers keep their spelling.
        text = getattr(event, "text", None) or json.dumps(event, ensure_ascii=False)
        self.event: dict[str, Any] = loads(text)
        self.payload = payload_of(self.event.get("event"), self.flags)
        context = self.event.get("context")
        context = loads(context) if isinstance(context, str) else context
        self.context = context if isinstance(context, dict) else {}
        self.spelling = ""
        self.action = ""

    def of(self, decoder: Callable[[Any], Any], *paths: str) -> Any:
        """The first value of the payload, at these paths, that the decoder reads."""
        return first(decoder, *(at(self.payload, path) for path in paths))

    def of_context(self, decoder: Callable[[Any], Any], *paths: str) -> Any:
        """As `of`, in the context."""
        return first(decoder, *(at(self.context, path) for path in paths))

    def within(self, low: float, high: float) -> Callable[[Any], float | None]:
        """A decoder of float64 that takes what is outside for none, and flags it."""

        def decode(value: Any) -> float | None:
            found = number(value)
            if found is not None and not low <= found <= high:
                self.flags.add("out_of_range")
                return None
            try:
                return None if found is None else float(found)
            except OverflowError:
                self.flags.add("out_of_range")
                return None

        return decode

    @property
    def real(self) -> Callable[[Any], float | None]:
        return self.within(-math.inf, math.inf)

    def whole(self, low: int = -(2**63)) -> Callable[[Any], int | None]:
        """A decoder of int64."""

        def decode(value: Any) -> int | None:
            found = number(value)
            if found is None:
                return None
            if found != int(found) or not low <= found < 2**63:
                self.flags.add("out_of_range")
                return None
            return int(found)

        return decode

    def instant(self, value: Any) -> int | None:
        """A time as microseconds, from RFC 3339 or as Python shows it, in quotes or not."""
        written = value.strip().strip("\"'").strip() if isinstance(value, str) else ""
        if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:", written, re.ASCII):
            return None
        time = oracle.microseconds(written)
        if time is not None and not re.search(r"(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)$", written, re.I):
            self.flags.add("naive_time")
        return time

    def block(self, *paths: str, form: bool = False, required: bool = True) -> dict[str, Any]:
        """The four columns of a block, from the payload, its form, the context or an address.

        Args:
            paths: in the payload; in the context where they begin so.
            form: whether the first input of a form stands for the block.
            required: whether it is flagged if there is none.
        """
        whole = {"context": self.context}
        found = None
        for path in paths:
            is_there = path.startswith("context.")
            value = text(at(whole if is_there else self.payload, path))
            found = found or ((path, value) if value else None)
        if found is None and form and (inputs := list(inputs_of(self.form()))):
            found = ("input_id", problem_of(inputs[0]))
        if found is None and (key := self.of_context(text, "module.usage_key")):
            found = ("context.module.usage_key", key)
        if found is None:
            for path, value in (
                ("context.path", self.columns["path"]),
                ("event_type", self.columns["event_type"]),
            ):
                if found is None and (key := usage_key_in(value or "")):
                    found = (path, key)
        block_key = joined_keys(of_owner(found[1])[1])[0] if found else None
        block_type, block_id, is_guess = block_of(block_key or "", self.columns["course_id"])
        if is_guess or (required and block_id is None):
            self.flags.add("no_block")
        return {
            "block_key": block_key,
            "block_type": block_type,
            "block_id": block_id,
            "block_from": found[0] if found else None,
        }

    def form(self) -> Form:
        """The form of a browser's event."""
        value = self.payload
        if isinstance(value, list):
            value = value[0] if value and isinstance(value[0], str) else ""
        elif isinstance(value, dict) and not isinstance(value, Form):
            value = value.get("answers")
        if isinstance(value, Form):
            return value
        return form_of(value, self.flags) if isinstance(value, str) and "=" in value else Form()

    def done(
        self, own: dict[str, Any], user_id: Any = None, username: Any = None
    ) -> dict[str, Any]:
        """The row with what every table has."""
        if user_id is None and username is not None:
            self.flags.add("subject_by_name")
        who = [self.columns[name] for name in ("username", "ip", "session")]
        if self.columns["event_source"] == "server" and not any(who):
            self.flags.add("worker")
        return {
            "action": self.action or None,
            "subject_user_id": user_id,
            "subject_username": username,
            "flags": " ".join(flag for flag in FLAGS if flag in self.flags) or None,
            **own,
        }

    def is_between(self, since: str, until: str) -> bool:
        """Whether it happened in these days, the last one not among them."""
        time = self.columns["time"]
        return time is not None and (
            (oracle.microseconds(f"{since}T00:00:00") or 0)
            <= time
            < (oracle.microseconds(f"{until}T00:00:00") or 0)
        )


_USAGE = re.compile(r"(?:ccx-)?block-v1:.+?\+type@([^+@]+)\+block@(.+)", re.DOTALL)
_SLASHES = re.compile(r"i4x://[^/]+/[^/]+/([^/]+)/([^/@]+)(?:@.*)?", re.DOTALL)


def of_owner(key: str) -> tuple[str | None, str]:
    """The username before the comma, and the key after it, of a bookmark's id."""
    owned = re.fullmatch(r"([^,]*),((?:ccx-)?block-v1:.*|i4x:.*)", key.strip(), re.DOTALL)
    return (owned[1] or None, owned[2]) if owned else (None, key)


def joined_keys(key: str) -> list[str]:
    """Keys of blocks that `/` joins: one or two."""
    return re.split(r"/(?=(?:ccx-)?block-v1:|i4x:)", key.strip(), maxsplit=1)


def block_of(key: str, course_id: str | None) -> tuple[str | None, str | None, bool]:
    """Type and id of a block in any of the forms of its key, and whether that is a guess."""
    key = re.split(r"[\n\r]", key.strip())[0].strip()
    if "%" in key:
        key = unquote(key)
    if key.startswith("i4x:;_"):
        key = key.replace(";_", "/")
    for form in (_USAGE, _SLASHES):
        if found := form.fullmatch(key):
            return found[1], found[2], False
    if not key.startswith("i4x-"):
        return None, key or None, False
    parts = re.split(r"[/+]", (course_id or "").partition(":")[2] or course_id or "")
    if len(parts) > 2:
        prefix = "i4x-" + "".join(re.sub(r"[^\w-]", "_", part) + "-" for part in parts[:2])
        if key.startswith(prefix):
            block_type, _, block_id = key.removeprefix(prefix).partition("-")
            return block_type or None, block_id or None, False
    words = key.split("-")
    named = [at for at, word in enumerate(words[1:-1], 1) if word in BLOCK_TYPES]
    if not named:
        return None, None, True
    return words[named[0]], "-".join(words[named[0] + 1 :]), len(named) > 1


def usage_key_in(address: str) -> str | None:
    """The first key of a block in an address, as it stands there."""
    for written in (address, unquote(address)):
        for form in (
            r"(?:ccx-)?block-v1:[^/?#]+?\+type@[^/?#+@]+\+block@[^/?#]+",
            r"i4x:;_;_[^/?#]+",
            r"i4x://[^/?#]+/[^/?#]+/[^/?#]+/[^/?#]+",
        ):
            if found := re.search(form, written):
                return found[0]
    return None


def inputs_of(value: Any) -> list[str]:
    """The keys of an object that are inputs, and no helpers of one."""
    return [key for key in value if not key.endswith(HELPERS)] if isinstance(value, dict) else []


INPUT_ID = re.compile(r"(.+)_([0-9]+)_([0-9]+)", re.DOTALL | re.ASCII)


def problem_of(input_id: str) -> str:
    """What an input's id begins with."""
    found = INPUT_ID.fullmatch(input_id)
    return found[1] if found else input_id


def input_columns(key: str) -> dict[str, Any]:
    """The columns of an input's id."""
    numbers = INPUT_ID.fullmatch(key)
    part, place = (int(numbers[2]), int(numbers[3])) if numbers else (None, None)
    return {
        "input_id": key,
        "part": part if part is None or part < 2**63 else None,
        "input": place if place is None or place < 2**63 else None,
    }
