"""The verbs that look at files and make a place to try things as functions."""

from __future__ import annotations

from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING

from edxlogs.gpg.input import Readable
from edxlogs.jobs.settings import Keys, OnePath, SomeSources

if TYPE_CHECKING:
    from edxlogs.generator.demo import Demo
    from edxlogs.jobs.looks.inspection import Inspection
    from edxlogs.jobs.looks.selftest import SelfTest
    from edxlogs.s3.client import S3


def demo(folder: OnePath) -> Demo:
    """Make encrypted logs of two sites and two weeks, a package that fits to them, and a key.

    All that is invented is the same each time. Nothing is asked of the network.

    Args:
        folder: where to; it must be empty, or not be there.

    Returns:
        Demo: the paths of what was made. It prints with commands to try.

    Raises:
        ConfigError: something is in the folder.
        OutputError: it cannot be written.
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
    """Look what a file is: layers, days, first events, and the shapes of payloads. Writes nothing.

    Args:
        file: path, `s3://` URL, `-`, or an open binary file. At most its first 64 MiB of text are
            looked at.
        events: how many of the first events are kept.
        gnupg_home: GnuPG's folder; None means the user's own.
        passphrase_file: holds the passphrase of the secret key; None asks the agent.
        prompt: whether the agent may ask for a passphrase.
        s3: server and credentials; None: as the AWS configuration says.

    Returns:
        Inspection: prints as a page. What could not be read is in it as `problem`, and what is no
            log as `no_log`.

    Raises:
        ConfigError: it is not one file, or a setting cannot be used.
        MissingSourceError: there is no such file (a FileNotFoundError).
        SourceError: it cannot be opened.
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
        sources: as for `filter`, but for streams, which can be read once only.
        gnupg_home: GnuPG's folder; None means the user's own.
        passphrase_file: holds the passphrase of the secret key; None asks the agent.
        prompt: whether the agent may ask for a passphrase.
        s3: server and credentials; None: as the AWS configuration says.

    Returns:
        SelfTest: prints as a page without persons; `agrees` tells whether nothing differs.

    Raises:
        ConfigError: a source is a stream, or a setting cannot be used.
        MissingSourceError: a source does not exist (a FileNotFoundError).
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
