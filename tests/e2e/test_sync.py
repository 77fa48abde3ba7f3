"""`edxlogs sync` on a real server: what is chosen, what is fetched, what is told."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import stat
from contextlib import suppress
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from commands import finish, run, start
from edxlogs.edx.layout import EVENTS_BUCKET, PACKAGES_BUCKET
from fault_proxy import Fault, FaultProxy
from s3_server import Server
from syncing import PARTNER, YEAR, Sync, day, delivered, gets, left, objects, records

pytestmark = pytest.mark.usefixtures("aws_environment")


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
    assert done.stderr.startswith("8 objects: 8 fetched (104.2 kB), 0 already here; ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == b""
    assert left(folder) == []
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    checked = {key: record["checked"] for key, record in records(folder).items()}
    assert checked == {key: "CRC32" if data else None for key, data in delivered(folder).items()}

    proxy.reset()
    done = sync(*PARTNER)
    assert done.stderr.startswith("8 objects: 0 fetched (0 B), 8 already here; ")
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


def test_the_latest_of_the_snapshots(
    s3_server: Server, sync: Sync, folder: Path, tmp_path: Path
) -> None:
    weeks = [f"universityx-2014-10-{number}.zip" for number in ("05", "12", "19")]
    preferences = [
        f"email-opt-in/email-opt-in-universityx-2014-10-0{number}.zip" for number in "58"
    ]
    logs = [day(0), day(1)]
    s3_server.bucket(EVENTS_BUCKET, dict.fromkeys(logs, b"x"))
    s3_server.bucket(PACKAGES_BUCKET, dict.fromkeys([*weeks, *preferences], b"x"))
    latest = ("--partner", "universityx", "--latest", "--kind")
    kinds = ("database", "--kind", "email", "--kind", "events")
    sync(*latest, *kinds, code=0)
    assert sorted(delivered(folder)) == sorted([weeks[2], preferences[1], *logs])
    sync(*latest, "database", "--days", "..2014-10-13", code=0)
    assert weeks[1] in delivered(folder)
    # Of the folder, too.
    listed = run("list", folder, "--latest", "--kind", "database", "--json", cwd=tmp_path)
    places = [one["place"] for one in json.loads(listed.stdout)["packages"]]
    assert [place.rpartition("/")[2] for place in places] == [weeks[2]]
    everything = run("list", folder, "--kind", "database", "--json", cwd=tmp_path)
    assert json.loads(everything.stdout)["total"]["files"] == 2


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
        "3 objects: 3 to fetch (3 new), 0 already here\n3.0 kB to fetch, "
    )
    assert not folder.exists()
    sync(f"s3://{EVENTS_BUCKET}/{day(0)}")
    s3_server.client().put_object(Bucket=EVENTS_BUCKET, Key=day(0), Body=b"other")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    proxy.reset()
    done = sync(*words)
    assert "3 objects: 3 to fetch (2 new, 1 released again), 0 already here" in done.stderr
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
        f"edxlogs: s3://{EVENTS_BUCKET}/{key}: differed from the bucket; fetched again"
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
        "edxlogs: partner: universityy: nothing from this partner is there; the nearest:"
        " universityx"
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
