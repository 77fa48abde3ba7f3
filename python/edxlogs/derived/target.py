"""Where derived tables go: a store whose inputs are courses, with one file per table.

Paths are `{table}/course_id={id}/part-{digest}.parquet`, for each table of a course that can be
made. What a table of a course was made from is recorded as a digest: of its definition and
everything that it needs, of parameters, and of the files of its inputs. If that has not changed,
the table is not made again; otherwise its partition is replaced as a whole. The name of a file
follows from its content.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import orjson

from edxlogs import _core
from edxlogs.derived.account import CourseAccount
from edxlogs.derived.definition import VERSION, Definition, Definitions, Kind
from edxlogs.derived.engine import CourseMade, Engine, Work
from edxlogs.derived.inputs import COURSE, CourseInputs
from edxlogs.derived.parameters import Parameters
from edxlogs.errors import ConfigError, EdxlogsError, OutputError, cannot_write
from edxlogs.stops import put_off
from edxlogs.store import disk
from edxlogs.store.manifest import Identity, Input, Segment, now
from edxlogs.store.store import Store
from edxlogs.threads import Workers

HOLDS = "derived tables"
_PATIENCE_SECONDS = 0.05
COMMIT_SECONDS = 30.0  # between commits on the way
EVENTS = "events"
"""Name of counts of a course that come from its inputs alone, beside those of definitions."""


@dataclass(frozen=True, slots=True)
class _Closure:
    """A definition together with everything that it needs.

    Attributes:
        inputs: inputs that are read.
        parameters: parameters that are read, and their values.
        sha256: digest of all statements.
        is_custom: whether one of the statements is not built in.
    """

    inputs: frozenset[str]
    parameters: Mapping[str, Any]
    sha256: str
    is_custom: bool

    def used(self, inputs: CourseInputs) -> dict[str, Any]:
        """The parameters; for a course, with the day that an unset one stands for."""
        told = dict(self.parameters)
        if "as_of" in told and told["as_of"] is None:
            told["as_of"] = inputs.day
        return told


@dataclass(slots=True)
class _Plan:
    """What to make for a course, and the result."""

    inputs: CourseInputs
    asked: Sequence[Definition]
    digests: Mapping[str, str]  # of tables and counts, by name
    work: Work | None = None
    made: list[str] = field(default_factory=list)
    error: str | None = None


@dataclass
class Target:
    """The tables of a run.

    Attributes:
        store: takes the files.
        engine: runs the statements.
        definitions: definitions of all tables.
        wanted: names of the tables that are asked for.
        parameters: parameters of the run.
        snapshots: what identifies the states of the datasets that are read.
    """

    store: Store
    engine: Engine
    definitions: Definitions
    wanted: Sequence[str]
    parameters: Parameters
    snapshots: dict[str, Any]
    _segment: Segment = field(init=False)
    _closures: dict[str, _Closure] = field(default_factory=dict)
    _committed: float = field(default_factory=time.monotonic)
    _started: str = field(default_factory=now)

    def __post_init__(self) -> None:
        self._segment = Segment(self._started)

    def claim(self, *, overwrite: bool) -> None:
        """Record what the tables are.

        Raises:
            ConfigError: existing tables were made with other parameters and `overwrite` is false,
                or something else is there.
        """
        query = {
            "holds": HOLDS,
            "partition_by": [COURSE],
            "parameters": self.parameters.told(),
            "definitions": self._definitions(),
            "snapshots": self.snapshots,
        }
        there = self.store.manifest.query
        if there is not None and there.get("holds") == HOLDS:
            # With other definitions or newer inputs, courses are made again one by one.
            moving = ("definitions", "snapshots")
            same = {**query, **{key: there[key] for key in moving}}
            self.store.claim(same, overwrite=overwrite)
        else:
            self.store.claim(query, overwrite=overwrite)
        self.store.query = query

    def _definitions(self) -> dict[str, Any]:
        custom = list(self.definitions.custom)
        return {"version": VERSION, "sha256": self.definitions.digest(), "custom": custom}

    def make(self, courses: Sequence[CourseInputs]) -> list[CourseAccount]:
        """Make the tables of some courses, unless they are up to date.

        Small courses are made at once, one per thread; others one after another. What is ready is
        committed from time to time.

        Returns:
            What became of each course, in order.

        Raises:
            OutputError: the output cannot be written.
            ConfigError: a statement is invalid.
        """
        plans = [self._plan(inputs, number) for number, inputs in enumerate(courses)]
        stale = [plan for plan in plans if plan.work is not None]
        small = [plan for plan in stale if plan.work is not None and plan.work.is_small]
        self._carry_out(small, self.engine.threads)
        for plan in stale:
            if plan not in small:
                self._carry_out([plan], 1)
        return [self._account(plan) for plan in plans]

    def _plan(self, inputs: CourseInputs, number: int) -> _Plan:
        """What to make for a course."""
        chosen = self.definitions.needed(self.wanted)
        names = {one.name for one in chosen}
        counting = [
            one
            for one in self.definitions.by_name.values()
            if one.kind is Kind.ACCOUNT and names.issuperset(one.needs)
        ]
        asked = [one for one in chosen if one.kind is Kind.TABLE and one.name in self.wanted]
        digests = {one.name: self._digest(one.name, inputs) for one in (*asked, *counting)}
        stale = [name for name in digests if not self._is_there(name, inputs, digests[name])]
        plan = _Plan(inputs, asked, digests)
        if stale:
            plan.work = Work(
                inputs,
                self.definitions.needed(stale),
                stale,
                {name: self._metadata(name, inputs) for name in stale},
                self.store.new / f"course-{number}",
            )
        return plan

    def _carry_out(self, plans: Sequence[_Plan], threads: int) -> None:
        """Do the work of some plans, and enter the results."""
        works = [plan.work for plan in plans if plan.work is not None]
        with Workers([partial(self.engine.make, one) for one in works], threads) as workers:
            try:
                for plan, work in zip(plans, works, strict=True):
                    try:
                        made = workers.take()
                    except (OutputError, ConfigError):
                        raise
                    except EdxlogsError as error:
                        plan.error = str(error)
                    else:
                        plan.made = sorted(made.tables)
                        self._enter(work, made, plan.digests)
                    disk.remove(work.folder)
                    self._commit_in_time()
            except BaseException:
                # A thread inside DuckDB would crash the process when it ends.
                self.engine.stop()
                workers.stop(_PATIENCE_SECONDS)
                while workers.are_alive:
                    self.engine.stop()
                    workers.stop(_PATIENCE_SECONDS)
                raise

    def _account(self, plan: _Plan) -> CourseAccount:
        """What became of a course."""
        inputs = plan.inputs
        account = CourseAccount(inputs.course.id, made=plan.made, error=plan.error)
        if inputs.content is not None:
            account.warnings += [f"olx: {one}: cannot be read" for one in inputs.content.odd]
        if plan.error is None:
            self._recall(inputs, plan.digests, account)
        for one in plan.asked:
            if one.name not in account.left:
                self._note_lacking(one, inputs, account)
        return account

    def _closure(self, name: str) -> _Closure:
        """A definition with everything that it needs, which is the same for all courses."""
        if name not in self._closures:
            needed = self.definitions.needed([name])
            inputs = frozenset(one for definition in needed for one in definition.inputs)
            told = self.parameters.told()
            # The day that a run refers to also decides which rows there are.
            used = [
                parameter
                for parameter in told
                if any(f"getvariable('{parameter}')" in one.text for one in needed)
                or (parameter == "as_of" and told["as_of"] is not None)
            ]
            is_custom = any(one.name in self.definitions.custom for one in needed)
            digest = self.definitions.digest([name])
            self._closures[name] = _Closure(
                inputs, {one: told[one] for one in used}, digest, is_custom
            )
        return self._closures[name]

    def _digest(self, name: str, inputs: CourseInputs) -> str:
        """A digest that changes if a table of a course would be made differently."""
        its = self._closure(name)
        told = [
            _core.__version__,
            VERSION,
            its.sha256,
            its.used(inputs),
            inputs.told(its.inputs),
        ]
        return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def _metadata(self, name: str, inputs: CourseInputs) -> dict[str, str]:
        """What the file of a table says about its making: nothing that depends on an order."""
        its = self._closure(name)
        used = orjson.dumps(its.used(inputs), option=orjson.OPT_SORT_KEYS).decode()
        told = {
            "version": _core.__version__,
            "table": name,
            "definitions": str(VERSION),
            "sql": f"{'custom ' * its.is_custom}{its.sha256}",
            "parameters": used,
            "differs": " ".join(self.definitions.by_name[name].differs),
            "lacking": " ".join(sorted(one for one in its.inputs if not inputs.has(one))),
            **inputs.origin(its.inputs),
        }
        return {f"edxlogs.{key}": value for key, value in told.items() if value}

    @staticmethod
    def _key(name: str, inputs: CourseInputs) -> str:
        return f"{name} {inputs.course.folder}"

    def _is_there(self, name: str, inputs: CourseInputs, digest: str) -> bool:
        if self.store.replaces_all:
            return False
        known = self.store.manifest.newest(self._key(name, inputs))
        return known is not None and known.identity.sha256 == digest

    def _note_lacking(self, one: Definition, inputs: CourseInputs, account: CourseAccount) -> None:
        """Record the inputs that a table would use but that do not exist."""
        for name in sorted(self.definitions.read_by(one.name)):
            if not inputs.has(name):
                account.lacking.setdefault(name, []).append(one.name)

    def _enter(self, work: Work, made: CourseMade, digests: Mapping[str, str]) -> None:
        """Enter the result for a course into the next commit."""
        segment, manifest, inputs = self._segment, self.store.manifest, work.inputs
        known = manifest.newest(self._key(EVENTS, inputs))
        counts = {} if known is None else known.account["counts"]
        told = {**counts, **made.counts.pop(EVENTS, {})}
        entries: list[tuple[str, str | None, int, dict[str, Any]]] = []
        entries.append((EVENTS, None, 0, {"counts": told}))
        for name in work.wanted:
            rows = made.tables[name].count if name in made.tables else 0
            account = {"counts": made.counts.get(name, {}), "left": made.left.get(name)}
            entries.append((name, digests[name], rows, account))
        for name, digest, rows, account in entries:
            number = manifest.next_number + len(segment.inputs)
            identity = Identity(self._key(name, inputs), rows, sha256=digest)
            is_left = account.get("left") is not None
            status = "left" if is_left else "delivered"
            segment.inputs.append(Input(number, identity, status, rows, account))
            folder = f"{name}/{inputs.course.folder}/"
            gone = [] if name == EVENTS else [file.path for file in manifest.files(folder)]
            if name in made.tables:
                gone = self._add(number, folder, made.tables[name].path, rows, gone)
            segment.removed += gone

    def _add(
        self, number: int, folder: str, path: os.PathLike[str], rows: int, gone: list[str]
    ) -> list[str]:
        """Add the file of a table. Returns the files of its partition that it replaces."""
        try:
            staged = self.store.new / f"table-{number}"
            os.replace(path, staged)
            file = self.store.new_file("", staged, [(number, rows)])
        except OSError as error:
            raise cannot_write(self.store.name, error) from error
        place = f"{folder}part-{file.sha256[:20]}.parquet"
        self._segment.added.append(replace(file, path=place))
        return [one for one in gone if one != place]

    def _recall(
        self, inputs: CourseInputs, digests: Mapping[str, str], account: CourseAccount
    ) -> None:
        """Enter into an account what is known about the tables of a course, whoever made them."""
        fresh = {one.identity.key: one for one in self._segment.inputs}
        for name in (EVENTS, *digests):
            key = self._key(name, inputs)
            one = fresh.get(key) or self.store.manifest.newest(key)
            if one is None:
                continue
            for what, count in one.account["counts"].items():
                account.counts[what] = account.counts.get(what, 0) + count
            if one.account.get("left") is not None:
                account.left[name] = one.account["left"]
            elif name in self.wanted:
                account.rows[name] = one.rows

    def _commit_in_time(self) -> None:
        """Commit what is ready, if the last commit was a while ago."""
        if time.monotonic() - self._committed >= COMMIT_SECONDS:
            self._commit()

    def finish(self, failed: Sequence[str], outputs: Sequence[str]) -> None:
        """Commit the rest, and record the end of the run."""
        changes = bool(self._segment.inputs) or self.store.replaces_all
        if changes or self.store.manifest.is_empty or not all(map(self._wrote, outputs)):
            whole = not failed
            self._segment.ended = {
                "skipped": 0,
                "failed": list(failed),
                "whole": whole,
                "outputs": list(outputs),
            }
            self._commit()

    def _wrote(self, path: str) -> bool:
        return self.store.manifest.wrote(path)

    def _commit(self) -> None:
        if self.store.manifest.query != self.store.query:
            self._segment.query = self.store.query
        with put_off():
            self.store.commit(self._segment)
        self._segment = Segment(self._started)
        self._committed = time.monotonic()

    def leave(self) -> bool:
        """Commit what is ready when a run is interrupted. Returns whether there was anything."""
        with suppress(EdxlogsError):  # what stopped the run is told
            if self._segment.inputs:
                self._commit()
        return not self.store.manifest.is_empty
