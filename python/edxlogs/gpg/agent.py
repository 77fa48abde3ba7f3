"""Talks to a gpg-agent: how it keeps a key, and how a key gets from one agent to another.

Source: GnuPG manual, "Agent's Assuan Protocol"; Libassuan manual, "Client requests".
"""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote_plus, unquote_to_bytes

_LINE_BYTES = 1000  # of the protocol, the end included
_PIECE_BYTES = 300  # escaped they fit in a line
_MOST_BYTES = 1 << 20  # of an answer: a key has some thousand
_SECONDS = 10.0  # for an answer that nobody is asked for
# Canceled, a bad passphrase too often, timeout, no pinentry: of libgpg-error.
NOT_GIVEN = frozenset({11, 62, 85, 99, 177, 198})


class AgentError(Exception):
    """An agent refused a request, or did not answer.

    Attributes:
        code: error code of libgpg-error, its low 16 bits; 0 if the agent did not answer.
    """

    def __init__(self, told: str, code: int = 0) -> None:
        super().__init__(told)
        self.code = code


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """How an agent keeps a secret key.

    Attributes:
        on_disk: whether it is in a file, not on a card.
        is_protected: whether a passphrase protects its file.
        is_cached: whether the agent holds that passphrase now.
    """

    on_disk: bool
    is_protected: bool
    is_cached: bool


def cache_seconds(home: Path | None, environment: Mapping[str, str]) -> tuple[int, int]:
    """How long an agent holds a passphrase: after its last use, and at most after it was typed.

    Raises:
        AgentError: the agent does not say.
    """
    found = {}
    for line in _gpgconf(home, environment, "--list-options", "gpg-agent").splitlines():
        # name, flags, level, description, type, other type, its name, default, its value, value
        words = line.decode("utf-8", "replace").split(":")
        if len(words) > 9 and words[0] in ("default-cache-ttl", "max-cache-ttl"):
            found[words[0]] = words[9] or words[7]
    try:
        most = int(found["max-cache-ttl"])
        return min(int(found["default-cache-ttl"]), most), most
    except (KeyError, ValueError) as error:
        raise AgentError("it does not say how long it holds a passphrase") from error


