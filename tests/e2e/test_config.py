"""The config file: defaults for the command line, and nothing but what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import commands
import keys
from edxlogs.edx.layout import EVENTS_BUCKET
from s3_server import Server

LINE = b'{"event_type": "play_video", "time": "2014-10-01T00:00:00+00:00"}\n'
DAY = f"s3://{EVENTS_BUCKET}/univx/prod/events/2014/univx-prod-events-2014-10-01.log"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The config file of the commands that are run, to be written."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("EDXLOGS_CONFIG", str(path))
    return path


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("partners = 'univx'", "partners: there is no such key; did you mean partner"),
        ("colour = 1", "colour: there is no such key; known are partner, profile, "),
        ("partner = 1", "partner: it must be a text"),
        ("partner = ''", "partner: it must be a text"),
        ("profile = []", "profile: it must be a text, or a list of texts"),
        ("requester_pays = 'yes'", "requester_pays: it must be true or false"),
        ("gnupg_home = ['a']", "gnupg_home: it must be a path"),
        ('gnupg_home = "a\\u0000"', "gnupg_home: it must be a path"),
        ("partner = univx", "Invalid value (at line 1, column 11)"),
        ("partner = " + "[" * 5000, "it is nested too deeply"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, config: Path, text: str, told: str) -> None:
    config.write_text(text)
    done = commands.run("list", cwd=tmp_path)
    assert done.code == 2
    [line] = done.told
    assert line.startswith(f"edxlogs: config file: {config}: {told}")


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    done = commands.run("check", "a.log", cwd=tmp_path, EDXLOGS_CONFIG="nowhere.toml")
    assert (done.code, done.told) == (
        2,
        ["edxlogs: cannot read config file: nowhere.toml: it does not exist"],
    )


@pytest.mark.parametrize(
    ("variable", "folder"), [("XDG_CONFIG_HOME", "edxlogs"), ("HOME", ".config/edxlogs")]
)
def test_it_is_found_where_config_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, folder: str
) -> None:
    monkeypatch.delenv("EDXLOGS_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", "")
    (tmp_path / "a.log").write_bytes(LINE)
    monkeypatch.setenv(variable, str(tmp_path))
    assert commands.run("check", "a.log", cwd=tmp_path).code == 0
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "config.toml").write_text("nonsense = 1")
    done = commands.run("check", "a.log", cwd=tmp_path)
    assert done.code == 2
    assert "nonsense: there is no such key" in done.stderr


@pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))
def test_keys_stand_in_it(tmp_path: Path, config: Path) -> None:
    with keys.home() as home:
        keys.make_key(home, "Data Czar <czar@univx.example>", passphrase="sesame")
        (tmp_path / "a.log.gpg").write_bytes(keys.encrypt(home, ["czar@univx.example"], LINE))
        keys.kill_agents(home)
        (tmp_path / "word").write_text("sesame\n")
        config.write_text(f"gnupg_home = '{home}'\npassphrase_file = 'word'")
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        done = commands.run("check", "../a.log.gpg", cwd=elsewhere)
        assert done.code == 0, done.stderr
        done = commands.run("check", "a.log.gpg", "--gnupg-home", ".", cwd=tmp_path)
        assert done.code == 1, "the command line has the last word"


@pytest.mark.usefixtures("aws_environment")
def test_commands_of_a_group_take_it_too(tmp_path: Path, config: Path, s3_server: Server) -> None:
    config.write_text(f"endpoint_url = '{s3_server.url}'")
    done = commands.run("db", "list", "s3://nowhere/univx-2014-10-05.zip", cwd=tmp_path)
    assert done.code == 2
    assert "no such bucket" in done.stderr, done.stderr


@pytest.mark.usefixtures("aws_environment")
def test_a_partner_is_a_default_that_steps_back(
    tmp_path: Path, config: Path, s3_server: Server
) -> None:
    key = DAY.partition(f"{EVENTS_BUCKET}/")[2]
    s3_server.bucket(EVENTS_BUCKET, {key: LINE, key.replace("univx", "univy"): LINE * 2})
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages/univy-prod-events-2014-10-02.log").write_bytes(LINE)
    config.write_text(f"partner = 'univx'\nendpoint_url = '{s3_server.url}'")

    def partners(*words: str) -> set[str]:
        done = commands.run("list", "--kind", "events", "--json", *words, cwd=tmp_path)
        assert done.code == 0, done.stderr
        return {item["partner"] for item in json.loads(done.stdout)["packages"]}

    assert partners() == {"univx"}
    assert partners("--partner", "univy") == {"univy"}
    assert partners("packages") == {"univy"}

    def rows(*words: str) -> int:
        done = commands.run("filter", *words, "--format", "jsonl", cwd=tmp_path)
        assert done.code == 0, done.stderr
        return len(done.stdout.splitlines())

    assert rows("--days", "2014-10-01..2014-10-31") == 1
    assert rows("--partner", "univy") == 2
    assert rows("packages", "--days", "2014-10-01..2014-10-31") == 1
    done = commands.run("filter", cwd=tmp_path)
    assert done.code == 2, "no source was named: that is never years of logs"
