"""`s3://` sources of the command, on a real server and through a proxy that fails as asked."""

from __future__ import annotations

import datetime
import io
import json
import os
import signal
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import commands
import fault_proxy
import lean_s3
from commands import Done, event, events, pack, report, run
from edxlogs.edx.layout import EVENTS_BUCKET
from edxlogs.generator import keys
from fault_proxy import Fault, FaultProxy
from s3_server import ENVIRONMENT, Server

pytestmark = [
    pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing())),
    pytest.mark.usefixtures("s3_environment"),
]

CZAR = "Data Czar <czar@univx.example>"
DAYS = [datetime.date(2014, 1, 1) + datetime.timedelta(days=number) for number in range(4)]
SITES = ["prod", "edge"]


@dataclass(frozen=True)
class Package:
    """Encrypted daily files, and what is in them.

    Attributes:
        home: the key ring that can decrypt them.
        files: messages by base name.
        lines: of all files, in the order of their keys.
    """

    home: Path
    files: dict[str, bytes]
    lines: dict[str, bytes]

    def name(self, site: str, day: datetime.date) -> str:
        return f"univx-{site}-events-{day}.log.gz.gpg"

    def objects(self, partner: str = "univx") -> dict[str, bytes]:
        """The objects in edX's layout; `prod` files stand in the folder `edx`."""
        return {
            f"{partner}/{'edx' if 'prod' in name else 'edge'}/events/2014/{name}": message
            for name, message in self.files.items()
        }


@pytest.fixture(scope="module")
def package() -> Iterator[Package]:
    with keys.home() as home:
        keys.make_key(home, CZAR)
        built = Package(home, {}, {})
        number = 0
        for site in SITES:
            for day in DAYS:
                name = built.name(site, day)
                # Half a megabyte each, so that there is something to cut.
                lines = b"".join(
                    event(n, session=os.urandom(256).hex()) for n in range(number, number + 2000)
                )
                number += 2000
                built.lines[name] = lines
                built.files[name] = keys.encrypt(home, [CZAR], pack(lines))
        yield built


@pytest.fixture
def bucket(s3_server: Server, package: Package) -> Server:
    """edX's bucket with that package."""
    s3_server.bucket(EVENTS_BUCKET, package.objects())
    return s3_server


Filter = Callable[..., Done]


@pytest.fixture
def filtered(package: Package, tmp_path: Path) -> Filter:
    """Runs the filter, and checks that only what is named is delivered, and nothing is left."""

    def filtered(*words: str, but: tuple[str, ...] = (), only: tuple[str, ...] = ()) -> Done:
        done = run(
            "filter", *words, "-o", "out.jsonl", "--report", "report.json", "--overwrite",
            "--gnupg-home", package.home, cwd=tmp_path,
        )  # fmt: skip
        # Of the keys in their order: edge before edx.
        order = sorted(package.files, key=lambda name: ("prod" in name, name))
        wanted = [name for name in order if name not in but and (not only or name in only)]
        assert done.code == (1 if but else 0), done.stderr
        expected = b"".join(package.lines[name] for name in wanted)
        assert (tmp_path / "out.jsonl").read_bytes() == expected
        document = report(tmp_path / "report.json")
        delivered = [one["source"] for one in document["sources"] if one["status"] == "delivered"]
        assert delivered == wanted
        assert commands.hidden(tmp_path) == []
        for secret in (ENVIRONMENT["AWS_ACCESS_KEY_ID"], ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]):
            assert secret not in done.stderr
            assert secret not in (tmp_path / "report.json").read_text()
        return done

    return filtered


def of(package: Package, *sites: str, days: slice = slice(None)) -> tuple[str, ...]:
    return tuple(package.name(site, day) for site in sites for day in DAYS[days])


