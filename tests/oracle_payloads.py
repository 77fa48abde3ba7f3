"""Payloads of events, and single values of them: the part of the oracle that decodes.

It never imports edxlogs. Numbers keep the spelling that they have in the log, as it stands in JSON
text that is made of them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from oracle_course import strict_json_text


class Whole(int):
    """A whole number; `spelled` is how it stands in the log."""

    spelled: str

    def __new__(cls, spelled: str) -> Whole:
        made = super().__new__(cls, spelled)
        made.spelled = spelled
        return made


class Real(float):
    """A number with a fraction or an exponent, or too long for Python; `spelled` as it stands."""

    spelled: str

    def __new__(cls, spelled: str) -> Real:
        made = super().__new__(cls, spelled)
        made.spelled = spelled
        return made


def loads(text: str) -> Any:
    """The value of JSON text, with NaN as null; `...` if it is none."""
    strict = strict_json_text(text)
    if strict is None:
        return ...
    # Python converts no more digits than this.
    return json.loads(
        strict,
        parse_float=Real,
        parse_int=lambda digits: Whole(digits) if len(digits) < 4000 else Real(digits),
    )


class Form(dict[str, Any]):
    """A decoded form: text, or a list, by key."""


def form_of(text: str, flags: set[str]) -> Form:
    """A form: keys without their marks, percent-decoded."""

    def decoded(piece: str) -> str:
        raw = unquote_to_bytes(piece.replace("+", " "))
        try:
            return raw.decode()
        except UnicodeDecodeError:
            flags.add("bad_utf8")
            return raw.decode("utf-8", "replace")

    form = Form()
    for piece in text.split("&"):
        if not piece:
            continue
        key, _, value = piece.partition("=")
        name, told = decoded(key).removeprefix("input_"), decoded(value)
        if name.endswith("[]"):
            name = name.removesuffix("[]")
            there = form.setdefault(name, [])
            form[name] = [*(there if isinstance(there, list) else [there]), told]
            continue
        name = name.removesuffix("{}")
        if name in form:
            there = form[name]
            form[name] = [*(there if isinstance(there, list) else [there]), told]
        else:
            form[name] = told
    return form


def payload_of(raw: Any, flags: set[str]) -> Any:
    """The payload: an object, a list or a form; empty where there is none or it is broken."""
    value = raw
    for _ in range(2):
        if not isinstance(value, str):
            break
        inner = loads(value)
        if inner is ...:
            break
        value = inner
    if value is None or value == "":
        return {}
    if isinstance(value, dict | list):
        return value
    # Text that begins as JSON and is none was cut; no form begins so.
    if isinstance(value, str) and "=" in value and value.lstrip()[:1] not in {"{", "[", '"'}:
        return form_of(value, flags)
    flags.add("broken_payload")
    return {}


def at(value: Any, path: str) -> Any:
    """What stands at a path of keys, joined by dots; None if nothing does."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def first(decoder: Callable[[Any], Any], *values: Any) -> Any:
    """The first of some values that the decoder does not take for none."""
    return next((one for one in map(decoder, values) if one is not None), None)


_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)


def number(value: Any) -> float | int | None:
    """A finite number, or text that is wholly one."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        try:
            value = int(value)
        except ValueError:
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, int) or math.isfinite(value) else None


def boolean(value: Any) -> bool | None:
    """A truth value, as text too; 1 and 0."""
    known = {"true": True, "True": True, "false": False, "False": False}
    if isinstance(value, str):
        return known.get(value)
    return bool(value) if isinstance(value, int | float) and value in {0, 1} else None


def holds(value: Any) -> bool:
    """Whether there is a value, neither false nor an empty list."""
    return value is not None and value is not False and value != []


def compact(value: Any) -> str:
    """A value as JSON text without white space, with numbers as they are spelled."""
    if isinstance(value, dict):
        members = []
        for key, one in value.items():  # a frame a level: payloads are deep
            members.append(f"{compact(key)}:{compact(one)}")
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    if isinstance(value, Whole | Real):
        return value.spelled
    return json.dumps(value, ensure_ascii=False)


def text(value: Any) -> str | None:
    """Text bare, anything else as JSON text."""
    return value if value is None or isinstance(value, str) else compact(value)


def as_json(value: Any) -> str | None:
    """Any value but null as JSON text."""
    return None if value is None else compact(value)


def only_text(value: Any) -> str | None:
    """Text, and nothing else."""
    return value if isinstance(value, str) else None


def length(value: Any) -> int | None:
    """How many items a list has."""
    return len(value) if isinstance(value, list) else None


def not_empty(value: Any) -> bool | None:
    """Whether an object, a list or a text holds anything."""
    return bool(value) if isinstance(value, dict | list | str) else None


def keys(value: Any) -> str | None:
    """Text as it stands; of an object the names of its first 32 keys, of which none is a body."""
    if isinstance(value, str):
        return value
    named = list(value)[:32] if isinstance(value, dict) else []
    words = ("{}" if name[:1] in {"{", "["} else re.sub(r"\s", "_", name) for name in named)
    return " ".join(words) or None


def first_text(value: Any) -> str | None:
    """Text, or the first item of a list that is text."""
    items = value if isinstance(value, list) else [value]
    return next((one for one in items if isinstance(one, str)), None)
