"""Checksums of objects, as S3 has them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_HASHES = {"SHA256": hashlib.sha256, "SHA1": hashlib.sha1}
_CRCS: dict[str, tuple[Callable[[bytes, int], int], int]] = {"CRC32": (zlib.crc32, 4)}
ALGORITHMS = (*_CRCS, *_HASHES)
"""Those that can be verified here, the cheapest first."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The checksum that S3 has of a whole object.

    Attributes:
        algorithm: one of `ALGORITHMS`.
        digest: its bytes, high ones first.
    """

    algorithm: str
    digest: bytes

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Expected | None:
        """Take it from the answer to `get_object` or `head_object` with `ChecksumMode="ENABLED"`.

        None if S3 has none, if it is one of parts (`COMPOSITE`), or of a kind unknown here.
        """
        if answer.get("ChecksumType") == "COMPOSITE":
            return None
        for algorithm in ALGORITHMS:
            text = answer.get(f"Checksum{algorithm}")
            # Servers without ChecksumType write a checksum of parts with their number: `…-12`.
            if isinstance(text, str):
                with suppress(binascii.Error):
                    return cls(algorithm, base64.b64decode(text, validate=True))
        return None


class Checksum:
    """A checksum in the making."""

    def __init__(self, algorithm: str) -> None:
        self._hash = _HASHES[algorithm]() if algorithm in _HASHES else None
        self._crc, self._size = _CRCS.get(algorithm, (zlib.crc32, 4))
        self._value = 0

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._hash is not None:
            self._hash.update(data)
        else:
            self._value = self._crc(data, self._value)

    def digest(self) -> bytes:
        """The checksum of all bytes so far, as `Expected` has it."""
        return self._hash.digest() if self._hash is not None else self._value.to_bytes(self._size)
