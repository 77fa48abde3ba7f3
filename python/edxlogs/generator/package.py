"""The database package of some courses, in which every row matches the log."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edxlogs.edx.tables import tables
from edxlogs.generator import exporter
from edxlogs.generator.course import Course
from edxlogs.generator.enrolling import Enrolled
from edxlogs.generator.learner import Learner
from edxlogs.generator.lines import Person

Row = dict[str, Any]
_SCATTER = 0x9E3779B97F4A7C15F39CC0605CEDC835  # odd, so each number has another image


@dataclass(slots=True)
class Roll:
    """A course and the people in it."""

    course: Course
    staff: Person
    learners: list[Learner] = field(default_factory=list)
    enrolled: dict[int, Enrolled] = field(default_factory=dict)
    certified: set[int] = field(default_factory=set)


def plain(moment: datetime.datetime) -> datetime.datetime:
    """A time as the database stores it: UTC, without a zone, in whole seconds."""
    return moment.astimezone(datetime.UTC).replace(tzinfo=None, microsecond=0)


def write(
    path: Path,
    rolls: Sequence[Roll],
    *,
    encrypt: exporter.Encrypt | None = None,
    folder: str = exporter.FOLDER,
) -> Path:
    """Write a package of the tables that derived tables read, and of ids that stand for people."""
    return exporter.write(path, _members(rolls), encrypt=encrypt, folder=folder)


def _members(rolls: Sequence[Roll]) -> Iterator[tuple[str, Iterator[bytes]]]:
    for roll in rolls:
        course = roll.course
        for name, rows in _tables(roll).items():
            table = tables()[name]
            whole = ({**dict.fromkeys(column for column, _ in table.columns), **r} for r in rows)
            file = exporter.file_name(table, course.key, course.site)
            yield file, exporter.tab_lines(table, whole)
        structure = exporter.file_name(tables()["course_structure"], course.key, course.site)
        yield structure, iter([course.structure()])
        forum = exporter.file_name(tables()["forum"], course.key, course.site)
        yield forum, _posts(roll)


def _tables(roll: Roll) -> Mapping[str, Iterable[Row]]:
    key, people = roll.course.key, [*(one.who for one in roll.learners), roll.staff]
    return {
        "auth_user": [
            {
                "id": who.user_id,
                "username": who.username,
                "email": f"{who.username}@learners.example",
                "is_active": True,
                "is_staff": False,
            }
            for who in people
        ],
        "auth_userprofile": [
            {
                "id": who.user_id,
                "user_id": who.user_id,
                "year_of_birth": 1950 + who.user_id * 7 % 48,
                "gender": "fmo"[who.user_id % 3],
            }
            for who in people
        ],
        "user_id_map": [
            {
                "hash_id": f"{who.user_id * _SCATTER % 2**128:032x}",
                "id": who.user_id,
                "username": who.username,
            }
            for who in people
        ],
        "student_courseenrollment": [
            {
                "id": user_id,
                "user_id": user_id,
                "course_id": key,
                "created": plain(its.created),
                "is_active": its.is_active,
                "mode": its.mode,
            }
            for user_id, its in roll.enrolled.items()
        ],
        "student_courseaccessrole": [
            {
                "org": roll.course.org,
                "course_id": key,
                "user_id": roll.staff.user_id,
                "role": "instructor",
            }
        ],
        "django_comment_client_role_users": [
            {"course_id": key, "user_id": who.user_id, "name": "Student"} for who in people
        ],
        "certificates_generatedcertificate": [
            {
                "id": user_id,
                "user_id": user_id,
                "course_id": key,
                "status": "downloadable",
                "grade": "0.9",
                "mode": roll.enrolled[user_id].mode,
            }
            for user_id in sorted(roll.certified)
        ],
        "courseware_studentmodule": [
            {"id": number, "course_id": key, "done": "na", **row}
            for number, row in enumerate(_modules(roll), 1)
        ],
    }


def _modules(roll: Roll) -> Iterator[Row]:
    """One row for the course of each learner with a session, and one for each checked problem."""
    blocks = {block.block_id: block for block in roll.course.blocks}
    for learner in roll.learners:
        if not learner.sessions:
            continue
        first = plain(learner.acts[0][0])
        whose = {"student_id": learner.who.user_id, "created": first, "modified": first}
        yield {
            **whose,
            "module_type": "course",
            "module_id": roll.course.blocks[0].key,
            "state": json.dumps({"position": 1}),
        }
        for block_id, rows in learner.checked.items():
            if not rows:
                continue
            last = [
                row
                for row in learner.attempts
                if row["block_id"] == block_id and row["attempt"] == len(rows)
            ]
            state = {
                "attempts": len(rows),
                "seed": 1,
                "done": True,
                "correct_map": {
                    row["input_id"]: {"correctness": row["correctness"], "npoints": None}
                    for row in last
                },
                "student_answers": {row["input_id"]: row["answer"] for row in last},
            }
            yield {
                **whose,
                "modified": plain(last[0]["time"]),
                "module_type": "problem",
                "module_id": blocks[block_id].key,
                "state": json.dumps(state),
                "grade": sum(row["points"] for row in last),
                "max_grade": float(len(last)),
            }


def _posts(roll: Roll) -> Iterator[bytes]:
    for learner in roll.learners:
        for post in learner.posts:
            is_thread = post["kind"] == "thread"
            millis = round(post["time"].timestamp() * 1000)
            told: Row = {
                "_id": {"$oid": post["id"]},
                "_type": "CommentThread" if is_thread else "Comment",
                "author_id": str(learner.who.user_id),
                "author_username": learner.who.username,
                "course_id": roll.course.key,
                "commentable_id": "general",
                "body": "Why?",
                "anonymous": False,
                "created_at": {"$date": millis},
                "updated_at": {"$date": millis},
                "votes": {"up": [], "down": [], "up_count": 0, "down_count": 0, "point": 0},
            }
            if is_thread:
                told |= {"title": "A question", "thread_type": "question", "comment_count": 0}
            else:
                told |= {"comment_thread_id": {"$oid": post["thread"]}, "parent_ids": []}
            yield json.dumps(told, separators=(",", ":")).encode() + b"\n"
