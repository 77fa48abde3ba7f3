"""`edxlogs sync` on a real server, through a proxy that fails as asked."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import random
import re
import signal
import stat
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

import commands
import lean_s3
from commands import Done, finish, run, start
from edxlogs.layout import EVENTS_BUCKET, PACKAGES_BUCKET
from fault_proxy import Fault, FaultProxy
from s3_server import ENVIRONMENT, Server

pytestmark = pytest.mark.usefixtures("aws_environment")

YEAR = "universityx/prod/events/2014"
PARTNER = ("--partner", "universityx")


def content(key: str, size: int) -> bytes:
    """Bytes that no other object has, always the same for a key."""
    return random.Random(key).randbytes(size)


def day(number: int, site: str = "prod") -> str:
    name = f"universityx-{site}-events-2014-{number // 28 + 1:02}-{number % 28 + 1:02}.log.gz.gpg"
    return f"universityx/{site}/events/2014/{name}"


def objects(count: int, size: int) -> dict[str, bytes]:
    return {day(number): content(day(number), size) for number in range(count)}


Sync = Callable[..., Done]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "packages"


@pytest.fixture
def sync(proxy: FaultProxy, folder: Path, tmp_path: Path) -> Sync:
    """Runs the command against the proxy; a credential is never told."""

    def sync(*words: str, code: int = 0, **environment: str) -> Done:
        environment["AWS_ENDPOINT_URL"] = proxy.url
        done = run("sync", *words, folder.name, cwd=tmp_path, stdin=b"", seconds=60, **environment)
        assert done.code == code, done.stderr
        for secret in (ENVIRONMENT["AWS_ACCESS_KEY_ID"], ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]):
            assert secret not in done.stderr + done.stdout.decode()
        return done

    return sync


def delivered(folder: Path) -> dict[str, bytes]:
    """The files of a mirror; each that is there is in its manifest, by its own SHA-256."""
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] != "_edxlogs"
    }
    told = records(folder)
    assert {key: hashlib.sha256(data).hexdigest() for key, data in files.items()} == {
        key: told[key]["sha256"] for key in files
    }
    return files


def records(folder: Path) -> dict[str, dict[str, Any]]:
    lines = (folder / "_edxlogs/objects.jsonl").read_bytes().splitlines()
    return {document["key"]: document for document in map(json.loads, lines)}


def left(folder: Path) -> list[str]:
    """Parts that wait to be gone on with."""
    return [path.name for path in (folder / "_edxlogs/parts").glob("*.part")]


def gets(proxy: FaultProxy) -> Counter[str]:
    """How many bytes of each object were sent."""
    sent: Counter[str] = Counter()
    for request in proxy.requests:
        if request.method == "GET" and not request.is_list:
            sent[request.path.split("/", 2)[2]] += request.sent
    return sent


def test_everything_of_a_partner(
    s3_server: Server, proxy: FaultProxy, sync: Sync, folder: Path
) -> None:
    events = {
        day(0): b"a" * 1000,
        day(1): b"b" * 100_000,
        day(0, "edge"): b"c" * 10,
        "universityx/rdx/7f/universityx_CS101_2014.tar.gz.gpg": b"d" * 500,
        "universityx/prod/events/2014/empty.log.gz.gpg": b"",
    }
    packages = {
        "universityx-2014-10-05.zip": b"e" * 2000,
        "email-opt-in/email-opt-in-universityx-2018-01-07.zip": b"f" * 300,
        "2013-06-02-universityx-tracking.tar": b"g" * 400,
    }
    others = {"universityx-pro-2014-10-05.zip": b"-", "2013-06-02-mitx-tracking.tar": b"-"}
    marker = {"universityx/": b"", "universityx/prod/": b""}
    s3_server.bucket(EVENTS_BUCKET, {**events, **marker, "mitx/prod/events/2014/x.log": b"-"})
    s3_server.bucket(PACKAGES_BUCKET, {**packages, **others})
    done = sync(*PARTNER)
    assert delivered(folder) == {**events, **packages}
    assert done.stderr.startswith("8 objects: 8 fetched (104.2 kB), 0 here already; ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == b""
    assert left(folder) == []
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    checked = {key: record["checked"] for key, record in records(folder).items()}
    assert checked == {key: "CRC32" if data else None for key, data in delivered(folder).items()}

    proxy.reset()
    done = sync(*PARTNER)
    assert done.stderr.startswith("8 objects: 0 fetched (0 B), 8 here already; ")
    assert all(request.is_list for request in proxy.requests)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--partner", "universityx", "--site", "edge"), [day(0, "edge")]),
        (("--partner", "universityx", "--days", "2014-01-02..2014-01-03"), [day(1), day(2)]),
        ((f"s3://{EVENTS_BUCKET}/{YEAR}/", "--days", "2014-01-01"), [day(0)]),
        ((f"s3://{EVENTS_BUCKET}/{YEAR}",), [day(0), day(1), day(2), day(3)]),
        ((f"s3://{EVENTS_BUCKET}/{day(2)}",), [day(2)]),
        ((f"s3://{EVENTS_BUCKET}/*/edge",), [day(0, "edge")]),
        ((f"s3://{EVENTS_BUCKET}/{day(2)}", f"s3://{EVENTS_BUCKET}/{YEAR}/"),
         [day(2), day(0), day(1), day(3)]),
        (("--partner", "universityx", "--kind", "research"), []),
    ],
)  # fmt: skip
def test_what_is_chosen(
    s3_server: Server,
    proxy: FaultProxy,
    sync: Sync,
    folder: Path,
    words: tuple[str, ...],
    expected: list[str],
) -> None:
    s3_server.bucket(EVENTS_BUCKET, dict.fromkeys([*map(day, range(4)), day(0, "edge")], b"x"))
    s3_server.bucket(PACKAGES_BUCKET)
    done = sync(*words, "--json", code=0 if expected else 1)
    document = json.loads(done.stdout)
    assert [one["url"] for one in document["objects"]] == [
        f"s3://{EVENTS_BUCKET}/{key}" for key in expected
    ]
    assert sorted(delivered(folder) if expected else []) == sorted(expected)
    read = {request.path for request in proxy.requests if not request.is_list}
    assert read == {f"/{EVENTS_BUCKET}/{key}" for key in expected}


def test_json(s3_server: Server, sync: Sync, folder: Path) -> None:
    s3_server.bucket(EVENTS_BUCKET, {day(0): b"x" * 100, "a\x07b": b"y"})
    done = sync(f"s3://{EVENTS_BUCKET}", "--json", code=1)
    document = json.loads(done.stdout)
    assert done.stderr == ""
    assert document["schema_version"] == 1
    assert document["total"] == {
        "objects": 2, "wanted": 1, "wanted_bytes": 100, "fetched": 1, "fetched_bytes": 100,
        "present": 0, "failed": 1, "untried": 0,
    }  # fmt: skip
    assert document["objects"] == [
        {
            "url": f"s3://{EVENTS_BUCKET}/{day(0)}",
            "bytes": 100,
            "why": "new",
            "status": "fetched",
            "sha256": hashlib.sha256(b"x" * 100).hexdigest(),
            "checked": "CRC32",
        }
    ]
    assert len(document["failed"]) == 1
    assert not document["interrupted"]


def test_a_dry_run_fetches_nothing(
    s3_server: Server, proxy: FaultProxy, sync: Sync, folder: Path
) -> None:
    s3_server.bucket(EVENTS_BUCKET, objects(3, 1000))
    words = (f"s3://{EVENTS_BUCKET}/", "--dry-run")
    done = sync(*words)
    assert done.stderr.startswith(
        "3 objects: 3 to fetch (3 new), 0 here already\n3.0 kB to fetch, "
    )
    assert not folder.exists()
    sync(f"s3://{EVENTS_BUCKET}/{day(0)}")
    s3_server.client().put_object(Bucket=EVENTS_BUCKET, Key=day(0), Body=b"other")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    proxy.reset()
    done = sync(*words)
    assert "3 objects: 3 to fetch (2 new, 1 released again), 0 here already" in done.stderr
    assert all(request.is_list for request in proxy.requests)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    document = json.loads(sync(*words, "--json").stdout)
    assert document["dry_run"]
    assert document["total"]["wanted_bytes"] == 2005
    assert document["free_bytes"] > 0


def test_what_is_released_again_is_fetched_again_and_said(
    s3_server: Server, proxy: FaultProxy, sync: Sync, folder: Path
) -> None:
    everything = objects(4, 1000)
    s3_server.bucket(EVENTS_BUCKET, everything)
    url = f"s3://{EVENTS_BUCKET}/"
    sync(url)
    client = s3_server.client()
    everything[day(1)] = b"as long".ljust(1000)
    everything[day(2)] = b"shorter"
    for key in (day(0), day(1), day(2)):  # the first one with the content that it had
        client.put_object(Bucket=EVENTS_BUCKET, Key=key, Body=everything[key])
    client.delete_object(Bucket=EVENTS_BUCKET, Key=day(3))
    proxy.reset()
    done = sync(url)
    assert delivered(folder) == everything, "what is deleted there stays here"
    assert done.told == [
        f"edxlogs: s3://{EVENTS_BUCKET}/{key}: was released again; fetched again"
        for key in (day(1), day(2))
    ]
    assert set(gets(proxy)) == {day(1), day(2)}
    assert "2 fetched" in done.stderr
    assert sync(url, "-q").stderr == ""


def test_a_file_that_is_not_as_it_was_delivered(
    s3_server: Server, proxy: FaultProxy, sync: Sync, folder: Path
) -> None:
    everything = objects(5, 1000)
    s3_server.bucket(EVENTS_BUCKET, everything)
    url = f"s3://{EVENTS_BUCKET}/"
    sync(url)
    (folder / day(0)).unlink()
    (folder / day(1)).write_bytes(b"cut off")
    (folder / day(2)).write_bytes(b"as long".ljust(1000))
    os.utime(folder / day(3))
    proxy.reset()
    done = sync(url)
    assert delivered(folder) == everything
    assert done.told == [
        f"edxlogs: s3://{EVENTS_BUCKET}/{key}: was not as the bucket has it; fetched again"
        for key in (day(1), day(2))
    ]
    assert set(gets(proxy)) == {day(0), day(1), day(2)}
    proxy.reset()
    sync(url)
    assert all(request.is_list for request in proxy.requests)


def test_what_another_program_copied_is_not_fetched_again(
    s3_server: Server, proxy: FaultProxy, sync: Sync, folder: Path
) -> None:
    everything = objects(3, 1000)
    s3_server.bucket(EVENTS_BUCKET, everything)
    (folder / YEAR).mkdir(parents=True)
    (folder / day(0)).write_bytes(everything[day(0)])
    (folder / day(1)).write_bytes(b"as long".ljust(1000))
    url = f"s3://{EVENTS_BUCKET}/"
    sync(url)
    assert delivered(folder) == everything
    assert set(gets(proxy)) == {day(1), day(2)}
    proxy.reset()
    sync(url)
    assert all(request.is_list for request in proxy.requests)


def test_checksums(s3_server: Server, sync: Sync, folder: Path) -> None:
    """What S3 has of the whole object is compared; an ETag only where it is an MD5."""
    s3_server.bucket(EVENTS_BUCKET)
    client, data = s3_server.client(), b"x" * (5 << 20)
    where = {"Bucket": EVENTS_BUCKET}
    client.put_object(**where, Key="crc", Body=data, ChecksumAlgorithm="CRC32")
    client.put_object(**where, Key="sha", Body=data, ChecksumAlgorithm="SHA256")
    plain = boto3.client(
        "s3",
        endpoint_url=s3_server.url,
        config=Config(
            s3={"addressing_style": "path"}, request_checksum_calculation="when_required"
        ),
    )
    plain.put_object(**where, Key="etag", Body=data)
    plain.put_object(**where, Key="kms", Body=data, ServerSideEncryption="aws:kms")
    begun = client.create_multipart_upload(**where, Key="parts")
    pieces = [
        client.upload_part(
            **where, Key="parts", UploadId=begun["UploadId"], PartNumber=number, Body=data
        )["ETag"]
        for number in (1, 2)
    ]
    client.complete_multipart_upload(
        **where,
        Key="parts",
        UploadId=begun["UploadId"],
        MultipartUpload={
            "Parts": [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(pieces, 1)]
        },
    )
    sync(f"s3://{EVENTS_BUCKET}/")
    files = delivered(folder)
    assert files == {**dict.fromkeys(("crc", "etag", "kms", "sha"), data), "parts": data + data}
    checked = {key: record["checked"] for key, record in records(folder).items()}
    assert checked == {"crc": "CRC32", "sha": "SHA256", "etag": "MD5", "kms": None, "parts": None}


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
        f"edxlogs: cannot read: s3://{EVENTS_BUCKET}/{day(1)}: the bytes that came are not those of"
        " its checksum; run again"
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


def test_without_buckets(s3_server: Server, sync: Sync) -> None:
    done = sync(*PARTNER, code=1)
    assert len(done.told) == 2
    assert all("no such bucket" in line for line in done.told)


def test_without_credentials(s3_server: Server, sync: Sync) -> None:
    done = sync(*PARTNER, code=1, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert len(done.told) == 1
    assert "no AWS credentials were found" in done.told[0]


def test_nothing_there(s3_server: Server, sync: Sync) -> None:
    s3_server.bucket(EVENTS_BUCKET, objects(1, 10))
    s3_server.bucket(PACKAGES_BUCKET)
    done = sync("--partner", "universityy", code=1)
    assert done.told == [
        "edxlogs: nothing is there to sync, or nothing that was asked for; see edxlogs list"
    ]


def test_keys_that_lead_out_or_collide(s3_server: Server, sync: Sync, folder: Path) -> None:
    evil = [
        "../evil", "a/../../evil", "/evil", "a//evil", "a/./evil", "a\x1b[2Jb",
        "_edxlogs/lock", "x" * 300,
    ]  # fmt: skip
    good = {"a/b": b"1", "a b/ü": b"2", "c": b"3"}
    s3_server.bucket(EVENTS_BUCKET, {**good, **dict.fromkeys(evil, b"evil"), "c/d": b"collides"})
    done = sync(f"s3://{EVENTS_BUCKET}/", code=1)
    assert delivered(folder) == good
    assert len(done.told) == len(evil) + 1
    assert "\x1b" not in done.stderr
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert "3 fetched" in done.stderr
    assert f"{len(evil) + 1} failed" in done.stderr


def test_the_same_key_in_two_buckets(s3_server: Server, sync: Sync, folder: Path) -> None:
    s3_server.bucket("first-bucket", {"a": b"1"})
    s3_server.bucket("second-bucket", {"a": b"2", "b": b"3"})
    done = sync("s3://first-bucket/", "s3://second-bucket/", code=1)
    assert delivered(folder) == {"a": b"1", "b": b"3"}
    assert len(done.told) == 1
    done = sync("s3://second-bucket/", code=1)
    assert delivered(folder) == {"a": b"1", "b": b"3"}
    assert "of bucket first-bucket" in done.told[0]


def test_two_at_a_time(s3_server: Server, proxy: FaultProxy, sync: Sync, folder: Path) -> None:
    everything = objects(2, 400_000)
    s3_server.bucket(EVENTS_BUCKET, everything)
    with _slowly(proxy, folder, day(1)) as first:
        done = sync(f"s3://{EVENTS_BUCKET}/", code=1)
        assert "another edxlogs fills it now" in done.told[0]
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
        assert last == "interrupted: run again with the same words to go on where it stopped"
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


@pytest.mark.parametrize("option", [None, "-q", "--json"])
def test_progress_on_a_terminal(
    s3_server: Server, proxy: FaultProxy, folder: Path, option: str | None
) -> None:
    s3_server.bucket(EVENTS_BUCKET, objects(3, 200_000))
    proxy.plan(Fault(rate=200_000), part=day(1))
    ours, theirs = pty.openpty()
    process = start(
        *("sync", f"s3://{EVENTS_BUCKET}/", folder.name), *([option] if option else []),
        cwd=folder.parent, stderr=theirs, env={**os.environ, "AWS_ENDPOINT_URL": proxy.url},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # the other end of a terminal is gone
        while more := os.read(ours, 1 << 16):
            shown += more
    os.close(ours)
    assert finish(process).code == 0
    assert (b"of 3" in shown) == (b"\x1b[" in shown) == (option is None)
    assert (b"3 fetched (600.0 kB)" in shown) == (option is None)


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
    assert chaos.happened == faults
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
