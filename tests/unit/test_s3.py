"""Buckets by a real server: what is there, what is refused, and how it is said."""

from __future__ import annotations

import pickle
import socket
import time
from pathlib import Path
from typing import Any

import pytest

import edxlogs.s3.client
from edxlogs.errors import ConfigError, MissingObjectError, MissingSourceError, S3Error
from edxlogs.s3 import errors as s3_errors
from edxlogs.s3 import retry as s3_retry
from edxlogs.s3.client import S3, S3Object, split_url
from edxlogs.s3.errors import Reason
from edxlogs.s3.reader import S3Reader
from fault_proxy import Fault, FaultProxy
from s3_server import ENVIRONMENT, Server

pytestmark = pytest.mark.usefixtures("s3_environment", "quick_retries")

SECRETS = (ENVIRONMENT["AWS_ACCESS_KEY_ID"], ENVIRONMENT["AWS_SECRET_ACCESS_KEY"])


def said(error: BaseException) -> str:
    """The sentence of an error, which is one, and holds no secret."""
    text = str(error)
    assert "\n" not in text
    assert not any(secret in text for secret in SECRETS)
    return text


def refused(proxy: FaultProxy, fault: Fault, times: int = 1) -> S3Error:
    """What listing a bucket comes to, with a fault."""
    proxy.plan(fault, times=times)
    with pytest.raises(S3Error) as caught:
        list(S3(endpoint_url=proxy.url).objects("logs"))
    said(caught.value)
    return caught.value


def test_objects_come_page_by_page_in_order(
    s3_server: Server, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edxlogs.s3.client, "PAGE_KEYS", 4)
    keys = [f"a/{number}" for number in range(7)]
    s3_server.bucket("logs", {**dict.fromkeys(keys, b"x"), "b": b""})
    found = list(S3(endpoint_url=proxy.url).objects("logs", "a/"))
    assert [one.key for one in found] == keys
    assert {one.size for one in found} == {1}
    assert [request.is_list for request in proxy.requests] == [True, True]


def test_an_object_is_described(s3_server: Server) -> None:
    name = "ä +%20*?#\x01.log"
    s3_server.bucket("logs", {f"x/{name}": b"hello"})
    (listed,) = S3().objects("logs")
    assert (listed.key, listed.name, listed.size) == (f"x/{name}", name, 5)
    assert listed.etag == '"5d41402abc4b2a76b9719d911017c592"'
    assert listed.modified.tzinfo is not None
    assert listed.url == f"s3://logs/x/{name}"
    looked_up = S3().object("logs", listed.key)
    assert (looked_up.size, looked_up.etag) == (listed.size, listed.etag)


def test_a_level_has_folders_and_objects(s3_server: Server) -> None:
    s3_server.bucket("logs", {"u/a/1": b"", "u/a/2": b"", "u/b/1": b"", "u/c": b"1"})
    level = S3().level("logs", "u/")
    assert level.folders == ["u/a/", "u/b/"]
    assert [one.key for one in level.objects] == ["u/c"]
    assert list(S3().objects("logs", "nothing/")) == []


def test_missing_buckets_and_objects(s3_server: Server) -> None:
    s3_server.bucket("logs")
    with pytest.raises(MissingObjectError) as caught:
        list(S3().objects("nowhere"))
    assert caught.value.reason == Reason.NO_BUCKET
    assert isinstance(caught.value, MissingSourceError | FileNotFoundError)
    assert said(caught.value).startswith("cannot list: s3://nowhere/: no such bucket; ")
    with pytest.raises(MissingObjectError) as caught:
        S3().object("logs", "none.log")
    assert caught.value.reason == Reason.NO_OBJECT
    with pytest.raises(MissingObjectError) as caught:
        S3().object("nowhere", "none.log")
    assert caught.value.reason == Reason.NO_BUCKET


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (403, "AccessDenied", Reason.DENIED),
        (400, "ExpiredToken", Reason.EXPIRED),
        (403, "InvalidAccessKeyId", Reason.BAD_CREDENTIALS),
        (403, "SignatureDoesNotMatch", Reason.BAD_CREDENTIALS),
        (403, "RequestTimeTooSkewed", Reason.CLOCK),
        (403, "SomethingNew", Reason.DENIED),
        (418, "SomethingNew", Reason.OTHER),
    ],
)
def test_what_is_final_is_asked_once(
    proxy: FaultProxy, status: int, code: str, reason: Reason
) -> None:
    error = refused(proxy, Fault(status=status, code=code))
    assert error.reason == reason
    assert len(proxy.requests) == 1
    assert ("SomethingNew" in str(error)) == (reason is Reason.OTHER)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(status=500, code="InternalError"), Reason.SERVER),
        (Fault(status=503, code="SlowDown"), Reason.THROTTLED),
        (Fault(status=502), Reason.SERVER),
        (Fault(silent=True), Reason.BROKEN),
        # boto takes a cut document for a failing server.
        (Fault(cut=10), Reason.SERVER),
    ],
)
def test_what_may_pass_is_asked_again(
    s3_server: Server, proxy: FaultProxy, fault: Fault, reason: Reason
) -> None:
    s3_server.bucket("logs", {"a": b""})
    proxy.plan(fault, times=s3_retry.ATTEMPTS - 1)
    assert [one.key for one in S3(endpoint_url=proxy.url).objects("logs")] == ["a"]
    proxy.reset()
    assert refused(proxy, fault, times=s3_retry.ATTEMPTS).reason == reason
    assert len(proxy.requests) == s3_retry.ATTEMPTS


