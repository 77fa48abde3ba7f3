"""What `edxlogs demo` makes: gpg, gzip, zip and json read in it what edxlogs says is there."""

from __future__ import annotations

import csv
import gzip
import json
import os
import shlex
import shutil
import signal
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

import edxlogs
import faults
from commands import Done, finish, run, start
from edxlogs.errors import ConfigError
from edxlogs.generator import keys, package, semester

pytestmark = pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))
MAIN = "course-v1:UniversityX+CS101+2014_T1"
STRAYS = b"Oct  6 00:00:48 localhost "


@dataclass
class Made:
    """A place that was made, the words that it ended with, and all its text by plain gpg."""

    folder: Path
    done: Done

    @property
    def home(self) -> Path:
        return self.folder / "gnupg"

    @cached_property
    def logs(self) -> dict[str, bytes]:
        paths = sorted((self.folder / "logs").iterdir())
        return {
            path.name: gzip.decompress(keys.gpg(self.home, "--decrypt", str(path)))
            for path in paths
        }

    @cached_property
    def members(self) -> dict[str, bytes]:
        with zipfile.ZipFile(self.folder / "universityx-2014-10-19.zip") as archive:
            return {
                name.removesuffix(".gpg"): keys.gpg(self.home, "--decrypt", data=archive.read(name))
                for name in archive.namelist()
                if not name.endswith("/")
            }

    def events(self) -> Iterator[dict[str, Any]]:
        """All events that Python's json finds, two of a line included."""
        decoder = json.JSONDecoder()
        for text in self.logs.values():
            for line in text.decode().splitlines():
                rest = line.removeprefix(STRAYS.decode())
                while rest:
                    try:
                        event, end = decoder.raw_decode(rest)
                    except json.JSONDecodeError:
                        break
                    yield event
                    rest = rest[end:]

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of a table of all courses."""
        texts = [text for member, text in self.members.items() if f"-{name}-" in member]
        assert texts, name
        return [
            row
            for text in texts
            for row in csv.DictReader(text.decode().splitlines(), delimiter="\t", quoting=3)
        ]


@pytest.fixture(scope="module")
def made() -> Iterator[Made]:
    with keys.home() as home:
        done = run("demo", "try", cwd=home)
        assert (done.code, done.stderr) == (0, "")
        yield Made(home / "try", done)
        keys.kill_agents(home / "try" / "gnupg")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short path: below it are the sockets of an agent."""
    with keys.home() as home:
        yield home


def test_two_weeks_of_two_sites_and_nothing_else(made: Made) -> None:
    names = [
        f"universityx-{site}-events-2014-10-{day:02}.log.gz.gpg"
        for site in ("edge", "prod")
        for day in range(1, 15)
    ]
    assert sorted(made.logs) == names
    assert sorted(path.name for path in made.folder.iterdir()) == [
        "gnupg",
        "logs",
        "universityx-2014-10-19.zip",
    ]
    size = sum(path.stat().st_size for path in made.folder.rglob("*") if path.is_file())
    assert size < 50_000_000
    lines = sum(text.count(b"\n") for text in made.logs.values())
    assert f"({lines:,} lines)" in made.done.stdout.decode()


def test_what_it_says_to_try_works_as_it_stands(made: Made) -> None:
    said = made.done.stdout.decode().split("Try:\n")[1].splitlines()
    export, *commands = [line.strip() for line in said]
    assert len(commands) == 3
    (value,) = shlex.split(export.removeprefix("export GNUPGHOME="))
    done = {}
    for command in commands:
        first, *words = shlex.split(command)
        assert first == "edxlogs"
        done[words[0]] = run(*words, cwd=made.folder.parent, GNUPGHOME=value)
        assert done[words[0]].code == 0, done[words[0]].stderr

    events = list(made.events())
    assert f"{len(events):,} events" in done["summary"].stdout.decode()
    wanted = [
        event
        for event in events
        if event["context"]["course_id"] == MAIN
        and (event["event_type"], event["event_source"]) == ("problem_check", "server")
    ]
    rows = list(csv.DictReader((made.folder / "answers.csv").read_text().splitlines()))
    assert Counter(row["username"] for row in rows) == Counter(
        event["username"] for event in wanted
    )
    assert len(rows) > 300
    for table in ("auth_user", "student_courseenrollment", "courseware_studentmodule"):
        count = len(made.table(table))
        folder = made.folder / "tables" / table
        assert edxlogs.dataset(folder).count_rows() == count > 50


def test_logs_and_package_tell_of_the_same_people(made: Made) -> None:
    enrolments = made.table("student_courseenrollment")
    enrolled = {(row["course_id"], row["user_id"]) for row in enrolments}
    names = {row["id"]: row["username"] for row in made.table("auth_user")}
    seen: Counter[str] = Counter()
    for event in made.events():
        context = event["context"]
        seen[event["event_source"]] += 1
        if context["user_id"] is None:
            continue
        who = str(context["user_id"])
        assert event["username"] in ("", names[who])
        is_staff = event["username"].startswith("staff_")
        assert (context["course_id"], who) in enrolled or is_staff
    assert seen.keys() == {"browser", "server", "mobile"}
    assert len(names) > 200


