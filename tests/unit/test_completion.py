"""cli/completion.py, as a bash uses it; and help in groups, which fits on a page."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from commands import COMMAND, events, run
from edxlogs.cli import cli
from edxlogs.cli.help import GROUPS, Grouped

BASH = shutil.which("bash")
needs_bash = pytest.mark.skipif(BASH is None, reason="there is no bash")
COURSE = "course-v1:UnivX+CS101+2014"
# The function is called as readline calls it; compopt works only there.
ASK = """
compopt() { printf 'compopt %s\\n' "$*"; }
while IFS= read -r COMP_LINE; do
    COMP_POINT=${#COMP_LINE}
    _edxlogs_completion edxlogs
    (( ${#COMPREPLY[@]} )) && printf '%s\\n' "${COMPREPLY[@]}"
    echo end
done
"""


def _shell(folder: Path, script: str, stdin: str = "", **environment: str) -> str:
    """What bash writes, which finds the command under test as `edxlogs`."""
    assert BASH is not None
    path = folder / "bin/edxlogs"
    if not path.exists():
        path.parent.mkdir()
        words = " ".join(f"'{word}'" for word in COMMAND)
        path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        path.chmod(0o755)
    known = {"PATH": f"{path.parent}:{os.environ['PATH']}", "HOME": str(folder)}
    done = subprocess.run(
        [BASH, "--norc", "-c", script],
        cwd=folder,
        env={**os.environ, **known, **environment},
        input=stdin,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def _asked(folder: Path, *lines: str, start: str = "<(edxlogs completion bash)") -> list[list[str]]:
    """What each line may go on with."""
    told = _shell(folder, f"source {start}\n{ASK}", "".join(f"{line}\n" for line in lines))
    return [answer.splitlines() for answer in told.split("end\n")[:-1]]


WANTED = {
    "edxlogs fi": ["filter"],
    "edxlogs help ch": ["check"],
    "edxlogs db conv": ["convert"],
    "edxlogs filter --exclude-c": ["--exclude-course", "--exclude-category"],
    "edxlogs filter --category vi": ["video", "video_preroll"],
    "edxlogs filter --category=video_": ["video_preroll"],
    "edxlogs filter --event-type edx.video.com": ["edx.video.completed"],
    "edxlogs filter --columns time,usern": ["time,username"],
    "edxlogs filter --partition-by course_id,da": ["course_id,date"],
    "edxlogs filter --format jsonl.": ["jsonl.gz", "jsonl.zst"],
    "edxlogs filter --site ": ["edge", "prod"],
    "edxlogs db convert --table auth_userp": ["auth_userprofile"],
    "edxlogs db convert --table forum,auth_userp": ["forum,auth_userprofile"],
    "edxlogs derive --table sess": ["sessions"],
    "edxlogs derive --table sessions,person_pr": ["sessions,person_problem"],
    "edxlogs filter lo": ["compopt -o default"],
    "edxlogs filter logs/ -o e": ["compopt -o default"],
    "edxlogs filter --report=a": ["compopt -o default"],
    "edxlogs check 'my lo": ["compopt -o default"],
    "edxlogs sync --partner x ": ["compopt -o default"],
    "edxlogs db list ": ["compopt -o default"],
    "edxlogs cat ": ["compopt -o default"],
    "edxlogs filter --where ": [],
    "edxlogs filter --course ": [],
}


@needs_bash
def test_what_bash_completes(tmp_path: Path) -> None:
    assert dict(zip(WANTED, _asked(tmp_path, *WANTED), strict=True)) == WANTED


@needs_bash
def test_courses_of_the_dataset_on_the_line(tmp_path: Path) -> None:
    (tmp_path / "in.log").write_bytes(events(3))
    done = run("filter", "in.log", "-o", "out", "--partition-by", "course_id", cwd=tmp_path)
    assert done.code == 0, done.stderr
    # What stands before a colon is a word of its own to readline, unless a quote is open.
    wanted = {
        "edxlogs cat out --course cou": [COURSE],
        "edxlogs filter in.log -o out --course ": [COURSE],
        "edxlogs filter in.log --output=out --course ": [COURSE],
        "edxlogs cat out --course course-v1:Un": ["UnivX+CS101+2014"],
        "edxlogs cat out --course 'course-v1:Un": [COURSE],
        "edxlogs cat in.log --course c": [],
    }
    assert dict(zip(wanted, _asked(tmp_path, *wanted), strict=True)) == wanted


@needs_bash
def test_it_is_installed_once(tmp_path: Path) -> None:
    start = tmp_path / ".bashrc"
    start.write_text("alias ll='ls -l'")
    script = tmp_path / ".local/share/edxlogs/completion.bash"
    for _ in range(2):
        _shell(tmp_path, "edxlogs completion --install 2>/dev/null", SHELL="/bin/bash")
        assert start.read_text() == f"alias ll='ls -l'\nsource {script}\n"
    asked = _asked(tmp_path, "edxlogs comp", start="~/.bashrc")
    assert asked == [["compact", "completion"]]


@pytest.mark.parametrize(
    ("shell", "start", "script"),
    [
        ("zsh", ".zshrc", ".local/share/edxlogs/completion.zsh"),
        ("fish", None, ".config/fish/completions/edxlogs.fish"),
    ],
)
def test_other_shells_find_it(tmp_path: Path, shell: str, start: str | None, script: str) -> None:
    done = run("completion", shell, "--install", cwd=tmp_path, HOME=str(tmp_path))
    assert done.code == 0, done.stderr
    assert f"{shell}_complete" in (tmp_path / script).read_text()
    if start is not None:
        assert (tmp_path / start).read_text() == f"source {tmp_path / script}\n"


@pytest.mark.parametrize(("login", "named"), [("/bin/tcsh", "tcsh"), ("", "no shell")])
def test_a_shell_that_is_not_known_is_named(tmp_path: Path, login: str, named: str) -> None:
    done = run("completion", cwd=tmp_path, SHELL=login)
    assert (done.code, done.stdout) == (2, b"")
    assert done.stderr == f"edxlogs: completion: {named}: name bash, zsh or fish\n"


def _commands(group: click.Group, ctx: click.Context) -> list[click.Command]:
    found = []
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        found += _commands(command, ctx) if isinstance(command, click.Group) else [command]
    return found


def test_every_option_stands_under_one_heading() -> None:
    known = [name for names in GROUPS.values() for name in names]
    assert len(known) == len(set(known))
    seen = set()
    for command in _commands(cli, click.Context(cli)):
        if isinstance(command, Grouped):
            shown = [one for one in command.params if isinstance(one, click.Option)]
            options = {one.name for one in shown if not one.hidden}
            seen |= {name for name in options if name and not name.startswith("exclude_")}
        else:
            assert len(command.params) <= 12
    assert seen == set(known)


def test_help_is_short_and_as_wide_as_the_terminal(tmp_path: Path) -> None:
    def told(*words: str, columns: str = "80") -> str:
        return run(*words, cwd=tmp_path, COLUMNS=columns).stdout.decode()

    narrow, wide = told("filter", "--help"), told("filter", "--help", columns="200")
    assert len(narrow.splitlines()) <= 100
    assert all(len(line) <= 80 for line in narrow.split("Examples:")[0].splitlines())
    assert len(wide.splitlines()) < 85
    assert max(map(len, wide.splitlines())) > 120
    assert told("help", "filter") == narrow
    assert told("help", "db", "convert") == told("db", "convert", "--help")
    assert told("help") == told("--help")
