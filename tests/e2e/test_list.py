"""`edxlogs list`: the same of a bucket as of the folder that was synced from it."""

from __future__ import annotations

import datetime
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from commands import Done, run
from edxlogs.edx.layout import EVENTS_BUCKET, PACKAGES_BUCKET
from fault_proxy import Fault, FaultProxy
from s3_server import Server

pytestmark = pytest.mark.usefixtures("s3_environment")

START = datetime.date(2013, 12, 30)
MISSING = {2, 3, 4, 36, *range(60, 94)}  # days after START: 1st to 3rd January, 4th February, March


def days() -> Iterator[datetime.date]:
    for number in range(100):
        if number not in MISSING:
            yield START + datetime.timedelta(days=number)


@pytest.fixture
def bucket(s3_server: Server) -> Server:
    prod = {
        f"univx/edx/events/{day.year}/univx-edx-events-{day}.log.gz.gpg": b"x" * 1000
        for day in days()
    }
    edge = "univx/edge/events/2014/univx-edge-events-2014-01-01.log.gz.gpg"
    research = "univx/rdx/7f/univx_CS101_2014.tar.gz.gpg"
    others = {"univx/": b"", "univx-pro/prod/events/2014/x.log": b"-"}
    s3_server.bucket(EVENTS_BUCKET, {**prod, edge: b"e" * 10, research: b"r" * 20, **others})
    packages = {
        "univx-2014-03-02.zip": b"z" * 3_000_000,
        "univx-2014-03-09.zip": b"z" * 3_000_000,
        "univx-pro-2014-03-09.zip": b"-",
        "email-opt-in/univx-2018-01-07.zip": b"m" * 5,
        "2013-06-02-univx-tracking.tar": b"t" * 40,
        "2013-06-02-univy-tracking.tar": b"-",
    }
    s3_server.bucket(PACKAGES_BUCKET, packages)
    return s3_server


TABLE = """\
partner  site  kind      year  files     size  first       last        missing
univx    edge  events    2014      1     10 B  2014-01-01  2014-01-01        0
univx    prod  events    2013      2   2.0 kB  2013-12-30  2013-12-31        0
univx    prod  events    2014     60  60.0 kB  2014-01-04  2014-04-08       38
univx    -     database  2014      2   6.0 MB  2014-03-02  2014-03-09        -
univx    -     email     2018      1      5 B  2018-01-07  2018-01-07        -
univx    -     research  -         1     20 B  -           -                 -
univx    -     tracking  2013      1     40 B  2013-06-02  2013-06-02        -
total    -     -         -        68   6.1 MB  -           -                 -

38 days missing of univx prod, 2013-12-30..2014-04-08 (# there, - missing)
2014-01  ---############################  1..3
2014-02  ###-#######################-     4, 28
2014-03  every day
2014-04  --######                         1..2
"""


@pytest.mark.usefixtures("bucket")
def test_a_partner_and_the_synced_folder(tmp_path: Path) -> None:
    done = run("list", "--partner", "univx", cwd=tmp_path)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.decode() == TABLE
    assert run("sync", "--partner", "univx", "mirror", cwd=tmp_path).code == 0
    local = run("list", "mirror", cwd=tmp_path)
    assert (local.code, local.stderr) == (0, "")
    assert local.stdout.decode() == TABLE


def document(done: Done) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(done.stdout)
    assert parsed["schema_version"] == 1
    assert parsed["total"]["files"] == len(parsed["packages"])
    for name in ("bytes", "files"):
        assert parsed["total"][name] == sum(one[name] for one in parsed["groups"])
    return parsed


@pytest.mark.usefixtures("bucket")
def test_json(tmp_path: Path) -> None:
    done = run("list", "--partner", "univx", "--site", "prod", "--json", cwd=tmp_path)
    assert (done.code, done.stderr) == (0, "")
    found = document(done)
    assert found["failed"] == []
    (gaps,) = found["gaps"]
    assert (gaps["partner"], gaps["site"]) == ("univx", "prod")
    assert (gaps["first"], gaps["last"]) == ("2013-12-30", "2014-04-08")
    assert gaps["missing_days"] == len(MISSING)
    assert gaps["missing"][:2] == [
        {"first": "2014-01-01", "last": "2014-01-03"},
        {"first": "2014-02-04", "last": "2014-02-04"},
    ]
    events = [one for one in found["packages"] if one["kind"] == "events"]
    assert [one["day"] for one in events] == [str(day) for day in days()]
    assert events[0] == {
        "place": f"s3://{EVENTS_BUCKET}/univx/edx/events/2013/univx-edx-events-2013-12-30.log.gz.gpg",
        "partner": "univx",
        "site": "prod",
        "kind": "events",
        "day": "2013-12-30",
        "bytes": 1000,
        "modified": events[0]["modified"],
    }
    assert events[0]["modified"].endswith("Z")


