"""`edxlogs db convert`: whole packages, encrypted and not, against the oracle."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import edxlogs
import make_package
import oracle_tables
from commands import Done, event, hidden, run
from datasets import assert_whole
from edxlogs.edx.layout import PACKAGES_BUCKET
from edxlogs.edx.tables import Dialect, Table, tables
from edxlogs.errors import ConfigError
from edxlogs.generator import exporter, keys
from product import csv_rows, table_rows
from s3_server import Server

NAME = "universityx-2014-10-05.zip"
NAMES = {exporter.stem(course): course for course in make_package.COURSES}
TAB = [table for table in tables().values() if table.dialect in (Dialect.TAB, Dialect.MODULE)]


@dataclass(frozen=True)
class Packages:
    """One package as it is, one encrypted, both with odd rows; the text of each file."""

    folder: Path
    home: Path
    texts: dict[str, bytes]

    @property
    def plain(self) -> Path:
        return self.folder / "plain" / NAME

    @property
    def encrypted(self) -> Path:
        return self.folder / "encrypted" / NAME

    def text(self, table: Table, course: str) -> bytes:
        return self.texts[exporter.file_name(table, course, "prod")]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Packages]:
    folder = tmp_path_factory.mktemp("packages")
    texts = {name: b"".join(chunks) for name, chunks in make_package.members(count=12, odd=True)}
    with keys.home() as home:
        made = Packages(folder, home, texts)
        for path in (made.plain, made.encrypted):
            path.parent.mkdir()
        exporter.write(made.plain, ((name, iter([text])) for name, text in texts.items()))
        if keys.missing() is None:
            keys.make_key(home, "Data Czar <czar@univx.example>")
            encrypt = make_package.gpg_encrypt(home, "czar@univx.example")
            few = ((name, iter([text])) for name, text in texts.items() if "HY-101" in name)
            exporter.write(made.encrypted, few, encrypt=encrypt)
        yield made


def convert(package: Path | str, folder: Path, *options: str | Path, **environment: str) -> Done:
    words = ("db", "convert", package, "-o", folder / "out", "--report", folder / "report.json")
    for name, value in environment.items():
        assert value is not None, name
    return run(*words, *options, cwd=folder, **environment)  # type: ignore[arg-type]


def report(folder: Path) -> dict[str, Any]:
    """The account, after its own numbers were checked."""
    document: dict[str, Any] = json.loads((folder / "report.json").read_bytes())
    counted = [member["counts"] for member in document["members"]]
    for counts in [*counted, document["total"], *document["tables"].values()]:
        judged = ("rows_written", "rejected", "left", "withheld")
        assert counts["rows"] == sum(counts[name] for name in judged)
        assert sum(counts["reasons"].values()) == counts["rejected"]
    for name in ("rows", "rows_written", "rejected", "withheld", "bytes_read", "bytes_expanded"):
        assert sum(counts[name] for counts in counted) == document["total"][name]
        by_table = sum(counts[name] for counts in document["tables"].values())
        assert by_table == document["total"][name]
    return document


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of one Parquet file."""
    return table_rows(table_of(path))


def table_of(path: Path) -> pa.Table:
    """One Parquet file alone: its folders name a column, too."""
    with path.open("rb") as file:
        return pq.read_table(file)


def outputs(folder: Path) -> dict[tuple[str, str | None], Path]:
    """The files by table and course, as the account says."""
    return {
        (member["table"], member["course"]): folder / "out" / member["output"]
        for member in report(folder)["members"]
        if member["status"] == "delivered"
    }


def test_every_table_of_every_course_is_the_oracles(packages: Packages, tmp_path: Path) -> None:
    done = convert(packages.plain, tmp_path, "--rejects", tmp_path / "rejects")
    assert done.code == 0, done.stderr
    files = outputs(tmp_path)
    assert hidden(tmp_path / "out") == []
    rejected = 0
    for table in TAB:
        for course in make_package.COURSES:
            expected = oracle_tables.read_tab(
                packages.text(table, course),
                table.columns,
                module=table.dialect is Dialect.MODULE,
                renamed=dict(table.renamed),
            )
            rejected += len(expected.rejected)
            mine = rows_of(files[table.name, course])
            assert len(mine) == len(expected.rows)
            for row, theirs in zip(mine, expected.rows, strict=True):
                for name, kind in table.columns:
                    if kind == "json":
                        strict = row[name] and json.loads(row[name])
                        assert strict == oracle_tables.json_value(theirs[name])
                    else:
                        assert row[name] == theirs[name]
    total = report(tmp_path)["total"]
    assert total["rejected"] == rejected
    comments = (tmp_path / "rejects").read_bytes().count(b"# edxlogs reject: ")
    assert comments == rejected


