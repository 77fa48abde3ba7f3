"""What earlier runs have done: a file of a package that is done is not read again.

Files are known by the package's name and size, by their own name, size and checksum in the zip,
and by what was asked for. In the folder of the output stands what was published, with the rejected
rows; in the hidden one, what a run that was stopped had ready.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from edxlogs.account import Outcome
from edxlogs.database.account import MemberAccount, RowCounts
from edxlogs.database.folder import TableFolder, state_of
from edxlogs.errors import ConfigError, OutputError, cannot_write
from edxlogs.store import disk
from edxlogs.text import shown

Record = dict[str, Any]
FOLDER = "_edxlogs"
_NAME = "tables.jsonl"
_REJECTS = "rejects"
_OUTPUTS = "outputs"
_KEPT = ("unknown_columns", "missing_columns", "literals", "warnings")


def key_of(*parts: object) -> str:
    """A name for a file of a package, and for what was asked of it."""
    return hashlib.sha256(orjson.dumps(parts, default=str)).hexdigest()[:40]


class Records:
    """What is known of files that were read before; those that are ready may be added by threads.

    Args:
        folder: where the tables go.

    Attributes:
        outputs: absolute paths of what runs wrote beside the folder: reports, rejects.

    Raises:
        ConfigError: an older edxlogs has written it, in another form.
        OutputError: it cannot be read.
    """

    def __init__(self, folder: TableFolder) -> None:
        self._folder = folder
        self._path = folder.target / FOLDER / _NAME
        records, _ = _read(self._path)
        if any("/course=" in f"/{one.get('output')}" for one in records.values()):
            raise ConfigError(
                f"output: {folder.name}: holds tables of an older edxlogs, in folders course=…;"
                " name a new folder, or remove this one to make it anew"
            )
        self.outputs: set[str] = set(records.pop(_OUTPUTS, {}).get(_OUTPUTS, ()))
        self._packages = {key: one for key, one in records.items() if "members" in one}
        self._published = {
            key: one
            for key, one in records.items()
            if key not in self._packages and self._is_there(one)
        }
        self._ready, self._ready_bytes = _read(folder.journal)
        self._lock = threading.Lock()

    def rejects(self, key: str) -> Path:
        """Place of the rejected rows of a file that is published."""
        return self._path.parent / _REJECTS / key

    def _is_there(self, record: Record) -> bool:
        if record.get("rejects") and not self.rejects(record["key"]).exists():
            return False
        state = record["size"], record["modified"]
        if self._has(record["output"], state):
            return True
        earlier = record.pop("moved_from", None)
        if earlier is None or not self._has(earlier, state):
            return False
        record["output"], record["course"] = earlier, None  # the run was killed before the move
        return True

    def _has(self, output: str, state: tuple[int, int]) -> bool:
        try:
            return state_of(self._folder.target / output) == state
        except OSError:
            return False

    def output(self, key: str, *, course_first: bool) -> Path | None:
        """Where an earlier run has put the rows of a file, even if they are to be overwritten."""
        record = self._published.get(key)
        if record is None or record["course_first"] is not course_first:
            return None
        return Path(record["output"])

    def recall(self, key: str, account: MemberAccount, *, course_first: bool) -> Record | None:
        """What an earlier run has done of a file, entered into its account; None if nothing.

        A record with an `output` is of rows that are published.
        """
        record = None if self._folder.overwrite else self._published.get(key)
        if record is not None and record["course_first"] is not course_first:
            record = None
        if record is None and (record := self._ready.get(key)) is not None:
            rows = self._folder.left_path(f"{key}-rows")
            if not rows.is_file() or rows.stat().st_size != record["size"]:
                record = None
        if record is not None:
            account.earlier = True
            account.status = Outcome.DELIVERED
            account.counts = RowCounts(**record["counts"])
            for name in _KEPT:
                setattr(account, name, record[name])
        return record

    def members(self, key: str) -> list[tuple[str, MemberAccount]] | None:
        """The files of a package that an earlier run has delivered, as its account had them.

        Returns:
            Key and account of each; None if there was no such run, or not all is there any more.
        """
        record = None if self._folder.overwrite else self._packages.get(key)
        if record is None:
            return None
        delivered = {one["key"] for one in record["members"] if one["status"] == Outcome.DELIVERED}
        if not delivered <= self._published.keys():
            return None
        return [
            (
                one["key"],
                MemberAccount(
                    record["place"], one["member"], one["table"], one["site"], one["course"],
                    Outcome(one["status"]),
                ),
            )
            for one in record["members"]
        ]  # fmt: skip

    def add_package(
        self, key: str, place: str, members: Iterable[tuple[str, MemberAccount]]
    ) -> None:
        """Have a package recorded with what is published next: key and account of each file."""
        names = ("member", "table", "site", "course", "status")
        self._packages[key] = {
            "key": key,
            "place": place,
            "members": [
                {"key": name, **{field: getattr(one, field) for field in names}}
                for name, one in members
            ],
        }

    def add_ready(
        self,
        key: str,
        account: MemberAccount,
        courses: dict[str, int],
        rows: Path,
        rejects: Path | None,
    ) -> None:
        """Have hidden files on disk, and a record of them.

        Raises:
            OutputError: they cannot be.
        """
        record = {**_record(key, account, courses), "size": rows.stat().st_size}
        line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
        try:
            for path in (rows, rejects):
                if path is not None and path.exists():
                    disk.sync_file(path)
            with self._lock:
                disk.append(self._folder.journal, self._ready_bytes, line)
                self._ready_bytes += len(line)
        except OSError as error:
            raise cannot_write(self._folder.name, error) from error

    def publish(
        self,
        done: Iterable[tuple[str, MemberAccount, dict[str, int], Path, Path | None]],
        *,
        course_first: bool,
        outputs: Iterable[str] = (),
    ) -> None:
        """Record what is published next, beside what was before.

        A record without its file, of the same size and time, is as none: so they come first, and a
        run that is killed between the two goes on.

        Args:
            done: key, account and courses of each file, and where its rows and its rejected rows
                are now.
            course_first: whether a course's folder holds those of the tables.
            outputs: absolute paths of what this run writes beside the folder.

        Raises:
            OutputError: it cannot be written.
        """
        by_output = {one["output"]: one for one in self._published.values()}
        for key, account, courses, path, rejects in done:
            output = account.output or ""
            has_rejects = self._keep_rejects(key, rejects)
            size, modified = state_of(path)
            earlier = self.output(key, course_first=course_first)
            moved_from = None
            if earlier is not None and earlier != Path(output):
                moved_from = os.fspath(earlier)
                if by_output.get(moved_from) is self._published[key]:
                    del by_output[moved_from]
            place = {
                "moved_from": moved_from,
                "output": output,
                "size": size,
                "modified": modified,
                "course": account.course,
                "course_first": course_first,
                "rejects": has_rejects,
            }
            by_output[output] = {**_record(key, account, courses), **place}
        self.outputs.update(outputs)
        beside = [{"key": _OUTPUTS, _OUTPUTS: sorted(self.outputs)}] if self.outputs else []
        records = [*by_output.values(), *self._packages.values(), *beside]
        if not records:
            return
        lines = b"".join(orjson.dumps(one) + b"\n" for one in records)
        try:
            disk.make_folder(self._path.parent)
            disk.replace(self._path, lines, self._folder.mode)
        except OSError as error:
            raise cannot_write(shown(str(self._path)), error) from error

    def _keep_rejects(self, key: str, path: Path | None) -> bool:
        """Give the rejected rows of a file their place; whether there are any."""
        kept = self.rejects(key)
        if path is None or not path.exists():
            return False
        if path != kept:
            try:
                disk.make_folders(kept.parent)
                disk.rename(path, kept)
            except OSError as error:
                raise cannot_write(self._folder.name, error) from error
        return True


def _record(key: str, account: MemberAccount, courses: dict[str, int]) -> Record:
    kept = {name: getattr(account, name) for name in _KEPT}
    return {"key": key, "counts": asdict(account.counts), "courses": courses, **kept}


def _read(path: Path) -> tuple[dict[str, Record], int]:
    """Records by their keys, and how many bytes they are.

    A line that was cut off, and all after it, is as if never written.
    """
    records: dict[str, Record] = {}
    size = 0
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return records, size
    except OSError as error:
        raise OutputError(f"output: {shown(str(path))}: {error.strerror}; remove it") from error
    for line in lines:
        try:
            record = orjson.loads(line)
            records[record["key"]] = record
        except (ValueError, KeyError, TypeError):
            break
        size += len(line) + 1
    return records, size
