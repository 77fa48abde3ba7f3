"""Nothing lost, nothing half: what is damaged is named and withheld, the rest delivered."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import commands
from commands import Done, event, events, pack, report, run
from edxlogs.generator import keys

_LINES = commands.incompressible(2000)
_GOOD = event(9999)
_NEEDS_GPG = pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))


def _beside_a_good_one(folder: Path, damaged: bytes, *options: str) -> Done:
    """Filter a damaged source between two good ones."""
    (folder / "a.log").write_bytes(_GOOD)
    (folder / "damaged.log").write_bytes(damaged)
    (folder / "z.log").write_bytes(event(10_000))
    return run(
        "filter", "a.log", "damaged.log", "z.log", "-o", "out.jsonl", "--report", "report.json",
        *options, cwd=folder,
    )  # fmt: skip


def _only_the_good(folder: Path, done: Done) -> str:
    """What is told of the damage, once it is sure that nothing of it is published."""
    assert done.code == 1
    assert (folder / "out.jsonl").read_bytes() == _GOOD + event(10_000)
    assert commands.hidden(folder) == []
    document = report(folder / "report.json")
    assert [one["status"] for one in document["sources"]] == ["delivered", "withheld", "delivered"]
    withheld = document["sources"][1]["counts"]
    assert withheld["withheld"] == withheld["lines"]
    assert withheld["rows"] == withheld["kept"] == 0
    (told,) = done.told
    assert "damaged.log" in told
    assert told.endswith(" (withheld)")
    return told


def _cuts() -> dict[str, bytes]:
    whole = pack(_LINES)
    two = pack(_LINES[:50_000]) + pack(_LINES[50_000:])
    second = len(pack(_LINES[:50_000]))
    named = {"magic": 2, "header": 7, "data": len(whole) // 2, "last byte": len(whole) - 1}
    cuts = {f"in the {name}": whole[:at] for name, at in named.items()}
    cuts["before the trailer"] = whole[:-8]
    cuts["in the checksum"] = whole[:-6]
    cuts["in the length"] = whole[:-2]
    cuts["at the second member's first byte"] = two[: second + 1]
    cuts["in the second member's header"] = two[: second + 9]
    cuts["in the second member"] = two[: second + 5000]
    return cuts


@pytest.mark.parametrize("place", _cuts())
def test_gz_cut(tmp_path: Path, place: str) -> None:
    told = _only_the_good(tmp_path, _beside_a_good_one(tmp_path, _cuts()[place]))
    assert "cut off; fetch the file again" in told


@pytest.mark.parametrize(("what", "at"), [("checksum", -8), ("length", -4), ("length", -1)])
def test_gz_bad_trailer(tmp_path: Path, what: str, at: int) -> None:
    whole = bytearray(pack(_LINES))
    whole[at] ^= 1
    told = _only_the_good(tmp_path, _beside_a_good_one(tmp_path, bytes(whole)))
    assert f"damaged (wrong {what})" in told
    # gzip decodes all, so that salvaging gives every line.
    done = _beside_a_good_one(tmp_path, bytes(whole), "--salvage", "--overwrite")
    assert done.code == 1
    assert (tmp_path / "out.jsonl").read_bytes() == _GOOD + _LINES + event(10_000)


def test_a_damaged_middle_of_three_members(tmp_path: Path) -> None:
    members = [bytearray(pack(_LINES)) for _ in range(3)]
    members[1][-5] ^= 0x80
    _only_the_good(tmp_path, _beside_a_good_one(tmp_path, b"".join(members)))


def test_gzip_inside_gzip_is_checked_too(tmp_path: Path) -> None:
    inner = bytearray(pack(_LINES))
    inner[-7] ^= 1
    _only_the_good(tmp_path, _beside_a_good_one(tmp_path, pack(bytes(inner))))


def test_salvage_of_a_cut_gz(tmp_path: Path) -> None:
    cut = _cuts()["in the data"]
    done = _beside_a_good_one(tmp_path, cut, "--salvage", "--rejects", "bad.txt")
    assert done.code == 1
    written = (tmp_path / "out.jsonl").read_bytes()
    lines = written.removeprefix(_GOOD).removesuffix(event(10_000))
    assert _LINES.startswith(lines)
    assert len(lines) > len(_LINES) // 3
    document = report(tmp_path / "report.json")
    assert [one["status"] for one in document["sources"]] == ["delivered", "salvaged", "delivered"]
    assert document["sources"][1]["unauthenticated"] is False
    assert done.told[0].endswith("(salvaged)")
    place, rest = (tmp_path / "bad.txt").read_bytes().split(b"\n", 1)
    assert b'"reason": "truncated"' in place, "the line at the cut is no event"
    assert _LINES.startswith(lines + rest.removesuffix(b"\n"))


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "jsonl.gz", "jsonl.zst", "arrow"])
def test_a_damaged_source_adds_nothing_in_any_format(tmp_path: Path, ending: str) -> None:
    (tmp_path / "a.log").write_bytes(events(3))
    (tmp_path / "damaged.log").write_bytes(_cuts()["in the data"])
    run("filter", "a.log", "-o", f"good.{ending}", cwd=tmp_path)
    done = run("filter", "a.log", "damaged.log", "-o", f"out.{ending}", cwd=tmp_path)
    assert done.code == 1
    assert (tmp_path / f"out.{ending}").read_bytes() == (tmp_path / f"good.{ending}").read_bytes()


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "jsonl.gz", "jsonl.zst", "arrow"])
@pytest.mark.parametrize("there", [False, True])
def test_no_output_of_damaged_sources_alone(tmp_path: Path, ending: str, there: bool) -> None:
    """An empty file would pass for an answer; and it is no reason to replace an older one."""
    name = f"out.{ending}"
    (tmp_path / "damaged.log").write_bytes(_cuts()["in the data"])
    if there:
        (tmp_path / name).write_bytes(b"older")
    words = ("--overwrite", "--rejects", "bad.txt", "--report", "report.json")
    done = run("filter", "damaged.log", "-o", name, *words, cwd=tmp_path)
    assert done.code == 1
    assert done.stderr.splitlines()[-1] == f"{name} is not written: no source passed its checks"
    left = {"damaged.log", "report.json", *([name] if there else [])}
    assert set(os.listdir(tmp_path)) == left
    assert not there or (tmp_path / name).read_bytes() == b"older"


def test_no_output_where_all_that_could_be_read_was_skipped(tmp_path: Path) -> None:
    (tmp_path / "u-prod-events-2014-01-01.log").write_bytes(event())
    words = ("--days", "2020-01-01..", "-o", "out.csv")
    (tmp_path / "empty").mkdir()
    done = run("filter", "u-prod-events-2014-01-01.log", "empty", *words, cwd=tmp_path)
    assert done.code == 1
    assert not (tmp_path / "out.csv").exists()
    # Where nothing failed, an empty answer is one.
    done = run("filter", "u-prod-events-2014-01-01.log", *words, cwd=tmp_path)
    assert done.code == 0
    assert (tmp_path / "out.csv").exists()


def test_no_rejects_of_damaged_sources_alone(tmp_path: Path) -> None:
    (tmp_path / "damaged.log").write_bytes(_cuts()["in the data"])
    done = run("check", "damaged.log", "--rejects", "bad.txt", cwd=tmp_path)
    assert done.code == 1
    assert done.stderr.splitlines()[-1] == "bad.txt is not written: no source passed its checks"
    assert os.listdir(tmp_path) == ["damaged.log"]


def test_rejects_of_a_withheld_source_are_withheld(tmp_path: Path) -> None:
    damaged = bytearray(pack(b"no event\n"))
    damaged[-8] ^= 1
    _only_the_good(tmp_path, _beside_a_good_one(tmp_path, bytes(damaged), "--rejects", "bad.txt"))
    assert (tmp_path / "bad.txt").read_bytes() == b""


def test_rejects_are_byte_for_byte(tmp_path: Path) -> None:
    rng = random.Random(5)
    odd = [rng.randbytes(rng.randrange(1, 300)).replace(b"\n", b"") or b"x" for _ in range(200)]
    odd = [b"#" + line.replace(b"{", b"") for line in odd] + [b"tail \r", b"# edxlogs reject: x"]
    (tmp_path / "a.log").write_bytes(b"\n".join([*odd, event().rstrip()]))
    done = run("filter", "a.log", "--rejects", "bad.txt", cwd=tmp_path)
    assert (done.code, done.stdout) == (0, event())
    lines = (tmp_path / "bad.txt").read_bytes().split(b"\n")
    assert lines[1:-1:2] == odd
    offset = 0
    for number, (place, line) in enumerate(zip(lines[0:-1:2], odd, strict=True), 1):
        assert json.loads(place.removeprefix(b"# edxlogs reject: ")) == {
            "source": "a.log",
            "line": number,
            "byte": offset,
            "reason": "no_object",
        }
        offset += len(line) + 1


def test_rejected_long_line(tmp_path: Path) -> None:
    long = event(1, session="x" * 200_000).rstrip(b"\n")
    (tmp_path / "a.log").write_bytes(event(0) + long + b"\n" + event(2))
    done = run("filter", "a.log", "--max-line-bytes", "100kB", "--rejects", "bad.txt", cwd=tmp_path)
    assert (done.code, done.stdout) == (0, event(0) + event(2))
    place, head, end = (tmp_path / "bad.txt").read_bytes().split(b"\n")
    assert json.loads(place.removeprefix(b"# edxlogs reject: ")) == {
        "source": "a.log",
        "line": 2,
        "byte": len(event(0)),
        "reason": "too_long",
        "length": len(long),
        "sha256": hashlib.sha256(long).hexdigest(),
    }
    assert (head, end) == (long[:65536], b"")


def test_the_report_adds_up(tmp_path: Path) -> None:
    lines = b"".join(
        (event(1), b"\n", b"no event\n", b"x " + event(2), event(3, event_type="other", name=""))
    )
    (tmp_path / "a.log").write_bytes(lines)
    (tmp_path / "b.log.gz").write_bytes(pack(lines * 2) + b"tail")
    (tmp_path / "c.log.gz").write_bytes(pack(lines)[:-1])
    (tmp_path / "notes.txt").write_bytes(b"none")
    (tmp_path / ".empty").mkdir()
    done = run(
        "filter", ".", ".empty", "--event-type", "problem_check", "--check", "full",
        "-o", "out.csv", "--report", "r.json", cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 1
    document = report(tmp_path / "r.json")
    total = document["total"]
    assert {name: total[name] for name in ("lines", "blank", "rejected", "kept", "dropped")} == {
        "lines": 20,
        "blank": 3,
        "rejected": 3,
        "kept": 6,
        "dropped": 3,
    }
    assert (total["withheld"], total["rows"], document["rows_written"]) == (5, 6, 6)
    assert (total["reasons"], total["mends"]) == ({"no_object": 3}, {"prefix": 3})
    (failed,) = document["failed"]
    assert failed.startswith("nothing to read: .empty: ")
    assert document["ignored"] == ["./notes.txt"]
    assert document["query"] == {"event_types": ["problem_check"]}
    assert [one["source"] for one in document["sources"]] == ["a.log", "b.log.gz", "c.log.gz"]
    assert document["sources"][1]["warnings"]
    assert total["bytes_read"] == sum(
        (tmp_path / name).stat().st_size for name in ("a.log", "b.log.gz", "c.log.gz")
    )
    csv = (tmp_path / "out.csv").read_bytes()
    assert csv.count(b"\n") == 1 + document["rows_written"]


def test_the_report_names_no_person_and_no_line(tmp_path: Path) -> None:
    secret = b"Ms Secret"
    (tmp_path / "a.log").write_bytes(
        event(username="Ms Secret") + b"x Ms Secret {\n" + event(username="Ms Secret")[:-9]
    )
    done = run(
        "filter", "a.log", "--json", "--report", "r.json", "--course", "nothing", "-o", "out.csv",
        cwd=tmp_path,
    )  # fmt: skip
    assert json.loads(done.stdout)["total"]["rejected"] == 2
    assert secret not in done.stdout + done.stderr.encode() + (tmp_path / "r.json").read_bytes()


@dataclass(frozen=True)
class _Ring:
    home: Path
    message: bytes

    def options(self) -> tuple[str, ...]:
        return "--gnupg-home", str(self.home), "--no-prompt"


@pytest.fixture(scope="module")
def ring() -> Iterator[_Ring]:
    with keys.home() as home:
        keys.make_key(home, "czar@univx.example", "cv25519")
        yield _Ring(home, keys.encrypt(home, ["czar@univx.example"], pack(_LINES)))


@_NEEDS_GPG
def test_openpgp_delivers(tmp_path: Path, ring: _Ring) -> None:
    done = _beside_a_good_one(tmp_path, ring.message, *ring.options())
    assert (done.code, done.told) == (0, [])
    assert (tmp_path / "out.jsonl").read_bytes() == _GOOD + _LINES + event(10_000)
    assert run("filter", "-", *ring.options(), cwd=tmp_path, stdin=ring.message).stdout == _LINES


@_NEEDS_GPG
@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("altered early", "the message was altered or damaged; fetch the file again"),
        ("altered in the middle", "the message was altered or damaged; fetch the file again"),
        ("altered in its last byte", "the message was altered or damaged; fetch the file again"),
        ("cut in the middle", "the message is cut off; fetch the file again"),
        ("cut by a byte", "the message is cut off; fetch the file again"),
        ("cut before its data", "the message is cut off before its data; fetch the file again"),
        ("doubled", "another OpenPGP message follows at byte "),
    ],
)
def test_openpgp_damaged(tmp_path: Path, ring: _Ring, damage: str, why: str) -> None:
    size = len(ring.message)
    flipped = {"altered early": 400, "altered in the middle": size // 2}
    flipped["altered in its last byte"] = size - 1
    cut = {"cut in the middle": size // 2, "cut by a byte": size - 1, "cut before its data": 40}
    message = bytearray(ring.message)
    if damage in flipped:
        message[flipped[damage]] ^= 1
    elif damage in cut:
        del message[cut[damage] :]
    else:
        message *= 2
    told = _only_the_good(tmp_path, _beside_a_good_one(tmp_path, bytes(message), *ring.options()))
    assert why in told
    if "altered" in damage or damage == "doubled":
        # Of an altered message nothing is salvaged, ever.
        done = _beside_a_good_one(
            tmp_path, bytes(message), *ring.options(), "--salvage", "--overwrite"
        )
        _only_the_good(tmp_path, done)


@_NEEDS_GPG
def test_openpgp_with_bytes_after_it(tmp_path: Path, ring: _Ring) -> None:
    done = _beside_a_good_one(tmp_path, ring.message + b"appended" * 100, *ring.options())
    written = (tmp_path / "out.jsonl").read_bytes()
    if done.code == 0:
        assert written == _GOOD + _LINES + event(10_000)
        assert done.told == [
            "edxlogs: warning: damaged.log: 800 bytes after the OpenPGP message were ignored"
        ]
    else:
        _only_the_good(tmp_path, done)


@_NEEDS_GPG
def test_openpgp_cut_is_salvaged_as_unauthenticated(tmp_path: Path, ring: _Ring) -> None:
    message = ring.message[: len(ring.message) // 2]
    done = _beside_a_good_one(tmp_path, message, *ring.options(), "--salvage")
    assert done.code == 1
    assert done.told[0].endswith("(unauthenticated)")
    salvaged = report(tmp_path / "report.json")["sources"][1]
    assert (salvaged["status"], salvaged["unauthenticated"]) == ("salvaged", True)
    lines = (tmp_path / "out.jsonl").read_bytes()
    lines = lines.removeprefix(_GOOD).removesuffix(event(10_000))
    assert _LINES.startswith(lines)
    assert len(lines) > 50_000


@_NEEDS_GPG
def test_openpgp_sound_around_a_damaged_log(tmp_path: Path, ring: _Ring) -> None:
    """The message is authentic, the gzip inside was cut before it was encrypted."""
    message = keys.encrypt(ring.home, ["czar@univx.example"], pack(_LINES)[:-5])
    told = _only_the_good(tmp_path, _beside_a_good_one(tmp_path, message, *ring.options()))
    assert "the compressed data are cut off" in told


@_NEEDS_GPG
def test_openpgp_for_a_stranger(tmp_path: Path, ring: _Ring) -> None:
    with keys.home() as home:
        keys.make_key(home, "stranger@elsewhere.example", "cv25519")
        message = keys.encrypt(home, ["stranger@elsewhere.example"], _LINES)
    told = _only_the_good(tmp_path, _beside_a_good_one(tmp_path, message, *ring.options()))
    assert "no such secret key is in the key ring; import it with gpg --import" in told


@_NEEDS_GPG
def test_openpgp_with_a_locked_key(tmp_path: Path) -> None:
    with keys.home() as home:
        keys.make_key(home, "l@univx.example", "cv25519", passphrase="open sesame")
        message = keys.encrypt(home, ["l@univx.example"], pack(_LINES))
        keys.kill_agents(home)
        options: tuple[str, ...] = ("--gnupg-home", str(home), "--no-prompt")
        told = _only_the_good(tmp_path, _beside_a_good_one(tmp_path, message, *options))
        assert "locked" in told

        for name, passphrase in (("wrong", "open barley\n"), ("right", "open sesame\n")):
            (tmp_path / name).write_text(passphrase)
            (tmp_path / name).chmod(0o600)
        options = (*options, "--overwrite", "--passphrase-file")
        told = _only_the_good(tmp_path, _beside_a_good_one(tmp_path, message, *options, "wrong"))
        assert "the passphrase is wrong; correct the passphrase file" in told
        done = _beside_a_good_one(tmp_path, message, *options, "right")
        assert done.code == 0, done.stderr
        assert (tmp_path / "out.jsonl").read_bytes() == _GOOD + _LINES + event(10_000)


def test_gpg_is_missing(tmp_path: Path) -> None:
    message = b"-----BEGIN PGP MESSAGE-----\n\nhF4D\n-----END PGP MESSAGE-----\n"
    (tmp_path / "a.log").write_bytes(_GOOD)
    (tmp_path / "b.log.gpg").write_bytes(message)
    done = run("filter", "b.log.gpg", "a.log", cwd=tmp_path, PATH=str(tmp_path))
    assert (done.code, done.stdout) == (1, _GOOD)
    (told,) = done.told
    assert "cannot run gpg: gpg: no such program; install GnuPG" in told


def test_openpgp_inside_gzip(tmp_path: Path) -> None:
    message = b"-----BEGIN PGP MESSAGE-----\n\nhF4D\n-----END PGP MESSAGE-----\n"
    told = _only_the_good(tmp_path, _beside_a_good_one(tmp_path, pack(message)))
    assert "gunzip -c" in told


def test_four_layers_of_gzip_are_too_many(tmp_path: Path) -> None:
    data = _LINES
    for _ in range(3):
        data = gzip.compress(data)
    done = _beside_a_good_one(tmp_path, data)
    assert done.code == 0
    assert (tmp_path / "out.jsonl").read_bytes() == _GOOD + _LINES + event(10_000)
    done = _beside_a_good_one(tmp_path, gzip.compress(data), "--overwrite")
    assert "more than three deep" in _only_the_good(tmp_path, done)
