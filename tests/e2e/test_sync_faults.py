"""`edxlogs sync` through a proxy that fails as asked, killed, interrupted, on a full disk."""

from __future__ import annotations

import hashlib
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import commands
import lean_s3
from commands import finish, start
from edxlogs.edx.layout import EVENTS_BUCKET, PACKAGES_BUCKET
from fault_proxy import Fault, FaultProxy
from s3_server import Server
from syncing import PARTNER, YEAR, Sync, content, day, delivered, gets, left, objects, records

pytestmark = pytest.mark.usefixtures("aws_environment")

FAULTS = {
    "cut": Fault(cut=70_000),
    "cut at once": Fault(cut=0),
    "stalled": Fault(stall=70_000, seconds=0.5),
    "no answer": Fault(silent=True),
    "asked to slow down": Fault(status=503, code="SlowDown"),
    "server error": Fault(status=500, code="InternalError"),
    "slow": Fault(rate=400_000),
    "wrong bytes": Fault(wrong=True),
    "another ETag claimed": Fault(etag='"0123456789abcdef0123456789abcdef"'),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_nothing(
    s3_server: Server, proxy: FaultProxy, sync: Sync, folder: Path, fault: str
) -> None:
    everything = objects(3, 200_000)
    s3_server.bucket(EVENTS_BUCKET, everything)
    proxy.plan(FAULTS[fault], part=day(1))
    done = sync(f"s3://{EVENTS_BUCKET}/")
    assert delivered(folder) == everything
    assert done.told == []
    assert "3 fetched" in done.stderr
    sent = gets(proxy)
    assert sent[day(0)] == sent[day(2)] == 200_000
    ranges = [request.range for request in proxy.requests if request.path.endswith(day(1))]
    if fault in ("cut", "stalled"):
        # What was on its way in the connection may be lost with it.
        assert sent[day(1)] < 300_000
        assert any(asked is not None for asked in ranges)
    assert left(folder) == []


def test_between_two_faults_the_etag_changes(
    s3_server: Server, proxy: FaultProxy, sync: Sync, folder: Path
) -> None:
    """The object is replaced while it is read: all bytes are of the new one."""
    everything = objects(2, 200_000)
    s3_server.bucket(EVENTS_BUCKET, everything)
    new = content("new", 150_000)

    def release() -> None:
        s3_server.client().put_object(Bucket=EVENTS_BUCKET, Key=day(1), Body=new)

    proxy.plan(Fault(cut=100_000), part=day(1))
    proxy.plan(Fault(before=release), part=day(1))
    sync(f"s3://{EVENTS_BUCKET}/")
    assert delivered(folder) == {**everything, day(1): new}


def test_an_object_that_is_deleted_while_it_is_read(
    s3_server: Server, proxy: FaultProxy, sync: Sync, folder: Path
) -> None:
    everything = objects(2, 200_000)
    s3_server.bucket(EVENTS_BUCKET, everything)

    def delete() -> None:
        s3_server.client().delete_object(Bucket=EVENTS_BUCKET, Key=day(1))

    proxy.plan(Fault(cut=100_000), part=day(1))
    proxy.plan(Fault(before=delete), part=day(1))
    done = sync(f"s3://{EVENTS_BUCKET}/", code=1)
    assert done.told == [
        f"edxlogs: cannot read: s3://{EVENTS_BUCKET}/{day(1)}: it was replaced or deleted while it"
        " was read; run again"
    ]
    assert delivered(folder) == {day(0): everything[day(0)]}
    assert sync(f"s3://{EVENTS_BUCKET}/").told == []


def test_bytes_that_stay_wrong_get_no_name(
    s3_server: Server, proxy: FaultProxy, sync: Sync, folder: Path
) -> None:
    everything = objects(2, 200_000)
    s3_server.bucket(EVENTS_BUCKET, everything)
    proxy.plan(Fault(wrong=True), part=day(1), times=2)
    done = sync(f"s3://{EVENTS_BUCKET}/", code=1)
    assert done.told == [
        f"edxlogs: cannot read: s3://{EVENTS_BUCKET}/{day(1)}: the bytes received do not match"
        f" their checksum; run again"
    ]
    assert delivered(folder) == {day(0): everything[day(0)]}
    sync(f"s3://{EVENTS_BUCKET}/")
    assert delivered(folder) == everything


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault(status=403, code="AccessDenied"), "access is denied"),
        (Fault(status=403, code="InvalidObjectState"), "it is in an archive"),
    ],
)
def test_one_object_that_is_refused(
    s3_server: Server, proxy: FaultProxy, sync: Sync, folder: Path, fault: Fault, why: str
) -> None:
    everything = objects(3, 1000)
    s3_server.bucket(EVENTS_BUCKET, everything)
    proxy.plan(fault, part=day(1))
    done = sync(f"s3://{EVENTS_BUCKET}/", code=1)
    assert len(done.told) == 1
    assert f"{day(1)}: {why}" in done.told[0]
    assert "2 fetched" in done.stderr
    assert "1 failed" in done.stderr
    assert set(delivered(folder)) == {day(0), day(2)}
    sync(f"s3://{EVENTS_BUCKET}/")
    assert delivered(folder) == everything


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidAccessKeyId", "RequestTimeTooSkewed"])
def test_what_is_wrong_with_all_is_told_once(
    s3_server: Server, proxy: FaultProxy, sync: Sync, folder: Path, code: str
) -> None:
    everything = objects(40, 1000)
    s3_server.bucket(EVENTS_BUCKET, everything)
    proxy.plan(Fault(), part=day(0))
    proxy.plan(Fault(status=403, code=code), part=YEAR, times=1000)
    done = sync(f"s3://{EVENTS_BUCKET}/universityx/", "--threads", "2", code=1)
    assert len(done.told) == 1
    assert "not tried" in done.stderr
    assert sum(not request.is_list for request in proxy.requests) < 10
    proxy.reset()
    sync(f"s3://{EVENTS_BUCKET}/")
    assert delivered(folder) == everything


