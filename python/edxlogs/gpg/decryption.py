"""A running gpg: its output, and its verdict.

gpg writes plaintext before it knows whether the message is complete and unaltered. So everything is
provisional until `Decryption.verdict()` says `ok`.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from edxlogs.errors import DecryptError, EdxlogsError
from edxlogs.gpg.frame import Frame
from edxlogs.gpg.input import PIPE_BYTES, Feeder, MessageInput, survey
from edxlogs.gpg.slots import Slot
from edxlogs.gpg.unlocked import UnlockedKeys
from edxlogs.gpg.verdict import StatusLines, Verdict, judge
from edxlogs.threads import needs_thread

if TYPE_CHECKING:
    from edxlogs.gpg.process import Gpg


class Decryption:
    """A running gpg that decrypts one message. `Gpg.open` starts it.

    Read `stdout_fd` to its end, then ask for the `verdict()`. Leaving it as a context manager ends
    gpg and closes its descriptors.

    Attributes:
        source_name: how messages call the source.
        stdout_fd: descriptor from which the plaintext is read. Borrow or duplicate it, but do not
            close it.
    """

    def __init__(
        self,
        gpg: Gpg,
        source_name: str,
        source: MessageInput,
        process: GpgProcess,
        unlocked: UnlockedKeys | None = None,
    ) -> None:
        self.source_name = source_name
        self.stdout_fd = process.stdout_fd
        self._gpg = gpg
        self._unlocked = unlocked
        self._source = source
        self._process = process.child
        self._feeder: Feeder | None = None
        self._killed = False
        self._verdict: Verdict | None = None
        self._status = StatusLines()
        self._listener = threading.Thread(
            target=self._listen, args=(process,), name="edxlogs-gpg-status", daemon=True
        )
        self._start(process)

    def _start(self, process: GpgProcess) -> None:
        """Start the threads that serve gpg. It cannot continue without them."""
        try:
            with needs_thread():
                self._listener.start()
        except EdxlogsError:
            self._process.kill()
            self._process.wait()
            process.slot.release()
            for descriptor in (process.stdin_fd, process.status_fd, process.stderr_fd):
                if descriptor >= 0:
                    os.close(descriptor)
            os.close(self.stdout_fd)
            self._source.close()
            raise
        if process.stdin_fd >= 0:
            self._feeder = Feeder(self._source, process.stdin_fd)
            try:
                with needs_thread():
                    self._feeder.start()
            except EdxlogsError:
                self._feeder = None
                os.close(process.stdin_fd)
                self.close()
                raise

    def verdict(self) -> Verdict:
        """Wait for gpg to end, and judge it. Output that nobody read is discarded."""
        if self._verdict is None:
            self._wait()
            self._verdict = self._decide()
        return self._verdict

    def kill(self) -> None:
        """End gpg now, because the caller was interrupted. The verdict then blames nobody.

        Safe from another thread; a reader of `stdout_fd` sees its end.
        """
        if self._process.poll() is None:
            self._killed = True
            self._process.terminate()

    def close(self) -> None:
        """End gpg if it is still running, and release every descriptor."""
        if self.stdout_fd >= 0:
            self.kill()
            self._wait()
            os.close(self.stdout_fd)
            self.stdout_fd = -1
            self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self) -> None:
        if self._killed:
            try:
                self._process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self._process.kill()
        while self.stdout_fd >= 0 and os.read(self.stdout_fd, PIPE_BYTES):
            pass
        self._process.wait()
        # A descendant of gpg could hold the status pipe open; gpg's own words have come by now.
        self._listener.join(timeout=5)
        if self._feeder is not None:
            if self._killed or not self._feeder.frame.complete:
                self._source.stopped.set()
            # A stream of the caller's may block for ever; its thread ends with the program.
            self._feeder.join(timeout=5)

    def _decide(self) -> Verdict:
        if self._killed:
            return Verdict(interrupted=True)
        code, status = self._process.returncode, self._status
        try:
            if self._feeder is not None:
                frame = self._feeder.frame
                if self._feeder.error is not None:
                    raise self._feeder.error
            elif code == 0 and status.verified:
                frame = Frame(armored=False)  # gpg read the whole file and is content
            else:
                frame = survey(self._source)
        except EdxlogsError as error:
            return Verdict(error=error)
        except Exception as cause:
            if self._source.stream is not None:
                return Verdict(error=cause)  # it is the caller's own
            failure = DecryptError(
                f"cannot decrypt: {self.source_name}: reading it failed: {cause}; try again",
                self.source_name,
            )
            failure.__cause__ = cause
            return Verdict(error=failure)
        verdict = judge(self.source_name, code, status, frame, self._gpg.secret_key_ids)
        if self._unlocked is not None and not status.opened:
            self._gpg.lock(self._unlocked)
            return replace(verdict, retry=True)  # the user's own key ring may do
        return verdict

    def _listen(self, process: GpgProcess) -> None:
        """Read gpg's messages as they come, so that none of its pipes fills up."""
        holds_slot, tail = True, b""
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(process.status_fd, selectors.EVENT_READ)
                selector.register(process.stderr_fd, selectors.EVENT_READ)
                while selector.get_map():
                    for key, _ in selector.select():
                        data = os.read(key.fd, 1 << 16)
                        if not data:
                            selector.unregister(key.fd)
                        elif key.fd == process.status_fd:
                            # Standard error names people, in words that change: not kept.
                            *lines, tail = (tail + data).split(b"\n")
                            tail = tail[:4096]
                            for line in lines:
                                self._status.line(line)
                    if holds_slot and self._status.begun:
                        holds_slot = False
                        process.slot.release()
        finally:
            if holds_slot:
                process.slot.release()
            os.close(process.status_fd)
            os.close(process.stderr_fd)


@dataclass(frozen=True)
class GpgProcess:
    """A gpg that was just started, with our ends of its pipes."""

    child: subprocess.Popen[bytes]
    stdin_fd: int  # -1 where gpg reads the source by itself
    stdout_fd: int
    status_fd: int
    stderr_fd: int
    slot: Slot  # given back once gpg needs its agent no more
