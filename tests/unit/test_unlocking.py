"""A key is unlocked once for a run, by a ring of the run's own, and nothing of it stays."""

from __future__ import annotations

import os
import pty
import re
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import commands
import edxlogs
from commands import event, pack
from decrypting import read_all
from edxlogs import _core
from edxlogs.errors import ConfigError
from edxlogs.generator import keys
from edxlogs.gpg.agent import Agent, AgentError
from edxlogs.gpg.frame import key_ids
from edxlogs.gpg.process import Gpg
from edxlogs.gpg.verdict import Verdict

pytestmark = pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))

PASSPHRASE = "open sesame"
NAME = "locked@univx.example"
COUNT = 6
# Notes that it is asked, on the terminal as well, and answers by the file beside it.
PINENTRY = """#!/bin/sh
echo OK
while read -r word rest; do
    case "$word" in
    OPTION) case "$rest" in ttyname=*) tty=${rest#ttyname=};; esac;;
    GETPIN)
        echo asked >> "$0.asked"
        [ -n "$tty" ] && echo PINENTRY > "$tty"
        [ -e "$0.hangs" ] && exec sleep 60
        [ -s "$0.answer" ] || { echo "ERR 83886179 Operation cancelled"; continue; }
        echo "D $(cat "$0.answer")";;
    BYE) echo OK; exit;;
    esac
    echo OK
done
"""


def rings(memory: Path) -> list[Path]:
    """The key rings in a runtime folder; the empty files beside them are locks."""
    found = list(memory.iterdir())
    locks = [one for one in found if one.name.startswith("edxlogs-gpg-")]
    assert not any(one.stat().st_size for one in locks)
    return [one for one in found if one not in locks]


