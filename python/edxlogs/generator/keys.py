"""Throw-away OpenPGP keys, made by the real gpg in a key ring of their own.

The user's key ring is not touched. The path of a home is short, because the path of an agent's
socket must stay below 108 bytes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def missing() -> str | None:
    """Why no key can be made here, or None if gpg is installed."""
    return None if shutil.which("gpg") and shutil.which("gpgconf") else "gpg is not installed"


@contextmanager
def home() -> Iterator[Path]:
    """Yield an empty key ring of mode 0700. Afterwards its agents are ended and it is removed."""
    path = Path(tempfile.mkdtemp(prefix="ek"))
    try:
        yield path
    finally:
        kill_agents(path)
        shutil.rmtree(path, ignore_errors=True)


def kill_agents(home: Path) -> None:
    """End the agents of a key ring; they forget every passphrase."""
    subprocess.run(
        ["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True
    )


def make_key(home: Path, name: str, kind: str = "rsa2048", passphrase: str = "") -> str:
    """Make a key that signs, with a subkey for encryption.

    Args:
        home: the key ring.
        name: user id, such as `Data Czar <czar@univx.example>`.
        kind: `rsa2048`, `rsa3072`, … or `cv25519`.
        passphrase: empty for a key that needs none.

    Returns:
        The fingerprint of the primary key.
    """
    primary = "ed25519" if kind == "cv25519" else kind
    secret = ["--pinentry-mode", "loopback", "--passphrase", passphrase]
    gpg(home, *secret, "--quick-gen-key", name, primary, "cert,sign", "never")
    listed = gpg(home, "--with-colons", "--list-keys", f"={name}").decode()
    fingerprint = next(
        line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:")
    )
    gpg(home, *secret, "--quick-add-key", fingerprint, kind, "encrypt", "never")
    return fingerprint


def copy_public_key(source: Path, target: Path, name: str) -> None:
    """Import a public key from one key ring into another."""
    gpg(target, "--import", data=gpg(source, "--export", name))


def encrypt(home: Path, recipients: Sequence[str], data: bytes, *options: str) -> bytes:
    """Encrypt to every recipient, and return the message.

    The packets have no known length, as when gpg reads from a pipe. `encrypt_file` makes the other
    kind.
    """
    return gpg(home, *_to(recipients), *options, "--encrypt", data=data)


def encrypt_file(
    home: Path, recipients: Sequence[str], path: Path, output: Path, *options: str
) -> None:
    """Encrypt a file to every recipient. The packets have their length where gpg knows it."""
    gpg(home, *_to(recipients), *options, "--output", str(output), "--encrypt", str(path))


def gpg(home: Path, *args: str, data: bytes = b"") -> bytes:
    """Run gpg on a key ring and return its standard output.

    Raises:
        RuntimeError: gpg failed; the message is its standard error.
    """
    done = subprocess.run(
        [
            "gpg",
            "--homedir",
            str(home),
            "--batch",
            "--no-tty",
            "--quiet",
            "--disable-dirmngr",
            *args,
        ],
        input=data,
        capture_output=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return done.stdout


def _to(recipients: Sequence[str]) -> list[str]:
    trust = ["--trust-model", "always"]
    return trust + [word for name in recipients for word in ("--recipient", name)]
