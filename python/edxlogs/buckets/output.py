"""An output that is an S3 object: it appears whole under its key or not at all.

It is made in a private folder below the system's temporary one, as a local output is made beside
its place, and uploaded when everything is checked. The upload is opened, still empty, before the
first source is read, so that a missing permission shows at once.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from edxlogs.errors import ConfigError, OutputError, S3Error
from edxlogs.s3.client import S3, split_url
from edxlogs.s3.errors import Reason, trouble
from edxlogs.sources.source import Source
from edxlogs.store.file import OutputFile
from edxlogs.text import shown
from edxlogs.threads import Workers

PART_BYTES = 8 << 20  # but for the last part, S3 takes none below 5 MiB
_MOST_PARTS = 10_000
_AT_ONCE = 4
_WHAT = "cannot write"
_MARK = "edxlogs-upload"


class S3Output(OutputFile):
    """An object being written: `begin` it, write `path`, `publish` it.

    An object has one writer: unfinished uploads to the same key, such as those of a killed run, are
    aborted first.

    Args:
        url: URL of the object.
        s3: server and credentials.
        overwrite: whether an existing object may be replaced.
        inputs: inputs, which the output must not be.

    Raises:
        ConfigError: it is an input, or has no key.
        OutputError: there is no room for it on this host, or another run here writes the same
            object.
    """

    def __init__(
        self, url: str, s3: S3, *, overwrite: bool = False, inputs: Iterable[Source] = ()
    ) -> None:
        self._s3 = s3
        self._bucket, self._key = split_url(url)
        if not self._key or self._key.endswith("/"):
            raise ConfigError(f"output: {shown(url)}: is a prefix; name an object")
        if any(source.path == url for source in inputs):
            raise ConfigError(f"output: {shown(url)}: is also an input; name another object")
        self._replaces = overwrite
        self._begun = False
        self._upload: str | None = None
        self._parts: list[dict[str, Any]] | None = None
        self._mark = uuid.uuid4().hex
        digest = hashlib.sha256(f"{os.getuid()} {url}".encode("utf-8", "surrogateescape"))
        place = Path(tempfile.gettempdir(), f"edxlogs-{digest.hexdigest()[:32]}")
        super().__init__(place, overwrite=True, name=shown(url))

    def begin(self) -> None:
        """Open the upload, still empty, so that a missing permission shows before a source is read.

        Raises:
            ConfigError: the object exists.
            OutputError: it cannot be written.
        """
        try:
            self._refuse()
            self._abort_left()
            self._begun = True
            answer = self._call("create_multipart_upload", Metadata={_MARK: self._mark})
            self._upload = self._said(answer, "UploadId")
        except S3Error as error:
            raise OutputError(str(error)) from None

    def store(self) -> None:
        """Upload what was made; it has no key yet. A second call does nothing.

        Raises:
            OutputError: it cannot be uploaded.
        """
        if self._parts is not None:
            return
        try:
            self._parts = self._send_parts(os.path.getsize(self.path))
        except S3Error as error:
            raise OutputError(str(error)) from None

    def take_name(self) -> None:
        """Let the uploaded data appear under their key.

        Raises:
            ConfigError: an object with that key appeared during the run.
            OutputError: it cannot be uploaded.
        """
        try:
            self.store()
            self._complete(self._parts or [])
        except S3Error as error:
            raise OutputError(str(error)) from None

    def discard(self) -> None:
        """Remove what is not published, on this host and in the bucket. May be called twice."""
        begun, self._begun = self._begun, False
        upload, self._upload = self._upload, None
        try:
            # What cannot be aborted at once is aborted by the next run.
            if upload is not None:
                with suppress(S3Error):
                    self._call("abort_multipart_upload", UploadId=upload, again=False)
            elif begun:  # stopped before its name was known
                self._abort_left(again=False)
        finally:
            super().discard()

    def _refuse(self) -> None:
        """Refuse an object that exists and must not be replaced."""
        try:
            self._s3.object(self._bucket, self._key)
        except S3Error as error:
            # If writing is allowed but looking is not, the server will say at the end.
            if error.reason not in (Reason.NO_OBJECT, Reason.DENIED):
                raise
            return
        if not self._replaces:
            raise ConfigError(
                f"output: {self.name}: exists; name another object, or add --overwrite"
            )

    def _abort_left(self, *, again: bool = True) -> None:
        """Abort uploads that interrupted runs left of this very object."""
        with suppress(S3Error):  # not allowed, not known to the server, or just ended
            listed = self._s3.call(
                "list_multipart_uploads", self._bucket, _WHAT, Prefix=self._key, again=again
            )
            for upload in listed.get("Uploads", ()):
                if upload.get("Key") == self._key and "UploadId" in upload:
                    self._call("abort_multipart_upload", UploadId=upload["UploadId"], again=again)

    def _send_parts(self, size: int) -> list[dict[str, Any]]:
        part_bytes = max(PART_BYTES, -(-size // _MOST_PARTS))
        count = -(-size // part_bytes)
        tasks = [self._part(number, part_bytes) for number in range(count)]
        with Workers(tasks, _AT_ONCE, _AT_ONCE) as workers:
            return list(workers)

    def _part(self, number: int, part_bytes: int) -> Callable[[], dict[str, Any]]:
        def send() -> dict[str, Any]:
            with open(self.path, "rb") as file:
                file.seek(number * part_bytes)
                data = file.read(part_bytes)
            answer = self._call(
                "upload_part",
                UploadId=self._upload,
                PartNumber=number + 1,
                Body=data,
                ContentMD5=b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode(),
            )
            return {"PartNumber": number + 1, "ETag": self._said(answer, "ETag")}

        return send

    def _complete(self, parts: list[dict[str, Any]]) -> None:
        """Let the object appear. An empty one cannot be made of parts."""
        condition = {} if self._replaces else {"IfNoneMatch": "*"}
        try:
            try:
                self._finish(parts, condition)
            except S3Error as error:
                if error.reason != Reason.UNSUPPORTED or not condition:
                    raise
                self._finish(parts, {})
        except S3Error as error:
            # The answer to an earlier attempt may have been lost on its way.
            if not self._is_there():
                if error.reason != Reason.CHANGED:
                    raise
                raise ConfigError(
                    f"output: {self.name}: appeared during the run; name another object, or"
                    " add --overwrite"
                ) from None
        if parts:  # else the upload is still to be aborted
            self._upload, self._begun = None, False

    def _finish(self, parts: list[dict[str, Any]], condition: dict[str, str]) -> None:
        if not parts:
            self._call("put_object", Body=b"", Metadata={_MARK: self._mark}, **condition)
        else:
            self._call(
                "complete_multipart_upload",
                UploadId=self._upload,
                MultipartUpload={"Parts": parts},
                **condition,
            )

    def _is_there(self) -> bool:
        """Whether the object is the one that this upload made."""
        with suppress(S3Error):
            metadata: dict[str, str] = self._call("head_object").get("Metadata", {})
            return metadata.get(_MARK) == self._mark
        return False

    def _said(self, answer: dict[str, Any], what: str) -> str:
        """A field that every answer of S3 has."""
        if not (said := answer.get(what)):
            raise trouble(Reason.IMPOSSIBLE, _WHAT, self.name)
        return str(said)

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return self._s3.call(operation, self._bucket, _WHAT, Key=self._key, **parameters)
