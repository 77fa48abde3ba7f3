"""Plant courses: logs and a database package in which everything that happens is known before.

`plant` writes daily logs and one package, and returns what the derived tables must say of them, as
rows by the name of the table, with the names of columns of that table. A row says nothing of
columns that it lacks. `differences` holds the rows that were made against it.

What stands in the logs beside the acts of learners, and must count nowhere: the browser's form and
the request of each check, results of checks in the browser, loaded videos, closed pages, grades
that workers wrote, an act of somebody without an account, some lines twice over. One session has
events that tell the username alone; the app of one learner has a clock that is a day ahead; a
player tells an old place after a jump; checks are written twice. Lines of a day stand in no order.

Tables: course_items, enrollment_spells, sessions, time_on_task, video_viewings, person_video,
problem_attempts, forum_person, person_course_day, person_course. Times have the zone UTC; days are
those of UTC. Definitions follow the documentation of derived tables, with its ordinary gap and
caps; what a definition leaves open has no column here.
"""

from __future__ import annotations

import datetime
import gzip
import json
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edxlogs.generator import package
from edxlogs.generator.course import INPUTS, Course
from edxlogs.generator.enrolling import STORIES, enrol
from edxlogs.generator.learner import Learner
from edxlogs.generator.lines import Line, Lines, Person
from edxlogs.generator.package import Roll

Row = dict[str, Any]
KEYS = {
    "course_items": ("course_id", "block_key"),
    "enrollment_spells": ("course_id", "user_id", "spell_no", "start"),
    "sessions": ("course_id", "user_id", "session_no"),
    "time_on_task": ("course_id", "user_id", "day"),
    "video_viewings": ("course_id", "user_id", "block_id", "start_time"),
    "person_video": ("course_id", "user_id", "block_id"),
    "problem_attempts": ("course_id", "user_id", "input_id", "attempt"),
    "forum_person": ("course_id", "user_id"),
    "person_course_day": ("course_id", "user_id", "day"),
    "person_course": ("course_id", "user_id"),
}
"""What names a row of each table."""
DAY_COUNTS = (
    "n_events",
    "n_all_events",
    "n_sessions_started",
    "n_play",
    "n_pause",
    "n_seek",
    "n_video",
    "n_checks",
    "n_answers_shown",
    "n_forum_posts",
    "n_forum_reads",
    "n_progress",
    "n_goto",
    "n_ora",
)
LINES_TWICE = 3  # in each course
START = datetime.datetime(2016, 2, 1, tzinfo=datetime.UTC)
HOST = "courses.planted.example"


@dataclass(frozen=True, slots=True)
class Planted:
    """What was planted.

    Attributes:
        logs: daily logs of the site prod, by day.
        package: the database package, a zip that is not encrypted.
        courses: their keys.
        truth: the rows of derived tables, by table; columns that are lacking are not told.
        copies: lines that stand twice.
    """

    logs: list[Path]
    package: Path
    courses: list[str]
    truth: Mapping[str, list[Row]]
    copies: int


def plant(folder: Path, *, seed: int = 7, learners: int = 18, courses: int = 1) -> Planted:
    """Write logs and package of `courses` courses, of that many learners each, into a folder.

    Learners follow the nine stories of enrolment in turn; every ninth never comes to the course.
    """
    lines: list[Line] = []
    rolls = []
    truth: dict[str, list[Row]] = {name: [] for name in KEYS}
    for number in range(courses):
        rng = random.Random(f"{seed}/{number}")
        key = f"course-v1:PlantedX+PL{number}+2016_T1"
        course = Course(key, "A planted course", START, host=HOST)
        roll = _roll(rng, course, learners)
        rolls.append(roll)
        its = [line for one in roll.learners for line in one.lines]
        its += [line for one in roll.enrolled.values() for line in one.lines]
        lines += [*its, *_stray(roll), *rng.sample(its, LINES_TWICE)]
        for table, rows in _truth(roll).items():
            truth[table] += rows
    folder.mkdir(parents=True, exist_ok=True)
    logs = _write_logs(folder, lines, random.Random(seed))
    path = package.write(folder / "plantedx-2016-06-05.zip", rolls)
    keys = [roll.course.key for roll in rolls]
    return Planted(logs, path, keys, truth, LINES_TWICE * courses)


def _roll(rng: random.Random, course: Course, learners: int) -> Roll:
    roll = Roll(course, Person(900, "teacher"))
    for number in range(learners):
        who = Person(1001 + number, f"learner_{number}")
        one = Learner(course, who, rng)
        start = START + datetime.timedelta(hours=number, milliseconds=number)
        roll.enrolled[who.user_id] = enrol(course, who, roll.staff, start, number % STORIES)
        roll.learners.append(one)
        if number % 9 == 6:
            continue
        sessions = rng.randrange(1, 5)
        for session in range(sessions):
            days = 2 + 5 * session + number % 5
            day = START + datetime.timedelta(days=days, hours=rng.randrange(24))
            mobile = number % 4 == 1 and session == 0
            one.write.is_nameless = number % 6 == 2 and session == 1
            one.write.ahead = datetime.timedelta(days=int(mobile and number % 8 == 5))
            one.study(day, rng.randrange(2, 12), mobile=mobile, closes=rng.random() < 0.3)
        if one.sessions[-1]["ended_by"] == "gap":
            one.sessions[-1]["ended_by"] = "last"
        if number % 5 == 0:
            roll.certified.add(who.user_id)
    return roll


def _stray(roll: Roll) -> Iterable[Line]:
    """Lines that count nowhere."""
    moment = START + datetime.timedelta(days=9, minutes=7)
    ghost = Lines(roll.course, Person(0, "ghost"), "e" * 32)
    ghost.is_nameless = True
    yield ghost.request(moment, "courseware/a/b/")
    for one in roll.learners:
        for graded in [START, *(row["end"] for row in one.sessions)]:
            yield _grade(roll, one, graded + datetime.timedelta(minutes=5))


