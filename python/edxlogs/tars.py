"""An uncompressed tar on disk or in S3, opened up into its members as sources of their own."""

from __future__ import annotations

import os
import tarfile
from typing import BinaryIO

from edxlogs.errors import SourceError
from edxlogs.names import describe_name, is_hidden, is_recognised, shown
from edxlogs.sources import Found, Source, cannot_open, looks_like_tar

_ZERO_SCAN_BYTES = 1024 * 1024


def expand_tar(source: Source) -> Found:
    """List the members of an uncompressed tar, on disk or in S3, as sources of their own.

    Of a name that is there twice the last one counts, as extracting would leave it, with a
    warning. Organisation, site and day come from the member's name, else from the tar's. Names
    are labels alone: nothing is extracted.

    Returns:
        Regular files with recognised names, by the bytes of their full names; each may be OpenPGP,
        gzip or plain again. Links, devices, sparse files and other names are in `ignored`.

    Raises:
        SourceError: the tar cannot be read, is cut off, or is damaged anywhere.
    """
    found = Found()
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
        *folders, base = member.name.split("/")
        if member.isdir() or any(is_hidden(part) for part in (*folders, base) if part.strip(".")):
            continue
        label = f"{source.label}: {shown(member.name)}"
        # What a link leads to is a member itself; the holes of a sparse file are not on disk.
        if not member.isreg() or member.issparse() or not is_recognised(base):
            found.ignored.append(label)
            continue
        if member.name in by_name:
            found.warnings.append(f"{label}: in the tar more than once: the last one is read")
        by_name[member.name] = member
    for name in sorted(by_name, key=lambda name: name.encode("utf-8", "surrogateescape")):
        found.sources.append(_member_source(source, by_name[name]))
    return found


def _open(source: Source) -> BinaryIO:
    return open(source.path, "rb") if source.remote is None else source.remote.open_seekable()


def _read_members(
    file: BinaryIO, source: Source, end: int, warnings: list[str]
) -> list[tarfile.TarInfo]:
    """Read every header up to the end mark, which must be there.

    The standard library takes a broken header in the middle for the end of the tar, and old
    versions of it walk backwards on a negative size; neither may pass here.
    """
    members = []
    position = source.offset
    file.seek(position)
    try:
        with tarfile.open(
            fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape"
        ) as tar:
            while member := tar.next():
                if member.size < 0 or tar.offset <= position:
                    raise _damaged_tar(source, f"an impossible size at byte {position}")
                position = tar.offset
                members.append(member)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise _damaged_tar(source, shown(str(error))) from error

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


def _member_source(source: Source, member: tarfile.TarInfo) -> Source:
    parts = describe_name(member.name)
    return Source(
        path=source.path,
        name=shown(os.path.basename(member.name)),
        size=member.size,
        org=parts.org or source.org,
        site=parts.site or source.site,
        date=parts.date or source.date,
        offset=member.offset_data,
        length=member.size,
        member=shown(member.name),
        identity=source.identity,
        remote=source.remote,
    )