@dataclass(frozen=True)
class Locked:
    """A key ring with a key that has a passphrase, and logs that are encrypted to it."""

    home: Path
    folder: Path

    @property
    def logs(self) -> list[Path]:
        return sorted(self.folder.glob("*.gpg"))

    @property
    def file(self) -> Path:
        return self.folder / "passphrase"

    @property
    def pinentry(self) -> Path:
        return self.home / "pinentry"

    def asked(self) -> int:
        """How often somebody was asked."""
        path = self.home / "pinentry.asked"
        return path.read_text().count("asked") if path.exists() else 0

    def commands(self, word: str) -> int:
        """How often the agent of the user was told to do something."""
        log = (self.home / "agent.log").read_bytes()
        return len(re.findall(rf"<- {word}\b".encode(), log))


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Locked]:
    with keys.home() as home:
        one = Locked(home, tmp_path)
        settings = f"s2k-count 65536\npinentry-program {one.pinentry}\n"
        settings += f"debug ipc\nlog-file {home}/agent.log\n"
        (home / "gpg-agent.conf").write_text(settings)
        one.pinentry.write_text(PINENTRY)
        one.pinentry.chmod(0o700)
        keys.make_key(home, NAME, "cv25519", passphrase=PASSPHRASE)
        for number in range(COUNT):
            message = keys.encrypt(home, [NAME], pack(event(number)))
            (tmp_path / f"x-prod-events-2014-10-0{number + 1}.log.gz.gpg").write_bytes(message)
        keys.kill_agents(home)
        (home / "agent.log").write_text("")
        one.file.write_text(PASSPHRASE)
        one.file.chmod(0o600)
        yield one


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the ring of a run is: a path that is short, as those of sockets are."""
    with tempfile.TemporaryDirectory(prefix="em") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def opens(gpg: Gpg, path: Path) -> Verdict:
    with gpg.open(path.name, path) as decryption:
        read_all(decryption.stdout_fd)
        return decryption.verdict()


def test_a_run_unlocks_the_key_once(locked: Locked, memory: Path) -> None:
    words = ("--gnupg-home", locked.home, "--passphrase-file", locked.file, "-q")
    done = commands.run("filter", *locked.logs, *words, cwd=locked.folder)
    assert (done.code, done.stdout.count(b"\n"), done.stderr) == (0, COUNT, "")
    assert (locked.commands("EXPORT_KEY"), locked.commands("PKDECRYPT")) == (1, 0)
    assert rings(memory) == []
    # With few files it is not worth a ring.
    done = commands.run("filter", *locked.logs[:2], *words, cwd=locked.folder)
    assert (done.code, done.stdout.count(b"\n")) == (0, 2)
    assert (locked.commands("EXPORT_KEY"), locked.commands("PKDECRYPT")) == (1, 2)


def test_what_is_done_already_unlocks_nothing(locked: Locked, memory: Path) -> None:
    words = ("--gnupg-home", locked.home, "--passphrase-file", locked.file, "-q")
    more = ("-o", "out", "--partition-by", "date")
    for _ in range(2):
        assert commands.run("filter", *locked.logs, *words, *more, cwd=locked.folder).code == 0
    assert locked.commands("EXPORT_KEY") == 1


def test_a_stream_unlocks_once_and_leaves_nothing(locked: Locked, memory: Path) -> None:
    stream = edxlogs.filter(
        locked.logs, gnupg_home=locked.home, passphrase_file=locked.file, columns="line"
    )
    assert sum(batch.num_rows for batch in stream) == COUNT
    assert (locked.commands("EXPORT_KEY"), locked.commands("PKDECRYPT")) == (1, 0)
    wait_until(lambda: rings(memory) == [])


def test_the_ring_is_of_no_use_to_others(locked: Locked, memory: Path) -> None:
    gpg = Gpg(home=locked.home, passphrase_file=locked.file)
    gpg.unlock(locked.logs[0].read_bytes, COUNT)
    assert gpg.is_unlocked
    (ring,) = rings(memory)
    assert stat.S_IMODE(ring.stat().st_mode) == 0o700
    (key,) = (ring / "private-keys-v1.d").iterdir()
    content = key.read_bytes()
    assert b"protected-private-key" in content
    assert b"openpgp-s2k3-ocb-aes" in content
    for path in ring.rglob("*"):
        assert not path.is_file() or PASSPHRASE.encode() not in path.read_bytes()
    # Neither the passphrase of the user nor none opens it: the agent is asked for nothing else.
    stranger = Gpg(home=ring, passphrase_file=locked.file)
    assert "passphrase is wrong" in str(opens(stranger, locked.logs[0]).error)
    assert opens(gpg, locked.logs[0]).ok
    # The user's own files are as they were.
    before = sorted((path.name, path.stat().st_mtime_ns) for path in locked.home.rglob("*.key"))
    gpg.close()
    gpg.close()
    assert before == sorted(
        (path.name, path.stat().st_mtime_ns) for path in locked.home.rglob("*.key")
    )
    assert rings(memory) == []


def test_a_run_that_is_killed_leaves_nothing(locked: Locked, memory: Path) -> None:
    script = f"""
