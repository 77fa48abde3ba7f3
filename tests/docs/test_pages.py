"""The pages say what the code does: what they list is what there is."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

import edxlogs
import make_columns
import make_man
import make_reference
import site_hooks
from edxlogs.account import Account, LineCounts, Outcome, SourceAccount
from edxlogs.cli import config
from edxlogs.database.account import MemberAccount, RowCounts, TableAccount
from edxlogs.derived.definition import PEERS, read_definitions
from edxlogs.edx.categories import categories
from edxlogs.jobs.job import read_job

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


def test_page_of_columns_is_current() -> None:
    made = make_columns.page()
    assert (DOCS / "reference/columns.md").read_text() == made, "run make docs"


def test_pages_of_reference_are_current() -> None:
    for name, text in make_reference.pages().items():
        assert (DOCS / "reference" / name).read_text() == text, f"{name}: run make docs"


def test_page_of_the_api_has_every_public_name() -> None:
    named = re.findall(
        r"^::: (edxlogs[\w.]*)\.(\w+)$", (DOCS / "reference/api.md").read_text(), re.M
    )
    assert sorted(name for _, name in named) == sorted(set(edxlogs.__all__) - {"__version__"})
    for home, name in named:
        module = inspect.getmodule(getattr(edxlogs, name))
        assert module is not None
        assert module.__name__ == home


def test_page_of_reports_names_all_that_stands_in_them() -> None:
    page = (DOCS / "reference/report.md").read_text()
    told = {
        name
        for line in page.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    kinds = (Account, SourceAccount, LineCounts, TableAccount, MemberAccount, RowCounts)
    assert {one.name for kind in kinds for one in fields(kind)} <= told
    assert set(Account().report(version="", query={}, seconds=0, hints=[])) <= told
    assert {str(one) for one in Outcome} <= told


def test_man_pages_are_those_of_the_help() -> None:
    written = {path.name: path.read_text() for path in make_man.FOLDER.iterdir()}
    assert written == make_man.pages(), "run make docs"
    assert {"edxlogs.1", "edxlogs-filter.1", "edxlogs-db-convert.1"} <= written.keys()


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_man_pages_are_sound() -> None:
    pages = sorted(make_man.FOLDER.glob("*.1"))
    for page in pages:
        done = subprocess.run(["groff", "-k", "-man", "-ww", "-Tutf8", page], capture_output=True)
        assert (done.returncode, done.stderr.decode()) == (0, ""), page.name
    assert "--limit N" in done_of(make_man.FOLDER / "edxlogs-filter.1")


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


def test_page_of_jobs_shows_jobs(tmp_path: Path) -> None:
    page = (DOCS / "reference/jobs.md").read_text()
    examples = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(examples) == 4
    for example in examples:
        (tmp_path / "job.toml").write_text(example)
        assert read_job(tmp_path / "job.toml")


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
            plain = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
            assert anchor in {heading.strip().replace(" ", "-") for heading in plain}


def test_pictures_are_sound() -> None:
    pictures = sorted(DOCS.rglob("*.svg"))
    assert pictures
    for picture in pictures:
        assert ElementTree.parse(picture).getroot().tag == "{http://www.w3.org/2000/svg}svg"


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
    assert bool(site_hooks.fetched(text)) is fetches


def test_page_of_peers_names_all_tables_and_differences() -> None:
    page = (DOCS / "reference/compat.md").read_text()
    plain = read_definitions().by_name
    theirs = [one for one in read_definitions(peers=PEERS).tables if one.name not in plain]
    tables, differences = page.split("## Differences in all tables")
    named = set(re.findall(r"`(simeon_\w+)`", tables))
    assert named == {one.name for one in theirs}
    told = set(re.findall(r"`(\w+)`", differences))
    assert {name for one in theirs for name in one.differs} <= told
    nulls = set(re.findall(r"`(\w+)`", tables.partition("| --- |")[2]))
    about = [column for one in theirs for column in one.columns]
    assert {column.name for column in about if column.about.startswith("Null")} <= nulls
