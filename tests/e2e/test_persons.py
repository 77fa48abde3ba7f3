"""Persons of conditions stand in nothing that is written: all of it is searched, rows as well.

The conditions leave the persons out, or the columns do, so no row holds one either.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest

import commands
import datasets
import forked
from commands import Done, event

# Planted: a name, one that JSON, SQL and URLs write in other ways, and a number.
NAMES = ("zq-planted", 'zq "o\'planted" é', "7301730173")
WHERE = (
    "username != 'zq-planted'",
    "username not in ('zq-planted', 'zq \"o''planted\" é') and user_id <> 7301730173",
    "not username like 'zq-plant%'",
)
COLUMNS = ("--columns", "time,event_type,course_id")
FORMATS = ["parquet", "csv", "csv.gz", "csv.zst", "tsv", "jsonl", "jsonl.gz", "jsonl.zst", "arrow"]
LEFT_OUT = (*(word for name in NAMES for word in ("--exclude-user", name)), "--where", WHERE[1])
ASKED_FOR = (*(word for name in NAMES for word in ("--user", name)), "--where", "not " + WHERE[0])


class World:
    """A user's machine: sources, which hold the persons, and folders that are searched."""

    def __init__(self, folder: Path) -> None:
        self.sources = folder / "sources"
        self.searched = folder / "searched"
        self.cwd, self.home, self.temporary = (
            self.searched / name for name in ("cwd", "home", "tmp")
        )
        for one in (self.sources, self.cwd, self.home, self.temporary):
            one.mkdir(parents=True)
        for day in range(3):
            lines = b"".join(event(number) for number in range(day * 20, day * 20 + 20))
            for number, name in enumerate(NAMES):
                lines += event(number, username=name, context={"user_id": 7301730173})
            (self.sources / f"x-prod-events-2014-10-0{day + 1}.log").write_bytes(lines)
        (self.sources / "persons.txt").write_text("\n".join(NAMES))

    @property
    def environment(self) -> dict[str, str]:
        """Where a user's home and temporary files are."""
        return {
            "HOME": str(self.home),
            "XDG_STATE_HOME": "",
            "TMPDIR": str(self.temporary),
        }

    @property
    def logs(self) -> list[str]:
        """The sources."""
        return [str(path) for path in sorted(self.sources.glob("*.log"))]

    def run(self, *words: str | Path, code: int = 0) -> Done:
        """Run the command, and search what it told."""
        done = commands.run(
            *words,
            cwd=self.cwd,
            HOME=str(self.home),
            XDG_STATE_HOME="",
            TMPDIR=str(self.temporary),
        )
        assert done.code == code, done.stderr
        search("stdout", done.stdout)
        search("stderr", done.stderr.encode())
        return done

    def search(self) -> None:
        """Search all that there is, by names and contents, as it stands and unpacked."""
        for folder, folders, files in os.walk(self.searched):
            for name in (*folders, *files):
                search("a name", name.encode())
            for name in files:
                path = Path(folder, name)
                for content in contents(path):
                    search(str(path), content)

    def salt(self) -> Path:
        """Where the salt is."""
        return self.home / ".local" / "state" / "edxlogs" / "salt"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def spellings(name: str) -> Iterator[bytes]:
    """A name as it may be written, or as its hash, which can be guessed."""
    for text in (name, json.dumps(name)[1:-1], quote(name), name.replace("'", "''"), repr(name)):
        yield text.encode()
    yield name.encode("utf-16-le")
    for kind in ("md5", "sha1", "sha256"):
        yield hashlib.new(kind, name.encode()).hexdigest().encode()


SPELLINGS = {one for name in NAMES for one in spellings(name)}


def search(where: str, content: bytes) -> None:
    """Assert that no person is there."""
    for one in (*SPELLINGS, b"planted"):
        assert one not in content, f"{one!r} in {where}"


def contents(path: Path) -> Iterator[bytes]:
    """What a file holds."""
    data = path.read_bytes()
    yield data
    if data.startswith(b"\x1f\x8b"):
        yield gzip.decompress(data)
    elif data.startswith(b"\x28\xb5\x2f\xfd"):
        with pyarrow.input_stream(path, compression="zstd") as stream:
            yield stream.read()
    elif data.startswith(b"PAR1"):
        table = pyarrow.parquet.read_table(path)
        told = pyarrow.parquet.read_metadata(path)
        yield str((table.schema, told.metadata, table.to_pylist())).encode()
    elif data.startswith(b"ARROW1"):
        table = pyarrow.ipc.open_file(path).read_all()
        yield str((table.schema.metadata, table.to_pylist())).encode()


