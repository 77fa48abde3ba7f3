"""What is looked at before the first unattended run, and what is told of it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from decrypting import Ring
from edxlogs.edx.layout import EVENTS_BUCKET, PACKAGES_BUCKET
from edxlogs.generator import keys
from edxlogs.gpg.agent import Agent
from edxlogs.gpg.process import Gpg
from edxlogs.jobs.looks import doctor
from edxlogs.jobs.looks.doctor import Check, Health, examine
from edxlogs.s3.client import S3
from fault_proxy import Fault, FaultProxy
from s3_server import Server

pytestmark = [
    pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing())),
    pytest.mark.usefixtures("s3_environment"),
]

EVENT = "univx/prod/events/2014/univx-prod-events-2014-03-09.log.gz.gpg"
DATABASE = "univx-2014-03-09.zip"


@pytest.fixture
def buckets(s3_server: Server) -> Server:
    s3_server.bucket(EVENTS_BUCKET, {"univx/": b"", EVENT: b"x"})
    s3_server.bucket(PACKAGES_BUCKET, {DATABASE: b"x"})
    return s3_server


def about(name: str, checks: list[Check]) -> list[tuple[Health, str]]:
    return [(check.health, check.told) for check in checks if check.name == name]


@pytest.mark.usefixtures("buckets")
def test_all_is_well(ring: Ring, message: bytes, tmp_path: Path) -> None:
    (tmp_path / "sample.gpg").write_bytes(message)
    settings = ring.path / "gpg-agent.conf"
    settings.write_text("# ours\nauto-expand-secmem 30000\n")
    try:
        checks = list(
            examine(
                ring.gpg, S3(), partner="univx", sample=str(tmp_path / "sample.gpg"),
                folders=[str(tmp_path), str(tmp_path / "new/folder")],
            )
        )  # fmt: skip
    finally:
        settings.unlink()
    assert {check.health for check in checks} == {Health.OK}
    assert [check.name for check in checks] == [
        "gpg", "gpg-agent", "secret key", "passphrase", "boto3", "credentials", "list", "read",
        "credentials", "list", "read", "folder", "folder",
    ]  # fmt: skip
    assert [told for _, told in about("read", checks)] == [
        f"s3://{EVENTS_BUCKET}/{EVENT}", f"s3://{PACKAGES_BUCKET}/{DATABASE}"
    ]  # fmt: skip
    assert about("credentials", checks)[0][1] == f"for {EVENTS_BUCKET}: from env"
    assert all("\n" not in check.told for check in checks)


@pytest.mark.usefixtures("buckets")
def test_without_gpg() -> None:
    checks = list(examine(Gpg(executable="no-such-gpg", prompt=False), S3(), sample="a"))
    ((health, told),) = about("gpg", checks)
    assert health is Health.MISSING
    assert "install GnuPG 2.2.8 or newer" in told
    assert about("read", checks)[0][0] is Health.OK


@pytest.mark.usefixtures("buckets")
def test_a_stock_agent_gets_advice(stranger: Path) -> None:
    gpg = Gpg(home=stranger, prompt=False)
    ((health, told),) = about("gpg-agent", list(examine(gpg, S3(), partner="univx")))
    assert health is Health.ADVICE
    assert f"put auto-expand-secmem into {stranger}/gpg-agent.conf" in told


def sampled(gpg: Gpg, path: Path) -> list[Check]:
    return [
        check
        for check in examine(gpg, S3(), sample=str(path))
        if check.name in ("sample", "secret key", "passphrase")
    ]


def test_a_key_that_is_not_here(ring: Ring, stranger: Path, message: bytes, tmp_path: Path) -> None:
    (tmp_path / "sample.gpg").write_bytes(message)
    (check,) = sampled(Gpg(home=stranger, prompt=False), tmp_path / "sample.gpg")
    assert (check.name, check.health) == ("secret key", Health.MISSING)
    wanted = ring.gpg.recipients(message)
    assert len(wanted) == 1
    assert f"is encrypted to {wanted[0]}, which is not in the key ring; import it" in check.told


def test_a_locked_key(locked: Path, tmp_path: Path) -> None:
    sample = tmp_path / "sample.gpg"
    sample.write_bytes(keys.encrypt(locked, ["locked@univx.example"], b"x" * 100_000))
    keys.kill_agents(locked)
    here, use = sampled(Gpg(home=locked, prompt=False), sample)
    assert (here.name, here.health) == ("secret key", Health.OK)
    assert (use.name, use.health) == ("passphrase", Health.MISSING)
    assert "the secret key is locked" in use.told
    (tmp_path / "passphrase").write_text("open sesame\n")
    gpg = Gpg(home=locked, passphrase_file=tmp_path / "passphrase", prompt=False)
    assert [check.health for check in sampled(gpg, sample)] == [Health.OK, Health.OK]
    keys.kill_agents(locked)


def protected(folder: Path) -> Path:
    """A message for a key whose passphrase is `open sesame`, quickly worked out."""
    (folder / "gpg-agent.conf").write_text("s2k-count 65536\nallow-preset-passphrase\n")
    keys.kill_agents(folder)
    keys.make_key(folder, "b@univx.example", "cv25519", passphrase="open sesame")
    sample = folder / "sample.gpg"
    sample.write_bytes(keys.encrypt(folder, ["b@univx.example"], b"x" * 100_000))
    keys.kill_agents(folder)
    return sample


def test_a_key_that_the_agent_holds_can_be_used_for_a_while_only(tmp_path: Path) -> None:
    with keys.home() as home:
        sample, file = protected(home), tmp_path / "passphrase"
        file.write_text("open sesame")
        file.chmod(0o600)
        with Gpg(home=home, passphrase_file=file).open("a", sample) as decryption:
            assert decryption.verdict().ok
        _, use = sampled(Gpg(home=home, prompt=False), sample)
        assert use.health is Health.ADVICE
        assert re.search(r"keeps it until \d{4}-\d\d-\d\d \d\d:\d\d UTC, or 10 min after", use.told)
        assert "at most 2 h after it was typed" in use.told
        assert "--passphrase-file" in use.told
        for options in (["--throw-keyids"], ["--armor"]):
            message = keys.encrypt(home, ["b@univx.example"], b"x" * 100_000, *options)
            (home / "other.gpg").write_bytes(message)
            _, use = sampled(Gpg(home=home, prompt=False), home / "other.gpg")
            assert use.health is Health.ADVICE
        # Nor does what the agent holds make a wrong file right.
        file.write_text("close sesame")
        _, use = sampled(Gpg(home=home, passphrase_file=file), sample)
        assert use.health is Health.ADVICE
        assert "correct the file" in use.told


def test_a_key_whose_passphrase_was_preset(tmp_path: Path) -> None:
    with keys.home() as home:
        sample = protected(home)
        gpg = Gpg(home=home, prompt=False)
        with Agent(home, gpg.environment()) as agent:
            for grip in gpg.secret_keys().values():
                agent.ask(f"PRESET_PASSPHRASE {grip} -1 {b'open sesame'.hex()}")
        _, use = sampled(gpg, sample)
        assert use.health is Health.ADVICE
        assert "was given it beforehand, and keeps it until it ends" in use.told


def test_what_unlocking_takes_in_a_year(locked: Path, tmp_path: Path) -> None:
    sample, file = tmp_path / "sample.gpg", tmp_path / "passphrase"
    sample.write_bytes(keys.encrypt(locked, ["locked@univx.example"], b"x" * 100_000))
    file.write_text("open sesame")
    file.chmod(0o644)
    gpg = Gpg(home=locked, passphrase_file=file, prompt=False)
    checks = list(examine(gpg, S3(), sample=str(sample)))
    ((health, told),) = about("unlocking", checks)
    assert health is Health.OK
    assert re.fullmatch(
        r"takes .* per file, but is done once per run, then .* per file: .* for the 730 files of"
        r" two sites in a year",
        told,
    )
    assert about("passphrase file", checks) == [
        (Health.ADVICE, f"{file}: others can read it; run chmod 600 on it")
    ]
    # Held by the agent alone, it is unlocked for each file.
    ((health, told),) = about(
        "unlocking", list(examine(Gpg(home=locked, prompt=False), S3(), sample=str(sample)))
    )
    assert "for the 730 files of two sites in a year, whatever the number of threads" in told
    keys.kill_agents(locked)


def test_a_hidden_key(ring: Ring, tmp_path: Path) -> None:
    (tmp_path / "sample.gpg").write_bytes(ring.encrypt("--throw-keyids"))
    here, use = sampled(ring.gpg, tmp_path / "sample.gpg")
    assert "is encrypted to a hidden key" in here.told
    assert use.health is Health.OK


@pytest.mark.parametrize(
    ("content", "why"), [(b"plain", "is not encrypted"), (None, "No such file or directory")]
)
def test_no_sample(ring: Ring, tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "sample\x1b.gpg"
    if content is not None:
        path.write_bytes(content)
    (check,) = sampled(ring.gpg, path)
    assert (check.name, check.health) == ("sample", Health.MISSING)
    assert why in check.told
    assert "\x1b" not in check.told


def test_without_credentials(
    ring: Ring, s3_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    checks = list(examine(ring.gpg, S3()))
    found = about("credentials", checks)
    assert [health for health, _ in found] == [Health.MISSING, Health.MISSING]
    assert all("no AWS credentials were found" in told for _, told in found)
    assert about("list", checks) == []


def test_buckets_that_are_empty_or_not_there(ring: Ring, s3_server: Server) -> None:
    s3_server.bucket(EVENTS_BUCKET, {"univx/": b""})
    found = about("list", list(examine(ring.gpg, S3(), partner="univy")))
    assert [health for health, _ in found] == [Health.MISSING, Health.MISSING]
    assert "nothing is there; name your folder" in found[0][1]
    assert "no such bucket" in found[1][1]


@pytest.mark.usefixtures("buckets")
def test_what_is_refused(ring: Ring, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    proxy.plan(Fault(status=403, code="AccessDenied"), part="list-type=2")
    proxy.plan(Fault(status=403, code="AccessDenied"), part=DATABASE)
    checks = list(examine(ring.gpg, S3(), partner="univx"))
    assert [health for health, _ in about("list", checks)] == [Health.MISSING, Health.OK]
    ((health, told),) = about("read", checks)
    assert health is Health.MISSING
    assert f"s3://{PACKAGES_BUCKET}/{DATABASE}: access is denied" in told


def test_without_boto3(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    checks = list(examine(ring.gpg, S3()))
    ((health, told),) = about("boto3", checks)
    assert health is Health.MISSING
    assert "pip install 'edxlogs[s3]'" in told
    assert about("credentials", checks) == []


@pytest.mark.usefixtures("buckets")
def test_folders(ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    folders = [str(tmp_path), str(tmp_path / "file"), str(tmp_path / "file/below")]
    checks = list(examine(ring.gpg, S3(), folders=folders))
    assert [health for health, _ in about("folder", checks)] == [
        Health.OK, Health.MISSING, Health.MISSING
    ]  # fmt: skip
    free = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", free * 2)
    ((health, told),) = about("folder", list(examine(ring.gpg, S3(), folders=folders[:1])))
    assert health is Health.MISSING
    assert "make room" in told
