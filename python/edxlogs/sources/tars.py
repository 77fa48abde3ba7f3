"""Members of tars as separate sources.

An uncompressed tar on disk or in S3 is listed before the run (`expand_tar`). A tar inside gzip or
OpenPGP, or in a stream, yields its members as they come (`PackedTar`). Both recognise logs by the
same rules.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Callable
from dataclasses import replace
from tarfile import ReadError
from typing import Any, BinaryIO

from edxlogs.edx.names import describe_name, is_hidden, is_recognised
from edxlogs.errors import SourceError
from edxlogs.sources.source import FoundSources, Source, cannot_open, looks_like_tar, row_name
from edxlogs.text import shown

_ZERO_SCAN_BYTES = 1024 * 1024
_HEADER_BYTES = 1 << 20  # of a long name or its like; tarfile holds them whole
_MOST_BYTES = 1 << 43  # beyond what file systems seek to
_HELD = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_SIZE = re.compile(r"[0-9]{1,18}")


class TarHeader(tarfile.TarInfo):
    """A tar header that is checked before it is believed.

    The standard library reads a malformed size as 0, and accepts names of any length.
    """

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        most = _HEADER_BYTES if self.type in _HELD else _MOST_BYTES
        if not 0 <= self.size <= most:
            raise ReadError("an impossible size")
        return super()._proc_member(archive)  # type: ignore[misc]

    def _apply_pax_info(self, records: dict[str, str], encoding: str, errors: str) -> None:
        size = records.get("size", "0")
        if not _SIZE.fullmatch(size) or int(size) > _MOST_BYTES:
            raise ReadError("an impossible size")
        super()._apply_pax_info(records, encoding, errors)  # type: ignore[misc]


def expand_tar(source: Source) -> FoundSources:
    """List the members of an uncompressed tar, on disk or in S3, as separate sources.

    If two members have the same name, the last one counts, as it would after extraction, and a
    warning says so. Organisation, site and day come from the member's name, or else from the tar's.
    Names are only labels: nothing is extracted.

    Returns:
        Regular files with recognised names, by the bytes of their full names. Each may itself be
            OpenPGP, gzip or plain. Links, devices, sparse files and other names are in `ignored`.

    Raises:
        SourceError: the tar cannot be read, is cut off, or is damaged anywhere.
    """
    found = FoundSources()
    try:
        with _open(source) as file:
            end = file.seek(0, os.SEEK_END)
            if source.length is not None:
                end = min(end, source.offset + source.length)
            members = _read_members(file, source, end, found.warnings)
    except SourceError:
        raise
    except OSError as error:
        raise cannot_open(source.path, error) from error

    by_name: dict[str, tarfile.TarInfo] = {}
    for member in members:
        if member.isdir() or _is_hidden(member.name):
            continue
        label = f"{source.label}: {shown(member.name)}"
        # The holes of a sparse file are not in the tar.
        if not _is_log(member.name, member.isreg() and not member.issparse()):
            found.ignored.append(label)
            continue
        if member.name in by_name:
            found.warnings.append(f"{label}: in the tar more than once: the last one is read")
        by_name[member.name] = member
    for name in sorted(by_name, key=lambda name: name.encode("utf-8", "surrogateescape")):
        member = by_name[name]
        found.sources.append(
            replace(
                _member(source, name),
                size=member.size,
                offset=member.offset_data,
                length=member.size,
            )
        )
    return found


class PackedTar:
    """Describes each member of a tar that is read as a stream.

    Members are recognised as in `expand_tar`. But nothing can be looked up beforehand, so members
    are read in the order of the tar; if two have the same name, both are read, and a warning says
    so.

    Args:
        tar: the source that contains the tar.
        is_wanted: tells whether to read a member, by its site and day.

    Attributes:
        ignored: labels of members with other names, links, devices and sparse files.
        skipped: labels of members that were not wanted.
        warnings: one sentence each.
    """

    def __init__(self, tar: Source, is_wanted: Callable[[Source], bool]) -> None:
        self.ignored: list[str] = []
        self.skipped: list[str] = []
        self.warnings: list[str] = []
        self._tar = tar
        self._is_wanted = is_wanted
        self._names: set[bytes] = set()

    def __call__(self, path: bytes, is_regular: bool) -> tuple[str, str | None, int | None] | None:
        """Name, site and day of a member; None if it is not read.

        Args:
            path: name in the tar.
            is_regular: whether the tar holds its bytes as they are.
        """
        name = path.decode("utf-8", "surrogateescape")
        if _is_hidden(name):
            return None
        member = _member(self._tar, name)
        if not _is_log(name, is_regular):
            self.ignored.append(member.label)
            return None
        if not self._is_wanted(member):
            self.skipped.append(member.label)
            return None
        if path in self._names:
            self.warnings.append(f"{member.label}: in the tar more than once: each is read")
        self._names.add(path)
        return member.name, member.site, member.day


def _is_hidden(name: str) -> bool:
    return any(is_hidden(part) for part in name.split("/") if part.strip("."))


def _is_log(name: str, is_regular: bool) -> bool:
    # The target of a link is a member of its own.
    return is_regular and is_recognised(os.path.basename(name))


def _member(tar: Source, name: str) -> Source:
    """A member as a source. Its own name gives organisation, site and day, or else the tar's."""
    parts = describe_name(name)
    return replace(
        tar,
        name=row_name(name),
        org=parts.org or tar.org,
        site=parts.site or tar.site,
        date=parts.date or tar.date,
        member=shown(name) if tar.member is None else f"{tar.member}: {shown(name)}",
    )


