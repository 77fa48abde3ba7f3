"""What all tests share: the reference folder, and settings of hypothesis."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import hypothesis
import pytest

# Machines that run tests are slow and shared: an example's time says nothing.
hypothesis.settings.register_profile("edxlogs", deadline=None, print_blob=True)
hypothesis.settings.load_profile("edxlogs")


# A shell's background job ignores Ctrl-C, and so would the commands that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of reference samples, which is no part of the project."""
    named = os.environ.get("EDXLOGS_REFERENCE")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "reference"
    if not folder.is_dir():
        pytest.skip("no reference folder: name one in EDXLOGS_REFERENCE")
    return folder
