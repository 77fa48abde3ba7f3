"""A disk that fails in the middle of a run: told in one line, nothing half-written, gone on."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

import commands
import datasets
import faults
import make_package
from commands import event, events, hidden, pack, report
from datasets import assert_whole
from edxlogs.generator import exporter
from faults import BROKEN, DENIED, FULL, NO_LOCKS, NO_RENAMES, UNREADABLE, Fault

OPTIONS = ("--report", "report.json", "--rejects", "rejects", "-q")
OUTPUTS = {
    "dataset": ("-o", "out", "--partition-by", "course_id", "--dedupe"),
    "file": ("-o", "out.parquet"),
}
KINDS = {"full": FULL, "denied": DENIED, "broken": BROKEN}


@pytest.fixture(scope="module")
def library() -> Path:
    return faults.build()


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    for org in ("aorg", "borg"):
        for day in range(1, 4):
            path = folder / f"{org}-prod-events-2014-10-0{day}.log.gz"
            other = event(7, context={"course_id": f"UnivX/CS{day}/2014"})
            path.write_bytes(pack(events(50, first=day * 20) + other + b"no event\n"))
    return folder


def _state(cwd: Path, name: str) -> tuple[Any, ...]:
    """What a run leaves, but for times."""
    document = report(cwd / "report.json")
    del document["seconds"]
    rejects = (cwd / "rejects").read_bytes()
    if name == "file":
        assert hidden(cwd) == []
        return (cwd / "out.parquet").read_bytes(), document, rejects
    assert_whole(cwd / "out")
    inputs = datasets.manifest(cwd / "out")["inputs"]
    accounts = {key: one["account"] for key, one in inputs.items()}
    return datasets.files(cwd / "out"), document, accounts, rejects


def _run(
    library: Path,
    logs: Path,
    name: str,
    cwd: Path,
    fault: Fault,
    at: int = -1,
    more: tuple[str, ...] = (),
) -> tuple[commands.Done, int]:
    cwd.mkdir(exist_ok=True)
    arguments: list[str | Path] = ["filter", logs, *OUTPUTS[name], *OPTIONS, *more]
    return faults.run(library, fault, at, cwd, *arguments, cwd=cwd)


def _assert_nothing_half(cwd: Path, name: str, wanted: tuple[Any, ...]) -> None:
    """What readers see after a run that failed is what was committed, and whole."""
    if name == "file":
        output = cwd / "out.parquet"
        assert not output.exists() or output.read_bytes() == wanted[0]
        return
    home = cwd / "out" / "_edxlogs"
    if not (home / "head").exists():
        assert not (cwd / "out").is_dir() or datasets.files(cwd / "out") == {}
        return
    files = datasets.manifest(cwd / "out")["files"]
    rows = sum(one["rows"] for path, one in files.items() if not path.startswith("_edxlogs/"))
    done = commands.run("cat", "out", "--format", "csv", "--columns", "line", cwd=cwd)
    assert done.code == 0, done.stderr
    assert done.stdout.count(b"\n") == rows + 1


def _fails_and_goes_on(
    library: Path, logs: Path, name: str, cwd: Path, fault: Fault, at: int, wanted: tuple[Any, ...]
) -> None:
    done, _ = _run(library, logs, name, cwd, fault, at)
    # What fails behind the last commit (to remove what is no more needed) may pass.
    if done.code != 0:
        assert done.code in (1, 2), done.stderr
        assert len(done.told) == 1, done.stderr
        assert done.told[0].count(": ") >= 3, done.told
        assert ";" in done.told[0], done.told
    _assert_nothing_half(cwd, name, wanted)
    # A file that is published is there; a run that replaces it removes what is left hidden.
    more = ("--overwrite",) if name == "file" and done.code == 0 else ()
    again, _ = _run(library, logs, name, cwd, fault, more=more)
    assert again.code == 0, again.stderr
    assert _state(cwd, name) == wanted


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, library: Path, logs: Path
) -> dict[tuple[str, str], tuple[int, tuple[Any, ...]]]:
    """By output and kind of fault: calls that may fail, and what a run leaves."""
    found = {}
    for name in OUTPUTS:
        for kind, fault in KINDS.items():
            cwd = tmp_path_factory.mktemp("undisturbed")
            done, calls = _run(library, logs, name, cwd, fault)
            assert done.code == 0, done.stderr
            assert calls > 20
            found[name, kind] = calls, _state(cwd, name)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OUTPUTS)
def test_a_disk_that_fails(
    tmp_path: Path,
    library: Path,
    logs: Path,
    undisturbed: dict[tuple[str, str], tuple[int, tuple[Any, ...]]],
    name: str,
    kind: str,
) -> None:
    calls, wanted = undisturbed[name, kind]
    for at in (0, calls // 3, calls * 2 // 3, calls - 1):
        _fails_and_goes_on(library, logs, name, tmp_path / str(at), KINDS[kind], at, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OUTPUTS)
def test_a_disk_that_fails_anywhere(
    tmp_path: Path,
    library: Path,
    logs: Path,
    undisturbed: dict[tuple[str, str], tuple[int, tuple[Any, ...]]],
    name: str,
    kind: str,
) -> None:
    calls, wanted = undisturbed[name, kind]
    points = random.Random(kind + name).sample(range(calls), min(calls, 60))
    for at in sorted(points):
        _fails_and_goes_on(library, logs, name, tmp_path / str(at), KINDS[kind], at, wanted)


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_input_that_cannot_be_read(tmp_path: Path, library: Path, logs: Path, name: str) -> None:
    """The file of which the reading fails is withheld, and read when it can be."""
    whole = tmp_path / "whole"
    assert _run(library, logs, name, whole, UNREADABLE)[0].code == 0
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    bad = sorted(logs.iterdir())[2]
    arguments: tuple[str | Path, ...] = ("filter", logs, *OUTPUTS[name], *OPTIONS)
    # Its first bytes are read to see what it is; of a dataset, all of them for its checksum.
    for at in (0, 1, 2):
        done, _ = faults.run(library, UNREADABLE, at, bad, *arguments, "--overwrite", cwd=cwd)
        if done.code == 0:
            break
        assert done.code == 1
        (told,) = done.told
        assert bad.name in told
        assert "Input/output error" in told
        document = report(cwd / "report.json")
        withheld = [one["source"] for one in document["sources"] if one["status"] == "withheld"]
        assert len(withheld) + len(document["failed"]) == 1
        assert len(document["sources"]) + len(document["failed"]) == 6
        if name == "dataset":
            assert_whole(cwd / "out")
    assert at > 0
    again = faults.run(library, UNREADABLE, -1, cwd, *arguments, "--overwrite", cwd=cwd)[0]
    assert again.code == 0
    if name == "file":
        assert _state(cwd, name) == _state(whole, name)
    else:
        assert_whole(cwd / "out")
        assert report(cwd / "report.json")["total"] == report(whole / "report.json")["total"]


@pytest.mark.parametrize("fault", [NO_LOCKS, NO_RENAMES])
def test_a_file_system_that_lacks_something(
    tmp_path: Path, library: Path, logs: Path, fault: Fault
) -> None:
    done, calls = _run(library, logs, "dataset", tmp_path / "out", fault, 0)
    assert calls > 0
    assert done.code == 1
    (told,) = done.told
    assert told.endswith("; name a place on a file system that has locks and renames")


JOB = """
name = "{name}"
sources = ["{logs}"]
reports = "{name}/reports"
[[convert]]
packages = "{package}"
output = "{name}/tables"
[[dataset]]
output = "{name}/rows"
partition_by = ["course_id"]
[[dataset]]
output = "{name}/lines"
partition_by = ["date"]
format = "jsonl"
"""


def _job_state(cwd: Path) -> dict[str, Any]:
    """What nights leave, but for times."""
    for name in ("rows", "lines", "tables"):
        assert_whole(cwd / name)
    return {name: datasets.files(cwd / name) for name in ("rows", "lines", "tables")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_on_a_disk_that_fails(tmp_path: Path, library: Path, logs: Path, kind: str) -> None:
    contents = make_package.members(make_package.COURSES[:2], count=5)
    package = exporter.write(tmp_path / "universityx-2014-10-05.zip", contents)

    def night(name: str, at: int = -1) -> tuple[commands.Done, int]:
        cwd = tmp_path / name
        cwd.mkdir(exist_ok=True)
        job = tmp_path / f"{name}.toml"
        job.write_text(JOB.format(logs=logs, package=package, name=name))
        return faults.run(library, KINDS[kind], at, cwd, "run", job, cwd=cwd)

    done, calls = night("undisturbed")
    assert done.code == 0, done.stderr
    wanted = _job_state(tmp_path / "undisturbed")
    points = {0, 1, calls // 8, calls // 4, calls // 2, calls * 3 // 4, calls - 8, calls - 1}
    for at in sorted(points):
        name = str(at)
        done, _ = night(name, at)
        # What fails behind the last commit (to remove what is no more needed) may pass.
        assert done.code in (0, 1), done.stderr
        if done.code == 1:
            *told, last = done.stderr.splitlines()
            if last.startswith(f"{name}: "):
                assert last.startswith(f"{name}: FAILED: "), done.stderr
                assert told, done.stderr
            else:  # no folder for the reports: nothing was begun
                told = [last]
                assert last.startswith("edxlogs: reports: "), done.stderr
                assert not (tmp_path / name / "rows").exists()
            for line in told:
                assert line.startswith("edxlogs: "), done.stderr
                assert line.count(": ") >= 3, done.stderr
                assert ";" in line, done.stderr
        for path in (tmp_path / name / "reports").glob("*"):
            if path.suffix == ".json":
                assert json.loads(path.read_bytes())["job"] == name
        again, _ = night(name)
        assert again.code == 0, again.stderr
        assert again.stderr.startswith(f"{name}: ok, ")
        assert _job_state(tmp_path / name) == wanted