def test_text_is_the_same_each_time(made: Made, tmp_path: Path) -> None:
    rolls = []
    for site in semester.SITES:
        its = semester.rolls(site)
        rolls += its
        for day, lines in semester.logs(site, its):
            name = f"universityx-{site.name}-events-{day}.log.gz.gpg"
            assert b"".join(lines) == made.logs[name]
    path = package.write(tmp_path / "plain.zip", rolls, folder="universityx-2014-10-19")
    with zipfile.ZipFile(path) as archive:
        plain = {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}
    assert plain == made.members


@pytest.mark.parametrize("what", ["notes.txt", ".hidden"])
def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, what: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / what).write_text("mine")
    done = run("demo", "full", cwd=tmp_path)
    assert (done.code, done.stdout) == (2, b"")
    told = "edxlogs: cannot make: full: the folder is not empty; name another one"
    assert done.told == [told]
    assert [path.name for path in (tmp_path / "full").iterdir()] == [what]
    with pytest.raises(ConfigError, match="it is not a folder"):
        edxlogs.demo(tmp_path / "full" / what)


def test_without_gpg_one_line_says_so(tmp_path: Path) -> None:
    done = run("demo", "try", cwd=tmp_path, PATH="/nowhere")
    assert done.code == 1
    assert done.told == [
        "edxlogs: cannot make: try: gpg is not installed; install GnuPG 2.2.8 or later"
    ]
    assert not (tmp_path / "try").exists()


def test_a_full_disk_is_told_in_a_line(place: Path) -> None:
    for at in (1, 4):  # the place itself; a file of the key ring
        words = (place / "try", "demo", "try")
        done, _ = faults.run(faults.build(), faults.FULL, at, *words, cwd=place)
        assert done.code == 1
        assert done.told == [
            "edxlogs: output: try: No space left on device; make room, or name another place, and"
            " run again"
        ]
        shutil.rmtree(place / "try", ignore_errors=True)  # such a disk lets nothing be renamed


@pytest.mark.parametrize("is_there", [False, True])
def test_where_gpg_fails_nothing_stays(place: Path, is_there: bool) -> None:
    gpg, fake = shutil.which("gpg"), place / "bin" / "gpg"
    fake.parent.mkdir()
    fake.write_text(
        f'#!/bin/sh\nfor word; do [ "$word" = --encrypt ] && n=1; done\n'
        f'[ -n "$n" ] && [ -d "{place}/try/.edxlogs/logs" ] && '
        f'{{ echo "gpg: no room" >&2; exit 2; }}\nexec {gpg} "$@"\n'
    )
    fake.chmod(0o755)
    if is_there:
        (place / "try").mkdir()
    path = f"{fake.parent}{os.pathsep}{os.environ['PATH']}"
    done = run("demo", "try", cwd=place, PATH=path)
    assert done.code == 1
    assert done.told == ["edxlogs: cannot make: try: gpg: no room"]
    assert (place / "try").exists() == is_there
    assert not is_there or not any((place / "try").iterdir())


def test_a_stop_leaves_nothing(place: Path) -> None:
    process = start("demo", "try", cwd=place)
    logs = place / "try" / ".edxlogs" / "logs"
    while not (logs.is_dir() and any(logs.iterdir())):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    done = finish(process)
    assert (done.code, done.stderr.strip()) == (130, "interrupted: nothing was published")
    assert not (place / "try").exists()


def test_what_a_killed_run_left_is_replaced(place: Path) -> None:
    process = start("demo", "try", cwd=place)
    making = place / "try" / ".edxlogs"
    while not (making / "logs").is_dir():
        assert process.poll() is None
        time.sleep(0.01)
    beside = run("demo", "try", cwd=place)  # which does not take it from one at work
    assert (beside.code, making.is_dir()) == (2, True)
    process.kill()
    finish(process)
    (place / "try" / "gnupg").mkdir()  # as if it had been killed while it moved things
    (place / "try" / "notes.txt").write_text("mine")
    assert run("demo", "try", cwd=place).code == 2
    assert making.is_dir()
    (place / "try" / "notes.txt").unlink()
    done = run("demo", "try", cwd=place)
    assert (done.code, done.stderr) == (0, "")
    names = ["gnupg", "logs", "universityx-2014-10-19.zip"]
    assert sorted(path.name for path in (place / "try").iterdir()) == names


def test_where_a_socket_has_no_place_one_line_says_so(tmp_path: Path) -> None:
    folder = tmp_path / ("a-long-name" * 10)
    folder.mkdir()
    done = run("demo", "try", cwd=folder)
    if done.code:  # some systems keep sockets elsewhere
        assert len(done.told) == 1
        assert done.told[0].endswith("name a folder with a shorter path")
    assert (folder / "try").exists() == (done.code == 0)
