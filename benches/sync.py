"""`edxlogs sync` of many small objects beside plain boto3 transfer and `aws s3 sync`, and again.

`sync.py [--objects N] [--kilobytes K] [--rounds R] [--threads T]` copies the same objects from the
same server by each in turns, into an empty folder each time, with as many transfers at once; then
once more with nothing to do. The server is a lean one in a process of its own (`tests/lean_s3.py`),
so that what is measured is mostly the client. Every file is compared by its SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import measure

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import lean_s3
from commands import COMMAND
from s3_server import ENVIRONMENT

BENCH_BIN = Path(__file__).parents[1] / ".venv-bench" / "bin"


def boto3_transfer(folder: str, threads: int) -> None:
    """What boto3 is made of, told the size of each object by the listing, as `aws s3` does."""
    import boto3
    from boto3.s3.transfer import TransferConfig, create_transfer_manager
    from botocore.config import Config
    from s3transfer.subscribers import BaseSubscriber

    class Size(BaseSubscriber):  # type: ignore[misc]
        def __init__(self, size: int) -> None:
            self._size = size

        def on_queued(self, future: object, **_: object) -> None:
            future.meta.provide_transfer_size(self._size)  # type: ignore[attr-defined]

    client = boto3.client("s3", config=Config(max_pool_connections=threads))
    manager = create_transfer_manager(client, TransferConfig(max_concurrency=threads))
    with manager:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=lean_s3.BUCKET):
            for one in page["Contents"]:
                path = Path(folder, one["Key"])
                path.parent.mkdir(parents=True, exist_ok=True)
                manager.download(
                    lean_s3.BUCKET, one["Key"], str(path), subscribers=[Size(one["Size"])]
                )


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of the files by their keys."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] != "_edxlogs"
    }


def main(arguments: list[str]) -> int:
    """Measure all; the exit status is 1 if a file is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=2000)
    parser.add_argument("--kilobytes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=8)
    asked = parser.parse_args(arguments)
    size = asked.kilobytes * 1000
    expected = {
        lean_s3.key_of(number): lean_s3.sha256_of(number, size) for number in range(asked.objects)
    }
    url, threads = f"s3://{lean_s3.BUCKET}/", str(asked.threads)
    with tempfile.TemporaryDirectory() as place:
        config = Path(place, "config")
        config.write_text(f"[default]\ns3 =\n  max_concurrent_requests = {threads}\n")
        commands = {
            "edxlogs sync": [*COMMAND, "sync", url, "{}", "--quiet", "--threads", threads],
            "boto3 (s3transfer)": [sys.executable, str(Path(__file__)), "boto3", "{}", threads],
        }
        if (BENCH_BIN / "aws").is_file():
            commands["aws s3 sync"] = [str(BENCH_BIN / "aws"), "s3", "sync", url, "{}", "--quiet"]
        else:
            print("aws s3 sync is left out: it is not installed (make bench installs it)")
        costs: dict[str, list[measure.Cost]] = {}
        with lean_s3.run(asked.objects, size, Path(place, "asked")) as server:
            os.environ.update(ENVIRONMENT)
            os.environ.update(AWS_ENDPOINT_URL=server.url, AWS_CONFIG_FILE=str(config))
            for _ in range(asked.rounds):
                for name, words in commands.items():
                    folder = Path(place, "copy")
                    command = [word.replace("{}", str(folder)) for word in words]
                    costs.setdefault(name, []).append(measure.run(command))
                    if contents(folder) != expected:
                        print(f"{name}: the files are not those of the bucket")
                        return 1
                    if "sync" in name:
                        again = f"{name}, nothing to do"
                        costs.setdefault(again, []).append(measure.run(command))
                    shutil.rmtree(folder)
        total = size * asked.objects
        rows = []
        for name, each in costs.items():
            cost = measure.median(each)
            rate = "" if "nothing" in name else f"{total / cost.wall_seconds / 1e6:.1f} MB/s"
            seconds = f"{cost.wall_seconds:.2f} s", f"{cost.cpu_seconds:.2f} s"
            rows.append([name, rate, *seconds, f"{cost.memory_bytes / 1e6:.0f} MB"])
        print(measure.machine())
        print(f"{asked.objects} objects of {asked.kilobytes} kB, {threads} at once\n")
        print(measure.table(["", "rate", "wall", "CPU", "memory"], rows))
        ours = measure.median(costs["edxlogs sync"]).wall_seconds
        for name in [name for name in commands if name != "edxlogs sync"]:
            theirs = measure.median(costs[name]).wall_seconds
            print(f"\nrate of edxlogs sync: {theirs / ours:.0%} of that of {name}")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["boto3"]:
        os.umask(0o077)
        boto3_transfer(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(main(sys.argv[1:]))
