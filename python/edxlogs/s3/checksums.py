"""Checksums of objects, as S3 provides them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from edxlogs import _core

_HASHES: dict[str, Callable[[], Any]] = {
    "SHA256": hashlib.sha256,
    "SHA1": hashlib.sha1,
    "MD5": partial(hashlib.md5, usedforsecurity=False),
}
ALGORITHMS = ("CRC64NVME", "CRC32C", "CRC32", "SHA256", "SHA1")
"""Algorithms that can be verified here, cheapest first, by their names in S3."""

_MD5_ETAG = re.compile(r'"([0-9a-f]{32})"')


@dataclass(frozen=True, slots=True)
class Expected:
    """The checksum that S3 has for a whole object.

    Attributes:
        algorithm: one of `ALGORITHMS`, or `MD5`.
        digest: its bytes, most significant first.
    """

    algorithm: str
    digest: bytes

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Expected | None:
        """Take it from the answer to `get_object` or `head_object`, as a client of `S3` returns it.

        None if S3 has no checksum, one over parts (`COMPOSITE`), or one of an unknown kind.
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

    @classmethod
    def by_etag(cls, answer: Mapping[str, Any]) -> Expected | None:
        """Use the ETag as an MD5. It is one if an object was uploaded in one piece, without KMS.

        Source: Amazon S3 API Reference, "Object", ETag.
        """
        match = _MD5_ETAG.fullmatch(str(answer.get("ETag")))
        encryption = answer.get("ServerSideEncryption", "AES256")
        if match is None or encryption != "AES256" or "SSECustomerAlgorithm" in answer:
            return None
        return cls("MD5", bytes.fromhex(match[1]))


class Checksum:
    """A checksum, computed piece by piece.

    Args:
        algorithm: one of `ALGORITHMS`, or `MD5`.
    """

    def __init__(self, algorithm: str) -> None:
        make = _HASHES.get(algorithm)
        self._state = _core.Crc(algorithm) if make is None else make()

    def update(self, data: bytes) -> None:
        """Add the next bytes."""
        self._state.update(data)

    def digest(self) -> bytes:
        """The checksum of all bytes so far, in the form of `Expected`."""
        return self._state.digest()
