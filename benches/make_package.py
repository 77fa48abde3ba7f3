r"""Write seeded database packages that are shaped like edX's, for the benches and the tests.

Every person, course and university is invented. The same arguments give the same rows. A package
holds, for each course, a file of every table in `edxlogs.edx.tables`, and one of e-mail
preferences; values hold what real ones do: tabs, line feeds, carriage returns, backslashes, quotes,
the word NULL, text of many scripts.

With `odd`, some rows are broken (a field too many, one missing), some values do not fit their
types, some bytes are no UTF-8, one export failed, one file has a name that nobody knows.

Source of the shapes: EdX Research Guide, "Data Delivered in Data Packages"; the
"""

from __future__ import annotations

import argparse
import csv
import datetime
import gzip
import hashlib
import io
import itertools
import json
import random
import subprocess
import tarfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from edxlogs.edx.tables import Dialect, Table, tables
from edxlogs.generator.exporter import (
    DAY,
    ORG,
    Encrypt,
    Value,
    file_name,
    larger,
    stem,
    tab_fields,
    tab_header,
    tab_lines,
    usage_key,
    write,
)

COURSES = (
    f"course-v1:{ORG}+CS101+2014_T1",
    f"{ORG}/HY-101/2013-Fall",
    f"ccx-v1:{ORG}+CS101+2014_T1+ccx@7",
    f"course-v1:{ORG}+Économie+2015",
)
TEXTS = (
    "plain",
    "a\ttab",
    "two\nlines",
    "a\rreturn",
    "back\\slash",
    "\\n spelled out",
    "\\",
    "quote\" and 'quote'",
    "",
    "café ☃ 数学",
    "comma, semicolon; and | bar",
    "NULL and void",
    "<b>html</b> &amp; more",
    "  spaces  ",
    "a\\\tb",
)
_EPOCH = datetime.datetime(2014, 1, 1)


def uuid(number: int, *, hyphens: bool) -> str:
    """The name of a submission."""
    digits = hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return ("-" if hyphens else "").join(parts)


def value(rng: random.Random, column: str, kind: str, number: int, course: str, of: int) -> Value:
    """A value of row `number` of `of`."""
    match column, kind:
        case ("id", _):
            return number
        case ("course_id", _):
            return course
        case ("uuid" | "submission_uuid", _):
            at = number if column == "uuid" else rng.randint(1, of)
            return uuid(at, hyphens=column != "uuid" or number % 2 == 0)
        case (_, "json"):
            return json.dumps({"parts": [{"text": rng.choice(TEXTS)}], "n": number})
        case (_, "int64"):
            return (
                rng.choice((None, 0, -1, 2**32 - 1)) if rng.random() < 0.1 else rng.randint(1, of)
            )
        case (_, "float64"):
            return None if rng.random() < 0.1 else round(rng.uniform(0, 100), rng.randint(0, 6))
        case (_, "bool"):
            return rng.random() < 0.5
        case (_, "timestamp"):
            if rng.random() < 0.1:
                return None
            micros = rng.randrange(10**6) if rng.random() < 0.3 else 0
            return _EPOCH + datetime.timedelta(seconds=rng.randrange(10**7), microseconds=micros)
        case (_, "date"):
            return _EPOCH.date() + datetime.timedelta(days=rng.randrange(10**4))
    return None if rng.random() < 0.05 else rng.choice(TEXTS)


def rows(table: Table, course: str, count: int, seed: int) -> Iterator[dict[str, Value]]:
    """The rows of a table of one course, as the database has them."""
    rng = random.Random(f"{seed}/{course}/{table.name}")
    for number in range(1, count + 1):
        if table.dialect is Dialect.MODULE:
            yield module_row(rng, number, course)
        else:
            yield {
                name: value(rng, name, kind, number, course, count) for name, kind in table.columns
            }


_MODULES = ("problem", "video", "sequential", "problem", "chapter", "html")


