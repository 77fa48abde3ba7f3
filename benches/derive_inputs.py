"""Seeded tables of events and of packages of invented courses, made by DuckDB: for `derive.py`.

A learner comes back in sessions of some forty acts, half a minute apart; acts are requests, videos,
problems, navigation, completion, grades and posts, about as often as in a course of 2014. The same
arguments give the same rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import duckdb
import orjson

from edxlogs import _core
from edxlogs.database.account import MemberAccount
from edxlogs.derived.views import columns_of, quoted
from edxlogs.edx.event_tables import event_tables
from edxlogs.store.manifest import DataFile, Identity, Input, Segment, Text, now
from edxlogs.store.place import Folder
from edxlogs.store.store import Store

ACTS_A_SESSION = 40
PACKAGE = "universityx-2014-12-28"
_VIDEOS, _PROBLEMS, _SEQUENTIALS = 300, 600, 100
# Acts by the table that they are of: how many of a thousand.
SHARES = {
    "requests": 400,
    "video_events": 250,
    "problem_events": 120,
    "navigation_events": 100,
    "completion_events": 60,
    "grade_events": 40,
    "forum_events": 20,
    "study_events": 9,
    "enrollment_events": 1,
}
_TYPES = {"string": "VARCHAR", "text": "VARCHAR", "json": "VARCHAR", "int64": "BIGINT"}
_TYPES |= {"float64": "DOUBLE", "bool": "BOOLEAN", "timestamp": "TIMESTAMPTZ", "date": "DATE"}
_ACTS = """
create table acts as
with sessions as (
    select
        range as session_no,
        (pow((hash(range, $seed) % 1000003) / 1000003, 2) * $learners)::bigint as learner,
        timestamptz '2014-09-01 00:00:00+00'
        + to_microseconds((hash(range, 'at', $seed) % 10368000000000)::bigint) as start
    from range($sessions)
)
select
    session_no, learner, range as act, start + to_microseconds((range * 31000000
        + hash(session_no, range, 'gap', $seed) % 20000000)::bigint) as time,
    (hash(session_no, range, 'of', $seed) % 1000)::bigint as share,
    (hash(session_no, range, 'more', $seed) % 1000000)::bigint as dice,
    row_number() over () as line
