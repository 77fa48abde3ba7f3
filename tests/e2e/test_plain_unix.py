"""The command where it has nothing of Linux's: the same rows and files, by plainer ways."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import commands
import datasets
import forked
import systems
from commands import Done, event, judge
from edxlogs.generator import keys


def run(*words: str, cwd: Path, **environment: str) -> Done:
    done = forked.run(
        [*systems.COMMAND, *words],
        cwd=cwd,
        env={**os.environ, **environment},
        seconds=commands.SECONDS,
    )
    return judge(done.returncode, done.stdout, done.stderr)


def lines(count: int, first: int = 0, **fields: object) -> bytes:
    return b"".join(event(number, **fields) for number in range(first, first + count))


def test_a_dataset_is_the_same_night_after_night(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    words = ("filter", "logs", "--partition-by", "course_id,date")
    for night in range(3):
        (tmp_path / f"logs/tracking-{night}.log").write_bytes(lines(20, 20 * night))
        assert run(*words, "-o", "plain", cwd=tmp_path).code == 0
        assert commands.run(*words, "-o", "linux", cwd=tmp_path).code == 0
    found = datasets.files(tmp_path / "plain")
    assert len(found) >= 3
    assert found == datasets.files(tmp_path / "linux")


@pytest.mark.parametrize("read", [0, 1])
def test_standard_input_is_read_from_where_it_stands(tmp_path: Path, read: int) -> None:
    """Its file cannot be opened once more there, so it is read as a pipe is."""
    content = [event(number) for number in range(200)]
    (tmp_path / "a.log").write_bytes(b"".join(content))
    with open(tmp_path / "a.log", "rb") as file:
        os.lseek(file.fileno(), len(content[0]) * read, os.SEEK_SET)
        done = subprocess.run(
            [*systems.COMMAND, "filter", "-", "-o", "out.jsonl"],
            cwd=tmp_path,
            stdin=file,
            capture_output=True,
            timeout=commands.SECONDS,
        )
    assert judge(done.returncode, done.stdout, done.stderr).code == 0
    assert (tmp_path / "out.jsonl").read_bytes() == b"".join(content[read:])


def test_encrypted_files_are_read(tmp_path: Path) -> None:
    """Keys are unlocked into a ring on disk, where there is no folder in memory."""
    if why := keys.missing():
        pytest.skip(why)
    days = [lines(300, 300 * number) for number in range(5)]
    (tmp_path / "pass").write_text("open sesame\n")
    (tmp_path / "pass").chmod(0o600)
    (tmp_path / "logs").mkdir()
    with keys.home() as home:
        to = keys.make_key(home, "Czar <czar@univx.example>", "cv25519", "open sesame")
        for number, day in enumerate(days):
            encrypted = keys.encrypt(home, [to], day)
            (tmp_path / f"logs/tracking-{number}.log.gpg").write_bytes(encrypted)
        keys.kill_agents(home)  # it holds the passphrase no longer
        words = ("filter", "logs", "--passphrase-file", "pass", "-o", "out.jsonl")
        done = run(*words, cwd=tmp_path, GNUPGHOME=str(home), XDG_RUNTIME_DIR="")
    assert done.code == 0, done.stderr
    assert (tmp_path / "out.jsonl").read_bytes() == b"".join(days)


def test_a_run_that_keeps_nothing_says_so(tmp_path: Path) -> None:
    """Without a file in memory no sample of the sources is looked at."""
    (tmp_path / "a.log").write_bytes(lines(5))
    words = ("filter", "a.log", "--event-type", "problem_chek", "-o", "out.jsonl")
    plain = run(*words, cwd=tmp_path)
    assert (plain.code, (tmp_path / "out.jsonl").read_bytes()) == (0, b"")
    assert "0 kept" in plain.stderr
