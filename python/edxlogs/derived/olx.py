"""The content of courses (OLX), as far as derived tables need it: videos, labels, grading."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

from edxlogs.derived.definition import OLX
from edxlogs.errors import ConfigError
from edxlogs.text import shown

Rows = list[tuple[Any, ...]]

_COURSE_FILE = "course.xml"
_DEEPEST = 4  # folders below the one that is named, down to that of a course


@dataclass(frozen=True, slots=True)
class CourseContent:
    """What the content of a course tells.

    Attributes:
        rows: rows by input, with the columns in `OLX`.
        odd: files that could not be read.
    """

    rows: Mapping[str, Rows]
    odd: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """A digest that identifies it."""
        told = json.dumps([self.rows[name] for name in sorted(OLX)])
        return hashlib.sha256(told.encode()).hexdigest()


class Contents(Mapping[str, CourseContent]):
    """The content of each course, read when it is asked for.

    Args:
        folders: folders by course.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders

    def __getitem__(self, course: str) -> CourseContent:
        return read_content(self._folders[course], course)

    def __iter__(self) -> Iterator[str]:
        return iter(self._folders)

    def __len__(self) -> int:
        return len(self._folders)


def contents(folder: Path) -> Contents:
    """Find the courses whose content is in a folder, as `edxlogs db convert --unpack` leaves it.

    Raises:
        ConfigError: the folder does not exist, or holds no course.
    """
    found: dict[str, Path] = {}
    for root in sorted(_roots(folder, _DEEPEST)):
        course = _course_of(root)
        if course is not None:
            found[course] = root  # of several packages the last one by name: the newest
    if not found:
        raise ConfigError(
            f"olx: {shown(os.fspath(folder))}: holds no {_COURSE_FILE} of a course; name a"
            " folder that edxlogs db convert --unpack wrote"
        )
    return Contents(found)


def _roots(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / _COURSE_FILE).is_file():
        yield folder
    elif depth and folder.is_dir():
        for one in folder.iterdir():
            if one.is_dir() and not one.is_symlink():
                yield from _roots(one, depth - 1)


def _course_of(root: Path) -> str | None:
    """The course of some content: by a folder above it, else by the content itself."""
    for folder in root.parts[::-1]:
        key, _, value = folder.partition("=")
        if key == "course_id" and "~" not in value:
            return unquote(value)
    try:
        top = ElementTree.parse(root / _COURSE_FILE).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    org, number, run = (top.get(name) for name in ("org", "course", "url_name"))
    return f"course-v1:{org}+{number}+{run}" if org and number and run else None


def read_content(root: Path, course: str) -> CourseContent:
    """Read the content of a course.

    Args:
        root: folder that holds `course.xml`.
        course: id of the course.
    """
    rows: dict[str, Rows] = {name: [] for name in OLX}
    odd: list[str] = []
    for kind in ("video", "problem"):
        for path in sorted((root / kind).glob("*.xml")):
            try:
                block = ElementTree.parse(path).getroot()
            except (OSError, ElementTree.ParseError):
                odd.append(f"{kind}/{shown(path.name)}")
                continue
            key = _key(course, kind, path.stem)
            rows["olx_blocks"].append((key, path.stem, kind, _seconds(block), _labels(block)))
    for path in sorted(root.glob("policies/*/grading_policy.json")):
        try:
            policy = json.loads(path.read_text("utf-8"))
            rows["olx_policy"] += [_grader(one) for one in policy.get("GRADER", ())]
            cutoffs = policy.get("GRADE_CUTOFFS", {})
            rows["olx_cutoffs"] += [(str(name), float(at)) for name, at in cutoffs.items()]
        except (OSError, ValueError, TypeError, AttributeError):
            odd.append(shown(os.fspath(path.relative_to(root))))
    return CourseContent(rows, tuple(odd))


def _key(course: str, kind: str, name: str) -> str:
    if course.startswith(("course-v1:", "ccx-v1:")):
        stem = course.replace("course-v1:", "block-v1:").replace("ccx-v1:", "ccx-block-v1:")
        return f"{stem}+type@{kind}+block@{name}"
    org, _, rest = course.partition("/")
    return f"i4x://{org}/{rest.partition('/')[0]}/{kind}/{name}"


def _seconds(block: ElementTree.Element) -> float | None:
    """The length of a video, according to the exporter of its encodings."""
    for asset in block.iter("video_asset"):
        try:
            seconds = float(asset.get("duration", ""))
        except ValueError:
            continue
        if 0 < seconds < float("inf"):
            return seconds
    return None


def _labels(block: ElementTree.Element) -> str | None:
    """Labels of a problem's inputs, one per line."""
    found = []
    for one in block.iter():
        text = "".join(one.itertext()) if one.tag == "label" else one.get("label", "")
        if text.strip():
            found.append(" ".join(text.split()))
    return "\n".join(found) or None


def _grader(one: Mapping[str, Any]) -> tuple[Any, ...]:
    def number(key: str, kind: type[int] | type[float]) -> Any:
        value = one.get(key)
        return None if value is None else kind(value)

    return (
        one.get("type"),
        one.get("short_label"),
        number("weight", float),
        number("min_count", int),
        number("drop_count", int),
    )
