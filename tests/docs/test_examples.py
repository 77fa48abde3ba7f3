"""Every example of the README and the docs runs, on logs that are made here."""

from __future__ import annotations

import datetime
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest

import make_package
from edxlogs.edx.layout import EVENTS_BUCKET, PACKAGES_BUCKET
from edxlogs.generator import exporter, keys
from make_logs import Job, write
from s3_server import Server

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "docs/reference/tables"  # test_event_tables.py runs what is shown there
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent != TABLES),
]
# Commands that change the machine: what they do is tested elsewhere, or is not ours.
NOT_RUN = {"make", "pip", "pipx", "uvx", "sudo", "docker", "gpg", "python3", "."}
PACKAGE = "universityx-2014-10-05.zip"
LATER_PACKAGE = "universityx-2014-10-12.zip"
# Many steps over everything: their parts are tested elsewhere, too.
LONG = {"docs/how-to/course-team.md", "docs/how-to/nightly.md", "docs/how-to/moving.md"}
# What these show is what comes out, up to an ellipsis, but for sizes, times and keys.
COMPARED = {
    "docs/tutorial/index.md",
    "docs/explanation/counting.md",
    "docs/how-to/analysis.md",
    "docs/how-to/cluster.md",
    "docs/how-to/engines.md",
    "docs/how-to/researcher.md",
    "docs/how-to/small-machine.md",
    "docs/how-to/trouble.md",
    "docs/how-to/tutor.md",
    "docs/reference/db.md",
    "docs/reference/filter.md",
    "docs/reference/lines.md",
    "docs/reference/tables.md",
}
_VARYING = re.compile(r"[\d.,]+ [kM]?B\b|[\d.]+ s\b|\b[0-9A-F]{16}\b")
_FILE = re.compile(r"# ([\w-]+\.(?:toml|py))\n")
_TABLE = re.compile(r"-- table: (\w+)\n")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in _BLOCK.findall(page.read_text()) if kind == language]


def files(page: Path) -> dict[str, str]:
    """Files that a page shows: blocks whose first line is a comment with a name."""
    shown = [*blocks(page, "toml"), *blocks(page, "python")]
    named = {match[1]: block for block in shown if (match := _FILE.match(block))}
    tables = ((_TABLE.match(block), block) for block in blocks(page, "sql"))
    return {**named, **{f"sql/{match[1]}.sql": block for match, block in tables if match}}


def queries(page: Path) -> list[str]:
    """The queries of a page, which read what its commands have written."""
    return [block for block in blocks(page, "sql") if not _TABLE.match(block)]


def beginnings(page: Path) -> list[str]:
    """The lines that a page shows, each up to its ellipsis."""
    lines = (line for block in blocks(page, "text") for line in block.splitlines())
    return [beginning for line in lines if (beginning := line.partition("…")[0].rstrip())]


def commands(block: str) -> list[tuple[str, int]]:
    """The commands of a block with their exit status, which `[1]` on the next line tells."""
    found: list[tuple[str, int]] = []
    for line in block.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            found.append((line[2:], 0))
        else:
            status = re.fullmatch(r"\[(\d+)\]", line)
            assert status is not None, f"an example shows output that no test compares: {line!r}"
            found[-1] = (found[-1][0], int(status[1]))
    return found


CONSOLE = {
    str(page.relative_to(ROOT)): examples
    for page in PAGES
    if (examples := [one for block in blocks(page, "console") for one in commands(block)])
}
SPARK = "pyspark"  # takes long to start, and has warnings of its own
PYTHON = [
    pytest.param(
        text,
        id=f"{page.relative_to(ROOT)}-{number}",
        marks=[pytest.mark.slow] if SPARK in text else [],
    )
    for page in PAGES
    for number, text in enumerate(blocks(page, "python"))
    if not _FILE.match(text)
]