def test_each_file_is_called_by_table_and_course(packages: Packages, tmp_path: Path) -> None:
    convert(packages.plain, tmp_path, "--table", "auth_user", "--table", "email_opt_in")
    members = [one for one in report(tmp_path)["members"] if one["status"] == "delivered"]
    # Nothing in these files says a course, and nothing else was read.
    assert {member["output"].split("/")[0] for member in members} == {"auth_user", "email_opt_in"}
    convert(packages.plain, tmp_path, "--overwrite", "--layout", "course")
    for member in report(tmp_path)["members"]:
        if member["status"] == "delivered" and member["table"] != "email_opt_in":
            course, table, name = member["output"].split("/")
            assert member["course"] is not None
            assert course == "course_id=" + member["course"].replace("+", "%2B").replace(
                ":", "%3A"
            ).replace("/", "%2F").replace("@", "%40").replace("É", "%C3%89")
            assert (table, name) == (member["table"], "universityx-2014-10-05-prod.parquet")


def test_duckdb_reads_a_table_as_one(packages: Packages, tmp_path: Path) -> None:
    convert(packages.plain, tmp_path)
    found = (
        duckdb.connect()
        .execute(
            f"SELECT course_id, count(*) FROM read_parquet('{tmp_path}/out/auth_user/*/*.parquet',"
            " hive_partitioning=true) GROUP BY course_id"
        )
        .fetchall()
    )
    expected = {
        course: len(oracle_tables.read_tab(packages.text(TAB[0], course), TAB[0].columns).rows)
        for course in make_package.COURSES
    }
    assert dict(found) == expected


def test_events_and_tables_are_joined_by_the_folders_of_courses(
    packages: Packages, tmp_path: Path
) -> None:
    lines = (event(context={"course_id": course}) for course in make_package.COURSES)
    (tmp_path / "a.log").write_bytes(b"".join(lines))
    convert(packages.plain, tmp_path)
    assert run("filter", "a.log", "--partition-by", "course_id", "-o", "e", cwd=tmp_path).code == 0
    folders = sorted(path.name for path in (tmp_path / "e").glob("course_id=*"))
    assert len(folders) == len(make_package.COURSES)
    for name in ("auth_user", "student_courseenrollment"):
        assert sorted(path.name for path in (tmp_path / "out" / name).iterdir()) == folders
        events, rows = (
            f"read_parquet('{tmp_path}/{files}/*.parquet', hive_partitioning=true)"
            for files in ("e/*", f"out/{name}/*")
        )
        found = duckdb.connect().execute(
            f"SELECT e.course_id, count(*) FROM {events} e JOIN {rows} t USING (course_id)"
            " GROUP BY 1"
        )
        expected = {
            course: len(oracle_tables.read_tab(packages.text(table, course), table.columns).rows)
            for table in TAB
            if table.name == name
            for course in make_package.COURSES
        }
        assert dict(found.fetchall()) == expected


def test_what_a_run_wrote_beside_the_tables_is_written_anew(
    packages: Packages, tmp_path: Path
) -> None:
    choice = ("--table", "auth_user", "--table", "auth_userprofile", "--rejects")
    assert convert(packages.plain, tmp_path, *choice, tmp_path / "rejects").code == 0
    first = report(tmp_path)
    rejects = (tmp_path / "rejects").read_bytes()
    assert rejects.count(b"# edxlogs reject: ") == first["total"]["rejected"] > 0
    for _ in range(2):
        assert convert(packages.plain, tmp_path, *choice, tmp_path / "rejects").code == 0
        assert (tmp_path / "rejects").read_bytes() == rejects
        assert report(tmp_path)["total"] == first["total"]
    # A file of somebody else's is not.
    (tmp_path / "mine").write_bytes(b"mine")
    done = convert(packages.plain, tmp_path, *choice, tmp_path / "mine")
    assert (done.code, len(done.told)) == (2, 1)
    assert "mine: exists" in done.told[0]
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_a_folder_of_an_older_form_is_refused(packages: Packages, tmp_path: Path) -> None:
    (tmp_path / "out" / "_edxlogs").mkdir(parents=True)
    record = {"key": "k", "output": "auth_user/course=A%2FB%2FC/x-prod.parquet"}
    (tmp_path / "out" / "_edxlogs" / "tables.jsonl").write_text(json.dumps(record) + "\n")
    for options in ((), ("--overwrite",)):
        done = convert(packages.plain, tmp_path, "--table", "auth_user", *options)
        assert done.code == 2
        assert len(done.told) == 1
        assert "output: " in done.told[0]
        assert "and run again" in done.told[0]
    assert hidden(tmp_path / "out") == []
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["_edxlogs"]


