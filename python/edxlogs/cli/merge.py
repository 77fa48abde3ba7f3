"""`edxlogs merge`: joins the datasets of shards."""

from __future__ import annotations

from typing import Any

import click

from edxlogs.cli.options import (
    json_option,
    mode_option,
    quiet_option,
    report_option,
    s3_of,
    s3_options,
)
from edxlogs.cli.progress import Shown
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs filter logs/ --shard 1/8 -o shard-1 --partition-by course_id
  edxlogs merge shard-* -o events --report account.json
  edxlogs merge tables-* -o tables
"""


@click.command("merge", epilog=EXAMPLES)
@click.argument("shards", metavar="DIR...", nargs=-1, required=True, type=click.Path())
@click.option("-o", "--output", "folder", required=True, metavar="DIR", type=click.Path())
@report_option
@click.option("--overwrite", is_flag=True, help="Replace an existing report.")
@mode_option
@s3_options
@json_option
@quiet_option
def command(
    shards: tuple[str, ...],
    folder: str,
    report: str | None,
    mode: int,
    *,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    **s3: Any,
) -> int:
    """Merge the datasets of shards, or their tables, into one, with manifests and accounts.

    In folders of edxlogs tables, each table is merged. The shards stay as they are: their files are
    linked, or copied where they cannot be linked. Run a stopped merge again to finish it.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
        from edxlogs.jobs.datasets.verbs import merge_datasets
        from edxlogs.jobs.settings import OutputSettings

    output = OutputSettings(folder, report=report, overwrite=overwrite, mode=mode)
    return Shown(quiet=quiet, as_json=as_json).close(merge_datasets(shards, output, s3_of(s3)))
