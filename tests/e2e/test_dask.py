"""Datasets read by a Dask cluster of real processes: equal to the run here, whatever is killed."""

from __future__ import annotations

import datetime
import errno
import gzip
import io
import random
import shutil
import signal
import subprocess
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow
import pytest

import commands
import datasets
import edxlogs
import make_logs
from clusters import Cluster, cluster_in
from edxlogs.generator import keys
from edxlogs.jobs.filter import stream
from edxlogs.jobs.settings import Settings
from small_logs import lines, real_shaped, write

pytest.importorskip("distributed")
dask = pytest.importorskip("dask")
pytestmark = pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))

RECIPIENT = "Data Czar <czar@univx.example>"
KEYS = ("--columns", "time,user_id,event_type,event", "--partition-by", "course_id")


@pytest.fixture(scope="module")
def ring() -> Iterator[Path]:
    """A key ring with a key."""
    with keys.home() as home:
        keys.make_key(home, RECIPIENT)
        yield home


@pytest.fixture(scope="module")
def logs(ring: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Encrypted logs of eight days and two sites."""
    folder = tmp_path_factory.mktemp("packages")
    for number in range(16):
        day = datetime.date(2014, 10, 1) + datetime.timedelta(days=number // 2)
        site = "edge" if number % 2 else "prod"
        text = b"".join(make_logs.lines(number, day, site, 0.1, odd=0.03))
        message = keys.encrypt(ring, [RECIPIENT], gzip.compress(text, 1))
        (folder / f"universityx-{site}-events-{day}.log.gz.gpg").write_bytes(message)
    return folder


@pytest.fixture(scope="module")
def here(ring: Path, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset as it is made here."""
    out = tmp_path_factory.mktemp("here") / "out"
    done = run(ring, logs, out, cwd=out.parent)
    assert done.code == 0
    return out


@pytest.fixture(scope="module")
def cluster(ring: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of two workers."""
    with cluster_in(tmp_path_factory.mktemp("cluster"), 2) as found:
        yield found


def words(ring: Path, logs: Path, out: Path, *more: str) -> list[str | Path]:
    """The words of a run."""
    home = ("--gnupg-home", ring, "--no-prompt")
    return ["filter", logs, "-o", out, *KEYS, *home, "--rejects", f"{out}.rejects", *more]


def run(ring: Path, logs: Path, out: Path, *more: str, cwd: Path) -> commands.Done:
    """Bring a dataset up to date, two inputs a group."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "COMMAND", commands.EAGER)
        return commands.run(*words(ring, logs, out, *more), cwd=cwd)


def account(done: commands.Done) -> list[str]:
    """What is told of the lines, without the time."""
    told = [line for line in done.stderr.splitlines() if not line.startswith("edxlogs: ")]
    return [line.rpartition(",")[0] if " expanded, " in line else line for line in told][:-1]


def assert_same(here: Path, there: Path) -> None:
    """Fail unless a dataset is the one that was made here.

    What hosts have done for a client that was killed may come after it.
    """
    for left in (there / "_edxlogs" / "new").iterdir():
        assert left.name.startswith(("task-", "try-"))
        shutil.rmtree(left, ignore_errors=True)
    datasets.assert_whole(there)
    assert datasets.files(there) == datasets.files(here)
    one, other = datasets.manifest(here), datasets.manifest(there)
    assert one["inputs"] == other["inputs"]
    assert one["commits"] == other["commits"]
    told = [
        {path: (file["sha256"], file["runs"]) for path, file in state["files"].items()}
        for state in (one, other)
    ]
    assert told[0] == told[1]
    assert Path(f"{here}.rejects").read_bytes() == Path(f"{there}.rejects").read_bytes()


@pytest.mark.parametrize("by", ["address", "file", "local"])
def test_equal_to_the_run_here(
    ring: Path, logs: Path, here: Path, cluster: Cluster, tmp_path: Path, by: str
) -> None:
    address = {"address": cluster.address, "file": str(cluster.file), "local": "local:2"}[by]
    done = run(ring, logs, tmp_path / "out", "--dask", address, cwd=tmp_path)
    assert (done.code, done.told) == (0, [])
    assert_same(here, tmp_path / "out")
    again = run(ring, logs, here, cwd=tmp_path)
    assert account(done) == account(again)
    nothing = run(ring, logs, tmp_path / "out", "--dask", address, cwd=tmp_path)
    assert "0 sources read, 16 done before" in nothing.stderr


def test_a_job(ring: Path, logs: Path, cluster: Cluster, tmp_path: Path, here: Path) -> None:
    job = tmp_path / "job.toml"
    job.write_text(
        f'sources = ["{logs}"]\ngnupg_home = "{ring}"\n[[dataset]]\noutput = "out"\n'
        'partition_by = "course_id"\ncolumns = ["time", "user_id", "event_type", "event"]\n'
    )
    done = commands.run("run", job, "--dask", cluster.address, cwd=tmp_path)
    assert done.code == 0
    rows = sum(file["rows"] for file in datasets.manifest(tmp_path / "out")["files"].values())
    held = datasets.manifest(here)["files"].items()
    assert rows == sum(file["rows"] for path, file in held if not path.startswith("_edxlogs/"))


def test_groups_with_copies_are_made_once_more_while_others_are_read(
    cluster: Cluster, tmp_path: Path
) -> None:
    for number in range(24):
        for host in ("a", "b"):
            (tmp_path / "logs" / host).mkdir(parents=True, exist_ok=True)
            day = datetime.date(2014, 10, 1) + datetime.timedelta(days=number)
            first = number if number % 2 or host == "a" else 100 + number
            name = f"universityx-prod-events-{day}.log.gz"
            write(tmp_path / "logs" / host / name, lines(30, first=100 * first))
    words = ("filter", "logs", "--partition-by", "course_id", "--columns", "source,line,time")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "COMMAND", commands.EAGER)
        for out, more in (("here", ()), ("there", ("--dask", cluster.address))):
            done = commands.run(*words, "-o", out, *more, cwd=tmp_path)
            assert done.code == 0
            assert any("holds the same text as" in one for one in done.told)
    datasets.assert_whole(tmp_path / "there")
    assert datasets.files(tmp_path / "there") == datasets.files(tmp_path / "here")


def test_workers_and_scheduler_that_are_killed(
    ring: Path, logs: Path, here: Path, tmp_path: Path
) -> None:
    with cluster_in(tmp_path / "cluster", 2) as cluster:
        out = tmp_path / "out"
        process = _start(ring, logs, out, "--dask", cluster.address, cwd=tmp_path)
        _wait_for_commits(out, process)
        cluster.workers[0].kill()
        cluster.add_worker()
        time.sleep(0.5)
        assert cluster.scheduler is not None
        cluster.scheduler.kill()
        cluster.scheduler.wait()
        cluster.start_scheduler()
        cluster.add_worker()
        stderr = process.communicate(timeout=120)[1].decode()
        assert process.returncode == 0, stderr
    assert_same(here, out)


def test_a_worker_that_never_answers(
    ring: Path, logs: Path, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = "from edxlogs.groups import dask\ndask.LATE_SECONDS = 1.0\n"
    *words, text = commands.EAGER
    monkeypatch.setattr(commands, "EAGER", (*words, hasty + text))
    with cluster_in(tmp_path / "cluster", 2) as cluster:
        out = tmp_path / "out"
        process = _start(ring, logs, out, "--dask", cluster.address, cwd=tmp_path)
        _wait_for_commits(out, process)
        cluster.workers[0].send_signal(signal.SIGSTOP)
        stderr = process.communicate(timeout=120)[1].decode()
        assert process.returncode == 0, stderr
    assert_same(here, out)


def test_two_commands_at_once(ring: Path, logs: Path, here: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with cluster_in(tmp_path / "cluster", 1) as cluster:
        cluster.workers[0].send_signal(signal.SIGSTOP)  # the first one waits for it, with the lock
        with _start(ring, logs, out, "--dask", cluster.address, cwd=tmp_path) as first:
            for _ in range(600):
                if list(out.glob("_edxlogs/new/try-*")):
                    break
                time.sleep(0.05)
            second = run(ring, logs, out, cwd=tmp_path)
            first.kill()
        assert second.code == 1
        assert "another edxlogs is writing it" in second.told[-1]
        cluster.workers[0].send_signal(signal.SIGCONT)
        third = run(ring, logs, out, "--dask", cluster.address, cwd=tmp_path)
    assert third.code == 0
    assert_same(here, out)


def test_a_client_that_is_killed_goes_on(
    ring: Path, logs: Path, here: Path, cluster: Cluster, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for _ in range(3):
        process = _start(ring, logs, out, "--dask", cluster.address, cwd=tmp_path)
        _wait_for_commits(out, process)
        process.kill()
        process.communicate()
    done = run(ring, logs, out, "--dask", cluster.address, cwd=tmp_path)
    assert done.code == 0
    assert_same(here, out)


@pytest.mark.slow
def test_fifty_random_kills(ring: Path, tmp_path: Path) -> None:
    """Workers, schedulers and clients die over a job of 300 inputs, until there were fifty."""
    chance = random.Random(50)
    (tmp_path / "logs").mkdir()
    real_shaped(tmp_path / "logs", days=300, megabytes=0.03)
    logs = tmp_path / "logs"
    assert run(ring, logs, tmp_path / "here", cwd=tmp_path).code == 0
    kills = rounds = 0
    while kills < 50:
        rounds += 1
        out = tmp_path / f"there-{rounds}"
        with cluster_in(tmp_path / f"cluster-{rounds}", 2) as cluster:
            process = _start(ring, logs, out, "--dask", cluster.address, cwd=tmp_path)
            while True:
                with suppress(subprocess.TimeoutExpired):
                    told = process.communicate(timeout=chance.uniform(0.1, 1.5))[1]
                    assert process.returncode == 0, told.decode()
                    break
                kills += 1
                victim = chance.choice(["worker", "worker", "scheduler", "client"])
                if victim == "client":
                    process.kill()
                    process.communicate()
                    process = _start(ring, logs, out, "--dask", cluster.address, cwd=tmp_path)
                elif victim == "worker":
                    chance.choice(cluster.workers[-2:]).kill()
                    cluster.add_worker()
                else:
                    assert cluster.scheduler is not None
                    cluster.scheduler.kill()
                    cluster.scheduler.wait()
                    cluster.start_scheduler()
                    cluster.add_worker()
        assert_same(tmp_path / "here", out)


def _start(ring: Path, logs: Path, out: Path, *more: str, cwd: Path) -> subprocess.Popen[bytes]:
    arguments = [*commands.EAGER, *words(ring, logs, out, *more)]
    return subprocess.Popen(arguments, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _wait_for_commits(out: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a run has committed something, or has ended."""
    head = out / "_edxlogs" / "head"
    before = head.read_bytes() if head.exists() else b""
    for _ in range(600):
        if process.poll() is not None or (head.exists() and head.read_bytes() != before):
            return
        time.sleep(0.05)
    raise AssertionError("nothing was committed")


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster without a worker."""
    with cluster_in(tmp_path / "cluster", 0) as found:
        yield found


PRELOAD = "from edxlogs import _core\n_core.__version__ = '0.0.9'\n"


@pytest.mark.parametrize(
    "trouble",
    ["key", "version", *(pytest.param(one, marks=pytest.mark.slow) for one in ("gpg", "edxlogs"))],
)
def test_a_host_that_is_unfit_is_named_and_gets_nothing(
    ring: Path, logs: Path, here: Path, lone: Cluster, tmp_path: Path, trouble: str
) -> None:
    options: list[str] = []
    environment: dict[str, str] = {}
    with keys.home() as empty:
        if trouble == "key":
            environment["GNUPGHOME"] = str(empty)
        elif trouble == "gpg":
            environment["PATH"] = str(empty)
        else:
            preload = tmp_path / "preload.py"
            preload.write_text(
                PRELOAD if trouble == "version" else "import sys\nsys.modules['edxlogs'] = None\n"
            )
            options = ["--preload", str(preload)]
        words = {
            "key": "no such secret key is in the key ring",
            "gpg": "no such program",
            "version": "has edxlogs 0.0.9, but this host has",
            "edxlogs": "has no edxlogs",
        }[trouble]
        lone.add_worker(*options, **environment)
        told = commands.run(*_own(logs, tmp_path / "none", lone), cwd=tmp_path, GNUPGHOME=str(ring))
        assert told.code == 2
        assert words in told.told[0]
        assert "no worker can do the work" in told.told[-1]
        lone.add_worker(GNUPGHOME=str(ring))
        out = tmp_path / "out"
        done = commands.run(*_own(logs, out, lone), cwd=tmp_path, GNUPGHOME=str(ring))
        assert done.code == 0
        assert len(done.told) <= 1  # the good one may be there first
        assert all(words in one for one in done.told)
        rows = sum(file["rows"] for file in datasets.manifest(out)["files"].values())
        held = datasets.manifest(here)["files"].items()
        assert rows == sum(file["rows"] for path, file in held if not path.startswith("_edxlogs/"))


def _own(logs: Path, out: Path, cluster: Cluster) -> list[Any]:
    """A run by which each host uses its own key ring."""
    return ["filter", logs, "-o", out, *KEYS, "--no-prompt", "--dask", cluster.address]


def test_each_host_has_an_agent_of_its_own_and_the_command_needs_no_key(
    ring: Path, logs: Path, here: Path, lone: Cluster, tmp_path: Path
) -> None:
    with keys.home() as one, keys.home() as other, keys.home() as empty:
        secret = keys.gpg(ring, "--export-secret-keys")
        for home in (one, other):
            keys.gpg(home, "--import", data=secret)
            lone.add_worker(GNUPGHOME=str(home))
        out = tmp_path / "out"
        done = commands.run(*_own(logs, out, lone), cwd=tmp_path, GNUPGHOME=str(empty))
    assert (done.code, done.told) == (0, [])
    rows = sum(file["rows"] for file in datasets.manifest(out)["files"].values())
    held = datasets.manifest(here)["files"].items()
    assert rows == sum(file["rows"] for path, file in held if not path.startswith("_edxlogs/"))


def test_a_scheduler_of_another_version(logs: Path, tmp_path: Path) -> None:
    preload = tmp_path / "preload.py"
    preload.write_text(
        "from importlib import metadata\n"
        "own = metadata.version\n"
        "def version(name):\n"
        "    return '2024.1.0' if name == 'distributed' else own(name)\n"
        "version.__module__, version.__qualname__ = own.__module__, own.__qualname__\n"
        "metadata.version = version\n"
    )
    with cluster_in(tmp_path / "cluster", 0, "--preload", str(preload)) as cluster:
        done = commands.run(*_own(logs, tmp_path / "out", cluster), cwd=tmp_path)
    assert done.code == 2
    assert len(done.told) == 1
    assert "its scheduler has distributed 2024.1.0, but this host has" in done.told[0]
    assert not (tmp_path / "out").exists()


def test_a_host_that_does_not_share_the_folder(
    ring: Path, logs: Path, lone: Cluster, tmp_path: Path
) -> None:
    preload = tmp_path / "preload.py"
    preload.write_text(
        "import pathlib\nsee = pathlib.Path.is_dir\n"
        "pathlib.Path.is_dir = lambda path: 'try-' not in path.name and see(path)\n"
    )
    lone.add_worker("--preload", str(preload))
    done = commands.run(*_own(logs, tmp_path / "out", lone), cwd=tmp_path, GNUPGHOME=str(ring))
    assert done.code == 2
    assert "use a folder that all hosts share" in done.told[0]
    assert not datasets.files(tmp_path / "out")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("local:0", "write local:N"),
        ("local:many", "write local:N"),
        ("missing.json", "no such file"),
        ("tcp://127.0.0.1:1", "there is no answer"),
        ("127.0.0.1", "start dask scheduler there"),
        ("nonsense://x", "start dask scheduler there"),
        ("tls://127.0.0.1:1", "no certificates are configured"),
        ("nowhere/scheduler.json", "no such file"),
    ],
)
def test_an_address_that_is_none(
    logs: Path, tmp_path: Path, address: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "2s")
    out = tmp_path / "out"
    told = commands.run("filter", logs, "-o", out, *KEYS, "--dask", address, cwd=tmp_path)
    assert told.code == 2
    assert len(told.told) == 1
    assert words in told.told[0]
    assert not out.exists()


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b'{"address": 5}', b"\xff\xfe", b"[" * 9999])
def test_a_file_that_is_no_scheduler_file(logs: Path, tmp_path: Path, text: bytes) -> None:
    (tmp_path / "file.json").write_bytes(text)
    out = tmp_path / "out"
    told = commands.run("filter", logs, "-o", out, *KEYS, "--dask", "file.json", cwd=tmp_path)
    assert told.code == 2
    assert len(told.told) == 1
    assert "file.json: is not a scheduler file; start dask scheduler" in told.told[0]
    assert not out.exists()


def test_a_scheduler_file_may_come_late(
    logs: Path, ring: Path, tmp_path: Path, lone: Cluster
) -> None:
    """As in a job that starts scheduler, workers and command one after the other."""
    lone.add_worker(GNUPGHOME=str(ring))
    text = lone.file.read_bytes()
    file = tmp_path / "late.json"

    def write() -> None:
        time.sleep(3)
        file.write_bytes(text[:9])
        time.sleep(0.5)
        file.write_bytes(text)

    writer = threading.Thread(target=write)
    writer.start()
    words = ("filter", logs, "-o", tmp_path / "out", *KEYS, "--dask", file)
    told = commands.run(*words, cwd=tmp_path, GNUPGHOME=str(ring))
    writer.join()
    assert told.code == 0, told.told
    assert datasets.files(tmp_path / "out")


def test_a_worker_names_the_folder_that_is_full() -> None:
    from edxlogs.groups.workers import run

    class Full:
        places = (Path("/shared/events/_edxlogs/new"),)

        def run(self) -> None:
            raise edxlogs.OutputError("cannot be written", errno=errno.ENOSPC, is_placed=False)

    full: Any = Full()
    told: Any = run(full)
    assert told.why == (
        "output: /shared/events/_edxlogs/new: No space left on device; make room, or name another"
        " place, and run again"
    )


def test_one_file_is_made_here(logs: Path, tmp_path: Path) -> None:
    told = commands.run("filter", logs, "-o", "x.csv", "--dask", "local:1", cwd=tmp_path)
    assert told.code == 2
    assert "dask: is for datasets" in told.told[0]


def read(logs: Path, ring: Path, **more: Any) -> Any:
    """A Dask DataFrame of the logs."""
    pytest.importorskip("dask.dataframe")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from edxlogs.dask import read

        return read(logs, gnupg_home=ring, **more)


def test_a_data_frame(ring: Path, logs: Path, tmp_path: Path) -> None:
    conditions: dict[str, Any] = {
        "event_source": "server",
        "columns": ["time", "a=user_id", "line"],
    }
    frame = read(logs, ring, **conditions)
    assert list(frame.columns) == ["time", "a", "line"]
    assert str(frame.dtypes["line"]) == "int64[pyarrow]"
    with edxlogs.filter(logs, gnupg_home=ring, **conditions) as rows:
        expected = pyarrow.table(rows)
    with dask.config.set(scheduler="synchronous"):
        assert frame.npartitions == 1
        computed = frame.compute()
        assert pyarrow.Table.from_pandas(computed, preserve_index=False).to_pylist() == (
            expected.to_pylist()
        )
        assert frame["a"].count().compute() == expected.num_rows - expected["a"].null_count
        assert read(logs, ring, user="nobody").compute().empty


def test_columns_that_are_not_used_are_not_read(
    ring: Path, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = read(logs, ring)
    asked: list[Any] = []

    def noted(settings: Settings) -> Any:
        asked.append(settings.columns)
        return stream(settings)

    monkeypatch.setattr("edxlogs.dask.stream", noted)
    with dask.config.set(scheduler="synchronous"):
        frame["event_type"].value_counts().compute()
    assert asked == [("event_type",)]


def test_a_partition_with_a_damaged_source_raises(ring: Path, logs: Path, tmp_path: Path) -> None:
    path = sorted(logs.iterdir())[0]
    (tmp_path / path.name).write_bytes(path.read_bytes()[:-40])
    with dask.config.set(scheduler="synchronous"), pytest.raises(edxlogs.DecryptError):
        read(tmp_path, ring).compute()


def test_what_cannot_be_a_partition(tmp_path: Path, ring: Path) -> None:
    with pytest.raises(edxlogs.ConfigError, match="is a stream"):
        read(io.BytesIO(b""), ring)  # type: ignore[arg-type]
    with pytest.raises(edxlogs.MissingSourceError):
        read(tmp_path / "missing.log", ring)
