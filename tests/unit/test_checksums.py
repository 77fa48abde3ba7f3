"""Checksums as S3 has them: the published check values, and what other libraries say."""

from __future__ import annotations

import base64
import hashlib
import random
import zlib
from typing import Any

import pytest

from edxlogs.errors import ConfigError
from edxlogs.s3.checksums import ALGORITHMS, Checksum, Expected

# Of the nine digits, as the catalogue of parametrised CRC algorithms has them.
CHECK = {
    "CRC32": bytes.fromhex("cbf43926"),
    "CRC32C": bytes.fromhex("e3069283"),
    "CRC64NVME": bytes.fromhex("ae8b14860a799888"),
    "SHA1": hashlib.sha1(b"123456789").digest(),
    "SHA256": hashlib.sha256(b"123456789").digest(),
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_check_values_whatever_the_pieces(algorithm: str) -> None:
    for cut in range(10):
        checksum = Checksum(algorithm)
        checksum.update(b"123456789"[:cut])
        checksum.update(b"123456789"[cut:])
        assert checksum.digest() == CHECK[algorithm]


def test_long_texts() -> None:
    data = random.Random(1).randbytes(1_000_003)
    checksum = Checksum("CRC32")
    checksum.update(data)
    assert checksum.digest() == zlib.crc32(data).to_bytes(4)


def test_unknown_algorithm() -> None:
    with pytest.raises(ConfigError):
        Checksum("MD4")


@pytest.mark.parametrize(
    ("answer", "algorithm"),
    [
        ({}, None),
        ({"ChecksumCRC32": "NhCmhg=="}, "CRC32"),
        ({"ChecksumCRC32": "NhCmhg==", "ChecksumType": "FULL_OBJECT"}, "CRC32"),
        ({"ChecksumCRC32": "NhCmhg==", "ChecksumType": "COMPOSITE"}, None),
        ({"ChecksumCRC32": "NhCmhg==-12"}, None),
        ({"ChecksumSHA1": "NhCmhg==", "ChecksumCRC64NVME": "NhCmhg=="}, "CRC64NVME"),
    ],
)
def test_what_an_answer_holds(answer: dict[str, Any], algorithm: str | None) -> None:
    expected = Expected.of(answer)
    assert (expected and expected.algorithm) == algorithm
    if expected is not None:
        assert expected.digest == base64.b64decode("NhCmhg==")
