"""The core's own tests, compiled for aarch64 and run by QEMU."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGET = "aarch64-unknown-linux-gnu"
LIBRARIES = Path("/usr/aarch64-linux-gnu")
WORKSPACE = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
OLDEST = [int(part) for part in WORKSPACE["rust-version"].split(".")]
INSTALL = "dpkg --add-architecture arm64; apt-get update; apt-get install"


def told(*words: str) -> str:
    """What a command prints; nothing where there is none, or where it fails."""
    if shutil.which(words[0]) is None:
        return ""
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout


def compiler() -> str | None:
    """The first rustc, of rustup or of Debian, that is new enough and has a library for aarch64."""
    for rustc in ("rustc", "/usr/bin/rustc"):
        version = re.match(r"rustc (\d+)\.(\d+)", told(rustc, "--version"))
        if version is None or [int(part) for part in version.groups()] < OLDEST:
            continue
        folder = told(rustc, "--print=target-libdir", f"--target={TARGET}").strip()
        if folder and list(Path(folder).glob("libstd-*.rlib")):
            return rustc
    return None


@pytest.fixture
def tools() -> dict[str, str]:
    """What cargo is told of the tools."""
    if platform.machine() == "aarch64":
        pytest.skip("this machine is one: its own tests run there")
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not installed")
    rustc = compiler()
    needs = {
        "gcc-aarch64-linux-gnu": shutil.which("aarch64-linux-gnu-gcc"),
        "libc6-dev-arm64-cross": (LIBRARIES / "lib/libc.so.6").exists(),
        "qemu-user-static": shutil.which("qemu-aarch64-static"),
        "rustc-web libstd-rust-web-dev:arm64": rustc,
    }
    missing = " ".join(package for package, found in needs.items() if not found)
    if missing or rustc is None:
        pytest.skip(f"tools are missing: {INSTALL} {missing}")
    name = f"CARGO_TARGET_{TARGET.replace('-', '_').upper()}"
    # -L chooses the loader only. Where Debian's libc6:arm64 is installed, its libc would be taken,
    # which does not fit that loader: the first thread would hang.
    emulator = f"qemu-aarch64-static -L {LIBRARIES} -E LD_LIBRARY_PATH={LIBRARIES}/lib"
    return {
        "RUSTC": rustc,
        "CARGO_TARGET_DIR": os.fspath(ROOT / "target-cross"),
        f"{name}_LINKER": "aarch64-linux-gnu-gcc",
        f"{name}_RUNNER": emulator,
    }


@pytest.mark.slow
def test_the_core_passes_its_own_tests_on_aarch64(tools: dict[str, str]) -> None:
    words = ("cargo", "test", "--locked", "--package", "edxlogs-core", "--lib", "--target", TARGET)
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **tools}
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    closing = re.search(r"^test result: ok\. (\d+) passed; 0 failed;", done.stdout, re.MULTILINE)
    assert closing is not None, done.stdout[-3000:]
    assert int(closing[1]) > 200
