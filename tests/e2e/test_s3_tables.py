"""Tables of packages in buckets: those that a folder would hold."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import atomic_s3
import bucket_datasets
import datasets
import edxlogs
import make_package
from atomic_s3 import BUCKET, AtomicServer
from commands import Done, run
from edxlogs.edx.tables import tables
from edxlogs.generator import exporter

URL = f"s3://{BUCKET}/tables"
COURSES = make_package.COURSES[:2]


@pytest.fixture
def server(aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[AtomicServer]:
    with atomic_s3.run() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with packages of two weeks, some of their rows bad, and a temporary folder."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    module = tables()["courseware_studentmodule"]
    for week, rows in ((5, 300), (12, 400)):
        made = make_package.rows(module, COURSES[0], rows, 7)
        name = exporter.file_name(module, COURSES[0], "prod")
        few = [one for one in make_package.members(COURSES, count=5, odd=True) if one[0] != name]
        contents = [(name, exporter.tab_lines(module, made)), *few[:8]]
        exporter.write(tmp_path / f"universityx-2014-10-{week:02}.zip", contents)
    return tmp_path


def command(work: Path, *words: str | Path, code: int = 0) -> Done:
    done = run(*words, cwd=work)
    assert done.code == code, done.stderr
    assert list((work / "tmp").iterdir()) == []
    return done


def on_disk(server: AtomicServer, work: Path) -> Path:
    """The tables, whole, without what no state names."""
    found = {key.removeprefix("tables/"): one.content for key, one in server.objects.items()}
    out = bucket_datasets.on_disk(found, work / "there")
    named = set(datasets.manifest(out)["files"])
    datasets.assert_whole(bucket_datasets.without_unnamed(out, named))
    return out


def contents(folder: Path) -> list[str]:
    """What files hold, whatever they are called."""
    return sorted(datasets.files(folder).values())


def test_they_are_the_tables_in_a_folder(server: AtomicServer, work: Path) -> None:
    first, second = (f"universityx-2014-10-{week}.zip" for week in ("05", "12"))
    for week in (first, second, second):
        for place in ("out", URL):
            words = ("-o", place, "--rejects", f"rejects-{place[:2]}", "-q")
            command(work, "db", "convert", week, *words)
        assert (work / "rejects-ou").read_bytes() == (work / "rejects-s3").read_bytes()
        assert datasets.files(on_disk(server, work)) == datasets.files(work / "out")
    asked = len(server.requests)
    command(work, "db", "convert", second, "-o", URL, "--rejects", "rejects-s3", "-q")
    assert not any("part" in key or ".parquet" in key for _, key in server.requests[asked:])
    for table in ("courseware_studentmodule", "auth_user"):
        rows = edxlogs.dataset(f"{URL}/{table}").to_table()
        assert rows == edxlogs.dataset(work / "out" / table).to_table()
    assert server.overwritten == []


def test_a_package_that_was_made_again(server: AtomicServer, work: Path) -> None:
    """Its files get places of their own: others may still read those before."""
    package = work / "universityx-2014-10-05.zip"
    command(work, "db", "convert", package, "-o", URL, "-q")
    before = edxlogs.dataset(f"{URL}/courseware_studentmodule")
    package.write_bytes((work / "universityx-2014-10-12.zip").read_bytes())
    for place in ("out", URL):
        command(work, "db", "convert", package, "-o", place, "-q")
    assert before.count_rows() == 300
    assert edxlogs.dataset(f"{URL}/courseware_studentmodule").count_rows() == 400
    assert contents(on_disk(server, work)) == contents(work / "out")
    assert server.overwritten == []
    command(work, "db", "convert", package, "-o", URL, "--overwrite", "-q")
    assert contents(on_disk(server, work)) == contents(work / "out")


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_kill(server: AtomicServer, work: Path, every: bool) -> None:
    """What was ready is gone on with."""
    words: tuple[Any, ...] = ("db", "convert", "universityx-2014-10-05.zip", "-o", URL, "-q")
    steps = datasets.run(*words, "--threads", "1", cwd=work)[1]
    wanted = datasets.files(on_disk(server, work))
    puts = [at for at, step in enumerate(steps) if step.name.startswith("put-")]
    commits = [at for at, step in enumerate(steps) if step.name == "put-commit"]
    chosen = {commits[0] + 1, commits[-1] - 1, commits[-1], puts[-2]}
    for at in range(len(steps)) if every else sorted(chosen):
        server.objects.clear()
        code, _ = datasets.run(*words, "--threads", "1", cwd=work, kill_at=at)
        assert code == -signal.SIGKILL
        command(work, *words)
        assert datasets.files(on_disk(server, work)) == wanted, (at, steps[at])
        assert server.overwritten == []


def test_merge_and_compact(server: AtomicServer, work: Path) -> None:
    for number, table in enumerate(("auth_user", "courseware_studentmodule")):
        words = ("universityx-2014-10-05.zip", "-q", "--table", table)
        command(work, "db", "convert", *words, "-o", f"{URL}-{number}")
    for output in ("out", URL):
        command(work, "merge", f"{URL}-0", f"{URL}-1", "-o", output)
        command(work, "compact", output)
    assert contents(on_disk(server, work)) == contents(work / "out")


def test_content_is_for_folders(server: AtomicServer, work: Path) -> None:
    words = ("universityx-2014-10-05.zip", "-o", URL, "--unpack")
    done = command(work, "db", "convert", *words, code=2)
    assert done.told == [
        "edxlogs: unpack: is for local folders; leave it out, or name one for the output"
    ]
    assert server.objects == {}