def test_the_search_finds_what_is_there(world: World) -> None:
    for name in ("out.parquet", "out.csv", "out.jsonl.gz", "out.jsonl.zst", "out.arrow"):
        commands.run("filter", *world.logs, "-o", name, "-q", cwd=world.cwd)
        with pytest.raises(AssertionError):
            world.search()
        (world.cwd / name).unlink()
    world.search()


@pytest.mark.parametrize("form", FORMATS)
def test_files(world: World, form: str) -> None:
    extras = ("--report", "report.json", "--rejects", "rejects")
    done = world.run("filter", *world.logs, *LEFT_OUT, "-o", f"out.{form}", *extras)
    assert "60 rows to out" in done.stderr
    if not form.startswith("jsonl"):
        done = world.run("filter", *world.logs, *ASKED_FOR, *COLUMNS, "-o", f"asked.{form}")
        assert "3 rows to asked" in done.stderr
    world.search()
    query = json.loads((world.cwd / "report.json").read_bytes())["query"]
    assert query == {
        "exclude_users": 3,
        "expressions": ["username not in (…) and user_id != …"],
    }


def test_the_footer_tells_how_many(world: World) -> None:
    world.run("filter", *world.logs, *ASKED_FOR, *COLUMNS, "-o", "out.parquet", "-q")
    metadata = pyarrow.parquet.read_metadata(world.cwd / "out.parquet").metadata
    assert json.loads(metadata[b"edxlogs.query"]) == {
        "users": 3,
        "expressions": ["not username != …"],
    }


def test_bounds_of_columns_name_nobody(world: World) -> None:
    """The footer of Parquet, where no row is: the rest of the file does hold these persons."""
    more = ("--columns", "time,course_id,line,user_id,username,who=username,session,ip,event")
    for words in ((), more):
        words = ("--user", NAMES[0], "-o", "out.parquet", "--overwrite", "-q", *words)
        world.run("filter", *world.logs, *words)
        data = (world.cwd / "out.parquet").read_bytes()
        assert NAMES[0].encode() in data
        footer = data[-8 - int.from_bytes(data[-8:-4], "little") :]
        search("the footer", footer)
        assert int(NAMES[2]).to_bytes(8, "little") not in footer
        group = pyarrow.parquet.read_metadata(world.cwd / "out.parquet").row_group(0)
        columns = [group.column(at) for at in range(group.num_columns)]
        assert {one.path_in_schema for one in columns if one.is_stats_set} >= {
            *("time", "course_id", "line")
        }


def test_standard_output_and_files_of_values(world: World) -> None:
    persons = f"@{world.sources / 'persons.txt'}"
    for form in ("csv", "jsonl", "parquet"):
        done = world.run("filter", *world.logs, "--exclude-user", persons, "--format", form)
        assert done.stdout
    done = world.run("filter", *world.logs, "--user", persons, *COLUMNS, "--format", "csv")
    assert done.stdout.count(b"\n") == 10
    world.search()


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl", "jsonl.zst"])
def test_datasets_and_what_is_done_with_them(world: World, form: str) -> None:
    words = (*LEFT_OUT, "-o", "out", "--partition-by", "course_id,date", "--format", form)
    for count in (1, 2, 3, 3):
        done = world.run("filter", *world.logs[:count], *words, "--report", "report.json")
    assert "60 rows in out: 0 sources read" in done.stderr.replace("(", "")
    world.run("runs", "out")
    world.run("runs", "out", "--json")
    world.run("cat", "out")
    world.run("compact", "out")
    # Other persons are another query, and the message does not tell which.
    others = ("--exclude-user", "somebody", *words[2:])
    done = world.run("filter", *world.logs, *others, code=2)
    assert "The values of --user or --where differ" in done.stderr
    assert "somebody" not in done.stderr
    world.run("filter", *world.logs, *others[:4], *words[-6:], code=2)
    world.search()


@pytest.mark.parametrize("form", ["parquet", "csv.gz", "arrow", "jsonl"])
def test_rows_of_datasets_chosen_by_persons(world: World, form: str) -> None:
    kind = "jsonl" if form == "jsonl" else "parquet"
    # The dataset itself holds the persons, and is not searched.
    out = world.sources / "out"
    words = ("-o", out, "--partition-by", "date", "--format", kind, "-q")
    commands.run("filter", *world.logs, *words, cwd=world.cwd, XDG_STATE_HOME=str(world.home))
    world.run("cat", out, *LEFT_OUT, "-o", f"left-out.{form}")
    if form != "jsonl":
        world.run("cat", out, *ASKED_FOR, "--columns", "time,event_type", "-o", f"asked.{form}")
        assert next(world.cwd.glob("asked.*")).stat().st_size
    world.run("cat", out, "--where", "username = zq-planted", code=2)
    world.run("cat", out, "--user", "@zq-planted", code=2)
    world.search()


