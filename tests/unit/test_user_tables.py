"""Tables that users write: what they may say, and what is told of a wrong one."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxlogs.edx.event_tables import Kind, UserTables, event_tables, homes, read_user_tables
from edxlogs.errors import ConfigError
from toml_values import VALUES

TABLE = """\
name = "chat_events"
about = "What was written in chats."
actions = [
    { action = "join", types = ["chat.joined"] },
    { action = "say", types = ["chat.said", "play_video"] },
]

[[columns]]
name = "block"
about = "The chat."
decoder = "block id"
paths = ["context.module.usage_key"]
required = ["say"]

[[columns]]
name = "words"
type = "string"
role = "free text"
about = "What was said."
decoder = "text"
paths = ["event.words"]
when = { join = ["event.greeting"] }
"""
HOME = TABLE.replace(', "play_video"', "").replace("actions", "home = true\nactions", 1)
LISTED = """\
name = "all_of_it"
about = "Payloads of some types."
types = ["chat.said", "play_video"]
action_is_type = true
[[columns]]
name = "payload"
type = "string"
about = "The payload."
decoder = "payload"
"""


def read(folder: Path, *texts: str) -> UserTables:
    """The tables of files a.toml, b.toml, ..."""
    for name, text in zip("abc", texts, strict=False):
        (folder / f"{name}.toml").write_text(text)
    return read_user_tables(folder / f"{name}.toml" for name in "abc"[: len(texts)])


def said(folder: Path, *texts: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(folder, *texts)
    message = str(caught.value)
    assert message.startswith(f"{folder}{os.sep}")
    assert "\n" not in message
    return message.removeprefix(f"{folder}{os.sep}")


def test_a_table_stands_apart_and_leaves_homes_as_they_are(tmp_path: Path) -> None:
    read_ = read(tmp_path, TABLE)
    table = read_.tables["chat_events"]
    assert table.kind is Kind.APART
    assert table.spine == event_tables()["other_events"].spine
    assert table.schema[-1] == ("words", "string")
    assert table.action("play_video", "browser").name == "say"
    assert read_.homes == homes()


def test_a_home_takes_its_types_out_of_other_events(tmp_path: Path) -> None:
    read_ = read(tmp_path, HOME.replace("chat.joined", "grade"), LISTED)
    assert list(read_.tables) == ["chat_events", "all_of_it"]
    assert read_.tables["chat_events"].kind is Kind.HOME
    assert homes().of["grade"] == "other_events"
    assert dict(read_.homes.of) == {
        **homes().of,
        "grade": "chat_events",
        "chat.said": "chat_events",
    }
    assert read_.homes.tables == (*homes().tables, "chat_events")
    assert read_.homes.home("chat.said", None).table == "chat_events"
    assert "chat_events" not in homes().tables


def test_types_may_be_actions_of_their_own_names(tmp_path: Path) -> None:
    table = read(tmp_path, LISTED).tables["all_of_it"]
    assert [one.name for one in table.actions] == ["chat.said", "play_video"]
    assert table.action_is_type


def test_without_files_there_are_none() -> None:
    assert read_user_tables([]) == UserTables({}, homes())


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"chat_events"', '"video_events"', "video_events: name: edxlogs has a table of this"),
        ('"chat_events"', '"ora_parts"', "ora_parts: name: edxlogs has a table of this"),
        ('"chat_events"', '"Chats"', "name: must be a name of small letters"),
        ('about = "What', 'abuot = "What', "abuot: is not one of its keys; did you mean about?"),
        ("actions = [", 'kind = "home"\nactions = [', "kind: is not chosen so; home = true"),
        ("actions = [", "home = 1\nactions = [", "home: must be true or false"),
        ("actions = [", "rows = []\nactions = [", "rows: is not one of its keys"),
        ("actions = [", 'types = ["x"]\nactions = [', "chat_events: types: actions give them"),
        ('"chat.joined"', '"chat.*"', "chat_events: actions, number 1: chat.*: must be a whole"),
        ('"chat.joined"', '""', "chat_events: actions, number 1: : must be a whole event type"),
        ('"chat.joined"', "1", "chat_events: actions, number 1: types: must be a list"),
        ('"chat.joined"', '"chat.said"', "chat_events: actions: chat.said belongs to two of them"),
        ('"words"', '"block_id"', "chat_events: column block_id: block_id appears twice"),
        ('"words"', '"time"', "chat_events: column time: time is a column that every table"),
        (
            '"event.words"',
            '"evnt.words"',
            "chat_events: column words: path evnt.words: evnt is not a field of an event; did",
        ),
        (
            '"event.words"',
            '"*.words"',
            "chat_events: column words: path *.words: * is only for tables of children",
        ),
        (
            '"event.words"',
            '"event..words"',
            "chat_events: column words: path event..words: not a path from ..words on",
        ),
        (
            'decoder = "text"',
            'decoder = "txet"',
            "chat_events: column words: decoder: txet is unknown; did you mean text?",
        ),
        (
            'decoder = "text"',
            'decoder = "row key"',
            "chat_events: column words: decoder: row key is for tables of children",
        ),
        (
            "join = [",
            "joni = [",
            "chat_events: column words: when: joni is not an action of the table",
        ),
        ('["say"]', '["sya"]', "chat_events: column block: required: sya is not an action of the"),
        ("[[columns]]", "[columns", "Expected"),
    ],
)
def test_a_wrong_table_is_told_with_file_and_place(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    assert old in TABLE
    assert said(tmp_path, TABLE.replace(old, new, 1)).startswith(f"a.toml: {why}")


@pytest.mark.parametrize(
    ("event_type", "home"),
    [("play_video", "video_events"), ("/courses", "requests"), ("problem_check", "problem_events")],
)
def test_a_home_takes_no_types_of_our_own_tables(
    tmp_path: Path, event_type: str, home: str
) -> None:
    message = said(tmp_path, HOME.replace("chat.said", event_type))
    assert message == (
        f"a.toml: chat_events: actions, number 2: {event_type}: its home is {home}; "
        "leave out home = true"
    )
    listed = LISTED.replace("action_is_type", "home = true\naction_is_type")
    assert said(tmp_path, listed).startswith("a.toml: all_of_it: types: play_video: its home is")


def test_two_tables_share_neither_name_nor_home(tmp_path: Path) -> None:
    again = said(tmp_path, TABLE, TABLE)
    assert again.startswith("b.toml: chat_events: name: ")
    assert again.endswith("a.toml has the same name; choose another")
    other = HOME.replace("chat_events", "talk_events")
    assert said(tmp_path, HOME, other) == (
        "b.toml: talk_events: actions, number 1: chat.joined: its home is chat_events; "
        "leave out home = true"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (LISTED.replace("action_is_type = true\n", ""), "all_of_it: actions: there must be a list"),
        (
            LISTED.replace('types = ["chat.said", "play_video"]\n', ""),
            "all_of_it: types is missing: a list of event types",
        ),
        (LISTED.replace('["chat.said", "play_video"]', "[]"), "types: must be a list"),
        ('name = "x"\n', "about is missing"),
    ],
)
def test_a_table_needs_types(tmp_path: Path, text: str, why: str) -> None:
    assert said(tmp_path, text).startswith(f"a.toml: {why}")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.toml: No such file or directory; name a file with"):
        read_user_tables([tmp_path / "a.toml"])
    with pytest.raises(ConfigError, match="Is a directory; name a file"):
        read_user_tables([tmp_path])
    (tmp_path / "a.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"a\.toml: is not UTF-8; save it as UTF-8"):
        read_user_tables([tmp_path / "a.toml"])


LINES = [*TABLE.splitlines(), *LISTED.splitlines()[3:4], "home = true", 'kind = "home"']


@given(st.data())
def test_whatever_stands_in_a_file_is_told_in_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lines = list(data.draw(st.sampled_from([TABLE, HOME, LISTED])).splitlines())
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(lines) - 1))
        if data.draw(st.booleans()) and (key := re.match(r"\w+ = ", lines[at])):
            lines[at] = key[0] + data.draw(st.sampled_from(VALUES))
        else:
            lines.insert(at, data.draw(st.sampled_from(LINES)))
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    try:
        (table,) = read_user_tables([path]).tables.values()
    except ConfigError as error:
        message = str(error)
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
    else:
        names = [name for name, _ in table.schema]
        assert len(names) == len(set(names))
