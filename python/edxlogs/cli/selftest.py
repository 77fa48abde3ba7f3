"""`edxlogs selftest`: compares edxlogs with a plain reader on the user's own logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from edxlogs.cli import EXIT_FAILED
from edxlogs.cli.options import prompt_options, s3_options, sources_argument, words_of
from edxlogs.cli.progress import Shown, tell
from edxlogs.cli.values import files
from edxlogs.stops import put_off
from edxlogs.watching import Teller

EXAMPLES = """\b
Examples:
  edxlogs selftest logs/
  edxlogs selftest logs/ -o selftest.md
"""


@click.command("selftest", epilog=EXAMPLES)
@sources_argument
@click.option(
    "-o", "--output", metavar="FILE", shell_complete=files, help="Write the page to a file."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@prompt_options
@s3_options
def command(
    sources: tuple[str, ...], *, output: str | None, overwrite: bool, **options: Any
) -> int:
    """Check edxlogs against a plain Python reader, on a sample of your own logs.

    SOURCE is as for edxlogs filter. The result is a page in Markdown: versions, counts, which
    columns were compared, and whether all values agree. It holds no value and no file name of
    yours, so you can attach it to an issue. It takes about a minute at most. The exit status is 1
    if something differs, or if nothing could be compared.
    """
    with put_off():  # compiled modules may crash if an interrupt comes while they are loaded
        from edxlogs.looking import selftest
        from edxlogs.store.file import OutputFile, refuse

    if output is None:
        found = selftest(sources, **words_of(options))
        click.echo(str(found))
        _tell_failed(found.failed)
        return 0 if found.agrees else EXIT_FAILED
    with OutputFile(output, overwrite=overwrite) as file:
        found = selftest(sources, **words_of(options))
        refuse(file.target, overwrite=True, inputs=found.inputs)
        file.write(f"{found}\n".encode())
        file.publish()
    _tell_failed(found.failed)
    tell(f"{found.verdict} {file.name}")
    return 0 if found.agrees else EXIT_FAILED


def _tell_failed(failed: Mapping[str, str]) -> None:
    teller = Teller(Shown())
    for label, why in failed.items():
        teller.fail(why, label)
    teller.tell()
