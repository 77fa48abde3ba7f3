"""Definitions of tables of events: where each type belongs, which act it is, and its paths."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from edxlogs.edx import event_tables as definitions
from edxlogs.edx.categories import categories
from edxlogs.edx.event_tables import EventTable, Kind, event_tables, homes
from edxlogs.edx.event_tables.definition import DECODERS, SPINE
from edxlogs.edx.event_tables.homes import read_homes
from edxlogs.edx.event_tables.paths import parse_path
from edxlogs.errors import ConfigError

FOLDER = Path(definitions.__file__).parent
REFERENCE = Path(
    os.environ.get("EDXLOGS_REFERENCE")
    or Path(__file__).resolve().parents[3] / "shared" / "reference"
)
HOMES = {
    "problem_events": ["problem_check", "show_answer", "edx.problem.completed"],
    "video_events": ["play_video", "edx.video.seeked", "edx.video.bumper.played", "skip_video"],
    "forum_events": ["edx.forum.searched", "edx.forum.comment.unreported"],
    "enrollment_events": ["edx.course.enrollment.upgrade_clicked"],
    "navigation_events": ["seq_goto", "page_close", "edx.bi.app.navigation.screen"],
    "requests": [],
    "ora_events": ["openassessmentblock.remove_uploaded_file", "oe_hide_problem"],
    "grade_events": ["edx.grades.subsection.score_overridden", "edx.course.grade.now_failed"],
    "completion_events": ["edx.done.toggled"],
    "exam_events": ["edx.special_exam.proctored.option-presented"],
    "certificate_events": ["edx.certificate.created", "edx.badge.assertion.shared"],
    "group_events": ["edx.team.learner_deleted", "xmodule.partitions.assigned_user_to_partition"],
    "content_events": ["edx.itembankblock.content.removed", "xblock.split_test.child_render"],
    "block_events": ["xblock.launch_request", "recommender_upvote", "oppia.exploration.loaded"],
    "study_events": ["edx.course.bookmark.added", "site_search", "edx.course.tool.accessed"],
    "textbook_events": ["book", "textbook.pdf.page.scrolled"],
    "account_events": ["edx.user.settings.change_initiated"],
    "staff_events": ["dump-grades", "edx.course.index.published"],
    "other_events": ["grade", "progress", "get_client_configuration"],
}


def test_every_type_of_the_categories_has_one_home() -> None:
    types = {one for its in categories().values() for one in its} - {"/*"}
    assert set(homes().of) == types
    assert set(homes().of.values()) == set(HOMES) - {"requests"}
    assert sum(len(homes().types(table)) for table in homes().tables) == len(types)


def test_tables_stand_in_the_order_of_their_homes_each_before_its_children() -> None:
    homes_of = [table.parent or table.name for table in event_tables().values()]
    assert homes_of == sorted(homes_of, key=homes().tables.index)
    for table in event_tables().values():
        names = list(event_tables())
        assert not table.parent or names.index(table.parent) < names.index(table.name)


def test_there_are_nineteen_homes_and_each_has_its_types() -> None:
    assert homes().tables == tuple(HOMES)
    for table, types in HOMES.items():
        for one in types:
            assert homes().of[one] == table, one


def test_the_homes_are_those_of_the_page() -> None:
    page = REFERENCE.parent / "event-tables.md"
    if not page.is_file():
        pytest.skip("no page of event tables: set EDXLOGS_REFERENCE")
    section = page.read_text("utf-8").split("\n## 2. ")[1].split("\n## ")[0]
    called = {"item bank": "item_bank", "LTI": "lti"}
    searches = {"site_search", "site_search_jump"}  # 6.15 has them, section 2 does not say so
    expected = dict.fromkeys(searches, "study_events")
    found = set()
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 2 or not cells[0].split(" ")[0].endswith(("_events", "requests")):
            continue
        table = cells[0].split(" ")[0]
        found.add(table)
        for named in cells[1].split(", "):
            types = categories().get(called.get(named, named), (named.strip("`"),))
            for one in types if table != "other_events" else categories()["undocumented"]:
                expected.setdefault(one, table)
    assert found == set(HOMES)
    expected.pop("/*")
    assert dict(homes().of) == expected


@pytest.mark.parametrize(
    ("event_type", "name", "expected"),
    [
        ("play_video", "edx.video.played", ("video_events", "play_video", False)),
        (
            "",
            "edx.ui.lms.jump_nav.selected",
            ("navigation_events", "edx.ui.lms.jump_nav.selected", False),
        ),
        (None, None, ("other_events", None, False)),
        ("mine", "yours", ("other_events", None, False)),
        ("mine", "/path", ("other_events", None, False)),
        ("/courses/x", "/courses/x", ("requests", None, False)),
        ("/courses/x", "problem_check", ("problem_events", "problem_check", False)),
        ("seq_next", "problem_check", ("navigation_events", "seq_next", True)),
        ("seq_next", "/courses/x", ("navigation_events", "seq_next", False)),
        ("grade", "book", ("other_events", "grade", True)),
        ("Seq_next", None, ("other_events", None, False)),
    ],
)
def test_the_type_decides_then_the_name(
    event_type: str | None, name: str | None, expected: tuple[str, str | None, bool]
) -> None:
    assert homes().home(event_type, name) == expected


KNOWN = {"video": ("play", "pause"), "implicit": ("/*",), "odd": ("x",)}
BOTH = '[requests]\ncategories = ["implicit"]\n[other_events]\ncategories = ["odd"]\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOTH, "homes.toml: play of category video has no home"),
        (BOTH + '[a]\ncategories = ["video"]\ntypes = ["plya"]', "homes.toml: plya: no such"),
        (BOTH + '[a]\ncategories = ["vidoe"]', "homes.toml: vidoe: no such category"),
        (
            BOTH + '[a]\ncategories = ["video"]\n[b]\ncategories = ["video"]',
            "homes.toml: b: video belongs to a already",
        ),
        (
            BOTH + '[a]\ntypes = ["play", "pause"]\n[b]\ntypes = ["play"]',
            "homes.toml: b: play belongs to a already",
        ),
        (
            BOTH + '[a]\ncategory = ["video"]',
            "homes.toml: a: category: is not a key of a home; did",
        ),
        (BOTH + "a = 1", "homes.toml: other_events: a: is not a key of a home"),
        ("a = 1\n" + BOTH, "homes.toml: a: must be a table"),
        ('[a]\ncategories = ["video", "implicit", "odd"]', "homes.toml: requests is missing"),
        ("[a", "homes.toml: "),
    ],
)
def test_wrong_homes_are_told_with_their_place(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(why)}"):
        read_homes("homes.toml", text, KNOWN)


def test_a_type_that_is_named_leaves_the_home_of_its_category() -> None:
    text = BOTH + '[a]\ncategories = ["video"]\n[b]\ntypes = ["pause"]'
    assert read_homes("", text, KNOWN).of == {"play": "a", "pause": "b", "x": "other_events"}


def test_the_project_has_these_tables_with_columns() -> None:
    children = {"problem_inputs", "problem_forms", "ora_parts", "assigned_blocks"}
    assert set(event_tables()) == set(HOMES) | children
    files = {path.stem for path in FOLDER.glob("*.toml")} - {"homes"}
    assert set(event_tables()) == files


@pytest.mark.parametrize("table", event_tables().values(), ids=lambda table: table.name)
def test_each_table_holds_together(table: EventTable) -> None:
    names = [name for name, _ in table.schema]
    assert len(names) == len(set(names))
    assert table.schema[: len(SPINE[table.kind])] == SPINE[table.kind]
    if table.kind is Kind.HOME:
        told = {one for action in table.actions for one in action.types}
        assert told == (set(homes().types(table.name)) if table.actions else set())
        assert table.actions or table.name in {"requests", "other_events"}
    else:
        assert table.parent in event_tables()
    for column in table.columns:
        assert column.about.endswith((".", "?")), column.name
        assert column.about[0].isupper() or column.about[0] == "`", column.name
    assert table.about.endswith(".")


def test_every_decoder_is_used() -> None:
    used = {column.decoder for table in event_tables().values() for column in table.columns}
    # For tables that users write.
    assert set(DECODERS) - used == {"row key"}


def test_an_act_follows_from_the_spelling_and_the_source() -> None:
    problem = event_tables()["problem_events"]
    assert problem.action("problem_check", "server").name == "check"
    assert problem.action("problem_check", None).name == "check"
    assert problem.action("problem_check", "browser").name == "form_check"
    assert problem.action("problem_reset", "server").name == "form_reset"
    enrollment = event_tables()["enrollment_events"]
    assert enrollment.action("edx.course.enrollment.activated", "server").name == "activate"
    rules = [one for one in enrollment.actions if one.has]
    assert [rule.name for rule in rules] == ["synthesized"]
    assert set(rules[0].types) == set(homes().types("enrollment_events"))


def test_a_spelling_tells_the_kind_and_the_kind_tells_the_path() -> None:
    table = event_tables()["forum_events"]
    act = table.action("edx.forum.response.edited", "server")
    assert (act.name, act.kind) == ("edit", "response")
    columns = {column.name: column for column in table.columns}
    assert [path.text for path in columns["thread_id"].paths.of(act.name, act.kind)] == [
        "event.discussion.id"
    ]
    assert [path.text for path in columns["response_id"].paths.of(act.name, act.kind)] == [
        "event.id"
    ]


def test_paths_differ_by_act() -> None:
    columns = {column.name: column for column in event_tables()["video_events"].columns}
    position = columns["position"].paths
    assert [path.text for path in position.of("play")] == [
        "event.currentTime",
        "event.current_time",
    ]
    assert position.of("seek")[0].text == "event.old_time"
    assert columns["position_to"].paths.of("play") == ()
    assert [name for name, _ in columns["block"].fields] == [
        "block_key",
        "block_type",
        "block_id",
        "block_from",
    ]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("event.old_time", ("event", "old_time")),
        ('event."a ""b"".c"[10].d', ("event", 'a "b".c', 10, "d")),
        ("event.answers.*", ("event", "answers", None)),
        ('event."*"', ("event", "*")),
        ("event_type", ("event_type",)),
        ("event.a-b.in", ("event", "a-b", "in")),
        ("synthesized", ("synthesized",)),
        ("*", (None,)),
        ('*."points possible"', (None, "points possible")),
        ("form.*", ("form", None)),
    ],
)
def test_paths_are_those_of_where(text: str, steps: tuple[str | int | None, ...]) -> None:
    assert parse_path(text).steps == steps


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "starts with a field"),
        ("evnt.grade", "evnt is not a field of an event; did you mean event?"),
        ("[0]", "starts with a field"),
        (".event", "starts with a field"),
        ("form.a", r"inputs of a form are form\.\*"),
        ("form", r"inputs of a form are form\.\*"),
        ("event.", r"not a path from \. on"),
        ("event..a", r"not a path from \.\.a on"),
        ("event.a b", "not a path from  b on"),
        ('event."a', r'not a path from \."a on'),
        ('event"a"', "not a path from"),
        ("event.1a", "not a path from"),
        ("event[x]", "not a path from"),
        ("event.é", "not a path from"),
        ("event.*.*", "has \\* twice"),
        ("event.a::int64", "not a path from ::int64 on"),
    ],
)
def test_a_wrong_path_is_told_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_path(text)
