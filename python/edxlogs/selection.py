"""The sources of a run: found, tars opened, chosen by site and date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edxlogs.account import Account
from edxlogs.errors import ConfigError, EdxlogsError
from edxlogs.query import Conditions, micros
from edxlogs.sources import DEFAULT_SLACK, Kind, Slack, Source, find, select_by_date, sniff
from edxlogs.tars import expand_tar

# edX dates a daily file by the receipt of its events, in UTC.
_RECEIPT_SLACK = Slack(1, 1)


@dataclass(slots=True)
class Selection:
    """Sources to be read, and an account that holds what is not.

    Attributes:
        sources: in the order they are read.
        inputs: all that were found, also those not read.
        account: with what was skipped, ignored or could not be opened.
    """

    sources: list[Source] = field(default_factory=list)
    inputs: list[Source] = field(default_factory=list)
    account: Account = field(default_factory=Account)


def select(arguments: Sequence[Any], conditions: Conditions) -> Selection:
    """Find the sources of a run.

    Args:
        arguments: paths, folders, globs, `-`, `Source`s, or open binary files.
        conditions: of which site and time choose among the sources.

    Raises:
        SourceError: an argument names nothing.
        ConfigError: an argument is no source.
    """
    if isinstance(arguments, str | bytes) or not isinstance(arguments, Sequence):
        arguments = [arguments]
    if not arguments:
        raise ConfigError("sources: none given; name files, folders, or - for standard input")
    selection = Selection()
    account = selection.account
    for source in _found(arguments, account):
        selection.inputs.append(source)
        selection.sources.extend(_opened(source, account))
    wanted = [one for one in selection.sources if conditions.has_site(one.site)]
    account.skipped += [one.label for one in selection.sources if not conditions.has_site(one.site)]
    selection.sources, skipped = _by_date(wanted, conditions)
    account.skipped += [source.label for source in skipped]
    return selection


def _found(arguments: Sequence[Any], account: Account) -> list[Source]:
    """The sources of the arguments. Neighbouring paths are searched together."""
    sources: list[Source] = []
    paths: list[Any] = []

    def search() -> None:
        if paths:
            found = find(paths)
            sources.extend(found.sources)
            account.ignored += found.ignored
            account.warnings += found.warnings
            account.failed += [str(error) for error in found.failed]
            paths.clear()

    for argument in arguments:
        if isinstance(argument, Source):
            search()
            sources.append(argument)
        elif hasattr(argument, "read"):
            search()
            name = str(getattr(argument, "name", "stream"))
            sources.append(Source(name, name.rsplit("/", 1)[-1], None, file=argument))
        else:
            paths.append(argument)
    search()
    return sources


def _opened(source: Source, account: Account) -> list[Source]:
    """The source itself, or the members of a tar on disk."""
    try:
        if source.length is not None or sniff(source) is not Kind.TAR:
            return [source]
        found = expand_tar(source)
    except EdxlogsError as error:
        account.failed.append(str(error))
        return []
    account.ignored += found.ignored
    account.warnings += found.warnings
    account.failed += [str(error) for error in found.failed]
    return found.sources


def _by_date(sources: list[Source], conditions: Conditions) -> tuple[list[Source], list[Source]]:
    since, until = micros("since", conditions.since), micros("until", conditions.until)
    slack = conditions.slack
    if conditions.by != "received_at" or slack is not DEFAULT_SLACK:
        return select_by_date(sources, since, until, slack)
    # A site's own rotated logs are dated by their rotation: only edX's names tell more.
    kept: list[Source] = []
    skipped: list[Source] = []
    for source in sources:
        narrow = _RECEIPT_SLACK if source.org is not None else DEFAULT_SLACK
        one_kept, one_skipped = select_by_date([source], since, until, narrow)
        kept += one_kept
        skipped += one_skipped
    return kept, skipped
