"""Tables by the names of peers once more in plain Python: what is renamed, and what is worked out.

`RENAMED` holds tables whose columns are those of a derived table under other names. The functions
give what needs events: from the twins of these, never from the SQL.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import twins_forum
from twins_course import blocks_of_events
from twins_events import Inputs, Row, by_person, learner_events, persons, subject_events
from twins_person import steps

Parameters = Mapping[str, Any]
RENAMED: Mapping[str, tuple[str, str]] = {
    "simeon_person_course": (
        "person_course",
        "course_id user_id username registered=enrolled viewed explored certified completed LoE YoB"
        " gender grade passing_grade start_time=registered_at first_event last_event"
        " nevents=n_all_events ndays_act=n_days nplay_video=n_play nchapters=n_chapters"
        " nforum_posts=n_forum_posts nforum_votes=n_votes_got nforum_endorsed=n_endorsed"
        " nforum_threads=n_threads nforum_pinned=n_pinned nprogcheck=n_progress"
        " nproblem_check=n_checks mode is_active cert_created_date=cert_created"
        " cert_modified_date=cert_modified cert_status verified_enroll_time=verified_at"
        " verified_unenroll_time=unverified_at profile_country email_domain"
        " ntranscript=n_transcript nshow_answer=n_answers_shown nvideo=n_video"
        " nvideos_unique_viewed=n_videos nseq_goto=n_goto nseek_video=n_seek npause_video=n_pause"
        " avg_dt=dt_mean sdv_dt=dt_sd max_dt=dt_max n_dt=dt_n",
    ),
    "simeon_person_course_day": (
        "person_course_day",
        "username course_id date=day nevents=n_all_events nprogcheck=n_progress"
        " nshow_answer=n_answers_shown nvideo=n_video nproblem_check=n_checks"
        " ntranscript=n_transcript nseq_goto=n_goto nseek_video=n_seek npause_video=n_pause"
        " nvideos_viewed=n_videos nvideos_watched_sec=video_seconds nforum_reads=n_forum_reads"
        " nforum_posts=n_forum_posts nforum_threads=n_threads_touched"
        " nproblems_answered=n_problems nproblems_attempted=n_checks first_event last_event",
    ),
    "simeon_time_on_task": (
        "time_on_task",
        "course_id date=day username total_time_30=time_s total_video_time_30=time_video_s"
        " total_problem_time_5=time_problem_s total_forum_time_5=time_forum_s"
        " total_text_time_30=time_text_s",
    ),
    "simeon_course_axis": (
        "course_items",
        "category=block_type index url_name=block_id name=display_name gformat=format due start"
        " module_id=block_key course_id chapter_mid=chapter_key graded visible_to_staff_only"
        " split_url_name=split_name",
    ),
    "simeon_person_problem": (
        "person_problem",
        "user_id course_id problem_raw_score=grade grade n_attempts",
    ),
    "simeon_problem_grades": (
        "person_problem",
        "user_id module_id=block_key grade max_grade",
    ),
    "simeon_pc_forum": (
        "forum_person",
        "user_id nvotes=n_votes_got npinned=n_pinned nendorsed=n_endorsed nthread=n_threads",
    ),
}
"""By table: ours, and words `theirs=ours`, or one name where they are the same."""


def renamed(table: str, ours: Iterable[Row]) -> list[tuple[Any, ...]]:
    """What the renamed columns of a table hold, in any order of rows."""
    columns = [word.partition("=")[2] or word for word in RENAMED[table][1].split()]
    return sorted((tuple(row[one] for one in columns) for row in ours), key=repr)


def theirs(table: str, rows: Iterable[Row]) -> list[tuple[Any, ...]]:
    """The same, of rows by the names of peers."""
    columns = [word.partition("=")[0] for word in RENAMED[table][1].split()]
    return sorted((tuple(row[one] for one in columns) for row in rows), key=repr)


def names(inputs: Inputs, parameters: Parameters) -> dict[Any, Any]:
    """Usernames by person."""
    return {person: its["username"] for person, its in persons(inputs, parameters).items()}


def day_steps(inputs: Inputs, parameters: Parameters) -> Counter[tuple[Any, ...]]:
    """Of each learner and day with an act, `nforum` and what is told of times between events."""
    found: Counter[tuple[Any, ...]] = Counter()
    named = names(inputs, parameters)
    for person, events in by_person(learner_events(inputs, parameters)).items():
        for day in {one["day"] for one in events if one["act"]}:
            its = steps(events, day)
            asked = sum(
                one["day"] == day and one["table"] == "requests" and one["word"] == "discussion"
                for one in events
            )
            mean, n = its["dt_mean"], its["dt_n"]
            total = None if mean is None else round(mean * n, 6)
            found[
                named[person], day, asked if "requests" in inputs else None,
                mean, its["dt_sd"], its["dt_max"], n, total,
            ] += 1  # fmt: skip
    return found


def addresses(inputs: Inputs, parameters: Parameters) -> Counter[tuple[Any, ...]]:
    """Username, address, day and number of events."""
    named = names(inputs, parameters)
    counts = Counter(
        (one["person"], one["ip"], one["day"])
        for one in learner_events(inputs, parameters)
        if one.get("ip")
    )
    return _by_name(named, counts)


def _by_name(named: Mapping[Any, Any], counts: Mapping[Any, int]) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    merged: Counter[tuple[Any, ...]] = Counter()
    for (person, *rest), n in counts.items():
        merged[(named[person], *rest)] += n
    for key, n in merged.items():
        found[(*key, n)] += 1
    return found


def farthest(inputs: Inputs, parameters: Parameters) -> Counter[tuple[Any, ...]]:
    """Day, username, video and the farthest position."""
    named, blocks = names(inputs, parameters), blocks_of_events(inputs, parameters)
    found: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for one in learner_events(inputs, parameters):
        video = blocks.get(one.get("block_key") or "", (None, None, None))[1]
        if one["table"] == "video_events" and one["action"] in ("play", "pause", "stop") and video:
            key = one["day"], named[one["person"]], video
            found[key] += [] if one.get("position") is None else [one["position"]]
    return Counter((*key, max(its, default=None)) for key, its in found.items())


def shown(inputs: Inputs, parameters: Parameters) -> Counter[tuple[Any, ...]]:
    """When an answer was shown, to whom, and of which problem."""
    named, blocks = names(inputs, parameters), blocks_of_events(inputs, parameters)
    return Counter(
        (
            one["at"],
            named[one["person"]],
            blocks.get(one.get("block_key") or "", (None,))[0] or one.get("block_key"),
        )
        for one in learner_events(inputs, parameters)
        if one["table"] == "problem_events" and one["action"] == "answer_shown"
    )


def enrolments(inputs: Inputs, parameters: Parameters) -> Counter[tuple[Any, ...]]:
    """When, who, the mode, and which of four types the event is."""
    types = {
        "activate": "activated",
        "deactivate": "deactivated",
        "mode_change": "mode_changed",
        "upgrade_done": "upgrade.succeeded",
    }
    found: Counter[tuple[Any, ...]] = Counter()
    for one in subject_events(inputs, parameters):
        if one["table"] == "enrollment_events":
            its = types.get(one["action"])
            event_type = None if its is None else f"edx.course.enrollment.{its}"
            found[one["at"], one["person"][1], one.get("mode"), event_type] += 1
    return found


def forum_acts(inputs: Inputs, parameters: Parameters) -> Counter[tuple[Any, ...]]:
    """When, who, what, and in which thread."""
    named = names(inputs, parameters)
    found: Counter[tuple[Any, ...]] = Counter()
    for one in twins_forum.acts(inputs, parameters):
        what = {"view": "read", "search": "searched"}.get(one["what"], one["what"])
        if what == "create" and one["post_kind"]:
            what = f"created_{one['post_kind']}"
        if what == "vote":
            what = "upvote" if one["votes"] == 1 else "unvote"
        found[one["at"], named[one["person"]], what, one.get("thread_id")] += 1
    return found