def _grade(roll: Roll, learner: Learner, moment: datetime.datetime) -> Line:
    """The grade that a worker writes: the share of inputs that were answered correctly."""
    right = {
        row["input_id"]
        for row in learner.attempts
        if row["time"] < moment and row["correctness"] == "correct"
    }
    percent = len(right) / (INPUTS * len(roll.course.of("problem")))
    grade = {
        "user_id": str(learner.who.user_id),
        "course_id": roll.course.key,
        "percent_grade": percent,
        "letter_grade": "Pass" if percent >= 0.5 else "",
    }
    return learner.write.worker(moment, "edx.grades.course.grade_calculated", grade)


def _truth(roll: Roll) -> Mapping[str, list[Row]]:
    seen = [one for one in roll.learners if one.sessions]
    return {
        "course_items": roll.course.items(),
        "enrollment_spells": [row for its in roll.enrolled.values() for row in its.spells],
        "sessions": [row for one in seen for row in one.sessions],
        "time_on_task": [row for one in seen for row in one.time_on_task()],
        "video_viewings": [row for one in seen for row in one.viewings],
        "person_video": [row for one in seen for row in _person_video(one)],
        "problem_attempts": [row for one in seen for row in one.attempts],
        "forum_person": [
            {**one.key, **{name: one.totals[name] for name in ("n_threads", "n_responses")}}
            | {"n_reads": one.totals["n_forum_reads"]}
            for one in seen
            if one.totals["n_forum_posts"] or one.totals["n_forum_reads"]
        ],
        "person_course_day": [
            {**one.key, "day": day, **{name: its[name] for name in DAY_COUNTS}}
            | {"n_problems": len(one.problems_of[day])}
            for one in seen
            for day, its in sorted(one.days.items())
            if its["n_events"]
        ],
        "person_course": [_person_course(roll, one) for one in roll.learners],
    }


def _person_video(learner: Learner) -> list[Row]:
    """Viewings of a played video together; the seconds that were seen at all, exactly."""
    by_video: dict[str, list[Row]] = {block_id: [] for block_id in sorted(learner.played)}
    for row in learner.viewings:
        by_video[row["block_id"]].append(row)
    found = []
    for block_id, rows in by_video.items():
        unique, reached = 0.0, -math.inf
        for start, end in sorted((row["start_pos"], row["end_pos"]) for row in rows):
            unique += max(0.0, end - max(start, reached))
            reached = max(reached, end)
        found.append(
            {
                **learner.key,
                "block_id": block_id,
                "n_viewings": len(rows),
                "total_s": sum(row["seconds"] for row in rows),
                "unique_s": unique,
            }
        )
    return found


def _person_course(roll: Roll, learner: Learner) -> Row:
    its = roll.enrolled[learner.who.user_id]
    moments = [moment for moment, _ in learner.acts]
    solved = {
        block_id
        for block_id in learner.checked
        for attempt in range(1, 5)
        if (
            rows := [
                row
                for row in learner.attempts
                if row["block_id"] == block_id and row["attempt"] == attempt
            ]
        )
        and all(row["correctness"] == "correct" for row in rows)
    }
    counts = ("n_play", "n_pause", "n_seek", "n_video", "n_checks", "n_answers_shown")
    return {
        **learner.key,
        "username": learner.who.username,
        "registered_at": its.created.replace(microsecond=0),
        "mode": its.mode,
        "is_active": its.is_active,
        "is_staff": False,
        "certified": learner.who.user_id in roll.certified,
        "n_events": len(moments),
        "n_all_events": learner.all_events,
        "first_event": min(moments, default=None),
        "last_event": max(moments, default=None),
        "n_days": len({moment.date() for moment in moments}),
        "n_sessions": len(learner.sessions),
        "n_problems": len([1 for rows in learner.checked.values() if rows]),
        "n_problems_correct": len(solved),
        **{name: learner.totals[name] for name in counts},
        "time_s": sum(row["time_s"] for row in learner.time_on_task()),
    }


def _write_logs(folder: Path, lines: Sequence[Line], rng: random.Random) -> list[Path]:
    by_day = defaultdict(list)
    for line in lines:
        by_day[line["context"].get("received_at", line["time"])[:10]].append(json.dumps(line))
    paths = []
    for day, its in sorted(by_day.items()):
        rng.shuffle(its)
        path = folder / f"plantedx-prod-events-{day}.log.gz"
        path.write_bytes(gzip.compress("".join(f"{line}\n" for line in its).encode(), 1, mtime=0))
        paths.append(path)
    return paths


def differences(table: str, truth: Iterable[Row], rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """What rows of a derived table lack, have too much, or have otherwise than the truth.

    Numbers may differ by a millionth; a row may have more columns. `rows` may hold people that are
    not learners of the truth, such as staff: leave them out before.
    """
    of = KEYS[table]
    expected = {tuple(row.get(name) for name in of): row for row in truth}
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    told = []
    for row in rows:
        key = tuple(row.get(name) for name in of)
        if key in found:
            told.append(f"{table} {key}: twice")
        found[key] = row
    told += [f"{table} {key}: lacking" for key in expected.keys() - found.keys()]
    told += [f"{table} {key}: too much" for key in found.keys() - expected.keys()]
    for key in expected.keys() & found.keys():
        for name, value in expected[key].items():
            if not _equal(value, found[key].get(name)):
                told.append(f"{table} {key}: {name}: {found[key].get(name)!r}, not {value!r}")
    return sorted(told)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, abs_tol=1e-6)
    return bool(one == other)
