"""What a person meets: help whose examples run, the version, progress, --json, --quiet."""

from __future__ import annotations

import importlib.metadata
import json
import os
import pty
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import commands
import make_logs
import make_package
from commands import COMMAND, event, events, finish, hidden, pack, run, start
from edxlogs.cli import _COMMANDS
from edxlogs.edx.layout import EVENTS_BUCKET, PACKAGES_BUCKET
from edxlogs.generator import exporter, keys
from s3_server import Server


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the examples of the help have it."""
    folder = tmp_path_factory.mktemp("examples")
    arguments = ["--days", "1", "--megabytes", "1", "--jobs", "1"]
    assert make_logs.main([str(folder / "logs"), *arguments]) == 0
    for path in list((folder / "logs").iterdir()):
        # What a source is, its bytes tell: the examples need no key.
        shutil.copy(path, path.with_name(f"{path.name}.gpg"))
    shutil.copy(next((folder / "logs").glob("*.gz")), folder / "tracking.log.gz")
    (folder / "tracking.log").write_bytes(events(5))
    return folder


def _examples(command: str) -> list[str]:
    done = subprocess.run([*COMMAND, command, "--help"], capture_output=True, check=True)
    _, examples = done.stdout.decode().split("Examples:\n")
    return [line.strip() for line in examples.splitlines() if line.strip()]


@pytest.fixture
def examples(logs: Path, s3_server: Server, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of the examples: buckets, profiles, and a key for a sample."""
    content = (logs / "tracking.log.gz").read_bytes()
    objects = {
        f"universityx/{site}/events/2014/universityx-{site}-events-2014-10-01.log.gz.gpg": content
        for site in ("prod", "edge")
    }
    objects["universityx/rdx/1/universityx_CS101_2014.tar.gz.gpg"] = b"a package"
    s3_server.bucket(EVENTS_BUCKET, objects)
    s3_server.bucket(PACKAGES_BUCKET, {"universityx-2014-10-05.zip": b"a zip"})
    packages, sample = logs / "packages", "universityx-prod-events-2014-10-01.log.gz.gpg"
    packages.mkdir()
    (packages / sample).write_bytes(content)
    keys_ = "aws_access_key_id = testing\naws_secret_access_key = secret-of-the-test\n"
    (tmp_path / "config").write_text(f"[profile edx]\n{keys_}")
    with keys.home() as home:
        recipient = keys.make_key(home, "czar@universityx.example", "cv25519")
        (logs / sample).write_bytes(keys.encrypt(home, [recipient], events(1)))
        yield {
            **s3_server.environment,
            "AWS_CONFIG_FILE": str(tmp_path / "config"),
            "GNUPGHOME": str(home),
        }
    (logs / sample).unlink()
    shutil.rmtree(packages)


@pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))
@pytest.mark.parametrize("command", ["check", "doctor", "filter", "list", "sync"])
def test_the_examples_of_the_help_run(logs: Path, examples: dict[str, str], command: str) -> None:
    lines = _examples(command)
    assert len(lines) >= 3
    if command == "check":
        words = ("tracking.log", "-o", "events", "--partition-by", "course_id,date")
        assert run("filter", *words, "-q", cwd=logs).code == 0
    binaries = logs / "bin"
    binaries.mkdir(exist_ok=True)
    wrapper = binaries / "edxlogs"
    wrapper.write_text("#!/bin/sh\nexec " + " ".join(f"'{w}'" for w in COMMAND) + ' "$@"\n')
    wrapper.chmod(0o700)
    if shutil.which("jq") is None:
        (binaries / "jq").write_text("#!/bin/sh\nexec cat\n")
        (binaries / "jq").chmod(0o700)
    path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    for line in lines:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=logs,
            capture_output=True,
            timeout=commands.SECONDS,
            env={**os.environ, **examples, "PATH": path},
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        for name in re.findall(r"(?:-o|--report|--rejects) (\S+)", line):
            if "--partition-by" in line:
                assert (logs / name / "_edxlogs").is_dir(), line
                shutil.rmtree(logs / name)
                continue
            assert (logs / name).is_file(), line
            (logs / name).unlink()


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["-h"], ["check", "-h"], ["db", "list", "-h"], ["db", "convert", "-h"]]
    + [[command, "--help"] for command in _COMMANDS],
)
def test_help(tmp_path: Path, arguments: list[str]) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith(b"Usage: edxlogs")
    assert all(len(line) <= 100 for line in done.stdout.decode().splitlines())


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict"])
def test_where_a_terminal_lacks_characters(tmp_path: Path, encoding: str) -> None:
    done = run("filter", "--help", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert (done.code, done.stderr) == (0, "")
    assert b"Usage: edxlogs" in done.stdout
    (tmp_path / "\u5b66.log").write_bytes(event(1))
    done = run("check", "\u5b66.log", "\u751f.log", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert done.code == 2
    assert len(done.told) == 1
    assert ".log: no such file" in done.told[0]


def test_version(tmp_path: Path) -> None:
    done = run("--version", cwd=tmp_path)
    assert (done.code, done.stderr) == (0, "")
    name, version = done.stdout.decode().split()
    assert name == "edxlogs"
    try:
        assert version == importlib.metadata.version("edxlogs")
    except importlib.metadata.PackageNotFoundError:
        assert re.fullmatch(r"\d+\.\d+\.\d+\S*", version)


def test_json(tmp_path: Path) -> None:
    """One document on standard output, the same as the report, and nothing else."""
    (tmp_path / "a.log").write_bytes(event() + b"no event\n")
    words = ("-o", "out.jsonl", "--json", "--report", "r.json")
    done = run("filter", "a.log", *words, cwd=tmp_path)
    assert (done.code, done.stderr) == (0, "")
    assert json.loads(done.stdout) == commands.report(tmp_path / "r.json")
    done = run("check", "a.log", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["total"]["rejected"] == 1


def test_every_command_writes_json_to_standard_output(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(event())
    contents = make_package.members(make_package.COURSES[:1], count=2)
    exporter.write(tmp_path / "universityx-2014-10-05.zip", contents)
    job = 'sources = ["a.log"]\n[[dataset]]\noutput = "of-job"\npartition_by = "date"\n'
    (tmp_path / "job.toml").write_text(job)
    dataset = ["a.log", "-o", "out", "--partition-by", "date"]
    for words, key in (
        (["filter", *dataset], "rows_written"),
        (["check", "a.log"], "total"),
        (["list", "."], "packages"),
        (["db", "list", "universityx-2014-10-05.zip"], "packages"),
        (["db", "convert", "universityx-2014-10-05.zip", "-o", "tables"], "tables"),
        (["run", "job.toml"], "datasets"),
        (["runs", "out"], "runs"),
        (["merge", "out", "-o", "joined"], "rows_written"),
        (["compact", "joined"], "joined"),
        (["doctor"], "checks"),
    ):
        done = run(*words, "--json", cwd=tmp_path)
        document = json.loads(done.stdout)
        assert document["schema_version"] == 1, words
        assert key in document, words
        assert done.stderr == "", words


def test_quiet(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(event() + b"no event\n")
    done = run("filter", "a.log", "-q", cwd=tmp_path)
    assert (done.code, done.stdout, done.stderr) == (0, event(), "")
    (tmp_path / "b.log").write_bytes(pack(event())[:-1])
    done = run("filter", "a.log", "b.log", "-q", cwd=tmp_path)
    assert (done.code, done.stdout) == (1, event())
    assert done.stderr.splitlines() == done.told
    assert len(done.told) == 1


def _on_a_terminal(folder: Path, *options: str) -> str:
    """Standard error of a run that lasts a second, on a terminal of its own."""
    os.mkfifo(folder / "slow.log")
    (folder / "a.log").write_bytes(events(100))
    ours, theirs = pty.openpty()
    process = start(
        "filter", "a.log", "slow.log", "-o", "out.csv", *options, cwd=folder, stderr=theirs
    )
    os.close(theirs)
    writer = os.open(folder / "slow.log", os.O_WRONLY)
    time.sleep(1)
    os.close(writer)
    process.wait(commands.SECONDS)
    shown = b""
    try:
        while more := os.read(ours, 1 << 16):
            shown += more
    except OSError:
        pass  # the other end of a terminal is gone
    os.close(ours)
    assert finish(process).code == 0
    assert hidden(folder) == []
    return shown.decode()


def test_progress_on_a_terminal(tmp_path: Path) -> None:
    shown = _on_a_terminal(tmp_path)
    assert "of 2" in shown
    assert "\x1b[" in shown
    assert "100 rows to out.csv" in shown


@pytest.mark.parametrize("option", ["-q", "--json"])
def test_no_progress_where_it_is_not_wanted(tmp_path: Path, option: str) -> None:
    shown = _on_a_terminal(tmp_path, option)
    assert "of 2" not in shown
    assert "\x1b" not in shown


def test_no_progress_without_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(events(100_000))
    done = run("filter", "a.log", "-o", "out.csv", cwd=tmp_path, FORCE_COLOR="1", TERM="xterm")
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr


def test_a_current_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_bytes(events(1))
    (tmp_path / "gone").mkdir()
    words = " ".join(f"'{word}'" for word in (*COMMAND, "summary", str(tmp_path / "logs")))
    done = subprocess.run(
        ["sh", "-c", f"cd gone && rmdir ../gone && exec {words}"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 1
    last = done.stderr.decode().splitlines()[-1]
    assert last == "edxlogs: current folder: No such file or directory"
