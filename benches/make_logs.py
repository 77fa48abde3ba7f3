r"""Write seeded tracking logs that are shaped like edX's, for the demo, the benches and the tests.

Every person, address, host, course and university is invented. The same seed and arguments give
the same bytes, whatever the number of jobs. Lines are dealt from shuffled decks of 1,000, so these
shares hold in every whole deck (in a file: to within one deck), and not just on average:

* 20 % belong to `log_cast.MAIN`, 4 % to it with event type problem_check (2.5 % server, 1.5 %
  browser); 15 % of its lines name it only in a URL or the payload (context.course_id is "", or no
  context).
* 2 % spell a course key percent-encoded in page or URL, 0.5 % twice encoded; in 0.8 % the course
  is known from nothing else.
* 3 % have a form-encoded payload, half of them as JSON text of a JSON string.
* 10 % hold `\u00xx` escapes, 1 % of ASCII characters (`+ < > &`, as some JSON writers do).
* 3 % are anonymous: username "", user_id null or "".
* 4.3 % are mobile: received on the file's day, happened up to six days before.

About 6 % belong to three look-alikes (the old slash id, a CCX, a longer number), so the parts of
MAIN's key stand in about 25 % of the lines, and in 6 % together with the text problem_check.

Payloads are objects in explicit server events, text in browser, mobile and URL events; in less
than 1 % of the lines they are as odd as logs have them: none, a list, an object from a browser,
JSON text in JSON text, text cut at 512 characters.

Every event type that is known, and a few that are not, comes in the spellings of all years:
`families` has acts for each, and they come in turn. Of what is frequent (checks, videos, moves,
requests) they take 5 to 10 % of the lines; of problems, forum, textbooks and apps 30 to 40 %; and
three kinds are theirs alone: grades 1 %, completion 1 %, open response assessment 0.5 %, and what
is rare 1.2 %. `one_of_each` gives each act once. Before there were families, their lines were
videos, moves, requests and pages of books. The shares of `MAIN`, problem_check, forms, escapes,
visitors and apps are as before, lines are as long, and files compress 6 % less.

The shares are chosen, in `log_cast.PLAN` and `log_cast.MARKS`. Lines average 1.2 to 1.7 KB.
`gzip -6` shrinks them 15 to 20 times because the generator was tuned to that ratio, so a speed or
a size measured on them says little of a log that compresses otherwise. What brings it about:

* Few are active at a time: 5 learners, 2 with accents in their names, 2 visitors, 2 courses beside
  `MAIN`, and of each course 1 problem, 1 video and 1 sequence. 6 % of the draws replace one.
* Lines of one kind come in runs of four; a run is mixed only where one kind ends.
* A course has 40 blocks of each kind in 15 places; a site at most 33 browsers; a learner one
  address, one browser and one session all day.
* A problem's payloads are made once: a line fills in an answer and a count. User tags are the
  same in all lines, what a phone tells of itself in nearly all.

Times are spread evenly over the day and stand in no order.

With `odd`, that share of the lines is made malformed. The others stay as they are without it, and
line n is always the same event, so a test can compare the two.

Source of the shapes: EdX Research Guide, "Events in the Tracking Logs".
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import datetime
import os
import pathlib
import random
import sys
import zlib
from collections.abc import Iterator, Sequence

from log_shapes import Day

CHUNK_LINES = 1_000


def mangle(rng: random.Random, line: bytes, previous: bytes) -> bytes:
    """Return one line (no LF) made malformed, in one of nine ways that logs show."""
    way = rng.randrange(9)
    if way == 0:
        return b"Oct  1 00:00:48 localhost " + line
    if way == 1:
        return line[: rng.randrange(1, len(line))]
    if way == 2:
        return b""
    if way == 3:
        return previous + line
    if way == 4:
        return line + b" -- log rotated"
    extra = (
        b'"nonInteraction": NaN',
        b'"label": "\\ud83d"',
        b'"label": "caf\xe9"',
        b'"username": "overwritten"',  # a duplicate: the line's own comes later and wins
    )[way - 5]
    return b"{" + extra + b", " + line[1:]


def lines(
    seed: int,
    day: datetime.date,
    site: str,
    megabytes: float,
    *,
    odd: float = 0.0,
    courses: int = 0,
) -> Iterator[bytes]:
    """Yield the lines of one site and day, each with its LF.

    Args:
        seed: what everything random follows from.
        day: the date of the file; mobile events may have happened before.
        site: prod, edge or any other token; people differ by site, courses do not.
        megabytes: stop at this many million bytes, counted before lines are made odd.
        odd: share of lines to make malformed, 0 to 1.
        courses: how many there are beside those that have a name in `log_cast`.
    """
    rest = megabytes * 1_000_000
    # Odd lines draw from a generator of their own, so the others stay as they are.
    odd_rng = random.Random(f"{seed}/{site}/{day.isoformat()}/odd")
    previous = b""
    for text in Day(seed, day, site, courses).lines():
        line = text.encode("ascii")
        rest -= len(line) + 1
        if odd and odd_rng.random() < odd:
            yield mangle(odd_rng, line, previous or line) + b"\n"
        else:
            yield line + b"\n"
        previous = line
        if rest <= 0:
            return


def one_of_each(seed: int, day: datetime.date, site: str) -> Iterator[bytes]:
    """Yield a line, with its LF, of every spelling and shape of every family of events.

    They are of courses of all kinds; one pass of another seed has other courses and values.
    """
    for text in Day(seed, day, site).one_of_each():
        yield text.encode("ascii") + b"\n"


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """One file: its path, lines, bytes before compression and bytes on disk."""

    path: pathlib.Path
    lines: int
    expanded_bytes: int
    file_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One file to write."""

    path: pathlib.Path
    seed: int
    day: datetime.date
    site: str
    megabytes: float
    odd: float
    level: int  # of gzip; 0 writes plain text
    courses: int = 0


