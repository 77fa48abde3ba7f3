"""Turns errors of S3 into one sentence each. This is the only place that reads them.

Errors are distinguished by their codes and classes, never by their texts. No text of S3 or boto3
goes into a message, because it may contain a key id or a signature.
"""

from __future__ import annotations

import enum
import re
import socket
from collections.abc import Iterator
from typing import Any

from edxlogs.errors import ConfigError, EdxlogsError, MissingObjectError, S3Error
from edxlogs.text import shown


class Reason(enum.StrEnum):
    """Why a request failed, as `S3Error.reason` gives it."""

    NO_CREDENTIALS = "no_credentials"
    EXPIRED = "expired"
    BAD_CREDENTIALS = "bad_credentials"
    DENIED = "denied"
    NO_BUCKET = "no_bucket"
    NO_OBJECT = "no_object"
    NO_PREFIX = "no_prefix"
    CHANGED = "changed"
    ARCHIVED = "archived"
    CLOCK = "clock"
    REGION = "region"
    THROTTLED = "throttled"
    SERVER = "server"
    REFUSED = "refused"
    UNKNOWN_HOST = "unknown_host"
    TLS = "tls"
    BROKEN = "broken"
    DAMAGED = "damaged"
    UNSUPPORTED = "unsupported"
    IMPOSSIBLE = "impossible"
    MANY_NAMES = "many_names"
    OTHER = "other"


WHOLE_RUN = frozenset(
    {
        Reason.NO_CREDENTIALS,
        Reason.EXPIRED,
        Reason.BAD_CREDENTIALS,
        Reason.CLOCK,
        Reason.TLS,
        Reason.REFUSED,
        Reason.UNKNOWN_HOST,
    }
)
"""Reasons that affect all requests alike, so that trying the next object is useless."""

RETRIED = frozenset(
    {
        Reason.THROTTLED,
        Reason.SERVER,
        Reason.REFUSED,
        Reason.UNKNOWN_HOST,
        Reason.BROKEN,
    }
)
"""Reasons that may have passed by the next attempt."""

# Why, and what to do.
_SENTENCES = {
    Reason.NO_CREDENTIALS: "no AWS credentials were found; name a profile with --profile, or run"
    " aws configure",
    Reason.EXPIRED: "the AWS credentials have expired; renew them (aws sso login), or name another"
    " --profile",
    Reason.BAD_CREDENTIALS: "the AWS credentials are not accepted; correct them, or name another"
    " --profile",
    Reason.DENIED: "access is denied; name the --profile that may do this, or ask the owner of the"
    " bucket for the right",
    Reason.NO_BUCKET: "no such bucket; correct its name, or name another --endpoint-url",
    Reason.NO_OBJECT: "no such object; look at what is there with edxlogs list",
    Reason.NO_PREFIX: "nothing is there; look at what is there with edxlogs list",
    Reason.CHANGED: "it was replaced or deleted while it was read; run again",
    Reason.ARCHIVED: "it is in an archive (Glacier); restore it there first",
    Reason.CLOCK: "the clock of this computer is wrong; set it and run again",
    Reason.REGION: "the bucket is in another region; name that one with --region",
    Reason.THROTTLED: "S3 kept asking to slow down; run again later",
    Reason.SERVER: "the server failed each time; run again later",
    Reason.REFUSED: "no connection to the server; check the network and --endpoint-url",
    Reason.UNKNOWN_HOST: "the server's name is unknown; check the network and --endpoint-url",
    Reason.TLS: "the server has no trusted certificate; check --endpoint-url and AWS_CA_BUNDLE",
    Reason.BROKEN: "the connection broke each time; check the network and run again",
    Reason.DAMAGED: "the bytes received do not match their checksum; run again",
    Reason.UNSUPPORTED: "the server cannot do this; name another --endpoint-url",
    Reason.IMPOSSIBLE: "the server's answer is not one that S3 gives; check --endpoint-url",
    Reason.MANY_NAMES: "there are more names than one listing may have; name a longer prefix",
    Reason.OTHER: "S3 refused the request; check the permissions and --endpoint-url",
}

