"""Tables, single files and mirrors, killed at each step on the disk: gone on, nothing half."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import datasets
import make_package
from commands import hidden, report
from datasets import Step, lose_power
from edxlogs.edx.layout import EVENTS_BUCKET
from edxlogs.edx.tables import tables
from edxlogs.generator import exporter
from s3_server import Server
from small_logs import real_shaped
from syncing import delivered, left, objects

COURSE = make_package.COURSES[0]
Words = list[str | Path]


def _in_folder(cwd: Path, name: str) -> dict[str, bytes]:
    out = cwd / name
    paths = (path for path in sorted(out.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in paths
        if not path.relative_to(out).parts[0].startswith((".", "_"))
    }


def _killed(
    tmp_path: Path,
    words: Words,
    state: Callable[[Path], Any],
    at_steps: Callable[[list[Step]], list[int]],
    environment: dict[str, str] | None = None,
) -> None:
    """Kill a run at some of its steps, with power or without: the next one ends as it would."""
    whole = tmp_path / "whole"
    whole.mkdir()
    code, steps = datasets.run(*words, cwd=whole, environment=environment)
    assert code == 0
    wanted = state(whole)
    for number, at in enumerate(at_steps(steps)):
        cwd = tmp_path / str(at)
        cwd.mkdir()
        done = datasets.run(*words, cwd=cwd, kill_at=at, environment=environment)[1]
        if number % 2:
            lose_power(done)
        code, _ = datasets.run(*words, cwd=cwd, environment=environment)
        assert code == 0, (at, steps[at])
        assert state(cwd) == wanted, (at, steps[at])


def _each_kind(steps: list[Step]) -> list[int]:
    """The first and the last step of each name in each kind of place."""
    places: dict[tuple[str, str], list[int]] = {}
    for at, step in enumerate(steps):
        places.setdefault((step.name, step.paths[-1].suffix), []).append(at)
    return sorted({at for found in places.values() for at in (found[0], found[-1])})


def _every(steps: list[Step]) -> list[int]:
    return list(range(len(steps)))


HOW = [_each_kind, pytest.param(_every, marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    module = tables()["courseware_studentmodule"]
    rows = make_package.rows(module, COURSE, 300, 7)
    name = exporter.file_name(module, COURSE, "prod")
    few = [one for one in make_package.members([COURSE], count=5) if one[0] != name]
    contents = [(name, exporter.tab_lines(module, rows)), *few[:6]]
    folder = tmp_path_factory.mktemp("package")
    return exporter.write(folder / "universityx-2014-10-05.zip", contents)


@pytest.mark.parametrize("how", HOW)
def test_tables(tmp_path: Path, package: Path, how: Callable[[list[Step]], list[int]]) -> None:
    def state(cwd: Path) -> Any:
        assert hidden(cwd / "out") == []
        return _in_folder(cwd, "out")

    _killed(tmp_path, ["db", "convert", package, "-o", "out", "-q", "--threads", "1"], state, how)


@pytest.mark.parametrize("how", HOW)
def test_a_dataset_that_hosts_read(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    how: Callable[[list[Step]], list[int]],
) -> None:
    """Hosts and command die together, at each step of either: the next command goes on."""
    logs = tmp_path_factory.mktemp("logs")
    real_shaped(logs, days=18, megabytes=0.02)

    def state(cwd: Path) -> Any:
        for attempt in (cwd / "out" / "_edxlogs" / "new").iterdir():
            assert attempt.name.startswith(("task-", "try-"))
            shutil.rmtree(attempt)
        datasets.assert_whole(cwd / "out")
        told = datasets.manifest(cwd / "out")
        files = {path: (one["sha256"], one["runs"]) for path, one in told["files"].items()}
        return files, told["inputs"], (cwd / "rejects").read_bytes()

    words: Words = ["filter", logs, "-o", "out", "--partition-by", "course_id", "-q"]
    environment = {"READ_BY_HOSTS": str(Path(__file__).parents[1])}
    _killed(tmp_path, [*words, "--rejects", "rejects"], state, how, environment)


@pytest.mark.parametrize("how", HOW)
def test_a_file(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    how: Callable[[list[Step]], list[int]],
) -> None:
    logs = tmp_path_factory.mktemp("logs")
    real_shaped(logs, days=3, megabytes=0.05)

    def state(cwd: Path) -> Any:
        assert hidden(cwd) == []
        document = report(cwd / "report.json")
        del document["seconds"]
        return (cwd / "out.csv").read_bytes(), document, (cwd / "rejects").read_bytes()

    def until_it_is_there(steps: list[Step]) -> list[int]:
        # Once its files have their names and nothing tells of the run any more, it is refused.
        last = max(at for at, step in enumerate(steps) if step.name == "link")
        return [at for at in how(steps) if at <= last + 1]

    options = ("--report", "report.json", "--rejects", "rejects", "-q")
    words: Words = ["filter", logs, "-o", "out.csv", *options, "--threads", "1"]
    _killed(tmp_path, words, state, until_it_is_there)


@pytest.mark.parametrize("how", HOW)
def test_a_mirror(
    tmp_path: Path, s3_server: Server, how: Callable[[list[Step]], list[int]]
) -> None:
    everything = objects(2, 20_000)
    s3_server.bucket(EVENTS_BUCKET, everything)

    def state(cwd: Path) -> Any:
        assert left(cwd / "mirror") == []
        return delivered(cwd / "mirror") == everything

    words: Words = ["sync", f"s3://{EVENTS_BUCKET}/", "mirror", "-q"]
    _killed(tmp_path, words, state, how, s3_server.environment)
