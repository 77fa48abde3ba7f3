"""Amazon S3: which server, whose credentials, and what a bucket contains.

`S3` is to buckets what `Gpg` is to key rings: it is made once from the user's settings, and passed
to everything that reads, writes or lists. boto3 sends the requests, and is imported with the first
of them. Errors come from `s3.errors`, retries from `s3.retry`.
"""

from __future__ import annotations

import datetime
import gc
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from edxlogs import _core
from edxlogs.errors import ConfigError, EdxlogsError, S3Error
from edxlogs.s3 import retry as s3_retry
from edxlogs.s3.errors import Reason, explain, trouble
from edxlogs.s3.retry import Attempts
from edxlogs.text import shown

SCHEME = "s3://"
PAGE_KEYS = 1000  # the most that S3 lists at once
MOST_CONNECTIONS = 64  # of one client; more transfers at once would wait for each other
MOST_NAMES = 2_000_000  # of one listing; they are held in memory
ANSWER_BYTES = 16 << 20  # of what boto holds whole; a page of the longest keys has 6 MiB
_MOST_BYTES = (1 << 63) - 1
_SMALL_PAGE, _EMPTY_PAGE = 100, 20_000  # names that such pages count for: they may go on for ever

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")


@dataclass(frozen=True, slots=True)
class S3Object:
    """One object, as it was when listed.

    Attributes:
        bucket: its bucket.
        key: its full name there. It may be any text: check it before you use it as a path.
        size: size in bytes.
        etag: identifies this content, with its quotation marks; reads are pinned to it. It is the
            MD5 of some objects only, and empty if a server's listing does not give it.
        modified: when it was uploaded, UTC.
        storage_class: `STANDARD`, `GLACIER` and so on.
        checksum_algorithms: algorithms of the checksums that S3 keeps of it, such as `CRC64NVME`.
        checksum_type: `FULL_OBJECT` or `COMPOSITE` (over parts, so of no use here); None if
            unknown.
    """

    bucket: str
    key: str
    size: int
    etag: str
    modified: datetime.datetime
    storage_class: str = "STANDARD"
    checksum_algorithms: tuple[str, ...] = ()
    checksum_type: str | None = None

    @property
    def url(self) -> str:
        """The `s3://` URL."""
        return f"{SCHEME}{self.bucket}/{self.key}"

    @property
    def name(self) -> str:
        """The part of the key after the last slash."""
        return self.key.rsplit("/", 1)[-1]


@dataclass(slots=True)
class Level:
    """The entries directly below a prefix, in the order of S3 (by the bytes of the keys).

    Attributes:
        folders: common prefixes, each with its trailing slash.
        objects: the objects. One of them may be the prefix itself, which stands for a folder.
    """

    folders: list[str] = field(default_factory=list)
    objects: list[S3Object] = field(default_factory=list)


