"""What starts threads, where the system may have none left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edxlogs.errors import EdxlogsError


@contextmanager
def needs_thread() -> Iterator[None]:
    """Make one of our errors of Python's, if a thread cannot be started in the block.

    Raises:
        EdxlogsError: the system gives no more threads.
    """
    try:
        yield
    except RuntimeError as error:
        if type(error) is not RuntimeError:
            raise
        raise EdxlogsError(
            "cannot start a thread: the system gives no more; end other programs, or try fewer"
            " --threads"
        ) from error
