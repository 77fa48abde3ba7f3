"""What `edxlogs db convert` does on request: joins, further columns; and packages of each kind."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import edxlogs
import make_package
import oracle_tables
from commands import run
from converting import COURSE, NAME, STEM, Rows, convert, package, packed, rows_of, truth
from edxlogs.database.tars import open_tar
from edxlogs.edx.tables import tables
from edxlogs.errors import ConfigError
from edxlogs.generator import exporter, keys
from edxlogs.s3.client import S3
from edxlogs.store.place import HOME, Folder
from edxlogs.store.store import open_manifest
from edxlogs.text import size
from product import csv_rows, table_rows


def test_the_state_of_problems_has_columns(tmp_path: Path) -> None:
    done = convert(package(tmp_path), tmp_path, "--expand", "studentmodule")
    assert done.code == 0, done.stderr
    rows = rows_of(tmp_path, "courseware_studentmodule")
    for row, theirs in zip(rows, truth("courseware_studentmodule"), strict=True):
        state = json.loads(theirs["state"])
        assert (row["state_attempts"], row["state_seed"]) == (
            state.get("attempts"),
            state.get("seed"),
        )
        assert row["state_done"] == state.get("done")
        score = state.get("score", {})
        assert row["state_score_earned"] == score.get("raw_earned")
        assert row["state_score_possible"] == score.get("raw_possible")
        for name in ("correct_map", "student_answers"):
            mine = row[f"state_{name}"]
            assert (mine and json.loads(mine)) == state.get(name)


def test_odd_states_cost_no_row(tmp_path: Path) -> None:
    header = b"id\tstate\n"
    states = [
        b'{"attempts": "3", "seed": 1.5, "score": null}',
        b'{"attempts": 1, "attempts": 2, "correct_map": "text", "done": "x"}',
        b"not json",
        b"NULL",
        b"[1]",
    ]
    data = header + b"".join(b"%d\t%s\n" % (at, state) for at, state in enumerate(states))
    path = package(tmp_path, courseware_studentmodule=data)
    assert convert(path, tmp_path, "--expand", "studentmodule").code == 0
    rows = rows_of(tmp_path, "courseware_studentmodule")
    assert [row["state_attempts"] for row in rows] == [3, 2, None, None, None]
    assert rows[1]["state_correct_map"] == '"text"'
    assert json.loads(rows[0]["misfits"]) == {"state_seed": "1.5"}
    assert json.loads(rows[1]["misfits"]) == {"state_done": "x"}
    assert json.loads(rows[2]["misfits"]) == {"state": "not json"}
    assert [row["misfits"] for row in rows[3:]] == [None, None]


def by(rows: Rows, column: str) -> dict[Any, dict[str, Any]]:
    return {row[column]: row for row in rows if row[column] is not None}


def bare(rows: Rows, column: str) -> Rows:
    return [{**row, column: row[column] and row[column].replace("-", "")} for row in rows]


def test_open_response_assessments_are_joined(tmp_path: Path) -> None:
    done = convert(
        package(tmp_path), tmp_path, "--expand", "ora", "--table", "submissions_submission"
    )
    assert done.code == 0, done.stderr
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {"_edxlogs", "ora_submissions", "submissions_submission"}
    items = by(truth("submissions_studentitem"), "id")
    scores = by(truth("submissions_score"), "submission_id")
    users = by(truth("student_anonymoususerid"), "anonymous_user_id")
    states = by(bare(truth("workflow_assessmentworkflow"), "submission_uuid"), "submission_uuid")
    said = by(bare(truth("assessment_assessmentfeedback"), "submission_uuid"), "submission_uuid")
    criteria = by(truth("assessment_criterion"), "id")
    options = by(truth("assessment_criterionoption"), "id")
    assessments = bare(truth("assessment_assessment"), "submission_uuid")
    parts = truth("assessment_assessmentpart")
    rows = rows_of(tmp_path, "ora_submissions")
    submissions = bare(truth("submissions_submission"), "uuid")
    assert len(rows) == len(submissions)
    joined = 0
    for row, theirs in zip(rows, submissions, strict=True):
        assert row["submission_uuid"] == theirs["uuid"]
        assert row["submission_id"] == theirs["id"]
        for name in ("attempt_number", "submitted_at", "created_at", "status"):
            assert row[name] == theirs[name]
        assert json.loads(row["raw_answer"]) == json.loads(theirs["raw_answer"])
        item = items.get(theirs["student_item_id"], {})
        for name in ("student_id", "item_id", "item_type", "course_id"):
            assert row[name] == item.get(name)
        score = scores.get(theirs["id"], {})
        assert row["points_earned"] == score.get("points_earned")
        assert row["points_possible"] == score.get("points_possible")
        assert row["scored_at"] == score.get("created_at")
        assert row["workflow_status"] == states.get(theirs["uuid"], {}).get("status")
        assert row["feedback_text"] == said.get(theirs["uuid"], {}).get("feedback_text")
        its = [one for one in assessments if one["submission_uuid"] == theirs["uuid"]]
        mine = json.loads(row["assessments"])
        assert [one["id"] for one in mine] == [one["id"] for one in its]
        for one, other in zip(mine, its, strict=True):
            joined += 1
            assert one["feedback"] == other["feedback"]
            assert one["scorer_id"] == other["scorer_id"]
            assert one["scorer_user_id"] == users.get(other["scorer_id"], {}).get("user_id")
            moment = one["scored_at"] and oracle_tables.moment(one["scored_at"])
            assert moment == other["scored_at"]
            assert one["parts"] == [
                {
                    "criterion": criteria.get(part["criterion_id"], {}).get("name"),
                    "option": options.get(part["option_id"], {}).get("name"),
                    "points": options.get(part["option_id"], {}).get("points"),
                    "feedback": part["feedback"],
                }
                for part in parts
                if part["assessment_id"] == other["id"]
            ]
        kinds = [one["score_type"] for one in its]
        assert row["peer_assessments"] == kinds.count("PE")
    assert joined == len(assessments)


def test_the_package_of_e_mail_preferences_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "email-opt-in-universityx-2018-01-07.zip"
    text = make_package.opt_ins(make_package.COURSES, 20, 7)
    name = "email-opt-in-universityx-2018-01-07.csv"
    exporter.write(path, [(name, iter([text]))], folder="email-opt-in")
    assert convert(path, tmp_path).code == 0
    (output,) = (tmp_path / "out" / "email_opt_in").iterdir()
    assert output.name == "email-opt-in-universityx-2018-01-07-prod.parquet"
    rows = rows_of(tmp_path, "email_opt_in")
    assert [row["user_id"] for row in rows] == list(range(1, 21))
    assert {str(row["snapshot_date"]) for row in rows} == {"2018-01-07"}


@pytest.mark.skipif(keys.missing() is not None, reason=str(keys.missing()))
def test_a_research_package_is_converted(tmp_path: Path) -> None:
    packed = make_package.research(COURSE, 12)
    path = tmp_path / "universityx_CS101_2014_T1.tar.gz.gpg"
    with keys.home() as home:
        keys.make_key(home, "Data Czar <czar@univx.example>")
        path.write_bytes(keys.encrypt(home, ["czar@univx.example"], packed))
        done = convert(path, tmp_path, "--gnupg-home", home, "--report", tmp_path / "report")
        assert done.code == 0, done.stderr
        members = json.loads((tmp_path / "report").read_bytes())["members"]
        assert json.loads((tmp_path / "report").read_bytes())["packages"] == {
            str(path): path.stat().st_size
        }
        assert f"{size(path.stat().st_size)} read" in done.stderr
        status = {one["member"]: one["status"] for one in members}
        assert status["events/x-events-2014-10-04.log.gz"] == "left"
        enrolments = rows_of(tmp_path, "student_courseenrollment")
        assert [row["id"] for row in enrolments] == list(range(1, 13))
        assert {str(row["snapshot_date"]) for row in enrolments} == {"2014-10-05"}
        delivered = [one for one in members if one["status"] == "delivered"]
        assert {one["course"] for one in delivered} == {COURSE}
        assert {one["table"] for one in delivered} == {
            name for name, table in tables().items() if not table.in_ora
        } - {"email_opt_in", "course"}
        # An altered message gives no row of any of its files.
        broken = bytearray(path.read_bytes())
        broken[-40] ^= 1
        path.write_bytes(broken)
        done = convert(path, tmp_path, "--gnupg-home", home, "--overwrite", "-o", tmp_path / "b")
        assert done.code == 1
        assert len(done.told) == 1
        assert not (tmp_path / "b").exists()


def test_a_forum_is_of_the_site_in_its_name(tmp_path: Path) -> None:
    contents = {
        name: b"".join(chunks)
        for name, chunks in make_package.members([COURSE], sites=("stage",), count=3)
        if name.endswith(".mongo") or "auth_user-" in name
    }
    name = f"{STEM}-stage.mongo"
    assert name in contents
    exporter.write(tmp_path / NAME, ((one, iter([text])) for one, text in contents.items()))
    research = tmp_path / "universityx_CS101_2014_T1.tar.gz"
    research.write_bytes(packed((f"state/2014-10-05/{name}", contents[name])))
    for path in (tmp_path / NAME, research):
        assert convert(path, tmp_path, "--overwrite", "-o", tmp_path / "out").code == 0
        rows = rows_of(tmp_path, "forum")
        assert [row["site"] for row in rows] == ["stage"] * len(rows) != []
        listed = run("db", "list", path, "--json", cwd=tmp_path)
        (one,) = json.loads(listed.stdout)["packages"]
        assert {file["site"] for file in one["files"]} == {"stage"}
        shutil.rmtree(tmp_path / "out")


def _lone(folder: Path) -> Path:
    """A package of one table, whose rows tell no course."""
    course = make_package.COURSES[1]
    wanted = exporter.file_name(tables()["wiki_article"], course, "prod")
    contents = [one for one in make_package.members([course], count=3) if one[0] == wanted]
    return exporter.write(folder / NAME, contents)


@pytest.mark.parametrize("name", ["student_courseenrollment", "courseware_studentmodule"])
def test_lines_that_end_at_cr_and_lf(tmp_path: Path, name: str) -> None:
    """As Windows makes them: every value is what it is without, the last one too."""
    table = tables()[name]
    written = b"".join(exporter.tab_lines(table, make_package.rows(table, COURSE, 30, 7)))
    package(tmp_path)
    assert convert(tmp_path / NAME, tmp_path, "--table", name).code == 0
    plain = rows_of(tmp_path, name)
    folder = tmp_path / "windows"
    folder.mkdir()
    for text in (written.replace(b"\n", b"\r\n"), written.replace(b"\n", b"\r\n")[:-2]):
        shutil.rmtree(folder)
        folder.mkdir()
        package(folder, **{name: text})
        done = convert(folder / NAME, folder, "--table", name)
        assert done.code == 0, done.stderr
        assert rows_of(folder, name) == plain
        count = len(plain) - (not text.endswith(b"\n"))
        assert f"mended: CR before LF left out {count}\n" in done.stderr
    # Where the header ends at LF alone, a CR is of the value.
    header, rest = written.split(b"\n", 1)
    package(folder, **{name: header + b"\n" + rest.replace(b"\n", b"\r\n")})
    done = convert(folder / NAME, folder, "--table", name, "--overwrite")
    assert "mended" not in done.stderr


def test_what_the_finder_adds_to_a_zip_is_passed_over(tmp_path: Path) -> None:
    table = tables()["auth_user"]
    name = exporter.file_name(table, COURSE, "prod")
    contents = [one for one in make_package.members([COURSE], count=30) if one[0] == name]
    added = (f"__MACOSX/._{name}", f"._{name}", ".DS_Store", "ora/.DS_Store")
    exporter.write(tmp_path / NAME, [*contents, *((one, iter([b"x"])) for one in added)])
    done = convert(tmp_path / NAME, tmp_path)
    assert done.code == 0, done.stderr
    assert "1 file: 1 delivered, 0 withheld, 0 left, 0 failed" in done.stderr
    assert len(rows_of(tmp_path, "auth_user")) == 30


def test_copies_of_a_package_are_read_once(tmp_path: Path) -> None:
    path = _lone(tmp_path)
    research = make_package.research(COURSE)
    places: list[str | Path] = ["a.zip"]
    (tmp_path / "a.zip").symlink_to(path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        places += [f"{folder}/{NAME}", f"{folder}/research.tar.gz"]
        (tmp_path / folder / NAME).write_bytes(path.read_bytes())
        (tmp_path / folder / "research.tar.gz").write_bytes(research)
    places.append(path)
    done = run("db", "convert", *places, "-o", "out", "-q", cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert [told for told in done.told if "read once" in told] == [
        f"edxlogs: warning: b/{NAME}: the same as a/{NAME}: read once",
        "edxlogs: warning: b/research.tar.gz: the same as a/research.tar.gz: read once",
        f"edxlogs: warning: {path}: the same as a.zip: read once",
    ]
    alone = run("db", "convert", *places[:3], "-o", "alone", "-q", cwd=tmp_path)
    assert alone.code == 0, alone.stderr
    assert _tables(tmp_path / "out") == _tables(tmp_path / "alone")


def test_a_copy_is_not_lost_with_one_that_cannot_be_read(tmp_path: Path) -> None:
    packages = []
    for folder in "ab":
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "research.tar.gz"
        path.write_bytes(make_package.research(COURSE))
        packages.append(open_tar(str(path), S3()))
    first, second = packages
    assert second.is_copy_of(first)
    (tmp_path / "a" / "research.tar.gz").unlink()
    assert not second.is_copy_of(first)
    assert not first.is_copy_of(second)


def _tables(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*.parquet"))
    }


def test_like_packages_with_a_file_in_common(tmp_path: Path) -> None:
    course = make_package.COURSES[1]
    same = (exporter.file_name(tables()["wiki_article"], course, "prod"), b"id\n1\n")
    other = exporter.file_name(tables()["auth_user"], course, "prod")
    places = []
    for folder, row in (("a", b"1"), ("b", b"2")):
        (tmp_path / folder).mkdir()
        members = [(name, iter([text])) for name, text in (same, (other, b"id\n" + row + b"\n"))]
        places.append(exporter.write(tmp_path / folder / NAME, members))
    assert len({place.stat().st_size for place in places}) == 1
    for _ in range(2):
        done = run("db", "convert", *places, "-o", "out", "-q", "--report", "r", cwd=tmp_path)
        assert done.code == 0, done.stderr
        assert json.loads((tmp_path / "r").read_bytes())["total"]["rows_written"] == 2
        (tmp_path / "r").unlink()
        ids = {
            name: sorted(
                row
                for path in (tmp_path / "out" / name).rglob("*.parquet")
                for row in pq.ParquetFile(path).read()["id"].to_pylist()
            )
            for name in ("wiki_article", "auth_user")
        }
        assert ids == {"wiki_article": [1], "auth_user": [2]}  # one snapshot: the last one counts


def test_a_file_moves_when_its_course_is_known(tmp_path: Path) -> None:
    path = _lone(tmp_path)
    done = convert(path, tmp_path, "--overwrite")
    assert "--known-courses" in done.told[0]
    (unknown,) = (tmp_path / "out").rglob("*.parquet")
    rows = unknown.read_bytes()
    known = tmp_path / "out/wiki_article/course_id=UniversityX%2FHY-101%2F2013-Fall" / unknown.name
    (tmp_path / "courses.txt").write_text(f"{make_package.COURSES[1]}\n")
    words = ("db", "convert", path, "-o", "out", "--known-courses", "courses.txt", "-q")
    # What is in its way is not replaced, and it stays where it is.
    known.parent.mkdir()
    known.write_bytes(b"mine")
    done = run(*words, cwd=tmp_path)
    assert done.code == 2, done.stderr
    assert f"{known.name}: exists" in done.told[0]
    assert (unknown.read_bytes(), known.read_bytes()) == (rows, b"mine")
    known.unlink()
    for _ in range(2):
        done = run(*words, "--report", "again.json", cwd=tmp_path)
        assert (done.code, done.told) == (0, [])
        assert list((tmp_path / "out" / "wiki_article").rglob("*")) == [known.parent, known]
        assert known.read_bytes() == rows
        (member,) = json.loads((tmp_path / "again.json").read_bytes())["members"]
        assert member["earlier"]
        assert member["output"] == str(known.relative_to(tmp_path / "out"))
        assert not member["warnings"]
        (tmp_path / "again.json").unlink()
        # As a run leaves it that is killed between the commit and the move.
        file = open_manifest(Folder(tmp_path / "out")).file(
            str(known.relative_to(tmp_path / "out"))
        )
        assert file is not None
        known.rename(tmp_path / "out" / HOME / "new" / file.staged)
        known.parent.rmdir()
    # Without the list its course is not forgotten.
    done = run(*words[:5], "-q", cwd=tmp_path)
    assert (done.code, done.told) == (0, [])
    assert list((tmp_path / "out").rglob("*.parquet")) == [known]


def test_known_courses_name_what_nothing_tells(tmp_path: Path) -> None:
    path = _lone(tmp_path)
    done = convert(path, tmp_path)
    assert done.code == 0, done.stderr
    (folder,) = (tmp_path / "out" / "wiki_article").iterdir()
    assert folder.name == "course_id=__HIVE_DEFAULT_PARTITION__"
    (tmp_path / "courses.txt").write_text(f"{COURSE}\n{make_package.COURSES[1]}\n")
    done = convert(path, tmp_path, "--known-courses", "courses.txt", "--overwrite")
    assert done.code == 0, done.stderr
    folders = {folder.name for folder in (tmp_path / "out" / "wiki_article").iterdir()}
    assert folders == {"course_id=UniversityX%2FHY-101%2F2013-Fall"}
    table = pa.table(
        edxlogs.database_tables(path, known_courses=make_package.COURSES)["wiki_article"]
    )
    assert table.column("course_id").to_pylist() == [make_package.COURSES[1]] * 3
    # Two that are spelled alike: neither is taken.
    (tmp_path / "courses.txt").write_text(
        "UniversityX/HY/101-2013-Fall\nUniversityX/HY-101/2013-Fall"
    )
    done = convert(
        path, tmp_path, "--known-courses", "courses.txt", "--report", "r.json", "--overwrite"
    )
    assert done.code == 0
    (member,) = json.loads((tmp_path / "r.json").read_bytes())["members"]
    assert member["course"] is None


def _published(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Inode and content of each file of tables, by its path."""
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.read_bytes())
        for path in sorted((folder / "out").rglob("*.parquet"))
    }


