"""`edxlogs doctor`: checks whether everything needed is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edxlogs.cli import EXIT_FAILED
from edxlogs.cli.options import json_option, key_options, s3_of, s3_options
from edxlogs.cli.progress import tell_json
from edxlogs.stops import put_off

EXAMPLES = """\b
Examples:
  edxlogs doctor --partner universityx --dest packages/
  edxlogs doctor --sample universityx-prod-events-2014-10-01.log.gz.gpg
  edxlogs doctor --profile edx --json
"""


@click.command("doctor", epilog=EXAMPLES)
@click.option("--sample", metavar="FILE", help="Encrypted file to check for its key.")
@click.option(
    "--dest",
    "folders",
    metavar="FOLDER",
    multiple=True,
    help="Folder, or s3:// prefix of a dataset, to check for writing.",
)
@click.option("--partner", metavar="NAME", help="The partner's folder in edX's buckets.")
@key_options
@s3_options
@json_option
def command(
    *,
    sample: str | None,
    folders: tuple[str, ...],
    partner: str | None,
    gnupg_home: Path | None,
    passphrase_file: Path | None,
    as_json: bool,
    **s3: Any,
) -> int:
    """Check all that an unattended run needs: gpg, keys, credentials, buckets, disk space.

    Each check prints one line, with what to do. The exit status is 1 if anything is missing.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
        from edxlogs.jobs.looks.doctor import doctor
        from edxlogs.jobs.settings import Keys

    keys = Keys.of(gnupg_home=gnupg_home, passphrase_file=passphrase_file)
    found = doctor(keys, s3_of(s3), partner=partner, sample=sample, folders=folders)
    if as_json:
        tell_json(found.report())
    else:
        click.echo(str(found))
    return 0 if found.is_healthy else EXIT_FAILED
