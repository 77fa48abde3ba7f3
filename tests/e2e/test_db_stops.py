"""`edxlogs db convert` that is stopped, by hand or by force: nothing half-written, gone on."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import make_package
from commands import COMMAND, SECONDS, hidden, run
from edxlogs.edx.tables import tables
from edxlogs.generator import exporter

NAME = "universityx-2014-10-05.zip"
MODULE = tables()["courseware_studentmodule"]
ATTEMPTS = 5


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A large table that is soon ready, one that takes longer, and small ones."""
    first, second = make_package.COURSES[:2]
    contents: list[tuple[str, Any]] = []
    for course, megabytes in ((first, 9), (second, 150)):
        rows = make_package.rows(MODULE, course, 3000, 7)
        header, *deck = exporter.tab_lines(MODULE, rows)
        body = b"".join(deck)
        bodies = itertools.repeat(body, megabytes * 1_000_000 // len(body) + 1)
        name = exporter.file_name(MODULE, course, "prod")
        contents.append((name, itertools.chain([header], bodies)))
    large = [name for name, _ in contents]
    small = make_package.members([first], count=20)
    contents += [(name, chunks) for name, chunks in small if name not in large]
    return exporter.write(tmp_path_factory.mktemp("package") / NAME, contents)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, package: Path) -> dict[str, bytes]:
    """The files of a run that nobody stops."""
    cwd = tmp_path_factory.mktemp("whole")
    done = run("db", "convert", package, "-o", "out", "-q", cwd=cwd)
    assert done.code == 0, done.stderr
    return _files(cwd / "out")


def _files(folder: Path) -> dict[str, bytes]:
    shown = (path for path in folder.rglob("*.parquet") if "_edxlogs" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in shown}


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on(
    tmp_path: Path, package: Path, whole: dict[str, bytes], stop: signal.Signals
) -> None:
    words = [*COMMAND, "db", "convert", package, "-q", "-o"]
    for number in range(ATTEMPTS):
        out = tmp_path / f"out-{number}"
        process = subprocess.Popen(
            [str(word) for word in [*words, out]], stderr=subprocess.PIPE, text=True
        )
        head = out / "_edxlogs" / "head"
        while process.poll() is None and not head.exists():
            time.sleep(0.002)
        process.send_signal(stop)
        _, told = process.communicate(timeout=SECONDS)
        if process.returncode != 0:
            break
    else:
        pytest.skip("the runs ended before they could be stopped")
    if stop == signal.SIGKILL:
        assert process.returncode == -stop
        assert told == ""
    else:
        assert process.returncode == 130
        assert told.split("\n")[-2] == (
            "interrupted: finished work is kept; run the same command to continue"
        )
    assert _files(out) == {}
    done = run("db", "convert", package, "-o", out, "-q", "--report", "report", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert _files(out) == whole
    members = json.loads((tmp_path / "report").read_bytes())["members"]
    earlier = [one["member"] for one in members if one["earlier"]]
    assert [exporter.stem(make_package.COURSES[0]) in name for name in earlier] == [True]
    assert hidden(out) == []