def write(job: Job) -> Written:
    """Write one file, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    # wbits 31 is a gzip stream, whose header then has no time and no name.
    packer = zlib.compressobj(job.level, zlib.DEFLATED, 31) if job.level else None
    part = job.path.with_name(f".{job.path.name}.part")
    count = expanded = 0

    def flush(chunk: list[bytes]) -> int:
        data = b"".join(chunk)
        file.write(packer.compress(data) if packer else data)
        return len(data)

    with part.open("wb") as file:
        chunk: list[bytes] = []
        for line in lines(
            job.seed, job.day, job.site, job.megabytes, odd=job.odd, courses=job.courses
        ):
            chunk.append(line)
            count += 1
            if len(chunk) == CHUNK_LINES:
                expanded += flush(chunk)
                chunk.clear()
        expanded += flush(chunk)
        if packer:
            file.write(packer.flush())
    part.replace(job.path)
    return Written(job.path, count, expanded, job.path.stat().st_size)


def main(argv: Sequence[str] | None = None) -> int:
    """Write one file a site and day, named as edX names them; return the exit status."""
    parser = argparse.ArgumentParser(description="Write seeded tracking logs, shaped like edX's.")
    parser.add_argument("out_dir", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--days", type=int, default=4)
    parser.add_argument("--start", type=datetime.date.fromisoformat, default="2014-10-01")
    parser.add_argument("--sites", default="prod,edge", help="separated by commas")
    parser.add_argument("--org", default="universityx", help="for the file names")
    parser.add_argument("--megabytes", type=float, default=100.0, help="expanded, per file")
    parser.add_argument("--odd", type=float, default=0.0, help="share of malformed lines")
    parser.add_argument("--courses", type=int, default=0, help="more than those with a name")
    packing = parser.add_mutually_exclusive_group()
    packing.add_argument("--plain", dest="gzip", action="store_false")
    packing.add_argument("--gzip", dest="gzip", action="store_true", default=True)
    parser.add_argument("--level", type=int, choices=range(1, 10), default=6)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args(argv)

    arguments.out_dir.mkdir(parents=True, exist_ok=True)
    ending = ".log.gz" if arguments.gzip else ".log"
    jobs = []
    for site in arguments.sites.split(","):
        for offset in range(arguments.days):
            day = arguments.start + datetime.timedelta(days=offset)
            jobs.append(
                Job(
                    arguments.out_dir / f"{arguments.org.lower()}-{site}-events-{day}{ending}",
                    arguments.seed,
                    day,
                    site,
                    arguments.megabytes,
                    arguments.odd,
                    arguments.level if arguments.gzip else 0,
                    arguments.courses,
                )
            )
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs) as pool:
        for written in pool.map(write, jobs):
            ratio = written.expanded_bytes / written.file_bytes
            print(
                f"{written.path.name}: {written.lines} lines, {written.expanded_bytes} bytes, "
                f"{written.file_bytes} on disk, ratio {ratio:.1f}",
                file=sys.stderr,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