def test_shards_are_merged_by_one_salt(world: World) -> None:
    words = (*LEFT_OUT, "--partition-by", "date", "--dedupe", "-q")
    for shard in (1, 2):
        told = ("-o", f"s{shard}", "--shard", f"{shard}/2", "--salt-file", "salt")
        world.run("filter", *world.logs, *words, *told)
    assert not world.salt().exists()
    assert stat.S_IMODE((world.cwd / "salt").stat().st_mode) == 0o600
    world.run("merge", "s1", "s2", "-o", "all", "--report", "report.json")
    world.run("filter", *world.logs, *words, "-o", "other", "--shard", "2/2")
    done = world.run("merge", "s1", "other", "-o", "none", code=2)
    assert "--salt-file" in done.stderr
    world.run("runs", "all")
    world.search()


def test_jobs(world: World) -> None:
    persons = json.dumps([*NAMES[:1], *NAMES[2:]])
    (world.sources / "job.toml").write_text(f"""
        sources = ["."]
        reports = "../searched/reports"
        salt_file = "../searched/salt"
        [[dataset]]
        output = "../searched/left-out"
        partition_by = ["date"]
        exclude_user = {persons}
        where = "username not like 'zq%'"
        [[dataset]]
        output = "../searched/asked-for"
        partition_by = ["date"]
        columns = ["time"]
        user = {persons}
    """)
    for _ in range(2):
        world.run("run", world.sources / "job.toml")
    assert (world.searched / "salt").exists()
    world.run("runs", world.searched / "asked-for")
    world.search()


@pytest.mark.parametrize("target", ["out.parquet", "out"])
def test_stopped_and_run_again(world: World, target: str) -> None:
    more = ("--partition-by", "date") if target == "out" else ()
    words = ("filter", *world.logs, *LEFT_OUT, *more, "-o", target, "--report", "report.json")
    whole = world.cwd / "whole"
    whole.mkdir()
    environment = {**os.environ, **world.environment}
    steps = datasets.run(*words, cwd=whole, group=1, environment=environment)[1]
    heads = [at for at, step in enumerate(steps) if step.paths[-1].name == "head"]
    for at in (heads[0] + 1, heads[1] + 1):
        cwd = world.cwd / str(at)
        cwd.mkdir()
        killed = datasets.run(*words, cwd=cwd, kill_at=at, group=1, environment=environment)
        assert killed[0] < 0
        world.search()
        done = forked.run([*commands.EAGER, *words], cwd=cwd, env=environment, seconds=60)
        assert done.returncode == 0, done.stderr
        search("stderr", done.stderr)
    assert len({path.read_bytes() for path in world.cwd.glob("*/out.parquet")}) == (not more)
    world.search()


def test_two_runs_are_equal(world: World) -> None:
    def made(name: str) -> dict[str, bytes]:
        folder = world.cwd / name
        return {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.parquet")
        }

    words = (*LEFT_OUT, "--partition-by", "date", "-q")
    for name in ("one", "two"):
        world.run("filter", *world.logs, *words, "-o", name)
    assert made("one") == made("two") != {}


@pytest.mark.parametrize(
    "where",
    [
        "username = zq-planted",
        'username = "zq-planted"',
        "username = 'zq-planted",
        "username == 'x' 'zq-planted'",
        "'zq-planted' = username",
        "zq-planted = username",
        '"zq-planted" username',
        "username in ('zq-planted', zq-planted)",
        "username in 'zq-planted'",
        "username like zq-planted",
        "username like 'zq-planted\\x'",
        "username ilike 'zq-planted'",
        "username between 'zq-planted' and 'zr'",
        "username like 'zq-planted*'",
        "username contains 'zq-planted'",
        "username regexp zq-planted",
        "username = 'o'zq-planted'",
        "username: zq-planted",
        "username:zq-planted",
        "username = 'a' and and 'zq-planted'",
        "time > 'zq-planted'",
        "time > 7301730173",
        "user_id = 7301730173x",
        "user_id = 07301730173",
        "user_id = 73017301737301730173",
        "event.grade::zq-planted = 1",
        "username = 'a\tzq-planted' or",
    ],
)
def test_errors_of_where(world: World, where: str) -> None:
    done = world.run("filter", *world.logs, "--where", where, "-o", "out.csv", code=2)
    assert len(done.told) == 1
    world.search()


