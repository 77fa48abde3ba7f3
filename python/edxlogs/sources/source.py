"""What a source is, and what its bytes say it contains.

`sniff` recognises the content from the first bytes. `local` and `remote` find sources. Nothing in
this module decrypts, inflates or reads lines.
"""

from __future__ import annotations

import datetime
import enum
import errno
import os
import re
import struct
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edxlogs import _core, system
from edxlogs.edx.names import is_given_once, is_rotated
from edxlogs.errors import MissingSourceError, SourceError
from edxlogs.gpg.frame import looks_like_openpgp
from edxlogs.gpg.input import Readable
from edxlogs.text import shown

if TYPE_CHECKING:
    from edxlogs.sources.remote import Remote

STDIN = "-"

SNIFF_BYTES = 64 * 1024
_GZIP_WINDOW = 31  # of zlib: gzip, at most 32 KiB back
_READ_BYTES = 1 << 20
_UPWARDS = re.compile(r"^(\.{0,2}/)+")  # what a path in a tar may begin with
_TRAILER = struct.Struct("<II")  # of a gzip member: CRC-32, length
_EPOCH_ORDINAL = datetime.date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Source:
    """Something named that can be opened and read: a file, stream, S3 object or member of a tar.

    Attributes:
        path: the path as it was given; `-` is standard input.
        name: the name that rows show, escaped by `shown`; see `row_name`.
        size: bytes from `offset` on. None for a stream (a pipe or a device), which is read once.
        org: organisation in the name, or None.
        site: site in the name, or None. The same user id on two sites means two people.
        date: day in the name, or None. Events in the source may be older.
        offset: first byte in the file `path`: of a tar's member, or of the rest of standard input.
        length: bytes of a member; None means up to the end of the file.
        member: full name inside the tar, escaped. Servers of one day share a base name.
        identity: device and inode of `path`; None if the file system has no inodes.
        file: an open binary file to read instead of `path`, or None.
        remote: an S3 object to read instead of `path`, or None.
        folder: folder in which a relative `path` starts, if not the working directory.
    """

    path: str
    name: str
    size: int | None
    org: str | None = None
    site: str | None = None
    date: datetime.date | None = None
    offset: int = 0
    length: int | None = None
    member: str | None = None
    identity: tuple[int, int] | None = None
    file: Readable | None = None
    remote: Remote | None = None
    folder: str = ""

    @property
    def is_stream(self) -> bool:
        """Whether it can be read only once, so that looking at its bytes would consume them."""
        return self.size is None

    @property
    def label(self) -> str:
        """The path, and the member if there is one, escaped for messages."""
        path = shown(self.path)
        return path if self.member is None else f"{path}: {self.member}"

    @property
    def origin(self) -> str:
        """Site, organisation and day, as the name tells them.

        A rotated log has no day here: its text stays the same when it moves to another name.
        """
        day = None if is_rotated(self.name.rpartition("/")[2]) else self.date
        return "/".join(str(one or "") for one in (self.site, self.org, day))

    @property
    def file_path(self) -> str:
        """Path to open for a source that is not a stream."""
        stdin = system.path_of(0) if self.path == STDIN else None
        return stdin or os.path.join(self.folder, self.path)

    @property
    def day(self) -> int | None:
        """The date in days since 1970-01-01."""
        return None if self.date is None else self.date.toordinal() - _EPOCH_ORDINAL


@dataclass(slots=True)
class FoundSources:
    """The sources that the arguments, or a tar, contain.

    Attributes:
        sources: sources to read, in this order.
        ignored: labels of files that have no recognised name or cannot be logs, such as a pipe in a
            searched folder or a link in a tar.
        warnings: one sentence each.
        failed: errors of what should have been read but cannot be, such as unreadable folders and
            broken links. The run goes on without them and ends with status 1.
    """

    sources: list[Source] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failed: list[SourceError] = field(default_factory=list)


class Packing(enum.Enum):
    """How the outermost bytes of a source are packed."""

    OPENPGP = "openpgp"
    GZIP = "gzip"
    TAR = "tar"
    PLAIN = "plain"
    STREAM = "stream"
    """Looking at the bytes would consume them, so its reader decides."""


def row_name(below: str) -> str:
    """The name of a source as rows show it.

    Args:
        below: its path below the folder, prefix or tar that was given. For a file that was given
            itself, its base name.

    Returns:
        The path, escaped. Only the base name, if it is one that edX gives to a single file.
    """
    base = below.rpartition("/")[2]
    return shown(base if is_given_once(base) else _UPWARDS.sub("", below, 1))


