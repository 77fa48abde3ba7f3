"""What all tests share: the reference folder, and settings of hypothesis."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

import fault_proxy
import s3_server as servers

# Machines that run tests are slow and shared: an example's time says nothing. The examples are the
# same everywhere, so that a failure is one everywhere; the long tests draw new ones.
hypothesis.settings.register_profile("anew", deadline=None, print_blob=True)
hypothesis.settings.register_profile(
    "edxlogs", hypothesis.settings.get_profile("anew"), derandomize=True
)
hypothesis.settings.load_profile("edxlogs")


# Nobody's own settings or state, here or in the commands that are run.
os.environ["EDXLOGS_CONFIG"] = ""
_state = tempfile.TemporaryDirectory(prefix="edxlogs-state-")
os.environ["XDG_STATE_HOME"] = _state.name

# A shell's background job ignores Ctrl-C, and so would the commands that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """Half as many workers again as processors: many tests wait, for commands that they stop."""
    return 3 * (os.cpu_count() or 2) // 2


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of reference samples, which is no part of the project."""
    named = os.environ.get("EDXLOGS_REFERENCE")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "reference"
    if not folder.is_dir():
        pytest.skip("no reference folder: name one in EDXLOGS_REFERENCE")
    return folder


@pytest.fixture(scope="session")
def s3_process() -> Iterator[servers.Server]:
    """One server for all tests of a process: use `s3_server`."""
    with servers.run() as server:
        yield server


@pytest.fixture
def s3_server(s3_process: servers.Server) -> servers.Server:
    """A real S3 server without any bucket."""
    s3_process.reset()
    return s3_process


@pytest.fixture
def proxy(s3_server: servers.Server) -> Iterator[fault_proxy.FaultProxy]:
    """A proxy before that server, which does what is planned."""
    with fault_proxy.run(s3_server.url) as proxy:
        yield proxy


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this process and its children credentials, and keep them from the user's own."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in servers.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def s3_environment(
    s3_server: servers.Server, aws_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let this process and its children find that server as a user's configuration would."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.url)


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without the waits between them, and a short patience with silence."""
    from edxlogs.s3 import retry as s3_retry

    monkeypatch.setattr(s3_retry, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(s3_retry, "READ_SECONDS", 0.5)
