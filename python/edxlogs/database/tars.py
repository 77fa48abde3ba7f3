"""Tars: packages of the research exchange, other packages packed as a tar, and content (OLX).

Such a package is one tar of tables and events, possibly made by gpg. Nothing in it is certain
before the verdict at its end, and it can be read in one direction only, so its tables are converted
as they come. Only content is unpacked. Names in it become paths below a new folder, and only if
they can: no absolute names, and none that lead elsewhere. Links are never created, so nothing can
lead out.

Source: EdX Research Guide, "Research Data Exchange", "Course Content Data".
"""

from __future__ import annotations

import datetime
import errno
import hashlib
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tarfile import EOFHeaderError, HeaderError, ReadError  # type: ignore[attr-defined]
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import quote

from edxlogs.database.account import Converted, RowCounts
from edxlogs.edx.names import is_of_macos
from edxlogs.edx.packages import describe_folder, describe_key
from edxlogs.errors import EdxlogsError, FormatError, SourceError
from edxlogs.gpg.frame import HEAD_BYTES
from edxlogs.gpg.input import Readable
from edxlogs.s3.client import S3, SCHEME, split_url
from edxlogs.sources.source import cannot_open
from edxlogs.sources.tars import TarHeader
from edxlogs.store import disk
from edxlogs.text import shown

if TYPE_CHECKING:
    from edxlogs.sources.remote import Remote

_STATE = re.compile(r"(?:.*/)?state/[0-9]{4}-[0-9]{2}-[0-9]{2}/[^/]+")
_EVENTS = re.compile(r"(?:.*/)?events/[^/]+\.log(?:\.gz)?(?:\.gpg)?")
_ENDING = re.compile(r"\.(?:tar(?:\.gz|\.bz2|\.xz)?|tgz)(?:\.gpg)?$")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
MOST_BYTES = 8 << 30
MOST_FILES = 200_000
MOST_NESTED = 100  # folders; what walks over them later has no room for thousands
_CHUNK_BYTES = 1 << 20
_DAMAGE = (tarfile.TarError, zlib.error, EOFError, ValueError)


@dataclass(frozen=True, slots=True)
class TarPackage:
    """A package that is one tar: from the research exchange, or made from the files of a zip.

    Attributes:
        place: its path or URL, escaped.
        name: its base name, escaped.
        partner: organisation in its name.
        day: day of the snapshot in its name.
        size: size in bytes.
        open: opens it as stored.
        checksum: identifies this release of it: its ETag, or the SHA-256 of its bytes.
        identity: device and inode of a local file.
    """

    place: str
    name: str
    partner: str | None
    day: datetime.date | None
    size: int
    open: Callable[[], AbstractContextManager[Readable]]
    checksum: Callable[[], str]
    identity: tuple[int, int] | None = None

    @property
    def stem(self) -> str:
        """Its name without the endings."""
        return stem_of(self.name)

    def is_copy_of(self, other: object) -> bool:
        """Whether another package is the same file, or has the same name, size and checksum.

        A package that cannot be read is not a copy; reading it will show the error.
        """
        if not isinstance(other, TarPackage):
            return False
        if self.identity is not None and self.identity == other.identity:
            return True
        if (self.name, self.size) != (other.name, other.size):
            return False
        with suppress(SourceError):
            return self.checksum() == other.checksum()
        return False


def stem_of(name: str) -> str:
    """The base name of a package without endings for packing."""
    return _ENDING.sub("", name.rpartition("/")[2].removesuffix(".zip"))


def stored_head(place: str, s3: S3) -> bytes:
    """The first bytes at a path or an `s3://` URL.

    Raises:
        SourceError: it cannot be opened.
    """
    if place.startswith(SCHEME):
        with _remote(place, s3).open(0, HEAD_BYTES) as reader:
            return reader.read(HEAD_BYTES)
    try:
        with open(place, "rb") as file:
            return file.read(HEAD_BYTES)
    except OSError as error:
        raise cannot_open(place, error) from error


def _remote(url: str, s3: S3) -> Remote:
    from edxlogs.sources.remote import Remote

    return Remote(s3, s3.object(*split_url(url)))


