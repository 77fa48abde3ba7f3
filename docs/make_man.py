"""Write the man pages, which the wheel brings, from the commands, their options and their help."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from edxlogs.cli import cli
from edxlogs.cli.config import PREFIX, SETTINGS
from edxlogs.cli.help import GROUPS

_OTHERS = "Others"
FOLDER = Path(__file__).parents[1] / "release/wheel/data/share/man/man1"
STATUSES = (
    ("0", "done"),
    ("1", "something failed; the rest is delivered"),
    ("2", "wrong use; nothing was read"),
    ("130", "interrupted"),
)


def text(words: str) -> str:
    """Plain words as roff takes them."""
    escaped = words.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", escaped, flags=re.MULTILINE)


def contexts(ctx: click.Context) -> Iterator[click.Context]:
    """The context of a command, and those of all below it."""
    yield ctx
    command = ctx.command
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            assert below is not None
            yield from contexts(click.Context(below, info_name=name, parent=ctx))


def option_groups(ctx: click.Context) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The options of a command, under the headings of its help."""
    there = {one.name or "": one for one in ctx.command.params}
    grouped = [(heading, [n for n in names if n in there]) for heading, names in GROUPS.items()]
    named = {name for _, names in grouped for name in names}
    for heading, names in (*grouped, (_OTHERS, [name for name in there if name not in named])):
        records = (there[name].get_help_record(ctx) for name in names)
        found = [record for record in records if record is not None]
        if heading == _OTHERS:
            found.append(("-h, --help", "Show the help and exit."))
        if found:
            yield heading, found


def page(ctx: click.Context) -> str:
    """The page of one command."""
    command, path = ctx.command, ctx.command_path
    name = path.replace(" ", "-")
    first, _, rest = (command.help or "").partition("\n\n")
    lines = [
        f'.TH "{text(name).upper()}" 1 "" "edxlogs" "edxlogs"',
        ".SH NAME",
        f"{text(name)} \\- {text(' '.join(first.split()).rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {text(path)}",
        text(" ".join(command.collect_usage_pieces(ctx))),
    ]
    if rest.strip():
        lines += [".SH DESCRIPTION", *_paragraphs(rest)]
    if isinstance(command, click.Group):
        lines.append(".SH COMMANDS")
        for below in list(contexts(ctx))[1:]:
            if below.parent is ctx:
                told = below.command.get_short_help_str(limit=300)
                lines += [".TP", f".B {text(below.info_name or '')}", text(told)]
    groups = list(option_groups(ctx))
    if groups:
        lines.append(".SH OPTIONS")
    for heading, records in groups:
        if len(groups) > 1:
            lines.append(f".SS {heading}")
        for spelled, told in records:
            lines += [".TP", f".B {text(spelled)}", text(told)]
    epilog = (command.epilog or "").replace("\b", "").strip()
    if epilog.startswith("Examples:"):
        examples = epilog.removeprefix("Examples:").strip("\n").splitlines()
        lines += [".SH EXAMPLES", ".nf", *(text(line.removeprefix("  ")) for line in examples)]
        lines.append(".fi")
    lines.append(".SH EXIT STATUS")
    for status, told in STATUSES:
        lines += [".TP", f".B {status}", text(told)]
    if ctx.parent is None:
        lines.append(".SH ENVIRONMENT")
        lines += [text("EDXLOGS_CONFIG names another config file, or none if it is empty.")]
        variables = ", ".join(f"{PREFIX}{name.upper()}" for name in SETTINGS)
        lines += [text(f"{variables} stand for options, as keys of the config file do.")]
        lines += [".SH FILES", ".TP", ".I ~/.config/edxlogs/config.toml"]
        lines.append(text("defaults of options, below $XDG_CONFIG_HOME if that is set"))
    others = [one for one in _neighbours(ctx) if one != name]
    lines += [".SH SEE ALSO", ",\n".join(f".BR {text(one)} (1)" for one in others)]
    return "\n".join(lines).replace(",\n.BR", "\n.BR") + "\n"


def _paragraphs(words: str) -> list[str]:
    lines: list[str] = []
    for paragraph in words.strip().split("\n\n"):
        lines += [".PP", text(" ".join(paragraph.split()))]
    return lines


def _neighbours(ctx: click.Context) -> list[str]:
    parent = ctx.parent or ctx
    found = [parent, *(one for one in contexts(parent) if one.parent is parent)]
    return [one.command_path.replace(" ", "-") for one in found]


def pages() -> dict[str, str]:
    """All pages, by the names of their files."""
    root = click.Context(cli, info_name="edxlogs")
    return {f"{one.command_path.replace(' ', '-')}.1": page(one) for one in contexts(root)}


def main() -> None:
    """Write them, and remove those of commands that are gone."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = pages()
    for path in FOLDER.glob("*.1"):
        if path.name not in made:
            path.unlink()
    for name, content in made.items():
        (FOLDER / name).write_text(content)


if __name__ == "__main__":
    main()
