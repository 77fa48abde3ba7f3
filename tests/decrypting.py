"""What the tests of decryption share: a key ring, ways to decrypt a message, a gpg that acts."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edxlogs.generator import keys
from edxlogs.gpg.process import Gpg
from edxlogs.gpg.verdict import Verdict

NAMES = {"rsa2048": "a@univx.example", "rsa3072": "b@univx.example", "cv25519": "c@univx.example"}
# Text of which a compressor still leaves most: several packets' worth whatever the options.
PLAIN = random.Random(7).randbytes(400_000).hex().encode()
Decrypt = Callable[[Gpg, bytes], tuple[bytes, Verdict]]


@dataclass(frozen=True)
class Ring:
    """A key ring with one key of each kind, none of them locked."""

    path: Path
    gpg: Gpg

    def encrypt(self, *options: str, to: str = "a@univx.example", data: bytes = PLAIN) -> bytes:
        return keys.encrypt(self.path, [to], data, *options)


def read_all(fd: int) -> bytes:
    return b"".join(iter(lambda: os.read(fd, 1 << 16), b""))


def decrypt_file(
    gpg: Gpg, message: bytes, folder: Path, offset: int = 0, length: int | None = None
) -> tuple[bytes, Verdict]:
    path = folder / "message"
    path.write_bytes(message)
    with gpg.open("name", path, offset=offset, length=length) as decryption:
        return read_all(decryption.stdout_fd), decryption.verdict()


def decrypt_pipe(gpg: Gpg, message: bytes) -> tuple[bytes, Verdict]:
    reader, writer = os.pipe()

    def write() -> None:
        try:
            with open(writer, "wb") as pipe:
                pipe.write(message)
        except BrokenPipeError:
            pass

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with gpg.open("name", reader) as decryption:
            return read_all(decryption.stdout_fd), decryption.verdict()
    finally:
        os.close(reader)
        thread.join()


def fake_gpg(folder: Path, script: str) -> str:
    """The real gpg, but for --decrypt, which runs `script` with the status descriptor as $fd."""
    path = folder / "fake-gpg"
    path.write_text(
        '#!/bin/sh\ncase "$*" in *--decrypt*) ;; *) exec gpg "$@";; esac\n'
        'while [ $# -gt 0 ]; do [ "$1" = --status-fd ] && fd=$2; shift; done\n'
        'say() { for l in "$@"; do echo "[GNUPG:] $l" >/dev/fd/$fd; done; }\n' + script + "\n"
    )
    path.chmod(0o700)
    return str(path)
