"""A disk that fails while tables are converted: told in one line, nothing half-written, gone on."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import faults
import make_package
from commands import Done
from edxlogs.edx.tables import tables
from edxlogs.generator import exporter
from faults import BROKEN, DENIED, FULL, UNREADABLE, Fault

NAME = "universityx-2014-10-05.zip"
COURSE = make_package.COURSES[0]
KINDS = {"full": FULL, "denied": DENIED, "broken": BROKEN}
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def library() -> Path:
    return faults.build()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some small tables, one large enough to be kept by a run that is stopped, and content."""
    folder = tmp_path_factory.mktemp("package")
    module = tables()["courseware_studentmodule"]
    rows = make_package.rows(module, COURSE, 6000, 7)
    large = (
        exporter.file_name(module, COURSE, "prod"),
        exporter.tab_lines(module, rows),
    )
    few = (
        (name, chunks)
        for name, chunks in make_package.members([COURSE], count=20, odd=True)
        if name != large[0] and not name.startswith("ora/")
    )
    return exporter.write(folder / NAME, [large, *few])


def _run(
    library: Path, package: Path, cwd: Path, fault: Fault, at: int = -1, *, report: str = "report"
) -> tuple[Done, int]:
    cwd.mkdir(exist_ok=True)
    options = ("--rejects", f"{report}.rejects", "--report", report, "--unpack", "-q")
    words: list[str | Path] = ["db", "convert", package, "-o", "out", *options]
    return faults.run(library, fault, at, cwd, *words, cwd=cwd)


def _files(cwd: Path) -> Files:
    """What readers see of the tables."""
    out = cwd / "out"
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and not path.relative_to(out).parts[0].startswith((".", "_"))
    }


def _account(path: Path) -> dict[str, Any]:
    """An account, but for time, and for what was read in an earlier run."""
    document: dict[str, Any] = json.loads(path.read_bytes())
    for counts in (document, document["total"], *document["tables"].values()):
        for name in ("seconds", "bytes_read"):
            counts.pop(name, None)
    for member in document["members"]:
        del member["earlier"], member["counts"]["bytes_read"]
    return document


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, library: Path, package: Path
) -> dict[str, tuple[int, Files, dict[str, Any]]]:
    """By kind of fault: calls that may fail, and what a run leaves."""
    found = {}
    for kind, fault in KINDS.items():
        cwd = tmp_path_factory.mktemp("undisturbed")
        done, calls = _run(library, package, cwd, fault)
        assert done.code == 0, done.stderr
        assert calls > 20
        found[kind] = calls, _files(cwd), _account(cwd / "report")
    return found


def _fails_and_goes_on(
    library: Path,
    package: Path,
    cwd: Path,
    fault: Fault,
    at: int,
    wanted: tuple[Files, dict[str, Any]],
) -> None:
    done, _ = _run(library, package, cwd, fault, at)
    # What fails when all is published (to remove what is no more needed) may pass.
    if done.code != 0:
        assert done.code in (1, 2), done.stderr
        assert len(done.told) == 1, done.stderr
        assert done.told[0].count(": ") >= 2, done.told
        assert ";" in done.told[0], done.told
    if (cwd / "out").is_dir():
        # Of what is there, each is whole.
        assert _files(cwd).items() <= wanted[0].items()
    again, _ = _run(library, package, cwd, fault, report="again")
    assert again.code == 0, again.stderr
    assert _files(cwd) == wanted[0]
    assert _account(cwd / "again") == wanted[1]
    assert [path.name for path in (cwd / "out").iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_fails(
    tmp_path: Path,
    library: Path,
    package: Path,
    undisturbed: dict[str, tuple[int, Files, dict[str, Any]]],
    kind: str,
) -> None:
    calls, *wanted = undisturbed[kind]
    for at in (0, calls // 4, calls // 2, calls * 3 // 4, calls - 1):
        where = tmp_path / str(at)
        _fails_and_goes_on(library, package, where, KINDS[kind], at, (wanted[0], wanted[1]))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_fails_anywhere(
    tmp_path: Path,
    library: Path,
    package: Path,
    undisturbed: dict[str, tuple[int, Files, dict[str, Any]]],
    kind: str,
) -> None:
    calls, *wanted = undisturbed[kind]
    for at in sorted(random.Random(kind).sample(range(calls), min(calls, 60))):
        where = tmp_path / str(at)
        _fails_and_goes_on(library, package, where, KINDS[kind], at, (wanted[0], wanted[1]))


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_fails_while_files_move(
    tmp_path: Path, library: Path, kind: str, options: tuple[str, ...]
) -> None:
    """They were of no known course, and are of one now."""
    course = make_package.COURSES[1]
    untold = [
        exporter.file_name(tables()[name], course, "prod")
        for name in ("wiki_article", "wiki_articlerevision")
    ]
    members = [one for one in make_package.members([course], count=3) if one[0] in untold]
    package = exporter.write(tmp_path / NAME, members)
    (tmp_path / "courses.txt").write_text(f"{course}\n")
    first, whole = tmp_path / "first", tmp_path / "whole"
    first.mkdir()
    words: list[str | Path] = ["db", "convert", package, "-o", "out", "-q"]
    done, _ = faults.run(library, KINDS[kind], -1, first, *words, cwd=first)
    assert (done.code, len(done.told)) == (0, 2)
    words += ["--known-courses", tmp_path / "courses.txt", *options]
    shutil.copytree(first, whole)
    done, calls = faults.run(library, KINDS[kind], -1, whole, *words, cwd=whole)
    assert (done.code, done.told) == (0, [])
    assert list(_files(whole).values()) == list(_files(first).values())
    for at in range(calls - 7, calls):
        where = tmp_path / str(at)
        shutil.copytree(first, where)
        faults.run(library, KINDS[kind], at, where, *words, cwd=where)
        done, _ = faults.run(library, KINDS[kind], -1, where, *words, cwd=where)
        assert (done.code, done.told) == (0, [])
        assert _files(where) == _files(whole)


def test_a_package_that_cannot_be_read(
    tmp_path: Path,
    library: Path,
    package: Path,
    undisturbed: dict[str, tuple[int, Files, dict[str, Any]]],
) -> None:
    words = ("db", "convert", package, "-o", "out", "-q", "--unpack")
    for at in (0, 1, 5, 20, 22, 40):
        done, calls = faults.run(library, UNREADABLE, at, package, *words, cwd=tmp_path)
        assert calls > at
        assert done.code == 1, done.stderr
        assert done.told
        for told in done.told:
            if told.startswith("edxlogs: warning: ") and "its course is not known" in told:
                continue  # what would have told it is withheld
            told = re.sub(r"[0-9]+ files failed for one reason, such as ", "", told)
            assert told.startswith(("edxlogs: cannot open: ", "edxlogs: cannot read: ")), told
            assert f"{NAME}: " in told
            assert "Input/output error" in told
    done, _ = faults.run(library, UNREADABLE, -1, package, *words, cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert done.told == []
    _, files, _ = undisturbed["full"]
    assert _files(tmp_path) == files
