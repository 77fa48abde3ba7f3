"""Finds the course of an event from the keys in all places that may name it.

The places are tried in order: the platform's own field, a top-level field, the payload, a usage
key, a URL, the request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

PAYLOAD_COURSE_FIELDS = ("course_id", "course_key", "context_key", "course")
PAYLOAD_USAGE_FIELDS = (
    "problem_id",
    "module_id",
    "usage_key",
    "block_id",
    "item_id",
    "component_usage_id",
    "id",
    "problem",
    "location",
)
REQUEST_FIELDS = ("course_id", "course_key")

SPACES = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""Unicode's white space. Python's own `str.strip` removes U+001C to U+001F as well."""

_USAGE_NAMESPACES = ("block-v1", "ccx-block-v1")
_COURSE_OF = {
    "course-v1": "course-v1",
    "block-v1": "course-v1",
    "asset-v1": "course-v1",
    "ccx-v1": "ccx-v1",
    "ccx-block-v1": "ccx-v1",
}
_NAMESPACED = re.compile(r"(course-v1|ccx-v1|block-v1|ccx-block-v1|asset-v1):")
_OTHER_SPACE = re.compile(f"[{SPACES.replace(' ', '')}]")
_BODY_END = re.compile(r"""[/?#&"'()\[\]{}<>\\,;|]""")
_CCX = re.compile(r"ccx@[0-9]+")
_TAIL_STARTS = ("type@", "branch@", "version@")
_SCHEME_AND_HOST = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
_COURSES = re.compile(r"/courses/(?!v[0-9]+/)")


class Decision(NamedTuple):
    """A course and the rule that found it; both are None if there is none."""

    course_id: str | None
    course_source: str | None


NO_COURSE = Decision(None, None)


def course(
    event: Mapping[str, Any], context: Mapping[str, Any], payload: Mapping[str, Any]
) -> Decision:
    """The course of an event, from every place that may name it except the referer.

    Args:
        event: the decoded event.
        context: its context as an object; empty if it is not an object.
        payload: its payload, likewise.
    """
    for source, places in _steps(event, context, payload):
        for place in places:
            if (key := place()) is not None:
                return Decision(key, source)
    return NO_COURSE


def course_from_context_only(context: Mapping[str, Any]) -> Decision:
    """The course according to the platform's own attribution alone, `context.course_id`."""
    key = key_from_field(context.get("course_id"))
    return Decision(key, "context") if key is not None else NO_COURSE


def organisation(course_id: str) -> str:
    """The first part of a course or library key, in its own case."""
    _, colon, body = course_id.partition(":")
    return body.split("+")[0] if colon else course_id.split("/")[0]


def _steps(
    event: Mapping[str, Any], context: Mapping[str, Any], payload: Mapping[str, Any]
) -> Iterator[tuple[str, list[Callable[[], str | None]]]]:
    yield "context", [lambda: key_from_field(context.get("course_id"))]
    yield "top", [lambda: key_from_field(event.get("course_id"))]
    yield "payload", [_later(key_from_field, payload.get(name)) for name in PAYLOAD_COURSE_FIELDS]
    module = context.get("module")
    usage_keys = [module.get("usage_key") if isinstance(module, dict) else None]
    usage_keys += [payload.get(name) for name in PAYLOAD_USAGE_FIELDS]
    yield "usage_key", [_later(key_from_usage_key, value) for value in usage_keys]
    urls = [
        value
        for value in (event.get("event_type"), event.get("name"))
        if isinstance(value, str) and value.startswith("/")
    ]
    page = event["page"] if "page" in event else context.get("page")
    urls += [value for value in (context.get("path"), page) if isinstance(value, str)]
    yield "url", [_later(key_from_url, value) for value in urls]
    requests = [payload.get("POST"), payload.get("GET")]
    values = [
        request.get(name)
        for request in requests
        if isinstance(request, dict)
        for name in REQUEST_FIELDS
    ]
    yield "request", [_later(_key_from_request, value) for value in values]


def _later(read: Callable[[Any], str | None], value: object) -> Callable[[], str | None]:
    return lambda: read(value)


def key_from_field(value: object, *, libraries: bool = True) -> str | None:
    """The course key in the text of a field, decoded at most twice."""
    for text in _decodings(value):
        key = _namespaced_key(text, libraries=libraries) or _slash_key(text)
        if key is not None:
            return key
    return None


