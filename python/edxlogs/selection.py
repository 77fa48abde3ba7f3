"""The sources of a run: found, tars opened, chosen by site and date."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from edxlogs.account import Account
from edxlogs.errors import ConfigError, EdxlogsError
from edxlogs.names import describe_name, shown
from edxlogs.query import Conditions, micros
from edxlogs.sources import (
    DEFAULT_SLACK,
    Found,
    Kind,
    Readable,
    Slack,
    Source,
    find,
    is_near,
    sniff,
)
from edxlogs.tars import expand_tar

# edX dates a daily file by the receipt of its events, in UTC.
_RECEIPT_SLACK = Slack(1, 1)


@dataclass(slots=True)
class Selection:
    """Sources to be read, and an account that holds what is not.

    Attributes:
        sources: in the order they are read.
        inputs: all that were found, also those not read.
        sites: of all that were found, as their names tell.
        failures: what should have been read and could not be opened.
        account: with what was skipped, ignored or failed.
    """

    sources: list[Source] = field(default_factory=list)
    inputs: list[Source] = field(default_factory=list)
    sites: set[str] = field(default_factory=set)
    failures: list[EdxlogsError] = field(default_factory=list)
    account: Account = field(default_factory=Account)

    def add(self, found: Found) -> list[Source]:
        """Take what was found beside the sources; give those back."""
        self.account.ignored += found.ignored
        self.account.warnings += found.warnings
        for error in found.failed:
            self.fail(error)
        return found.sources

    def fail(self, error: EdxlogsError) -> None:
        """Enter what should have been read."""
        self.failures.append(error)
        self.account.failed.append(str(error))


def select(arguments: Any, conditions: Conditions, *, keep_going: bool = False) -> Selection:
    """Find the sources of a run.

    Args:
        arguments: one or several: paths, folders, globs, `-`, `Source`s, or open binary files.
        conditions: of which site and time choose among the sources.
        keep_going: enter an argument that names nothing as failed, if another names something.

    Raises:
        SourceError: an argument names nothing.
        ConfigError: an argument is no source.
    """
    one = isinstance(arguments, str | bytes | os.PathLike | Source) or hasattr(arguments, "read")
    several = [arguments] if one or not isinstance(arguments, Iterable) else list(arguments)
    if not several:
        raise ConfigError("sources: none given; name files, folders, or - for standard input")
    selection = Selection()
    for source in _found(several, selection, keep_going):
        selection.inputs.append(source)
        selection.sources.extend(_opened(source, selection))
    selection.sites = {one.site for one in selection.sources if one.site is not None}
    found, selection.sources = selection.sources, []
    for source in found:
        if is_wanted(source, conditions):
            selection.sources.append(source)
        else:
            selection.account.skipped.append(source.label)
    return selection


def is_wanted(source: Source, conditions: Conditions) -> bool:
    """Tell by the site and the day of a source whether it is read."""
    if not conditions.wants_site(source.site):
        return False
    since, until = micros("since", conditions.since), micros("until", conditions.until)
    slack = conditions.slack
    # A site's own rotated logs are dated by their rotation: only edX's names tell more.
    if conditions.by == "received_at" and slack is DEFAULT_SLACK and source.org is not None:
        slack = _RECEIPT_SLACK
    return is_near(source, since, until, slack)


def _found(arguments: Sequence[Any], selection: Selection, keep_going: bool) -> list[Source]:
    """The sources of the arguments. Neighbouring paths are searched together."""
    sources: list[Source] = []
    paths: list[str | os.PathLike[str]] = []

    def search() -> None:
        if paths:
            sources.extend(selection.add(find(paths, keep_going=keep_going)))
            paths.clear()

    for argument in arguments:
        if isinstance(argument, Source):
            search()
            sources.append(argument)
        elif hasattr(argument, "read"):
            search()
            sources.append(_stream(argument))
        elif isinstance(argument, str | os.PathLike):
            paths.append(argument)
        else:
            raise ConfigError(
                f"sources: {shown(repr(argument))}: is no source; name a path, or give a file"
                " that is open for reading bytes"
            )
    search()
    return sources


def _stream(file: Readable) -> Source:
    """An open file as a source; what its name tells counts as that of a path does."""
    path = getattr(file, "name", None)
    if not isinstance(path, str):
        return Source("stream", "stream", None, file=file)
    parts = describe_name(os.path.abspath(path))
    name = shown(os.path.basename(path))
    return Source(path, name, None, parts.org, parts.site, parts.date, file=file)


def _opened(source: Source, selection: Selection) -> list[Source]:
    """The source itself, or the members of a tar on disk."""
    try:
        if source.length is not None or sniff(source) is not Kind.TAR:
            return [source]
        return selection.add(expand_tar(source))
    except EdxlogsError as error:
        selection.fail(error)
        return []