def cannot_open(path: str, error: OSError) -> SourceError:
    """Make the error for a path that the system refuses to open."""
    where = shown(path) or "''"
    if error.errno not in (errno.ENOENT, errno.ENOTDIR):
        return SourceError(f"cannot open: {where}: {error.strerror}", source=where)
    if os.path.islink(path):
        target = shown(os.readlink(path))
        return MissingSourceError(f"cannot open: {where}: a broken link to {target}", source=where)
    return MissingSourceError(f"cannot open: {where}: no such file or folder", source=where)


def sniff(source: Source) -> Packing:
    """Recognise a source by its first 64 KiB, never by its name. For an S3 object, one request.

    Raises:
        SourceError: the source cannot be opened or read.
    """
    if source.is_stream:
        return Packing.STREAM
    return packing_of(stored_head(source, SNIFF_BYTES))


def stored_head(source: Source, size: int) -> bytes:
    """The first bytes of a source that is not a stream, as stored. For an S3 object, one request.

    Raises:
        SourceError: the source cannot be opened or read.
    """
    limit = size if source.length is None else min(size, source.length)
    if source.remote is not None:
        with source.remote.open(source.offset, limit) as reader:
            return reader.read(limit)
    try:
        descriptor = os.open(source.file_path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, limit, source.offset)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise cannot_open(source.path, error) from error


@dataclass(frozen=True, slots=True)
class TextSums:
    """Length and CRC-32 of a text, and of prefixes of it."""

    total: tuple[int, int]
    beginnings: Sequence[tuple[int, int]] = ()


def likely_text(source: Source, lengths: Sequence[int]) -> TextSums | None:
    """Length and CRC-32 of the text of a local file, if they can be had without inflating it.

    The result is a guess: data after the first gzip member are not seen. None if they cannot be
    had.
    """
    if source.is_stream or source.remote is not None or not source.size:
        return None
    try:
        packing = sniff(source)
        if packing is Packing.PLAIN:
            text = _core.TextSum(lengths)
            _read_into(text, source, source.size)
            return TextSums(text.total, text.beginnings)
        if packing is Packing.GZIP:
            with open(source.file_path, "rb") as file:
                file.seek(source.offset + source.size - _TRAILER.size)
                crc, length = _TRAILER.unpack(file.read(_TRAILER.size))
            return TextSums((length, crc))
    except (OSError, SourceError, struct.error):
        pass
    return None


def crc_of(source: Source, length: int) -> int:
    """The CRC-32 of the first `length` bytes of a local file.

    Raises:
        SourceError: the file cannot be read.
    """
    text = _core.TextSum()
    try:
        _read_into(text, source, length)
    except OSError as error:
        raise cannot_open(source.path, error) from error
    return text.total[1]


def _read_into(text: _core.TextSum, source: Source, length: int) -> None:
    with open(source.file_path, "rb") as file:
        file.seek(source.offset)
        while length > 0 and (piece := file.read(min(length, _READ_BYTES))):
            text.update(piece)
            length -= len(piece)


def whole_lines(source: Source, length: int) -> int:
    """Of the first `length` bytes of a local plain-text file, how many make up whole lines.

    Raises:
        SourceError: the file cannot be read.
    """
    try:
        with open(source.file_path, "rb") as file:
            while length > 0:
                start = max(0, length - SNIFF_BYTES)
                file.seek(source.offset + start)
                last = file.read(length - start).rfind(b"\n")
                if last >= 0:
                    return start + last + 1
                length = start
    except OSError as error:
        raise cannot_open(source.path, error) from error
    return 0


def is_dataset(folder: str | os.PathLike[str]) -> bool:
    """Tell whether a folder is a dataset of edxlogs. A mirror of buckets has other records."""
    return os.path.exists(os.path.join(folder, "_edxlogs", "head"))


def packing_of(head: bytes) -> Packing:
    """Recognise a source by its first 64 KiB or more, or by all of a shorter one."""
    # A tar comes first: its checksum is decisive, and its first byte belongs to a member's name,
    # which may be any.
    if looks_like_tar(head[: tarfile.BLOCKSIZE]):
        return Packing.TAR
    if head.startswith(b"\x1f\x8b"):
        return Packing.GZIP
    if looks_like_openpgp(head):
        return Packing.OPENPGP
    return Packing.PLAIN


def inflated(head: bytes, size: int) -> bytes:
    """Inflate the beginning of gzip data, to at most `size` bytes; empty if it is damaged."""
    try:
        return zlib.decompressobj(_GZIP_WINDOW).decompress(head, size)
    except zlib.error:
        return b""


def looks_like_tar(block: bytes) -> bool:
    """Tell whether 512 bytes are the header of a tar member, damaged or not."""
    # The magic of POSIX and of GNU; either holds a NUL, so a line of text never has it.
    if block[257:263] == b"ustar\0" or block[257:265] == b"ustar  \0":
        return True
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return False
    return True
