"""What `edxlogs sync` does and tells: a plan, its run, its account."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import click
import orjson

from edxlogs import _core
from edxlogs.account import many, size
from edxlogs.cli import EXIT_INTERRUPTED
from edxlogs.cli.choosing import choice_of
from edxlogs.cli.options import s3_of
from edxlogs.cli.progress import Progress, tell
from edxlogs.errors import ConfigError, EdxlogsError
from edxlogs.inventory import Listing, list_objects
from edxlogs.mirror import Mirror
from edxlogs.names import shown
from edxlogs.s3 import SCHEME
from edxlogs.sync import Outcome, Plan, Status, Sync, Why, make_plan

SCHEMA_VERSION = 1


def run_sync(words: Sequence[str], **options: Any) -> int:
    """Run `edxlogs sync`; its exit status."""
    start = time.monotonic()
    *urls, folder = _split(words)
    choice = choice_of(options)
    s3 = s3_of(options)
    listing = list_objects(s3, urls, choice)
    telling = not options["as_json"]
    for error in listing.failed:
        _tell(str(error), telling)
    if not listing.objects and not listing.failed:
        listing.failed.append(_nothing())
        _tell(str(listing.failed[-1]), telling)
    with Mirror(folder, mode=options["mode"], writable=not options["dry_run"]) as mirror:
        for line in mirror.manifest.unreadable:
            _tell(f"warning: {shown(folder)}: line {line} of its manifest is unreadable", telling)
        plan = make_plan(mirror, listing.objects)
        for refused in plan.refused:
            _tell(str(refused), telling)
        outcomes: list[Outcome] = []
        halted = None
        if not options["dry_run"] and plan.wanted:
            shows = telling and not options["quiet"]
            ...
    return 0
