"""`edxlogs run`: runs a job file, for cron."""

from __future__ import annotations

from pathlib import Path

import click

from edxlogs.cli import EXIT_FAILED
from edxlogs.cli.options import dask_option, json_option, quiet_option
from edxlogs.cli.progress import Shown, tell, tell_json
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs run nightly.toml
  edxlogs run nightly.toml --quiet || mail -s "edxlogs failed" me < /var/log/edxlogs
"""


@click.command("run", epilog=EXAMPLES)
@click.argument("job", metavar="JOB.toml", type=click.Path(path_type=Path))
@dask_option
@json_option
@quiet_option
def command(job: Path, *, dask: str | None, quiet: bool, as_json: bool) -> int:
    """Bring the datasets of a job file up to date, in one pass over the logs.

    Each source is read once, however many datasets want its events. Sources that are done for all
    of them are not opened. A job can also fetch packages and convert tables first. The last line
    says in one sentence how the job ended.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
        from edxlogs.jobs.job import read_job
        from edxlogs.jobs.run import run

    done = run(read_job(job, dask), Shown(quiet=quiet, as_json=as_json))
    if as_json:
        tell_json(done.report())
    elif not quiet or not done.is_whole:
        tell(str(done))
    return 0 if done.is_whole else EXIT_FAILED