@pytest.mark.parametrize("chosen", ["course-v1:UniversityX+CS101+2014_T1", "course-v1:*+CS1??+*"])
def test_courses_are_chosen_by_id_or_glob(packages: Packages, tmp_path: Path, chosen: str) -> None:
    done = convert(packages.plain, tmp_path, "--course", chosen)
    assert done.code == 0
    files = outputs(tmp_path)
    wanted = "course-v1:UniversityX+CS101+2014_T1"
    assert {course for name, course in files if name != "email_opt_in"} == {wanted}
    assert {name for name, _ in files} == set(tables()) - {"course"}
    # Of the file of all courses, the rows of this one.
    text = packages.text(tables()["email_opt_in"], wanted).decode()
    theirs = [row for row in csv.DictReader(io.StringIO(text)) if row["course_id"] == wanted]
    mine = rows_of(files["email_opt_in", None])
    assert [row["username"] for row in mine] == [row["username"] for row in theirs]
    counts = {one["table"]: one["counts"] for one in report(tmp_path)["members"]}["email_opt_in"]
    assert (counts["rows"], counts["left"]) == (12, 12 - len(theirs))


def test_csv_and_json_lines_hold_the_same_rows(packages: Packages, tmp_path: Path) -> None:
    choice = ("--table", "student_courseenrollment", "--table", "wiki_articlerevision")
    convert(packages.plain, tmp_path, *choice)
    parquet = {key: table_of(path).to_pylist() for key, path in outputs(tmp_path).items()}
    for name in ("csv", "csv.gz", "jsonl"):
        convert(packages.plain, tmp_path, *choice, "--format", name, "--overwrite")
        for key, path in outputs(tmp_path).items():
            if name == "csv":
                rows = csv_rows(path.read_bytes())
            elif name == "csv.gz":
                rows = csv_rows(gzip.decompress(path.read_bytes()))
            else:
                rows = [json.loads(line) for line in path.read_bytes().splitlines()]
            assert len(rows) == len(parquet[key])
            for mine, theirs in zip(rows, parquet[key], strict=True):
                for column, value in theirs.items():
                    if isinstance(value, bool) and name != "jsonl":
                        assert mine[column] == str(value).lower()
                    elif hasattr(value, "tzinfo"):
                        assert mine[column] == f"{value:%Y-%m-%dT%H:%M:%S.%fZ}"
                    elif hasattr(value, "year"):
                        assert mine[column] == str(value)
                    else:
                        same = mine[column] == value
                        assert same or (name != "jsonl" and mine[column] == str(value))


def test_arrow_holds_the_same_tables(packages: Packages, tmp_path: Path) -> None:
    choice = ("--table", "student_courseenrollment", "--table", "wiki_articlerevision")
    convert(packages.plain, tmp_path, *choice)
    parquet = {key: table_of(path) for key, path in outputs(tmp_path).items()}
    convert(packages.plain, tmp_path, *choice, "--format", "arrow", "--overwrite")
    for key, path in outputs(tmp_path).items():
        assert path.suffix == ".arrow"
        with pa.OSFile(str(path)) as file:
            assert pa.ipc.open_file(file).read_all() == parquet[key]


def test_failed_exports_and_unknown_names_are_told(packages: Packages, tmp_path: Path) -> None:
    done = convert(packages.plain, tmp_path)
    said = done.stderr.splitlines()
    assert sum(line.startswith("failed: ") and "teams-edge" in line for line in said) == 1
    assert sum(line.startswith("unknown: ") and "notes.txt" in line for line in said) == 1
    status = {
        one["member"].rpartition("/")[2]: one["status"] for one in report(tmp_path)["members"]
    }
    assert status["notes.txt"] == "unknown"
    assert list(status.values()).count("failed") == 1
    assert list(status.values()).count("left") == len(make_package.COURSES)  # contents of courses


def test_files_that_are_there_are_not_replaced_unasked(packages: Packages, tmp_path: Path) -> None:
    choice = ("--table", "student_courseenrollment", "--course", "UniversityX/HY-101/2013-Fall")
    assert convert(packages.plain, tmp_path, *choice).code == 0
    (path,) = (tmp_path / "out").rglob("*.parquet")
    path.write_bytes(b"of somebody else")
    again = convert(packages.plain, tmp_path, *choice, "--overwrite", "--table", "teams_courseteam")
    assert again.code == 0
    path.write_bytes(b"of somebody else")
    refused = run("db", "convert", packages.plain, "-o", "out", *choice, cwd=tmp_path)
    assert refused.code == 2
    assert len(refused.told) == 1
    assert "exists" in refused.told[0]
    assert path.read_bytes() == b"of somebody else"


