"""Finds the sources that local arguments name: files, folders, globs and standard input.

Nothing in this module opens a file to look into it, except files that may be edxlogs' own reports.
Paths stay as the system gave them, with undecodable bytes as surrogates.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from edxlogs import system
from edxlogs.edx.foreign import is_report
from edxlogs.edx.names import NameParts, describe_name, is_hidden, is_recognised
from edxlogs.errors import ConfigError, MissingSourceError, SourceError
from edxlogs.globs import is_path_glob, name_matches
from edxlogs.sources.source import (
    STDIN,
    FoundSources,
    Source,
    cannot_open,
    is_dataset,
    row_name,
)
from edxlogs.text import shown

_Key = tuple[int, int] | str
_REPORT_BYTES = 256  # tell one


def find(arguments: Iterable[str | os.PathLike[str]], *, keep_going: bool = False) -> FoundSources:
    """Find the sources that the arguments name.

    An argument is `-`, a file, a folder, or a glob (`*`, `?`, `[…]`, and `**` for any number of
    folders). An existing path is always taken literally. Folders are searched at every depth,
    through links, for recognised names. Names that begin with a dot, `_edxlogs` and `_delta_log`
    are skipped silently. Datasets and reports that edxlogs wrote are ignored. The content of files
    is not looked at, and a tar is one source.

    Args:
        arguments: what to look for.
        keep_going: if an argument cannot be searched, enter it in `failed`, provided that another
            one names something.

    Returns:
        Sources in the order of the arguments, and for each argument by the bytes of their names. A
            file that occurs twice (same device and inode, so by links of either kind too) is listed
            once, at its first place.

    Raises:
        ConfigError: an argument cannot be a local path.
        MissingSourceError: a path does not exist, or a glob matches nothing.
        SourceError: a path cannot be examined, or a folder holds no file to read.
    """
    search = _LocalSearch()
    failures: list[SourceError] = []
    for argument in arguments:
        try:
            search.add(os.fspath(argument))
        except SourceError as error:
            if not keep_going or isinstance(error, MissingSourceError):
                raise
            failures.append(error)
    if failures and not search.found.sources:
        raise failures[0]
    search.found.failed += failures
    return search.found


@dataclass(slots=True)
class _Named:
    """What one argument names, before sorting and removing duplicates.

    `read_elsewhere` says that an earlier argument named the same folder.
    """

    files: dict[str, os.stat_result] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    folders: dict[_Key, str] = field(default_factory=dict)
    read_elsewhere: bool = False


class _LocalSearch:
    """The state of one `find`: what is known so far, and by which name."""

    def __init__(self) -> None:
        self.found = FoundSources()
        self._files: dict[_Key, str] = {}
        self._folders: dict[_Key, str] = {}
        self._failed: set[str] = set()

    def add(self, argument: str) -> None:
        """Add the sources of one argument."""
        if argument == STDIN:
            self._take(STDIN, _stat_stdin(), STDIN)
            return
        try:
            status = os.stat(argument)
        except ValueError as error:
            raise ConfigError(
                f"not a file name: {shown(argument)!r}: {shown(str(error))}",
                source=shown(argument),
            ) from error
        except OSError as error:
            absent = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
            if not (absent and is_path_glob(argument)):
                raise cannot_open(argument, error) from error
            self._add_glob(argument)
            return
        if stat.S_ISDIR(status.st_mode):
            self._add_matches(argument, [(argument, status)], len(self._failed))
        else:
            self._take(argument, status, os.path.basename(argument))

    def _add_glob(self, pattern: str) -> None:
        failed_before = len(self._failed)
        matches = []
        for path in glob_paths(pattern, self._fail):
            try:
                status = os.stat(path)
            except OSError as error:
                self._fail(path, error)
                continue
            if stat.S_ISDIR(status.st_mode) or not pattern.endswith("/"):
                matches.append((path, status))
        if not matches and failed_before == len(self._failed):
            raise MissingSourceError(
                f"cannot open: {shown(pattern)}: the glob matches nothing; look at the folder, or "
                "name it alone to have it searched",
                source=shown(pattern),
            )
        matches.sort(key=lambda match: os.fsencode(match[0]))
        self._add_matches(pattern, matches, failed_before)

    def _add_matches(
        self, argument: str, matches: list[tuple[str, os.stat_result]], failed_before: int
    ) -> None:
        """Search the folders that an argument names, and add all files in order."""
        listing = _Named()
        for path, status in matches:
            if stat.S_ISDIR(status.st_mode):
                self._search_folder(path, status, listing, is_named=path == argument)
            elif stat.S_ISREG(status.st_mode) and (path == argument or not _is_report(path)):
                listing.files[path] = status
            else:
                listing.ignored.append(path)
        self._folders.update(listing.folders)

        # A glob such as `**/*` names a file itself, and also the folder in which it is skipped.
        ignored = [path for path in listing.ignored if path not in listing.files]
        excused = listing.read_elsewhere or len(self._failed) > failed_before
        if not listing.files and not excused:
            why = (
                f"no file is named like a log ({len(ignored)} ignored); name the files themselves"
                " to read them"
                if ignored
                else "the folder is empty; check the path, or name another"
            )
            if any(map(is_dataset, listing.folders.values())):
                why = "it holds what edxlogs wrote, not logs; name the logs"
            raise SourceError(f"nothing to read: {shown(argument)}: {why}", source=shown(argument))
        self.found.ignored += [shown(path) for path in sorted(ignored, key=os.fsencode)]
        top = argument if any(path == argument for path, _ in matches) else _literal(argument)
        for path in sorted(listing.files, key=os.fsencode):
            self._take(path, listing.files[path], path.removeprefix(top).lstrip("/"))

    def _fail(self, path: str, error: OSError) -> None:
        # A glob may reach the same folder more than once.
        if path not in self._failed:
            self._failed.add(path)
            self.found.failed.append(cannot_open(path, error))

    def _search_folder(
        self, top: str, top_status: os.stat_result, listing: _Named, *, is_named: bool
    ) -> None:
        pending = [(top, top_status)]
        while pending:
            folder, status = pending.pop()
            key = _key(folder, status)
            if key in self._folders:
                self._warn_same("folder", folder, self._folders[key])
                listing.read_elsewhere = True
                continue
            if key in listing.folders:
                # A glob may name both a folder and the one above it, so paths may recur.
                if folder != listing.folders[key]:
                    self._warn_same("folder", folder, listing.folders[key])
                continue
            listing.folders[key] = folder
            if is_dataset(folder) and not (is_named and folder == top):
                listing.ignored.append(folder)
                continue
            try:
                names = _list_folder(folder)
            except OSError as error:
                self._fail(folder, error)
                continue
            below = [
                (path, status)
                for name in names
                if not is_hidden(name)
                for path, status in self._sort_out(folder, name, listing)
            ]
            # The last one is taken first, so that of two paths to a folder the earlier name wins.
            pending.extend(reversed(below))

    def _sort_out(
        self, folder: str, name: str, listing: _Named
    ) -> list[tuple[str, os.stat_result]]:
        """Sort one name of a folder into the right list. Folders are returned."""
        path = os.path.join(folder, name)
        try:
            status = os.stat(path)
        except OSError as error:
            if is_recognised(name):
                self._fail(path, error)
            else:
                listing.ignored.append(path)
            return []
        if stat.S_ISDIR(status.st_mode):
            return [(path, status)]
        is_file = stat.S_ISREG(status.st_mode) and is_recognised(name)
        if is_file and not _is_report(path):
            listing.files[path] = status
        else:
            listing.ignored.append(path)
        return []

    def _take(self, path: str, status: os.stat_result, name: str) -> None:
        key = _key(path, status)
        if key in self._files:
            self._warn_same("file", path, self._files[key])
            return
        self._files[key] = path
        # The folder of a server counts even when the path was given from inside it.
        parts = NameParts() if path == STDIN else describe_name(os.path.abspath(path))
        is_file = stat.S_ISREG(status.st_mode)
        offset = 0
        if path == STDIN and is_file:
            is_file, offset = _stdin_opens_again(status), os.lseek(0, 0, os.SEEK_CUR)
        self.found.sources.append(
            Source(
                path=path,
                name=row_name(name),
                size=max(0, status.st_size - offset) if is_file else None,
                org=parts.org,
                site=parts.site,
                date=parts.date,
                offset=offset,
                identity=key if isinstance(key, tuple) else None,
            )
        )

    def _warn_same(self, what: str, path: str, first: str) -> None:
        self.found.warnings.append(f"{shown(path)}: the same {what} as {shown(first)}: read once")


def _is_report(path: str) -> bool:
    """Whether a file is an account that edxlogs wrote."""
    if not path.endswith(".json"):
        return False
    try:
        with open(path, "rb") as file:
            return is_report(file.read(_REPORT_BYTES))
    except OSError:
        return False  # its reader says why


def _stat_stdin() -> os.stat_result:
    try:
        if sys.stdin is None:  # it was closed when the program began
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return os.fstat(0)
    except OSError as error:
        raise SourceError("cannot open: standard input: it is closed", source=STDIN) from error


def _stdin_opens_again(status: os.stat_result) -> bool:
    """Whether the file behind standard input can be opened and read like any other, repeatedly."""
    path = system.path_of(0)
    if path is None:
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # another user opened it for us
        return False
    try:
        return os.path.samestat(os.fstat(descriptor), status)
    finally:
        os.close(descriptor)


def _literal(pattern: str) -> str:
    """The folder that every match of a glob begins with."""
    parts = pattern.split("/")
    globs = [number for number, part in enumerate(parts) if is_path_glob(part)]
    return "".join(f"{part}/" for part in parts[: globs[0]])


def _key(path: str, status: os.stat_result) -> _Key:
    # Some network and FUSE file systems have no inode numbers: all files would look the same.
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)


def _list_folder(folder: str) -> list[str]:
    return sorted(os.listdir(folder or "."), key=os.fsencode)


def glob_paths(pattern: str, fail: Callable[[str, OSError], None]) -> set[str]:
    """The paths that match a glob. `fail` is called for what cannot be examined."""
    parts = [part for part in pattern.split("/") if part]
    return set(_glob("/" if pattern.startswith("/") else "", parts, fail))


def _glob(base: str, parts: Sequence[str], fail: Callable[[str, OSError], None]) -> Iterator[str]:
    """Yield the matches below `base`, in no particular order, possibly twice.

    Unlike the standard library's glob, this does not skip unreadable folders silently.
    """
    if not parts:
        yield base or "."
        return
    part, rest = parts[0], parts[1:]
    if not is_path_glob(part):
        path = os.path.join(base, part)
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            fail(path, error)
            return
        yield from _glob(path, rest, fail)
        return
    if part == "**":
        # Any number of folders, also none. As the last part: the folder itself, to be searched.
        yield from _glob(base, rest, fail)
        if not rest:
            return
    try:
        names = _list_folder(base)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        fail(base, error)
        return
    for name in names:
        if is_hidden(name) and not (part.startswith(".") and name.startswith(".")):
            continue
        path = os.path.join(base, name)
        if part == "**":
            # Links to folders are not followed here, because they could form a loop.
            if os.path.isdir(path) and not os.path.islink(path):
                yield from _glob(path, parts, fail)
        elif name_matches(name, part):
            yield from _glob(path, rest, fail)
