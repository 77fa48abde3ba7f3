"""The rules by which requests to S3 are retried. boto3's own retries are off.

1. Only failures that may pass are retried: a broken connection or one that is silent for
`READ_SECONDS`, a refused one, a status of 500 and above, a request to slow down. 2. There are at
most `ATTEMPTS` in a row, or `FIRST_ATTEMPTS` if no server has answered yet and the connection is
refused or the server's name unknown, since that is mostly a wrong setting. 3. After the n-th
failure it waits `FIRST_DELAY` * 2**(n-1) seconds, at most `LONGEST_DELAY`, times a random factor
from 0.5 to 1 (so that many clients do not return at once). 4. A transfer resumes after the last
byte received. Whenever `PROGRESS_BYTES` have come since the last failure, the count of attempts
starts again: a long transfer may break often. 5. A wait ends at once when the transfer is stopped.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from edxlogs.errors import StoppedError
from edxlogs.s3.errors import RETRIED, Reason, reason_of

ATTEMPTS = 8
FIRST_ATTEMPTS = 3
FIRST_DELAY = 0.25
LONGEST_DELAY = 16.0
PROGRESS_BYTES = 1 << 20
CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0

T = TypeVar("T")


class Attempts:
    """The attempts of one request, or of one transfer over several requests.

    Args:
        reached: event of an `S3`; set here once a server has answered.
        stopped: event that is set when nobody waits for the outcome any more; None if somebody
            always does.
    """

    def __init__(self, reached: threading.Event, stopped: threading.Event | None = None) -> None:
        self._reached = reached
        self._stopped = stopped or threading.Event()
        self._failures = 0
        self._bytes = 0

    def progressed(self, count: int) -> None:
        """Count bytes received."""
        self._bytes += count
        if self._bytes >= PROGRESS_BYTES:
            self._failures = 0

    def wait(self, error: Exception) -> None:
        """Wait until the next attempt may be made.

        Raises:
            Exception: `error` itself, if there are no more attempts.
            StoppedError: the transfer was stopped.
        """
        if self._stopped.is_set():
            raise StoppedError("s3: stopped") from None
        reason = reason_of(error)
        if reason not in (Reason.REFUSED, Reason.UNKNOWN_HOST):
            self._reached.set()
        self._failures += 1
        self._bytes = 0
        attempts = ATTEMPTS if self._reached.is_set() else FIRST_ATTEMPTS
        if reason not in RETRIED or self._failures >= attempts:
            raise error
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (self._failures - 1))
        if self._stopped.wait(delay * random.uniform(0.5, 1)):
            raise StoppedError("s3: stopped") from None

    def run(self, request: Callable[[], T]) -> T:
        """Make a request until it succeeds or no attempt is left.

        Raises:
            Exception: the error of the last attempt.
            StoppedError: the transfer was stopped.
        """
        while True:
            try:
                answer = request()
            except Exception as error:
                self.wait(error)
            else:
                self._reached.set()
                return answer
