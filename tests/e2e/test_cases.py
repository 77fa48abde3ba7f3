"""Runs the cases that are data: `cases/*.toml`.

A case gives `args`, and what comes of them: `exit` (0), `stdout` (empty), `stderr` (its lines
that begin with `edxlogs:`), `told` (lines that are among the others), and `files`: what the case
does not name must not be there. In `stderr` and `told` a `…` stands for any text within the line.
`input` are files made before the run (a name that ends in `.gz` is packed); `stdin` is standard
input.

`EVENT` in a text stands for a plain line, and `EVENT(text)` for one with these words of JSON put
before its first key.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import commands

_FOLDER = Path(__file__).parent / "cases"
_KEYS = {"name", "args", "stdin", "input", "exit", "stdout", "stderr", "told", "files"}


def _cases() -> list[Any]:
    found = []
    for path in sorted(_FOLDER.glob("*.toml")):
        for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]:
            assert set(case) <= _KEYS, case
            found.append(pytest.param(case, id=f"{path.stem}: {case['name']}"))
    return found


def _text(text: str) -> bytes:
    line = commands.event(1).decode().rstrip("\n")

    def spell(match: re.Match[str]) -> str:
        return "{" + match[1] + ", " + line[1:] if match[1] else line

    return re.sub(r"EVENT(?:\((.*)\)$)?", spell, text, flags=re.M).encode()


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("…"))), text) is not None


@pytest.mark.parametrize("case", _cases())
def test_case(case: dict[str, Any], tmp_path: Path) -> None:
    given = {}
    for name, text in case.get("input", {}).items():
        data = _text(text)
        given[name] = commands.pack(data) if name.endswith(".gz") else data
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(given[name])

    done = commands.run(*case["args"], cwd=tmp_path, stdin=_text(case.get("stdin", "")))

    assert done.code == case.get("exit", 0), done.stderr
    expected = case.get("stderr", "").splitlines()
    assert len(done.told) == len(expected), done.stderr
    for pattern, line in zip(expected, done.told, strict=True):
        assert _matches(pattern, line), f"{line!r} is not {pattern!r}"
    if done.code == 2:
        assert done.stderr.splitlines() == done.told, "wrong use is told in one line"
    for line in case.get("told", []):
        assert any(_matches(line, one) for one in done.stderr.splitlines()), done.stderr
    assert done.stdout == _text(case.get("stdout", ""))
    there = {
        str(path.relative_to(tmp_path)): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    wanted = {name: _text(text) for name, text in case.get("files", {}).items()}
    assert there == {**given, **wanted}