def test_a_body_of_an_error_without_code_is_asked_for(s3_server: Server, proxy: FaultProxy) -> None:
    """The answer to HEAD has no body: 400 may be anything."""
    s3_server.bucket("logs", {"a": b"hello"})
    proxy.plan(Fault(status=400), method="HEAD", times=9)
    proxy.plan(Fault(status=400, code="ExpiredToken"))
    with pytest.raises(S3Error) as caught:
        S3(endpoint_url=proxy.url).object("logs", "a")
    assert caught.value.reason == Reason.EXPIRED


def test_another_region_is_followed_or_said(s3_server: Server, proxy: FaultProxy) -> None:
    s3_server.bucket("logs", {"a": b""})
    there = {"x-amz-bucket-region": "eu-west-1"}
    moved = Fault(status=301, code="PermanentRedirect", headers=there)
    proxy.plan(moved)
    s3 = S3(endpoint_url=proxy.url)
    assert [one.key for one in s3.objects("logs")] == ["a"]
    proxy.reset()
    error = refused(proxy, moved, times=9)
    assert error.reason == Reason.REGION
    assert "in another region (eu-west-1); " in str(error)


def test_another_region_that_nobody_names(proxy: FaultProxy) -> None:
    """boto asks for it by a request that is redirected again, without an end."""
    moved = Fault(status=301, code="PermanentRedirect")
    proxy.plan(moved, method="HEAD", times=9999)
    error = refused(proxy, moved, times=9999)
    assert error.reason == Reason.REGION
    assert "in another region; name that one with --region" in str(error)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(S3Error) as caught:
        list(S3(endpoint_url=f"http://127.0.0.1:{port}").objects("logs"))
    assert caught.value.reason == Reason.REFUSED
    with pytest.raises(S3Error) as caught:
        list(S3(endpoint_url="http://no-such-host.invalid").objects("logs"))
    assert caught.value.reason == Reason.UNKNOWN_HOST


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(S3Error) as caught:
        list(S3().objects("logs"))
    assert caught.value.reason == Reason.NO_CREDENTIALS
    assert "aws configure" in said(caught.value)


def test_credentials_that_cannot_be_sent(
    s3_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No header can hold them."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "two\nlines")
    with pytest.raises(S3Error) as caught:
        list(S3().objects("logs"))
    assert caught.value.reason == Reason.BAD_CREDENTIALS
    assert "lines" not in said(caught.value)


def test_each_bucket_may_have_its_profile(
    s3_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = "[czar]\naws_access_key_id = AKCZAR\naws_secret_access_key = x\n"
    written += "[weekly]\naws_access_key_id = AKWEEKLY\naws_secret_access_key = x\n"
    (tmp_path / "credentials").write_text(written)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    s3 = S3(profile=["czar", "course-data=weekly"])
    credentials: Any = lambda bucket: s3.client(bucket)._request_signer._credentials  # noqa: E731
    assert credentials("edx-course-data").access_key == "AKCZAR"
    assert credentials("course-data").access_key == "AKWEEKLY"
    assert s3.client("other") is s3.client("edx-course-data")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"profile": "nobody"}, "profile: nobody: no such AWS profile; "),
        ({"profile": ["a", "b"]}, "profile: b: the same buckets have another"),
        ({"profile": "bucket="}, "write NAME, or BUCKET=NAME"),
        ({"endpoint_url": "localhost:9000"}, "endpoint-url: is not a URL; "),
        ({"endpoint_url": "http://localhost:99999"}, "endpoint-url: is not a URL; "),
        ({"region": "no region"}, "region: is not an AWS region; "),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        S3(**settings).client("logs")
    assert told in said(caught.value)


