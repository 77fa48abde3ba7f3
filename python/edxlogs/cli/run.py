"""`edxlogs run`: a job file, for a line of cron."""

from __future__ import annotations

from pathlib import Path

import click

EXAMPLES = """\b
Examples:
  edxlogs run nightly.toml
  edxlogs run nightly.toml --quiet || mail -s "edxlogs failed" me < /var/log/edxlogs
"""


@click.command("run", epilog=EXAMPLES)
@click.argument("job", metavar="JOB.toml", type=click.Path(path_type=Path))
@click.option("-q", "--quiet", is_flag=True, help="Show only what went wrong.")
def command(job: Path, *, quiet: bool) -> int:
    """Bring the datasets of a job file up to date, in one pass over the logs.

    Each source is read once, however many datasets want its events, and one that is done for all of
    them is not opened. The last line tells in one sentence how it ended.
    """
    from edxlogs.jobs.run import run_job

    return run_job(job, quiet=quiet)
