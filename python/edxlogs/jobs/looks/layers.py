"""Unwraps a file layer by layer, up to the beginning of the text inside."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from edxlogs.edx.names import is_recognised
from edxlogs.errors import DecryptError
from edxlogs.gpg.frame import key_ids
from edxlogs.gpg.process import Gpg
from edxlogs.sources.reading import Stored, StoredStream
from edxlogs.sources.source import SNIFF_BYTES, Packing, Source, packing_of
from edxlogs.text import many, shown

LOOKED_BYTES = 64 << 20  # of text
_CHUNK_BYTES = 1 << 20
_MOST_LAYERS = 3
_ZIP = b"PK\3\4"
_INSIDE = Source("", "", None)  # of a tar


@dataclass(frozen=True, slots=True)
class File:
    """A file in a tar or a zip.

    Attributes:
        name: its path inside, escaped.
        size: unpacked size in bytes.
    """

    name: str
    size: int


@dataclass(slots=True)
class Layer:
    """One layer.

    Attributes:
        kind: `openpgp`, `gzip`, `tar` or `zip`.
        keys: for OpenPGP, long ids of the keys that it is encrypted to, as far as it names them.
        keys_at_hand: those of them that are in the key ring.
        members: for gzip, number of members met.
        files: for a tar or a zip, the files met.
    """

    kind: str
    keys: list[str] = field(default_factory=list)
    keys_at_hand: list[str] = field(default_factory=list)
    members: int = 0
    files: list[File] = field(default_factory=list)

    def __str__(self) -> str:
        match self.kind:
            case "openpgp":
                if not self.keys:
                    return "OpenPGP, for a key that it does not name"
                there = [f"{key} (on the key ring)" for key in self.keys_at_hand]
                away = [key for key in self.keys if key not in self.keys_at_hand]
                return f"OpenPGP, for key {' and '.join([*there, *away])}"
            case "gzip":
                return f"gzip, {many(self.members, 'member')}"
            case kind:
                return f"{kind} of {many(len(self.files), 'file')}"

    def report(self) -> dict[str, Any]:
        """The layer as a JSON document, without fields that its kind does not have."""
        told = {name: value for name, value in asdict(self).items() if value}
        return {**told, "keys": self.keys} if self.kind == "openpgp" else told


@dataclass(slots=True)
class Look:
    """What was found in a file.

    Attributes:
        layers: the layers, outermost first.
        text: the first bytes inside, at most `LOOKED_BYTES`. For a tar, those of a log in it.
        member: which file of a tar the text is from, or None.
        is_cut: whether only the beginning of the text was read.
        problem: why it could not be read further, or None.
    """

    layers: list[Layer] = field(default_factory=list)
    text: bytes = b""
    member: str | None = None
    is_cut: bool = False
    problem: str | None = None


def look(stored: Stored, source: Source, gpg: Gpg) -> Look:
    """Look into an open file.

    Args:
        stored: its bytes.
        source: where they come from.
        gpg: the key ring.

    Raises:
        SourceError: it cannot be read.
    """
    found = Look()
    head = stored.peek()
    if packing_of(head) is not Packing.OPENPGP:
        _unpack(found, _Bytes(_stored(stored, source)), source)
        return found
    layer = Layer("openpgp", sorted(key_ids(head)))
    found.layers.append(layer)
    try:
        layer.keys = gpg.recipients(head)
        at_hand = gpg.secret_key_ids()
        layer.keys_at_hand = [key for key in layer.keys if key in at_hand]
        with stored.decrypt(gpg, source.label, source.length) as decryption:
            _unpack(found, _Bytes(_chunks(partial(os.read, decryption.stdout_fd))), source)
            if found.is_cut:
                decryption.kill()
            elif (error := decryption.verdict().error) is not None:
                found.problem = str(error)
    except DecryptError as error:
        found.problem = str(error)
    return found


def _unpack(found: Look, data: _Bytes, source: Source) -> None:
    head = data.head(SNIFF_BYTES)
    packing = packing_of(head)
    is_outermost = not found.layers
    if packing is Packing.GZIP and sum(one.kind == "gzip" for one in found.layers) < _MOST_LAYERS:
        layer = Layer("gzip")
        found.layers.append(layer)
        _unpack(found, _Bytes(_inflated(data, layer, found)), source)
    elif packing is Packing.OPENPGP:
        found.layers.append(Layer("openpgp"))
        found.problem = "an OpenPGP message stands inside another layer; unwrap it first"
    elif packing is Packing.TAR:
        layer = Layer("tar")
        found.layers.append(layer)
        _read_tar(found, layer, data)
    elif head.startswith(_ZIP):
        layer = Layer("zip")
        found.layers.append(layer)
        if is_outermost and not source.is_stream and source.remote is None:
            _read_zip(found, layer, source)
        found.text = head  # which says what to do
    else:
        found.text = data.read(LOOKED_BYTES)
        found.is_cut = bool(data.head(1))


def _read_tar(found: Look, layer: Layer, data: _Bytes) -> None:
    try:
        with tarfile.open(fileobj=data, mode="r|") as tar:
            for member in tar:
                if not member.isreg():
                    continue
                layer.files.append(File(shown(member.name), member.size))
                is_log = is_recognised(os.path.basename(member.name))
                if found.member is None and is_log and (file := tar.extractfile(member)):
                    inner = Look()
                    _unpack(inner, _Bytes(_chunks(file.read)), _INSIDE)
                    found.layers += inner.layers
                    found.text, found.problem = inner.text, inner.problem
                    found.is_cut, found.member = inner.is_cut, shown(member.name)
                if data.count > LOOKED_BYTES:
                    found.is_cut = True
                    return
    except tarfile.TarError:
        found.problem = "the tar is damaged or cut off"


def _read_zip(found: Look, layer: Layer, source: Source) -> None:
    try:
        with open(source.file_path, "rb") as file:
            file.seek(source.offset)
            with zipfile.ZipFile(file) as archive:
                files = [one for one in archive.infolist() if not one.is_dir()]
        layer.files = [File(shown(one.filename), one.file_size) for one in files]
    except (zipfile.BadZipFile, NotImplementedError):
        found.problem = "the zip is damaged or cut off"


class _Bytes(io.RawIOBase):
    """A stream over chunks that allows looking at the next bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._waiting = b""
        self.count = 0

    def head(self, count: int) -> bytes:
        """Return the next `count` bytes without consuming them; fewer only at the end."""
        parts = [self._waiting]
        have = len(self._waiting)
        while have < count and (chunk := next(self._chunks, b"")):
            parts.append(chunk)
            have += len(chunk)
        self._waiting = b"".join(parts)
        return self._waiting[:count]

    def read(self, count: int = -1) -> bytes:
        """Return the next `count` bytes; fewer only at the end."""
        data = self.head(count)
        self._waiting = self._waiting[len(data) :]
        self.count += len(data)
        return data

    def put_back(self, data: bytes) -> None:
        """Put bytes back in front of the stream."""
        self._waiting = data + self._waiting


def _inflated(data: _Bytes, layer: Layer, found: Look) -> Iterator[bytes]:
    """The text of gzip members, up to the first damage."""
    while data.head(2) == b"\x1f\x8b":
        layer.members += 1
        decoder = zlib.decompressobj(31)
        while not decoder.eof:
            packed = decoder.unconsumed_tail or data.read(64 << 10)
            if not packed:
                found.problem = "the compressed data are cut off; fetch the file again"
                return
            try:
                text = decoder.decompress(packed, _CHUNK_BYTES)
            except zlib.error:
                found.problem = "the compressed data are damaged; fetch the file again"
                return
            if text:
                yield text
        data.put_back(decoder.unused_data)


def _stored(stored: Stored, source: Source) -> Iterator[bytes]:
    if isinstance(stored, StoredStream):
        yield from _chunks(stored.read)
        return
    left = source.size or 0
    with open(source.file_path, "rb") as file:
        file.seek(source.offset)
        while left and (chunk := file.read(min(left, _CHUNK_BYTES))):
            left -= len(chunk)
            yield chunk


def _chunks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    return iter(lambda: read(_CHUNK_BYTES), b"")
