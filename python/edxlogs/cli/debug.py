"""`--debug`: writes what a bug report needs to standard error: versions, options, where it failed.

No person appears in it. Conditions on users and expressions are only counted. For an error that is
not edxlogs' own, the kind is shown but not the text, which could contain anything.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from edxlogs.errors import EdxlogsError
from edxlogs.text import shown

_LIBRARIES = ("click", "orjson", "python-gnupg", "boto3", "pyarrow", "duckdb", "distributed")
_PERSONAL = {"user", "exclude_user", "where"}
_PLACES = ("MIMALLOC_ALLOW_THP", "TZ", "LANG", "LC_ALL")


def begin() -> None:
    """Show the versions of everything involved."""
    _tell(_versions())


def tell_plan(ctx: click.Context) -> None:
    """Show what a command was asked to do."""
    _tell(_plan(ctx))


def tell_failure(error: BaseException) -> None:
    """Show where in the program it failed, and the kind of error."""
    _tell(_failure(error))


def _tell(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(f"debug: {shown(_without_home(line))}", err=True)


def _without_home(text: str) -> str:
    """The text without the path of anybody's home."""
    home = os.path.expanduser("~")
    return text.replace(home, "~") if len(home) > 1 else text


def _versions() -> Iterator[str]:
    from edxlogs import _core

    yield f"edxlogs {_core.__version__} in {Path(__file__).parents[1]}"
    yield f"Python {platform.python_version()} ({platform.python_implementation()})"
    libc = " ".join(platform.libc_ver())
    yield f"{platform.system()} {platform.release()} {platform.machine()} {libc}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield f"{cores} cores of {os.cpu_count()}"
    yield _gpg()
    for name in _LIBRARIES:
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            yield f"{name} is not installed"
    terminals = [name for name in ("stdin", "stdout", "stderr") if _is_terminal(name)]
    yield f"terminals: {', '.join(terminals) or 'none'}; text is {sys.getfilesystemencoding()}"
    for name in _PLACES:
        if (value := os.environ.get(name)) is not None:
            yield f"{name}={value}"


def _gpg() -> str:
    if (program := shutil.which("gpg")) is None:
        return "gpg is not installed"
    try:
        done = subprocess.run([program, "--version"], capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "gpg does not answer"
    return done.stdout.decode(errors="replace").partition("\n")[0]


def _is_terminal(name: str) -> bool:
    stream = getattr(sys, name)
    return stream is not None and stream.isatty()


def _plan(ctx: click.Context) -> Iterator[str]:
    yield ctx.command_path
    for parameter in ctx.command.params:
        name = parameter.name or ""
        value, origin = ctx.params.get(name), ctx.get_parameter_source(name)
        if origin in (None, click.core.ParameterSource.DEFAULT) or value is None:
            continue
        where = "" if origin is click.core.ParameterSource.COMMANDLINE else " (config)"
        yield f"  {name} = {_value(name, value)}{where}"


def _value(name: str, value: Any) -> str:
    if name in _PERSONAL:
        count = len(value) if isinstance(value, tuple | list) else 1
        return f"{count} of them, not shown"
    if isinstance(value, tuple | list) and len(value) > 5:
        return f"{', '.join(map(str, value[:5]))} and {len(value) - 5} more"
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _failure(error: BaseException) -> Iterator[str]:
    seen: BaseException | None = error
    while seen is not None:
        kind = type(seen)
        told = f"{kind.__module__}.{kind.__qualname__}"
        if isinstance(seen, EdxlogsError):
            # The text of an invalid condition may name someone.
            is_condition = str(seen).lstrip("-").startswith(("where", "user", "exclude-user"))
            told += ": a condition, not shown" if is_condition else f": {seen}"
        elif isinstance(seen, OSError):
            told += f": {seen.strerror}"
        yield told
        for frame in traceback.extract_tb(seen.__traceback__):
            yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
        if seen is not None:
            yield "because of"