def _open(source: Source) -> BinaryIO:
    return open(source.file_path, "rb") if source.remote is None else source.remote.open_seekable()


def _read_members(
    file: BinaryIO, source: Source, end: int, warnings: list[str]
) -> list[tarfile.TarInfo]:
    """Read every header up to the end mark, which must be present.

    The standard library takes a broken header in the middle for the end of the tar, and old
    versions of it walk backwards on a negative size. Neither may happen here.
    """
    members = []
    position = source.offset
    file.seek(position)
    try:
        with tarfile.open(
            fileobj=file, mode="r:", tarinfo=TarHeader, encoding="utf-8", errors="surrogateescape"
        ) as tar:
            while member := tar.next():
                if member.size < 0 or tar.offset <= position:
                    raise _damaged_tar(source, f"an impossible size at byte {position}")
                position = tar.offset
                members.append(member)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        is_told = isinstance(error, tarfile.TarError)
        raise _damaged_tar(source, shown(str(error)) if is_told else "a bad header") from error

    file.seek(position)
    mark = file.read(min(tarfile.BLOCKSIZE, max(0, end - position)))
    if len(mark) < tarfile.BLOCKSIZE:
        raise _damaged_tar(source, f"it is cut off at byte {position}")
    if any(mark):
        raise _damaged_tar(source, f"no member's header at byte {position}")
    position += tarfile.BLOCKSIZE
    while chunk := file.read(min(_ZERO_SCAN_BYTES, end - position)):
        zeros = len(chunk) - len(chunk.lstrip(b"\0"))
        position += zeros
        if zeros < len(chunk):
            _reject_second_tar(file, source, position)
            warnings.append(f"{source.label}: {end - position} bytes after its end are not read")
            break
    return members


def _reject_second_tar(file: BinaryIO, source: Source, position: int) -> None:
    file.seek(position)
    if looks_like_tar(file.read(tarfile.BLOCKSIZE)):
        raise _damaged_tar(source, f"a second tar follows at byte {position}")


def _damaged_tar(source: Source, why: str) -> SourceError:
    return SourceError(
        f"damaged tar: {source.label}: {why}; extract it with tar and read the folder",
        source=source.label,
    )
