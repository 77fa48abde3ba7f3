"""Finding sources, on real trees of files."""

import contextlib
import datetime
import io
import os
import random
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxlogs.errors import ConfigError, MissingSourceError, SourceError
from edxlogs.sources.local import find
from edxlogs.sources.source import FoundSources, Packing, Source, sniff


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in the temporary folder, so that paths are short."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paths(found: FoundSources) -> list[str]:
    return [source.path for source in found.sources]


def test_a_file_is_described(here: Path) -> None:
    name = "univx-pro-edge-events-2014-03-09.log.gz.gpg"
    make(here, f"in/{name}")
    status = os.stat(f"in/{name}")
    assert find([f"in/{name}"]).sources == [
        Source(
            path=f"in/{name}",
            name=name,
            size=len(f"in/{name}"),
            org="univx-pro",
            site="edge",
            date=datetime.date(2014, 3, 9),
            identity=(status.st_dev, status.st_ino),
        )
    ]


def test_the_folder_of_a_server_counts_from_inside_too(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(here, "prod-edge-001/2013-05-01-univx.log.gpg")
    monkeypatch.chdir(here / "prod-edge-001")
    assert find(["2013-05-01-univx.log.gpg"]).sources[0].site == "edge"


def test_arguments_keep_their_order_and_any_name_will_do(here: Path) -> None:
    make(here, "z.txt", "a.log", ".hidden", "m/b.log", "m/a.log", "m/README")
    found = find(["z.txt", "m", Path("a.log"), ".hidden"])
    assert paths(found) == ["z.txt", "m/a.log", "m/b.log", "a.log", ".hidden"]
    assert found.ignored == ["m/README"]
    assert not found.warnings
    assert not found.failed


def test_nothing_named_is_nothing_found() -> None:
    assert find([]) == FoundSources()


def test_a_folder_is_searched_to_the_bottom_by_the_bytes_of_names(here: Path) -> None:
    names = ["b.log", "B.log", "a/z.log", "a.log", "a.b/c.log", "é.log", "\uffee.log", "😀.log"]
    make(here, *(f"d/{name}" for name in names), "d/\udcff.log", "d/.x.log", "d/.x/y.log")
    make(here, "d/_edxlogs/part.json", "d/_delta_log/0.json", "d/a/notes.txt", "d/.x.txt")
    found = find(["d/"])
    expected = sorted([*names, "\udcff.log"], key=os.fsencode)
    assert paths(found) == [f"d/{name}" for name in expected]
    assert expected[:4] == ["B.log", "a.b/c.log", "a.log", "a/z.log"]
    assert found.sources[-1].name == "\\xff.log"
    assert found.ignored == ["d/a/notes.txt"]
    assert Path(found.sources[-1].path).read_bytes() == b"d/\xff.log"


@given(st.lists(st.text("ab.-_é", min_size=1, max_size=4), min_size=1, max_size=8), st.randoms())
def test_order_does_not_depend_on_how_the_tree_came_to_be(
    tmp_path_factory: pytest.TempPathFactory, stems: list[str], order: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    names = sorted({f"{stem.strip('.') or 'x'}/{stem.strip('.')}x.log" for stem in stems})
    order.shuffle(names)
    make(folder, *names)
    found = find([folder])
    relative = [os.fsencode(os.path.relpath(source.path, folder)) for source in found.sources]
    assert relative == sorted(name.encode() for name in names)


def test_the_same_file_is_read_once(here: Path) -> None:
    make(here, "d/a.log")
    os.link("d/a.log", "d/b.log")
    os.symlink("a.log", "d/c.log")
    found = find(["d", "./d/a.log", "d/c.log"])
    assert paths(found) == ["d/a.log"]
    assert [warning.split(":")[0] for warning in found.warnings] == [
        "d/b.log", "d/c.log", "./d/a.log", "d/c.log",
    ]  # fmt: skip
    assert all("d/a.log: read once" in warning for warning in found.warnings)


def test_the_same_text_is_not_the_same_file(here: Path) -> None:
    Path("a.log").write_bytes(b"{}\n")
    Path("b.log").write_bytes(b"{}\n")
    assert paths(find(["b.log", "a.log"])) == ["b.log", "a.log"]


def test_folders_named_twice_are_read_once_with_one_warning_each(here: Path) -> None:
    make(here, "d/a.log", "d/sub/b.log")
    found = find(["d", "d", "d/sub", "./d/"])
    assert paths(found) == ["d/a.log", "d/sub/b.log"]
    assert len(found.warnings) == 3
    inner_first = find(["d/sub", "d"])
    assert paths(inner_first) == ["d/sub/b.log", "d/a.log"]
    assert len(inner_first.warnings) == 1


def test_links_to_folders_are_followed_and_loops_end(here: Path) -> None:
    make(here, "far/x.log", "d/sub/a.log")
    os.symlink("../../d", "d/sub/loop")
    os.symlink("../far", "d/link")
    os.symlink("self.log", "d/self.log")
    found = find(["d"])
    assert paths(found) == ["d/link/x.log", "d/sub/a.log"]
    assert found.warnings == ["d/sub/loop: the same folder as d: read once"]
    assert [error.source for error in found.failed] == ["d/self.log"]


def test_of_two_ways_to_a_folder_the_earlier_name_wins(here: Path) -> None:
    make(here, "d/z/x.log")
    os.symlink("z", "d/a")
    found = find(["d"])
    assert paths(found) == ["d/a/x.log"]
    assert found.warnings == ["d/z: the same folder as d/a: read once"]


def test_broken_links(here: Path) -> None:
    make(here, "d/a.log")
    os.symlink("gone\n.log", "d/b.log")
    os.symlink("gone", "d/README")
    found = find(["d"])
    assert paths(found) == ["d/a.log"]
    assert found.ignored == ["d/README"]
    assert [str(error) for error in found.failed] == [
        "cannot open: d/b.log: a broken link to gone\\x0a.log"
    ]
    with pytest.raises(MissingSourceError, match="broken link"):
        find(["d/b.log"])


@pytest.mark.parametrize("argument", ["gone.log", "a.log/x", "", "gone/x.log"])
def test_a_missing_path_is_file_not_found(here: Path, argument: str) -> None:
    make(here, "a.log")
    with pytest.raises(FileNotFoundError, match="no such file or folder") as error:
        find(["a.log", argument])
    assert isinstance(error.value, SourceError)
    assert error.value.source == (argument or "''")


@pytest.mark.parametrize("argument", ["a\0b", "\ud800.log"])
def test_what_cannot_be_a_path_is_wrong_use(argument: str) -> None:
    with pytest.raises(ConfigError, match="not a file name") as error:
        find([argument])
    assert str(error.value).isprintable()


def test_a_folder_without_a_log_says_how_many_were_ignored(here: Path) -> None:
    make(here, "d/a.txt", "d/x/b.txt", "d/.c.log")
    with pytest.raises(SourceError, match=r"nothing to read: d: .*\(2 ignored\)"):
        find(["d"])


@contextlib.contextmanager
def locked(folder: str) -> Iterator[None]:
    os.chmod(folder, 0)
    try:
        yield
    finally:
        os.chmod(folder, 0o700)


@pytest.mark.parametrize("argument", ["d", "d/*/*.log", "d/**/*.log", "d/*/a.log", "d/s[e]cret"])
def test_unreadable_folders_are_named_and_the_rest_is_found(
    here: Path, monkeypatch: pytest.MonkeyPatch, argument: str
) -> None:
    make(here, "d/open/a.log", "d/secret/a.log")
    if os.geteuid() == 0:  # permissions do not stop root: refuse in their stead
        real_list, real_lstat = os.listdir, os.lstat

        def listdir(path: str) -> list[str]:
            if path == "d/secret":
                raise PermissionError(13, "Permission denied", path)
            return real_list(path)

        def lstat(path: str) -> os.stat_result:
            if str(path).startswith("d/secret/"):
                raise PermissionError(13, "Permission denied", path)
            return real_lstat(path)

        monkeypatch.setattr(os, "listdir", listdir)
        monkeypatch.setattr(os, "lstat", lstat)
    with locked("d/secret"):
        found = find([argument])
    assert paths(found) == ([] if "[" in argument else ["d/open/a.log"])
    assert [str(error) for error in found.failed] in (
        ["cannot open: d/secret: Permission denied"],
        ["cannot open: d/secret/a.log: Permission denied"],
    )


def test_globs_find_what_the_shell_would(here: Path) -> None:
    make(here, "d/b.log", "d/a.log", "d/é.log", "d/readme.txt", "d/.h.log", "d/sub/c.log")
    make(here, "d/sub/deep/e.log", "d/sub/x.txt", "d/_edxlogs/f.log")
    assert paths(find(["d/*.log"])) == ["d/a.log", "d/b.log", "d/é.log"]
    assert paths(find(["d/?.l[!x]g"])) == ["d/a.log", "d/b.log", "d/é.log"]
    assert paths(find(["d/.*.log"])) == ["d/.h.log"]
    assert paths(find([f"{here}/d/s*/c.log"])) == [f"{here}/d/sub/c.log"]
    assert paths(find(["**/e.log"])) == ["d/sub/deep/e.log"]
    assert paths(find(["d/**/c.log"])) == ["d/sub/c.log"]
    # A file that a glob matches is named; a folder that it matches is searched.
    found = find(["d/*"])
    assert paths(found) == [
        "d/a.log", "d/b.log", "d/readme.txt", "d/sub/c.log", "d/sub/deep/e.log", "d/é.log",
    ]  # fmt: skip
    assert found.ignored == ["d/sub/x.txt"]
    everything = find(["d/**/*"])
    assert paths(everything) == sorted([*paths(found), "d/sub/x.txt"], key=os.fsencode)
    assert everything.ignored == everything.warnings == []
    assert paths(find(["d/*/"])) == ["d/sub/c.log", "d/sub/deep/e.log"]
    searched = ["d/a.log", "d/b.log", "d/sub/c.log", "d/sub/deep/e.log", "d/é.log"]
    assert paths(find(["d/**"])) == paths(find(["d"])) == searched


def test_a_glob_does_not_walk_in_circles(here: Path) -> None:
    make(here, "d/a.log")
    os.symlink(".", "d/loop")
    found = find(["**/*.log"])
    assert paths(found) == ["d/a.log"]
    assert not found.warnings


@pytest.mark.parametrize("pattern", ["d/*.gz", "e*/x.log", "d/a.log/*", "x" * 300 + "*"])
def test_a_glob_without_a_match_says_what_to_do(here: Path, pattern: str) -> None:
    make(here, "d/a.log")
    with pytest.raises(SourceError, match="the glob matches nothing; look at the folder"):
        find([pattern])


def test_an_existing_path_is_taken_literally(here: Path) -> None:
    make(here, "[a].log", "a.log", "x*.log", "xy.log")
    assert paths(find(["[a].log"])) == ["[a].log"]
    assert paths(find(["x*.log"])) == ["x*.log"]
    os.unlink("[a].log")
    assert paths(find(["[a].log"])) == ["a.log"]


def test_streams_are_allowed_where_they_are_named(here: Path) -> None:
    os.mkdir("d")
    make(here, "d/a.log")
    os.mkfifo("d/pipe.log")
    found = find(["d/pipe.log", "/dev/null"])
    assert [source.size for source in found.sources] == [None, None]
    assert [sniff(source) for source in found.sources] == [Packing.STREAM, Packing.STREAM]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("d/socket.log")
        searched = find(["d"])
    assert paths(searched) == ["d/a.log"]
    assert searched.ignored == ["d/pipe.log", "d/socket.log"]


def run_with_stdin(arguments: list[str], stdin: int) -> list[str]:
    """Find in another process, whose standard input is ours to choose."""
    code = (
        "import sys; from edxlogs.sources.local import find; found = find(sys.argv[1:])\n"
        "for source in found.sources: print(source.path, source.name, source.size)\n"
        "print(len(found.warnings))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdin=stdin,
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.splitlines()


def test_standard_input_is_one_file_under_all_its_names(here: Path) -> None:
    make(here, "a.log")
    assert run_with_stdin(["-", "/dev/stdin", "-"], subprocess.PIPE) == ["- - None", "2"]
    with open("a.log", "rb") as file:
        assert run_with_stdin(["-", "a.log"], file.fileno()) == ["- - 5", "1"]
    with open("a.log", "rb") as file:
        os.lseek(file.fileno(), 2, os.SEEK_SET)
        assert run_with_stdin(["-"], file.fileno()) == ["- - 3", "0"]
        os.lseek(file.fileno(), 100, os.SEEK_SET)
        assert run_with_stdin(["-"], file.fileno()) == ["- - 0", "0"]
    with open("a.log", "rb") as file:
        assert run_with_stdin(["./a.log"], file.fileno()) == ["./a.log a.log 5", "0"]


def test_a_file_system_without_inode_numbers_loses_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(here, "d/a.log", "d/sub/b.log")
    real = os.stat

    def unnumbered(path: str, *, follow_symlinks: bool = True) -> os.stat_result:
        values = real(path, follow_symlinks=follow_symlinks)[:10]
        return os.stat_result([0 if i == 1 else value for i, value in enumerate(values)])

    monkeypatch.setattr(os, "stat", unnumbered)
    found = find(["d", "./d/a.log"])
    assert paths(found) == ["d/a.log", "d/sub/b.log"]
    assert found.sources[0].identity is None
    assert len(found.warnings) == 1


def test_a_source_of_a_tar_found_in_a_folder_stays_one(here: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a.log"))
    make(here, "d/a.log")
    Path("d/2014-01-05-univx-tracking.tar").write_bytes(buffer.getvalue())
    found = find(["d"])
    assert paths(found) == ["d/2014-01-05-univx-tracking.tar", "d/a.log"]
    assert found.sources[0].date is None


def test_what_edxlogs_wrote_is_no_folder_of_logs(here: Path) -> None:
    """A name like a log's would not make a log of it, so nobody is told to name its files."""
    make(here, "events/_edxlogs/head", "events/part.parquet", "tables/video/_edxlogs/head")
    for folder in ("events", "tables"):
        with pytest.raises(SourceError, match="it holds what edxlogs wrote, not logs"):
            find([folder])
