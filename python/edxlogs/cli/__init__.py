"""The command `edxlogs`: one module for each subcommand, imported when it is called."""

from __future__ import annotations

import functools
import gc
import importlib
import io
import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from edxlogs.errors import ConfigError, EdxlogsError, MissingSourceError, ResumableInterrupt
from edxlogs.stops import STOPS, put_off

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
COMPLETE_VARIABLE = "_EDXLOGS_COMPLETE"
"""Set in the environment when a shell runs the command to complete a line."""
_debugging: set[str] = set()
"""Not empty if this run was asked to show what a bug report needs."""

_COMMANDS = {
    "cat": "Write the rows of a dataset.",
    "check": "Parse every line of logs, and account for it.",
    "clean": "Remove files that a published dataset no longer needs.",
    "compact": "Join the small files of a dataset.",
    "completion": "Complete commands, options and values in the shell.",
    "config": "Show what the config file and the environment set.",
    "db": "Show and convert database packages: tables of every course.",
    "demo": "Make logs, a package and a key to try edxlogs with.",
    "derive": "Make tables of what learners did: sessions, videos, problems, grades.",
    "doctor": "Check that an unattended run will have all it needs.",
    "filter": "Write the events that match to a file.",
    "help": "Show the help of a command.",
    "inspect": "Show what a file is: its layers, its days, its first events.",
    "list": "List data packages, and the days that are missing.",
    "merge": "Merge the datasets of shards into one.",
    "publish": "Publish a dataset as a table that other engines read.",
    "run": "Bring the datasets of a job file up to date.",
    "runs": "Show the runs that made a dataset.",
    "selftest": "Check edxlogs against a plain Python reader, on your own logs.",
    "summary": "Show what is in logs: days, courses, event types, people, and what is odd.",
    "sync": "Copy data packages from S3 into a local folder.",
    "tables": "Turn events into tables of what learners did.",
}


class _Commands(click.Group):
    """Subcommands whose modules are imported late, so that help appears at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        with put_off():
            module = importlib.import_module(f"edxlogs.cli.{cmd_name}")
        command: click.Command = module.command
        _add_debug(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], _COMMANDS, 1)
            if not near:
                raise
            told = error.message.rstrip(".")
            raise click.UsageError(f"{told}; did you mean {near[0]}", ctx) from error

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[click.shell_completion.CompletionItem[str]]:
        found = [
            click.shell_completion.CompletionItem(name, help=told)
            for name, told in sorted(_COMMANDS.items())
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


def _ask_debug(ctx: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing and not _debugging:
        _debugging.add("asked")
        importlib.import_module("edxlogs.cli.debug").begin()


def _debug_option(*, hidden: bool) -> click.Option:
    return click.Option(
        ["--debug"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        hidden=hidden,
        callback=_ask_debug,
        help="Show what a bug report needs, with no personal data. Also works after any command.",
    )


def _add_debug(command: click.Command) -> None:
    """Add `--debug` to a command, and to those below it."""
    if any("--debug" in one.opts for one in command.params):
        return
    command.params.append(_debug_option(hidden=True))
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        _add_debug(below)
    if isinstance(command, click.Group) or (callback := command.callback) is None:
        return

    @functools.wraps(callback)
    def told(*args: Any, **words: Any) -> Any:
        if _debugging:
            ctx = click.get_current_context()
            importlib.import_module("edxlogs.cli.debug").tell_plan(ctx)
        return callback(*args, **words)

    command.callback = told


def _print_version(ctx: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from edxlogs._core import __version__

        click.echo(f"edxlogs {__version__}")
        ctx.exit()


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 1000},
    epilog="Exit status: 0 done, 1 something failed (the rest is delivered), 2 usage error, 130"
    " interrupted.",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version and exit.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Filter edX tracking logs at the speed of gunzip, and account for every line."""
    from edxlogs.cli.config import read_config

    ctx.default_map = dict.fromkeys(_COMMANDS, read_config())


