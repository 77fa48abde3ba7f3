"""`edxlogs inspect`: what a file is, whatever it is."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edxlogs
from commands import event, events, pack, run
from decrypting import Ring
from edxlogs.errors import SourceError
from edxlogs.generator import keys
from edxlogs.jobs.looks import layers


def _report(file: Path | io.BytesIO, **words: Any) -> dict[str, Any]:
    """What is told of a file, as JSON tells it."""
    import orjson

    report: dict[str, Any] = json.loads(orjson.dumps(edxlogs.inspect(file, **words).report()))
    return report


def _tar(files: dict[str, bytes], mode: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def test_a_log_of_several_members(tmp_path: Path) -> None:
    path = tmp_path / "univx-edge-events-2014-10-01.log.gz"
    path.write_bytes(pack(events(3)) + pack(event(3, time="2014-10-03T00:00:00+00:00") + b"no\n"))
    told = _report(path, events=2)
    assert (told["org"], told["site"], told["date"]) == ("univx", "edge", "2014-10-01")
    assert told["size"] == path.stat().st_size
    assert told["layers"] == [{"kind": "gzip", "members": 2}]
    assert told["days"] == {"2014-10-01": 3, "2014-10-03": 1}
    assert told["first"] == [json.loads(event(0)), json.loads(event(1))]
    assert told["counts"]["lines"] == 5
    assert told["counts"]["rejected"] == 1
    assert (told["problem"], told["no_log"], told["is_cut"]) == (None, None, False)


def test_payloads_by_type() -> None:
    lines = b"".join(
        event(at, event_type=name, event_source=source, event=payload)
        for at, (name, source, payload) in enumerate(
            [
                ("problem_check", "server", {"grade": 1, "success": "correct", "state": None}),
                ("problem_check", "server", {"grade": 0.5, "success": "correct", "answers": {}}),
                ("problem_check", "browser", "input_1=a%20b"),
                ("play_video", "browser", '{"id": "v", "code": [1]}'),
                ("play_video", "mobile", '{"id": "cut'),
                ("/courses/a", "server", {}),
                ("/courses/b", "server", {}),
            ]
        )
    )
    shapes = _report(io.BytesIO(lines))["shapes"]
    assert list(shapes) == ["problem_check", "play_video", "/…"]
    assert shapes["problem_check"] == {
        "count": 3,
        "sources": {"server": 2, "browser": 1},
        "payloads": {"object": 2, "text": 1},
        "keys": {
            "grade": {"integer": 1, "number": 1},
            "success": {"text": 2},
            "state": {"null": 1},
            "answers": {"object": 1},
        },
    }
    assert shapes["play_video"]["payloads"] == {"JSON text": 1, "text": 1}
    assert shapes["play_video"]["keys"] == {"id": {"text": 1}, "code": {"list": 1}}
    assert shapes["/…"]["count"] == 2


@pytest.mark.parametrize("mode", ["w:", "w:gz"])
def test_a_tar_and_a_log_in_it(tmp_path: Path, mode: str) -> None:
    files = {"readme.txt": b"hello", "logs/a.log.gz": pack(events(3)), "b.log": events(9)}
    (tmp_path / "logs.tar").write_bytes(_tar(files, mode))
    told = _report(tmp_path / "logs.tar")
    *outer, tar, inner = told["layers"]
    assert outer == ([{"kind": "gzip", "members": 1}] if mode == "w:gz" else [])
    assert inner == {"kind": "gzip", "members": 1}
    expected = [{"name": name, "size": len(content)} for name, content in files.items()]
    assert tar == {"kind": "tar", "files": expected}
    assert told["member"] == "logs/a.log.gz"
    assert told["counts"]["lines"] == 3


def test_a_zip_is_listed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("folder/a.log", events(2))
    told = _report(tmp_path / "a.zip")
    files = [{"name": "folder/a.log", "size": len(events(2))}]
    assert told["layers"] == [{"kind": "zip", "files": files}]
    assert told["no_log"].startswith("is a zip archive; convert a database package")
    with open(tmp_path / "a.zip", "rb") as file:  # which cannot be listed as it comes
        assert edxlogs.inspect(file).layers[0].kind == "zip"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<html><body>403</body></html>\n", "is XML or HTML"),
        (lzma.compress(events(2)), "is packed by xz; unpack it first: xz -d FILE"),
        (events(2).decode().encode("utf-16"), "is UTF-16 text"),
        (os.urandom(2000).replace(b"\x1f", b"x"), "is neither text nor gzip nor OpenPGP"),
        (b"[" + events(2).replace(b"\n", b",")[:-1] + b"]", "is one JSON array"),
        (json.dumps({"a": 1}, indent=2).encode(), "holds events that span several lines"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "is an OpenPGP key"),
    ],
)
def test_things_that_are_no_logs(content: bytes, told: str) -> None:
    found = edxlogs.inspect(io.BytesIO(content))
    assert found.no_log is not None
    assert found.no_log.startswith(told)
    assert f"  it {told}" in str(found)
    assert not found.first


def test_the_first_lines_of_what_is_no_log_are_shown() -> None:
    found = edxlogs.inspect(
        io.BytesIO(pack(b'hello\n\n{"a": 1}\n' + b"\xff\x1b" * 999 + b"\nmore\n"))
    )
    assert found.no_log == "holds no event in its first lines"
    assert found.head[:2] == ["hello", '{"a": 1}']
    assert str(found).splitlines()[-3:-1] == ["    hello", '    {"a": 1}']
    assert str(found).splitlines()[-1].startswith(r"    \xff\x1b\xff")
    assert len(found.head) == 3
    assert len(found.head[2]) < 100
    assert not edxlogs.inspect(io.BytesIO(b"\0\1\2\n" * 99)).head
    assert not edxlogs.inspect(io.BytesIO(events(2))).head


def test_wrapped_lines_of_other_programs_are_no_events() -> None:
    line = {"log": "mysqld: ready\n", "stream": "stderr", "time": "2024-05-01T10:00:00.0Z"}
    found = edxlogs.inspect(io.BytesIO(f"{json.dumps(line)}\n".encode() * 300))
    assert "  layers  lines without events" in str(found).splitlines()


def test_long_names_are_cut_for_a_person() -> None:
    line = event(1, event_type="t" * 5000, event={"k" * 5000: 1})
    page = str(edxlogs.inspect(io.BytesIO(line), events=0))
    assert max(map(len, page.splitlines())) < 150
    assert "tt…  1 from server" in page


def test_a_folder_that_may_not_be_read_is_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(SourceError, match="Permission denied"):
        edxlogs.inspect(tmp_path)


def test_nothing_at_all() -> None:
    assert "layers  nothing" in str(edxlogs.inspect(io.BytesIO(b"")))


@pytest.mark.parametrize(
    ("wrap", "shipper"),
    [
        (lambda line: {"log": line, "stream": "stdout", "time": "2014-10-01T00:00:00Z"}, "docker"),
        (lambda line: {"version": "1.1", "host": "h", "short_message": line}, "GELF"),
        (lambda line: {"MESSAGE": line, "__REALTIME_TIMESTAMP": "1"}, "journald"),
        (lambda line: {"_index": "i", "_source": {"message": line}}, "Elasticsearch"),
    ],
)
def test_lines_of_log_shippers(wrap: Callable[[str], object], shipper: str) -> None:
    lines = events(3).decode().splitlines()
    text = "".join(json.dumps(wrap(line)) + "\n" for line in lines).encode()
    found = edxlogs.inspect(io.BytesIO(text))
    assert shipper in (found.shipper or "")
    assert found.first == [json.loads(line) for line in lines]


def test_damage_and_cuts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pack(events(3000))
    found = edxlogs.inspect(io.BytesIO(whole[: len(whole) // 2]))
    assert found.problem == "the compressed data are cut off; fetch the file again"
    assert 0 < found.counts.kept < 3000
    broken = whole[: len(whole) // 2] + b"\xff" * 64 + whole[len(whole) // 2 + 64 :]
    found = edxlogs.inspect(io.BytesIO(broken))
    assert found.problem == "the compressed data are damaged; fetch the file again"

    monkeypatch.setattr(layers, "LOOKED_BYTES", 10_000)
    found = edxlogs.inspect(io.BytesIO(whole))
    assert found.is_cut
    assert found.problem is None
    assert found.counts.lines == found.counts.kept == events(3000)[:10_000].count(b"\n")


def test_an_encrypted_file_with_the_key_and_without(
    ring: Ring, stranger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.log.gz.gpg"
    name = "a@univx.example"
    path.write_bytes(keys.encrypt(ring.path, [name], gzip.compress(events(4))))
    listed = keys.gpg(ring.path, "--with-colons", "--list-keys", f"={name}").decode()
    sub = next(line.split(":")[4] for line in listed.splitlines() if line.startswith("sub:"))

    told = _report(path, gnupg_home=ring.path)
    openpgp = {"kind": "openpgp", "keys": [sub], "keys_at_hand": [sub]}
    assert told["layers"] == [openpgp, {"kind": "gzip", "members": 1}]
    assert (told["counts"]["kept"], told["problem"]) == (4, None)

    done = run("inspect", path.name, "--gnupg-home", stranger, cwd=tmp_path)
    assert done.code == 0
    assert f"OpenPGP, for key {sub} > not read" in done.stdout.decode()
    assert "no such secret key is in the key ring" in done.stdout.decode()

    altered = bytearray(path.read_bytes())
    altered[-30] ^= 1
    path.write_bytes(bytes(altered))
    assert edxlogs.inspect(path, gnupg_home=ring.path).problem is not None

    monkeypatch.setattr(layers, "LOOKED_BYTES", 100_000)
    path.write_bytes(keys.encrypt(ring.path, [name], os.urandom(99) + events(5000)))
    found = edxlogs.inspect(path, gnupg_home=ring.path)
    assert (found.is_cut, found.problem) == (True, None)


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(event(0, agent="\x1b[31mred") + event(1))
    before = sorted(tmp_path.iterdir())
    done = run("inspect", "-", "--events", "1", cwd=tmp_path, stdin=event(0, agent="\x1b[31m"))
    assert done.code == 0
    assert "\x1b" not in done.stdout.decode()
    assert done.stdout.decode().splitlines()[-1] == "}"
    assert json.loads(run("inspect", "a.log", "--json", cwd=tmp_path).stdout)["size"]
    assert sorted(tmp_path.iterdir()) == before
    for words in (("none.log",), (".",), ("a.log", "--events", "-1"), ()):
        (tmp_path / "b.log").touch()
        assert run("inspect", *words, cwd=tmp_path).code == 2
    with pytest.raises(edxlogs.ConfigError, match="holds 2 files to read; name one"):
        edxlogs.inspect(tmp_path)