class S3:
    """Access to S3: server, credentials and region. Many threads may share one.

    Args:
        profile: AWS profiles, one or several: `NAME` for every bucket, or `BUCKET=NAME` for one
            (edX's two buckets may need different credentials). None leaves the choice to boto3:
            environment, configuration, SSO or role.
        endpoint_url: URL of another server; None takes it from the AWS configuration.
        region: region of the buckets; None takes it from the AWS configuration. Buckets in other
            regions are found anyway.
        requester_pays: pay for requests, which some buckets demand.

    Attributes:
        payer: parameters that every request needs besides its own.
        reached: is set once a server has answered.

    Raises:
        ConfigError: two profiles are given for the same buckets, or the endpoint is not a URL.

    Examples:
        >>> s3 = edxlogs.S3(profile="edx-data", region="us-east-1")
        >>> stream = edxlogs.filter("s3://my-bucket/logs/", s3=s3)
    """

    def __init__(
        self,
        *,
        profile: str | Iterable[str] | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        requester_pays: bool = False,
    ) -> None:
        self._profiles: dict[str | None, str] = {}
        for text in [profile] if isinstance(profile, str) else profile or ():
            bucket, equals, name = text.rpartition("=")
            if (bucket or None) in self._profiles:
                raise ConfigError(
                    f"profile: {shown(text)}: the same buckets have another profile already;"
                    " name one for all, or BUCKET=NAME for each"
                )
            if not name or (equals and not bucket):
                raise ConfigError(f"profile: {shown(text)}: write NAME, or BUCKET=NAME")
            self._profiles[bucket or None] = name
        if endpoint_url is not None and not _is_url(endpoint_url):
            raise ConfigError("endpoint-url: is not a URL; write it like https://s3.example.org")
        self._endpoint_url = endpoint_url
        self._region = region
        self.payer = {"RequestPayer": "requester"} if requester_pays else {}
        self._clients: dict[str | None, Any] = {}
        self._sessions: dict[str | None, Any] = {}
        self._lock = threading.Lock()
        self.reached = threading.Event()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings without the connections; each process has connections of its own."""
        profiles = (
            name if bucket is None else f"{bucket}={name}"
            for bucket, name in self._profiles.items()
        )
        return _shared, (tuple(profiles), self._endpoint_url, self._region, bool(self.payer))

    def client(self, bucket: str) -> Any:
        """The boto3 client for a bucket, made at the first call. Threads may share it.

        Raises:
            ConfigError: boto3 is not installed, or the settings are invalid.
        """
        profile = self._profiles.get(bucket, self._profiles.get(None))
        with self._lock:
            if profile not in self._clients:
                with _without_collector():
                    self._clients[profile] = self._make_client(profile)
            return self._clients[profile]

    def _make_client(self, profile: str | None) -> Any:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise ConfigError(
                "s3: boto3 is not installed; install it with pip install 'edxlogs[s3]'"
            ) from None
        config = Config(
            # Retries are up to `retry`; boto3 still follows a bucket to its region.
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=s3_retry.CONNECT_SECONDS,
            read_timeout=s3_retry.READ_SECONDS,
            max_pool_connections=MOST_CONNECTIONS,
            # Other servers do not accept a bucket as part of their host name.
            s3={"addressing_style": "path"} if self._endpoint_url else None,
            # Checksums of what is read are verified by S3Reader, over all its pieces.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            user_agent_extra=f"edxlogs/{_core.__version__}",
        )
        try:
            session = boto3.Session(profile_name=profile, region_name=self._region)
            self._sessions[profile] = session
            client = session.client("s3", endpoint_url=self._endpoint_url, config=config)
        except Exception as error:
            failure = explain(error, "cannot use", SCHEME)
            if isinstance(failure, S3Error) and failure.reason == Reason.IMPOSSIBLE:
                # A ValueError, because boto3 has no class of its own for this.
                raise ConfigError(
                    "endpoint-url: the one in the AWS configuration is not a URL; correct it there"
                ) from None
            raise failure from None
        for operation in ("GetObject", "HeadObject"):
            client.meta.events.register(f"before-call.s3.{operation}", _ask_for_checksum)
        session = client._endpoint.http_session
        client.meta.events.register("before-send.s3", partial(_send_bounded, session))
        return client

    def credentials(self, bucket: str) -> str:
        """Where the credentials for a bucket come from, such as `env` or `sso`.

        Raises:
            S3Error: there are no credentials, or they cannot be renewed.
            ConfigError: the settings are invalid.
        """
        self.client(bucket)
        session = self._sessions[self._profiles.get(bucket, self._profiles.get(None))]
        try:
            credentials = session.get_credentials()
            if credentials is not None:
                credentials.get_frozen_credentials()
                return shown(str(credentials.method))
        except Exception as error:
            raise explain(error, "cannot use", f"{SCHEME}{bucket}") from None
        raise trouble(Reason.NO_CREDENTIALS, "cannot use", f"{SCHEME}{bucket}")

    def call(
        self, operation: str, bucket: str, what: str, *, again: bool = True, **parameters: Any
    ) -> dict[str, Any]:
        """Make one request, and repeat it if it fails in a way that may pass.

        Args:
            operation: method of the client, such as `head_object`.
            bucket: the bucket.
            what: how errors describe the failure, such as `cannot list`.
            again: False makes a single attempt.
            parameters: parameters of the operation except the bucket; `Key` or `Prefix` is named in
                errors.

        Returns:
            The answer from boto3.

        Raises:
            S3Error: the request was refused, or every attempt failed.
            ConfigError: the settings are invalid.
        """
        where = parameters.get("Key", parameters.get("Prefix", ""))
        try:
            method = getattr(self.client(bucket), operation)
            request = partial(method, Bucket=bucket, **self.payer, **parameters)
            answer: dict[str, Any] = Attempts(self.reached).run(request) if again else request()
            return answer
        except EdxlogsError:
            raise
        except Exception as error:
            # Not `from error`: its text is not ours.
            raise explain(error, what, f"{SCHEME}{bucket}/{where}") from None

    def object(self, bucket: str, key: str) -> S3Object:
        """Look up one object.

        Raises:
            MissingObjectError: the bucket or the object does not exist.
            S3Error: it cannot be looked up.
        """
        try:
            head = self.call("head_object", bucket, "cannot open", Key=key)
        except S3Error as error:
            # The answer to HEAD has no body, and so no code. GET has one.
            if error.reason not in (Reason.NO_OBJECT, Reason.DENIED, Reason.OTHER):
                raise
            head = self.call("get_object", bucket, "cannot open", Key=key)
            head["Body"].close()
        found = _object(bucket, {**head, "Key": key, "Size": head.get("ContentLength")})
        if found is None or not found.etag:
            raise trouble(Reason.IMPOSSIBLE, "cannot open", f"{SCHEME}{bucket}/{key}")
        return found

    def objects(self, bucket: str, prefix: str = "") -> Iterator[S3Object]:
        """Yield all objects below a prefix, by the bytes of their keys. Lists page by page.

        A prefix without objects yields nothing.

        Raises:
            S3Error: the bucket cannot be listed; MissingObjectError if it does not exist.
        """
        for objects, _ in self._pages(bucket, prefix):
            yield from objects

    def level(self, bucket: str, prefix: str = "") -> Level:
        """List what is directly below a prefix that is empty or ends in a slash."""
        level = Level()
        for objects, folders in self._pages(bucket, prefix, Delimiter="/"):
            level.folders += folders
            level.objects += objects
        return level

    def _pages(
        self, bucket: str, prefix: str, **parameters: Any
    ) -> Iterator[tuple[list[S3Object], list[str]]]:
        """Objects and folders of each page. Raises an error if an answer is not a valid listing."""
        what, where = "cannot list", f"{SCHEME}{bucket}/{prefix}"
        parameters |= {"Prefix": prefix, "MaxKeys": PAGE_KEYS}
        tokens: set[str] = set()
        names = 0
        while True:
            page = self.call("list_objects_v2", bucket, what, **parameters)
            objects = [_object(bucket, one) for one in page.get("Contents", ())]
            folders = [str(one.get("Prefix")) for one in page.get("CommonPrefixes", ())]
            true = [one for one in objects if one is not None and one.key.startswith(prefix)]
            odd = any(not one.startswith(prefix) or not one.endswith("/") for one in folders)
            token = page.get("NextContinuationToken") if page.get("IsTruncated") else ""
            if len(true) < len(objects) or odd or token is None or token in tokens:
                raise trouble(Reason.IMPOSSIBLE, what, where)
            yield true, folders
            if not token:
                return
            count = len(true) + len(folders)
            names += max(count, _SMALL_PAGE) if count else _EMPTY_PAGE
            if names >= MOST_NAMES:
                raise trouble(Reason.MANY_NAMES, what, where, detail=f" ({MOST_NAMES:,})")
            tokens.add(token)
            parameters["ContinuationToken"] = token

    def warning(self, bucket: str) -> str | None:
        """One sentence about a risk in how a bucket is reached, or None."""
        url = urlsplit(str(self.client(bucket).meta.endpoint_url))
        if url.scheme != "http" or _LOOPBACK.fullmatch(url.hostname or ""):
            return None
        host = shown(url.hostname or "")
        return f"{host}: is reached over plain http, which others can read on the way; use https"


@lru_cache(maxsize=16)
def _shared(
    profiles: tuple[str, ...], endpoint_url: str | None, region: str | None, requester_pays: bool
) -> S3:
    return S3(
        profile=profiles,
        endpoint_url=endpoint_url,
        region=region,
        requester_pays=requester_pays,
    )


@contextmanager
def _without_collector() -> Iterator[None]:
    """Pause garbage collection, which would traverse the many objects of boto3's models repeatedly.

    This saves 50 ms, a fifth of the time to import boto3 and make a client.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _ask_for_checksum(params: dict[str, Any], **_: Any) -> None:
    """Request the checksum in a header. With its own parameter, boto3 would verify it too."""
    params["headers"]["x-amz-checksum-mode"] = "ENABLED"