@pytest.mark.usefixtures("bucket")
def test_by_day_and_in_a_window(tmp_path: Path) -> None:
    done = run(
        "list", "--partner", "univx", "--kind", "events", "--site", "edx",
        "--days", "2013-12-31..2014-01-05", "--by", "day", cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout.decode().splitlines() == [
        "partner  site  kind    day         files    size",
        "univx    prod  events  2013-12-31      1  1.0 kB",
        "univx    prod  events  2014-01-04      1  1.0 kB",
        "univx    prod  events  2014-01-05      1  1.0 kB",
        "total    -     -       -               3  3.0 kB",
        "",
        "3 days missing of univx prod, 2013-12-31..2014-01-05 (# there, - missing)",
        "2014-01  ---##                            1..3",
    ]


@pytest.mark.usefixtures("bucket")
def test_a_url_and_a_folder_together(tmp_path: Path) -> None:
    (tmp_path / "tracking.log-20140101.gz").write_bytes(b"x" * 7)
    (tmp_path / "notes.txt").write_bytes(b"x" * 8)
    done = run("list", f"s3://{EVENTS_BUCKET}/univx/edge", ".", cwd=tmp_path)
    assert done.code == 0
    assert done.stdout.decode().splitlines()[:5] == [
        "partner  site  kind    year  files  size  first       last        missing",
        "univx    edge  events  2014      1  10 B  2014-01-01  2014-01-01        0",
        "-        -     events  2014      1   7 B  2014-01-01  2014-01-01        0",
        "-        -     other   -         1   8 B  -           -                 -",
        "total    -     -       -         3  25 B  -           -                 -",
    ]


def test_what_cannot_be_listed_costs_only_itself(
    bucket: Server, proxy: FaultProxy, tmp_path: Path
) -> None:
    proxy.plan(Fault(status=403, code="AccessDenied"), part="prefix=univx-")
    done = run("list", "--partner", "univx", cwd=tmp_path, AWS_ENDPOINT_URL=proxy.url)
    assert done.code == 1
    assert done.told == [
        f"edxlogs: cannot list: s3://{PACKAGES_BUCKET}/univx-: access is denied; name the --profile"
        " that may do this, or ask the owner of the bucket for the right"
    ]
    without = [line for line in TABLE.splitlines() if "database" not in line]
    assert [line.split()[:3] for line in done.stdout.decode().splitlines()[:7]] == [
        line.split()[:3] for line in without[:7]
    ]


def test_a_server_that_is_not_there_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        done = run("list", "--partner", "universityx", cwd=tmp_path)
    assert done.code == 1
    assert len(done.told) == 1
    assert "no connection to the server; check the network and --endpoint-url" in done.told[0]


@pytest.mark.usefixtures("bucket")
def test_nothing_there(tmp_path: Path) -> None:
    nobody = "partner: univz: nothing from this partner is there; the nearest: univx, univx-pro"
    for words, told in (
        (["--partner", "univz"], nobody),
        (["."], "no file is there; check the path, or name another"),
    ):
        done = run("list", *words, cwd=tmp_path)
        assert (done.code, done.stdout) == (1, b"")
        assert done.told == [f"edxlogs: {told}"]
    done = run("list", "--partner", "univz", "--json", cwd=tmp_path)
    assert done.code == 1
    assert document(done)["total"] == {"files": 0, "bytes": 0}
    assert document(done)["hints"] == [nobody]
    done = run("sync", "--partner", "univz", "packages", cwd=tmp_path)
    assert (done.code, done.told) == (1, [f"edxlogs: {nobody}"])


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("command", [["list"], ["sync", "packages", "--dry-run"]])
def test_a_url_that_names_nothing_is_wrong_use(tmp_path: Path, command: list[str]) -> None:
    for url in (f"s3://{EVENTS_BUCKET}/none/", "s3://no-such-bucket/"):
        verb, *more = command
        done = run(verb, url, *more, cwd=tmp_path)
        assert (done.code, done.stdout) == (2, b"")
        assert len(done.told) == 1
        assert url in done.told[0]
    done = run("list", ".", "none", cwd=tmp_path)
    assert (done.code, done.stdout) == (2, b"")
    assert done.told == ["edxlogs: cannot open: none: no such file or folder"]


@pytest.mark.usefixtures("bucket")
def test_what_there_is_instead_of_what_was_asked_for(tmp_path: Path) -> None:
    prod = list(days())
    for words, told in (
        (
            ["--days", "2031-01-01..", "--kind", "events"],
            "days: 2031-01-01..: no package is from these days; there are packages from"
            f" {min(prod)} to {max(prod)}",
        ),
        (["--site", "patches", "--kind", "research"], None),
        (
            ["--kind", "tracking", "--days", "2031-01-01"],
            "days: 2031-01-01..2031-01-01: no package is from these days; there are packages from"
            " 2013-06-02 to 2013-06-02",
        ),
    ):
        done = run("list", "--partner", "univx", *words, cwd=tmp_path)
        assert done.code == (0 if told is None else 1)
        assert done.told == ([] if told is None else [f"edxlogs: {told}"])
    (tmp_path / "univx-2014-03-09.zip").write_bytes(b"x")
    for words, told in (
        (["--kind", "events"], "kind: events: no package matches; there is database"),
        (
            ["--partner", "univy"],
            "partner: univy: nothing from this partner is there; the nearest: univx",
        ),
    ):
        done = run("list", ".", *words, cwd=tmp_path)
        assert (done.code, done.told) == (1, [f"edxlogs: {told}"])


def test_local_folders_need_no_s3(tmp_path: Path) -> None:
    (tmp_path / "univx-2014-03-09.zip").write_bytes(b"x")
    done = run("list", ".", cwd=tmp_path, AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert done.code == 0
    assert b"database" in done.stdout


def test_names_are_escaped(tmp_path: Path) -> None:
    (tmp_path / "u\x1b[2Jx-2014-03-09.zip").write_bytes(b"x")
    done = run("list", ".", cwd=tmp_path)
    assert b"u\\x1b[2Jx" in done.stdout
    assert b"\x1b" not in done.stdout
