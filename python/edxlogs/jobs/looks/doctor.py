"""Checks whether a computer has what it needs before its first unattended run.

Nothing is changed, except that a probe is written to a bucket and deleted. Nothing is asked for: a
key whose passphrase must be typed in is reported as such.
"""

from __future__ import annotations

import datetime
import enum
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edxlogs import _core
from edxlogs.buckets.bucket import Bucket
from edxlogs.buckets.requests import probe
from edxlogs.edx.layout import EVENTS_BUCKET, PACKAGES_BUCKET, check_partner
from edxlogs.errors import EdxlogsError
from edxlogs.gpg.frame import HEAD_BYTES, looks_like_openpgp
from edxlogs.gpg.process import Gpg
from edxlogs.gpg.slots import SECMEM, settings
from edxlogs.gpg.unlocked import Kept, kept
from edxlogs.jobs.settings import Keys
from edxlogs.s3.client import S3, SCHEME
from edxlogs.s3.errors import Reason
from edxlogs.text import duration, shown, size, table

SCHEMA_VERSION = 1
_YEAR_FILES = 730  # of two sites
_A_YEAR = f"for the {_YEAR_FILES} files of two sites in a year"
_QUICK_SECONDS = 0.05  # mostly the start of gpg
LEAST_FREE_BYTES = 10**9
_HEAD_BYTES = 64 << 10  # holds the keys of a message, however many
_MOST_KEYS = 100  # looked at for one object that can be read


class Health(enum.StrEnum):
    """The outcome of a check."""

    OK = "ok"
    ADVICE = "advice"
    """It works, and could be better."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        name: what was checked.
        health: the outcome.
        told: what was found and, unless it is ok, what to do; one line.
    """

    name: str
    health: Health
    told: str