def split_url(url: str) -> tuple[str, str]:
    """The bucket and the key of an `s3://` URL. Keys are not percent-encoded, and may be empty.

    Raises:
        ConfigError: the URL names no bucket.
    """
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    if not url.startswith(SCHEME) or not _BUCKET.fullmatch(bucket):
        raise ConfigError(
            f"s3: {shown(url)}: names no bucket; write it like s3://bucket/key", shown(url)
        )
    return bucket, key


def _object(bucket: str, said: Mapping[str, Any]) -> S3Object | None:
    """An object as a server describes it; None if the description is impossible."""
    key, size, modified = said.get("Key"), said.get("Size"), said.get("LastModified")
    if not key or not isinstance(size, int) or not 0 <= size <= _MOST_BYTES or modified is None:
        return None
    return S3Object(
        bucket=bucket,
        key=key,
        size=size,
        etag=said.get("ETag", ""),
        modified=modified.astimezone(datetime.UTC),
        storage_class=said.get("StorageClass", "STANDARD"),
        checksum_algorithms=tuple(said.get("ChecksumAlgorithm", ())),
        checksum_type=said.get("ChecksumType"),
    )


def _send_bounded(session: Any, request: Any, **_: Any) -> Any:
    """Send a request of boto3's, and limit the size of answers that it reads whole."""
    is_stream, request.stream_output = request.stream_output, True
    response = session.send(request)
    if not is_stream or response.status_code >= HTTPStatus.MULTIPLE_CHOICES:
        response.raw = _WholeBody(response.raw)
    return response


class _WholeBody:
    """The body of an answer that boto3 reads whole."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def stream(self) -> Iterator[bytes]:
        left = ANSWER_BYTES
        for piece in self._raw.stream():
            left -= len(piece)
            if left < 0:
                self._raw.close()
                raise ValueError("longer than any answer of S3's")
            yield piece


def _is_url(text: str) -> bool:
    with suppress(ValueError):
        url = urlsplit(text)
        # Reading an invalid port raises an error.
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    return False
