"""Copies data packages from S3 into a local folder: a plan, its execution, and the result."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from os import PathLike, fspath
from typing import Any, Self

from edxlogs import _core
from edxlogs.edx.layout import ALL_DAYS, parse_days
from edxlogs.edx.packages import Choice, Package, PackageKind, describe_key
from edxlogs.errors import ConfigError, ResumableInterrupt
from edxlogs.mirror.inventory import list_objects, why_nothing
from edxlogs.mirror.mirror import Mirror
from edxlogs.mirror.sync import Plan, Settled, Status, Sync, Why, make_plan
from edxlogs.s3.client import S3, SCHEME
from edxlogs.text import many, shown, size
from edxlogs.values import Values, texts
from edxlogs.watching import Teller, Watcher, followed

SCHEMA_VERSION = 1
MOST_THREADS = 64
_CHANGES = {
    Why.RELEASED: "was released again; fetched again",
    Why.UNKNOWN: "differed from the bucket; fetched again",
}


def choice_of(
    *,
    partner: str | None = None,
    site: Values = None,
    days: str | None = None,
    kind: Values = None,
    latest: bool = False,
) -> Choice:
    """Which packages to copy.

    Raises:
        ConfigError: a value is invalid.
    """
    known = [one.value for one in PackageKind]
    kinds = texts("kind", kind)
    for one in kinds:
        if one not in known:
            raise ConfigError(f"kind: {shown(one)}: is not known; use {', '.join(known)}")
    return Choice(
        partner=partner,
        sites=tuple(texts("site", site)),
        kinds=tuple(map(PackageKind, kinds)),
        days=parse_days(days) or ALL_DAYS,
        latest=latest,
    )


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """What to fetch, and where to put it.

    Attributes:
        folder: the local folder. It keeps the layout of the buckets.
        urls: URLs of objects or prefixes; empty means edX's buckets.
        choice: which packages to copy.
        s3: server and credentials; None takes them from the AWS configuration.
        dry_run: whether to fetch nothing.
        threads: objects to fetch at once.
        mode: permissions of the files.
    """

    folder: str
    urls: tuple[str, ...] = ()
    choice: Choice = field(default_factory=Choice)
    s3: S3 | None = None
    dry_run: bool = False
    threads: int = 8
    mode: int = 0o600

    @classmethod
    def of(
        cls,
        folder: str | PathLike[str],
        urls: Values = None,
        *,
        partner: str | None = None,
        site: Values = None,
        days: str | None = None,
        kind: Values = None,
        latest: bool = False,
        s3: S3 | None = None,
        dry_run: bool = False,
        threads: int = 8,
        mode: int = 0o600,
    ) -> Self:
        """Make settings from keywords.

        Raises:
            ConfigError: a value is invalid.
        """
        place = fspath(folder)
        if not place or place.startswith(SCHEME):
            raise ConfigError("folder: none given; name the folder to sync to as the last argument")
        if not 1 <= threads <= MOST_THREADS:
            raise ConfigError(f"threads: must be from 1 to {MOST_THREADS}")
        named = tuple(texts("sources", urls))
        for word in named:
            if not word.startswith(SCHEME):
                raise ConfigError(
                    f"sources: {shown(word)}: is not an s3:// URL; sync copies only from S3"
                )
        choice = choice_of(partner=partner, site=site, days=days, kind=kind, latest=latest)
        return cls(place, named, choice, s3, dry_run, threads, mode)


@dataclass(repr=False)
class Synced:
    """The result of `sync`. It prints as a few lines.

    Attributes:
        folder: the folder that was brought up to date.
        plan: what was to be done.
        outcomes: what became of each object, in the order of the plan.
        failed: what went wrong, one sentence each.
        warnings: one sentence each.
        interrupted: whether the run was interrupted.
        seconds: how long the run took.
        free_bytes: with `dry_run`, the free space for the folder; otherwise None.
    """

    folder: str
    plan: Plan = field(default_factory=Plan)
    outcomes: list[Settled] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0
    free_bytes: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    @property
    def counts(self) -> dict[str, int]:
        """Number of objects by what became of them, and the bytes fetched."""
        status = Counter(outcome.status for outcome in self.outcomes)
        sizes = [
            outcome.source.size for outcome in self.outcomes if outcome.status is Status.FETCHED
        ]
        wanted = len(self.plan.wanted)
        return {
            "objects": self.plan.present + wanted + len(self.plan.refused),
            "wanted": wanted,
            "wanted_bytes": self.plan.wanted_bytes,
            "fetched": status[Status.FETCHED],
            "fetched_bytes": sum(sizes),
            "present": self.plan.present + status[Status.PRESENT],
            "failed": status[Status.FAILED] + len(self.plan.refused),
            "untried": wanted - sum(status.values()) + status[Status.UNTRIED],
        }

    def __str__(self) -> str:
        counts = self.counts
        here = f"{counts['present']:,} already here"
        more = f", {counts['failed']:,} failed" if counts["failed"] else ""
        objects = many(counts["objects"], "object")
        if self.free_bytes is not None:
            again = Counter(wanted.why for wanted in self.plan.wanted)
            reasons = ", ".join(f"{count:,} {why}" for why, count in sorted(again.items()))
            wanted = f"{size(counts['wanted_bytes'])} to fetch, {size(self.free_bytes)} free"
            return (
                f"{objects}: {counts['wanted']:,} to fetch{f' ({reasons})' if reasons else ''},"
                f" {here}{more}\n{wanted} in {shown(self.folder)}; nothing was fetched"
            )
        if counts["untried"]:
            more += f", {counts['untried']:,} not tried"
        told = (
            f"{objects}: {counts['fetched']:,} fetched"
            f" ({size(counts['fetched_bytes'])}), {here}{more}; {self.seconds:.1f} s"
        )
        if self.interrupted:
            told += "\ninterrupted: run the same command again to continue where it stopped"
        return told

    __repr__ = __str__

    def report(self) -> dict[str, Any]:
        """The result as a JSON document, object by object."""
        documents = {
            wanted.source.url: {
                "url": wanted.source.url,
                "bytes": wanted.source.size,
                "why": wanted.why,
                "status": Status.UNTRIED,
            }
            for wanted in self.plan.wanted
        }
        for outcome in self.outcomes:
            document: dict[str, Any] = documents[outcome.source.url]
            document["status"] = outcome.status
            if outcome.record is not None:
                document |= {"sha256": outcome.record.sha256, "checked": outcome.record.checked}
            if outcome.error is not None:
                document["error"] = str(outcome.error)
        return {
            "schema_version": SCHEMA_VERSION,
            "version": _core.__version__,
            "folder": shown(self.folder),
            "dry_run": self.free_bytes is not None,
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 3),
            "free_bytes": self.free_bytes,
            "total": self.counts,
            "objects": list(documents.values()),
            "failed": self.failed,
            "warnings": self.warnings,
        }


class SyncInterrupt(ResumableInterrupt):
    """A sync was interrupted. `synced` says what it had done."""

    def __init__(self, synced: Synced) -> None:
        super().__init__()
        self.synced = synced


def sync(settings: SyncSettings, watcher: Watcher) -> Synced:
    """Copy what is new or changed. If one object fails, the others are still copied.

    Raises:
        MissingSourceError: a URL names nothing.
        ConfigError: neither URLs nor a partner is given, or the settings are invalid.
        OutputError: the folder cannot be written to.
        SyncInterrupt: the run was interrupted.
    """
    start = time.monotonic()
    done = Synced(settings.folder)
    s3 = settings.s3 or S3()
    listing = list_objects(s3, settings.urls, settings.choice)
    _warn(done, watcher, *listing.warnings)
    _fail(done, watcher, *listing.failed)
    if not listing.objects and not listing.failed:
        packages = partial(_packages, s3, settings.urls)
        _fail(done, watcher, why_nothing(settings.choice, packages, s3))
    with Mirror(settings.folder, mode=settings.mode, writable=not settings.dry_run) as mirror:
        for line in mirror.records.unreadable:
            place = shown(settings.folder)
            _warn(done, watcher, f"{place}: line {line} of its manifest is unreadable")
        done.plan = make_plan(mirror, listing.objects)
        _fail(done, watcher, *done.plan.refused)
        try:
            if settings.dry_run:
                done.free_bytes = mirror.free_bytes()
            else:
                _fetch(Sync(s3, mirror, done.plan, settings.threads), done, watcher)
        except KeyboardInterrupt:
            done.interrupted = True
    done.seconds = time.monotonic() - start
    if done.interrupted:
        raise SyncInterrupt(done)
    return done


def _packages(s3: S3, urls: Sequence[str], choice: Choice) -> list[Package | None]:
    return [describe_key(one.key) for one in list_objects(s3, urls, choice).objects]


def _warn(done: Synced, watcher: Watcher, *messages: str) -> None:
    for message in messages:
        done.warnings.append(message)
        watcher.warn(message)


def _fail(done: Synced, watcher: Watcher, *failures: object) -> None:
    for failure in failures:
        done.failed.append(str(failure))
        watcher.fail(str(failure))


def _fetch(run: Sync, done: Synced, watcher: Watcher) -> None:
    """Fetch what the plan asks for, and report failures as they happen."""
    plan, tell = done.plan, Teller(watcher, "object")
    with (
        ExitStack() as stack,
        followed(watcher, len(plan.wanted), plan.wanted_bytes, lambda: run.received),
        closing(run.run()) as outcomes,
    ):
        stack.callback(tell.tell)
        for outcome in outcomes:
            done.outcomes.append(outcome)
            watcher.one_done()
            if outcome.error is not None:
                done.failed.append(str(outcome.error))
                tell.fail(str(outcome.error), shown(outcome.source.url))
            elif outcome.status is Status.FETCHED and outcome.why in _CHANGES:
                watcher.note(f"{shown(outcome.source.url)}: {_CHANGES[outcome.why]}")
    if run.halted is not None:
        _fail(done, watcher, run.halted)
