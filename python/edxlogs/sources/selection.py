"""Finds the sources of a run, opens tars, and chooses by site, days and time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from edxlogs.account import Account
from edxlogs.edx.layout import check_partner
from edxlogs.edx.names import describe_name
from edxlogs.errors import ConfigError, EdxlogsError, MissingSourceError, SourceError
from edxlogs.gpg.input import Readable
from edxlogs.s3.client import S3, SCHEME
from edxlogs.sources.local import find
from edxlogs.sources.remote import Remote, find_events, find_objects
from edxlogs.sources.source import FoundSources, Packing, Source, crc_of, sniff
from edxlogs.sources.tars import expand_tar
from edxlogs.sources.window import Window
from edxlogs.text import many, shown


@dataclass(slots=True)
class Selection:
    """Sources to read, and an account of those that are not read.

    Attributes:
        sources: the sources, in the order in which they are read.
        inputs: everything that was found, including what is not read.
        sites: sites of everything that was found, as the names say.
        failures: errors of what should have been read but could not be opened.
        account: lists what was skipped, ignored or failed.
        is_known: tells whether a source was read before as it is, so that it is not a tar.
    """

    sources: list[Source] = field(default_factory=list)
    inputs: list[Source] = field(default_factory=list)
    sites: set[str] = field(default_factory=set)
    failures: list[EdxlogsError] = field(default_factory=list)
    account: Account = field(default_factory=Account)
    is_known: Callable[[Source], bool] = lambda _: False

    def add(self, found: FoundSources) -> list[Source]:
        """Record what was found besides the sources. Returns the sources."""
        self.account.ignored += found.ignored
        self.account.warnings += found.warnings
        for error in found.failed:
            self.fail(error)
        return found.sources

    def fail(self, error: EdxlogsError) -> None:
        """Record something that should have been read."""
        self.failures.append(error)
        self.account.failed.append(str(error))


def select(
    arguments: Any,
    window: Window,
    *,
    partner: str | None = None,
    s3: S3 | None = None,
    keep_going: bool = False,
    is_known: Callable[[Source], bool] = lambda _: False,
) -> Selection:
    """Find the sources of a run.

    Args:
        arguments: one or several paths, folders, globs, `-`, `s3://` URLs, `Source` objects or open
            binary files; may be empty if there is a partner.
        window: chooses among the sources.
        partner: a partner whose events in edX's bucket come after the other sources.
        s3: server and credentials; None takes them from the AWS configuration.
        keep_going: if an argument cannot be searched, enter it as failed, provided that another one
            names something.
        is_known: tells whether a source was read before as it is; if so, it is not opened.

    Raises:
        MissingSourceError: an argument names something that does not exist.
        SourceError: an argument cannot be searched, or holds nothing to read.
        ConfigError: an argument is not a source, or there is none.
    """
    several = listed(arguments)
    if partner is not None:
        several.append(_Partner(check_partner(partner)))
    if not several:
        raise ConfigError(
            "sources: none given; name files, folders, s3:// URLs, or - for standard input, or a"
            " --partner"
        )
    selection = Selection(is_known=is_known)
    for source in _SourceSearch(selection, window, s3 or S3(), keep_going).sources(several):
        selection.inputs.append(source)
        selection.sources.extend(_opened(source, selection))
    selection.sites = {one.site for one in selection.sources if one.site is not None}
    selection.sources, skipped = window.select(selection.sources)
    selection.account.skipped += [source.label for source in skipped]
    return selection


def find_one(file: str | os.PathLike[str] | Readable, s3: S3 | None = None) -> Source:
    """Find one file as stored. A tar counts as one file.

    Args:
        file: path, `s3://` URL, `-`, or an open binary file.
        s3: server and credentials; None takes them from the AWS configuration.

    Raises:
        ConfigError: the argument names several files.
        MissingSourceError: it names none.
        SourceError: it cannot be searched.
    """
    if not isinstance(file, str | os.PathLike):
        return _stream(file)
    name = os.fspath(file)
    found = find_objects(s3 or S3(), name) if name.startswith(SCHEME) else find([name])
    if found.failed and not found.sources:
        raise found.failed[0]
    if len(found.sources) != 1:
        several = many(len(found.sources), "file")
        raise ConfigError(f"sources: {shown(name)}: holds {several} to read; name one")
    return found.sources[0]


def drop_copies(selection: Selection) -> None:
    """Remove local files that are byte-for-byte copies of an earlier one, with a warning.

    This is for runs that pass rows on as they are read; other runs compare texts while reading.
    Only files of one site, organisation and day can be copies.
    """
    alike: dict[tuple[str, int], list[Source]] = {}
    for source in selection.sources:
        if source.size and source.remote is None:
            alike.setdefault((source.origin, source.size), []).append(source)
    first: dict[tuple[str, int, int], Source] = {}
    copies: set[int] = set()
    for (origin, size), sources in alike.items():
        for source in sources if len(sources) > 1 else ():
            try:
                kept = first.setdefault((origin, size, crc_of(source, size)), source)
            except SourceError:
                continue  # its reader says why
            if kept is not source:
                copies.add(id(source))
                told = f"{source.label}: is a copy of {kept.label}: read once"
                selection.account.warnings.append(told)
    selection.sources = [one for one in selection.sources if id(one) not in copies]


def listed(arguments: Any) -> list[Any]:
    """One or several sources as a list. `select` reports anything that is not a source."""
    one = isinstance(arguments, str | bytes | os.PathLike | Source) or hasattr(arguments, "read")
    return [arguments] if one or not isinstance(arguments, Iterable) else list(arguments)


@dataclass(frozen=True, slots=True)
class _Partner:
    """A partner's events as an argument."""

    name: str