@pytest.mark.parametrize("code", ["ExpiredToken", "AccessDenied"])
def test_a_listing_that_is_refused(
    s3_server: Server, proxy: FaultProxy, sync: Sync, folder: Path, code: str
) -> None:
    """Access can be denied to one prefix; credentials that are no good meet all of them."""
    s3_server.bucket(EVENTS_BUCKET, objects(1, 10))
    s3_server.bucket(PACKAGES_BUCKET, {"universityx-2014-10-05.zip": b"x"})
    proxy.plan(Fault(status=403, code=code), part=f"/{EVENTS_BUCKET}?", times=2)
    done = sync(*PARTNER, code=1)
    if code == "AccessDenied":
        assert len(done.told) == 2  # of the events, and of the research exchange
        assert list(delivered(folder)) == ["universityx-2014-10-05.zip"]
    else:
        assert len(done.told) == 1
        assert delivered(folder) == {}


def test_two_at_a_time(s3_server: Server, proxy: FaultProxy, sync: Sync, folder: Path) -> None:
    everything = objects(2, 400_000)
    s3_server.bucket(EVENTS_BUCKET, everything)
    with _slowly(proxy, folder, day(1)) as first:
        done = sync(f"s3://{EVENTS_BUCKET}/", code=1)
        assert "another edxlogs is filling it" in done.told[0]
        first.send_signal(signal.SIGKILL)
        first.wait()
    sync(f"s3://{EVENTS_BUCKET}/")
    assert delivered(folder) == everything


@contextmanager
def _slowly(proxy: FaultProxy, folder: Path, key: str) -> Iterator[subprocess.Popen[bytes]]:
    """A sync that runs, and has begun to write a part of a slow object."""
    proxy.plan(Fault(rate=100_000), part=key)
    process = start(
        "sync", f"s3://{EVENTS_BUCKET}/", folder.name, cwd=folder.parent,
        env={**os.environ, "AWS_ENDPOINT_URL": proxy.url},
    )  # fmt: skip
    try:
        end = time.monotonic() + 30
        while not _waiting(folder, 60_000):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.communicate()


