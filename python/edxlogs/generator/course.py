"""A course: its blocks, and its structure as the exporter prints it."""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

CHAPTERS, SEQUENTIALS, VERTICALS = 2, 2, 2  # of the course, of a chapter, of a sequential
INPUTS = 2  # of a problem: a choice and a number


@dataclass(frozen=True, slots=True)
class Block:
    """A block in the order of the course. Its index is its position there."""

    key: str
    block_id: str
    kind: str
    parent: str
    title: str
    is_graded: bool
    children: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    duration: float = 0.0  # of a video, in seconds

    def input_id(self, number: int) -> str:
        """The id of an input of a problem, from 0."""
        return f"{self.block_id}_{number + 2}_1"


class Course:
    """A course of 2 chapters, 4 sequentials and 8 verticals, each with a video and a problem.

    The sequentials of the second chapter are graded homework. One vertical also has an open
    response assessment.

    Attributes:
        key: its id, which begins with `course-v1:`.
        start: when it begins, in UTC.
        site: its site, prod or edge.
        host: host of the site.
        org: organisation in its key.
        blocks: blocks in the order of the course, each before those it contains.
        threads, essays: what learners have written so far, each with its moment and id.
    """

    def __init__(
        self, key: str, title: str, start: datetime.datetime, *, site: str = "prod", host: str
    ) -> None:
        self.key, self.start, self.site, self.host = key, start, site, host
        self.org = key.removeprefix("course-v1:").partition("+")[0]
        self.blocks: list[Block] = []
        self.threads: list[tuple[datetime.datetime, str]] = []
        self.essays: list[tuple[datetime.datetime, str]] = []
        root = self._add(None, "course", "course", title)
        for chapter in range(CHAPTERS):
            of_week = self._add(root, "chapter", f"c{chapter}", f"Week {chapter + 1}")
            for place in range(SEQUENTIALS):
                name = f"{chapter}{place}"
                more = {"graded": True, "format": "Homework"} if chapter else {}
                unit = self._add(of_week, "sequential", f"s{name}", f"Lesson {place + 1}", **more)
                for vertical in range(VERTICALS):
                    self._fill(unit, f"{name}{vertical}")

    def _fill(self, unit: Block, name: str) -> None:
        vertical = self._add(unit, "vertical", f"u{name}", f"Unit {name}")
        video = self._add(vertical, "video", f"v{name}", f"Video {name}")
        # A block is frozen, its length follows from its place.
        object.__setattr__(video, "duration", 100.0 + 20 * len(self.of("video")))
        self._add(vertical, "problem", f"p{name}", f"Problem {name}", max_attempts=4, weight=2.0)
        if name == "000":
            self._add(vertical, "openassessment", f"o{name}", "An essay")

    def _add(self, parent: Block | None, kind: str, name: str, title: str, **more: Any) -> Block:
        digest = hashlib.md5(f"{self.key}{name}".encode(), usedforsecurity=False).hexdigest()
        block_id = "course" if parent is None else digest
        key = f"{self.key.replace('course-', 'block-', 1)}+type@{kind}+block@{block_id}"
        metadata = {"display_name": title, **more}
        is_graded = bool(more.get("graded") or (parent and parent.is_graded))
        block = Block(
            key, block_id, kind, parent.key if parent else "", title, is_graded, [], metadata
        )
        if parent:
            parent.children.append(key)
        self.blocks.append(block)
        return block

    def of(self, kind: str) -> list[Block]:
        """The blocks of a kind, in order."""
        return [block for block in self.blocks if block.kind == kind]

    @property
    def orphan(self) -> str:
        """The key of a block that no other block contains."""
        return f"{self.key.replace('course-', 'block-', 1)}+type@html+block@orphan"

    def structure(self) -> bytes:
        """The structure as the exporter prints it, plus an orphan that no block contains."""
        told: dict[str, Any] = {
            block.key: {
                "category": block.kind,
                "children": block.children,
                "metadata": block.metadata,
            }
            for block in self.blocks
        }
        told[self.orphan] = {"category": "html", "children": [], "metadata": {}}
        return json.dumps(told, indent=2).encode()

    def items(self) -> list[dict[str, Any]]:
        """What `course_items` must say."""
        orphan = {"course_id": self.key, "index": None, "block_key": self.orphan}
        return [
            orphan | {"block_id": "orphan", "block_type": "html", "is_leaf": True},
            *self._items(),
        ]

    def _items(self) -> list[dict[str, Any]]:
        return [
            {
                "course_id": self.key,
                "index": index,
                "block_key": block.key,
                "block_id": block.block_id,
                "block_type": block.kind,
                "display_name": block.title,
                "parent_key": block.parent or None,
                "n_children": len(block.children),
                "is_leaf": not block.children,
                "graded": block.is_graded or None,
                "format": "Homework" if block.is_graded else None,
            }
            for index, block in enumerate(self.blocks)
        ]
