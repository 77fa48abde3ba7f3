"""Tables of packages as datasets: what is read of them, and what is to be named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import commands
import edxlogs
from converting import convert, package, truth
from edxlogs.errors import ConfigError


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of one course, as JSON Lines in `out`."""
    folder = tmp_path_factory.mktemp("lines")
    assert convert(package(folder), folder, "--format", "jsonl").code == 0
    return folder


def test_a_table_of_json_lines_is_given_whole(lines: Path) -> None:
    done = commands.run("cat", "out/auth_user", cwd=lines)
    assert done.code == 0, done.stderr
    given = [json.loads(line)["id"] for line in done.stdout.splitlines()]
    assert given == [row["id"] for row in truth("auth_user")]
    for words in (
        ("--where", "id > 3"),
        ("--columns", "id"),
        ("--site", "prod"),
        ("-o", "users.csv"),
        ("-o", "users.jsonl.gz"),
    ):
        done = commands.run("cat", "out/auth_user", *words, cwd=lines)
        assert (done.code, done.stdout, len(done.told)) == (2, b"", 1)
        assert "holds tables as JSON Lines, which cat only copies whole, as .jsonl" in done.told[0]
        assert "make the tables as Parquet" in done.told[0]
    with pytest.raises(ConfigError, match="convert the packages to Parquet"):
        edxlogs.dataset(lines / "out" / "auth_user")


@pytest.mark.parametrize("command", ["runs", "compact", "merge"])
def test_what_is_of_the_whole_folder_names_it(lines: Path, command: str) -> None:
    before = sorted((lines / "out").rglob("*"))
    more = ("-o", "joined") if command == "merge" else ()
    (course,) = (lines / "out" / "auth_user").iterdir()
    for folder in (Path("out/auth_user"), course):
        done = commands.run(command, folder, *more, cwd=lines)
        assert (done.code, len(done.told)) == (2, 1)
        told = f"dataset: {folder}: belongs to the dataset {lines / 'out'}; name that"
        assert told in done.told[0]
    assert sorted((lines / "out").rglob("*")) == before
    assert not (lines / "joined").exists()
    done = commands.run(command, "out/auth_usr", *more, cwd=lines)
    assert done.code == 2
    assert (
        "out/auth_usr: is not a dataset; name a folder that edxlogs filter --partition-by"
        in done.stderr
    )


def test_a_table_that_is_not_there_is_told(lines: Path) -> None:
    done = commands.run("cat", "out/auth_usr", cwd=lines)
    assert done.code == 2
    assert (
        "out/auth_usr: is not a dataset; name a folder that edxlogs filter --partition-by"
        in done.stderr
    )
    (lines / "out" / "none").mkdir()
    done = commands.run("cat", "out/none", cwd=lines)
    (lines / "out" / "none").rmdir()
    assert done.code == 2
    assert f"out/none: the dataset {lines / 'out'} has no rows there" in done.stderr
