"""The functions that look at files, or make a place to try edxlogs."""

from __future__ import annotations

from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING

from edxlogs.gpg.input import Readable
from edxlogs.jobs.settings import Keys, SomeSources
from edxlogs.jobs.words import OnePath

if TYPE_CHECKING:
    from edxlogs.generator.demo import Demo
    from edxlogs.jobs.looks.inspection import Inspection
    from edxlogs.jobs.looks.selftest import SelfTest
    from edxlogs.s3.client import S3


def demo(folder: OnePath) -> Demo:
    """Make two weeks of encrypted logs of two sites, a matching database package, and a key.

    All data are invented, and the same each time. The network is not used.

    Args:
        folder: where to put them. It must be empty or not exist yet.

    Returns:
        Demo: the paths of what was made. It prints commands to try.

    Raises:
        ConfigError: the folder is not empty.
        OutputError: the folder cannot be written to.
        EdxlogsError: gpg is missing, or cannot use a key there.
    """
    from edxlogs.generator.demo import make

    return make(Path(fspath(folder)))


def inspect(
    file: OnePath | Readable,
    *,
    events: int = 3,
    gnupg_home: OnePath | None = None,
    passphrase_file: OnePath | None = None,
    prompt: bool = False,
    s3: S3 | None = None,
) -> Inspection:
    """Look into one file: its layers, days, first events and shapes of payloads. Writes nothing.

    Args:
        file: path, `s3://` URL, `-` for standard input, or an open binary file. At most the first
            64 MiB of its text are read.
        events: how many of the first events to keep.
        gnupg_home: GnuPG's folder; None means the user's own.
        passphrase_file: file with the passphrase of the secret key; None asks the agent.
        prompt: whether the agent may ask for a passphrase.
        s3: server and credentials; None takes them from the AWS configuration.

    Returns:
        Inspection: prints as a page. `problem` says what could not be read, and `no_log` what the
            file is if it is not a log.

    Raises:
        ConfigError: the argument is not a single file, or a value is invalid.
        MissingSourceError: the file does not exist (also a FileNotFoundError).
        SourceError: the file cannot be opened.
    """
    from edxlogs.jobs.looks.inspection import inspect

    keys = Keys.of(gnupg_home=gnupg_home, passphrase_file=passphrase_file, prompt=prompt)
    return inspect(file, keys, s3, events=events)


def selftest(
    sources: SomeSources,
    *,
    gnupg_home: OnePath | None = None,
    passphrase_file: OnePath | None = None,
    prompt: bool = False,
    s3: S3 | None = None,
) -> SelfTest:
    """Compare what edxlogs reads with what a plain Python reader reads, on a sample of logs.

    Args:
        sources: as for `filter`, but no streams: they can be read only once.
        gnupg_home: GnuPG's folder; None means the user's own.
        passphrase_file: file with the passphrase of the secret key; None asks the agent.
        prompt: whether the agent may ask for a passphrase.
        s3: server and credentials; None takes them from the AWS configuration.

    Returns:
        SelfTest: prints as a page that names no person. `agrees` is true if nothing differs.

    Raises:
        ConfigError: a source is a stream, or a value is invalid.
        MissingSourceError: a source does not exist (also a FileNotFoundError).
        SourceError: a source cannot be opened.
    """
    from edxlogs.jobs.looks.selftest import COLUMNS, selftest
    from edxlogs.jobs.settings import Settings

    settings = Settings.of(
        sources,
        columns=COLUMNS,
        gnupg_home=gnupg_home,
        passphrase_file=passphrase_file,
        prompt=prompt,
        s3=s3,
        format="csv",
        output="-",
    )
    return selftest(settings)
