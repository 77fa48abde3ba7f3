"""What stands beside the code for a release: workflows, licences, recipes and addresses."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import addresses
import edxlogs
import licenses

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]


def read(path: Path) -> Any:
    """A document of YAML, in which `on:` is no boolean."""
    return yaml.load(path.read_text(), yaml.BaseLoader)


def steps(workflow: Any) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_version_is_said_in_one_place() -> None:
    assert edxlogs.__version__ == VERSION
    assert "version" in PROJECT["dynamic"]
    assert "version" not in read(ROOT / "CITATION.cff")
    recipe = read(ROOT / "release/recipe.yaml")
    assert recipe["context"]["version"] == VERSION  # a recipe must say it; it follows
    for manifest in ROOT.glob("rust/*/Cargo.toml"):
        assert tomllib.loads(manifest.read_text())["package"]["version"] == {"workspace": True}


def test_the_conda_package_needs_what_the_wheel_needs() -> None:
    run = read(ROOT / "release/recipe.yaml")["requirements"]["run"]
    needs = {one.replace(" ", "") for one in run} - {"python", "gnupg>=2.2.8"}
    assert needs == set(PROJECT["dependencies"])
    recipe = read(ROOT / "release/recipe.yaml")
    assert recipe["about"]["summary"] == PROJECT["description"]
    for place in recipe["about"]["license_file"]:
        assert (ROOT / place).is_file()
    (script,) = recipe["build"]["python"]["entry_points"]
    assert script == f"edxlogs = {PROJECT['scripts']['edxlogs']}"


def test_extras_are_together_in_one() -> None:
    extras = PROJECT["optional-dependencies"]
    (together,) = extras["all"]
    named = re.fullmatch(r"edxlogs\[(.*)\]", together)
    assert named is not None
    assert set(named[1].split(",")) == set(extras) - {"all"}
    page = (ROOT / "docs/how-to/install.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(extras)


def test_readme_names_the_test_command_that_ci_runs() -> None:
    assert "\n$ make test\n" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_may_only_read_unless_a_job_says_so(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    for step in steps(workflow):
        assert len({"run", "uses"} & set(step)) == 1
        # What a tag or a branch is called must not become a command.
        assert "${{" not in step.get("run", "")
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] == "false"
    for job in workflow["jobs"].values():
        assert int(job["timeout-minutes"]) <= 350


def test_what_workflows_run_is_there() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    words = [step.get("run", "") for path in WORKFLOWS for step in steps(read(path))]
    for text in words:
        for target in re.findall(r"^make ([a-z-]+)$", text, re.MULTILINE):
            assert target in targets
        for place in re.findall(r"(?<![\w/])((?:release|tests|\.ci)/[\w./]+)", text):
            assert (ROOT / place).is_file(), place
    assert "bash .ci/run" in words


def test_each_target_that_licences_are_looked_up_for_gets_a_wheel() -> None:
    matrix = read(ROOT / ".github/workflows/release.yml")["jobs"]["wheels"]["strategy"]["matrix"]
    libraries = {"2_28": "unknown-linux-gnu", "musllinux_1_2": "unknown-linux-musl"}
    made = {
        f"{one['target']}-{libraries.get(one['libc'], 'apple-darwin')}" for one in matrix["include"]
    }
    assert made == set(licenses.TARGETS)
    assert len(matrix["include"]) == len(made)


def test_only_the_upload_may_sign() -> None:
    jobs = read(ROOT / ".github/workflows/release.yml")["jobs"]
    signing = [name for name, job in jobs.items() if "id-token" in job.get("permissions", {})]
    assert signing == ["upload"]
    assert jobs["upload"]["if"] == "github.ref_type == 'tag'"
    assert jobs["upload"]["needs"] == ["check"]
    assert set(jobs["check"]["needs"]) == {"wheels", "sdist"}


@pytest.mark.parametrize(
    "words",
    [
        ("zizmor", "--offline", "--quiet", ".github"),
        ("hadolint", "release/Dockerfile"),
        ("cffconvert", "--validate", "-i", "CITATION.cff"),
    ],
    ids=lambda words: words[0],
)
def test_linters_have_nothing_to_say(words: tuple[str, ...]) -> None:
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_forms_for_issues_ask_for_no_real_logs() -> None:
    forms = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
    for path in forms:
        form = read(path)
        if path.stem == "config":
            continue
        assert {"name", "description", "body"} <= set(form)
        ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]
        assert len(set(ids)) == len(ids)
    told = (ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text()
    assert "no real logs" in told


@pytest.fixture(scope="module")
def shipped() -> list[dict[str, Any]]:
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not installed")
    return licenses.shipped()


def test_licences_are_those_of_what_is_shipped(shipped: list[dict[str, Any]]) -> None:
    assert licenses.PLACE.read_text() == licenses.document(shipped), (
        "run: python release/licenses.py"
    )
    names = {one["name"] for one in shipped}
    # Compiled in on Linux, in C, on macOS alone; what only builds or tests is not.
    assert {"parquet", "zstd-sys", "libmimalloc-sys", "core-foundation-sys"} <= names
    assert names.isdisjoint({"syn", "cc", "proptest", "criterion", "serde_json", "edxlogs-core"})


def test_every_package_of_the_lock_that_is_compiled_in_is_named() -> None:
    """By `cargo tree`, which is another way to it."""
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not installed")
    words = "cargo tree --locked -p edxlogs-python -e normal,no-proc-macro --prefix none"
    done = subprocess.run(
        [*words.split(), "-f", "{p}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    compiled = {
        line.split(" (")[0].replace(" v", " ")
        for line in done.stdout.splitlines()
        if not line.startswith("edxlogs-")
    }
    assert len(compiled) > 40
    text = licenses.PLACE.read_text()
    for name in compiled:
        assert re.search(rf"^{re.escape(name)}  +\S", text, re.MULTILINE), name


@pytest.mark.parametrize(
    ("expression", "is_allowed"),
    [
        ("MIT", True),
        ("MIT/Apache-2.0", True),
        ("GPL-3.0 OR MIT", True),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", True),
        ("MIT AND GPL-3.0", False),
        ("LGPL-3.0", False),
        (None, False),
    ],
)
def test_a_licence_that_binds_more_is_refused(expression: str | None, is_allowed: bool) -> None:
    package = {"name": "a", "version": "1", "license": expression}
    if is_allowed:
        assert licenses.licence(package)
    else:
        with pytest.raises(SystemExit, match="is not allowed"):
            licenses.licence(package)


def test_a_release_leads_to_its_repository(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    address = "https://host.example/of/edxlogs"
    assert addresses.main([f"{address}/"], tmp_path) == 0
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    urls = project.pop("urls")
    assert project == PROJECT  # and nothing else has changed
    assert urls["Homepage"] == address
    assert all(url.startswith(f"{address}") for url in urls.values())
    link = re.compile(r"\]\(([^)]+)\)")
    before, after = (
        link.findall((folder / "README.md").read_text()) for folder in (ROOT, tmp_path)
    )
    assert len(before) == len(after) > 10
    for old, new in zip(before, after, strict=True):
        is_relative = "://" not in old and not old.startswith("#")
        assert new == old if not is_relative else new.endswith(f"/main/{old}")
        assert not is_relative or new.startswith(f"{address}/")


@pytest.mark.parametrize("words", [[], ["github.com/a/b"], ["https://a.example/b", "c"]])
def test_what_is_no_address_changes_nothing(words: list[str], tmp_path: Path) -> None:
    assert addresses.main(words, tmp_path) == 2
    assert list(tmp_path.iterdir()) == []
