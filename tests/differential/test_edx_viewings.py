"""What was watched is what edX's own pipeline says, from lines of a log to the rows.

Its rules stand here once more, over the lines themselves: neither the tables of events nor the
twins of derived tables take part.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import edxlogs
from derived import rows_of

Viewing = tuple[str, int, str, float, float, str]
ACTS = ("play_video", "pause_video", "stop_video", "seek_video")
SHORTEST, LONGEST = 0.25, 36_000


def _place(event: dict[str, Any]) -> tuple[float, float] | None:
    """Where an act was, and where it led to; None where that cannot be told."""
    payload = json.loads(event["event"])
    names = ("old_time", "new_time") if event["event_type"] == ACTS[3] else ("currentTime",) * 2
    if any(payload.get(name) is None for name in names):
        return None
    return float(payload[names[0]]), float(payload[names[1]])


def viewings(lines: Iterable[str]) -> list[Viewing]:
    """The viewings of a log, as the pipeline finds them: course, person, video, from, to, by what.

    A play begins one, whatever went before; the next other act ends it. After a jump that ended
    one, the next begins where the jump led to.
    """
    acts: dict[tuple[str, int, str], list[tuple[datetime, str, float, float]]] = defaultdict(list)
    for line in lines:
        event = json.loads(line)
        user = (event.get("context") or {}).get("user_id")
        if event.get("event_type") in ACTS and user not in (None, "") and (place := _place(event)):
            # Pages spell a video `i4x-org-course-video-name`: its last part names it.
            video = json.loads(event["event"])["id"].rpartition("-")[2]
            key = event["context"]["course_id"], int(user), video
            time = datetime.fromisoformat(event["time"])
            acts[key].append((time, event["event_type"], *place))
    found = []
    for key, its in acts.items():
        begin: float | None = None
        jumped_to: float | None = None
        for _, act, position, led_to in sorted(its):
            if act == "play_video":
                begin = position if jumped_to is None else jumped_to
                jumped_to = None
            elif begin is not None:
                if position - begin >= SHORTEST and begin >= 0 and position <= LONGEST:
                    found.append((*key, begin, position, act.partition("_")[0]))
                begin, jumped_to = None, led_to if act == "seek_video" else None
    return sorted(found)


def _derived(log: Path, folder: Path) -> Path:
    edxlogs.write_event_tables([log], folder / "events")
    tables = ["video_viewings", "video_segments"]
    edxlogs.derive(folder / "derived", events=folder / "events", table=tables)
    return folder / "derived"


def _made(folder: Path) -> list[Viewing]:
    return sorted(
        (
            row["course_id"],
            row["user_id"],
            row["block_id"],
            row["start_pos"],
            row["end_pos"],
            row["ended_by"],
        )
        for row in rows_of(folder, "video_viewings")
    )


def test_viewings_of_the_sample_log(reference: Path, tmp_path: Path) -> None:
    log = reference / "data/events/edx-analytics-pipeline.jsonl"
    expected = viewings(log.read_text().splitlines())
    assert len(expected) == 11
    assert _made(_derived(log, tmp_path)) == expected


OLD, NEW = "UniX/HY101/2013", "course-v1:UniX+HY102+2014"


def _line(course: str, user: int, video: str, at: int, act: str, *places: float) -> str:
    names = ("old_time", "new_time") if act == "seek" else ("currentTime",)
    payload = {"id": video, "code": "abc", **dict(zip(names, places, strict=True))}
    return json.dumps(
        {
            "username": f"learner_{user}",
            "event_type": f"{act}_video",
            "event_source": "browser",
            "context": {"course_id": course, "org_id": "UniX", "user_id": user},
            "time": f"2014-05-02T16:44:{at:02}.901775+00:00",
            "event": json.dumps(payload),
        }
    )


LECTURE, CLIP = "i4x-UniX-HY101-video-lecture", "i4x-UniX-HY101-video-clip"
# Jumps back and forth, pauses in the middle and at the end: as the pipeline's acceptance test.
ACTED = [
    (OLD, 1, LECTURE, 1, "play", 0), (OLD, 1, LECTURE, 2, "seek", 13.5, 6.5),
    (OLD, 1, LECTURE, 3, "play", 6.5), (OLD, 1, LECTURE, 4, "seek", 13.5, 18),
    (OLD, 1, LECTURE, 5, "play", 13), (OLD, 1, LECTURE, 6, "pause", 22),
    (OLD, 1, LECTURE, 7, "play", 22), (OLD, 1, LECTURE, 8, "pause", 24.5),
    (OLD, 2, LECTURE, 1, "play", 0), (OLD, 2, LECTURE, 6, "pause", 9.5),
    (OLD, 3, LECTURE, 1, "play", 16), (OLD, 3, LECTURE, 18, "pause", 24.5),
    (OLD, 1, CLIP, 20, "play", 10), (OLD, 1, CLIP, 30, "pause", 20),
    (NEW, 1, "clip", 40, "play", 0), (NEW, 1, "clip", 44, "stop", 4),
]  # fmt: skip
# Video, segment, people, views: what the pipeline publishes of its own log of the same acts.
PUBLISHED = [
    (NEW, "clip", 0, 1, 1),
    (OLD, "clip", 2, 1, 1), (OLD, "clip", 3, 1, 1), (OLD, "clip", 4, 1, 1),
    (OLD, "lecture", 0, 2, 2), (OLD, "lecture", 1, 2, 3), (OLD, "lecture", 2, 1, 2),
    (OLD, "lecture", 3, 2, 2), (OLD, "lecture", 4, 2, 3),
]  # fmt: skip


def test_segments_are_those_that_edx_published(tmp_path: Path) -> None:
    log = tmp_path / "tracking.log"
    lines = [_line(*one) for one in ACTED]  # type: ignore[arg-type]
    log.write_text("\n".join(lines) + "\n")
    derived = _derived(log, tmp_path)
    expected = viewings(lines)
    assert _made(derived) == expected
    assert len(expected) == 8
    names = ("course_id", "block_id", "segment", "users", "views")
    segments = [
        tuple(row[name] for name in names)
        for row in rows_of(derived, "video_segments")
        if row["users"]
    ]
    assert sorted(segments) == sorted(PUBLISHED)