@pytest.mark.usefixtures("bucket")
def test_limit_and_inspect(package: Package, tmp_path: Path) -> None:
    top, home = f"s3://{EVENTS_BUCKET}/univx/edge", ("--gnupg-home", package.home)
    lines = package.lines[package.name("edge", DAYS[0])].splitlines(keepends=True)
    for threads in ("1", "3"):
        words = ("filter", f"{top}/", "--limit", "9", "--threads", threads, *home)
        done = run(*words, "--report", "r.json", "--overwrite", cwd=tmp_path)
        assert (done.code, done.stdout) == (0, b"".join(lines[:9]))
        document = report(tmp_path / "r.json")
        assert [one["status"] for one in document["sources"]] == ["unverified"]
        assert len(document["unread"]) == len(DAYS) - 1

    url = f"{top}/events/2014/{package.name('edge', DAYS[0])}"
    told = json.loads(run("inspect", url, "--json", *home, cwd=tmp_path).stdout)
    assert [one["kind"] for one in told["layers"]] == ["openpgp", "gzip"]
    assert told["counts"]["kept"] == len(lines)
    assert told["first"] == [json.loads(line) for line in lines[:3]]


@pytest.mark.usefixtures("bucket")
def test_an_object_a_prefix_and_globs(package: Package, filtered: Filter) -> None:
    top = f"s3://{EVENTS_BUCKET}/univx"
    one = package.name("prod", DAYS[1])
    filtered(f"{top}/edx/events/2014/{one}", only=(one,))
    filtered(f"{top}/")
    filtered(top)
    filtered(f"{top}/edge/events", only=of(package, "edge"))
    filtered(f"{top}/*/events/2014/*-prod-*", only=of(package, "prod"))
    filtered(f"{top}/**/*-2014-01-0[12].log.gz.gpg", only=of(package, *SITES, days=slice(2)))
    filtered(f"s3://{EVENTS_BUCKET}/u*/edge", only=of(package, "edge"))


@pytest.mark.usefixtures("bucket")
def test_by_partner_site_and_days(package: Package, filtered: Filter) -> None:
    filtered("--partner", "univx")
    filtered("--partner", "univx", "--site", "prod", only=of(package, "prod"))
    filtered("--partner", "univx", "--site", "edx", only=of(package, "prod"))
    done = filtered(
        "--partner", "univx", "--site", "edge", "--days", "2014-01-02..2014-01-03",
        only=of(package, "edge", days=slice(1, 3)),
    )  # fmt: skip
    assert done.told == []


def test_only_what_is_wanted_is_read(
    bucket: Server, proxy: FaultProxy, package: Package, filtered: Filter
) -> None:
    where = ("--partner", "univx", "--endpoint-url", proxy.url)
    filtered(*where, "--days", "2014-01-02", only=of(package, *SITES, days=slice(1, 2)))
    read = [request for request in proxy.requests if not request.is_list]
    assert {request.path.rsplit("/", 1)[-1] for request in read} == set(
        of(package, *SITES, days=slice(1, 2))
    )
    # Each once, and nothing was looked at beforehand.
    assert [request.method for request in read] == ["GET", "GET"]


@pytest.mark.usefixtures("bucket")
def test_the_output_is_that_of_local_files(package: Package, tmp_path: Path) -> None:
    folder = tmp_path / "univx"
    folder.mkdir()
    for name, message in package.files.items():
        (folder / name).write_bytes(message)
    words: list[str | Path] = ["--where", "event.attempts >= 100", "--gnupg-home", package.home]
    local = run("filter", "univx", *words, "-o", "local.parquet", "--json", cwd=tmp_path)
    url = f"s3://{EVENTS_BUCKET}/**/*.gpg"
    remote = run("filter", url, *words, "-o", "remote.parquet", "--json", cwd=tmp_path)
    assert (local.code, remote.code) == (0, 0)
    assert (tmp_path / "local.parquet").read_bytes() == (tmp_path / "remote.parquet").read_bytes()


@pytest.mark.usefixtures("bucket")
def test_no_source_is_wrong_use(tmp_path: Path) -> None:
    for command in ("filter", "check"):
        done = run(command, cwd=tmp_path)
        assert done.code == 2
        assert done.told[0].startswith("edxlogs: sources: none given; ")
        assert run(command, "--days", "2014-01-01", cwd=tmp_path).code == 2