# Codes of S3, of STS and of the services that give credentials. HEAD has no body, so that only
# the status is known.
# Source: Amazon S3 API Reference, "Error responses"; AWS STS API Reference, "Common errors".
_CODES = {
    "ExpiredToken": Reason.EXPIRED,
    "ExpiredTokenException": Reason.EXPIRED,
    "TokenRefreshRequired": Reason.EXPIRED,
    "RequestExpired": Reason.EXPIRED,
    "InvalidAccessKeyId": Reason.BAD_CREDENTIALS,
    "InvalidClientTokenId": Reason.BAD_CREDENTIALS,
    "InvalidToken": Reason.BAD_CREDENTIALS,
    "UnrecognizedClientException": Reason.BAD_CREDENTIALS,
    "SignatureDoesNotMatch": Reason.BAD_CREDENTIALS,
    "NotSignedUp": Reason.BAD_CREDENTIALS,
    "AccessDenied": Reason.DENIED,
    "AccessDeniedException": Reason.DENIED,
    "AccountProblem": Reason.DENIED,
    "AllAccessDisabled": Reason.DENIED,
    "UnauthorizedAccess": Reason.DENIED,
    "403": Reason.DENIED,
    "NoSuchBucket": Reason.NO_BUCKET,
    "NoSuchKey": Reason.NO_OBJECT,
    "NoSuchVersion": Reason.NO_OBJECT,
    "NoSuchUpload": Reason.NO_OBJECT,
    "404": Reason.NO_OBJECT,
    "PreconditionFailed": Reason.CHANGED,
    "ConditionalRequestConflict": Reason.CHANGED,
    "412": Reason.CHANGED,
    "InvalidObjectState": Reason.ARCHIVED,
    "RequestTimeTooSkewed": Reason.CLOCK,
    "PermanentRedirect": Reason.REGION,
    "TemporaryRedirect": Reason.REGION,
    "AuthorizationHeaderMalformed": Reason.REGION,
    "IllegalLocationConstraintException": Reason.REGION,
    "301": Reason.REGION,
    "NotImplemented": Reason.UNSUPPORTED,
    "501": Reason.UNSUPPORTED,
    "SlowDown": Reason.THROTTLED,
    "Throttling": Reason.THROTTLED,
    "ThrottlingException": Reason.THROTTLED,
    "RequestLimitExceeded": Reason.THROTTLED,
    "TooManyRequests": Reason.THROTTLED,
    "429": Reason.THROTTLED,
    "RequestTimeout": Reason.BROKEN,
    "IncompleteBody": Reason.BROKEN,
    "BadDigest": Reason.BROKEN,
}

_PLAIN_CODE = re.compile(r"[A-Za-z0-9.]{1,64}")


def reason_of(error: BaseException) -> Reason:
    """The reason behind an exception of boto3, or of the network below it."""
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    if isinstance(error, S3Error):
        return Reason(error.reason)
    if isinstance(error, boto.ClientError):
        code, status = _code(error)
        reason = _CODES.get(code)
        if reason is None:
            default = Reason.SERVER if status >= 500 else Reason.OTHER
            reason = _CODES.get(str(status), default)
        return reason
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
        return Reason.NO_CREDENTIALS
    if isinstance(error, boto.SSOError | boto.TokenRetrievalError | boto.LoginError):
        return Reason.EXPIRED
    if isinstance(error, boto.CredentialRetrievalError | boto.NoAuthTokenError):
        return Reason.BAD_CREDENTIALS
    if isinstance(error, boto.SSLError):
        return Reason.TLS
    causes = list(_causes(error))
    unsent = error.kwargs.get("error") if isinstance(error, boto.HTTPClientError) else None
    if isinstance(unsent, ValueError) and not isinstance(unsent, HTTPError):
        # A header cannot be written, and only credentials come from outside.
        return Reason.BAD_CREDENTIALS
    if any(isinstance(cause, RecursionError) for cause in causes):
        # A bucket is elsewhere, S3 does not say where, and boto3 keeps asking.
        return Reason.REGION
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Reason.UNKNOWN_HOST
    if isinstance(error, boto.EndpointConnectionError | boto.ProxyConnectionError):
        return Reason.REFUSED
    if isinstance(error, boto.ConnectTimeoutError):
        return Reason.REFUSED
    # The remaining ones broke in the middle.
    broken = (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError)
    if isinstance(error, (*broken, HTTPError, OSError)):
        return Reason.BROKEN
    if isinstance(error, (ValueError, RuntimeError, OverflowError, ResponseParserError)):
        return Reason.IMPOSSIBLE  # boto cannot read it
    return Reason.OTHER