class Template(NamedTuple):
    folder: Path
    home: Path


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """A folder with all that the examples name; encrypted where there is a gpg."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "logs").mkdir()
    (folder / "courses.txt").write_text("course-v1:UniversityX+CS101+2014_T1\n")
    (folder / "staff.txt").write_text("staff\n")
    day = datetime.date(2014, 10, 1)
    exporter.write(folder / PACKAGE, make_package.members(count=5, odd=True))
    exporter.write(folder / LATER_PACKAGE, make_package.members(count=4))
    tracking = folder / "tracking.log"
    write(Job(tracking, 7, day, "prod", 1.0, 0.01, 0))
    packed = write(Job(folder / "tracking.log.gz", 8, day, "prod", 1.0, 0.0, 6)).path
    (folder / "cut.log.gz").write_bytes(packed.read_bytes()[:-1000])
    with keys.home() as home:
        name = "Data Czar <czar@universityx.example>"
        recipient = None if keys.missing() else keys.make_key(home, name)
        research = make_package.research(make_package.COURSES[0])
        if recipient is not None:
            research = keys.encrypt(home, [recipient], research)
        (folder / "universityx_CS101_2014_T1.tar.gz.gpg").write_bytes(research)
        for site in ("prod", "edge"):
            for later in range(2):
                date = day + datetime.timedelta(days=later)
                path = folder / "logs" / f"universityx-{site}-events-{date}.log.gz"
                write(Job(path, 7, date, site, 1.0, 0.005, 6))
                if recipient is not None:
                    keys.encrypt_file(home, [recipient], path, path.with_suffix(".gz.gpg"))
                    path.unlink()
        yield Template(folder, home)


class Run(Protocol):
    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def buckets(s3_server: Server, template: Template) -> Server:
    """The server that the examples read from and write to, and profiles for it."""
    s3_server.bucket("my-results")
    objects = {}
    for path in (template.folder / "logs").iterdir():
        site = "edge" if "-edge-" in path.name else "edx"
        objects[f"universityx/{site}/events/2014/{path.name}"] = path.read_bytes()
    s3_server.bucket(EVENTS_BUCKET, objects)
    s3_server.bucket(PACKAGES_BUCKET, {PACKAGE: (template.folder / PACKAGE).read_bytes()})
    return s3_server


@pytest.fixture
def folder(template: Template) -> Iterator[Path]:
    """A copy of the template's folder, at a short path: below it may be the sockets of an agent."""
    with keys.home() as place:
        yield Path(shutil.copytree(template.folder, place / "work"))


@pytest.fixture
def run(template: Template, buckets: Server, folder: Path, tmp_path: Path) -> Run:
    """Runs a command in the copy, with an `edxlogs` that is run by this Python."""
    command = tmp_path / "bin" / "edxlogs"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom edxlogs.__main__ import main\nmain()\n")
    python = command.with_name("python")
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -W error "$@"\n')
    for one in (command, python):
        one.chmod(0o755)
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {
        **os.environ,
        **buckets.environment,
        "PATH": path,
        "SHELL": "/bin/bash",  # cron and some build servers set none
        "GNUPGHOME": str(template.home),
        "HOME": str(tmp_path),  # where DuckDB puts extensions
        "PYSPARK_PYTHON": sys.executable,
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }
    keys = "aws_access_key_id = testing\naws_secret_access_key = secret-of-the-test\n"
    profiles = "".join(f"[{name}]\n{keys}" for name in ("czar", "weekly"))
    (tmp_path / "credentials").write_text(profiles)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, timeout=60
        )

    return run


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] if page in LONG else []) for page in CONSOLE],
)
def test_command_of_a_page_runs(page: str, run: Run, folder: Path) -> None:
    for name, text in files(ROOT / page).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    before, outputs = "set -o pipefail", ""
    for command, status in CONSOLE[page]:
        if command.split()[0] in NOT_RUN:
            continue
        if command.startswith("export "):
            before = f"{before}; {command}"
            continue
        done = run("bash", "-c", f"{before}; {command}")
        # A reader that has enough, like head, ends the command with status 1 or by a signal.
        assert done.returncode == status or "| head" in command, f"{command}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        outputs += done.stdout + done.stderr
        for output in re.findall(r"(?:-o|>|--rejects|--report) ([\w.-]+)(?!\S)", command):
            assert (folder / output).stat().st_size > 0, command
            if output.endswith(".csv"):
                outputs += (folder / output).read_text()
    for query in queries(ROOT / page):
        asked = "import duckdb, sys; print(duckdb.sql(sys.argv[1]))"
        assert run(sys.executable, "-c", asked, query).returncode == 0, query
    if page in COMPARED:
        outputs = _VARYING.sub("#", outputs)
        lacking = [one for one in beginnings(ROOT / page) if _VARYING.sub("#", one) not in outputs]
        assert not lacking, "\n".join([*lacking, "", outputs])


def test_there_are_commands_of_edxlogs() -> None:
    run = [one for page in CONSOLE.values() for one, _ in page if one.split()[0] not in NOT_RUN]
    assert len(run) >= 10
    known = re.compile(r"(?:[A-Z_]+=\S+ )?edxlogs |export [A-Z_]+=|python \w+\.py$")
    assert all(known.match(command) for command in run)


@pytest.mark.parametrize("text", PYTHON)
def test_python_of_a_page_runs(text: str, run: Run) -> None:
    for module in re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    if SPARK in text and shutil.which("java") is None:
        pytest.skip("java is not installed")
    done = run(sys.executable, "-W", "default" if SPARK in text else "error", "-c", text)
    assert done.returncode == 0, done.stderr
