"""`-o s3://…`: the object is there whole, or not at all, and nothing is left of a failure."""

from __future__ import annotations

import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

import commands
from commands import Done, events, run, start
from edxlogs import cli
from edxlogs.buckets import output as s3_output
from edxlogs.buckets.output import S3Output
from edxlogs.errors import ConfigError, OutputError
from edxlogs.s3.client import S3
from fault_proxy import Fault, FaultProxy
from s3_server import ENVIRONMENT, Server

pytestmark = pytest.mark.usefixtures("s3_environment")

URL = "s3://results/2014/out.jsonl"


@pytest.fixture
def work(tmp_path: Path, s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a log, a temporary folder of its own, and a bucket for results."""
    s3_server.bucket("results")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "a.log").write_bytes(events(100))
    return tmp_path


def there(server: Server) -> dict[str, bytes]:
    """All objects of the bucket; no upload is under way, and nothing is left here."""
    s3 = server.client()
    assert s3.list_multipart_uploads(Bucket="results").get("Uploads", []) == []
    return {
        one["Key"]: s3.get_object(Bucket="results", Key=one["Key"])["Body"].read()
        for one in s3.list_objects_v2(Bucket="results").get("Contents", [])
    }


def write(work: Path, *words: str, url: str = URL) -> Done:
    done = run("filter", "a.log", "-o", url, *words, cwd=work)
    assert list((work / "tmp").iterdir()) == []
    assert ENVIRONMENT["AWS_SECRET_ACCESS_KEY"] not in done.stderr
    return done


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out.jsonl.gz", "out.arrow", "ä +.csv"])
def test_the_object_is_what_the_file_would_be(s3_server: Server, work: Path, name: str) -> None:
    assert run("filter", "a.log", "-o", name, cwd=work).code == 0
    done = write(work, url=f"s3://results/x/{name}")
    assert done.code == 0, done.stderr
    assert done.stderr.splitlines()[-1] == f"100 rows to s3://results/x/{name}"
    assert there(s3_server) == {f"x/{name}": (work / name).read_bytes()}


def test_an_empty_output(s3_server: Server, work: Path) -> None:
    assert write(work, "--event-type", "none").code == 0
    assert there(s3_server) == {"2014/out.jsonl": b""}


def test_one_that_exists_is_replaced_only_when_asked(s3_server: Server, work: Path) -> None:
    assert write(work).code == 0
    (work / "a.log").write_bytes(events(7))
    done = write(work)
    assert done.code == 2
    assert done.told == [f"edxlogs: output: {URL}: exists; name another object, or add --overwrite"]
    assert there(s3_server) == {"2014/out.jsonl": events(100)}
    assert write(work, "--overwrite").code == 0
    assert there(s3_server) == {"2014/out.jsonl": events(7)}


def test_one_that_appears_during_the_run_stays(
    s3_server: Server, proxy: FaultProxy, work: Path
) -> None:
    put = lambda: s3_server.client().put_object(  # noqa: E731
        Bucket="results", Key="2014/out.jsonl", Body=b"theirs"
    )
    proxy.plan(Fault(before=put), method="PUT", part="partNumber")
    done = write(work, "--endpoint-url", proxy.url)
    assert done.code == 2
    assert "appeared during the run; name another object" in done.told[0]
    assert there(s3_server) == {"2014/out.jsonl": b"theirs"}


def test_an_input_is_never_the_output(s3_server: Server, work: Path) -> None:
    s3_server.bucket("logs", {"a.log": events(3)})
    done = run("filter", "s3://logs/a.log", "-o", "s3://logs/a.log", "--overwrite", cwd=work)
    assert done.code == 2
    assert done.told[0].startswith("edxlogs: output: s3://logs/a.log: is also an input; ")


@pytest.mark.parametrize(
    ("url", "code", "told"),
    [
        ("s3://nowhere/out.csv", 1, "no such bucket"),
        ("s3://results/", 2, "its ending does not tell the format"),
        ("s3://results/folder.csv/", 2, "its ending does not tell the format"),
    ],
)
def test_places_that_are_none(work: Path, url: str, code: int, told: str) -> None:
    done = write(work, url=url)
    assert done.code == code
    assert told in done.told[0]


@pytest.mark.parametrize("option", ["--report", "--rejects"])
def test_other_outputs_are_local(work: Path, option: str) -> None:
    done = run("filter", "a.log", "-o", "out.jsonl", option, "s3://results/x.txt", cwd=work)
    assert done.code == 2
    assert "is written to local files only; name a file" in done.told[0]


def test_a_refusal_is_known_before_anything_is_read(
    s3_server: Server, proxy: FaultProxy, work: Path
) -> None:
    proxy.plan(Fault(status=403, code="AccessDenied"), method="POST", part="uploads")
    # What must not be read: it would be told.
    (work / "a.log").write_bytes(b"\x1f\x8b damaged")
    done = write(work, "--endpoint-url", proxy.url)
    assert done.code == 1
    assert done.told == [
        f"edxlogs: cannot write: {URL}: access is denied; name the --profile that may do this, or"
        " ask the owner of the bucket for the right"
    ]
    assert there(s3_server) == {}


def test_a_failed_upload_leaves_nothing(s3_server: Server, proxy: FaultProxy, work: Path) -> None:
    proxy.plan(Fault(status=403, code="AccessDenied"), method="PUT", part="partNumber")
    done = write(work, "--endpoint-url", proxy.url)
    assert done.code == 1
    assert there(s3_server) == {}


def test_a_damaged_source_adds_nothing(s3_server: Server, work: Path) -> None:
    (work / "b.log.gz").write_bytes(commands.pack(events(5))[:-3])
    done = run("filter", "a.log", "b.log.gz", "-o", URL, cwd=work)
    assert done.code == 1
    assert there(s3_server) == {"2014/out.jsonl": events(100)}
    # One of which nothing could be delivered does not replace what is there.
    done = run("filter", "b.log.gz", "-o", URL, "--overwrite", cwd=work)
    assert done.code == 1
    assert done.stderr.splitlines()[-1] == f"{URL} is not written: no source passed its checks"
    assert there(s3_server) == {"2014/out.jsonl": events(100)}
    # Nor does it make an empty one.
    done = run("filter", "b.log.gz", "-o", "s3://results/new.jsonl", cwd=work)
    assert done.code == 1
    assert there(s3_server) == {"2014/out.jsonl": events(100)}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended(s3_server: Server, work: Path, how: signal.Signals) -> None:
    """Nothing is published; what kill -9 leaves is cleared by the next run of the same output."""
    process = start("filter", "-", "-o", URL, cwd=work, stdin=-1)
    assert process.stdin is not None
    end = time.monotonic() + 30
    s3 = s3_server.client()
    while not s3.list_multipart_uploads(Bucket="results").get("Uploads"):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.stdin.write(events(1000))
    process.stdin.flush()
    process.send_signal(how)
    done = commands.finish(process)
    assert done.code == (-9 if how is signal.SIGKILL else 130)
    if how is signal.SIGKILL:
        assert s3.list_objects_v2(Bucket="results")["KeyCount"] == 0
        assert len(s3.list_multipart_uploads(Bucket="results")["Uploads"]) == 1
        assert len(list((work / "tmp").iterdir())) == 1
        assert write(work).code == 0
        assert there(s3_server) == {"2014/out.jsonl": events(100)}
    else:
        assert there(s3_server) == {}
    assert list((work / "tmp").iterdir()) == []


@pytest.mark.parametrize("operation", ["head_object", "create_multipart_upload"])
def test_a_stop_while_the_upload_begins(
    s3_server: Server, work: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """The answer has come, but what it says is not known yet."""
    call = S3.call

    def stopped(s3: S3, asked: str, *where: str, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        try:
            answer = call(s3, asked, *where, **more)
        finally:
            if asked == operation:
                raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(S3, "call", stopped)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(work)
    assert cli.execute(["filter", "a.log", "-o", URL]) == 130
    assert there(s3_server) == {}
    assert list((work / "tmp").iterdir()) == []


def test_uploads_of_other_keys_stay(s3_server: Server, work: Path) -> None:
    s3 = s3_server.client()
    s3.create_multipart_upload(Bucket="results", Key="2014/out.jsonl.gz")
    assert write(work).code == 0
    (left,) = s3.list_multipart_uploads(Bucket="results")["Uploads"]
    assert left["Key"] == "2014/out.jsonl.gz"


class TestUpload:
    """The upload alone: parts, retries, answers that are lost."""

    CONTENT = bytes(range(256)) * 100_000

    @pytest.fixture(autouse=True)
    def _quick(self, quick_retries: None, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(s3_output, "PART_BYTES", 5 << 20)

    def output(self, proxy: FaultProxy, **options: Any) -> S3Output:
        output = S3Output(URL, S3(endpoint_url=proxy.url), **options)
        output.begin()
        output.path.write_bytes(self.CONTENT)
        return output

    def test_parts(self, s3_server: Server, proxy: FaultProxy) -> None:
        self.output(proxy).publish()
        assert there(s3_server) == {"2014/out.jsonl": self.CONTENT}
        sent = [request for request in proxy.requests if "partNumber" in request.query]
        assert len(sent) == -(-len(self.CONTENT) // (5 << 20))

    def test_parts_are_sent_again(self, s3_server: Server, proxy: FaultProxy) -> None:
        for fault in (Fault(status=503), Fault(silent=True), Fault(status=400, code="BadDigest")):
            proxy.plan(fault, method="PUT", part="partNumber", times=2)
        self.output(proxy).publish()
        assert there(s3_server) == {"2014/out.jsonl": self.CONTENT}

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_a_lost_answer(self, s3_server: Server, proxy: FaultProxy, overwrite: bool) -> None:
        """The object is complete, but we were not told: asking again, it is gone or exists."""
        output = self.output(proxy, overwrite=overwrite)
        proxy.plan(Fault(cut=0), method="POST", part="uploadId")
        output.publish()
        assert there(s3_server) == {"2014/out.jsonl": self.CONTENT}

    def test_a_server_without_conditions(self, s3_server: Server, proxy: FaultProxy) -> None:
        output = self.output(proxy)
        unknown = Fault(status=501, code="NotImplemented")
        proxy.plan(unknown, method="POST", part="uploadId")
        output.publish()
        assert there(s3_server) == {"2014/out.jsonl": self.CONTENT}

    def test_gives_up_and_leaves_nothing(self, s3_server: Server, proxy: FaultProxy) -> None:
        output = self.output(proxy)
        proxy.plan(Fault(status=500), method="PUT", part="partNumber", times=99)
        with pytest.raises(OutputError, match=r"^cannot write: .*the server failed each time"):
            output.publish()
        assert there(s3_server) == {}

    def test_an_upload_that_another_has_aborted(self, s3_server: Server, proxy: FaultProxy) -> None:
        first = self.output(proxy)
        first.part_path(1)
        s3 = s3_server.client()
        (upload,) = s3.list_multipart_uploads(Bucket="results")["Uploads"]
        s3.abort_multipart_upload(
            Bucket="results", Key="2014/out.jsonl", UploadId=upload["UploadId"]
        )
        with pytest.raises(OutputError, match=r"^cannot write: "):
            first.publish()
        assert there(s3_server) == {}

    def test_two_at_once(self, proxy: FaultProxy) -> None:
        output = self.output(proxy)
        with pytest.raises(OutputError, match="another edxlogs is writing it"):
            self.output(proxy)
        output.discard()
        output.discard()

    def test_a_key_that_is_a_folder(self, proxy: FaultProxy) -> None:
        with pytest.raises(ConfigError, match="is a prefix; name an object"):
            S3Output("s3://results/2014/", S3(endpoint_url=proxy.url))

    def test_one_that_may_only_be_written(self, s3_server: Server, proxy: FaultProxy) -> None:
        denied = Fault(status=403, code="AccessDenied")
        proxy.plan(denied, method="HEAD", part="out.jsonl", times=9)
        proxy.plan(denied, method="GET", times=9)
        self.output(proxy).publish()
        assert there(s3_server) == {"2014/out.jsonl": self.CONTENT}
