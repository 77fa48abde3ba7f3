"""Standard output takes nothing back: what goes there, and when; and what comes by a pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import commands
from commands import COMMAND, event, events, finish, pack, run, start
from edxlogs.generator import keys

_LIMIT = 64 << 20  # a source whose rows outgrow this is read twice


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose lines are more than standard output keeps before a verdict, packed."""
    line = event(1, session="x" * 3000)
    path = tmp_path_factory.mktemp("large") / "large.log.gz"
    path.write_bytes(pack(line * (_LIMIT // len(line) + 2000)))
    return path


def _lines_of(large: Path) -> int:
    return _LIMIT // len(event(1, session="x" * 3000)) + 2000


@pytest.mark.parametrize("shell", ["{} | head -1", "{} | true", "{} | head -c 1000000 | tail -c1"])
def test_a_closed_pipe_ends_quietly(large: Path, shell: str) -> None:
    words = " ".join(f"'{word}'" for word in COMMAND)
    for options in ("", "--unverified", "--format csv"):
        command = shell.format(f"{words} filter {large.name} {options}")
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=large.parent,
            capture_output=True,
            timeout=commands.SECONDS,
        )
        assert (done.returncode, done.stderr) == (0, b""), options


def test_no_row_before_the_verdict(tmp_path: Path) -> None:
    damaged = bytearray(pack(commands.incompressible(2000)))
    damaged[-8] ^= 1
    (tmp_path / "a.log").write_bytes(damaged)
    done = run("filter", "a.log", cwd=tmp_path)
    assert (done.code, done.stdout) == (1, b"")


def test_unverified_rows_go_out_before_the_verdict(tmp_path: Path) -> None:
    lines = commands.incompressible(2000)
    damaged = bytearray(pack(lines))
    damaged[-8] ^= 1
    (tmp_path / "a.log").write_bytes(damaged)
    done = run("filter", "a.log", "--unverified", "--report", "r.json", cwd=tmp_path)
    assert (done.code, done.stdout) == (1, lines)
    (told,) = done.told
    assert "wrong checksum" in told


def test_rows_of_a_source_go_out_as_soon_as_it_is_verified(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(event(1))
    os.mkfifo(tmp_path / "slow.log")
    process = start("filter", "a.log", "slow.log", cwd=tmp_path)
    writer = os.open(tmp_path / "slow.log", os.O_WRONLY)
    assert process.stdout is not None
    assert os.read(process.stdout.fileno(), 1 << 16) == event(1)
    os.write(writer, event(2))
    os.close(writer)
    done = finish(process)
    assert (done.code, done.stdout) == (0, event(2))


def test_a_source_that_outgrows_memory_is_read_twice(large: Path, tmp_path: Path) -> None:
    done = run("filter", large, "--report", "r.json", cwd=tmp_path)
    assert done.code == 0
    assert done.stdout.count(b"\n") == _lines_of(large)
    document = commands.report(tmp_path / "r.json")
    assert document["rows_written"] == _lines_of(large), "and counted once"


def test_a_damaged_source_that_outgrows_memory_gives_nothing(large: Path, tmp_path: Path) -> None:
    data = bytearray(large.read_bytes())
    data[-8] ^= 1
    (tmp_path / "a.log.gz").write_bytes(data)
    done = run("filter", "a.log.gz", cwd=tmp_path)
    assert (done.code, done.stdout) == (1, b"")
    assert "wrong checksum" in done.told[0]


def test_a_pipe_that_outgrows_memory_needs_unverified(large: Path, tmp_path: Path) -> None:
    data = large.read_bytes()
    done = run("filter", "-", "--report", "r.json", cwd=tmp_path, stdin=data)
    assert (done.code, done.stdout) == (1, b"")
    (told,) = done.told
    assert "cannot be read twice" in told
    assert "add --unverified" in told
    assert commands.report(tmp_path / "r.json")["rows_written"] == 0
    done = run("filter", "-", "--unverified", cwd=tmp_path, stdin=data)
    assert done.code == 0
    assert done.stdout.count(b"\n") == _lines_of(large)
    done = run("filter", "-", "-o", "out.jsonl.gz", cwd=tmp_path, stdin=data)
    assert done.code == 0, "a file can take rows back"


@pytest.mark.parametrize("wrapping", ["plain", "gzip", "openpgp", "armour"])
def test_standard_input(tmp_path: Path, ring: Path, wrapping: str) -> None:
    data = events(5000)
    if wrapping == "gzip":
        data = pack(data)
    elif wrapping != "plain":
        if keys.missing():
            pytest.skip(str(keys.missing()))
        armour = ["--armor"] if wrapping == "armour" else []
        data = keys.encrypt(ring, ["czar@univx.example"], pack(data), *armour)
    done = run("filter", "-", "--gnupg-home", str(ring), cwd=tmp_path, stdin=data)
    assert (done.code, done.stdout) == (0, events(5000))
    (tmp_path / "file").write_bytes(data)
    with (tmp_path / "file").open("rb") as stdin:
        done = finish(start("filter", "-", "--gnupg-home", str(ring), cwd=tmp_path, stdin=stdin))
    assert (done.code, done.stdout) == (0, events(5000)), "a file as standard input"


def test_standard_input_damaged(tmp_path: Path, ring: Path) -> None:
    assert run("filter", "-", cwd=tmp_path, stdin=pack(events(5000))[:-1]).stdout == b""
    if keys.missing():
        pytest.skip(str(keys.missing()))
    message = keys.encrypt(ring, ["czar@univx.example"], commands.incompressible(500))
    for damaged in (message[:-1], message[:-100], message[:5000]):
        done = run("filter", "-", "--gnupg-home", str(ring), cwd=tmp_path, stdin=damaged)
        assert (done.code, done.stdout) == (1, b"")


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if keys.missing():
        yield tmp_path_factory.mktemp("ring")
        return
    with keys.home() as path:
        keys.make_key(path, "czar@univx.example", "cv25519")
        yield path


@pytest.mark.parametrize(("number", "told"), [(0, "standard input: it is closed"), (1, "closed")])
def test_closed_standard_streams(tmp_path: Path, number: int, told: str) -> None:
    (tmp_path / "a.log").write_bytes(event())
    source = "-" if number == 0 else "a.log"
    done = finish(
        start("filter", source, cwd=tmp_path, stdin=None, preexec_fn=lambda: os.close(number))
    )
    assert (done.code, done.stdout) == (1, b"")
    assert told in done.told[0]


def test_closed_standard_error(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(event())
    (tmp_path / "b.log").write_bytes(pack(event())[:-1])
    done = finish(start("filter", "a.log", "b.log", cwd=tmp_path, preexec_fn=lambda: os.close(2)))
    assert (done.code, done.stdout) == (1, event()), "and no message among the rows"


def test_standard_output_is_rows_alone(tmp_path: Path) -> None:
    """Whatever is told goes to standard error, and a document that cannot is refused."""
    (tmp_path / "a.log").write_bytes(event() + b"no event\n")
    for options in ([], ["-q"]):
        assert run("filter", "a.log", *options, cwd=tmp_path).stdout == event()
    for options in (["--json"], ["-o", "-", "--json"]):
        done = run("filter", "a.log", *options, cwd=tmp_path)
        assert (done.code, done.stdout) == (2, b"")
        assert "--json and the rows would both go to standard output" in done.told[0]


@pytest.mark.parametrize("wrapping", ["gzip", "openpgp", "armour"])
def test_a_file_on_standard_input_is_read_twice(
    large: Path, tmp_path: Path, ring: Path, wrapping: str
) -> None:
    """From where it stands, as often as need be: it is no pipe."""
    data = large.read_bytes()
    if wrapping != "gzip":
        if keys.missing():
            pytest.skip(str(keys.missing()))
        armour = ["--armor"] if wrapping == "armour" else []
        data = keys.encrypt(ring, ["czar@univx.example"], data, *armour)
    (tmp_path / "a.log").write_bytes(b"before\n" + data)
    with (tmp_path / "a.log").open("rb") as file:
        os.lseek(file.fileno(), len(b"before\n"), os.SEEK_SET)
        command = ("filter", "-", "--gnupg-home", str(ring), "--report", "r.json")
        done = finish(start(*command, cwd=tmp_path, stdin=file))
    assert done.code == 0, done.stderr
    assert done.stdout.count(b"\n") == _lines_of(large)
    assert commands.report(tmp_path / "r.json")["rows_written"] == _lines_of(large)


def test_a_pipe_that_breaks_within_is_no_end_of_reading(tmp_path: Path) -> None:
    """Only who reads what the command says may end it quietly."""
    program = (
        "import sys\nfrom edxlogs import cli\nimport edxlogs.jobs.looks.doctor as doctor\n"
        "def broken(*_, **__): raise BrokenPipeError(32, 'Broken pipe')\n"
        "doctor.doctor = broken\nsys.exit(cli.execute(['doctor']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=commands.SECONDS
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"edxlogs: internal error: ")
    assert done.stderr.count(b"\n") == 1