def test_tables_and_events_have_folders_of_their_own(packages: Packages, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(event())
    events = ("filter", "a.log", "--partition-by", "site", "-o")
    choice = ("--table", "teams_courseteam")
    assert convert(packages.plain, tmp_path, *choice).code == 0
    assert run(*events, "events", cwd=tmp_path).code == 0
    before = sorted(tmp_path.rglob("*"))
    for words, told in (
        ((*events, "out"), "out: holds tables of packages; name another folder"),
        (
            ("db", "convert", packages.plain, "-o", "events", *choice),
            "events: holds a dataset of events; name another folder",
        ),
    ):
        done = run(*words, cwd=tmp_path)
        assert (done.code, done.told) == (2, [f"edxlogs: output: {told}"])
    assert sorted(tmp_path.rglob("*")) == before


def test_a_package_that_is_done_is_not_done_again(packages: Packages, tmp_path: Path) -> None:
    choice = ("--course", "UniversityX/HY-101/2013-Fall", "--expand", "ora")
    convert(packages.plain, tmp_path, *choice)
    first = report(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.parquet")}
    assert convert(packages.plain, tmp_path, *choice, "--overwrite").code == 0
    redone = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.parquet")}
    assert all(redone[path] > stamp for path, stamp in before.items())
    words = ("db", "convert", packages.plain, "-o", "out", *choice, "--report", "again.json")
    assert run(*words, cwd=tmp_path).code == 0
    (tmp_path / "again.json").rename(tmp_path / "report.json")
    again = report(tmp_path)
    assert all(one["earlier"] for one in again["members"] if one["status"] == "delivered")
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.parquet")}
    assert after == redone
    assert again["total"] == first["total"]
    assert [one["output"] for one in again["members"]] == [
        one["output"] for one in first["members"]
    ]
    # One file that is gone is made again, and nothing else.
    gone = next((tmp_path / "out" / "wiki_article").rglob("*.parquet"))
    gone.unlink()
    assert run(*words, cwd=tmp_path).code == 0
    members = json.loads((tmp_path / "again.json").read_bytes())["members"]
    fresh = [one for one in members if one["status"] == "delivered" and not one["earlier"]]
    assert [one["table"] for one in fresh] == ["wiki_article"]
    assert gone.exists()


@pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))
def test_an_encrypted_package_is_the_same(packages: Packages, tmp_path: Path) -> None:
    done = convert(packages.encrypted, tmp_path, "--gnupg-home", packages.home, "--no-prompt")
    assert done.code == 0, done.stderr
    course = NAMES["UniversityX-HY-101-2013-Fall"]
    files = outputs(tmp_path)
    for table in TAB:
        expected = oracle_tables.read_tab(
            packages.text(table, course), table.columns, module=table.dialect is Dialect.MODULE
        )
        mine = rows_of(files[table.name, course])
        assert [row["row"] for row in mine] == [row["row"] for row in expected.rows]
        assert [row["id"] for row in mine if "id" in row] == [
            row["id"] for row in expected.rows if "id" in row
        ]


@pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))
def test_an_altered_member_is_withheld_alone(packages: Packages, tmp_path: Path) -> None:
    path = tmp_path / NAME
    with zipfile.ZipFile(packages.encrypted) as whole, zipfile.ZipFile(path, "w") as broken:
        for info in whole.infolist():
            data = bytearray(whole.read(info))
            if "-auth_user-" in info.filename:
                data[-30] ^= 1
            broken.writestr(info, bytes(data))
    done = convert(path, tmp_path, "--gnupg-home", packages.home)
    assert done.code == 1
    assert len(done.told) == 1
    assert "auth_user-prod" in done.told[0]
    assert "(withheld)" in done.told[0]
    status = {one["table"]: one["status"] for one in report(tmp_path)["members"]}
    assert [name for name, one in status.items() if one == "withheld"] == ["auth_user"]
    assert not (tmp_path / "out" / "auth_user").exists()
    assert list(status.values()).count("delivered") == len(tables()) - 3


@pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))
def test_a_member_that_is_no_message_is_withheld(packages: Packages, tmp_path: Path) -> None:
    path = tmp_path / NAME
    with zipfile.ZipFile(packages.encrypted) as whole, zipfile.ZipFile(path, "w") as broken:
        for info in whole.infolist():
            data = whole.read(info)
            broken.writestr(info, b"id\tx\n" + data if "-auth_user-" in info.filename else data)
    done = convert(path, tmp_path, "--gnupg-home", packages.home)
    assert done.code == 1
    assert len(done.told) == 1
    assert "not an encrypted OpenPGP message" in done.told[0]
    assert not (tmp_path / "out" / "auth_user").exists()