def _gpgconf(home: Path | None, environment: Mapping[str, str], *words: str) -> bytes:
    try:
        return subprocess.run(
            ["gpgconf", *(("--homedir", str(home)) if home else ()), *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise AgentError(str(error)) from error


class Agent:
    """A connection to the agent of a key ring, which is started if it is not running.

    Args:
        home: folder of the key ring; None means gpg's default.
        environment: environment of the programs that are run.

    Raises:
        AgentError: the agent cannot be reached.
    """

    def __init__(self, home: Path | None, environment: Mapping[str, str]) -> None:
        words = ["--homedir", str(home)] if home else []
        try:
            subprocess.run(
                ["gpg-connect-agent", *words, "/bye"],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                start_new_session=True,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise AgentError(str(error)) from error
        place = _gpgconf(home, environment, "--list-dirs", "agent-socket").strip()
        self._socket = socket.socket(socket.AF_UNIX)
        self._read = b""
        try:
            self._socket.settimeout(_SECONDS)
            self._socket.connect(unquote_to_bytes(place))
            self._answer({})
        except (OSError, AgentError) as error:
            self.close()
            raise AgentError(str(error)) from error

    def close(self) -> None:
        """Close the connection. The agent keeps running."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def key(self, grip: str) -> KeyInfo:
        """How the agent keeps the key with this keygrip.

        Raises:
            AgentError: it has no such key.
        """
        _, told = self.ask(f"KEYINFO {grip}")
        for words in (line.split() for line in told):
            if words[:2] == [b"KEYINFO", grip.encode()] and len(words) > 6:
                return KeyInfo(words[2] == b"D", words[6] == b"P", words[5] == b"1")
        raise AgentError("it does not say how it keeps the key")

    def may_ask(self, environment: Mapping[str, str], why: str) -> None:
        """Tell the agent's pinentry where it may ask, and why.

        Raises:
            AgentError: the agent refuses that.
        """
        for name, variable in (("ttyname", "GPG_TTY"), ("ttytype", "TERM"), ("display", "DISPLAY")):
            if value := environment.get(variable):
                self.ask(f"OPTION {name}={value}")
        self.ask(f"SETKEYDESC {quote_plus(why)}")

    def preset(self, grip: str) -> bytes | None:
        """The passphrase that gpg-preset-passphrase gave the agent for a key, or None."""
        try:
            return self.ask(f"GET_PASSPHRASE --no-ask --data {grip} X X X")[0]
        except AgentError:
            return None

    def export_key(self, grip: str, passphrase: bytes | None) -> tuple[bytes, bytes]:
        """A secret key, wrapped for this connection, and the key that it is wrapped with.

        Without a passphrase, pinentry asks for it, whatever the agent holds.

        Raises:
            AgentError: the key cannot be unlocked, or is not given away.
        """
        wrapping, _ = self.ask("KEYWRAP_KEY --export")
        answers = {}
        if passphrase is not None:
            self.ask("OPTION pinentry-mode=loopback")
            answers["PASSPHRASE"] = passphrase
        wrapped, _ = self.ask(f"EXPORT_KEY {grip}", answers, waits=passphrase is None)
        return wrapped, wrapping

    def import_key(self, wrap: Callable[[bytes], bytes], passphrase: bytes) -> None:
        """Store a secret key, protected by a passphrase.

        Args:
            wrap: returns the key, wrapped with the given key.
            passphrase: protects its file from now on.

        Raises:
            AgentError: the agent refuses it.
        """
        wrapping, _ = self.ask("KEYWRAP_KEY --import")
        self.ask("OPTION pinentry-mode=loopback")
        answers = {"KEYDATA": wrap(wrapping), "NEW_PASSPHRASE": passphrase}
        self.ask("IMPORT_KEY", {**answers, "PASSPHRASE": passphrase})

    def ask(
        self, command: str, answers: Mapping[str, bytes] | None = None, *, waits: bool = False
    ) -> tuple[bytes, list[bytes]]:
        """Send a request.

        Args:
            command: a line of the protocol.
            answers: answers to its inquiries, by keyword.
            waits: wait as long as a person takes.

        Returns:
            The data of the answer, and its status lines.

        Raises:
            AgentError: the agent refuses, or does not answer.
        """
        try:
            self._socket.settimeout(None if waits else _SECONDS)
            self._socket.sendall(command.encode() + b"\n")
            return self._answer(answers or {})
        except OSError as error:
            raise AgentError(str(error)) from error

    def _answer(self, answers: Mapping[str, bytes]) -> tuple[bytes, list[bytes]]:
        data, told = b"", list[bytes]()
        while len(data) < _MOST_BYTES:
            word, _, rest = self._line().partition(b" ")
            match word:
                case b"OK":
                    return data, told
                case b"ERR":
                    code = re.match(rb"[0-9]{1,10}", rest)
                    number = int(code[0]) & 0xFFFF if code else 0
                    raise AgentError(rest.decode("utf-8", "replace"), number)
                case b"D":
                    data += unquote_to_bytes(rest)
                case b"S":
                    told.append(rest)
                case b"INQUIRE":
                    self._give(answers.get(rest.partition(b" ")[0].decode("ascii", "replace")))
        raise AgentError("its answer has no end")

    def _give(self, answer: bytes | None) -> None:
        if answer is None:
            self._socket.sendall(b"CAN\n")
            return
        lines = [
            b"D " + _escaped(answer[at : at + _PIECE_BYTES])
            for at in range(0, len(answer), _PIECE_BYTES)
        ]
        self._socket.sendall(b"\n".join([*lines, b"END\n"]))

    def _line(self) -> bytes:
        while b"\n" not in self._read:
            if len(self._read) > _LINE_BYTES or not (more := self._socket.recv(1 << 16)):
                raise AgentError("it does not answer")
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return line


def _escaped(data: bytes) -> bytes:
    return re.sub(rb"[%\r\n]", lambda match: b"%%%02X" % ord(match[0]), data)