def explain(error: BaseException, what: str, where: str) -> EdxlogsError:
    """Turn an exception of boto3 into an error with one sentence.

    Args:
        error: the exception, as boto3 raised it.
        what: what was not done, such as `cannot read`.
        where: URL of the object or bucket.

    Returns:
        A ConfigError for invalid settings, else an S3Error with its reason. An error of edxlogs is
            returned as it is.

    Raises:
        BaseException: `error` itself, if it has nothing to do with S3.
    """
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    if isinstance(error, EdxlogsError):
        return error
    known = (
        *(boto.BotoCoreError, boto.ClientError, ResponseParserError),
        *(HTTPError, OSError, ValueError, RuntimeError, OverflowError),
    )
    if not isinstance(error, known):
        raise error
    if (settings := _settings(error)) is not None:
        return ConfigError(settings)
    return trouble(reason_of(error), what, where, detail=_detail(error))


def trouble(reason: Reason, what: str, where: str, *, detail: str = "") -> S3Error:
    """The error for a reason. `detail` adds to it, after the reason."""
    missing = reason in (Reason.NO_BUCKET, Reason.NO_OBJECT, Reason.NO_PREFIX)
    kind = MissingObjectError if missing else S3Error
    why, _, advice = _SENTENCES[reason].partition("; ")
    return kind(f"{what}: {shown(where)}: {why}{detail}; {advice}", shown(where), reason)


def _code(error: Any) -> tuple[str, int]:
    response = error.response
    code = str(response.get("Error", {}).get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code, status if isinstance(status, int) else 0


def _detail(error: BaseException) -> str:
    """The code that S3 gave, unless the sentence says it already."""
    from botocore import exceptions as boto

    if not isinstance(error, boto.ClientError):
        return ""
    code, status = _code(error)
    if reason_of(error) is Reason.REGION:
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = str(headers.get("x-amz-bucket-region", ""))
        return f" ({region})" if re.fullmatch(r"[a-z0-9-]{1,32}", region) else ""
    if reason_of(error) not in (Reason.SERVER, Reason.OTHER):
        return ""
    named = [code] if _PLAIN_CODE.fullmatch(code) and not code.isdigit() else []
    return f" ({' '.join([str(status), *named])})" if status or named else ""


def _settings(error: BaseException) -> str | None:
    """What is wrong with the settings, as a whole message, or None."""
    from botocore import exceptions as boto

    kwargs: dict[str, Any] = getattr(error, "kwargs", {})
    if isinstance(error, boto.ProfileNotFound):
        profile = shown(str(kwargs.get("profile", "")))
        return f"profile: {profile}: no such AWS profile; aws configure list-profiles names them"
    if isinstance(error, boto.InvalidRegionError | boto.NoRegionError):
        return "region: is not an AWS region; write --region like us-east-1"
    if isinstance(error, boto.ConfigParseError | boto.ConfigNotFound | boto.InvalidConfigError):
        return "profile: the AWS configuration cannot be read; correct ~/.aws/config"
    if isinstance(error, boto.ParamValidationError | boto.InvalidDNSNameError):
        return "s3: the name of a bucket or a key is not valid; correct the s3:// URL"
    if isinstance(error, boto.EndpointProviderError):
        return "endpoint-url: the one in the AWS configuration is not a URL; correct it there"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and all those behind it, in every way that boto3 and urllib3 store them."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        cause = pending.pop()
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        kept = getattr(cause, "kwargs", None)
        inner = kept.get("error") if isinstance(kept, dict) else None
        pending += [cause.__cause__, cause.__context__, inner, getattr(cause, "reason", None)]
