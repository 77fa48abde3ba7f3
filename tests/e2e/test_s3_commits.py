"""Commits to datasets in buckets: killed at each step, raced, refused, answered or not.

The server is one whose conditions hold however many ask at once.
"""

from __future__ import annotations

import datetime
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import atomic_s3
import bucket_datasets
import commands
import datasets
import edxlogs
import fault_proxy
from atomic_s3 import BUCKET, AtomicServer
from datasets import Step
from edxlogs.buckets import bucket
from edxlogs.buckets.bucket import Bucket
from edxlogs.buckets.requests import honours_conditions
from edxlogs.buckets.sweep import unnamed
from edxlogs.errors import ConfigError, OutputError, S3Error
from edxlogs.s3.client import S3
from edxlogs.store import manifest
from edxlogs.store.manifest import DataFile, Identity, Input, Manifest, Segment
from edxlogs.store.store import GRACE, Store, measured
from fault_proxy import Fault, FaultProxy

URL = f"s3://{BUCKET}/events"
FILTER = ("filter", "logs", "-o", URL, "--partition-by", "event_type", "--rejects", "rejects", "-q")
LOST = (
    f"output: {URL}: another run has written to it since this one began; run the same command again"
)


@pytest.fixture
def server(aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[AtomicServer]:
    with atomic_s3.run() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server


@pytest.fixture
def fault(server: AtomicServer) -> Iterator[FaultProxy]:
    with fault_proxy.run(server.url) as proxy:
        yield proxy


def objects(server: AtomicServer) -> dict[str, bytes]:
    """By their keys below the prefix."""
    with server.lock:
        found = {key: one.content for key, one in server.objects.items()}
    return {key.removeprefix("events/"): content for key, content in found.items()}


def count(server: AtomicServer) -> int:
    """How many there are."""
    return len(bucket_datasets.commits(objects(server)))


def on_disk(server: AtomicServer, folder: Path) -> Path:
    """The dataset, whole, without what no state names."""
    out = bucket_datasets.on_disk(objects(server), folder)
    named = set(datasets.manifest(out)["files"])
    datasets.assert_whole(bucket_datasets.without_unnamed(out, named))
    return out


class TestKills:
    """The command, killed at a step; then run again."""

    @pytest.fixture
    def cwd(self, tmp_path: Path, server: AtomicServer, monkeypatch: pytest.MonkeyPatch) -> Path:
        (tmp_path / "tmp").mkdir()
        monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
        monkeypatch.setattr(tempfile, "tempdir", None)
        self._logs(tmp_path, first=0, count=3)
        return tmp_path

    @staticmethod
    def _logs(cwd: Path, first: int, count: int) -> None:
        (cwd / "logs").mkdir(exist_ok=True)
        for number in range(count):
            types = ("problem_check", "play_video")
            lines = [commands.event(number + first, event_type=one) for one in types]
            content = b"".join([*lines, b"no event\n"])
            (cwd / "logs" / f"day-{number}.log").write_bytes(content)

    def _run(self, cwd: Path, kill_at: int = -1) -> list[Step]:
        code, steps = datasets.run(*FILTER, cwd=cwd, kill_at=kill_at, group=1)
        assert code == (0 if kill_at < 0 else -signal.SIGKILL)
        return steps

    def _state(self, cwd: Path, server: AtomicServer) -> tuple[Any, ...]:
        out = on_disk(server, cwd / "there")
        told = datasets.manifest(out)
        rejects = (cwd / "rejects").read_bytes()
        return told["inputs"], told["files"], datasets.files(out), rejects

    def _killed(
        self, cwd: Path, server: AtomicServer, at_steps: Callable[[list[Step]], list[int]]
    ) -> None:
        """From the state that is there: kill a run, look, and run again."""
        begun = dict(server.objects)
        rejects = (cwd / "rejects").read_bytes() if count(server) else None
        old = count(server)
        steps = self._run(cwd)
        wanted = self._state(cwd, server)
        for at in at_steps(steps):
            server.objects = dict(begun)
            (cwd / "rejects").unlink()
            if rejects is not None:
                (cwd / "rejects").write_bytes(rejects)
            self._run(cwd, kill_at=at)
            done = sum(step.name == "put-commit" for step in steps[:at])
            assert count(server) == old + done
            if old + done:
                on_disk(server, cwd / "there")
            self._run(cwd)
            assert self._state(cwd, server) == wanted, (at, steps[at])
            assert server.overwritten == []
            assert list((cwd / "tmp").iterdir()) == []

    def _few(self, steps: list[Step]) -> list[int]:
        """Around the first commit, at the last one, and before each kind of object."""
        commits = [at for at, step in enumerate(steps) if step.name == "put-commit"]
        puts = [at for at, step in enumerate(steps) if step.name == "put-object"]
        kinds = {steps[at].paths[-1].name[:2]: at for at in reversed(puts)}
        return sorted({commits[0] - 1, commits[0], commits[0] + 1, commits[-1], *kinds.values()})

    def test_a_run(self, cwd: Path, server: AtomicServer) -> None:
        self._killed(cwd, server, self._few)

    @pytest.mark.slow
    def test_a_run_at_every_step(self, cwd: Path, server: AtomicServer) -> None:
        self._killed(cwd, server, lambda steps: list(range(len(steps))))

    @pytest.mark.slow
    def test_a_run_that_replaces_and_makes_a_checkpoint(
        self, cwd: Path, server: AtomicServer
    ) -> None:
        self._logs(cwd, first=0, count=9)
        self._run(cwd)
        self._logs(cwd, first=100, count=9)
        self._killed(cwd, server, lambda steps: list(range(len(steps))))
        assert any("_edxlogs/checkpoint-" in key for key in server.objects)

    def test_what_is_left_is_swept(self, cwd: Path, server: AtomicServer) -> None:
        """After the time of grace, nothing stays that no state names."""
        steps = self._run(cwd)
        self._logs(cwd, first=100, count=3)
        server.objects.clear()
        (cwd / "rejects").unlink()
        last = max(at for at, step in enumerate(steps) if step.name == "put-commit")
        self._run(cwd, kill_at=last - 3)
        self._logs(cwd, first=200, count=3)
        self._run(cwd)
        edxlogs.clean(URL)
        assert any(key.endswith("x.parquet") for key in server.objects) is False
        before = self._state(cwd, server)
        server.age(GRACE + datetime.timedelta(hours=1))
        done = edxlogs.clean(URL)
        assert done.removed > 0
        assert done.waiting == 0
        there = {key for key in objects(server) if not key.startswith("_edxlogs/")}
        assert there == set(before[2])
        beside = [key for key in objects(server) if key.startswith("_edxlogs/rejects/")]
        assert len(beside) == 3
        assert self._state(cwd, server)[:2] == before[:2]
        assert edxlogs.clean(URL).removed == 0


class _Writer:
    """One of several that write to a dataset at once, in this process: each has its own folder."""

    def __init__(self, number: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = number
        folder.mkdir(exist_ok=True)
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        self.place = Bucket(URL, S3())
        self.outcome = ""
        self.path = ""

    def begin(self) -> None:
        self.store = Store(self.place)
        self.store.query = {"format": "csv", "partition_by": []}

    def commit(self, turn: int) -> None:
        """Commit an input with a file, whose path is that of all others."""
        store = self.store
        (store.new / "new").write_bytes(f"{turn} {self.number}\n".encode())
        size, sha256 = measured(store.new / "new")
        number = store.manifest.next_number
        identity = Identity(f"/logs/{turn}-{self.number}", size)
        segment = Segment(f"{turn} {self.number}")
        segment.inputs = [Input(number, identity, "delivered", 1, {"of": self.number})]
        segment.added = [DataFile(f"a=1/part-{turn}.csv", "new", 1, size, sha256, [(number, 1)])]
        try:
            store.commit(segment)
            self.outcome = ""
        except OutputError as error:
            self.outcome = str(error)


def _race(
    server: AtomicServer, tmp_path: Path, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "CHECKPOINT_COMMITS", 5)
    writers = [_Writer(n, tmp_path / f"tmp-{n}", monkeypatch) for n in range(8)]
    won: list[int] = []
    for turn in range(turns):
        for one in writers:
            one.begin()
        barrier = threading.Barrier(len(writers))

        def run(one: _Writer, turn: int = turn, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            one.commit(turn)

        threads = [threading.Thread(target=run, args=(one,)) for one in writers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for one in writers:
            one.store.close()
        (winner,) = (one for one in writers if not one.outcome)
        assert {one.outcome for one in writers if one is not winner} == {LOST}
        won.append(winner.number)
    # Nothing is lost: each winner's rows are there, and were never put over.
    out = on_disk(server, tmp_path / "there")
    state = datasets.manifest(out)
    assert state["commits"] == turns
    wanted = {f"/logs/{turn}-{number}" for turn, number in enumerate(won)}
    assert set(state["inputs"]) == wanted
    contents = {path.read_text() for path in out.glob("a=1/*")}
    assert contents == {f"{turn} {number}\n" for turn, number in enumerate(won)}
    assert server.overwritten == []


def test_a_race(server: AtomicServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _race(server, tmp_path, 12, monkeypatch)


@pytest.mark.slow
def test_200_races(server: AtomicServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _race(server, tmp_path, 200, monkeypatch)


def test_runs_at_once(server: AtomicServer, tmp_path: Path) -> None:
    """Whole commands of several hosts: some end with one sentence, and are run again."""
    names = [str(number) for number in range(4)]
    words = {name: ("filter", f"{name}.log", *FILTER[2:6], "-q") for name in names}
    for number, name in enumerate(names):
        (tmp_path / f"{name}.log").write_bytes(commands.events(10, first=10 * number))
        (tmp_path / f"tmp-{name}").mkdir()

    def start(name: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "TMPDIR": str(tmp_path / f"tmp-{name}")}
        return commands.start(*words[name], cwd=tmp_path, env=environment)

    left = names
    while left:
        again = []
        processes = {name: start(name) for name in left}
        for name, process in processes.items():
            done = commands.finish(process)
            assert list((tmp_path / f"tmp-{name}").iterdir()) == []
            if done.code != 0:
                assert (done.code, done.told) == (1, [f"edxlogs: {LOST}"])
                again.append(name)
        assert len(again) < len(left)
        left = again
    on_disk(server, tmp_path / "there")
    assert server.overwritten == []
    rows = edxlogs.dataset(URL).to_table(columns=["user_id"])["user_id"].to_pylist()
    assert sorted(rows) == list(range(40))


def test_two_runs_on_one_host(server: AtomicServer, tmp_path: Path) -> None:
    with (
        Store(Bucket(URL, S3())),
        pytest.raises(OutputError, match="another edxlogs is writing it"),
    ):
        Store(Bucket(URL, S3()))


class TestAnswers:
    """A commit whose answer is lost, late or odd."""

    @pytest.fixture(autouse=True)
    def _quick(self, quick_retries: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bucket, "_DELAY", 0.001)
        self.writer = _Writer(1, tmp_path / "tmp", monkeypatch)

    def _commit(self, server: AtomicServer, fault: FaultProxy, turn: int = 0) -> str:
        self.writer.place.s3 = S3(endpoint_url=fault.url)
        self.writer.begin()
        self.writer.commit(turn)
        self.writer.store.close()
        return self.writer.outcome

    @pytest.mark.parametrize(
        "planned",
        [
            None,  # it was done, but nobody said so
            Fault(status=503, code="SlowDown"),
            Fault(status=409, code="ConditionalRequestConflict"),
            Fault(silent=True),
        ],
    )
    def test_it_is_done_once(
        self, server: AtomicServer, fault: FaultProxy, tmp_path: Path, planned: Fault | None
    ) -> None:
        for part in ("segments/", "part-"):
            if planned is None:
                server.losing["PUT", part] = 2
            else:
                fault.plan(planned, method="PUT", part=part, times=2)
        assert self._commit(server, fault) == ""
        assert datasets.manifest(on_disk(server, tmp_path / "there"))["commits"] == 1

    def test_it_is_not_known(self, server: AtomicServer, fault: FaultProxy, tmp_path: Path) -> None:
        """The server does it, and is never heard of again: the next run finds it."""
        server.losing |= {("PUT", "segments/"): 99, ("HEAD", "segments/"): 99}
        assert "the connection broke each time; check the network and run again" in self._commit(
            server, fault
        )
        server.losing.clear()
        assert self._commit(server, fault, turn=1) == ""
        assert datasets.manifest(on_disk(server, tmp_path / "there"))["commits"] == 2

    def test_it_is_anothers(self, server: AtomicServer, fault: FaultProxy, tmp_path: Path) -> None:
        def put_theirs() -> None:
            theirs = atomic_s3.Stored(b"{}\n", {}, datetime.datetime.now(datetime.UTC))
            server.objects["events/_edxlogs/segments/999999999999"] = theirs

        fault.plan(Fault(before=put_theirs, silent=True), method="PUT", part="segments/")
        assert self._commit(server, fault) == LOST


class TestObjects:
    """Which objects are gone on with, and which are swept."""

    @pytest.fixture
    def writer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Writer:
        return _Writer(1, tmp_path / "tmp", monkeypatch)

    def _abandon(self, writer: _Writer, server: AtomicServer) -> None:
        """Upload a file, and come to no commit."""
        writer.begin()
        commit = writer.place.commit
        writer.place.commit = _fails  # type: ignore[method-assign, assignment]
        writer.commit(0)
        writer.place.commit = commit  # type: ignore[method-assign]
        writer.store.close()
        assert writer.outcome == "output: given up"
        assert list(_rows(server)) == ["a=1/part-0.csv"]

    def test_the_same_is_gone_on_with(self, server: AtomicServer, writer: _Writer) -> None:
        self._abandon(writer, server)
        writer.begin()
        writer.commit(0)
        assert list(_rows(server)) == ["a=1/part-0.csv"]
        writer.store.close()

    @pytest.mark.parametrize("how", ["other", "old"])
    def test_another_name_is_found(
        self, server: AtomicServer, writer: _Writer, tmp_path: Path, how: str
    ) -> None:
        self._abandon(writer, server)
        if how == "old":
            server.age(GRACE / 2 + datetime.timedelta(hours=1))
        else:
            writer.number = 2
        writer.begin()
        writer.commit(0)
        assert list(_rows(server)) == ["a=1/part-0.csv", "a=1/part-0x.csv"]
        on_disk(server, tmp_path / "there")
        writer.store.close()

    def test_what_is_swept(
        self,
        server: AtomicServer,
        writer: _Writer,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Only what is old, ours, and named by no state of the time of grace."""
        now = datetime.datetime.now(datetime.UTC)
        self._abandon(writer, server)
        ours = server.objects["events/a=1/part-0.csv"]
        writer.number = 2
        for turn in range(3):
            writer.begin()
            writer.commit(turn)
            writer.store.close()
        theirs = atomic_s3.Stored(b"x", {}, now)
        server.objects |= {
            "events/README": theirs,
            "events/a=1/part-9.csv": theirs,
            "events/_edxlogs/other": theirs,
            "events2/a=1/part-1.csv": ours,
            "events/_edxlogs/checkpoint-00000001-x": ours,
            f"events/_edxlogs/rejects/2-{'0' * 64}": ours,
            f"events/_edxlogs/rejects/3-{'0' * 64}": ours,
        }
        before = dict(server.objects)
        writer.begin()
        assert unnamed(writer.place, writer.store.manifest) == []
        server.age(GRACE + datetime.timedelta(hours=1))
        server.objects["events/a=1/part-8.csv"] = atomic_s3.Stored(b"y", ours.metadata, now)
        gone = {
            "events/a=1/part-0.csv",
            "events/_edxlogs/checkpoint-00000001-x",
            f"events/_edxlogs/rejects/2-{'0' * 64}",
        }
        assert set(unnamed(writer.place, writer.store.manifest)) == gone
        writer.store.close()
        # One that slept meanwhile, with objects that nobody knew, comes to no commit.
        sleeper = _Writer(3, tmp_path / "sleeper", monkeypatch)
        sleeper.begin()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        assert edxlogs.clean(URL).removed == 3
        left = {key for key in server.objects if "/segments/" not in key}
        assert left == {key for key in before if "/segments/" not in key} - gone | {
            "events/a=1/part-8.csv"
        }
        sleeper.commit(7)
        assert sleeper.outcome == LOST
        sleeper.store.close()

    def test_checkpoints_stay_for_readers(
        self, server: AtomicServer, writer: _Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(manifest, "CHECKPOINT_COMMITS", 2)
        monkeypatch.setattr(manifest, "_MERGED", 2)
        for turn in range(8):
            writer.begin()
            writer.commit(turn)
            writer.store.close()
        old = Manifest(Bucket(URL, S3()))
        old.load()
        server.age(GRACE * 2)
        for turn in range(8, 16):
            writer.begin()
            writer.commit(turn)
            writer.store.close()
        assert edxlogs.clean(URL).waiting == 0
        assert len(list(old.files())) == 8
        server.age(GRACE * 2)
        there = sum("checkpoint-" in key for key in server.objects)
        assert edxlogs.clean(URL).removed > 0
        assert sum("checkpoint-" in key for key in server.objects) < there
        new = Manifest(Bucket(URL, S3()))
        new.load()
        assert len(list(new.files())) == 16

    def test_copies(self, server: AtomicServer, writer: _Writer) -> None:
        """Each is there until it is forgotten itself; what came damaged is none."""
        for turn in range(2):
            writer.begin()
            writer.commit(turn)
            writer.store.close()
        writer.begin()
        one, other = writer.store.manifest.files()
        first, second = writer.place.local(one), writer.place.local(other)
        assert writer.place.local(one) == first
        assert (first.read_text(), second.read_text()) == ("0 1\n", "1 1\n")
        writer.place.forget([one])
        assert not first.exists()
        assert second.read_text() == "1 1\n"
        server.objects["events/a=1/part-0.csv"].content = b"0 2\n"
        with pytest.raises(S3Error, match="do not match their checksum"):
            writer.place.local(one)
        writer.store.close()
        assert not second.exists()

    def test_files_that_were_replaced(
        self, server: AtomicServer, tmp_path: Path, writer: _Writer
    ) -> None:
        writer.begin()
        writer.commit(0)
        segment = Segment("gone", removed=["a=1/part-0.csv"])
        writer.store.commit(segment)
        writer.store.close()
        writer.begin()
        assert writer.store.retired() == ([], ["a=1/part-0.csv"])
        writer.store.close()
        server.age(GRACE + datetime.timedelta(hours=1))
        writer.begin()
        writer.commit(1)
        assert list(_rows(server)) == ["a=1/part-1.csv"]
        writer.store.close()


def _fails(*_: Any) -> None:
    raise OutputError("output: given up")


def _rows(server: AtomicServer) -> list[str]:
    return sorted(key for key in objects(server) if not key.startswith("_edxlogs/"))


def test_a_server_without_conditions(
    server: AtomicServer, fault: FaultProxy, tmp_path: Path
) -> None:
    """It is refused before anything is read, also where a dataset is there already."""
    (tmp_path / "a.log").write_bytes(commands.events(3))
    (tmp_path / "bad.log").write_bytes(b"\x1f\x8b damaged")
    words = ("-o", URL, "--partition-by", "event_type", "-q")
    wanted = re.escape(
        f"output: {URL}: the server does not honour If-None-Match, so two runs at once could undo"
        " each other's commits; name a local folder, or another --endpoint-url"
    )
    for _ in range(2):
        server.honours = False
        done = commands.run("filter", "bad.log", *words, cwd=tmp_path)
        assert (done.code, len(done.told)) == (2, 1)
        assert re.fullmatch(f"edxlogs: {wanted}", done.told[0])
        assert not honours_conditions(S3(), BUCKET, "x")
        server.honours = True
        assert honours_conditions(S3(), BUCKET, "x")
        assert commands.run("filter", "a.log", *words, cwd=tmp_path).code == 0
    fault.plan(Fault(status=501, code="NotImplemented"), method="PUT", part="begun")
    with pytest.raises(ConfigError, match=wanted):
        Store(Bucket(URL, S3(endpoint_url=fault.url)))
    assert edxlogs.dataset(URL).count_rows() == 3


def test_doctor(server: AtomicServer, fault: FaultProxy) -> None:
    def told(url: str = URL, **more: Any) -> str:
        looked = edxlogs.doctor(folders=[url], **more)
        return str([(one.health, one.told) for one in looked.checks if one.name == "dataset"])

    assert (
        told() == f"[(<Health.OK: 'ok'>, '{URL}: can be written, and supports conditional writes')]"
    )
    server.honours = False
    assert "does not honour If-None-Match" in told()
    assert "no such bucket" in told("s3://nowhere/x")
    server.honours = True
    for method in ("PUT", "DELETE"):
        fault.plan(Fault(status=403, code="AccessDenied"), method=method)
        assert "access is denied" in told(s3=S3(endpoint_url=fault.url))
    assert [key for key in server.objects if "probe" not in key] == []
