"""`edxlogs merge`: the datasets of shards, joined."""

from __future__ import annotations

from pathlib import Path

import click

from edxlogs.cli.options import Mode

EXAMPLES = """\b
Examples:
  edxlogs filter logs/ --shard 1/8 -o shard-1 --partition-by course_id
  edxlogs merge shard-* -o events --report account.json
"""


@click.command("merge", epilog=EXAMPLES)
@click.argument(
    "shards", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "-o", "--output", "folder", required=True, metavar="DIR", type=click.Path(path_type=Path)
)
@click.option("--report", metavar="FILE", help="Write the account to FILE as JSON.")
@click.option("--overwrite", is_flag=True, help="Replace a report that is there.")
@click.option(
    "--mode",
    type=Mode(),
    default="600",
    show_default=True,
    help="Permissions of the files written, in octal.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show only what went wrong.")
def command(
    shards: tuple[Path, ...],
    folder: Path,
    report: str | None,
    mode: int,
    *,
    overwrite: bool,
    quiet: bool,
) -> int:
    """Join the datasets of shards to one, with their manifests and accounts.

    The shards stay as they are; their files are linked, or copied where that cannot be. A merge
    that was stopped is run again.
    """
    import orjson

    from edxlogs import _core
    from edxlogs.cli.progress import tell
    from edxlogs.datasets.merge import merge
    from edxlogs.store.file import OutputFile
    from edxlogs.store.store import Store, open_manifest
    from edxlogs.text import many

    for shard in shards:
        open_manifest(shard)  # no folder is made for shards that are none
    with Store(folder, mode=mode) as store:
        account = merge(shards, store)
    if report is not None:
        document = account.report(version=_core.__version__)
        with OutputFile(report, overwrite=overwrite, mode=mode) as file:
            options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
            file.write(orjson.dumps(document, option=options))
            file.publish()
    if not quiet:
        tell(f"{many(account.rows_written, 'row')} of {many(len(account.sources), 'source')}")
    return 0 if account.is_whole else 1