def test_what_is_told_of_values_that_are_none(world: World) -> None:
    (world.sources / "latin-planted").write_bytes(b"zq-planted\xff")
    (world.sources / "empty-planted").write_bytes(b"\n")
    for words, told in (
        (["--user", "@zq-planted"], "user: the file of value 1: No such file"),
        (["--user", "a", "--user", "@zq-planted"], "user: the file of value 2: No such file"),
        (["--exclude-user", f"@{world.sources / 'latin-planted'}"], "value 1: is not UTF-8"),
        (["--user", f"@{world.sources / 'empty-planted'}"], "value 1: holds no value"),
    ):
        assert told in world.run("filter", *world.logs, *words, code=2).stderr
    done = commands.run("filter", *world.logs, "--user", b"zq-planted\xff", cwd=world.cwd)
    assert done.code == 2
    search("stderr", done.stderr.encode())
    assert "value 1: is not UTF-8" in done.stderr


@pytest.mark.parametrize("option", ["--user", "--where"])
def test_nothing_is_found(world: World, option: str) -> None:
    value = NAMES[0] if option == "--user" else "username = 'zq-planted'"
    for path in world.logs:
        Path(path).write_bytes(event(1))
    for target in ("out.csv", "out.parquet", "-"):
        words = ("--report", f"{target}.json", "--check", "full")
        world.run("filter", *world.logs, option, value, "-o", target, *words)
    world.search()


def test_damaged_sources(world: World) -> None:
    packed = gzip.compress(Path(world.logs[0]).read_bytes())
    cut = world.sources / "cut.log.gz"
    cut.write_bytes(packed[:-20])
    words = ("--report", "report.json", "-o", "out.csv")
    world.run("filter", *world.logs, cut, *LEFT_OUT, *words, code=1)
    world.search()


def test_the_salt_is_made_once_by_whoever_is_first(world: World) -> None:
    environment = {**os.environ, **world.environment}
    told = "from edxlogs import salt; print(salt.digest(b'x'), salt.digest(b'y'))"
    several = [
        subprocess.Popen(
            [*forked.PYTHON, "-c", told], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    digests = {one.communicate(timeout=60)[0] for one in several}
    assert len(digests) == 1
    first, second = digests.pop().split()
    assert first != second
    assert [path.name for path in world.salt().parent.iterdir()] == ["salt"]
    assert stat.S_IMODE(world.salt().stat().st_mode) == 0o600
    assert stat.S_IMODE(world.salt().parent.stat().st_mode) == 0o700


def test_the_salt_is_not_read_or_made_through_a_link(world: World) -> None:
    world.salt().parent.mkdir(parents=True)
    words = ("filter", *world.logs, *LEFT_OUT, "-o", "out", "--partition-by", "date")
    for target in (world.sources / "elsewhere", world.sources / "persons.txt"):
        world.salt().symlink_to(target)
        done = world.run(*words, code=1)
        assert "is a link; name another file with --salt-file" in done.stderr
        world.salt().unlink()
    assert not (world.sources / "elsewhere").exists()
    # One that a user names may be a link, as secrets are that are mounted.
    (world.sources / "secret").write_text("0123456789abcdef\n")
    (world.cwd / "link").symlink_to(world.sources / "secret")
    world.run(*words, "--salt-file", "link")


@pytest.mark.parametrize("content", [b"", b"short\n", b"x" * 5000, None])
def test_what_is_no_salt_is_refused(world: World, content: bytes | None) -> None:
    path = Path("/dev/zero") if content is None else world.cwd / "salt"
    if content is not None:
        path.write_bytes(content)
    words = (*LEFT_OUT, "-o", "out", "--partition-by", "date", "--salt-file", str(path))
    assert "holds no salt" in world.run("filter", *world.logs, *words, code=2).stderr


def test_without_a_place_for_a_salt_a_file_is_written_all_the_same(world: World) -> None:
    """Only that it cannot go on is told; a dataset could not tell its rows from others."""
    world.home = world.home / "file"
    world.home.write_bytes(b"")
    words = ("filter", *world.logs, *LEFT_OUT)
    done = world.run(*words, "-o", "out.csv")
    assert "if it is stopped, it starts over: salt: " in done.stderr
    done = world.run(*words, "-o", "out", "--partition-by", "date", code=1)
    assert "name another file with --salt-file" in done.stderr


def test_no_salt_is_made_where_none_is_needed(world: World) -> None:
    world.run("filter", *world.logs, "--course", "a", "-o", "out", "--partition-by", "date", "-q")
    world.run("filter", *world.logs, *LEFT_OUT, "-q")
    assert not world.salt().exists()