@dataclass(frozen=True, repr=False)
class Examination:
    """The result of `doctor`. It prints as a table, one line per check.

    Attributes:
        checks: the checks, in the order they were made.
    """

    checks: list[Check]

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is missing."""
        return all(check.health is not Health.MISSING for check in self.checks)

    def __str__(self) -> str:
        return "\n".join(table([[one.health, one.name, one.told] for one in self.checks]))

    __repr__ = __str__

    def report(self) -> dict[str, Any]:
        """The result as a JSON document."""
        return {
            "schema_version": SCHEMA_VERSION,
            "version": _core.__version__,
            "healthy": self.is_healthy,
            "checks": self.checks,
        }


def doctor(
    keys: Keys,
    s3: S3 | None = None,
    *,
    partner: str | None = None,
    sample: str | None = None,
    folders: Iterable[str] = (),
) -> Examination:
    """Make all checks, as `examine` does, without asking for anything.

    Raises:
        ConfigError: the partner or the key ring is not valid.
    """
    if partner is not None:
        check_partner(partner)
    gpg = replace(keys, prompt=False).gpg()
    looked = examine(gpg, s3 or S3(), partner=partner, sample=sample, folders=folders)
    return Examination(list(looked))


def examine(
    gpg: Gpg,
    s3: S3,
    *,
    partner: str | None = None,
    sample: str | None = None,
    folders: Iterable[str] = (),
) -> Iterator[Check]:
    """Make all checks, one after another.

    Args:
        gpg: the key ring.
        s3: server and credentials.
        partner: a partner's folder in edX's buckets. None looks at the top level of the buckets.
        sample: an encrypted file that the key should decrypt, or None.
        folders: where data will be written. An `s3://` URL stands for a dataset in a bucket.
    """
    yield from _check_gpg(gpg)
    if sample is not None:
        yield from _check_sample(gpg, sample)
    boto3 = _check_boto3()
    yield boto3
    if boto3.health is Health.OK:
        yield from _check_bucket(s3, EVENTS_BUCKET, f"{partner}/" if partner else "")
        yield from _check_bucket(s3, PACKAGES_BUCKET, f"{partner}-" if partner else "")
    for folder in folders:
        if folder.startswith(SCHEME):
            yield from _check_place(s3, folder)
        else:
            yield _check_folder(folder)


def _failed(name: str, error: Exception) -> Check:
    return Check(name, Health.MISSING, str(error))


def _check_gpg(gpg: Gpg) -> Iterator[Check]:
    try:
        version = ".".join(map(str, gpg.version()))
    except EdxlogsError as error:
        yield _failed("gpg", error)
        return
    yield Check("gpg", Health.OK, f"version {version}")
    place = gpg.folder / "gpg-agent.conf"
    if SECMEM in settings(place):
        yield Check("gpg-agent", Health.OK, f"{SECMEM} is set")
    else:
        yield Check(
            "gpg-agent",
            Health.ADVICE,
            f"with many files at once it may run out of memory; put {SECMEM} into"
            f" {shown(str(place))} and run gpgconf --kill gpg-agent",
        )


def _check_sample(gpg: Gpg, sample: str) -> Iterator[Check]:
    name = shown(sample)
    try:
        with open(sample, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        told = f"{name}: {error.strerror}; name a file from edX that can be read"
        yield Check("sample", Health.MISSING, told)
        return
    if not looks_like_openpgp(head[:HEAD_BYTES]):
        yield Check("sample", Health.MISSING, f"{name}: is not encrypted; name a file that is")
        return
    try:
        wanted = gpg.recipients(head)
        here = sorted(gpg.secret_key_ids().intersection(wanted))
    except EdxlogsError as error:
        yield _failed("secret key", error)
        return
    if wanted and not here and set("".join(wanted)) != {"0"}:
        told = f"{name} is encrypted to {' or '.join(wanted)}, which is not in the key ring"
        yield Check("secret key", Health.MISSING, f"{told}; import it with gpg --import")
        return
    # A message may hide whom it is for: then trying is the only way.
    told = f"{name} is encrypted to {' or '.join(here) or 'a hidden key'}"
    yield Check("secret key", Health.OK, f"{told}{', which is here' if here else ''}")
    yield from _check_use(gpg, sample, head)


def _check_use(gpg: Gpg, sample: str, head: bytes) -> Iterator[Check]:
    """Whether the key decrypts a message unattended, and what that requires."""
    error = _open(gpg, sample)
    if error is not None:
        yield _failed("passphrase", error)
        return
    how = kept(gpg, head)
    yield _check_passphrase(gpg, how, head)
    for warning in gpg.warnings:
        yield Check("passphrase file", Health.ADVICE, warning.partition(": ")[2])
    if how is not None and (how.is_protected or how.on_card):
        yield _check_unlocking(gpg, sample, head)


def _open(gpg: Gpg, sample: str) -> Exception | None:
    """Decrypt a message. Returns the error, or None."""
    with gpg.open(shown(sample), sample) as decryption:
        return None if os.read(decryption.stdout_fd, 1) else decryption.verdict().error


def _check_passphrase(gpg: Gpg, how: Kept | None, head: bytes) -> Check:
    """Why the key that was just used worked, and whether it will keep working."""
    if how is None or not (how.is_protected or how.on_card):
        return Check("passphrase", Health.OK, "the key can be used without a prompt")
    if gpg.unlocking.passphrase is not None and how.is_protected:
        gpg.unlock(lambda: head, _YEAR_FILES)  # whatever the agent holds
        is_unlocked = gpg.is_unlocked
        gpg.close()
        if is_unlocked:
            return Check("passphrase", Health.OK, "the one in the file unlocks the key")
        told = "gpg-agent holds one, but does not accept the one in the file; correct the file"
        return Check("passphrase", Health.ADVICE, told)
    if how.on_card:
        told = "the key is on a card, which may ask for its PIN after it was removed"
        return Check("passphrase", Health.ADVICE, told)
    if how.is_preset:
        told = "gpg-agent was given it beforehand, and keeps it until it ends or is told to drop it"
    else:
        least, most = how.seconds
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=least)
        told = (
            f"gpg-agent keeps it until {until:%Y-%m-%d %H:%M} UTC, or {duration(least)} after its"
            f" next use, and at most {duration(most)} after it was typed"
        )
    told += "; after that, a run that cannot ask needs --passphrase-file"
    return Check("passphrase", Health.ADVICE, told)


def _check_unlocking(gpg: Gpg, sample: str, head: bytes) -> Check:
    """How long it takes to unlock the key, once and for a year of logs."""
    each = _measure(gpg, sample)
    told = f"takes {duration(each)} per file"
    gpg.unlock(lambda: head, _YEAR_FILES)
    try:
        if gpg.is_unlocked:
            once = _measure(gpg, sample)
            year = duration(each + once * _YEAR_FILES)
            told += f", but is done once per run, then {duration(once)} per file: {year}"
            return Check("unlocking", Health.OK, f"{told} {_A_YEAR}")
    finally:
        gpg.close()
    told += f": {duration(each * _YEAR_FILES)} {_A_YEAR}, whatever the number of threads"
    if each < _QUICK_SECONDS:
        return Check("unlocking", Health.OK, told)
    advice = "give --passphrase-file, or type it on a terminal: then it is done once per run"
    return Check("unlocking", Health.ADVICE, f"{told}; {advice}")


def _measure(gpg: Gpg, sample: str) -> float:
    """Seconds to decrypt one message."""
    took = []
    for _ in range(2):
        start = time.monotonic()
        _open(gpg, sample)
        took.append(time.monotonic() - start)
    return min(took)


def _check_boto3() -> Check:
    try:
        import boto3
    except ImportError:
        told = "is not installed; install it with pip install 'edxlogs[s3]'"
        return Check("boto3", Health.MISSING, told)
    return Check("boto3", Health.OK, f"version {boto3.__version__}")


def _check_bucket(s3: S3, bucket: str, prefix: str) -> Iterator[Check]:
    try:
        origin = s3.credentials(bucket)
    except EdxlogsError as error:
        yield _failed("credentials", error)
        return
    name = f"s3://{bucket}/{shown(prefix)}"
    yield Check("credentials", Health.OK, f"for {bucket}: from {origin}")
    try:
        page = s3.call("list_objects_v2", bucket, "cannot list", Prefix=prefix, MaxKeys=_MOST_KEYS)
    except EdxlogsError as error:
        yield _failed("list", error)
        return
    if (warning := s3.warning(bucket)) is not None:
        yield Check("connection", Health.ADVICE, warning)
    objects = page.get("Contents", [])
    if not objects:
        told = f"{name}: nothing is there; name your folder in edX's buckets with --partner"
        yield Check("list", Health.MISSING, told)
        return
    yield Check("list", Health.OK, name)
    readable = [one["Key"] for one in objects if one["Size"]]
    if readable:
        yield _check_read(s3, bucket, readable[0])


def _check_read(s3: S3, bucket: str, key: str) -> Check:
    try:
        answer = s3.call("get_object", bucket, "cannot read", Key=key, Range="bytes=0-0")
    except EdxlogsError as error:
        if getattr(error, "reason", None) == Reason.ARCHIVED:
            return Check("read", Health.ADVICE, str(error))
        return _failed("read", error)
    answer["Body"].close()
    return Check("read", Health.OK, f"s3://{bucket}/{shown(key)}")


def _check_place(s3: S3, url: str) -> Iterator[Check]:
    """Whether a dataset can be below a prefix: a probe is written, twice, and deleted."""
    name = shown(url)
    try:
        place = Bucket(url, s3)
        place.exists  # noqa: B018 - it asks
        if (warning := s3.warning(place.bucket)) is not None:
            yield Check("connection", Health.ADVICE, warning)
        probe(s3, place.bucket, place.home)
    except EdxlogsError as error:
        yield _failed("dataset", error)
        return
    yield Check("dataset", Health.OK, f"{name}: can be written, and supports conditional writes")


def _check_folder(folder: str) -> Check:
    name = shown(folder)
    place = Path(os.path.abspath(folder))
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return Check("folder", Health.MISSING, f"{name}: cannot be written; name another folder")
    free = shutil.disk_usage(place).free
    told = f"{name}: {size(free)} free"
    if free < LEAST_FREE_BYTES:
        return Check("folder", Health.MISSING, f"{told}; make room, or name another folder")
    return Check("folder", Health.OK, told)
