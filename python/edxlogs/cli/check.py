"""`edxlogs check`: parses every line, without output."""

from __future__ import annotations

from typing import Any

import click

from edxlogs.cli.help import Grouped
from edxlogs.cli.options import (
    layout_options,
    partner_of,
    reading_options,
    s3_options,
    sources_argument,
    words_of,
)
from edxlogs.cli.progress import Shown
from edxlogs.cli.values import files
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs check logs/
  edxlogs check logs/*.log.gz.gpg --report account.json
  edxlogs check --partner universityx --days 2014-10-01..2014-10-31
  edxlogs check tracking.log.gz --rejects bad-lines.txt
  edxlogs check events
"""


@click.command("check", cls=Grouped, epilog=EXAMPLES)
@sources_argument
@layout_options
@click.option(
    "--rejects",
    metavar="FILE",
    shell_complete=files,
    help="Write lines that are not events to FILE.",
)
@reading_options
@s3_options
def command(sources: tuple[str, ...], *, quiet: bool, as_json: bool, **options: Any) -> int:
    """Decrypt, unpack and parse every line, and account for it. No rows are written.

    For a dataset or a folder of event tables, it says whether all files are there, with the right
    sizes. The exit status is 1 if a source is damaged or a file is missing. Lines that are not
    events are counted, by reason.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
        from edxlogs.jobs.filter import check
        from edxlogs.jobs.settings import Settings

    partner = partner_of(options, sources, needs_days=True)
    shown = Shown(quiet=quiet, as_json=as_json)
    settings = Settings.of(sources, **{**words_of(options), "partner": partner})
    return shown.close(check(settings, shown))
