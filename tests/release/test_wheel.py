"""The wheel and the sdist: what is in them, and that they install where nothing is."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

import pytest

import make_man

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
INFO = f"edxlogs-{VERSION}.dist-info"
DATA = f"edxlogs-{VERSION}.data"
MAN = "share/man/man1"


@pytest.fixture(scope="module")
def wheel() -> Path:
    """The wheel that make has built."""
    wheels = list((ROOT / "dist").glob(f"edxlogs-{VERSION}-*.whl"))
    if not wheels:
        pytest.skip("there is no wheel in dist/; make test builds it")
    assert len(wheels) == 1
    return wheels[0]


@pytest.fixture(scope="module")
def inside(wheel: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(wheel) as archive:
        yield archive


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A Python with nothing installed; a test that needs an index is skipped without one."""
    venv.create(tmp_path / "empty", with_pip=False)
    python = tmp_path / "empty/bin/python"
    done = pip(python, "install", "--no-deps", "click", check=False)
    if done.returncode:
        pytest.skip("there is no package index in reach")
    pip(python, "uninstall", "--yes", "click")
    return python


def pip(
    python: Path, *words: str | Path, check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run our pip for another Python, which needs none."""
    own = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    done = subprocess.run(
        [*own, *words],
        capture_output=True,
        text=True,
        env={**_environment(), **environment},
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def smoke(python: Path) -> str:
    done = subprocess.run(
        [python, ROOT / "release/smoke.py"], capture_output=True, text=True, env=_environment()
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_one_wheel_serves_every_python(wheel: Path) -> None:
    name, version, python, abi, _ = wheel.stem.split("-")
    oldest = PYPROJECT["project"]["requires-python"].removeprefix(">=").replace(".", "")
    assert (name, version, python, abi) == ("edxlogs", VERSION, f"cp{oldest}", "abi3")


def test_the_wheel_holds_the_package_and_no_more(inside: zipfile.ZipFile) -> None:
    names = {name for name in inside.namelist() if not name.startswith(INFO)}
    code = {name for name in names if re.fullmatch(r"edxlogs/_core\..*\.so", name)}
    assert len(code) == 1
    package = ROOT / "python/edxlogs"
    there = {
        os.fspath(path.relative_to(package.parent))
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".so", ".new")
    }
    # What pip takes to the environment's own folder.
    brought = {name for name in names if name.startswith(f"{DATA}/")}
    assert names - code - brought == there
    pages = {f"{DATA}/data/{MAN}/{name}": text for name, text in make_man.pages().items()}
    assert {name: inside.read(name).decode() for name in brought} == pages


def test_the_wheel_says_what_it_is_made_of(inside: zipfile.ZipFile) -> None:
    metadata = message_from_bytes(inside.read(f"{INFO}/METADATA"))
    assert metadata["Version"] == VERSION
    assert metadata["License-Expression"] == "Apache-2.0"
    places = metadata.get_all("License-File")
    assert places is not None
    assert places == PYPROJECT["project"]["license-files"]
    for place in places:
        assert inside.read(f"{INFO}/licenses/{place}") == (ROOT / place).read_bytes()
    (bill,) = [name for name in inside.namelist() if name.startswith(f"{INFO}/sboms/")]
    parts = json.loads(inside.read(bill))
    assert parts["bomFormat"] == "CycloneDX"
    text = inside.read(f"{INFO}/licenses/release/THIRD-PARTY-LICENSES.txt").decode()
    named = set(re.findall(r"^(\S+ \S+)  +\S", text, re.MULTILINE))
    listed = {f"{one['name']} {one['version']}" for one in parts["components"]}
    assert {"parquet", "zstd-sys"} <= {one.split()[0] for one in named & listed}


def test_the_record_is_of_every_file(inside: zipfile.ZipFile) -> None:
    rows = csv.reader(io.StringIO(inside.read(f"{INFO}/RECORD").decode()))
    assert {row[0] for row in rows} == set(inside.namelist())


def test_the_wheel_installs_where_nothing_is(wheel: Path, empty: Path) -> None:
    pip(empty, "install", wheel)
    told = pip(empty, "list", "--format=json").stdout
    there = {one["name"].lower() for one in json.loads(told)}
    needed = {re.split(r"\W*[<>=]", one)[0] for one in PYPROJECT["project"]["dependencies"]}
    assert needed | {"edxlogs"} <= there
    assert there.isdisjoint({"pyarrow", "boto3", "duckdb", "distributed"})
    pip(empty, "check")
    assert smoke(empty).startswith(f"edxlogs {VERSION}: 10000 rows as expected")
    brought = {path.name for path in (empty.parents[1] / MAN).iterdir()}
    assert make_man.pages().keys() <= brought
    # As `uvx edxlogs` and `pipx run edxlogs` do it: by the script that the wheel brings.
    for words in ((empty.with_name("edxlogs"),), (empty, "-m", "edxlogs")):
        done = subprocess.run([*words, "--version"], capture_output=True, text=True)
        assert (done.returncode, VERSION in done.stdout) == (0, True), done.stderr


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source as it is released, made here."""
    maturin = shutil.which("maturin", path=Path(sys.executable).parent) or shutil.which("maturin")
    if maturin is None or shutil.which("cargo") is None:
        pytest.skip("maturin and cargo are not both installed")
    folder = tmp_path_factory.mktemp("sdist")
    words = (maturin, "sdist", "--out", folder)
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / f"edxlogs-{VERSION}.tar.gz"


def test_the_sdist_holds_all_that_is_compiled(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for place in ("Cargo.lock", "Cargo.toml", "LICENSE", "README.md", "pyproject.toml", "PKG-INFO"):
        assert place in names
    assert set(PYPROJECT["project"]["license-files"]) <= names
    data = PYPROJECT["tool"]["maturin"]["data"]
    assert {f"{data}/data/{MAN}/{name}" for name in make_man.pages()} <= names
    for folder, suffixes in (("rust", {".rs", ".toml"}), ("python", {".py", ".pyi", ".sql"})):
        there = {
            os.fspath(path.relative_to(ROOT))
            for path in (ROOT / folder).rglob("*")
            if path.suffix in suffixes and "tests" not in path.relative_to(ROOT).parts[:3]
        }
        assert there <= names, sorted(there - names)[:5]
    assert not [name for name in names if name.endswith((".so", ".pyc"))]


@pytest.mark.slow
def test_the_sdist_builds_where_nothing_is(sdist: Path, empty: Path) -> None:
    """As by `pip install`, but with the packages of crates.io that were compiled here already."""
    quick = "--config-settings=build-args=--profile dev --locked"
    pip(empty, "install", quick, sdist, CARGO_TARGET_DIR=os.fspath(ROOT / "target"))
    assert smoke(empty).startswith(f"edxlogs {VERSION}: 10000 rows as expected")


@pytest.mark.slow
def test_a_wheel_for_manylinux_needs_no_newer_glibc(empty: Path, tmp_path: Path) -> None:
    """As anybody can make it: zig links with the glibc that it is told, whatever is here."""
    if not all(importlib.util.find_spec(name) for name in ("maturin", "ziglang")):
        pytest.skip("not installed: pip install maturin ziglang")
    machine = platform.machine()
    words = "build --profile dev --locked --zig --compatibility manylinux_2_28 --target"
    target = (f"{machine}-unknown-linux-gnu", "--out", tmp_path)
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # zig is found by it
    own = {"PATH": tools, "CARGO_TARGET_DIR": os.fspath(ROOT / "target-cross")}
    done = subprocess.run(
        [sys.executable, "-m", "maturin", *words.split(), *target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**_environment(), **own},
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stem.endswith(f"-cp311-abi3-manylinux_2_28_{machine}")
    with zipfile.ZipFile(wheel) as archive:
        code = archive.read("edxlogs/_core.abi3.so")
    minors = {int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)", code)}
    assert minors
    assert max(minors) <= 28
    pip(empty, "install", wheel)
    assert smoke(empty).startswith(f"edxlogs {VERSION}: 10000 rows as expected")
