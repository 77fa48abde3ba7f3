"""Reads zip archives from untrusted places: their members, or one sentence saying why not.

An archive is accepted whole or refused: if its directory is wrong once, the rest is not believed.
Nothing is ever written under a member's name. Memory is bounded by the directory, which is at most
`DIRECTORY_BYTES`.

Source: PKWARE, APPNOTE.TXT, sections 4.3 to 4.5.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO, Protocol, Self

from edxlogs import _core
from edxlogs.errors import EdxlogsError, FormatError
from edxlogs.text import shown

DIRECTORY_BYTES = 32 << 20  # some 150,000 members
_READ_BYTES = 1 << 19
# Deflate compresses text far less than this, and encrypted data not at all.
_MOST_EXPANSION, _SMALL_BYTES = 200, 1 << 20
_LOCAL = struct.Struct("<4s5H3L2H")
_LOCAL_BYTES = 30
_ENCRYPTED, _SIZES_FOLLOW, _UTF8, _STRONG, _MASKED = 1, 1 << 3, 1 << 11, 1 << 6, 1 << 13
_UNIX = 3
_TOTAL = 4  # in what zipfile makes of an end record: how many members it counts
_NO_SIZE = 0xFFFFFFFF


class Range(Protocol):
    """A stretch of an archive, read from its first byte to its last."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none only at the end."""

    def close(self) -> None:
        """Release what it holds."""


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A file in an archive.

    Attributes:
        name: its path inside, as written.
        size: bytes of its content.
        stored_bytes: bytes that it takes in the archive.
        crc: checksum of its content.
    """

    name: str
    size: int
    stored_bytes: int
    crc: int
    _deflated: bool
    _flags: int
    _offset: int
    _end: int  # where the next member begins, or the directory


class ZipArchive:
    """The members of an archive. Each can be read as a stream.

    Args:
        label: how messages call it.
        file: the archive as a seekable file; used only while the object is made.
        open_range: opens a stretch by its offset and length, any number at a time.
        check_headers: whether to compare each member's own header with the directory at once, and
            not only when it is read. Do so if looking is cheap.

    Attributes:
        members: its files, in the order of the directory, without folders.

    Raises:
        FormatError: it is not a zip, or must not be trusted.
        OSError: it cannot be read.
    """

    def __init__(
        self,
        label: str,
        file: BinaryIO,
        open_range: Callable[[int, int], Range],
        *,
        check_headers: bool,
    ) -> None:
        self.label = label
        self._open_range = open_range
        infos, start = self._directory(file)
        names: set[str] = set()
        for info in infos:
            self._check(info)
            if info.orig_filename in names:
                raise self._refuse(info.orig_filename, "is in it twice")
            names.add(info.orig_filename)
        self.members = tuple(self._members(infos, start))
        if check_headers:
            for member in self.members:
                file.seek(member._offset)
                self._check_header(member, file.read(_LOCAL_BYTES), file.read)

    def __getstate__(self) -> dict[str, Any]:
        """Only what is needed to read a member in another process."""
        return {**self.__dict__, "members": ()}

    def _directory(self, file: BinaryIO) -> tuple[list[zipfile.ZipInfo], int]:
        bounded = _SmallReads(file)
        try:
            with zipfile.ZipFile(bounded) as archive:
                infos, start = archive.infolist(), archive.start_dir
            # zipfile goes by the directory's size alone. Old programs count up to 65,535.
            told = zipfile._EndRecData(bounded)[_TOTAL]  # type: ignore[attr-defined]
            if not infos or (told - len(infos)) % (1 << 16):
                raise zipfile.BadZipFile
            return infos, start
        except EdxlogsError:
            raise
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, EOFError):
            if bounded.error is not None:
                raise bounded.error from None
            raise FormatError(
                f"{self.label}: is not a zip, or is cut off or damaged; fetch it again",
                self.label,
            ) from None

    def _refuse(self, name: str, why: str) -> FormatError:
        return FormatError(
            f"{self.label}: {shown(name)}: {why}, unlike any package from edX; fetch it again, or"
            " ask who made it",
            self.label,
        )

    def _check(self, info: zipfile.ZipInfo) -> None:
        """Refuse what a directory may contain but a package never does."""
        name = info.orig_filename
        if info.flag_bits & (_ENCRYPTED | _STRONG | _MASKED):
            raise self._refuse(name, "is encrypted by zip")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self._refuse(name, "is compressed with a method other than deflate")
        parts = name.removesuffix("/").split("/")
        if "\0" in name or "\\" in name or ":" in parts[0] or not all(parts):
            raise self._refuse(name, "has a name that is not a relative path")
        if any(part in (".", "..") for part in parts):
            raise self._refuse(name, "has a name that leads elsewhere")
        kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == _UNIX else 0
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise self._refuse(name, "is a link or a device")
        if info.is_dir() and info.file_size:
            raise self._refuse(name, "is a folder with content")
        if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
            raise self._refuse(name, "is stored, but has two sizes")
        if info.file_size > _SMALL_BYTES + _MOST_EXPANSION * info.compress_size:
            raise self._refuse(name, f"expands more than {_MOST_EXPANSION} times")

    def _members(self, infos: list[zipfile.ZipInfo], start: int) -> Iterator[ZipMember]:
        """The files, each with the place where it must end. Overlapping entries are refused."""
        by_offset = sorted(range(len(infos)), key=lambda at: infos[at].header_offset)
        ends = {at: infos[following].header_offset for at, following in pairwise(by_offset)}
        for at, info in enumerate(infos):
            end = ends.get(at, start)
            least = info.header_offset + _LOCAL_BYTES + info.compress_size
            if info.header_offset < 0 or least > end:
                raise self._refuse(info.orig_filename, "overlaps what comes after it")
            if not info.is_dir():
                yield ZipMember(
                    name=info.orig_filename,
                    size=info.file_size,
                    stored_bytes=info.compress_size,
                    crc=info.CRC,
                    _deflated=info.compress_type == zipfile.ZIP_DEFLATED,
                    _flags=info.flag_bits,
                    _offset=info.header_offset,
                    _end=end,
                )

    def _check_header(self, member: ZipMember, fixed: bytes, read: Callable[[int], bytes]) -> None:
        """Compare a member's own header with the directory."""
        lies = self._refuse(member.name, "is described in two ways")
        if len(fixed) < _LOCAL_BYTES:
            raise lies
        magic, _, flags, method, _, _, crc, stored, size, names, extras = _LOCAL.unpack(fixed)
        rest = read(names + extras)
        name = rest[:names].decode("utf-8" if flags & _UTF8 else "cp437", "replace")
        expected = zipfile.ZIP_DEFLATED if member._deflated else zipfile.ZIP_STORED
        if magic != b"PK\x03\x04" or method != expected or name != member.name:
            raise lies
        if (flags ^ member._flags) & (_ENCRYPTED | _SIZES_FOLLOW | _STRONG | _MASKED):
            raise lies
        if not flags & _SIZES_FOLLOW:
            size, stored = _zip64(rest[names:], size, stored)
            if (crc, size, stored) != (member.crc, member.size, member.stored_bytes):
                raise lies
        begin = member._offset + _LOCAL_BYTES + names + extras
        if begin + member.stored_bytes > member._end:
            raise self._refuse(member.name, "overlaps what comes after it")

    def open(self, member: ZipMember) -> MemberReader:
        """Begin to read a member.

        Raises:
            FormatError: its own header contradicts the directory.
            SourceError: the archive cannot be read.
        """
        header = self._open_range(member._offset, member._end - member._offset)
        try:
            fixed = _read_all(header, _LOCAL_BYTES)
            self._check_header(member, fixed, lambda size: _read_all(header, size))
        except BaseException:
            header.close()
            raise
        return MemberReader(f"{self.label}: {shown(member.name)}", member, header)


