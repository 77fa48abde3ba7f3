"""`edxlogs completion`: lets the shell complete commands, options and values."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from edxlogs.cli import COMPLETE_VARIABLE
from edxlogs.errors import ConfigError, OutputError

EXAMPLES = """\b
Examples:
  edxlogs completion --install
  edxlogs completion zsh --install
  edxlogs completion fish > ~/.config/fish/completions/edxlogs.fish
"""
_SHELLS = ("bash", "zsh", "fish")
# Completion takes a function that only this loads.
_BEFORE = {"zsh": "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }\n"}


@add_completion_class
class _Bash(BashComplete):
    """Completion in bash, which splits words at colons and equals signs, as in course ids."""

    source_template = """\
%(complete_func)s() {
    local answer
    COMPREPLY=()
    while IFS= read -r answer; do
        case $answer in
            file,*) compopt -o default ;;
            dir,*) compopt -o dirnames ;;
            plain,*) COMPREPLY+=("${answer#plain,}") ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "${1/#\\~/$HOME}" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one being typed, and what has been typed of it."""
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)[1:]
        incomplete = words.pop() if words and not line[-1].isspace() else ""
        try:
            shlex.split(line)
        except ValueError:  # a quote is open: its text is one word to readline as well
            self._parted = ""
        else:
            breaks = ":" in os.environ.get("COMP_WORDBREAKS", ":")
            _, _, value = (
                incomplete.partition("=") if incomplete[:1] == "-" else ("", "", incomplete)
            )
            self._parted = value[: value.rfind(":") + 1] if breaks else ""
        return words, incomplete

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """The value without what readline takes for separate words."""
        return f"{item.type},{item.value.removeprefix(self._parted)}"


@click.command("completion", epilog=EXAMPLES)
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
@click.option("--install", is_flag=True, help="Turn it on in every new shell of that kind.")
@click.pass_context
def command(ctx: click.Context, *, shell: str | None, install: bool) -> None:
    """Write the script that makes a shell complete commands, options and values.

    SHELL is your login shell by default. With --install, the script goes into a file of its own,
    and a line in the shell's start-up file reads it; fish needs no such line.
    """
    shell = shell or Path(os.environ.get("SHELL", "")).name
    made_for = get_completion_class(shell) if shell in _SHELLS else None
    if made_for is None:
        raise ConfigError(f"completion: {shell or 'no shell'}: name bash, zsh or fish")
    root = ctx.find_root()
    script = _BEFORE.get(shell, "")
    script += made_for(root.command, {}, "edxlogs", COMPLETE_VARIABLE).source()
    if not install:
        click.echo(script, nl=False)
        return
    for path in _install(shell, script):
        click.echo(f"edxlogs: wrote {path}", err=True)
    click.echo("edxlogs: open a new shell to use it", err=True)


def _install(shell: str, script: str) -> list[Path]:
    """Write the script, and name it in the shell's start-up file. Returns the files written."""
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    starts = {
        "bash": home / ".bashrc",
        "zsh": Path(os.environ.get("ZDOTDIR") or home) / ".zshrc",
    }
    path = data / "edxlogs" / f"completion.{shell}"
    if shell == "fish":
        config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
        path = config / "fish/completions/edxlogs.fish"
    written = [path]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script, encoding="utf-8")
        if (start := starts.get(shell)) is not None:
            line = f"source {shlex.quote(os.fspath(path))}\n"
            there = start.read_text(encoding="utf-8") if start.exists() else ""
            if line not in there:
                with start.open("a", encoding="utf-8") as file:
                    file.write(line if there.endswith("\n") or not there else f"\n{line}")
                written.append(start)
    except OSError as error:
        raise OutputError(f"{error.filename or path}: {error.strerror}") from error
    return written
