"""The log of a Delta table: reads its state, and adds commits and checkpoints.

As the Delta protocol requires, `_delta_log` holds numbered versions, each a file of JSON lines that
is either complete or absent, and checkpoints, Parquet files with everything that a version has.
They are written by `disk`, step by step, rather than by a library that does not control when they
are on disk. With `txn`, the protocol's own mark for writers that must not do something twice, a
version names the commit of the dataset that it stands for.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from edxlogs import _core
from edxlogs.errors import ConfigError, OutputError, cannot_write
from edxlogs.store import disk

Action = dict[str, Any]

LOG = "_delta_log"
SHA256 = "sha256"  # in the tags of a file
CHECKPOINT_VERSIONS = 10
CHECKPOINT_BYTES = 4 << 20  # of versions that every reader takes apart
KEEP_SECONDS = 30 * 24 * 3600  # versions, as is Delta's own custom
_ENGINE = "edxlogs"
_LAST = "_last_checkpoint"
_NAME = re.compile(r"(\d{20})\.(json|checkpoint\.parquet)")
# Readers need nothing special. Nobody else may write: a writer refuses a feature it does not know.
_PROTOCOL = {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": [_ENGINE]}


class DeltaLog:
    """The log of the Delta table in a folder, in its current state.

    Args:
        table: folder of the table.
        name: name of the table, as messages call it.

    Attributes:
        version: the latest version; -1 if there is none.
        schema: schema of the table, as Delta writes it, or None.
        partition_columns: columns whose values the log gives, file by file.

    Raises:
        ConfigError: the log is damaged, or belongs to another program.
        OutputError: the log cannot be read.
    """

    def __init__(self, table: Path, name: str) -> None:
        self.name = name
        self.version = -1
        self.schema: str | None = None
        self.partition_columns: list[str] = []
        self._table = table
        self._folder = table / LOG
        self._metadata: Action = {}
        self._number = -1  # of commits of the dataset
        self._base: Any = None  # files of the checkpoint: a struct array
        self._fresh: dict[str, Action | None] = {}  # files since; None: gone
        self._removes: dict[str, Action] = {}
        self._checkpoint, self._bytes = -1, 0  # the last one, and bytes of versions since
        try:
            self._load()
        except OSError as error:
            raise OutputError(
                f"publish: {name}: {LOG}: {error.strerror}; let edxlogs read it"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, ConfigError):
                raise
            raise self._damaged() from error

    def _damaged(self) -> ConfigError:
        return ConfigError(
            f"publish: {self.name}: {LOG} is damaged; remove it to publish the files again"
        )

    def _load(self) -> None:
        found = [_NAME.fullmatch(name) for name in _names(self._folder)]
        versions = sorted(int(one[1]) for one in found if one and one[2] == "json")
        checkpoints = [int(one[1]) for one in found if one and one[2] != "json"]
        if checkpoints:
            self._load_checkpoint(max(checkpoints))
        since = [version for version in versions if version > self.version]
        if since != list(range(self.version + 1, self.version + 1 + len(since))):
            raise self._damaged()
        for version in since:
            content = self._place(version).read_bytes()
            actions = [orjson.loads(line) for line in content.splitlines() if line.strip()]
            if not any(_is_ours(action) for action in actions):
                raise ConfigError(
                    f"publish: {self.name}: version {version} of its {LOG} is from another program;"
                    f" remove {LOG} to publish the files again"
                )
            for action in actions:
                self._take(action)
            self.version = version
            self._bytes += len(content)
        if self.version >= 0 and self.schema is None:
            raise self._damaged()

    def _load_checkpoint(self, version: int) -> None:
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(self._place(version, "checkpoint.parquet"))
        for name in ("metaData", "txn", "remove"):
            for value in table[name].drop_null().to_pylist(maps_as_pydicts="strict"):
                self._take({name: value})
        self._base = table["add"].drop_null().combine_chunks()
        self._fresh = {}
        self.version = self._checkpoint = version

    def _place(self, version: int, ending: str = "json") -> Path:
        return self._folder / f"{version:020}.{ending}"

    def _take(self, action: Action) -> None:
        """Apply an action to the state."""
        ((kind, told),) = action.items()
        if kind == "metaData":
            self._metadata, self.schema = told, told["schemaString"]
            self.partition_columns = told["partitionColumns"]
        elif kind == "txn" and told["appId"] == _ENGINE:
            self._number = told["version"]
        elif kind == "add":
            self._fresh[told["path"]] = told
            self._removes.pop(told["path"], None)
        elif kind == "remove":
            self._fresh[told["path"]] = None
            self._removes[told["path"]] = told

    def files(self) -> dict[str, str | None]:
        """The files of the latest version: paths, as the log writes them, and checksums."""
        held: dict[str, str | None] = {}
        if self._base is not None and len(self._base):
            import pyarrow.compute

            tags = self._base.field("tags")
            sums = pyarrow.compute.map_lookup(tags, query_key=SHA256, occurrence="first")
            held = dict(zip(self._base.field("path").to_pylist(), sums.to_pylist(), strict=True))
        for path, action in self._fresh.items():
            if action is None:
                held.pop(path, None)
            else:
                held[path] = (action.get("tags") or {}).get(SHA256)
        return held

    def commit(
        self,
        number: int,
        added: Sequence[Action],
        removed: Iterable[str],
        schema: str,
        partition_columns: Sequence[str],
        *,
        staged: Path,
        mode: int,
    ) -> None:
        """Add a version. It is on disk when this returns.

        Args:
            number: number of commits of the dataset that it stands for.
            added: files, as Delta describes them; they must be on disk.
            removed: paths of files, as the log writes them.
            schema: schema of the table, as Delta writes it.
            partition_columns: partition columns of a new table.
            staged: temporary place of the version before it gets its name.
            mode: permissions of the files of the log.

        Raises:
            ConfigError: another program has added this version.
            OutputError: the log cannot be written.
        """
        moment = _now_ms()
        told: Action = {"timestamp": moment, "operation": "WRITE", "operationParameters": {}}
        actions: list[Action] = [
            {"commitInfo": {**told, "engineInfo": f"{_ENGINE}/{_core.__version__}"}}
        ]
        if self.version < 0:
            actions.append({"protocol": _PROTOCOL})
        if schema != self.schema:
            created = {
                "id": str(uuid.uuid4()),
                "format": {"provider": "parquet", "options": {}},
                "partitionColumns": list(partition_columns),
                "configuration": {},
                "createdTime": moment,
            }
            actions.append({"metaData": {**created, **self._metadata, "schemaString": schema}})
        actions.append({"txn": {"appId": _ENGINE, "version": number, "lastUpdated": moment}})
        gone = {"deletionTimestamp": moment, "dataChange": True}
        actions += ({"remove": {"path": path, **gone}} for path in removed)
        actions += ({"add": one} for one in added)
        content = b"".join(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in actions)
        version = self.version + 1
        try:
            if not self._folder.is_dir():
                disk.make_folder(self._folder, disk.folder_mode(mode))
                disk.sync_folder(self._table)
            disk.write(staged, content)
            disk.set_mode(staged, mode)
            disk.name_new(staged, self._place(version))
            disk.sync_folder(self._folder)
            disk.unlink(staged)
        except FileExistsError:
            raise ConfigError(
                f"publish: {self.name}: another program has written version {version} of its"
                f" {LOG} in the meantime; remove {LOG} to publish the files again"
            ) from None
        except OSError as error:
            raise cannot_write(self.name, error) from error
        for action in actions:
            self._take(action)
        self.version = version
        self._bytes += len(content)

    def tidy(self, *, staged: Path, mode: int) -> None:
        """Add a checkpoint if readers have to go through many versions, and remove old versions.

        Raises:
            OutputError: the log cannot be written.
        """
        many = self.version - self._checkpoint >= CHECKPOINT_VERSIONS
        if not many and self._bytes < CHECKPOINT_BYTES:
            return
        try:
            size = self._write_checkpoint(staged)
            disk.set_mode(staged, mode)
            disk.rename(staged, self._place(self.version, "checkpoint.parquet"))
            disk.sync_folder(self._folder)
            last = orjson.dumps({"version": self.version, "size": size})
            disk.replace(self._folder / _LAST, last, mode)
            self._checkpoint, self._bytes = self.version, 0
            self._remove_old()
        except OSError as error:
            raise cannot_write(self.name, error) from error

    def _write_checkpoint(self, staged: Path) -> int:
        """Write the latest version in full to a file, and flush it. Returns how many actions."""
        import pyarrow as pa
        import pyarrow.compute
        import pyarrow.parquet

        kinds = _checkpoint_types()
        adds = [action for action in self._fresh.values() if action is not None]
        held = [pa.array(adds, kinds["add"])]
        if self._base is not None:
            stays = pyarrow.compute.is_in(
                self._base.field("path"), value_set=pa.array(list(self._fresh), pa.string())
            )
            base = self._base.filter(pyarrow.compute.invert(stays))
            names = [field.name for field in kinds["add"]]
            base = pa.StructArray.from_arrays([base.field(name) for name in names], names)
            held.append(base.cast(kinds["add"]))
        young = _now_ms() - KEEP_SECONDS * 1000
        removes = [one for one in self._removes.values() if one["deletionTimestamp"] > young]
        txn = {"appId": _ENGINE, "version": self._number, "lastUpdated": _now_ms()}
        parts = {
            "protocol": [pa.array([_PROTOCOL], kinds["protocol"])],
            "metaData": [pa.array([self._metadata], kinds["metaData"])],
            "txn": [pa.array([txn], kinds["txn"])],
            "remove": [pa.array(removes, kinds["remove"])],
            "add": held,
        }
        size = sum(len(one) for arrays in parts.values() for one in arrays)
        schema = pa.schema(list(kinds.items()))
        disk.unlink(staged)
        descriptor = disk.make_file(staged)
        with os.fdopen(descriptor, "wb") as file:
            with pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
                for kind, arrays in parts.items():
                    for array in arrays:
                        columns = {
                            name: array if name == kind else pa.nulls(len(array), of)
                            for name, of in kinds.items()
                        }
                        writer.write_table(pa.table(columns, schema=schema))
            file.flush()
            disk.sync(file.fileno())
        return size

    def _remove_old(self) -> None:
        """Remove versions that are old and that the oldest remaining checkpoint does not need."""
        began = time.time() - KEEP_SECONDS
        found = [one for name in _names(self._folder) if (one := _NAME.fullmatch(name))]
        old = [one for one in found if (self._folder / one[0]).stat().st_mtime < began]
        checkpoints = [int(one[1]) for one in old if one[2] != "json"]
        for one in old if checkpoints else ():
            if int(one[1]) < max(checkpoints):
                disk.unlink(self._folder / one[0])


def _names(folder: Path) -> Iterator[str]:
    try:
        yield from os.listdir(folder)
    except FileNotFoundError:
        return


def _is_ours(action: Action) -> bool:
    info = action.get("commitInfo")
    return info is not None and str(info.get("engineInfo")).startswith(f"{_ENGINE}/")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _checkpoint_types() -> dict[str, Any]:
    """The columns of a checkpoint, one per kind of action."""
    import pyarrow as pa

    text, number, texts = pa.string(), pa.int64(), pa.map_(pa.string(), pa.string())
    kind = pa.struct([("provider", text), ("options", texts)])
    fields = {
        "protocol": {
            "minReaderVersion": pa.int32(),
            "minWriterVersion": pa.int32(),
            "writerFeatures": pa.list_(text),
        },
        "metaData": {
            "id": text,
            "format": kind,
            "schemaString": text,
            "partitionColumns": pa.list_(text),
            "configuration": texts,
            "createdTime": number,
        },
        "txn": {"appId": text, "version": number, "lastUpdated": number},
        "remove": {"path": text, "deletionTimestamp": number, "dataChange": pa.bool_()},
        "add": {
            "path": text,
            "partitionValues": texts,
            "size": number,
            "modificationTime": number,
            "dataChange": pa.bool_(),
            "tags": texts,
            "stats": text,
        },
    }
    return {name: pa.struct(list(one.items())) for name, one in fields.items()}