def _waiting(folder: Path, size: int) -> bool:
    parts = list((folder / "_edxlogs/parts").glob("*.part"))
    try:
        return len(parts) == 1 and parts[0].stat().st_size >= size
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_sync_that_is_stopped_goes_on_where_it_was(
    s3_server: Server, proxy: FaultProxy, sync: Sync, folder: Path, stop: signal.Signals
) -> None:
    everything = objects(3, 400_000)
    s3_server.bucket(EVENTS_BUCKET, everything)
    with _slowly(proxy, folder, day(1)) as process:
        process.send_signal(stop)
        done = finish(process, 30)
    if stop is signal.SIGKILL:
        assert done.code == -signal.SIGKILL
    else:
        assert done.code == 130
        last = done.stderr.splitlines()[-1]
        assert last == "interrupted: run the same command again to continue where it stopped"
    assert delivered(folder) == {key: everything[key] for key in (day(0), day(2))}
    assert len(left(folder)) == 1
    proxy.reset()
    sync(f"s3://{EVENTS_BUCKET}/")
    assert delivered(folder) == everything
    assert left(folder) == []
    (again,) = [one for one in proxy.requests if one.method == "GET" and not one.is_list]
    assert again.path.endswith(day(1))
    assert again.range is not None
    assert int(again.range.removeprefix("bytes=").split("-")[0]) >= 60_000


@contextmanager
def _small_disk(path: Path, size: int) -> Iterator[None]:
    """A file system of that size, where we may make one."""
    path.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk(s3_server: Server, proxy: FaultProxy, sync: Sync, folder: Path) -> None:
    everything = objects(20, 100_000)
    s3_server.bucket(EVENTS_BUCKET, everything)
    with _small_disk(folder, 800_000):
        done = sync(f"s3://{EVENTS_BUCKET}/", "--threads", "2", code=1)
        assert len(done.told) == 1
        assert "No space left on device; make room and run again" in done.told[0]
        assert "not tried" in done.stderr
        whole = delivered(folder)
        assert 0 < len(whole) < 20
        assert all(everything[key] == data for key, data in whole.items())
        subprocess.run(["mount", "-o", "remount,size=8m", str(folder)], check=True)
        sync(f"s3://{EVENTS_BUCKET}/", "--threads", "2")
        assert delivered(folder) == everything
        assert {gets(proxy)[key] for key in whole} == {100_000}


def test_a_file_that_may_not_be_so_large(
    s3_server: Server, proxy: FaultProxy, sync: Sync, folder: Path
) -> None:
    """As a quota would have it; works without being root."""
    everything = {**objects(2, 50_000), day(2): content("large", 300_000)}
    s3_server.bucket(EVENTS_BUCKET, everything)
    words = ["sync", f"s3://{EVENTS_BUCKET}/", folder.name]
    limited = subprocess.run(
        ["bash", "-c", 'ulimit -f 200; exec "$@"', "-", *commands.COMMAND, *words],
        cwd=folder.parent,
        capture_output=True,
        timeout=commands.SECONDS,
        env={**os.environ, "AWS_ENDPOINT_URL": proxy.url},
    )
    done = commands.judge(limited.returncode, limited.stdout, limited.stderr)
    assert done.code == 1
    assert len(done.told) == 1
    assert "File too large" in done.told[0]
    assert set(delivered(folder)) == {day(0), day(1)}
    sync(f"s3://{EVENTS_BUCKET}/")
    assert delivered(folder) == everything
    assert gets(proxy)[day(2)] < 600_000


