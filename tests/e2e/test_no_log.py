"""Files that are not what their name says: each is named, with what it is and what mends it."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest

import edxlogs
from commands import run
from small_logs import event, lines

PRETTY = b"".join(json.dumps(event(number), indent=2).encode() + b"\n" for number in range(60))
ARRAY = json.dumps([event(number) for number in range(3)], indent=1).encode()
DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
    b"<Message>Access Denied</Message></Error>\n"
)
KEY = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQENBF\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n"
MAIL = (
    b"From: edx\nSubject: your log\n\nHello,\n\n-----BEGIN PGP MESSAGE-----\n\nhQEMA\n=abcd\n"
    b"-----END PGP MESSAGE-----\n"
)
NOISE = bytes((number * 197 + number // 7) % 256 for number in range(5000))

KINDS: dict[str, tuple[bytes, str]] = {
    "an error page": (DENIED, "fetch it again"),
    "a page": (b"<!DOCTYPE html>\n<html><body>404</body></html>\n", "fetch it again"),
    "random bytes": (b"\x91" + NOISE, "fetch it again"),
    "mail around an armour": (MAIL, "sed -n"),
    "7-Zip": (b"7z\xbc\xaf\x27\x1c\0\4" + NOISE, "7z x"),
    "RAR": (b"Rar!\x1a\x07\x01\0" + NOISE, "unrar"),
    "xz": (lzma.compress(lines(3)), "xz -d"),
    "UTF-16 of PowerShell": (lines(3).decode().encode("utf-16"), "iconv -f UTF-16"),
    "UTF-16, big end first": (b"\xfe\xff" + lines(3).decode().encode("utf-16-be"), "iconv"),
    "UTF-16 without a mark": (lines(3).decode().encode("utf-16-le"), "iconv -f UTF-16LE"),
    "UTF-32": (lines(3).decode().encode("utf-32"), "iconv -f UTF-32"),
    "events on several lines": (PRETTY, "jq -c . "),
    "an array of events": (ARRAY, "jq -c '.[]'"),
    "another program's log": (
        b'{"name": "app", "level": 3, "time": 1}\n' * 9,
        "edxlogs inspect FILE",
    ),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_named_with_what_mends_it(tmp_path: Path, kind: str, packed: bool) -> None:
    content, mends = KINDS[kind]
    if packed:
        content = gzip.compress(content)
    bad = "univx-edx-events-2014-10-01.log.gz"
    (tmp_path / bad).write_bytes(content)
    (tmp_path / "good.log").write_bytes(lines(2))
    done = run("filter", bad, "good.log", "-o", "out.jsonl", cwd=tmp_path)
    assert done.code == 1
    (told,) = [one for one in done.told if "warning" not in one]
    assert told.startswith(f"edxlogs: {bad}: ")
    assert mends in told
    assert "learner" not in done.stderr
    assert (tmp_path / "out.jsonl").read_bytes() == lines(2)


def test_a_key_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "a.log.gz.gpg").write_bytes(b"\n" + KEY)
    done = run("filter", "a.log.gz.gpg", cwd=tmp_path)
    assert (done.code, done.stdout) == (1, b"")
    assert "a.log.gz.gpg" in done.told[0]


def test_events_on_several_lines_are_said_once_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(lines(2) + PRETTY)
    done = run("filter", "a.log", "-o", "out.jsonl", cwd=tmp_path)
    assert done.code == 0
    (told,) = done.told
    assert "60 lines are only {" in told
    assert "jq -c" in told
    assert (tmp_path / "out.jsonl").read_bytes() == lines(2)


@pytest.mark.parametrize("asked", [(), ("--event-type", "no_such_type")])
def test_a_log_in_which_nothing_is_kept_is_no_failure(
    tmp_path: Path, asked: tuple[str, ...]
) -> None:
    text = b"\n" * 200 if not asked else lines(300)
    (tmp_path / "a.log").write_bytes(text)
    assert run("filter", "a.log", *asked, cwd=tmp_path).code == 0


def test_a_log_that_begins_with_other_lines_is_a_log(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"# a word before\n" * 150 + lines(5))
    assert run("filter", "a.log", cwd=tmp_path).stdout == lines(5)
    assert run("filter", "a.log", cwd=tmp_path).code == 0
    none = run("filter", "a.log", "--event-type", "none_such", cwd=tmp_path)
    assert none.code == 1, "nothing kept, and no event among the first lines"


def test_empty_and_blank_and_hollow_logs_are_warnings(tmp_path: Path) -> None:
    (tmp_path / "empty.log").touch()
    (tmp_path / "blank.log").write_bytes(b"\n \n\0\n")
    (tmp_path / "hollow.log").write_bytes(b'{"log": "GET /heartbeat\\n", "stream": "stdout"}\n' * 5)
    done = run("check", "empty.log", "blank.log", "hollow.log", cwd=tmp_path)
    assert done.code == 0
    assert [one.removeprefix("edxlogs: warning: ").partition(":")[0] for one in done.told] == [
        "empty.log",
        "blank.log",
        "hollow.log",
    ]


def test_a_dataset_tells_it_every_night(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(DENIED)
    (tmp_path / "b.log").write_bytes(lines(1))
    words = ("filter", "a.log", "b.log", "-o", "out", "--partition-by", "site")
    for _ in range(2):
        done = run(*words, cwd=tmp_path)
        assert done.code == 1
        assert "a.log: is XML or HTML" in done.stderr
    (tmp_path / "a.log").write_bytes(lines(1, 1))
    assert run(*words, cwd=tmp_path).code == 0


def test_a_stream_raises_before_its_end(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(DENIED)
    stream = edxlogs.filter(tmp_path / "a.log")
    with pytest.raises(Exception, match="is XML or HTML"):
        list(stream)
    assert not stream.verified


def test_an_event_deep_inside_another_object_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b'{"took": 1, "hits": [{"event_type": "x"}]}\n')
    assert run("filter", "a.log", cwd=tmp_path).code == 1


def test_a_log_of_broken_events_is_a_log(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(lines(1)[:-30] + b"\n")
    done = run("filter", "a.log", "-o", "out.jsonl", cwd=tmp_path)
    assert done.code == 0
    assert "rejected: truncated 1" in done.stderr
