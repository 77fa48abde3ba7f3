"""Tries an edxlogs that is installed, with nothing but what its package asks for.

    PYTHON release/smoke.py

The command is the one beside PYTHON. Rows are compared with those that `json` finds.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

COMMAND = Path(sys.executable).with_name("edxlogs")
COURSE = "course-v1:UnivX+CS101+2014"
LINES = 20_000


def main() -> None:
    """Filter a small log to each format and to a dataset."""
    import edxlogs

    assert edxlogs.__version__ == version("edxlogs"), edxlogs.__version__
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        told = run("--version")
        assert version("edxlogs") in told, told
        events = [event(number) for number in range(LINES)]
        log = "".join(json.dumps(one) + "\n" for one in events)
        Path("tracking.log.gz").write_bytes(gzip.compress(log.encode()))
        kept = [one for one in events if one["event_type"] == "problem_check"]
        words = ("filter", "tracking.log.gz", "--course", COURSE, "--event-type", "problem_check")
        for name in ("out.csv", "out.parquet", "out.jsonl"):
            run(*words, "-o", name)
        with open("out.csv", newline="", encoding="utf-8") as file:
            users = [row["username"] for row in csv.DictReader(file)]
        assert users == [one["username"] for one in kept]
        lines = Path("out.jsonl").read_text("utf-8").splitlines()
        assert [json.loads(line) for line in lines] == kept
        parquet = Path("out.parquet").read_bytes()
        assert parquet[:4] == parquet[-4:] == b"PAR1"
        words = ("filter", "tracking.log.gz", "--partition-by", "date", "--format", "jsonl")
        run(*words, "-o", "days")
        days = sorted(Path("days").glob("date=*/*.jsonl"))
        assert len({path.parent for path in days}) == 2
        assert "".join(path.read_text("utf-8") for path in days) == log
        os.chdir("/")
    print(f"edxlogs {version('edxlogs')}: {len(kept)} rows as expected, by {sys.version}")


def event(number: int) -> dict[str, object]:
    """An event of one of two kinds, on one of two days."""
    return {
        "username": f"learner_{number}é",
        "event_type": ("problem_check", "play_video")[number % 2],
        "event_source": "server",
        "time": f"2014-10-0{1 + number // (LINES // 2)}T12:00:00.{number:06}+00:00",
        "context": {"course_id": COURSE, "org_id": "UnivX", "user_id": number},
        "event": {"attempts": number},
    }


def run(*words: str) -> str:
    """Run the command; what it says on both of its outputs."""
    done = subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


if __name__ == "__main__":
    main()
