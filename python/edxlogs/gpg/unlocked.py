"""Secret keys that are unlocked once for a whole run.

For every message, an agent does slow work on the passphrase, a tenth of a second or more. That is
what protects the file of the key. So a run gets a key ring of its own. Keys go from the user's
agent, which unlocks them once, to an agent that lives as long as the run. There, their file is
protected by 256 random bits, which only this process has in its memory. Nobody can guess those,
however fast, so the slow work is not needed. Between the agents, keys are wrapped as each agent
does it.

The ring is in memory if the system has a folder for that. It disappears with the run, even if the
run is killed: a process that waits for its end removes it.
"""

from __future__ import annotations

import os
import secrets
import select
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edxlogs import _core, system
from edxlogs.errors import ConfigError, EdxlogsError
from edxlogs.gpg.agent import NOT_GIVEN, Agent, AgentError, cache_seconds
from edxlogs.gpg.frame import key_ids
from edxlogs.gpg.passphrase import Unlocking

if TYPE_CHECKING:
    from edxlogs.gpg.process import Gpg

_SETTINGS = "s2k-count 65536\nauto-expand-secmem\ndisable-scdaemon\n"
_MOST_CHARACTERS = 60  # of its path, since that of a socket has 107 at most
_HIDDEN = "0" * 16
_SECONDS = 10.0
_PREFIX = "edxlogs-"
# Waits for the end of its standard input, when this process ends, and removes the folder.
_GUARD = 'echo; cat > /dev/null; gpgconf --homedir "$0" --remove-socketdir; rm -rf -- "$0"'


WORTH_MESSAGES = 4  # with fewer, a ring takes longer than it saves
WORTH_ASKING = 32  # where the agent holds the passphrase, and would do without


@dataclass(frozen=True, slots=True)
class Unlocked:
    """The result of unlocking.

    Attributes:
        keys: the unlocked keys, or None.
        refused: whether the agent asked and got no passphrase.
        asks: whether the agent may ask as soon as a message is decrypted.
    """

    keys: UnlockedKeys | None = None
    refused: bool = False
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """How the secret keys of a message are kept.

    Attributes:
        on_card: whether one of them is on a card.
        is_protected: whether a passphrase protects the file of one of them.
        is_preset: whether gpg-preset-passphrase gave the agent all their passphrases.
        seconds: how long the agent holds a passphrase after its use, and in all.
    """

    on_card: bool
    is_protected: bool
    is_preset: bool
    seconds: tuple[int, int]


def kept(gpg: Gpg, head: bytes) -> Kept | None:
    """How the keys of a message are kept; None if none is available, or the agent does not say."""
    try:
        grips = {one: grip for one, grip in gpg.secret_keys().items() if grip}
        with Agent(gpg.home, gpg.environment()) as agent:
            wanted = set(gpg.recipients(head))
            # If a message hides its recipients, it may be for any key.
            asked = [grip for one, grip in grips.items() if one in wanted or _HIDDEN in wanted]
            keys = [agent.key(grip) for grip in asked]
            if not keys:
                return None
            return Kept(
                on_card=not all(key.on_disk for key in keys),
                is_protected=any(key.is_protected for key in keys),
                is_preset=all(agent.preset(grip) is not None for grip in asked),
                seconds=cache_seconds(gpg.home, gpg.environment()),
            )
    except (AgentError, EdxlogsError):
        return None


def unlock(gpg: Gpg, head: Callable[[], bytes], count: int) -> Unlocked:
    """Unlock the keys of a message, if that is possible and worthwhile for that many messages.

    `head` is called only if a key requires it.
    """
    unlocking = gpg.unlocking
    asks = unlocking.passphrase is None and unlocking.terminal is not None
    if count < (1 if asks else WORTH_MESSAGES):
        return Unlocked()
    try:
        grips = {one: grip for one, grip in gpg.secret_keys().items() if grip}
        environment = gpg.environment()
        with Agent(gpg.home, environment) as agent:
            there = {one: agent.key(grip) for one, grip in grips.items()}
            locked = {one: key for one, key in there.items() if key.is_protected or not key.on_disk}
            asked = key_ids(head()).intersection(locked) if locked else frozenset[str]()
            wanted = {one for one in asked if locked[one].on_disk}
            if not wanted:
                return Unlocked(asks=asks and bool(asked))
            held = all(locked[one].is_cached for one in wanted)
            if asks and held and count < WORTH_ASKING:
                return Unlocked()
            passphrases = {one: unlocking.passphrase or agent.preset(grips[one]) for one in wanted}
            if not asks and None in passphrases.values():
                return Unlocked()
            ring = UnlockedKeys(gpg.executable, environment)
            try:
                for one, passphrase in passphrases.items():
                    if passphrase is None:
                        agent.may_ask(environment, f"edxlogs unlocks the key {one} for this run.")
                    ring.add(agent, grips[one], passphrase)
                ring.add_public(gpg.public_keys(wanted), frozenset(wanted))
            except BaseException:
                ring.close()
                raise
            return Unlocked(ring)
    except AgentError as error:
        refused = asks and error.code in NOT_GIVEN
        return Unlocked(refused=refused, asks=asks and not refused)
    except EdxlogsError:
        return Unlocked()  # whoever decrypts says why


