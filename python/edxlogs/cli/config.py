"""What stays the same for a user: the config file and variables, as defaults of options."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edxlogs import toml
from edxlogs.errors import ConfigError
from edxlogs.text import shown
from edxlogs.values import MOST_TOML_BYTES, read_text

ENVIRONMENT = "EDXLOGS_CONFIG"
PREFIX = "EDXLOGS_"
# The keys: for each, what applies if it is not set, and variables that other programs read.
SETTINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "partner": ("no partner", ()),
    "profile": ("the AWS configuration", ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")),
    "region": ("the AWS configuration", ("AWS_REGION", "AWS_DEFAULT_REGION")),
    "endpoint_url": ("the AWS configuration", ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")),
    "requester_pays": ("the owner of the bucket pays", ()),
    "gnupg_home": ("GnuPG's default", ("GNUPGHOME",)),
    "passphrase_file": ("ask gpg-agent", ()),
    "salt_file": ("a file of edxlogs' own", ()),
}
EXAMPLES = """\b
Examples:
  edxlogs config show
  EDXLOGS_REGION=eu-west-1 edxlogs config show --json
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """The value of a key.

    Attributes:
        value: the value as the option takes it.
        origin: the variable or the config file that sets it.
    """

    value: Any
    origin: str


def read_config() -> dict[str, Any]:
    """The defaults of options, from variables and then the config file.

    Returns:
        Values by the names of options, with underscores. Paths are absolute.

    Raises:
        ConfigError: the config file cannot be read, or a key or a value is invalid.
    """
    return {name: one.value for name, one in read_settings().items()}


def read_settings() -> dict[str, Setting]:
    """What variables and the config file set, by the names of options.

    The file is the one that the variable `EDXLOGS_CONFIG` names (none if that is empty), else
    `edxlogs/config.toml` in `$XDG_CONFIG_HOME` or `~/.config`, which need not exist. A variable
    such as `EDXLOGS_PARTNER` overrides the file; an empty one is ignored.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or has an unknown key or value; or a
            variable has an invalid value.
    """
    path = _place()
    found: dict[str, Setting] = {}
    if path is not None:
        name = shown(str(path))
        found = {key: Setting(value, name) for key, value in _of_file(path, name).items()}
    return found | _of_variables(os.environ)


def _of_file(path: Path, name: str) -> dict[str, Any]:
    try:
        text = read_text(path, MOST_TOML_BYTES)
    except FileNotFoundError as error:
        if ENVIRONMENT not in os.environ:
            return {}
        raise ConfigError(f"cannot read config file: {name}: it does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"cannot read config file: {name}: {why}") from error
    where = f"config file: {name}"
    known = _kinds(path.absolute().parent)
    return toml.check(where, toml.parse(where, text), known, "unknown key")


def _of_variables(environment: Mapping[str, str]) -> dict[str, Setting]:
    """What variables set. Commas separate profiles; paths start from the current folder."""
    found = {}
    for name, kind in _kinds(Path.cwd()).items():
        variable = f"{PREFIX}{name.upper()}"
        text = environment.get(variable)
        if not text:
            continue
        value: Any = {"true": True, "false": False}.get(text.lower(), text)
        if name == "profile":
            value = [one.strip() for one in text.split(",")]
        if (read := kind.read(value)) is None:
            raise ConfigError(f"environment: {variable}: {kind.told}")
        found[name] = Setting(read, variable)
    return found


def _place() -> Path | None:
    named = os.environ.get(ENVIRONMENT)
    if named is not None:
        return Path(named) if named else None
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(folder) if os.path.isabs(folder) else Path("~/.config")
    try:
        return base.expanduser() / "edxlogs" / "config.toml"
    except RuntimeError:  # a user without a home
        return None


def _kinds(folder: Path) -> dict[str, toml.Value]:
    """The keys. A relative path starts from that folder, and `~` is the user's home."""

    def path(value: Any) -> Path | None:
        text = toml.text(value)
        try:
            return folder / Path(text).expanduser() if text else None
        except RuntimeError:
            return None

    text = toml.Value("it must be text", lambda value: toml.text(value) or None)
    texts = toml.Value(
        "it must be text, or a list of text",
        lambda value: listed if (listed := toml.several(value)) and all(listed) else None,
    )
    return {
        "partner": text,
        "profile": texts,
        "region": text,
        "endpoint_url": text,
        "requester_pays": toml.Value("it must be true or false", toml.flag),
        "gnupg_home": toml.Value("it must be a path", path),
        "passphrase_file": toml.Value("it must be a path", path),
        "salt_file": toml.Value("it must be a path", path),
    }


@click.group("config")
def command() -> None:
    """Show what the config file and variables of the environment set."""


@command.command("show", epilog=EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show_command(*, as_json: bool) -> None:
    """Show each setting with its value, and where the value comes from.

    An option on the command line overrides a variable such as EDXLOGS_PARTNER, and a variable
    overrides the config file.
    """
    from edxlogs.cli.progress import tell_json

    settings, path = read_settings(), _place()
    told = {name: _told(name, settings.get(name)) for name in SETTINGS}
    known = {ENVIRONMENT, *(f"{PREFIX}{name.upper()}" for name in SETTINGS)}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if as_json:
        file = None if path is None else {"path": shown(str(path)), "is_there": path.exists()}
        tell_json({"config_file": file, "settings": told, "unknown_variables": unknown})
        return
    from edxlogs.text import table

    there = "" if path is None or path.exists() else " (not found)"
    click.echo(f"config file: {'none' if path is None else shown(str(path))}{there}")
    rows = [[name, shown(str(one["value"] or "")), one["from"]] for name, one in told.items()]
    for line in table([["setting", "value", "from"], *rows]):
        click.echo(line)
    for name in unknown:
        click.echo(f"{shown(name)}: unknown variable")


def _told(name: str, setting: Setting | None) -> dict[str, Any]:
    if setting is not None:
        value = setting.value
        if isinstance(value, list | tuple):
            value = ", ".join(value)
        return {"value": str(value) if isinstance(value, Path) else value, "from": setting.origin}
    told, variables = SETTINGS[name]
    for variable in variables:
        if value := os.environ.get(variable):
            return {"value": value, "from": variable}
    return {"value": None, "from": told}
