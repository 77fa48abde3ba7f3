"""`edxlogs sync`: copies data packages from S3 into a local folder."""

from __future__ import annotations

from typing import Any

import click

from edxlogs.cli import EXIT_FAILED, EXIT_INTERRUPTED
from edxlogs.cli.choosing import choice_options
from edxlogs.cli.help import Grouped
from edxlogs.cli.options import (
    json_option,
    mode_option,
    partner_of,
    quiet_option,
    s3_options,
    words_of,
)
from edxlogs.cli.progress import Shown, tell, tell_json
from edxlogs.cli.values import files
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs sync --partner universityx packages/
  edxlogs sync --partner universityx --site prod --days 2014-01-01..2014-12-31 packages/
  edxlogs sync --partner universityx --kind database packages/ --dry-run
  edxlogs sync s3://edx-course-data/universityx/rdx/ packages/ --json
"""


@click.command("sync", cls=Grouped, epilog=EXAMPLES)
@click.argument("sources", nargs=-1, metavar="[S3_URL...] FOLDER", shell_complete=files)
@choice_options
@s3_options
@click.option("--dry-run", is_flag=True, help="Show what would be fetched, and fetch nothing.")
@click.option(
    "--threads",
    type=click.IntRange(min=1, max=64),
    default=8,
    show_default=True,
    metavar="N",
    help="Objects to fetch at once.",
)
@json_option
@quiet_option
@mode_option
def command(sources: tuple[str, ...], *, quiet: bool, as_json: bool, **options: Any) -> int:
    """Copy what is new or changed into a folder that keeps the layout of the bucket.

    Without S3_URL, edX's buckets are read, and --partner says whose folder. A broken transfer
    continues where it stopped, in this run or the next. A file gets its name only when it is whole
    and verified. Encrypted files stay encrypted. Nothing is deleted.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
        from edxlogs.jobs.sync import SyncInterrupt, SyncSettings, sync

    *urls, folder = sources or ("",)
    words = {**words_of(options), "partner": partner_of(options, urls)}
    shown = Shown(quiet=quiet, as_json=as_json)
    try:
        done = sync(SyncSettings.of(folder, urls, **words), shown)
        status = 0 if done.is_whole else EXIT_FAILED
    except SyncInterrupt as stop:
        done, status = stop.synced, EXIT_INTERRUPTED
    if as_json:
        tell_json(done.report())
    elif not quiet or done.interrupted:
        tell(str(done))
    return status
