"""`edxlogs compact`: joins the small files of a dataset."""

from __future__ import annotations

from typing import Any

import click

from edxlogs.cli.options import Bytes, json_option, mode_option, quiet_option, s3_of, s3_options
from edxlogs.cli.progress import tell, tell_json
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs compact events
  edxlogs compact events --target-file-size 64MiB
"""


@click.command("compact", epilog=EXAMPLES)
@click.argument("folder", metavar="DIR", type=click.Path())
@click.option(
    "--target-file-size",
    type=Bytes(),
    metavar="SIZE",
    help="Approximate size of a file.  [default: 128MiB]",
)
@mode_option
@s3_options
@json_option
@quiet_option
def command(
    folder: str, target_file_size: int | None, mode: int, *, as_json: bool, quiet: bool, **s3: Any
) -> int:
    """Join the small files of a dataset that grew day by day.

    DIR is a dataset of edxlogs filter --partition-by, or the folder of edxlogs db convert or
    edxlogs tables. Rows and partitions stay the same, and so does what is known of each input: a
    file that is released again still replaces only its own rows.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
        from edxlogs.jobs.datasets.verbs import compact_dataset
        from edxlogs.jobs.settings import OutputSettings
        from edxlogs.store.store import TARGET_FILE_BYTES

    size = target_file_size or TARGET_FILE_BYTES
    done = compact_dataset(OutputSettings(folder, file_bytes=size, mode=mode), s3_of(s3))
    if as_json:
        tell_json(done.report())
    elif not quiet:
        tell(str(done))
    return 0