def key_from_usage_key(value: object) -> str | None:
    """The course of a new-style usage key. An old-style one does not name the run."""
    for text in _decodings(value):
        if text.partition(":")[0] in _USAGE_NAMESPACES:
            key = _namespaced_key(text, libraries=False)
            if key is not None:
                return key
    return None


def _key_from_request(value: object) -> str | None:
    if isinstance(value, list):
        value = value[0] if value else None
    return key_from_field(value, libraries=False)


def _decodings(value: object) -> list[str]:
    if not isinstance(value, str):
        return []
    text = value.strip(SPACES)
    texts = [text]
    for _ in range(2):
        texts.append(unquote(texts[-1]))
    return texts


def _is_part(part: str, also: str) -> bool:
    return part != "" and all(char.isalnum() or char in also for char in part)


def _is_new_part(part: str) -> bool:
    return _is_part(part, "_-~.:")


def _is_slash_part(part: str) -> bool:
    return _is_part(part, "_.-%")


def _slash_key(text: str) -> str | None:
    parts = text.split("/")
    return text if len(parts) == 3 and all(map(_is_slash_part, parts)) else None


def _namespaced_key(text: str, *, libraries: bool) -> str | None:
    namespace, colon, body = text.partition(":")
    if not colon:
        return None
    if namespace == "library-v1" and libraries:
        parts = body.split("+")
        whole = len(parts) == 2 or parts[2].startswith(_TAIL_STARTS)
        legal = len(parts) >= 2 and all(map(_is_new_part, parts[:2]))
        return f"library-v1:{parts[0]}+{parts[1]}" if legal and whole else None
    if namespace not in _COURSE_OF:
        return None
    if namespace.endswith("block-v1") or namespace == "asset-v1":
        tail = body.split("+")[3:]
        if not any(part.startswith("type@") for part in tail):
            return None
    return _course_of_body(namespace, body)


def _course_of_body(namespace: str, body: str) -> str | None:
    """The course in the text of a key after the namespace. All three parts must be valid."""
    if namespace == "course-v1" and "+" not in body:
        body = body.replace(" ", "+")
    course_parts, tail = body.split("+")[:3], body.split("+")[3:]
    if len(course_parts) < 3 or not all(map(_is_new_part, course_parts)):
        return None
    key = f"{_COURSE_OF[namespace]}:{'+'.join(course_parts)}"
    if namespace.startswith("ccx"):
        if not tail or not _CCX.fullmatch(tail[0]):
            return None
        key += "+" + tail.pop(0)
    return key if not tail or tail[0].startswith(_TAIL_STARTS) else None


def key_from_url(value: str) -> str | None:
    """The course in a URL, or in the path of one."""
    url = value.strip(SPACES)
    if url.lower().startswith("data:"):
        return None
    location, _, query = url.partition("#")[0].partition("?")
    path = _SCHEME_AND_HOST.sub("", location, count=1) if "://" in location else location
    for text in (path, unquote(path), unquote(unquote(path))):
        if (key := _first_namespaced(text)) is not None:
            return key
    if (key := _slash_key_in_path(path)) is not None:
        return key
    for parameter in query.split("&"):
        name, _, text = parameter.partition("=")
        key = key_from_field(text, libraries=False) if name in REQUEST_FIELDS else None
        if key is not None:
            return key
    return None


def _first_namespaced(path: str) -> str | None:
    for match in _NAMESPACED.finditer(path):
        before = path[: match.start()][-1:]
        if before == "-" or before == "_" or before.isalnum():
            continue
        body = _BODY_END.split(path[match.end() :], maxsplit=1)[0]
        body = _OTHER_SPACE.split(body, maxsplit=1)[0]
        if match[1] == "course-v1" and "+" not in body:
            # A form decoder turned the pluses into spaces.
            body = body.replace(" ", "+")
        parts = body.split(" ")[0].split("+")
        if len(parts) >= 3:
            parts[2] = parts[2][: _legal_length(parts[2])]
        if (key := _course_of_body(match[1], "+".join(parts))) is not None:
            return key
    return None


def _legal_length(part: str) -> int:
    return next((at for at, char in enumerate(part) if not _is_new_part(char)), len(part))


def _slash_key_in_path(path: str) -> str | None:
    for match in _COURSES.finditer(path):
        segments = path[match.end() :].split("/")[:3]
        if len(segments) < 3:
            continue
        parts = [_slash_part(segment) for segment in segments]
        if all(parts):
            return "/".join(part for part in parts if part)
    return None


def _slash_part(segment: str) -> str | None:
    decoded = unquote(segment)
    if _is_slash_part(decoded):
        return decoded
    return segment if _is_slash_part(segment) else None