def open_tar(place: str, s3: S3) -> TarPackage:
    """The tar at a path or an `s3://` URL. What it really is shows when it is read.

    Raises:
        SourceError: it cannot be opened.
    """
    said, name = describe_key(place), shown(place.rpartition("/")[2])
    partner, day = (None, None) if said is None else (said.partner, said.day)
    if place.startswith(SCHEME):
        remote = _remote(place, s3)
        etag, size = str(remote.object.etag), remote.object.size
        return TarPackage(shown(place), name, partner, day, size, remote.open, lambda: etag)
    try:
        status = os.stat(place)
    except OSError as error:
        raise cannot_open(place, error) from error

    def checksum() -> str:
        try:
            with open(place, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise cannot_open(place, error) from error

    identity = (status.st_dev, status.st_ino)
    opener: Callable[[], Any] = partial(open, place, "rb")
    return TarPackage(shown(place), name, partner, day, status.st_size, opener, checksum, identity)


@dataclass(frozen=True, slots=True)
class PassingFile:
    """A file of a package as it comes past.

    Attributes:
        path: its path inside.
        day: day of the snapshot, by the folders that it is in.
        size: size in bytes.
        content: to be read before the next file is asked for.
    """

    path: str
    day: datetime.date | None
    size: int
    content: Readable

    @contextmanager
    def opened(self) -> Iterator[Readable]:
        """Its content."""
        yield self.content

    @property
    def is_events(self) -> bool:
        """Whether it is a log of events, by its place and its name."""
        return _EVENTS.fullmatch(self.path) is not None


def folder_day(path: str) -> datetime.date | None:
    """The day of a snapshot, by the folders of one of its files."""
    folders = map(describe_folder, reversed(path.split("/")[:-1]))
    return next((one.day for one in folders if one is not None), None)


def is_of_research(path: str) -> bool:
    """Whether a table is from the research exchange, by its place. User ids are different there."""
    return _STATE.fullmatch(path) is not None


def walk(source: Any, label: str) -> Iterator[PassingFile]:
    """Yield the files in a tar as they come.

    Links and the like are skipped: nothing is extracted.

    Args:
        source: a descriptor, which stays open, or an object with `read`.
        label: how messages call the package.

    Raises:
        FormatError: it is not a tar, or is damaged.
    """
    opened: Any = closing(os.fdopen(os.dup(source), "rb")) if isinstance(source, int) else None
    try:
        with (
            opened or nullcontext(source) as stream,
            tarfile.open(fileobj=stream, mode="r|*", tarinfo=_Header) as archive,
        ):
            for info in archive:
                if info.issparse():
                    raise _refuse(label, f"holds {shown(info.name)}, a file with holes")
                content = archive.extractfile(info) if info.isreg() else None
                if content is not None and not is_of_macos(info.name):
                    day = folder_day(info.name)
                    yield PassingFile(info.name, day, info.size, _Content(content, label))
    except _DAMAGE as error:
        if isinstance(error, EdxlogsError):
            raise
        raise _damaged(label) from None


class _Header(TarHeader):
    """A strictly read header: the standard library takes a broken one for the end of the tar."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        """The next header. Raises `ReadError` if there is neither a header nor the end."""
        try:
            return super().fromtarfile(tarfile)
        except EOFHeaderError:
            raise
        except HeaderError as error:
            raise ReadError(str(error)) from None


class _Content:
    """The content of a file. The tar may turn out to be damaged there, too."""

    def __init__(self, content: IO[bytes], label: str) -> None:
        self._content = content
        self._label = label

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._content.read(size)
        except _DAMAGE as error:
            if isinstance(error, EdxlogsError):
                raise
            raise _damaged(self._label) from None


def _damaged(label: str) -> FormatError:
    return FormatError(f"{label}: is not a tar, or is cut off or damaged; fetch it again", label)


def unpack(source: Any, folder: Path, label: str) -> Converted:
    """Unpack a gzipped tar into a new folder. Its errors are in the result.

    Raises:
        OSError: the folder cannot be written to.
    """
    counts = RowCounts()
    files = 0
    try:
        disk.make_folder(folder)
        for one in walk(source, label):
            files += 1
            path = folder / _relative(one.path, label)
            disk.make_folders(path.parent, below=folder)
            with os.fdopen(disk.make_file(path), "wb") as file:
                while data := one.content.read(_CHUNK_BYTES):
                    counts.bytes_expanded += len(data)
                    if counts.bytes_expanded > MOST_BYTES or files > MOST_FILES:
                        raise _refuse(label, "expands too much")
                    file.write(data)
    except FormatError as error:
        return Converted(error=error, counts=counts)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        return Converted(counts=counts, error=_refuse(label, "holds a name twice"))
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        why = "holds a name that is too long for this disk"
        return Converted(counts=counts, error=_refuse(label, why))
    return Converted(counts=counts)


def _relative(name: str, label: str) -> Path:
    parts = name.removeprefix("./").split("/")
    if not all(parts) or any(part in (".", "..") for part in parts) or "\0" in name:
        raise _refuse(label, f"holds {shown(name)}, which leads elsewhere")
    if len(parts) > MOST_NESTED:
        raise _refuse(label, f"has more than {MOST_NESTED} levels of folders")
    # Terminals obey control characters, and programs that read names line by line fail on them.
    return Path(*(_CONTROL.sub(lambda match: quote(match[0]), part) for part in parts))


def _refuse(label: str, why: str) -> FormatError:
    return FormatError(f"{label}: {why}, unlike any course; look at it by hand", label)