def test_a_wrong_endpoint_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:1")
    with pytest.raises(ConfigError) as caught:
        S3().client("logs")
    assert "AWS configuration" in said(caught.value)


def test_without_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    with pytest.raises(ConfigError) as caught:
        S3().client("logs")
    assert "pip install 'edxlogs[s3]'" in said(caught.value)


@pytest.mark.parametrize(
    ("url", "risky"),
    [
        ("http://127.0.0.1:9000", False),
        ("http://localhost:9000", False),
        ("http://[::1]:9000", False),
        ("https://s3.example.org", False),
        ("http://s3.example.org", True),
        ("http://127.0.0.1.example.org", True),
    ],
)
def test_plain_http_is_warned_of(url: str, risky: bool) -> None:
    warning = S3(endpoint_url=url).warning("logs")
    assert (warning is not None) == risky


def test_requester_pays(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    s3_server.bucket("logs", {"a": b"hello"})
    s3 = S3(requester_pays=True)
    sent: list[str] = []
    s3.client("logs").meta.events.register(
        "before-send.s3",
        lambda request, **_: sent.append(str(request.headers.get("x-amz-request-payer"))),
    )
    (one,) = s3.objects("logs")
    with S3Reader(s3, one) as reader:
        assert reader.read() == b"hello"
    assert set(sent) == {"b'requester'"}
    assert len(sent) == 2


@pytest.mark.parametrize("url", ["s3://", "s3:///key", "s3://Bucket/key", "s3://b", "http://b/c"])
def test_urls_without_a_bucket(url: str) -> None:
    with pytest.raises(ConfigError):
        split_url(url)


def test_urls() -> None:
    assert split_url("s3://edx-course-data/a b/%20") == ("edx-course-data", "a b/%20")
    assert split_url("s3://edx-course-data") == ("edx-course-data", "")


def test_every_reason_has_a_sentence_that_says_what_to_do() -> None:
    for reason in Reason:
        error = s3_errors.trouble(reason, "cannot read", "s3://logs/a\nb")
        what, where, why = said(error).split(": ", 2)
        assert (what, where) == ("cannot read", "s3://logs/a\\x0ab")
        assert "; " in why
        assert s3_errors.reason_of(error) is reason


def test_what_is_not_of_s3_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        s3_errors.explain(ZeroDivisionError(), "cannot read", "s3://logs/a")


class TestReader:
    """The bytes of an object arrive whole, or it is said why not."""

    CONTENT = bytes(range(256)) * 9000

    @pytest.fixture
    def source(self, s3_server: Server) -> S3Object:
        s3_server.bucket("logs", {"a.log": self.CONTENT})
        return S3().object("logs", "a.log")

    def read(self, proxy: FaultProxy, source: S3Object, **options: Any) -> bytes:
        with S3Reader(S3(endpoint_url=proxy.url), source, **options) as reader:
            return b"".join(iter(lambda: reader.read(100_000), b""))

    def test_whole_and_ranges(self, proxy: FaultProxy, source: S3Object) -> None:
        assert self.read(proxy, source) == self.CONTENT
        assert len(proxy.requests) == 1
        assert self.read(proxy, source, offset=7) == self.CONTENT[7:]
        assert self.read(proxy, source, offset=7, length=11) == self.CONTENT[7:18]
        assert self.read(proxy, source, offset=source.size) == b""

    def test_it_goes_on_from_the_last_byte(self, proxy: FaultProxy, source: S3Object) -> None:
        for cut in (0, 1, 123_456, 1_000_000):
            proxy.plan(Fault(cut=cut))
        assert self.read(proxy, source) == self.CONTENT
        got = [request for request in proxy.requests if request.method == "GET"]
        assert len(got) == 5
        starts = [int((request.range or "bytes=0-")[6:].split("-")[0]) for request in got]
        assert starts == sorted(starts)
        assert starts[-1] >= 123_456

    def test_a_long_transfer_may_break_often(
        self, proxy: FaultProxy, source: S3Object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(s3_retry, "PROGRESS_BYTES", 65536)
        proxy.plan(Fault(cut=70_000), times=20)
        assert self.read(proxy, source) == self.CONTENT

    def test_without_progress_it_gives_up(self, proxy: FaultProxy, source: S3Object) -> None:
        proxy.plan(Fault(cut=10), times=100)
        with pytest.raises(S3Error) as caught:
            self.read(proxy, source)
        assert caught.value.reason == Reason.BROKEN
        assert len(proxy.requests) == s3_retry.ATTEMPTS

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(status=503, code="SlowDown"),
            Fault(status=500),
            Fault(silent=True),
            Fault(stall=1000),
        ],
    )
    def test_what_may_pass(self, proxy: FaultProxy, source: S3Object, fault: Fault) -> None:
        proxy.plan(fault, times=2)
        assert self.read(proxy, source) == self.CONTENT

    def test_replaced_while_it_is_read(
        self, s3_server: Server, proxy: FaultProxy, source: S3Object
    ) -> None:
        client = s3_server.client()

        def replace() -> None:
            # As on a loaded machine: the reader waits no longer, and asks again meanwhile.
            time.sleep(1.5 * s3_retry.READ_SECONDS)
            client.put_object(Bucket="logs", Key="a.log", Body=self.CONTENT[::-1])

        proxy.plan(Fault(cut=1000))
        proxy.plan(Fault(before=replace))
        with pytest.raises(S3Error) as caught:
            self.read(proxy, source)
        assert caught.value.reason == Reason.CHANGED

    def test_deleted_while_it_is_read(
        self, s3_server: Server, proxy: FaultProxy, source: S3Object
    ) -> None:
        proxy.plan(Fault(cut=1000))
        delete = lambda: s3_server.client().delete_object(Bucket="logs", Key="a.log")  # noqa: E731
        proxy.plan(Fault(before=delete))
        with pytest.raises(S3Error) as caught:
            self.read(proxy, source)
        assert caught.value.reason == Reason.CHANGED

    def test_a_server_that_does_not_pin(self, proxy: FaultProxy, source: S3Object) -> None:
        proxy.plan(Fault(cut=1000))
        proxy.plan(Fault(etag='"0123"'))
        with pytest.raises(S3Error) as caught:
            self.read(proxy, source)
        assert caught.value.reason == Reason.CHANGED

    @pytest.mark.parametrize("algorithm", ["CRC32", "SHA256", "SHA1"])
    def test_wrong_bytes_of_the_right_length(
        self, s3_server: Server, proxy: FaultProxy, algorithm: str
    ) -> None:
        s3_server.bucket("sums")
        s3_server.client().put_object(
            Bucket="sums", Key="a", Body=self.CONTENT, ChecksumAlgorithm=algorithm
        )
        source = S3().object("sums", "a")
        assert self.read(proxy, source) == self.CONTENT
        proxy.plan(Fault(wrong=True))
        with pytest.raises(S3Error) as caught:
            self.read(proxy, source)
        assert caught.value.reason == Reason.DAMAGED

    def test_interrupt_ends_a_wait(
        self, proxy: FaultProxy, source: S3Object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import threading
        import time

        from edxlogs.errors import StoppedError

        monkeypatch.setattr(s3_retry, "READ_SECONDS", 60)
        proxy.plan(Fault(stall=1000, seconds=60))
        with S3Reader(S3(endpoint_url=proxy.url), source) as reader:
            assert reader.read(1000)
            threading.Timer(0.2, reader.interrupt).start()
            start = time.monotonic()
            with pytest.raises(StoppedError):
                reader.read(1000)
            assert time.monotonic() - start < 30


def test_the_module_is_imported_without_boto() -> None:
    import subprocess
    import sys

    code = "import sys, edxlogs.s3.client, edxlogs.s3.reader; sys.exit('boto3' in sys.modules)"
    assert edxlogs.s3.client.__file__
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_process_that_gets_it_sent_has_one_of_it() -> None:
    s3 = S3(profile=["czar", "b=weekly"], endpoint_url="http://127.0.0.1:1", requester_pays=True)
    sent = [pickle.loads(pickle.dumps(s3)) for _ in range(2)]
    assert sent[0] is sent[1] is pickle.loads(pickle.dumps(sent[0]))
    assert sent[0] is not s3
    assert sent[0].payer == s3.payer
    other = pickle.loads(pickle.dumps(S3(endpoint_url="http://127.0.0.1:1")))
    assert other is not sent[0]
    assert other.payer == {}
