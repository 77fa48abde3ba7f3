"""The config file: defaults for the command line, and nothing but what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import commands
import edxlogs
from edxlogs import cli
from edxlogs.edx.layout import EVENTS_BUCKET
from edxlogs.generator import keys
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
        ("partners = 'univx'", "partners: unknown key; did you mean partner"),
        ("colour = 1", "colour: unknown key; known are partner, profile, "),
        ("partner = 1", "partner: it must be text"),
        ("partner = ''", "partner: it must be text"),
        ("profile = []", "profile: it must be text, or a list of text"),
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
    assert "nonsense: unknown key" in done.stderr


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


def _shown(folder: Path, **environment: Any) -> dict[str, Any]:
    done = commands.run("config", "show", "--json", cwd=folder, **environment)
    assert done.code == 0
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_where_each_value_comes_from(tmp_path: Path, config: Path) -> None:
    config.write_text("partner = 'univx'\nregion = 'eu-west-1'\ngnupg_home = 'keys'\n")
    told = _shown(
        tmp_path,
        EDXLOGS_REGION="us-east-1",
        EDXLOGS_PROFILE="a, bucket=b",
        EDXLOGS_REQUESTER_PAYS="true",
        EDXLOGS_SALT_FILE="salt",
        EDXLOGS_PARTNER="",
        EDXLOGS_REGIONS="x",
        AWS_ENDPOINT_URL="http://localhost:1",
    )
    assert told["config_file"] == {"path": str(config), "is_there": True}
    assert {name: (one["value"], one["from"]) for name, one in told["settings"].items()} == {
        "partner": ("univx", str(config)),
        "profile": ("a, bucket=b", "EDXLOGS_PROFILE"),
        "region": ("us-east-1", "EDXLOGS_REGION"),
        "endpoint_url": ("http://localhost:1", "AWS_ENDPOINT_URL"),
        "requester_pays": (True, "EDXLOGS_REQUESTER_PAYS"),
        "gnupg_home": (str(config.parent / "keys"), str(config)),
        "passphrase_file": (None, "ask gpg-agent"),
        "salt_file": (str(tmp_path / "salt"), "EDXLOGS_SALT_FILE"),
    }
    assert "EDXLOGS_REGIONS" in told["unknown_variables"]
    text = commands.run("config", "show", cwd=tmp_path, EDXLOGS_REGIONS="x").stdout.decode()
    assert re.search(rf"^partner +univx +{re.escape(str(config))}$", text, re.MULTILINE)
    assert "EDXLOGS_REGIONS: unknown variable" in text


def test_variables_are_options(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(LINE)
    (tmp_path / "bad").mkdir()
    given = ("filter", "a.log", "-q")
    done = commands.run(*given, cwd=tmp_path, EDXLOGS_GNUPG_HOME="nowhere")
    assert (done.code, done.told) == (
        2,
        [f"edxlogs: cannot use key ring: {tmp_path}/nowhere: no such folder; name another"],
    )
    assert (
        commands.run(*given, "--gnupg-home", "bad", cwd=tmp_path, EDXLOGS_GNUPG_HOME="nowhere").code
        == 0
    )
    done = commands.run(*given, cwd=tmp_path, EDXLOGS_REQUESTER_PAYS="perhaps")
    told = "edxlogs: environment: EDXLOGS_REQUESTER_PAYS: it must be true or false"
    assert (done.code, done.told) == (2, [told])


def test_debug_tells_no_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    log = tmp_path / "a.log"
    log.write_bytes(b'{"event_type": "x", "username": "jane_doe"}\n')
    asked = ("--user", "jane_doe", "--where", "username = 'jane_doe'", "--course", "a/b/c")
    for words in (("filter", log, *asked, "--debug"), ("--debug", "filter", log, *asked)):
        done = commands.run(*words, cwd=tmp_path)
        assert done.code == 0
        lines = [line for line in done.stderr.splitlines() if line.startswith("debug: ")]
        assert f"debug: edxlogs {edxlogs.__version__} in " in lines[0]
        assert "debug:   user = 1 of them, not shown" in lines
        assert "debug:   sources = ~/a.log" in lines
        assert "jane_doe" not in "".join(lines)
        assert str(tmp_path) not in "".join(lines)
    done = commands.run("filter", log, "--where", "username == 'jane_doe", "--debug", cwd=tmp_path)
    lines = [line for line in done.stderr.splitlines() if line.startswith("debug: ")]
    assert done.code == 2
    assert "debug: edxlogs.errors.ConfigError: a condition, not shown" in lines
    assert any(re.fullmatch(r"debug: +.*settings\.py:\d+ in \w+", line) for line in lines)
    assert "jane_doe" not in "".join(lines)
    assert "debug" not in commands.run("filter", log, "-q", cwd=tmp_path).stderr


def test_debug_of_what_should_not_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("jane_doe")

    monkeypatch.setattr("edxlogs.jobs.filter.check", broken)
    assert cli.execute(["check", "a.log", "--debug"]) == 1
    told = capsys.readouterr().err
    assert "debug: builtins.KeyError\n" in told
    assert "edxlogs: internal error: please report it, with the output of --debug" in told
    assert "jane_doe" not in told
    with pytest.raises(KeyError):
        cli.execute(["check", "a.log"])