def test_a_research_package_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    path = tmp_path / "universityx_CS101_2014_T1.tar.gz"
    path.write_bytes(make_package.research(COURSE, 12))
    report = ("--report", tmp_path / "report", "--overwrite")
    assert convert(path, tmp_path, *report).code == 0
    first = json.loads((tmp_path / "report").read_bytes())
    before = _published(tmp_path)
    os.utime(path, (0, 0))  # the same bytes, fetched again
    done = convert(path, tmp_path, "--report", tmp_path / "again")
    assert done.code == 0, done.stderr
    assert _published(tmp_path) == before
    again = json.loads((tmp_path / "again").read_bytes())
    assert again["total"] == first["total"]
    assert first["total"]["bytes_read"] == path.stat().st_size
    delivered = [one for one in again["members"] if one["status"] == "delivered"]
    assert all(one["earlier"] for one in delivered)

    def told(document: dict[str, Any]) -> list[tuple[Any, ...]]:
        names = ("member", "table", "site", "course", "status", "output")
        return [tuple(one[name] for name in names) for one in document["members"]]

    assert told(again) == told(first)
    # Stopped while files got their places: what is there stays, the rest comes.
    gone = sorted(before)[3]
    (tmp_path / gone).unlink()
    assert convert(path, tmp_path).code == 0
    after = _published(tmp_path)
    assert {name: content for name, (_, content) in after.items()} == {
        name: content for name, (_, content) in before.items()
    }
    assert [name for name in after if after[name][0] != before[name][0]] in ([gone], [])
    # Another choice is another conversion; another release takes the place of the first.
    assert convert(path, tmp_path, "--table", "auth_user").code == 0
    path.write_bytes(make_package.research(COURSE, 13))
    assert convert(path, tmp_path).code == 0
    assert len(rows_of(tmp_path, "student_courseenrollment")) == 13


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ("--course", "course-v1:UniversityX+HY101+2013"),
            "course: course-v1:UniversityX+HY101+2013: no file belongs to it; near: ",
        ),
        (("--site", "egde"), "site: in the names of files: prod"),
    ],
)
def test_what_is_near_is_told_where_nothing_is(
    tmp_path: Path, options: tuple[str, str], told: str
) -> None:
    done = convert(_lone(tmp_path), tmp_path, *options)
    assert done.code == 1
    assert done.stderr.startswith("nothing was converted: no file is a table that was asked for\n")
    assert told in done.stderr
    if options[0] == "--course":
        assert exporter.stem(make_package.COURSES[1]) in done.stderr
    done = convert(_lone(tmp_path), tmp_path, "--site", "prod")
    assert "nothing was converted" not in done.stderr


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_files_with_other_columns_are_read_together_and_not_joined(
    tmp_path: Path, form: str
) -> None:
    """Those that were converted with --expand have more; none loses a value by the others."""
    name = "courseware_studentmodule"
    (text,) = (chunks for one, chunks in make_package.members([COURSE], count=30) if name in one)
    data = b"".join(text)
    folder = tmp_path / "out" / name

    def rows() -> Rows:
        all_rows = table_rows(edxlogs.dataset(folder).to_table())
        return sorted(all_rows, key=lambda row: (row["package"], int(row["row"])))

    def values(row: dict[str, Any], column: str) -> str:
        return "" if row[column] is None else str(row[column])

    # Files of several sites are of one folder, and none replaces another.
    for site, words in (("edge", []), ("patches", ["--expand", "studentmodule"]), ("prod", [])):
        inside = f"{STEM}-{name}-{site}-analytics.sql"
        path = exporter.write(tmp_path / f"{site}-2014-10-05.zip", [(inside, iter([data]))])
        done = convert(path, tmp_path, "--table", name, "--format", form, *words)
        assert done.code == 0, done.stderr
    before = rows()
    states = [json.loads(row["state"]) for row in truth(name)]
    assert [values(row, "state_attempts") for row in before] == [
        *[""] * len(states),
        *(str(state.get("attempts", "")) for state in states),
        *[""] * len(states),
    ]
    done = run("compact", "out", cwd=tmp_path)
    assert (done.code, done.stderr) == (0, "3 files before, 2 now: 2 were joined\n")
    assert rows() == before
    assert run("cat", folder, "-o", "all.csv", cwd=tmp_path).code == 0
    assert len(csv_rows((tmp_path / "all.csv").read_bytes())) == len(before)


def test_files_of_two_formats_are_not_read_as_one(tmp_path: Path) -> None:
    package(tmp_path)
    words = ("--table", "auth_user", "--format")
    assert convert(tmp_path / NAME, tmp_path, *words, "parquet").code == 0
    assert convert(tmp_path / NAME, tmp_path, *words, "csv").code == 0
    with pytest.raises(
        ConfigError, match=r"of several formats, csv and parquet; convert each into"
    ):
        edxlogs.dataset(tmp_path / "out" / "auth_user")