class MemberReader:
    """The content of one member. Its size and checksum are checked at its end."""

    def __init__(self, label: str, member: ZipMember, data: Range) -> None:
        self.label = label
        self.bytes_read = 0
        self._data = data
        self._member = member
        self._left = member.stored_bytes
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS) if member._deflated else None
        self._crc = _core.Crc("CRC32")  # zlib's own takes as long as all the rest

    def read(self, size: int = _READ_BYTES) -> bytes:
        """Return at most `size` bytes; none only at the end, and only if everything was right.

        Raises:
            FormatError: the member is damaged, or has another size than it should.
            SourceError: the archive cannot be read.
        """
        data = self._stored(size) if self._inflater is None else self._inflated(size)
        self.bytes_read += len(data)
        self._crc.update(data)
        if self.bytes_read > self._member.size:
            raise self._damaged("is longer than it should be")
        if not data:
            if self.bytes_read != self._member.size:
                raise self._damaged("is shorter than it should be")
            if self._crc.digest() != self._member.crc.to_bytes(4):
                raise self._damaged("does not match its checksum")
        return data

    def _damaged(self, why: str) -> FormatError:
        return FormatError(f"{self.label}: {why}; fetch the package again", self.label)

    def _stored(self, size: int) -> bytes:
        data = self._data.read(min(size, self._left)) if self._left else b""
        self._left -= len(data)
        return data

    def _inflated(self, size: int) -> bytes:
        inflater = self._inflater
        assert inflater is not None
        try:
            while not inflater.eof:
                packed = inflater.unconsumed_tail or self._stored(_READ_BYTES)
                data = inflater.decompress(packed, size)
                if data:
                    return data
                if not packed:
                    break
        except zlib.error:
            raise self._damaged("is damaged") from None
        if self._left or inflater.unused_data:
            raise self._damaged("has more data than it should have")
        return b""

    def close(self) -> None:
        """Release the archive."""
        self._data.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FileRange:
    """A stretch of a local file, read through a descriptor of its own."""

    def __init__(self, path: str, offset: int, length: int) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._at = offset
        self._end = offset + length

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none only at the end."""
        data = os.pread(self._descriptor, min(size, self._end - self._at), self._at)
        self._at += len(data)
        return data

    def close(self) -> None:
        """Release the descriptor. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _SmallReads:
    """A file that is never read in large pieces, because zipfile trusts the size of a directory."""

    def __init__(self, file: BinaryIO) -> None:
        self.error: OSError | None = None  # which zipfile takes for a sign of no zip
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > DIRECTORY_BYTES:
            raise zipfile.BadZipFile
        try:
            return self._file.read(size if size >= 0 else DIRECTORY_BYTES)
        except OSError as error:
            self.error = error
            raise

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


def _read_all(data: Range, size: int) -> bytes:
    read = b""
    while len(read) < size and (more := data.read(size - len(read))):
        read += more
    return read


def _zip64(extra: bytes, size: int, stored: int) -> tuple[int, int]:
    """The sizes in a header, taken from its extra field if they are too large for their place."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            numbers = struct.unpack_from(
                f"<{min(length, len(extra) - at - 4) // 8}Q", extra, at + 4
            )
            if size == _NO_SIZE and numbers:
                size, numbers = numbers[0], numbers[1:]
            if stored == _NO_SIZE and numbers:
                stored = numbers[0]
            break
        at += 4 + length
    return size, stored