from sessions, range($acts)
"""
_SPINE = {
    "time": "time",
    "site": "'prod'",
    "org_id": "'UniversityX'",
    "course_id": "$course",
    "course_source": "'context'",
    "user_id": "learner + 1",
    "username": "'learner' || learner",
    "session": "md5(session_no::varchar)",
    "ip": "'10.' || learner % 250 || '.' || session_no % 250 || '.7'",
    "agent": "'Mozilla/5.0 (Windows NT 6.1) AppleWebKit/537.36 Chrome/' || learner % 20",
    "source": "'universityx-edx-events-' || strftime(time, '%Y-%m-%d') || '.log.gz'",
    "line": "line",
    "line_item": "0",
}
_KEY = "'block-v1:UniversityX+C+R+type@{0}+block@{0}' || {1}"


def _block(kind: str, number: str) -> dict[str, str]:
    return {
        "block_key": _KEY.format(kind, number),
        "block_type": f"'{kind}'",
        "block_id": f"'{kind}' || {number}",
        "block_from": "'event.id'",
    }


_PAGE = "'/courses/course/courseware/chapter' || dice % 12 || '/section' || dice % 90"
_VIDEO_ACTION = "['play', 'pause', 'seek', 'play', 'stop', 'load'][act % 6 + 1]"
_OWN: Mapping[str, Mapping[str, str]] = {
    "requests": {
        "event_source": "'server'",
        "event_type": _PAGE,
        "action": "'request'",
        "path": _PAGE,
        "route": "['courseware', 'xblock_handler', 'courseware', 'progress', 'discussion',"
        " 'xblock_handler', 'course_home', 'info'][dice % 8 + 1]",
        "is_post": "dice % 4 = 0",
        "payload_chars": "dice % 100",
    },
    "video_events": {
        "event_source": "case when dice % 10 = 0 then 'mobile' else 'browser' end",
        "event_type": f"{_VIDEO_ACTION} || '_video'",
        "action": _VIDEO_ACTION,
        **_block("video", f"(session_no % {_VIDEOS})"),
        "code": "'code' || session_no % 300",
        "position": "(act * 31 % 600)::double",
        "position_to": f"case when {_VIDEO_ACTION} = 'seek' then (dice % 600)::double end",
        "duration": "600.0",
        "player": "case when dice % 10 = 0 then 'mobile' else 'browser' end",
    },
    "problem_events": {
        "event_source": "'server'",
        "event_type": "'problem_check'",
        "action": "['check', 'check', 'check', 'answer_shown', 'save'][dice % 5 + 1]",
        **_block("problem", f"(session_no * 7 % {_PROBLEMS})"),
        "attempts": "act % 3 + 1",
        "grade": "(dice % 2)::double",
        "max_grade": "1.0",
        "success": "case when dice % 2 = 1 then 'correct' else 'incorrect' end",
        "n_inputs": "1",
        "n_correct": "dice % 2",
    },
    "navigation_events": {
        "event_source": "'browser'",
        "event_type": "'seq_next'",
        "action": "['next', 'previous', 'goto'][dice % 3 + 1]",
        **_block("sequential", f"(dice % {_SEQUENTIALS})"),
        "tab_from": "dice % 7",
        "tab_to": "dice % 7 + 1",
    },
    "completion_events": {
        "event_source": "'server'",
        "event_type": "'edx.completion.block_completion.changed'",
        "action": "'block'",
        "subject_user_id": "learner + 1",
        **_block("problem", f"(dice % {_PROBLEMS})"),
        "completion": "1.0",
    },
    "grade_events": {
        "event_source": "'server'",
        "event_type": "'edx.grades.subsection.grade_calculated'",
        "action": "'calculated'",
        "level": "'subsection'",
        "subject_user_id": "learner + 1",
        **_block("sequential", f"(dice % {_SEQUENTIALS})"),
        "earned": "(dice % 10)::double",
        "possible": "10.0",
    },
    "forum_events": {
        "event_source": "'server'",
        "event_type": "'edx.forum.thread.viewed'",
        "action": "['view', 'view', 'view', 'create', 'vote'][dice % 5 + 1]",
        "kind": "['thread', 'response', 'comment'][dice % 3 + 1]",
        "post_id": "md5(dice::varchar)",
        "thread_id": "md5((dice % 5000)::varchar)",
    },
    "study_events": {
        "event_source": "'server'",
        "event_type": "'edx.bookmark.added'",
        "action": "'added'",
        "study_kind": "'bookmark'",
    },
    "enrollment_events": {
        "event_source": "'server'",
        "event_type": "'edx.course.enrollment.activated'",
        "action": "['activate', 'activate', 'mode_change', 'deactivate'][dice % 4 + 1]",
        "subject_user_id": "learner + 1",
        "mode": "['honor', 'audit', 'verified'][dice % 3 + 1]",
    },
    "problem_inputs": {
        "action": "['check', 'check', 'check', 'answer_shown', 'save'][dice % 5 + 1]",
        **_block("problem", f"(session_no * 7 % {_PROBLEMS})"),
        "input_id": f"'problem' || session_no * 7 % {_PROBLEMS} || '_2_1'",
        "part": "2",
        "input": "1",
        "answer": "'choice_' || dice % 4",
        "answer_text": "'the answer number ' || dice % 4",
        "correctness": "case when dice % 2 = 1 then 'correct' else 'incorrect' end",
        "response_type": "'multiplechoiceresponse'",
        "found_in": "'amS'",
    },
}
_MOMENT = "timestamptz '2014-08-20 00:00:00+00' + to_seconds({} % 2592000)"
_DATABASE: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "auth_user": ("range($learners)", {"id": "range + 1", "username": "'learner' || range"}),
    "auth_userprofile": (
        "range($learners)",
        {
            "id": "range + 1",
            "user_id": "range + 1",
            "year_of_birth": "1950 + range % 60",
            "gender": "['m', 'f', 'o'][range % 3 + 1]",
            "level_of_education": "['b', 'm', 'hs', 'p'][range % 4 + 1]",
        },
    ),
    "student_courseenrollment": (
        "range($learners)",
        {
            "id": "range + 1",
            "user_id": "range + 1",
            "course_id": "$course",
            "created": _MOMENT.format("range * 43"),
            "is_active": "range % 11 <> 0",
            "mode": "['honor', 'audit', 'verified'][range % 3 + 1]",
        },
    ),
    "certificates_generatedcertificate": (
        "range($learners // 20)",
        {
            "id": "range + 1",
            "user_id": "range * 20 + 1",
            "course_id": "$course",
            "status": "'downloadable'",
            "grade": "'0.83'",
            "mode": "'honor'",
        },
    ),
    "grades_persistentcoursegrade": (
        "range($learners // 4)",
        {
            "user_id": "range * 4 + 1",
            "course_id": "$course",
            "percent_grade": "(range % 100) / 100.0",
        },
    ),
    "courseware_studentmodule": (
        "range($learners * 20)",
        {
            "id": "range + 1",
            "module_type": "case when range % 4 = 0 then 'sequential' else 'problem' end",
            "module_id": f"case when range % 4 = 0 then {_KEY.format('sequential', 'range % 100')}"
            f" else {_KEY.format('problem', f'range % {_PROBLEMS}')} end",
            "student_id": "range // 20 + 1",
            "state": 'case when range % 4 <> 0 then \'{"attempts": 2, "correct_map": {"problem\' ||'
            f' range % {_PROBLEMS} || \'_2_1": {{"correctness": "correct"}}}}}}\' end',
            "grade": "case when range % 4 <> 0 then (range % 2)::double end",
            "max_grade": "case when range % 4 <> 0 then 1.0 end",
            "created": _MOMENT.format("range"),
            "modified": _MOMENT.format("range"),
            "course_id": "$course",
        },
    ),
    "course_structure": (
        f"range({1 + 12 + _SEQUENTIALS + _VIDEOS + _PROBLEMS})",
        {
            "usage_key": "'block-v1:UniversityX+C+R+type@' || "
            "case when range = 0 then 'course+block@course'"
            " when range <= 12 then 'chapter+block@chapter' || range"
            " when range <= 112 then 'sequential+block@sequential' || range - 13"
            " when range <= 412 then 'video+block@video' || range - 113"
            " else 'problem+block@problem' || range - 413 end",
            "block_type": "case when range = 0 then 'course' when range <= 12 then 'chapter'"
            " when range <= 112 then 'sequential' when range <= 412 then 'video'"
            " else 'problem' end",
            "display_name": "'Block ' || range",
            "position": "range",
            "depth": "case when range = 0 then 0 when range <= 12 then 1 when range <= 112 then 2"
            " else 3 end",
        },
    ),
}


def _chosen(name: str, own: Mapping[str, str]) -> str:
    """The columns of a table as SQL has them; what is not said is null."""
    return ", ".join(
        f"({own.get(column, 'null')})::{_TYPES[kind]} as {quoted(column)}"
        for column, kind in columns_of(name)
    )


def _added(store: Store, connection: duckdb.DuckDBPyConnection, query: str, path: str) -> DataFile:
    """Write the rows of a query to a new file of a dataset."""
    staged = store.new / hashlib.sha256(path.encode()).hexdigest()[:24]
    number = store.manifest.next_number
    rows = connection.execute(
        f"copy ({query}) to '{staged}' (format parquet, compression zstd, row_group_size 131072)"
    ).fetchone()
    assert rows is not None
    return store.new_file(path, staged, [(number, rows[0])])


def _with(query: str, values: Mapping[str, object]) -> str:
    for name, value in values.items():
        text = f"'{value}'" if isinstance(value, str) else str(value)
        query = query.replace(f"${name}", text)
    return query


def write_course(
    folder: Path, course: str, events: int, learners: int, *, files: int = 8, seed: int = 7
) -> None:
    """Add a course to `events/` and `tables/` of a folder.

    Args:
        folder: of both.
        course: its id.
        events: about how many.
        learners: enrolled.
        files: of each table of events.
        seed: of the rows.
    """
    place = _core.course_folder(course)
    values: dict[str, object] = {"course": course, "learners": learners, "seed": seed}
    values |= {"sessions": max(1, events // ACTS_A_SESSION), "acts": ACTS_A_SESSION}
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(_with(_ACTS, values))
        bounds, low = {}, 0
        for name, share in SHARES.items():
            bounds[name] = low, low + share
            low += share
        bounds["problem_inputs"] = bounds["problem_events"]
        for name in event_tables():
            with Store(Folder(folder / "events" / name)) as store:
                query = {"format": "parquet", "partition_by": ["course_id"]}
                store.claim(query, overwrite=False)
                segment = Segment(now())
                if name in bounds:
                    low, high = bounds[name]
                    own = {**_SPINE, **_OWN[name]}
                    for part in range(files):
                        rows = _with(
                            f"select {_chosen(name, own)} from acts where share >= {low} and share"
                            f" < {high} and session_no % {files} = {part}",
                            values,
                        )
                        path = f"{place}/part-{part}.parquet"
                        segment.added.append(_added(store, connection, rows, path))
                number, text = store.manifest.next_number, Text(course, events, seed)
                identity = Identity(f"/logs/{course}.log.gz", events)
                segment.inputs.append(Input(number, identity, "delivered", 0, {}, text=text))
                store.commit(segment)
        with Store(Folder(folder / "tables", shared=True)) as store:
            query = {"holds": "tables of packages", "partition_by": ["course_id"]}
            store.claim(query, overwrite=False)
            segment = Segment(now())
            told = {"site": "'prod'", "package": f"'{PACKAGE}'"}
            told["snapshot_date"] = f"date '{PACKAGE[-10:]}'"
            number = store.manifest.next_number
            for table, (source, columns) in _DATABASE.items():
                chosen = _chosen(f"db_{table}", {**told, **columns})
                rows = _with(f"select {chosen} from {source}", values)
                path = f"{table}/{place}/{PACKAGE}-prod.parquet"
                segment.added.append(_added(store, connection, rows, path))
            account = MemberAccount(f"{PACKAGE}.zip", "all.sql", None, "prod", course)
            member = orjson.loads(orjson.dumps(account))
            identity = Identity(f"{PACKAGE} {course}", 0)
            segment.inputs.append(Input(number, identity, "delivered", 0, {"member": member}))
            store.commit(segment)