@pytest.mark.usefixtures("bucket")
def test_days_choose_among_local_files_too(package: Package, tmp_path: Path) -> None:
    for name, message in package.files.items():
        (tmp_path / name).write_bytes(message)
    done = run(
        "check", ".", "--days", "2014-01-02..", "--site", "edge", "--report", "report.json",
        "--gnupg-home", package.home, cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0
    document = report(tmp_path / "report.json")
    read = [one["source"] for one in document["sources"]]
    assert read == list(of(package, "edge", days=slice(1, None)))
    assert len(document["skipped"]) == 5


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut=0),
        Fault(cut=300_000),
        Fault(status=503, code="SlowDown"),
        Fault(status=500, code="InternalError"),
        Fault(silent=True),
        Fault(rate=3e6),
    ],
    ids=lambda fault: "-".join(f"{k}" for k, v in vars(fault).items() if v not in (None, "", {})),
)
def test_what_passes_costs_nothing(
    bucket: Server, proxy: FaultProxy, filtered: Filter, fault: Fault
) -> None:
    proxy.plan(fault, part=".gpg", times=2)
    done = filtered("--partner", "univx", "--endpoint-url", proxy.url)
    assert done.told == []


_REFUSED = [
    (Fault(status=403, code="AccessDenied"), "access is denied"),
    (Fault(status=400, code="ExpiredToken"), "have expired"),
    (Fault(wrong=True), "do not match their checksum"),
    (Fault(etag='"other"'), "replaced or deleted"),
    (Fault(status=404, code="NoSuchKey"), "replaced or deleted"),
    (Fault(status=403, code="InvalidObjectState"), "in an archive"),
]


@pytest.mark.parametrize(("fault", "why"), _REFUSED, ids=[why for _, why in _REFUSED])
def test_one_that_fails_is_named_and_the_rest_delivered(
    bucket: Server,
    proxy: FaultProxy,
    package: Package,
    filtered: Filter,
    fault: Fault,
    why: str,
) -> None:
    name = package.name("prod", DAYS[2])
    proxy.plan(fault, part=name, times=99)
    done = filtered("--partner", "univx", "--endpoint-url", proxy.url, but=(name,))
    (told,) = done.told
    assert told.startswith(f"edxlogs: cannot read: s3://{EVENTS_BUCKET}/univx/edx/events/2014/")
    assert why in told
    assert "; " in told
    assert told.endswith(" (withheld)")


