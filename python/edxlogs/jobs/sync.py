"""What `edxlogs sync` does and tells: a plan, its run, its account."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import click
import orjson

from edxlogs import _core
from edxlogs.cli import EXIT_INTERRUPTED
from edxlogs.cli.choosing import choice_of
from edxlogs.cli.options import s3_of
from edxlogs.cli.progress import Progress, tell
from edxlogs.errors import ConfigError
from edxlogs.mirror.inventory import list_objects
from edxlogs.mirror.mirror import Mirror
from edxlogs.mirror.sync import Outcome, Plan, Status, Sync, Why, make_plan
from edxlogs.s3.client import SCHEME
from edxlogs.text import many, shown, size

SCHEMA_VERSION = 1
_CHANGES = {
    Why.RELEASED: "was released again; fetched again",
    Why.UNKNOWN: "was not as the bucket has it; fetched again",
}


def run_sync(words: Sequence[str], **options: Any) -> int:
    """Run `edxlogs sync`; its exit status."""
    *urls, folder = _checked(words)
    choice, s3 = choice_of(options, urls), s3_of(options)
    command = _Command(folder, options)
    listing = list_objects(s3, urls, choice)
    for warning in listing.warnings:
        command.warn(warning)
    for error in listing.failed:
        command.fail(str(error))
    if not listing.objects and not listing.failed:
        command.fail("nothing is there to sync, or nothing that was asked for; see edxlogs list")
    with Mirror(folder, mode=options["mode"], writable=not options["dry_run"]) as mirror:
        for line in mirror.manifest.unreadable:
            command.warn(f"{shown(folder)}: line {line} of its manifest is unreadable")
        command.plan = make_plan(mirror, listing.objects)
        for refused in command.plan.refused:
            command.fail(str(refused))
        if options["dry_run"]:
            return command.close(free_bytes=mirror.free_bytes())
        sync = Sync(s3, mirror, command.plan, options["threads"])
        try:
            command.run(sync)
        except KeyboardInterrupt:
            command.interrupted = True
    return command.close()


def _checked(words: Sequence[str]) -> Sequence[str]:
    """The words of the command line: URLs, and a folder.

    Raises:
        ConfigError: they are others.
    """
    if not words or not words[-1] or words[-1].startswith(SCHEME):
        raise ConfigError("folder: none given; name the folder to sync to as the last word")
    for word in words[:-1]:
        if not word.startswith(SCHEME):
            raise ConfigError(f"sources: {shown(word)}: is no s3:// URL; sync copies from S3 alone")
    return words


@dataclass
class _Command:
    """One sync with its progress, its account and its last words."""

    folder: str
    options: dict[str, Any]
    plan: Plan = field(default_factory=Plan)
    outcomes: list[Outcome] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    interrupted: bool = False
    start: float = field(default_factory=time.monotonic)

    def warn(self, message: str) -> None:
        """Enter a warning, and tell it."""
        self.warnings.append(message)
        self._tell(f"warning: {message}")

    def fail(self, message: str) -> None:
        """Enter what went wrong, and tell it."""
        self.failed.append(message)
        self._tell(message)

    def _tell(self, message: str) -> None:
        """What a person should know; with --json the account alone tells it."""
        if not self.options["as_json"]:
            tell(f"edxlogs: {message}")

    def run(self, sync: Sync) -> None:
        """Fetch what the plan wants, telling what fails as it fails."""
        wanted = self.plan.wanted
        shows = not self.options["quiet"] and not self.options["as_json"] and bool(wanted)
        total = self.plan.wanted_bytes
        with (
            Progress(len(wanted), total, lambda: sync.received, shows=shows) as progress,
            closing(sync.run()) as outcomes,
        ):
            for outcome in outcomes:
                self.outcomes.append(outcome)
                progress.one_done()
                if (message := self._message(outcome)) is not None:
                    progress.tell(f"edxlogs: {message}")
        if sync.halted is not None:
            self.fail(str(sync.halted))

    def _message(self, outcome: Outcome) -> str | None:
        """What is told of one object."""
        if outcome.error is not None:
            self.failed.append(str(outcome.error))
            return None if self.options["as_json"] else str(outcome.error)
        changed = outcome.status is Status.FETCHED and outcome.why in _CHANGES
        if not changed or self.options["as_json"] or self.options["quiet"]:
            return None
        return f"{shown(outcome.source.url)}: {_CHANGES[outcome.why]}"

    def close(self, *, free_bytes: int | None = None) -> int:
        """Show the account; the exit status."""
        if self.options["as_json"]:
            click.echo(orjson.dumps(self._document(free_bytes), option=orjson.OPT_UTC_Z).decode())
        elif not self.options["quiet"] or self.interrupted:
            for line in self._summary(free_bytes):
                tell(line)
        if self.interrupted:
            return EXIT_INTERRUPTED
        return 1 if self.failed else 0

    def _counts(self) -> dict[str, int]:
        """Objects by what became of them, and the bytes that were fetched."""
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

    def _summary(self, free_bytes: int | None) -> list[str]:
        counts = self._counts()
        seconds = time.monotonic() - self.start
        here = f"{counts['present']:,} here already"
        more = f", {counts['failed']:,} failed" if counts["failed"] else ""
        if free_bytes is not None:
            again = Counter(wanted.why for wanted in self.plan.wanted)
            reasons = ", ".join(f"{count:,} {why}" for why, count in sorted(again.items()))
            wanted = f"{size(counts['wanted_bytes'])} to fetch, {size(free_bytes)} free"
            return [
                f"{many(counts['objects'], 'object')}: {counts['wanted']:,} to fetch"
                f"{f' ({reasons})' if reasons else ''}, {here}{more}",
                f"{wanted} in {shown(self.folder)}; nothing was fetched",
            ]
        if counts["untried"]:
            more += f", {counts['untried']:,} not tried"
        lines = [
            f"{many(counts['objects'], 'object')}: {counts['fetched']:,} fetched"
            f" ({size(counts['fetched_bytes'])}), {here}{more}; {seconds:.1f} s"
        ]
        if self.interrupted:
            lines.append("interrupted: run again with the same words to go on where it stopped")
        return lines

    def _document(self, free_bytes: int | None) -> dict[str, Any]:
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
            "dry_run": free_bytes is not None,
            "interrupted": self.interrupted,
            "seconds": round(time.monotonic() - self.start, 3),
            "free_bytes": free_bytes,
            "total": self._counts(),
            "objects": list(documents.values()),
            "failed": self.failed,
            "warnings": self.warnings,
        }
