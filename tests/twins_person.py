"""People in a course, day by day and as a whole, once more in plain Python."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import twins_enrollment
import twins_forum
import twins_time
import twins_video
from twins_course import blocks_of_events, course_items
from twins_events import (
    KINDS,
    Inputs,
    Person,
    Row,
    by_person,
    day_of,
    head,
    if_there,
    learner_events,
    micros,
    persons,
    subject_events,
)

Parameters = Mapping[str, Any]
COUNTS: Mapping[str, tuple[str, Callable[[Row], bool]]] = {
    "n_video": ("video_events", lambda one: "menu" not in one["action"]),
    "n_play": ("video_events", lambda one: one["action"] == "play"),
    "n_pause": ("video_events", lambda one: one["action"] == "pause"),
    "n_seek": ("video_events", lambda one: one["action"] == "seek"),
    "n_speed": ("video_events", lambda one: one["action"] == "speed"),
    "n_transcript": (
        "video_events",
        lambda one: one["action"] in ("transcript_show", "transcript_hide"),
    ),
    "n_checks": ("problem_events", lambda one: one["action"] == "check"),
    "n_answers_shown": ("problem_events", lambda one: one["action"] == "answer_shown"),
    "n_progress": ("requests", lambda one: one.get("route") == "progress"),
    "n_goto": ("navigation_events", lambda one: one["action"] == "goto"),
    "n_ora": ("ora_events", lambda one: one["action"] in ("submit", "team_submit")),
}
FORUM = "forum_events requests"


def counted(inputs: Inputs, acts: Iterable[Row]) -> Row:
    """How many acts of each sort; None where their table is missing."""
    found: Row = {}
    its = list(acts)
    for name, (table, is_one) in COUNTS.items():
        n = sum(one["table"] == table and is_one(one) for one in its)
        found[name] = if_there(inputs, table, n)
    return found


def _problem(event: Row, blocks: Mapping[str, Any]) -> str | None:
    name: str | None = blocks.get(event.get("block_key") or "", (None, None))[1]
    return name


def _completed(inputs: Inputs, parameters: Parameters) -> dict[Person, list[tuple[date, str]]]:
    blocks = blocks_of_events(inputs, parameters)
    found = defaultdict(list)
    for event in subject_events(inputs, parameters):
        key = event.get("block_key")
        if event["table"] != "completion_events" or event["action"] != "block":
            continue
        if event.get("completion") == 1 and key is not None:
            name = blocks.get(key, (None, None))[1]
            found[event["person"]].append((event["day"], key if name is None else name))
    return found


def person_course_day(inputs: Inputs, parameters: Parameters) -> list[Row]:
    everybody = persons(inputs, parameters)
    blocks = blocks_of_events(inputs, parameters)
    times = {
        (one["site"], one["user_id"], one["day"]): one
        for one in twins_time.time_on_task(inputs, parameters)
    }
    started = Counter(
        (one["site"], one["user_id"], day_of(one["start"], parameters))
        for one in twins_time.sessions(inputs, parameters)
    )
    viewed: dict[Any, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for one in twins_video.viewings(inputs, parameters):
        span = twins_video.us(one["start_pos"]), twins_video.us(one["end_pos"])
        viewed[one["site"], one["user_id"], one["day"]][one["block_id"]].append(span)
    forum = defaultdict(list)
    for act in twins_forum.acts(inputs, parameters):
        forum[(*act["person"], act["day"])].append(act)
    types = defaultdict(list)
    for row in inputs.get("problem_inputs", ()):
        if row.get("response_type") is not None:
            types[row["source"], row["line"], row["line_item"]].append(row["response_type"])
    completed = _completed(inputs, parameters)
    found = []
    for person, events in sorted(by_person(learner_events(inputs, parameters)).items()):
        for day in sorted({one["day"] for one in events}):
            its = [one for one in events if one["day"] == day]
            acts = [one for one in its if one["act"]]
            if not acts:
                continue
            where = (*person, day)
            checks = [
                one for one in acts if one["table"] == "problem_events" and one["action"] == "check"
            ]
            told = Counter(
                kind
                for one in checks
                for kind in types[one["source"], one["line"], one["line_item"]]
            )
            seen = {video: twins_video.unique_us(spans) for video, spans in viewed[where].items()}
            done = forum[where]
            time = times[where]
            problems = {_problem(one, blocks) for one in checks} - {None}
            right = sum(one.get("success") == "correct" for one in checks)
            posts = sum(one["what"] == "create" for one in done)
            reads = sum(one["what"] == "view" for one in done)
            threads = len({one["thread_id"] for one in done if one.get("thread_id")})
            n_completed = len({name for at, name in completed[person] if at == day})
            found.append(
                {
                    **head(person, everybody, parameters),
                    "day": day,
                    "n_events": len(acts),
                    "n_all_events": len(its),
                    "first_event": acts[0]["at"],
                    "last_event": acts[-1]["at"],
                    "n_sessions_started": started[where],
                    "time_s": time["time_s"],
                    **{f"time_{kind}_s": time[f"time_{kind}_s"] for kind in KINDS},
                    **counted(inputs, acts),
                    "n_videos": if_there(
                        inputs, "video_events", sum(us >= 5_000_000 for us in seen.values())
                    ),
                    "video_seconds": if_there(inputs, "video_events", sum(seen.values()) / 1e6),
                    "n_problems": if_there(inputs, "problem_events", len(problems)),
                    "n_checks_correct": if_there(inputs, "problem_events", right),
                    "n_inputs_by_type": if_there(
                        inputs,
                        "problem_inputs",
                        json.dumps(dict(sorted(told.items())), separators=(",", ":")),
                    ),
                    "n_forum_posts": if_there(inputs, FORUM, posts),
                    "n_forum_reads": if_there(inputs, FORUM, reads),
                    "n_threads_touched": if_there(inputs, FORUM, threads),
                    "n_blocks_completed": if_there(inputs, "completion_events", n_completed),
                    "n_agents": len({one["agent"] for one in acts if one.get("agent")}),
                    "is_mobile": any(one["is_mobile"] for one in acts),
                }
            )
    return found


def _of_people(inputs: Inputs, table: str, column: str = "user_id") -> dict[Person, list[Row]]:
    found = defaultdict(list)
    for row in inputs.get(table, ()):
        if row.get(column) is not None:
            found[row.get("site") or "", row[column]].append(row)
    return found


def steps(events: Sequence[Row], day: date | None = None) -> Row:
    """Times from an event to the next, of five minutes at most; of a day, those to its events."""
    gaps = [
        micros(after["at"] - one["at"])
        for one, after in itertools.pairwise(events)
        if day is None or after["day"] == day
    ]
    gaps = [gap for gap in gaps if gap <= 300_000_000]
    n, total = len(gaps), sum(gaps)
    spread = n * sum(gap * gap for gap in gaps) - total * total
    return {
        "dt_mean": round(total / n / 1e6, 12) if n else None,
        "dt_sd": round(math.sqrt(spread / (n * (n - 1))) / 1e6, 12) if n > 1 else None,
        "dt_max": max(gaps) / 1e6 if n else None,
        "dt_n": n,
    }


def _chapters(inputs: Inputs, parameters: Parameters) -> tuple[dict[Any, Any], dict[Any, bool]]:
    """By site and key of a block its chapter, and by site and chapter whether it counts."""
    items = course_items(inputs, parameters)
    of = {(one["site"], one["block_key"]): one["chapter_key"] for one in items}
    until = parameters["as_of"]
    counts = {
        (one["site"], one["block_key"]): not one["visible_to_staff_only"]
        and (one["start"] is None or until is None or one["start"] < until)
        for one in items
        if one["block_type"] == "chapter" and one["index"] is not None
    }
    return of, counts


VIEWS = ("chapter", "course", "sequential", "vertical", "problem", "video", "html")


def person_course(inputs: Inputs, parameters: Parameters) -> list[Row]:
    everybody = persons(inputs, parameters)
    blocks = blocks_of_events(inputs, parameters)
    has_events = any(not name.startswith(("db_", "olx_")) for name in inputs)
    events = by_person(learner_events(inputs, parameters))
    days = defaultdict(list)
    for one in person_course_day(inputs, parameters):
        days[one["site"], one["user_id"]].append(one)
    enrolled = _of_people(inputs, "db_student_courseenrollment")
    modules = _of_people(inputs, "db_courseware_studentmodule", "student_id")
    certificates = _of_people(inputs, "db_certificates_generatedcertificate")
    grades = _of_people(inputs, "db_grades_persistentcoursegrade")
    profiles = _of_people(inputs, "db_auth_userprofile")
    accounts = _of_people(inputs, "db_auth_user", "id")
    spells = defaultdict(list)
    for one in twins_enrollment.spells(inputs, parameters):
        spells[one["site"], one["user_id"]].append(one)
    forum = {
        (one["site"], one["user_id"]): one for one in twins_forum.forum_person(inputs, parameters)
    }
    sessions = Counter(
        (one["site"], one["user_id"]) for one in twins_time.sessions(inputs, parameters)
    )
    videos = defaultdict(list)
    lengths: dict[tuple[str, str], float] = {}
    for one in twins_video.person_video(inputs, parameters):
        videos[one["site"], one["user_id"]].append(one)
        where = one["site"], one["block_id"]
        lengths[where] = max(lengths.get(where, 0), one["duration"] or 0)
    for one in course_items(inputs, parameters):
        if one["block_type"] == "video":
            where = one["site"], one["block_id"]
            lengths[where] = max(lengths.get(where, 0), one["length_s"] or 0)
    chapter_of, counting = _chapters(inputs, parameters)
    has_chapters = {"db_course_structure", "db_courseware_studentmodule"} <= set(inputs)
    completed = _completed(inputs, parameters)
    graded = defaultdict(list)
    for one in subject_events(inputs, parameters):
        if one["table"] == "grade_events" and one.get("level") == "course":
            graded[one["person"]].append(one["at"])
    cutoffs = [row["cutoff"] for row in inputs.get("olx_cutoffs", ())]
    made = [row["created"] for rows in enrolled.values() for row in rows if row.get("created")]
    read_at = parameters["as_of"] or max(made, default=None)

    found = []
    for person in sorted({*enrolled, *days}):
        site, its, its_days = person[0], everybody[person], days.get(person, [])
        row = enrolled[person][0] if person in enrolled else {}
        spell = spells.get(person, [])
        verified = [one for one in spell if one["mode"] == "verified"]
        ended = [one["end"] for one in spell if one["end_source"] == "event"]
        starts = [one["start"] for one in spell if one["spell_no"] == 1 and one["start"]]
        # What was opened.
        rows = modules.get(person, [])
        looked = any(one["module_type"] in VIEWS for one in rows)
        clicked = any(
            one["table"] == "requests" and one.get("route") in ("courseware", "xblock_view")
            for one in events.get(person, ())
        )
        is_known = {"db_courseware_studentmodule", "requests"} <= set(inputs)
        opened = {chapter_of.get((site, one["module_id"])) for one in rows}
        opened = {one for one in opened if (site, one) in counting}
        there = sum(counts for (at, _), counts in counting.items() if at == site)
        n_counting = sum(counting[site, one] for one in opened)
        has_share = has_chapters and there > 0
        # Results.
        cert: Row = max(
            certificates.get(person, []),
            key=lambda one: (one["modified_date"], one["id"]),
            default={},
        )
        cert_grade = _number(cert.get("grade"))
        is_certified = cert.get("status") == "downloadable" or (
            cert.get("status") == "unavailable" and cert_grade is not None
        )
        grade: Row = grades[person][0] if person in grades else {}
        percent = grade.get("percent_grade")
        final = cert_grade if percent is None else percent
        passing = min(cutoffs, default=None)
        if passing is not None and final is not None:
            is_completed: bool | None = final >= passing
        elif grade.get("passed_timestamp") is not None or is_certified:
            is_completed = True
        else:
            tables = "db_grades_persistentcoursegrade db_certificates_generatedcertificate"
            is_completed = if_there(inputs, tables, False)
        profile: Row = profiles[person][0] if person in profiles else {}
        born = profile.get("year_of_birth")
        if born is not None and (born < 1900 or (read_at and born > read_at.year - 5)):
            born = None
        mail = (accounts[person][0].get("email") or "") if person in accounts else ""
        has_mail = parameters["with_email_domain"] and "@" in mail
        # What was done.
        mine = events.get(person, [])
        checks = [
            one for one in mine if one["table"] == "problem_events" and one["action"] == "check"
        ]
        problems = {_problem(one, blocks) for one in checks} - {None}
        right = [one for one in checks if one.get("success") == "correct"]
        solved = {_problem(one, blocks) for one in right} - {None}
        seen = videos.get(person, [])
        known = [
            twins_video.us(min(one["unique_s"], lengths[site, one["block_id"]]))
            for one in seen
            if lengths.get((site, one["block_id"]), 0) > 0
        ]
        of_all = sum(twins_video.us(length) for (at, _), length in lengths.items() if at == site)
        post: Row = forum.get(person, {})

        def total(name: str, its_days: Sequence[Row] = its_days) -> int:
            return sum(one[name] or 0 for one in its_days)

        def time(name: str, its_days: Sequence[Row] = its_days) -> float:
            return sum(round((one[name] or 0) * 1_000_000) for one in its_days) / 1e6

        def forum_count(name: str, tables: str, post: Row = post) -> int | None:
            n: int | None = if_there(inputs, tables, post.get(name) or 0)
            return n

        posts = sum(post.get(name) or 0 for name in ("n_threads", "n_responses", "n_comments"))
        is_odd = bool(mine) and its["in_auth_user"] is False
        if has_events and row and is_certified:
            last = mine[-1]["at"] if mine else None
            created = cert.get("created_date")
            is_odd = is_odd or last is None or created is None or last < created
        can_tell = has_events and {
            "db_auth_user",
            "db_certificates_generatedcertificate",
        } <= set(inputs)
        enrolments = "enrollment_events db_student_courseenrollment"
        between = steps(mine)
        found.append(
            {
                "site": site,
                "course_id": parameters["course_id"],
                "user_id": person[1],
                "username": its["username"],
                "enrolled": if_there(inputs, "db_student_courseenrollment", bool(row)),
                "registered_at": row.get("created"),
                "mode": row.get("mode"),
                "is_active": row.get("is_active"),
                "first_enrolled_at": min(starts, default=None),
                "last_unenrolled_at": max(ended, default=None),
                "ever_verified": if_there(inputs, enrolments, bool(verified)),
                "verified_at": min(
                    (one["start"] for one in verified if one["start"]), default=None
                ),
                "unverified_at": None
                if any(one["is_open"] for one in verified)
                else max((one["end"] for one in verified if one["end"]), default=None),
                "viewed": True if looked or clicked else False if is_known else None,
                "n_chapters": len(opened) if has_chapters else None,
                "chapter_share": round(n_counting / there, 12) if has_share else None,
                "explored": n_counting / there >= 0.5 if has_share else None,
                "certified": if_there(inputs, "db_certificates_generatedcertificate", is_certified),
                "cert_status": cert.get("status"),
                "cert_created": cert.get("created_date"),
                "cert_modified": cert.get("modified_date"),
                "cert_mode": cert.get("mode"),
                "grade": final,
                "letter_grade": grade.get("letter_grade") or None,
                "grade_source": "grades"
                if percent is not None
                else "certificates"
                if cert_grade is not None
                else None,
                "passed_at": grade.get("passed_timestamp"),
                "passing_grade": passing,
                "completed": is_completed,
                "YoB": born,
                "gender": profile.get("gender") or None,
                "LoE": profile.get("level_of_education") or None,
                "profile_country": profile.get("country") or None,
                "profile_language": profile.get("language") or None,
                "email_domain": mail.rpartition("@")[2].lower() if has_mail else None,
                "roles": its["roles"],
                "forum_roles": its["forum_roles"],
                "is_staff": its["is_staff"],
                "first_event": its_days[0]["first_event"] if its_days else None,
                "last_event": its_days[-1]["last_event"] if its_days else None,
                "n_events": total("n_events") if has_events else None,
                "n_all_events": len(mine) if has_events else None,
                "n_days": len(its_days) if has_events else None,
                **{
                    name: if_there(inputs, table, total(name))
                    for name, (table, _) in COUNTS.items()
                },
                "n_videos": if_there(
                    inputs, "video_events", sum(one["unique_s"] >= 5 for one in seen)
                ),
                "video_seconds": if_there(
                    inputs,
                    "video_events",
                    sum(round(one["unique_s"] * 1_000_000) for one in seen) / 1e6,
                ),
                "video_share": if_there(
                    inputs, "video_events", round(sum(known) / of_all, 12) if of_all else None
                ),
                "n_problems": if_there(inputs, "problem_events", len(problems)),
                "n_problems_correct": if_there(inputs, "problem_events", len(solved)),
                "n_forum_posts": if_there(inputs, "db_forum", posts),
                "n_threads": forum_count("n_threads", "db_forum"),
                "n_responses": forum_count("n_responses", "db_forum"),
                "n_comments": forum_count("n_comments", "db_forum"),
                "n_votes_given": forum_count("n_votes_given", FORUM),
                "n_votes_got": forum_count("n_votes_got", "db_forum"),
                "n_endorsed": forum_count("n_endorsed", "db_forum"),
                "n_pinned": forum_count("n_pinned", "db_forum"),
                "n_forum_reads": forum_count("n_reads", FORUM),
                "n_blocks_completed": if_there(
                    inputs,
                    "completion_events",
                    len({name for _, name in completed.get(person, ())}),
                ),
                "n_sessions": sessions[person] if has_events else None,
                "time_s": time("time_s") if has_events else None,
                "time_other_s": time("time_other_s") if has_events else None,
                **{
                    f"time_{kind}_s": if_there(
                        inputs, twins_time.TELL[kind], time(f"time_{kind}_s")
                    )
                    for kind in KINDS
                    if kind != "other"
                },
                **between,
                "dt_n": between["dt_n"] if has_events else None,
                "grade_events_last": max(graded.get(person, ()), default=None),
                "is_anomalous": True if is_odd else False if can_tell else None,
            }
        )
    return found


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