def test_deleted_in_the_middle(
    bucket: Server, proxy: FaultProxy, package: Package, filtered: Filter
) -> None:
    name = package.name("prod", DAYS[2])
    key = f"univx/edx/events/2014/{name}"
    proxy.plan(Fault(cut=200_000), part=name)
    delete = lambda: bucket.client().delete_object(Bucket=EVENTS_BUCKET, Key=key)  # noqa: E731
    proxy.plan(Fault(before=delete), part=name)
    done = filtered("--partner", "univx", "--endpoint-url", proxy.url, but=(name,))
    assert "replaced or deleted" in done.told[0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["s3://no-such-bucket/a"], "cannot open: s3://no-such-bucket/a: no such bucket; "),
        (["s3://edx-course-data/none/"], "cannot open: s3://edx-course-data/none/: nothing is"),
        (["s3://edx-course-data/none"], "cannot open: s3://edx-course-data/none: no such object"),
        (["s3://edx-course-data/n*/x"], "cannot open: s3://edx-course-data/n*/x: no such object"),
        (["--partner", "nobody"], "cannot open: s3://edx-course-data/nobody/*/events/: nothing"),
        (["--partner", "univx", "--site", "patches"], "cannot open: s3://edx-course-data/univx/"),
    ],
)
@pytest.mark.usefixtures("bucket")
def test_what_is_not_there(tmp_path: Path, words: list[str], told: str) -> None:
    done = run("filter", *words, "-o", "out.jsonl", cwd=tmp_path)
    assert done.code == 2
    assert len(done.told) == 1
    assert done.told[0].startswith(f"edxlogs: {told}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("bucket")
def test_days_that_are_not_there_are_told_with_those_that_are(tmp_path: Path) -> None:
    words = ("--partner", "univx", "--days", "1999-01-01")
    done = run("filter", *words, "-o", "out.jsonl", cwd=tmp_path)
    assert done.code == 1
    (told,) = done.told
    assert told.startswith("edxlogs: nothing to read: univx: edX's bucket holds no event file for")
    assert told.endswith(f"; there are files from {DAYS[0]} to {DAYS[-1]}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("bucket")
def test_one_missing_among_others_and_nothing_is_read(package: Package, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(events(3))
    url = f"s3://{EVENTS_BUCKET}/none/"
    done = run("filter", "a.log", url, "-o", "out.jsonl", cwd=tmp_path)
    assert done.code == 2
    assert done.told == [
        f"edxlogs: cannot open: {url}: nothing is there; look at what is there with edxlogs list"
    ]
    assert not (tmp_path / "out.jsonl").exists()


def test_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    done = run("filter", "s3://logs/a.log", "-o", "out.jsonl", cwd=tmp_path)
    assert done.code == 1
    assert "no AWS credentials were found; name a profile" in done.told[0]


def test_warned_of_plain_http_and_doubles(
    bucket: Server, package: Package, filtered: Filter, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A name that leads to loopback, but does not say so.
    import socket

    host = socket.gethostname()
    try:
        risky = not socket.gethostbyname(host).startswith("127.")
    except OSError:
        risky = True
    if risky:
        pytest.skip("the name of this machine does not lead to its loopback")
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.url.replace("127.0.0.1", host))
    done = filtered("--partner", "univx", f"s3://{EVENTS_BUCKET}/univx/")
    assert len([line for line in done.told if "plain http" in line]) == 1
    assert len([line for line in done.told if "named before" in line]) == 8


class TestKinds:
    """What an object is, is told by its bytes, and a tar of them is opened."""

    LINES = commands.incompressible(500)

    def filter(self, tmp_path: Path, url: str, *words: str | Path) -> bytes:
        done = run("filter", url, "-o", "out.jsonl", "--overwrite", *words, cwd=tmp_path)
        assert done.code == 0, done.stderr
        return (tmp_path / "out.jsonl").read_bytes()

    @pytest.mark.parametrize("name", ["a.log", "a.log.gz", "a.bin", "a.log.gpg"])
    def test_plain_gzip_and_openpgp(
        self, s3_server: Server, package: Package, tmp_path: Path, name: str
    ) -> None:
        encrypted = keys.encrypt(package.home, [CZAR], self.LINES, "--armor")
        for content in (self.LINES, pack(self.LINES), encrypted, b""):
            s3_server.reset()
            s3_server.bucket("logs", {name: content})
            found = self.filter(tmp_path, f"s3://logs/{name}", "--gnupg-home", package.home)
            assert found == (self.LINES if content else b"")

    def test_a_cumulative_tar_of_messages(
        self, s3_server: Server, package: Package, tmp_path: Path
    ) -> None:
        names = of(package, *SITES)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name in names:
                info = tarfile.TarInfo(f"prod-edx-001/{name}")
                info.size = len(package.files[name])
                tar.addfile(info, io.BytesIO(package.files[name]))
        s3_server.bucket("course-data", {"2014-01-05-univx-tracking.tar": buffer.getvalue()})
        words = ("--gnupg-home", package.home, "--site", "edge", "--report", "report.json")
        found = self.filter(tmp_path, "s3://course-data/*-univx-tracking.tar", *words)
        assert found == b"".join(package.lines[name] for name in of(package, "edge"))
        first = report(tmp_path / "report.json")["sources"][0]
        assert first["path"] == (
            "s3://course-data/2014-01-05-univx-tracking.tar:"
            f" prod-edx-001/{package.name('edge', DAYS[0])}"
        )

    @pytest.mark.parametrize("where", ["s3", "local"])
    def test_a_package_of_the_research_exchange(
        self, s3_server: Server, package: Package, tmp_path: Path, where: str
    ) -> None:
        """A tar inside gzip inside OpenPGP: its event files are read, in their order."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for day in range(1, 4):
                content = pack(events(100, 100 * day))
                info = tarfile.TarInfo(f"events/univx_cs101_2014-events-2014-01-0{day}.log.gz")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        message = keys.encrypt(package.home, [CZAR], buffer.getvalue())
        key = "univx/rdx/17/univx_cs101_2014.tar.gz.gpg"
        s3_server.bucket(EVENTS_BUCKET, {key: message})
        url = f"s3://{EVENTS_BUCKET}/univx/rdx/"
        if where == "local":
            url = "rdx"
            (tmp_path / "rdx").mkdir()
            (tmp_path / "rdx" / "univx_cs101_2014.tar.gz.gpg").write_bytes(message)
        found = self.filter(tmp_path, url, "--gnupg-home", package.home)
        assert found == events(300, 100)


def test_what_outgrows_standard_output_is_read_twice(s3_server: Server, tmp_path: Path) -> None:
    """A part beyond 64 MiB is read again: an object can be, a pipe cannot."""
    lines = event(1, session="x" * 60_000) * 1500
    s3_server.bucket("logs", {"a.log.gz": pack(lines)})
    done = run("filter", "s3://logs/a.log.gz", cwd=tmp_path, seconds=120)
    assert done.code == 0, done.stderr
    assert done.stdout == lines


@pytest.mark.usefixtures("bucket")
def test_what_there_is_instead(package: Package, tmp_path: Path) -> None:
    done = run(
        "filter", "--partner", "univx", "--course", "course-v1:UnivX+CS102+2014",
        "-o", "out.jsonl", "--gnupg-home", package.home, cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0
    assert "in a sample of the sources: course-v1:UnivX+CS101+2014" in done.stderr


@pytest.mark.parametrize("name", ["a.log.gz", "a.log.gz.gpg"])
def test_interrupted_while_the_network_is_silent(
    s3_server: Server, proxy: FaultProxy, package: Package, tmp_path: Path, name: str
) -> None:
    content = pack(commands.incompressible(20_000))
    if name.endswith("gpg"):
        content = keys.encrypt(package.home, [CZAR], content)
    s3_server.bucket("logs", {f"{day}/{name}": content for day in range(5)})
    proxy.plan(Fault(stall=1_500_000, seconds=60), part=name, times=99)
    process = commands.start(
        "filter", "s3://logs/", "--endpoint-url", proxy.url, "-o", "out.jsonl",
        "--gnupg-home", package.home, cwd=tmp_path,
    )  # fmt: skip
    end = time.monotonic() + 30
    while not commands.hidden(tmp_path) and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    done = commands.finish(process)
    assert done.code == 130, done.stderr
    assert time.monotonic() - begin < 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_large_object_is_read_within_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections break twice on the way through 3 GB, and no byte is asked for again."""
    blocks = 2862
    with (
        lean_s3.run(1, blocks * lean_s3.BLOCK_BYTES, tmp_path / "asked") as server,
        fault_proxy.run(server.url) as proxy,
    ):
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        key = lean_s3.key_of(0)
        cuts = [1_000_000_000, 500_000_000]
        for cut in cuts:
            proxy.plan(Fault(cut=cut), part=key)
        done, peak = commands.run_measured(
            "filter", f"s3://{lean_s3.BUCKET}/", "--user", "7", "-o", "out.jsonl",
            "--report", "report.json", "--threads", "2", "--check", "full",
            cwd=tmp_path, seconds=300,
        )  # fmt: skip
        assert done.code == 0, done.stderr
        assert peak < 300_000_000
        assert (tmp_path / "out.jsonl").read_bytes() == event(7) * blocks
        total = report(tmp_path / "report.json")["total"]
        assert total["bytes_read"] == blocks * lean_s3.BLOCK_BYTES
        assert (total["kept"], total["dropped"]) == (blocks, blocks * (lean_s3.EVENTS - 1))
        assert (total["rejected"], total["blank"]) == (blocks, blocks)
        sent = [one.sent for one in proxy.requests if one.path.endswith(key)]
        assert sent[:2] == cuts
        # What was under way in the network when it broke may come again.
        first, second, third = server.asked()
        assert first == 0
        assert cuts[0] - (16 << 20) <= second <= cuts[0]
        assert second + cuts[1] - (16 << 20) <= third <= second + cuts[1]
