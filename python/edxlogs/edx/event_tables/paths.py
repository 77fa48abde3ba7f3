"""Paths into an event, as `--where` takes them, plus `*` for what a child row stands for.

`event.old_time` leads into the payload, `context.module.usage_key` into the context. A path of one
key names a field or column of the event itself. In child tables, `*.text` leads into the row, and
`form.*` to the inputs of a browser's form.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from edxlogs import _core
from edxlogs.text import shown

_STEP = re.compile(
    r"""(?:^|\.)(?:(?P<key>[A-Za-z_][\w-]*)|"(?P<quoted>(?:[^"]|"")*)"|(?P<each>\*))"""
    r"""|\[(?P<item>[0-9]{1,9})\]""",
    re.ASCII,
)
_BESIDE = ("synthesized", "label", "augmented")  # top-level keys that are no columns
FORM = "form"
"""The first step of paths to the inputs of a form."""


@dataclass(frozen=True, slots=True)
class Path:
    """Where a value is in an event.

    Attributes:
        text: the path as written.
        steps: keys and numbers of items. None, at most once, stands for each of them.
    """

    text: str
    steps: tuple[str | int | None, ...]

    @property
    def row(self) -> tuple[str | int | None, ...] | None:
        """The steps up to and including the one that stands for each item, or None."""
        return self.steps[: self.steps.index(None) + 1] if None in self.steps else None


def parse_steps(text: str) -> Path:
    """Parse a path that may start anywhere.

    Raises:
        ValueError: it is not a path. The message says why, without naming it.
    """
    steps: list[str | int | None] = []
    at = 0
    while at < len(text):
        if not (step := _STEP.match(text, at)):
            raise ValueError(
                f"not a path from {shown(text[at:])} on; write it as in event.answers[0]"
            )
        if step["item"] is not None:
            steps.append(int(step["item"]))
        elif step["quoted"] is not None:
            steps.append(step["quoted"].replace('""', '"'))
        else:
            steps.append(step["key"])
        at = step.end()
    if not steps or text[0] in ".[":
        raise ValueError("a path starts with a field of the event, as in event.grade")
    if steps.count(None) > 1:
        raise ValueError("it has * twice")
    return Path(text, tuple(steps))


def parse_path(text: str) -> Path:
    """Parse a path that starts at the event or, with `*`, at a row.

    Raises:
        ValueError: it is not a path. The message says why, without naming it.
    """
    path = parse_steps(text)
    first = path.steps[0]
    if first == FORM and path.steps != (FORM, None):
        raise ValueError("the inputs of a form are form.*")
    fields = [*(name for name, *_ in _core.columns()), *_BESIDE]
    if first not in (None, FORM, *fields):
        near = difflib.get_close_matches(str(first), fields, 1)
        raise ValueError(
            f"{shown(str(first))} is not a field of an event; "
            + (f"did you mean {near[0]}?" if near else "the payload is event")
        )
    return path