def module_row(rng: random.Random, number: int, course: str) -> dict[str, Value]:
    """A row of courseware_studentmodule, whose state is JSON that holds JSON."""
    kind = _MODULES[number % len(_MODULES)]
    block = f"block-v1:{ORG}+X+1+type@{kind}+block@{number % 97:032x}"
    state: dict[str, Any] = {"position": number % 9}
    if kind == "problem":
        answer = json.dumps({"answer": rng.choice(TEXTS), "n": rng.randrange(10**9)})
        name = f"{number % 97:032x}_2_1"
        result = {"hint": "", "hintmode": None, "correctness": "correct", "npoints": None}
        state = {
            "correct_map": {name: {**result, "msg": "a\ttab", "queuestate": None}},
            "input_state": {name: {}},
            "last_submission_time": "2014-03-02T10:11:12Z",
            "seed": number % 1000,
            "student_answers": {name: answer, "other": rng.choice(TEXTS)},
            "attempts": number % 5,
            "done": True,
            "score": {"raw_earned": number % 3, "raw_possible": 2},
        }
    created = _EPOCH + datetime.timedelta(seconds=number * 7)
    return {
        "id": number,
        "module_type": kind,
        "module_id": block,
        "student_id": 1 + number % 5000,
        "state": json.dumps(state, ensure_ascii=number % 2 == 0),
        "grade": round(rng.random(), 4) if kind == "problem" else None,
        "created": created,
        "modified": created + datetime.timedelta(seconds=rng.randrange(10**6)),
        "max_grade": 1.0 if kind == "problem" else None,
        "done": "na",
        "course_id": course,
    }


def odd_tab_lines(
    table: Table, items: Iterable[dict[str, Value]], odd: random.Random
) -> Iterator[bytes]:
    """A table as text, its header first; a fifth of the rows made odd."""
    yield tab_header(table)
    for item in items:
        fields = tab_fields(table, item)
        if odd.random() < 0.2:
            at = odd.randrange(len(fields))
            match odd.randrange(6):
                case 0:
                    fields.append(b"one too many")
                case 1:
                    fields.pop()
                case 2:
                    fields[at] = b"caf\xe9"
                case 3:
                    fields[at] = b"0000-00-00 00:00:00"
                case 4:
                    fields[at] = b""
                case 5:
                    fields[at] = b"n\0ul \\x \\q"
        yield b"\t".join(fields) + b"\n"


def structure(course: str) -> bytes:
    """The blocks of a course, as the exporter prints them; one is an orphan."""
    blocks: dict[str, Any] = {}

    def add(kind: str, name: str, children: Sequence[str], **metadata: Any) -> str:
        key = usage_key(course, kind, name)
        blocks[key] = {"category": kind, "children": list(children), "metadata": metadata}
        return key

    chapters = []
    for c in range(3):
        sequentials = []
        for s in range(2):
            problem = add("problem", f"p{c}{s}", [], display_name=f'Problem "{c}"\t{s}')
            video = add("video", f"v{c}{s}", [], youtube_id_1_0="abc")
            vertical = add("vertical", f"u{c}{s}", [problem, video], display_name=f"Unité {s}")
            due = {"due": "2014-12-01T00:00:00Z", "graded": True, "format": "Homework"}
            sequentials.append(add("sequential", f"s{c}{s}", [vertical], **(due if s else {})))
        start = {"start": "2014-09-01T00:00:00+00:00"}
        chapters.append(add("chapter", f"c{c}", sequentials, display_name=f"Week {c}", **start))
    add("html", "orphan", [])
    add("course", "course", chapters, display_name="A course", tabs=[{"name": "Wiki"}])
    return json.dumps(blocks, indent=2).encode()


def posts(course: str, count: int, seed: int) -> Iterator[bytes]:
    """A forum as three versions of mongoexport write it."""
    rng = random.Random(f"{seed}/{course}/forum")
    for number in range(count):
        moment = _EPOCH + datetime.timedelta(seconds=number * 61, milliseconds=number % 1000)
        millis = round((moment - datetime.datetime(1970, 1, 1)).total_seconds() * 1000)
        iso = moment.isoformat(timespec="milliseconds")
        date: Any = (f"{iso}Z", millis, {"$numberLong": str(millis)}, f"{iso}+0000")[number % 4]
        thread = number - number % 5
        up = [str(rng.randrange(10**6)) for _ in range(rng.randrange(3))]
        post: dict[str, Any] = {
            "_id": {"$oid": f"{number:024x}"},
            "_type": "Comment" if number % 5 else "CommentThread",
            "author_id": str(rng.randrange(10**6)),
            "author_username": "learner",
            "body": rng.choice(TEXTS),
            "course_id": course,
            "created_at": {"$date": date},
            "updated_at": {"$date": date},
            "votes": {"up": up, "down": [], "up_count": len(up), "down_count": 0, "point": 1},
            "anonymous": number % 7 == 0,
            "abuse_flaggers": [],
            "surprise": {"$numberLong": str(number)},
        }
        if number % 5:
            post |= {"comment_thread_id": {"$oid": f"{thread:024x}"}, "endorsed": number % 3 == 0}
            parents = [{"$oid": f"{thread + 1:024x}"}] if number % 5 > 2 else []
            post |= {"parent_ids": parents, **({"parent_id": parents[0]} if parents else {})}
        else:
            count_of = {"$numberLong": "4"} if number % 2 else 4
            post |= {"title": rng.choice(TEXTS), "comment_count": count_of, "closed": False}
        yield json.dumps(post, separators=(",", ":")).encode() + b"\n"


