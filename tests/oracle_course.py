"""Context and payload of an event as objects: the part of the oracle that opens their JSON text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edxlogs.plain import course as plain_course
from edxlogs.plain.course import Decision
from oracle_mend import Scan, decode, scan, strict


def course(event: Mapping[str, Any]) -> Decision:
    """The course of an event, by every place that may name it but the referer."""
    return plain_course.course(event, context_of(event), payload_of(event))


def course_from_context_only(event: Mapping[str, Any]) -> Decision:
    """The course by the platform's own attribution, `context.course_id`, alone."""
    return plain_course.course_from_context_only(context_of(event))


def context_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """The context as an object: JSON text decoded once; empty if it is anything else."""
    value = event.get("context")
    if isinstance(value, str):
        value = decoded_text(value)
    return value if isinstance(value, dict) else {}


def decoded_text(text: str) -> Any:
    """The value of JSON text with NaN read as null; `...` if the text is no JSON."""
    strict_text = strict_json_text(text)
    return ... if strict_text is None else decode(strict_text)


def strict_json_text(text: str) -> str | None:
    """JSON text made strict, as it stands otherwise; None if it is no JSON, or too deep."""
    found = scan(text, 0)
    if found != Scan("complete", len(text.rstrip(" \t\r\n"))):
        return None
    return strict(text)[0]


def payload_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """The payload as an object: JSON text decoded once; empty if it is anything else."""
    value = event.get("event")
    if isinstance(value, str):
        value = decoded_text(value)
    return value if isinstance(value, dict) else {}