class UnlockedKeys:
    """A key ring of this run, with secret keys of the user.

    Args:
        executable: name or path of gpg.
        environment: environment of gpg.

    Attributes:
        folder: folder of the ring.
        key_ids: long ids of the keys in it.

    Raises:
        AgentError: the ring cannot be made.
    """

    def __init__(self, executable: str, environment: Mapping[str, str]) -> None:
        self.key_ids: frozenset[str] = frozenset()
        self._passphrase = secrets.token_hex(32).encode()
        self._executable = executable
        self._environment = environment
        try:
            self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_place(environment)))
        except OSError as error:
            raise AgentError(str(error)) from error
        try:
            (self.folder / "gpg-agent.conf").write_text(_SETTINGS)
            guard = subprocess.Popen(
                [
                    *("gpg-agent", "--homedir", str(self.folder), "--daemon"),
                    *("--", "sh", "-c", _GUARD, str(self.folder)),
                ],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise AgentError(str(error)) from error
        self._end = weakref.finalize(self, _remove, guard, self.folder)
        assert guard.stdout is not None
        if not select.select([guard.stdout], [], [], _SECONDS)[0] or not guard.stdout.read(1):
            self.close()
            raise AgentError("no agent starts for the run")

    def add(self, agent: Agent, grip: str, passphrase: bytes | None) -> None:
        """Take a secret key from an agent.

        Args:
            agent: the user's agent. Its pinentry asks if no passphrase is given.
            grip: keygrip of the key.
            passphrase: unlocks the key, or None.

        Raises:
            AgentError: the agent does not give the key away, or the run's agent refuses it.
        """
        with Agent(self.folder, self._environment) as own:
            wrapped, wrapping = agent.export_key(grip, passphrase)
            try:
                own.import_key(partial(_core.rewrap_key, wrapped, wrapping), self._passphrase)
            except ConfigError as error:
                raise AgentError(str(error)) from error

    def add_public(self, keys: bytes, key_ids: frozenset[str]) -> None:
        """Add the public parts. Without them, gpg does not find the secret ones.

        Raises:
            AgentError: gpg refuses them.
        """
        command = [self._executable, "--homedir", str(self.folder), "--batch", "--no-tty"]
        try:
            subprocess.run(
                [*command, "--disable-dirmngr", "--no-auto-check-trustdb", "--import"],
                input=keys,
                env=self._environment,
                capture_output=True,
                timeout=_SECONDS,
                start_new_session=True,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise AgentError(str(error)) from error
        self.key_ids = key_ids

    @property
    def own(self) -> Unlocking:
        """How to use its keys."""
        return Unlocking(self.folder, self._passphrase, None)

    def close(self) -> None:
        """Remove the ring and its agent. May be called twice."""
        self._end()


def _place(environment: Mapping[str, str]) -> str | None:
    """A folder in memory that the user owns and can write to, or None."""
    for place in (environment.get("XDG_RUNTIME_DIR"), system.memory_folder()):
        if not place or not os.path.isabs(place) or len(place) > _MOST_CHARACTERS:
            continue
        if os.access(place, os.W_OK | os.X_OK):
            return place
    return None


def _remove(guard: subprocess.Popen[bytes], folder: Path) -> None:
    for pipe in (guard.stdin, guard.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            ["gpgconf", "--homedir", str(folder), "--kill", "gpg-agent"],
            capture_output=True,
            timeout=_SECONDS,
            start_new_session=True,
        )
    try:
        guard.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        guard.kill()
        guard.wait()
    shutil.rmtree(folder, ignore_errors=True)