@dataclass(slots=True)
class _SourceSearch:
    """Turns the arguments of a run into sources."""

    selection: Selection
    window: Window
    s3: S3
    keep_going: bool
    _paths: list[str | os.PathLike[str]] = field(default_factory=list)
    _found: list[Source] = field(default_factory=list)
    _urls: set[str] = field(default_factory=set)

    def sources(self, arguments: Sequence[Any]) -> list[Source]:
        """The sources of the arguments, in their order."""
        for argument in arguments:
            is_url = isinstance(argument, str) and argument.startswith(SCHEME)
            if isinstance(argument, str | os.PathLike) and not is_url:
                self._paths.append(argument)
                continue
            self._find_paths()
            if is_url:
                self._find(partial(find_objects, self.s3, argument))
            elif isinstance(argument, _Partner):
                self._find(partial(find_events, self.s3, argument.name, self.window))
            elif isinstance(argument, Source):
                self._found.append(argument)
            elif hasattr(argument, "read"):
                self._found.append(_stream(argument))
            else:
                raise ConfigError(
                    f"sources: {shown(repr(argument))}: is not a source; name a path, or give a"
                    " file"
                    " that is open for reading bytes"
                )
        self._find_paths()
        if not self._found and self.selection.failures:
            raise self.selection.failures[0]
        return self._found

    def _find_paths(self) -> None:
        """Search neighbouring paths together, so that the same file is read once."""
        if self._paths:
            self._find(partial(find, self._paths, keep_going=self.keep_going))
            self._paths = []

    def _find(self, find_some: Callable[[], FoundSources]) -> None:
        try:
            found = find_some()
        except SourceError as error:
            if not self.keep_going or isinstance(error, MissingSourceError):
                raise
            self.selection.fail(error)
            return
        for source in self.selection.add(found):
            if source.remote is not None and not self._is_new(source, source.remote):
                continue
            self._found.append(source)

    def _is_new(self, source: Source, remote: Remote) -> bool:
        """Whether an object has not been named before. Warns about risks of reaching its bucket."""
        warnings = self.selection.account.warnings
        if source.path in self._urls:
            warnings.append(f"{source.label}: the same object was named before: read once")
            return False
        self._urls.add(source.path)
        risk = remote.s3.warning(remote.object.bucket)
        if risk is not None and risk not in warnings:
            warnings.append(risk)
        return True


def _stream(file: Readable) -> Source:
    """An open file as a source. Its name, if it has one, counts like a path."""
    path = getattr(file, "name", None)
    if not isinstance(path, str):
        return Source("stream", "stream", None, file=file)
    parts = describe_name(os.path.abspath(path))
    name = shown(os.path.basename(path))
    return Source(path, name, None, parts.org, parts.site, parts.date, file=file)


def _opened(source: Source, selection: Selection) -> list[Source]:
    """The source itself, or the members of a tar on disk or in S3."""
    try:
        is_one = source.length is not None or _is_packed(source) or selection.is_known(source)
        if is_one or sniff(source) is not Packing.TAR:
            return [source]
        return selection.add(expand_tar(source))
    except EdxlogsError as error:
        selection.fail(error)
        return []


def _is_packed(source: Source) -> bool:
    """Whether to save the request that checks whether an object is a tar.

    True if its name says that it is not one. If it is one all the same, it is read as a single
    source.
    """
    return source.remote is not None and source.name.endswith((".gpg", ".gz"))