import pathlib, time
from edxlogs.gpg.process import Gpg
home, file, log = map(pathlib.Path, {[str(locked.home), str(locked.file), str(locked.logs[0])]})
gpg = Gpg(home=home, passphrase_file=file)
gpg.unlock(log.read_bytes, 9)
print(gpg.is_unlocked, flush=True)
time.sleep(60)
"""
    words = [*commands.COMMAND[:-2], "-c", script]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        assert len(rings(memory)) == 1
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: rings(memory) == [])


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + commands.SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_ring_that_dies_costs_no_source(locked: Locked, memory: Path) -> None:
    gpg = Gpg(home=locked.home, passphrase_file=locked.file)
    gpg.unlock(locked.logs[0].read_bytes, COUNT)
    (ring,) = rings(memory)
    keys.kill_agents(ring)
    for key in (ring / "private-keys-v1.d").iterdir():
        key.unlink()
    assert opens(gpg, locked.logs[0]).retry
    assert opens(gpg, locked.logs[0]).ok
    gpg.close()


def test_what_is_for_another_key_goes_to_the_users_own_ring(locked: Locked, memory: Path) -> None:
    keys.make_key(locked.home, "other@univx.example", "cv25519", passphrase=PASSPHRASE)
    other = locked.folder / "other"
    other.write_bytes(keys.encrypt(locked.home, ["other@univx.example"], b"x"))
    hidden = locked.folder / "hidden"
    hidden.write_bytes(keys.encrypt(locked.home, [NAME], b"x", "--throw-keyids"))
    gpg = Gpg(home=locked.home, passphrase_file=locked.file)
    gpg.unlock(locked.logs[0].read_bytes, COUNT)
    assert gpg.is_unlocked
    for path in (other, hidden, locked.logs[1]):
        assert opens(gpg, path).ok
    gpg.close()


@pytest.mark.parametrize("wrong", [True, False])
def test_a_wrong_passphrase_is_told_as_before(locked: Locked, memory: Path, wrong: bool) -> None:
    locked.file.write_text("close sesame" if wrong else PASSPHRASE)
    words = ("--gnupg-home", locked.home, "--passphrase-file", locked.file, "-q")
    done = commands.run("filter", *locked.logs, *words, cwd=locked.folder)
    assert done.code == wrong
    told = f"{COUNT} sources failed for one reason"
    assert (told in done.stderr) == ("the passphrase is wrong" in done.stderr) == wrong
    assert rings(memory) == []


def test_a_key_without_a_passphrase_is_used_as_it_is(memory: Path) -> None:
    with keys.home() as home:
        keys.make_key(home, "a@univx.example", "cv25519")
        gpg = Gpg(home=home, prompt=False)
        gpg.unlock(lambda: pytest.fail("no key needs it"), 1000)
        assert not gpg.is_unlocked
    assert rings(memory) == []


def test_what_the_agent_was_given_beforehand_unlocks(locked: Locked, memory: Path) -> None:
    with (locked.home / "gpg-agent.conf").open("a") as file:
        file.write("allow-preset-passphrase\n")
    gpg = Gpg(home=locked.home, prompt=False)
    head = locked.logs[0].read_bytes
    gpg.unlock(head, COUNT)
    assert not gpg.is_unlocked
    for grip in gpg.secret_keys().values():
        told = f"PRESET_PASSPHRASE {grip} -1 {PASSPHRASE.encode().hex()}"
        keys_agent = ["gpg-connect-agent", "--homedir", str(locked.home), told, "/bye"]
        assert b"OK" in subprocess.run(keys_agent, capture_output=True).stdout
    gpg.unlock(head, COUNT)
    assert gpg.is_unlocked
    gpg.close()
    assert locked.asked() == 0


@contextmanager
def running(locked: Locked, logs: list[Path]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A run that may ask on a terminal, and our end of that."""
    ours, theirs = pty.openpty()
    words: list[str | Path] = ["filter", *logs, "-o", "out.csv", "--gnupg-home", locked.home]
    terminal = {"GPG_TTY": os.ttyname(theirs), "TERM": "xterm"}
    process = commands.start(
        *words, cwd=locked.folder, stderr=theirs, env={**os.environ, **terminal}
    )
    os.close(theirs)
    yield process, ours
    os.close(ours)


def on_a_terminal(locked: Locked, logs: list[Path]) -> tuple[int, str]:
    """The exit status of such a run, and what it showed."""
    shown = b""
    with running(locked, logs) as (process, terminal):
        try:
            while more := os.read(terminal, 1 << 16):
                shown += more
        except OSError:
            pass  # the other end of a terminal is gone
        return commands.finish(process).code, shown.decode()


