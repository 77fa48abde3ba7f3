"""A learner: what happens, and what derived tables must say about it."""

from __future__ import annotations

import datetime
import hashlib
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from edxlogs.generator.course import INPUTS, Block, Course
from edxlogs.generator.lines import Line, Lines, Person

GAP = datetime.timedelta(minutes=30)
CAP, LONG_CAP = 300.0, 1800.0  # seconds that a gap counts at most; the long one: video, text
DAYS_WITHOUT_VIEWS = 12  # of a course; then threads that are read have an event of it
KINDS = ("video", "problem", "forum", "ora", "text", "other")
Row = dict[str, Any]
Moment = datetime.datetime


def seconds(value: float) -> datetime.timedelta:
    """A span in whole milliseconds."""
    return datetime.timedelta(milliseconds=round(value * 1000))


class Learner:
    """A person in a course. No two moments of one learner are equal.

    Attributes:
        lines: lines of the log, in order of time.
        acts: moment and kind of everything that counts as an act of the learner.
        played: ids of videos that were ever played.
        viewings, attempts, sessions: rows of the tables of these names.
        days: counts by day.
        posts: documents of the forum.
    """

    def __init__(self, course: Course, who: Person, rng: random.Random) -> None:
        self.course, self.who, self.rng = course, who, rng
        self.now = course.start
        self.write = Lines(course, who, "")
        self.lines: list[Line] = []
        self.acts: list[tuple[Moment, str]] = []
        self.all_events = 0
        self.sessions: list[Row] = []
        self.viewings: list[Row] = []
        self.attempts: list[Row] = []
        self.days: dict[datetime.date, Counter[str]] = defaultdict(Counter)
        self.problems_of: dict[datetime.date, set[str]] = defaultdict(set)
        self.totals: Counter[str] = Counter()
        self.checked: dict[str, list[Row]] = defaultdict(list)
        self.shown: set[str] = set()
        self.played: set[str] = set()
        self.posts: list[Row] = []
        self.skill = rng.uniform(-0.2, 0.2)

    @property
    def key(self) -> Row:
        """How every row of the learner begins."""
        return {"site": self.course.site, "course_id": self.course.key, "user_id": self.who.user_id}

    def study(self, start: Moment, acts: int, *, mobile: bool, closes: bool) -> None:
        """One session: acts with less than 30 minutes between them, and what comes with them."""
        self.now = max(start, self.now + GAP + datetime.timedelta(minutes=1))
        first, number = len(self.acts), len(self.sessions) + 1
        digits = f"{self.who.user_id}/{self.course.key}/{number}".encode()
        self.write.session = hashlib.md5(digits, usedforsecurity=False).hexdigest()
        self.write.is_mobile = mobile
        things: list[Callable[[], None]] = [self.read_page, self.watch, self.watch]
        if not mobile:
            things += [self.solve, self.solve, self.talk, self.look_around, self.write_essay]
        for place in range(acts):
            self.rng.choice(things if place else things[:1])()
            self.wait(5, 1500)
        self.now = self.acts[-1][0] + seconds(2)
        if closes:
            self.note(self.write.browser(self.now, "page_close", ""))
        acts_of = self.acts[first:]
        kinds = Counter(kind for _, kind in acts_of)
        begin, end = acts_of[0][0], acts_of[-1][0]
        self.days[begin.date()]["n_sessions_started"] += 1
        self.sessions.append(
            {
                **self.key,
                "session_no": number,
                "start": begin,
                "end": end,
                "duration_s": (end - begin).total_seconds(),
                "n_events": len(acts_of),
                **{f"n_{kind}": kinds[kind] for kind in KINDS},
                "login_sessions": 1,
                "agents": 1,
                "is_mobile": mobile,
                "ended_by": "close" if closes else "gap",
            }
        )

    def reached(self, kind: str) -> Block:
        """A block of a kind, out of those that come before or in this session."""
        return self.rng.choice(self.course.of(kind)[: 4 + 2 * len(self.sessions)])

    def wait(self, least: float, most: float) -> None:
        """Let time go by, in whole milliseconds."""
        self.now += seconds(self.rng.uniform(least, most))

    def note(self, line: Line) -> None:
        """Add a line that is not an act of the learner."""
        self.lines.append(line)
        self.all_events += 1
        self.days[self.now.date()]["n_all_events"] += 1

    def act(self, kind: str, line: Line, *counts: str) -> None:
        """Add a line that is an act. The next line comes later."""
        self.acts.append((self.now, kind))
        self.note(line)
        self.days[self.now.date()]["n_events"] += 1
        for count in counts:
            self.days[self.now.date()][count] += 1
            self.totals[count] += 1
        self.wait(0.01, 0.5)

    def read_page(self) -> None:
        """Read a page of the courseware, with the requests that this causes."""
        self.act("text", self.write.request(self.now, "courseware/a/b/"))
        block = self.rng.choice(self.course.of("problem"))
        path = f"xblock/{block.key}/handler/xmodule_handler/problem_get"
        self.note(self.write.request(self.now, path))
        self.wait(0.01, 0.5)

    def look_around(self) -> None:
        """Open the progress page, or take a step in a sequence."""
        if self.rng.random() < 0.5:
            self.act("other", self.write.request(self.now, "progress"), "n_progress")
            return
        unit = self.rng.choice(self.course.of("sequential"))
        payload = {"old": 1, "new": 2, "id": unit.key}
        self.act("other", self.write.browser(self.now, "seq_goto", payload), "n_goto")

    def write_essay(self) -> None:
        """Hand in an open response, and later assess one of others."""
        (block,) = self.course.of("openassessment")
        number = f"{self.who.user_id:032x}"
        others = [
            essay for when, essay in self.course.essays if when < self.now and essay != number
        ]
        if self.totals["n_ora"] and others:
            assessed = self.rng.choice(others)
            rated: Row = {"submission_uuid": assessed, "score_type": "PE", "parts": []}
            kind = "openassessmentblock.peer_assess"
            self.act("ora", self.write.server(self.now, kind, rated, block))
            return
        self.course.essays.append((self.now, number))
        payload = {
            "answer": {"parts": [{"text": "An essay."}]},
            "submission_uuid": number,
            "submitted_at": self.now.isoformat(),
            "attempt_number": 1,
        }
        kind = "openassessmentblock.create_submission"
        self.act("ora", self.write.server(self.now, kind, payload, block), "n_ora")

    def watch(self) -> None:
        """Watch a video in runs, each ended by a pause, a jump or the end."""
        block = self.reached("video")
        self.played.add(block.block_id)
        self._player("load_video", block, {})
        self.wait(0.01, 0.5)
        begins = self.rng.random() < 0.6
        position = told = 0.0 if begins else round(self.rng.uniform(0, block.duration / 2), 3)
        goes_on = True
        while goes_on:
            begin = self.now
            self._player("play_video", block, {"currentTime": told}, "n_play", "n_video")
            if self.rng.random() < 0.1:
                return  # no end of it is known: the next event of the video is another play
            length = min(self.rng.choice((0.1, 7.5, 40.0, 90.0)), block.duration - position)
            self.now += seconds(length)
            end = round(position + length, 3)
            how, there = "pause", end
            goes_on = self.rng.random() < 0.3
            if end >= block.duration:
                how, goes_on = "stop", False
                self._player("stop_video", block, {"currentTime": end}, "n_video")
            elif self.rng.random() < 0.4:
                how, goes_on = "seek", True
                there = round(self.rng.uniform(0, block.duration - 1), 3)
                jump = {"old_time": end, "new_time": there, "type": "onSlideSeek"}
                self._player("seek_video", block, jump, "n_seek", "n_video")
            else:
                self._player("pause_video", block, {"currentTime": end}, "n_pause", "n_video")
            if length >= 0.25:
                self._viewed(block, begin, self.acts[-1][0], position, end, how)
            # After a jump, some players still report where it began.
            told = end if how == "seek" and self.rng.random() < 0.5 else there
            position = there

    def _player(self, kind: str, block: Block, more: Row, *counts: str) -> None:
        code = "mobile" if self.write.is_mobile else "html5"
        payload = {"id": block.block_id, "code": code, "duration": block.duration, **more}
        names = {"load_video": "loaded", "play_video": "played", "pause_video": "paused"}
        names |= {"stop_video": "stopped", "seek_video": "position.changed"}
        if self.write.is_mobile:
            line = self.write.app(self.now, kind, f"edx.video.{names[kind]}", payload)
        else:
            line = self.write.browser(self.now, kind, payload)
        if kind == "load_video":
            self.note(line)
        else:
            self.act("video", line, *counts)

    def _viewed(
        self, block: Block, begin: Moment, end: Moment, start: float, stop: float, how: str
    ) -> None:
        self.viewings.append(
            {
                **self.key,
                "block_id": block.block_id,
                "start_time": begin,
                "end_time": end,
                "start_pos": start,
                "end_pos": stop,
                "seconds": stop - start,
                "ended_by": how,
                "duration": block.duration,
                "player": "mobile" if self.write.is_mobile else "browser",
            }
        )

    def solve(self) -> None:
        """Answer a problem: what browser and server write about one click, sometimes more."""
        block = self.reached("problem")
        before = self.checked[block.block_id]
        chance = self.rng.random()
        if len(before) == 4 or chance < 0.15:
            payload = {"problem_id": block.key}
            line = self.write.server(self.now, "showanswer", payload, block)
            self.act("problem", line, "n_answers_shown")
            self.shown.add(block.block_id)
            return
        if chance < 0.25:
            kept: Row = {"problem_id": block.key, "answers": {}, "state": {}}
            self.act("problem", self.write.server(self.now, "save_problem_success", kept, block))
            return
        self._check(block, before)

    def _check(self, block: Block, before: list[Row]) -> None:
        # Later problems are harder; who tries again knows more.
        easy = 0.9 - 0.08 * self.course.of("problem").index(block) + 0.15 * len(before)
        right = [self.rng.random() < easy + self.skill - 0.1 * n for n in range(INPUTS)]
        answers = ["choice_1" if right[0] else "choice_0", "42" if right[1] else "41.5"]
        texts = ["yes" if right[0] else "no", answers[1]]
        responses = ("multiplechoiceresponse", "numericalresponse")
        names = [block.input_id(number) for number in range(INPUTS)]
        form = "&".join(
            f"input_{name}={answer}" for name, answer in zip(names, answers, strict=True)
        )
        self.note(self.write.browser(self.now, "problem_check", form))
        self.wait(0.01, 0.5)
        posted = {f"input_{name}": [answer] for name, answer in zip(names, answers, strict=True)}
        path = f"xblock/{block.key}/handler/xmodule_handler/problem_check"
        self.note(self.write.request(self.now, path, **posted))
        self.wait(0.01, 0.5)
        attempt = 1 + len(before)
        marks = ["correct" if good else "incorrect" for good in right]
        payload = {
            "problem_id": block.key,
            "attempts": attempt,
            "grade": sum(right),
            "max_grade": INPUTS,
            "success": "correct" if all(right) else "incorrect",
            "answers": dict(zip(names, answers, strict=True)),
            "correct_map": {
                name: {"correctness": mark, "npoints": None, "queuestate": None}
                for name, mark in zip(names, marks, strict=True)
            },
            "submission": {
                name: {"answer": text, "response_type": kind, "variant": ""}
                for name, text, kind in zip(names, texts, responses, strict=True)
            },
            "state": {"seed": 1, "done": None, "attempts": attempt - 1},
        }
        now = self.now
        counts = ["n_checks", *(["n_correct_checks"] if all(right) else [])]
        self.problems_of[now.date()].add(block.block_id)
        self.act("problem", self.write.server(now, "problem_check", payload, block), *counts)
        if self.rng.random() < 0.1:  # the platform writes it again
            again = self.write.server(self.now, "problem_check", payload, block)
            self.act("problem", again, *counts)
        self.note(self.write.browser(self.now, "problem_graded", [form, "<p/>"]))
        self.wait(0.01, 0.5)
        rows = [
            {
                **self.key,
                "block_id": block.block_id,
                "input_id": name,
                "part": number + 2,
                "input": 1,
                "attempt": attempt,
                "attempt_rank": attempt,
                "time": now,
                "answer": answer,
                "answer_text": text,
                "correctness": mark,
                "points": float(good),
                "response_type": kind,
                "seed": 1,
                "is_first": attempt == 1,
                "is_last": True,
                "answer_seen_before": block.block_id in self.shown,
            }
            for number, (name, answer, text, mark, good, kind) in enumerate(
                zip(names, answers, texts, marks, right, responses, strict=True)
            )
        ]
        for row in self.attempts:
            if row["block_id"] == block.block_id:
                row["is_last"] = False
        self.attempts += rows
        before.append(rows[0])

    def talk(self) -> None:
        """Read or write something in the forum."""
        chance = self.rng.random()
        there = [thread for when, thread in self.course.threads if when < self.now]
        if there and chance < 0.5:
            thread = self.rng.choice(there)
            if self.now >= self.course.start + datetime.timedelta(days=DAYS_WITHOUT_VIEWS):
                viewed = {"id": thread, "commentable_id": "general", "title": "A question"}
                line = self.write.server(self.now, "edx.forum.thread.viewed", viewed)
            else:
                line = self.write.request(self.now, f"discussion/forum/general/threads/{thread}")
            self.act("forum", line, "n_forum_reads")
            return
        kind = "thread" if not there or chance < 0.6 else "response"
        post = f"{self.who.user_id:012x}{len(self.posts):012x}"
        payload: Row = {"id": post, "commentable_id": "general", "body": "Why?", "truncated": False}
        if kind == "thread":
            payload |= {"title": "A question", "thread_type": "question"}
            self.course.threads.append((self.now, post))
        thread = post if kind == "thread" else self.rng.choice(there)
        if kind == "response":
            payload["discussion"] = {"id": thread}
        self.posts.append({"kind": kind, "id": post, "thread": thread, "time": self.now})
        line = self.write.server(self.now, f"edx.forum.{kind}.created", payload)
        self.act("forum", line, "n_forum_posts", f"n_{kind}s")

    def time_on_task(self) -> list[Row]:
        """Days with an act, and the time credited to each kind of act."""
        found: dict[datetime.date, Counter[str]] = defaultdict(Counter)
        for (moment, kind), after in itertools.zip_longest(self.acts, self.acts[1:]):
            its = found[moment.date()]
            if after is not None:
                gap = (after[0] - moment).total_seconds()
                most = LONG_CAP if kind in {"video", "text"} else CAP
                its[kind] += round(min(gap, most) * 1000)
                its["gaps"] += 1
                its["capped"] += gap > most
        return [
            {
                **self.key,
                "day": day,
                "time_s": sum(its[kind] for kind in KINDS) / 1000,
                **{f"time_{kind}_s": its[kind] / 1000 for kind in KINDS},
                "n_gaps": its["gaps"],
                "n_capped": its["capped"],
            }
            for day, its in sorted(found.items())
        ]