@pytest.mark.usefixtures("aws_environment")
def test_a_package_of_s3_is_converted(
    packages: Packages, tmp_path: Path, s3_server: Server
) -> None:
    s3_server.bucket(PACKAGES_BUCKET, {NAME: packages.plain.read_bytes()})
    url = f"s3://{PACKAGES_BUCKET}/{NAME}"
    course = "UniversityX/HY-101/2013-Fall"
    done = convert(url, tmp_path, "--course", course, AWS_ENDPOINT_URL=s3_server.url)
    assert done.code == 0, done.stderr
    remote = {key: path.read_bytes() for key, path in outputs(tmp_path).items()}
    convert(packages.plain, tmp_path, "--course", course, "--overwrite")
    assert remote == {key: path.read_bytes() for key, path in outputs(tmp_path).items()}


def test_a_table_that_is_not_known_is_wrong_use(packages: Packages, tmp_path: Path) -> None:
    done = convert(packages.plain, tmp_path, "--table", "auth_users")
    assert done.code == 2
    assert "try auth_user" in done.told[0]
    assert not (tmp_path / "out").exists()


def test_tables_are_kept_and_read_as_datasets_are(packages: Packages, tmp_path: Path) -> None:
    # The same tables once more, of another site.
    texts = {name.replace("-prod", "-edge"): text for name, text in packages.texts.items()}
    contents = ((name, iter([text])) for name, text in texts.items())
    later = exporter.write(tmp_path / "universityx-2014-10-12.zip", contents)
    names = ("auth_user", "student_courseenrollment")
    choice = [word for name in names for word in ("--table", name)]
    words: list[str | Path] = ["db", "convert", packages.plain, later, "-o", "out", *choice]
    assert run(*words, cwd=tmp_path).code == 0
    assert_whole(tmp_path / "out")

    def rows(name: str) -> list[dict[str, Any]]:
        table = edxlogs.dataset(tmp_path / "out" / name).to_table()
        order = [(column, "ascending") for column in ("course_id", "package", "row")]
        return table_rows(table.sort_by(order))

    for name in names:
        stream = edxlogs.database_tables([packages.plain, later])[name]
        key = ("course_id", "package", "row")
        expected = sorted(table_rows(pa.table(stream)), key=lambda row: [row[one] for one in key])
        assert rows(name) == [{column: row[column] for column in rows(name)[0]} for row in expected]
    before = {name: rows(name) for name in names}
    shown = run("cat", "out/auth_user", "--format", "csv", cwd=tmp_path)
    assert len(csv_rows(shown.stdout)) == len(before["auth_user"])
    with pytest.raises(
        ConfigError, match=r"several tables; name the folder of one, like .*/auth_u"
    ):
        edxlogs.dataset(tmp_path / "out")
    assert b"done" in run("runs", "out", cwd=tmp_path).stdout
    # Joined, nothing of it is made again.
    assert run("compact", "out", cwd=tmp_path).code == 0
    assert_whole(tmp_path / "out")
    files = sorted((tmp_path / "out").rglob("*.parquet"))
    assert len(files) == len(names) * len(make_package.COURSES)
    assert {name: rows(name) for name in names} == before
    assert run(*words, "--report", "report.json", cwd=tmp_path).code == 0
    members = report(tmp_path)["members"]
    delivered = [one for one in members if one["status"] == "delivered"]
    assert all(one["earlier"] for one in delivered)
    assert {tmp_path / "out" / one["output"] for one in delivered} == set(files)
    assert sorted((tmp_path / "out").rglob("*.parquet")) == files


@pytest.mark.parametrize("option", ["--report", "--rejects"])
@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_no_output_replaces_a_package(
    packages: Packages, tmp_path: Path, option: str, kind: str
) -> None:
    target = tmp_path / packages.plain.name
    shutil.copy(packages.plain, target)
    named = target.name
    if kind == "folder":
        with zipfile.ZipFile(target) as archive:
            archive.extractall(tmp_path / "there")
        named = "there"
        target = next((tmp_path / named).rglob("*auth_user-*.sql"))
    content = target.read_bytes()
    beside = str(target.relative_to(tmp_path))
    done = run("db", "convert", named, "-o", "tables", option, beside, "--overwrite", cwd=tmp_path)
    assert (done.code, target.read_bytes() == content) == (2, True)
    assert done.told == [f"edxlogs: output: {beside}: is also an input; name another file"]
