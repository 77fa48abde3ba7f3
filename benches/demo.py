"""Show the main job on encrypted logs that are made here; everything stays under ./demo.

Seeded logs of two sites and several courses are encrypted with a throw-away key, the command line
filters them, from a folder and from a bucket of an S3 server on this machine, and plain Python
counts the same events in the logs before encryption.
"""

from __future__ import annotations

import concurrent.futures
import gzip
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import make_logs
from log_cast import MAIN

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import oracle
import s3_server
from edxlogs.edx.layout import EVENTS_BUCKET
from edxlogs.generator import keys

DEMO = Path("demo")
EVENT_TYPE = "problem_check"
EVENT_SOURCE = "server"  # which alone tells whether an answer is right; browsers log it, too
PARQUET = DEMO / "problem_check.parquet"
FROM_S3 = DEMO / "from_s3.parquet"
MEGABYTES = 18  # of each of the six files, expanded
LOOK = f"""
    SELECT strftime(time, '%Y-%m-%d %H:%M:%S') AS time, event_source, course_source, site, user_id,
           json_extract_string(event, '$.success') AS success, source, line
    FROM '{PARQUET}' LIMIT 8
"""


def count(path: Path) -> int:
    """Count the wanted events of one log in plain Python.

    Lines without the type's name are passed over: the generator never escapes its letters.
    """
    wanted = 0
    with gzip.open(path) as log:
        for line in log:
            if EVENT_TYPE.encode() not in line:
                continue
            for event in oracle.read_events(line.removesuffix(b"\n")).events:
                row = oracle.row(event)
                wanted += oracle.matches(
                    row,
                    row,
                    courses=[MAIN],
                    event_types=[EVENT_TYPE],
                    event_sources=[EVENT_SOURCE],
                )
    return wanted


def show(*words: str) -> None:
    """Print a command as it would be typed."""
    print(f"\n$ {shlex.join(words)}", flush=True)


def edxlogs(*words: str, **environment: str) -> None:
    """Print and run the command line that is installed beside this Python."""
    show("edxlogs", *words)
    command = Path(sys.executable).with_name("edxlogs")
    status = subprocess.run([command, *words], env={**os.environ, **environment}).returncode
    if status != 0:
        sys.exit(f"edxlogs ended with status {status}")


def encrypt(home: Path, plain: Path, logs: Path) -> int:
    """Encrypt every log for a new key; return their bytes."""
    recipient = keys.make_key(home, "Data Czar <czar@universityx.example>")
    for path in sorted(plain.iterdir()):
        keys.encrypt_file(home, [recipient], path, logs / f"{path.name}.gpg")
    return sum(path.stat().st_size for path in logs.iterdir())


def deliver(logs: Path, server: s3_server.Server) -> None:
    """Put encrypted logs where edX puts them: `prod` is a folder `edx` there."""
    objects = {}
    for path in logs.iterdir():
        site = "edge" if "-edge-" in path.name else "edx"
        year = path.name.split("-events-")[1][:4]
        objects[f"universityx/{site}/events/{year}/{path.name}"] = path.read_bytes()
    server.bucket(EVENTS_BUCKET, objects)


def main() -> int:
    """Make, encrypt, filter, compare; the exit status is 1 if the counts differ."""
    plain, logs, report = DEMO / "plain", DEMO / "logs", DEMO / "account.json"
    shutil.rmtree(DEMO, ignore_errors=True)
    logs.mkdir(parents=True)
    print("Making logs of two sites and three days …", flush=True)
    make_logs.main(
        [str(plain), "--days", "3", "--megabytes", str(MEGABYTES), "--odd", "0.002", "--seed", "7"]
    )
    with keys.home() as home:
        size = encrypt(home, plain, logs)
        print(f"Encrypted in {logs}: {len(list(logs.iterdir()))} files, {size / 1e6:.1f} MB")
        start = time.monotonic()
        words = ["filter", str(logs), "--course", MAIN, "--event-type", EVENT_TYPE]
        words += ["--event-source", EVENT_SOURCE]
        ring = ["--gnupg-home", str(home)]
        edxlogs(*words, "-o", str(PARQUET), "--report", str(report), *ring)
        seconds = time.monotonic() - start
        print("\nThe same from S3: bucket, stream, decrypt, filter, Parquet; no local copy.")
        with s3_server.run() as server:
            deliver(logs, server)
            print(f"$ export AWS_ENDPOINT_URL={server.url}")
            words = ["filter", "--partner", "universityx", *words[2:], "-o", str(FROM_S3)]
            edxlogs(*words, *ring, **server.environment)
    if FROM_S3.read_bytes() != PARQUET.read_bytes():
        print("DIFFERENT from what the local files gave")
        return 1
    print("Byte for byte what the local files gave.")
    rows = json.loads(report.read_bytes())["rows_written"]
    print(f"\nThe first rows of {rows:,}, by DuckDB, {seconds:.1f} s after the command began:\n")
    import duckdb

    duckdb.sql("SET TimeZone = 'UTC'")
    print(duckdb.sql(LOOK))
    print("Counting the same events in plain Python, in the logs before encryption …", flush=True)
    start = time.monotonic()
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        counted = sum(pool.map(count, sorted(plain.iterdir())))
    seconds = time.monotonic() - start
    verdict = "the same" if counted == rows else "DIFFERENT"
    print(f"{counted:,} events in {seconds:.1f} s: {verdict}")
    print(f"\nThe logs before encryption are in {plain}, to try more without the key:")
    for more in (
        ["filter", str(plain), "--category", "video", "-o", str(DEMO / "video.csv")],
        ["check", str(plain), "--rejects", str(DEMO / "rejects.txt")],
    ):
        print(f"$ .venv/bin/edxlogs {shlex.join(more)}")
    return 0 if counted == rows else 1


if __name__ == "__main__":
    sys.exit(main())
