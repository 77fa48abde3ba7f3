"""cli/options.py: sizes, permissions and columns in words."""

from __future__ import annotations

import click
import pytest

from edxlogs.cli.options import Bytes, ColumnNames, Mode


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("1000000", 1_000_000),
        ("8MiB", 8 << 20),
        ("8 mib", 8 << 20),
        ("64k", 64_000),
        ("64Ki", 65_536),
        ("2GB", 2_000_000_000),
        ("5b", 5),
        (7, 7),
    ],
)
def test_sizes(text: str | int, size: int) -> None:
    assert Bytes().convert(text, None, None) == size


@pytest.mark.parametrize(
    "text", ["", "0", "0k", "-1", "1.5M", "8 XB", "MiB", "1e6", "\u0663", "8iB", "9" * 20]
)
def test_no_sizes(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Bytes().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "mode"), [("600", 0o600), ("0644", 0o644), ("0o640", 0o640), (0o600, 0o600)]
)
def test_modes(text: str | int, mode: int) -> None:
    assert Mode().convert(text, None, None) == mode


@pytest.mark.parametrize("text", ["", "6", "66", "888", "rw-r--r--", "6000", "-600", "0x1ff"])
def test_no_modes(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Mode().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("time", ["time"]),
        ("time, user_id ,event.id", ["time", "user_id", "event.id"]),
        ('event."a,b"[0],line', ['event."a,b"[0]', "line"]),
        ("", [""]),
        ("a,,b", ["a", "", "b"]),
    ],
)
def test_columns(text: str, names: list[str]) -> None:
    assert ColumnNames().convert(text, None, None) == names
