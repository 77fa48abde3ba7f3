"""`edxlogs help`, and help that groups the options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

GROUPS: dict[str, tuple[str, ...]] = {
    "Which inputs": ("events", "db", "olx"),
    "Which sources": ("partner", "site", "days", "kind", "latest", "slack", "shard"),
    "Which events": (
        *("course", "org", "event_type", "category", "event_source", "user", "where"),
        *("since", "until", "by", "course_from", "time_from"),
    ),
    "What is counted": ("keys", "clock"),
    "Which tables": ("table", "tables", "table_file", "with_forms", "no_text", "compat"),
    "What they mean": (
        *("as_of", "tz", "gap", "cap", "min_n", "with_email_domain", "show", "sql_dir"),
    ),
    "Output": (
        *(
            "output",
            "format",
            "columns",
            "limit",
            "layout",
            "snapshots",
            "expand",
            "unpack",
            "partition_by",
        ),
        *("target_file_size", "known_courses", "raw", "csv_excel_safe", "rejects", "report"),
        *("overwrite", "mode"),
    ),
    "Trust": (
        *("dedupe", "dedupe_within", "salvage", "check", "strict", "unverified"),
        "max_line_bytes",
    ),
    "Keys": ("gnupg_home", "passphrase_file", "no_prompt", "salt_file"),
    "S3": ("profile", "endpoint_url", "region", "requester_pays"),
    "Run": ("dry_run", "memory", "threads", "dask", "as_json", "quiet"),
}
"""Headings, and the options below each, in the order of help."""
_NAMES = "course, org, event-type, category, event-source, user or site"


class Grouped(click.Command):
    """A command with more options than one list can show."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings."""
        there = {one.name: one for one in self.get_params(ctx)}
        for heading, names in GROUPS.items():
            found = (there[name].get_help_record(ctx) for name in names if name in there)
            rows = [row for row in found if row is not None]
            if "exclude_course" in there and heading == "Which events":
                rows.insert(7, ("--exclude-… VALUE", f"Excluded: {_NAMES}."))
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows, col_max=26)


def _commands(
    ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    root = ctx.find_root()
    return root.command.shell_complete(root, incomplete)


@click.command("help")
@click.argument("names", nargs=-1, metavar="[COMMAND]", shell_complete=_commands)
@click.pass_context
def command(ctx: click.Context, *, names: tuple[str, ...]) -> None:
    """Show the help of edxlogs or of a command."""
    of = ctx.find_root()
    for name in names:
        group: Any = of.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"{of.command_path} has no commands", of)
        _, found, _ = group.resolve_command(of, [name])
        of = click.Context(cast("click.Command", found), info_name=name, parent=of)
    click.echo(of.get_help())