cli.params.append(_debug_option(hidden=False))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, and exit with its status."""
    # Of the compiled module's allocator: no huge pages where the system gives them unasked; they
    # would double the memory.
    os.environ.setdefault("MIMALLOC_ALLOW_THP", "0")
    for stop in STOPS:
        # A scheduler's signal cleans up like Ctrl-C; an ignored one stays ignored.
        if signal.getsignal(stop) is signal.SIG_DFL:
            signal.signal(stop, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # old locales lack some characters
    try:
        status = execute(arguments)
    except KeyboardInterrupt:  # once more, while it was told
        status = EXIT_INTERRUPTED
    for stop in STOPS:
        signal.signal(stop, signal.SIG_IGN)  # the status stands, whatever comes now
    # Python would look for garbage once more: with boto's models that takes 50 ms. DuckDB tells on
    # standard error of what is not looked at.
    if "duckdb" not in sys.modules:
        gc.freeze()
    sys.exit(status)


def execute(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    _hold_standard_streams()
    if COMPLETE_VARIABLE in os.environ:
        importlib.import_module("edxlogs.cli.completion")
    _debugging.clear()
    try:
        with _debugged():
            result: Any = cli.main(
                args=arguments,
                prog_name="edxlogs",
                complete_var=COMPLETE_VARIABLE,
                standalone_mode=False,
            )
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return EXIT_USAGE
    except click.ClickException as error:
        click.echo(f"edxlogs: {_in_one_line(error)}", err=True)
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt) as stop:
        told = "nothing was published"
        if isinstance(stop.__cause__, ResumableInterrupt):  # of which click makes an Abort
            told = "finished work is kept; run the same command to continue"
        click.echo(f"interrupted: {told}", err=True)
        return EXIT_INTERRUPTED
    except SystemExit:
        # Only click ends in this way, if a pipe breaks, as in `edxlogs filter … | head`.
        is_read = not _reader_is_gone()
        if is_read:
            told = (
                "internal error: a program that edxlogs started ended early; run again with --debug"
            )
            click.echo(f"edxlogs: {told}", err=True)
        _silence()
        return EXIT_FAILED if is_read else 0
    except EdxlogsError as error:
        click.echo(f"edxlogs: {error}", err=True)
        is_misused = isinstance(error, ConfigError | MissingSourceError)
        return EXIT_USAGE if is_misused else EXIT_FAILED
    except OSError as error:
        unnamed = "current folder" if isinstance(error, FileNotFoundError) else "standard output"
        where = unnamed if error.filename is None else error.filename
        click.echo(f"edxlogs: {EdxlogsError(f'{where}: {error.strerror}')}", err=True)
        _silence()
        return EXIT_FAILED


@contextmanager
def _debugged() -> Iterator[None]:
    """With `--debug`, report where a failure comes from."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        if not _debugging:
            raise
        importlib.import_module("edxlogs.cli.debug").tell_failure(error)
        if isinstance(error, EdxlogsError | OSError):
            raise
        raise EdxlogsError("internal error: please report it, with the output of --debug") from None


def _hold_standard_streams() -> None:
    """Occupy the numbers of closed standard streams, so that no output gets one and is overwritten.

    They are opened the wrong way round, so that using one still fails. Messages go nowhere.
    """
    for descriptor, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)


def _in_one_line(error: click.ClickException) -> str:
    """The message of click about wrong use, with where to look."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = "edxlogs" if context is None else context.command_path
    return str(EdxlogsError(f"{error.format_message().rstrip('.')}; see {command} --help"))


def _reader_is_gone() -> bool:
    """Whether nobody reads standard output or standard error any more."""
    poll = select.poll()
    for descriptor in (1, 2):
        poll.register(descriptor, 0)  # a pipe without a reader is told all the same
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def _silence() -> None:
    """Keep Python from complaining about standard output when it exits."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.close(descriptor)
