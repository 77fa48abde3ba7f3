"""`edxlogs doctor`: whether all that is needed is there."""

from __future__ import annotations

from typing import Any

import click
import orjson

from edxlogs import _core
from edxlogs.cli.options import key_options, s3_of, s3_options
from edxlogs.cli.tables import table
from edxlogs.edx.layout import check_partner
from edxlogs.gpg.process import Gpg
from edxlogs.jobs.doctor import Health, examine

EXAMPLES = """\b
Examples:
  edxlogs doctor --partner universityx --dest packages/
  edxlogs doctor --sample universityx-prod-events-2014-10-01.log.gz.gpg
  edxlogs doctor --profile edx --json
"""
SCHEMA_VERSION = 1


@click.command("doctor", epilog=EXAMPLES)
@click.option("--sample", metavar="FILE", help="Encrypted file whose key must be at hand.")
@click.option(
    "--dest",
    "folders",
    metavar="FOLDER",
    multiple=True,
    help="Folder to be written to: is there room?",
)
@click.option("--partner", metavar="NAME", help="The partner's folder in edX's buckets.")
@key_options
@s3_options
@click.option("--json", "as_json", is_flag=True, help="Show it as JSON.")
def command(**options: Any) -> int:
    """Look at all that an unattended run needs: gpg, keys, credentials, buckets, room on disk.

    One line each, with what to do. The exit status is 1 if anything is missing.
    """
    if options["partner"] is not None:
        check_partner(options["partner"])
    gpg = Gpg(home=options["gnupg_home"], passphrase_file=options["passphrase_file"], prompt=False)
    checks = list(
        examine(
            gpg,
            s3_of(options),
            partner=options["partner"],
            sample=options["sample"],
            folders=options["folders"],
        )
    )
    missing = any(check.health is Health.MISSING for check in checks)
    if options["as_json"]:
        document = {
            "schema_version": SCHEMA_VERSION,
            "version": _core.__version__,
            "healthy": not missing,
            "checks": checks,
        }
        click.echo(orjson.dumps(document).decode())
    else:
        for line in table([[check.health, check.name, check.told] for check in checks]):
            click.echo(line)
    return 1 if missing else 0