def opt_ins(courses: Sequence[str], count: int, seed: int) -> bytes:
    """E-mail preferences of an organisation."""
    rng = random.Random(f"{seed}/email_opt_in")
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([name for name, _ in tables()["email_opt_in"].columns])
    for number in range(1, count + 1):
        moment = _EPOCH + datetime.timedelta(seconds=number)
        person = (number, f"user{number}", f"user{number}@univx.example", rng.choice(TEXTS))
        writer.writerow((*person, rng.choice(courses), rng.random() < 0.5, moment))
    return text.getvalue().encode()


def content() -> bytes:
    """A course's content, as Studio exports it."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w") as archive,
    ):
        for name in ("course/course.xml", "course/html/a.xml"):
            data = f"<{name.rpartition('/')[2].removesuffix('.xml')}/>".encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def members(
    courses: Sequence[str] = COURSES,
    *,
    sites: Sequence[str] = ("prod",),
    count: int = 20,
    modules: int | None = None,
    seed: int = 7,
    odd: bool = False,
) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Name and content of each member, in pieces.

    Args:
        courses: their ids.
        sites: `prod`, `edge`; each course stands in both.
        count: rows of a table.
        modules: rows of courseware_studentmodule; None for `count`.
        seed: what everything random follows from.
        odd: whether to break some rows and values, and to add a failed and an unknown member.
    """
    for site, course in itertools.product(sites, courses):
        for table in tables().values():
            name = file_name(table, course, site)
            rng = random.Random(f"{seed}/{name}/odd") if odd else None
            match table.dialect:
                case Dialect.STRUCTURE:
                    yield name, iter([structure(course)])
                case Dialect.FORUM:
                    yield name, posts(course, count, seed)
                case Dialect.OLX:
                    yield name, iter([content()])
                case Dialect.TAB | Dialect.MODULE:
                    of = modules if modules and table.dialect is Dialect.MODULE else count
                    made = rows(table, course, of, seed)
                    lines = odd_tab_lines(table, made, rng) if rng else tab_lines(table, made)
                    yield name, lines
    yield f"{ORG}-email_opt_in-prod-analytics.csv", iter([opt_ins(courses, count, seed)])
    if odd:
        yield f"{stem(courses[0])}-teams-edge-analytics.sql.failed", iter([b"a traceback\n"])
        yield "notes.txt", iter([b"hello\n"])


def research(course: str, count: int = 20, seed: int = 7) -> bytes:
    """A package of the research exchange, before encryption: a gzipped tar."""
    packed = io.BytesIO()
    files = [("metadata_file.json", b"{}"), ("events/x-events-2014-10-04.log.gz", b"")]
    for name, chunks in members([course], count=count, seed=seed):
        if not name.startswith("ora/") and "email_opt_in" not in name:
            files.append((f"state/{DAY}/{name}", b"".join(chunks)))
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w") as archive,
    ):
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def gpg_encrypt(home: Path, recipient: str) -> Encrypt:
    """Encrypts as the exporter does: binary, compressed by gpg."""

    def encrypt(chunks: Iterator[bytes]) -> Iterator[bytes]:
        command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--trust-model", "always"]
        with subprocess.Popen(
            [*command, "--recipient", recipient, "--encrypt"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            feeder = threading.Thread(target=_feed, args=(process.stdin, chunks))
            feeder.start()
            output = process.stdout
            yield from iter(lambda: output.read(1 << 20), b"")
            feeder.join()

    return encrypt


def _feed(pipe: Any, chunks: Iterator[bytes]) -> None:
    with pipe:
        for chunk in larger(chunks):
            pipe.write(chunk)


def main() -> None:
    """Write one package, plain or encrypted."""
    parser = argparse.ArgumentParser(description="Write a seeded database package.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, default=1000, help="of each table")
    parser.add_argument("--modules", type=int, help="rows of courseware_studentmodule")
    parser.add_argument("--courses", type=int, default=len(COURSES))
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--odd", action="store_true")
    parser.add_argument("--gnupg-home", type=Path)
    parser.add_argument("--recipient")
    told = parser.parse_args()
    named = [f"course-v1:{ORG}+N{number}+2014" for number in range(told.courses - len(COURSES))]
    chosen = [*COURSES, *named][: told.courses]
    encrypt = gpg_encrypt(told.gnupg_home, told.recipient) if told.recipient else None
    contents = members(chosen, count=told.rows, modules=told.modules, seed=told.seed, odd=told.odd)
    write(told.path, contents, encrypt=encrypt)


if __name__ == "__main__":
    main()