@pytest.mark.parametrize("count", [1, COUNT])
def test_the_passphrase_is_asked_for_once_before_the_progress_bar(
    locked: Locked, memory: Path, count: int
) -> None:
    (locked.home / "pinentry.answer").write_text(PASSPHRASE)
    code, shown = on_a_terminal(locked, locked.logs[:count])
    assert code == 0, shown
    assert locked.asked() == 1
    assert f"{count} row" in shown
    assert 0 <= shown.index("PINENTRY") < shown.index(f"of {count}")
    assert rings(memory) == []


def test_who_refuses_is_not_asked_again(locked: Locked, memory: Path) -> None:
    code, shown = on_a_terminal(locked, locked.logs)
    assert code == 1
    assert locked.asked() == 1
    assert f"{COUNT} sources failed for one reason" in shown
    assert "the secret key is locked" in shown


def test_where_a_key_is_not_given_away_it_is_asked_for_all_the_same(
    locked: Locked, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a card: the agent asks before the run shows how far it is."""

    def refuse(*_: object) -> None:
        raise AgentError("forbidden", 251)

    monkeypatch.setattr(Agent, "export_key", refuse)
    (locked.home / "pinentry.answer").write_text(PASSPHRASE)
    gpg = Gpg(home=locked.home, prompt=False)
    gpg.unlocking = replace(gpg.unlocking, terminal="/dev/null")
    gpg.unlock(locked.logs[0].read_bytes, COUNT)
    assert not gpg.is_unlocked
    assert locked.asked() == 1
    assert opens(gpg, locked.logs[1]).ok
    assert locked.asked() == 1


def test_who_interrupts_the_question_ends_the_run(locked: Locked, memory: Path) -> None:
    (locked.home / "pinentry.hangs").touch()
    with running(locked, locked.logs) as (process, _):
        wait_until(lambda: locked.asked() == 1)
        process.send_signal(signal.SIGINT)
        assert commands.finish(process).code == 130
    assert rings(memory) == []
    assert not (locked.folder / "out.csv").exists()


def test_where_the_agent_holds_it_nobody_is_asked_for_a_few_files(
    locked: Locked, memory: Path
) -> None:
    assert opens(Gpg(home=locked.home, passphrase_file=locked.file), locked.logs[0]).ok
    code, _ = on_a_terminal(locked, locked.logs)
    assert (code, locked.asked()) == (0, 0)


def test_keys_of_a_message(locked: Locked) -> None:
    gpg = Gpg(home=locked.home, prompt=False)
    head = locked.logs[0].read_bytes()[:512]
    assert key_ids(head) == set(gpg.recipients(locked.logs[0].read_bytes()))
    for odd in (b"", b"\x84", b"x" * 100, head[:5], b"-----BEGIN PGP MESSAGE-----\n"):
        assert key_ids(odd) == frozenset()


def test_a_key_is_wrapped_anew() -> None:
    """RFC 3394, section 4.1."""
    kek = bytes(range(16))
    wrapped = bytes.fromhex("1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5")
    assert _core.rewrap_key(wrapped, kek, kek) == wrapped
    other = _core.rewrap_key(wrapped, kek, b"another key, 16.")
    assert other != wrapped
    assert _core.rewrap_key(other, b"another key, 16.", kek) == wrapped
    wrong = b"a wrong key, 16."
    for one, key in ((wrapped, wrong), (wrapped[:-1], kek), (b"", kek), (wrapped, b"")):
        with pytest.raises(ConfigError, match="gpg-agent"):
            _core.rewrap_key(one, key, kek)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o604])
def test_a_passphrase_file_that_others_can_read_is_warned_of(
    locked: Locked, memory: Path, mode: int
) -> None:
    locked.file.chmod(mode)
    words = ("--gnupg-home", locked.home, "--passphrase-file", locked.file)
    done = commands.run("filter", locked.logs[0], *words, "-o", "o.csv", cwd=locked.folder)
    assert done.code == 0
    told = f"warning: passphrase file: {locked.file}: others can read it; run chmod 600 on it"
    assert done.stderr.count(told) == (mode != 0o600)
