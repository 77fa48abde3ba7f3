"""The pages say what the code does: what they list is what there is."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from edxlogs.cli import config
from edxlogs.edx.categories import categories

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def names_in_tables(page: str, heading: str) -> set[str]:
    """The first cells, in backquotes, of the tables below a heading."""
    section = re.split(r"^#+ ", (DOCS / page).read_text().split(f"# {heading}\n")[1], flags=re.M)[0]
    return set(re.findall(r"^\| `([a-z0-9_]+)` \|", section, re.MULTILINE))


def names_in_core(enum: str) -> set[str]:
    """The names that the core counts under."""
    account = (ROOT / "rust/edxlogs-core/src/frame/counts.rs").read_text()
    body = re.search(rf"\b{enum}, {enum}Set \{{(.*?)\n    \}}", account, re.DOTALL)
    assert body is not None
    return set(re.findall(r'^        \w+ = "(\w+)",', body[1], re.MULTILINE))


def script(name: str) -> ModuleType:
    """A module of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_of_columns_is_current() -> None:
    made = script("make_columns").page()
    assert (DOCS / "reference/columns.md").read_text() == made, "run make docs"


def test_man_pages_are_those_of_the_help() -> None:
    written = {path.name: path.read_text() for path in (DOCS / "man").iterdir()}
    assert written == script("make_man").pages(), "run make docs"
    assert {"edxlogs.1", "edxlogs-filter.1", "edxlogs-db-convert.1"} <= written.keys()


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_man_pages_are_sound() -> None:
    pages = sorted((DOCS / "man").glob("*.1"))
    for page in pages:
        done = subprocess.run(["groff", "-k", "-man", "-ww", "-Tutf8", page], capture_output=True)
        assert (done.returncode, done.stderr.decode()) == (0, ""), page.name
    assert "--limit N" in done_of(DOCS / "man/edxlogs-filter.1")


def done_of(page: Path) -> str:
    """A man page as a reader sees it, without its marks for bold type."""
    command = ["groff", "-k", "-man", "-Tascii", "-P-cbou", str(page)]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode()


@pytest.mark.parametrize(
    ("heading", "enum"), [("Rejected", "Reason"), ("Mended", "Mend"), ("Odd values", "Odd")]
)
def test_page_of_lines_names_all_that_is_counted(heading: str, enum: str) -> None:
    assert names_in_tables("reference/lines.md", heading) == names_in_core(enum)


def test_page_of_filtering_names_all_categories() -> None:
    page = (DOCS / "reference/filter.md").read_text()
    section = page.split("### Categories\n")[1].split("follow the")[0]
    assert set(re.findall(r"`([a-z_]+)`", section)) == set(categories())


def test_page_of_the_config_file_says_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (DOCS / "reference/config.md").read_text()
    example = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    path = tmp_path / "config.toml"
    path.write_text("".join(example))
    monkeypatch.setenv(config.ENVIRONMENT, str(path))
    values = config.read_config()
    assert values["profile"] == ["edx", "course-data=edx-database"]
    assert values["gnupg_home"] == Path.home() / "keys/edx"
    table = "".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    named = set(re.findall(r"`(\w+)`", table))
    for key, value in [("region", "x"), ("endpoint_url", "x"), ("requester_pays", True)]:
        path.write_text(f"{key} = {str(value).lower() if value is True else repr(value)}")
        assert config.read_config() == {key: value}
        values[key] = value
    assert named == set(values)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", page.read_text()):
        linked = page.parent / target if target else page
        assert linked.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE)
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


def test_site_leads_to_every_page_once() -> None:
    def leaves(nav: object) -> list[str]:
        if isinstance(nav, str):
            return [nav]
        below = nav.values() if isinstance(nav, dict) else nav
        assert isinstance(below, Iterable)
        return [leaf for one in below for leaf in leaves(one)]

    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    listed = leaves(settings["nav"])
    folders = [leaf for leaf in listed if leaf.endswith("/")]
    pages = {
        page.relative_to(DOCS).as_posix()
        for page in DOCS.rglob("*.md")
        if f"{page.parent.relative_to(DOCS).as_posix()}/" not in folders
    }
    assert sorted(leaf for leaf in listed if leaf not in folders) == sorted(pages)
    assert all((DOCS / folder).is_dir() for folder in folders)


@pytest.mark.parametrize(
    ("text", "fetches"),
    [
        ('<script src="https://unpkg.com/x"></script>', True),
        ("<img alt=x src=//cdn.example/x.png>", True),
        ('<link rel="stylesheet" href="https://fonts.example/css">', True),
        ('<link rel="canonical" href="https://edxlogs.example/">', False),
        ("body { background: url(https://x.example/y.png) }", True),
        ('<script src="assets/x.js"></script><img src="data:image/png;base64,//8=">', False),
        ('<a href="https://example.org">a link</a>', False),
    ],
)
def test_site_is_searched_for_what_it_fetches(text: str, fetches: bool) -> None:
    assert bool(script("site_hooks").fetched(text)) is fetches