class Chaos:
    """A sync that is run again and again while the network breaks and the process is killed.

    Args:
        proxy: the network; it is slow enough for the first bytes of an object to be on disk before
            its last ones are sent.
        folder: the mirror.
        seed: of the faults.
    """

    def __init__(self, proxy: FaultProxy, folder: Path, seed: int) -> None:
        self._proxy = proxy
        self._folder = folder
        self._rng = random.Random(seed)
        self._process: subprocess.Popen[bytes] | None = None
        self.happened = self.kills = 0
        proxy.rate = 2_000_000

    def plan(self, keys: list[str], size: int, count: int) -> None:
        """Plan so many faults for the requests of random objects."""
        for _ in range(count):
            at = self._rng.randrange(size)
            fault = self._rng.choice(
                [
                    Fault(cut=at, before=self._count),
                    Fault(stall=at, seconds=0.2, before=self._count),
                    Fault(status=503, code="SlowDown", before=self._count),
                    Fault(status=500, code="InternalError", before=self._count),
                    Fault(silent=True, before=self._count),
                    Fault(before=self._kill_soon),
                ]
            )
            self._proxy.plan(fault, part=self._rng.choice(keys))

    def _count(self) -> None:
        self.happened += 1

    def _kill_soon(self) -> None:
        self._count()
        timer = threading.Timer(self._rng.uniform(0, 0.2), self._kill)
        timer.daemon = True
        timer.start()

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self.kills += 1

    def run(self) -> None:
        """Run the command until it ends with nothing left to do."""
        for _ in range(500):
            self._process = start(
                "sync", f"s3://{EVENTS_BUCKET}/", self._folder.name, cwd=self._folder.parent,
                env={**os.environ, "AWS_ENDPOINT_URL": self._proxy.url},
            )  # fmt: skip
            done = finish(self._process)
            assert done.code in (0, 1, -signal.SIGKILL), done.stderr
            if done.code == 0 and "0 fetched" in done.stderr:
                return
        raise AssertionError("it never came to its end")


def _chaos(server: Server, proxy: FaultProxy, folder: Path, count: int, faults: int) -> None:
    everything = objects(count, 300_000)
    server.bucket(EVENTS_BUCKET, everything)
    chaos = Chaos(proxy, folder, seed=faults)
    chaos.plan(sorted(everything), 300_000, faults)
    chaos.run()
    assert delivered(folder) == everything
    assert left(folder) == []
    # An object that came whole while the process was being killed takes no further fault.
    assert chaos.happened >= faults * 0.9
    assert chaos.kills > 0
    sent = gets(proxy)
    assert {key: count for key, count in sent.items() if count >= 600_000} == {}


def test_random_faults(s3_server: Server, proxy: FaultProxy, folder: Path) -> None:
    _chaos(s3_server, proxy, folder, 30, 20)


@pytest.mark.slow
def test_many_random_faults(s3_server: Server, proxy: FaultProxy, folder: Path) -> None:
    """Every file is byte-exact in the end, and none was fetched twice in full."""
    _chaos(s3_server, proxy, folder, 300, 200)


@pytest.mark.slow
def test_a_large_object_goes_on_within_its_memory(folder: Path, tmp_path: Path) -> None:
    size, most = 3_000_000_000, 300 << 20
    with lean_s3.run(1, size, tmp_path / "asked") as server:
        words = ("sync", f"s3://{lean_s3.BUCKET}/", folder.name)
        environment = {**os.environ, "AWS_ENDPOINT_URL": server.url}
        process = start(*words, cwd=tmp_path, env=environment)
        end = time.monotonic() + 300
        while not _waiting(folder, size // 3):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)
        peak = _peak(process.pid)
        process.kill()
        process.communicate()
        assert peak < most
        done, peak = commands.run_measured(*words, cwd=tmp_path, env=environment, seconds=300)
        assert done.code == 0, done.stderr
        assert peak < most
        first, second = server.asked()
        assert first == 0
        assert second >= size // 3
        key = lean_s3.key_of(0)
        with (folder / key).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        assert sha256 == lean_s3.sha256_of(0, size) == records(folder)[key]["sha256"]


def _peak(pid: int) -> int:
    """Peak resident memory of a process that runs, in bytes."""
    match = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert match is not None
    return int(match[1]) * 1024
