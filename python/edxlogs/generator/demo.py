"""A place to try edxlogs: encrypted logs, a database package, and the key that opens them."""

from __future__ import annotations

import fcntl
import gzip
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from edxlogs.errors import ConfigError, EdxlogsError, cannot_write
from edxlogs.generator import keys, package, semester
from edxlogs.text import many, shown, size

KEY = "Demo Data Czar <czar@universityx.example>"
PACKAGE_DAY = date(2014, 10, 19)  # a Sunday, after all that the logs hold
_LOGS, _KEY_RING = "logs", "gnupg"
_PACKAGE = f"{semester.ORG.lower()}-{PACKAGE_DAY}.zip"
_MAKING = ".edxlogs"  # in the folder, until all is there
_DISPOSABLE = ("S.*", "*.lock", "*~", ".#*")  # of a key ring: sockets of its agents, locks, copies


@dataclass(frozen=True, repr=False)
class Demo:
    """What `demo` made. It prints commands to try next.

    Attributes:
        folder: the folder that holds everything.
        logs: folder of the daily logs, `{org}-{site}-events-{date}.log.gz.gpg`.
        package: the zip of tables.
        gnupg_home: the key ring; its key has no passphrase.
        files: number of logs.
        lines: number of lines in all logs.
        bytes: size on disk of logs and package.
    """

    folder: Path
    logs: Path
    package: Path
    gnupg_home: Path
    files: int
    lines: int
    bytes: int

    def tries(self) -> list[list[str]]:
        """Commands to begin with. `GNUPGHOME` must name the key ring."""
        course, logs = ["--course", semester.MAIN], str(self.logs)
        answers = ["--event-type", "problem_check", "--event-source", "server"]
        return [
            ["edxlogs", "summary", logs],
            ["edxlogs", "filter", logs, *course, *answers, "-o", str(self.folder / "answers.csv")],
            ["edxlogs", "db", "convert", str(self.package), "-o", str(self.folder / "tables")],
        ]

    def __str__(self) -> str:
        sites = [site.name for site in semester.SITES]
        days = f"{semester.DAYS[0]} to {semester.DAYS[-1]}"
        logs = f"{many(self.files, 'encrypted log')} of {' and '.join(sites)}, {days}"
        lines = [
            f"{shown(str(self.folder))}: {logs} ({self.lines:,} lines), a package of the database,"
            f" and a key without a passphrase; {size(self.bytes)}",
            "",
            "Try:",
            f"  export GNUPGHOME={shlex.quote(str(self.gnupg_home))}",
            *(f"  {shlex.join(words)}" for words in self.tries()),
        ]
        return "\n".join(lines)

    __repr__ = __str__


def make(folder: Path) -> Demo:
    """Make two weeks of logs of two sites, a matching package, and a throw-away key.

    The text that is encrypted is the same each time. The network is not used.

    Args:
        folder: where to put them. It must be empty or not exist yet.

    Raises:
        ConfigError: the folder is not empty, or not a folder.
        OutputError: the folder cannot be written to.
        EdxlogsError: gpg is missing, or cannot use a key ring there.
    """
    if lacking := keys.missing():
        raise EdxlogsError(f"cannot make: {folder}: {lacking}; install GnuPG 2.2.8 or later")
    with _whole(folder) as making, _gpg_of(folder), keys.home() as home:
        recipient = keys.make_key(home, KEY, "cv25519")

        def encrypted(data: bytes) -> bytes:
            return keys.encrypt(home, [recipient], data)

        # The key comes first: whether it can be used there is known before the work.
        _keep(home, making / _KEY_RING)
        _use(making / _KEY_RING, encrypted(b"a word"))
        (making / _LOGS).mkdir()
        lines, rolls = 0, []
        for site in semester.SITES:
            its = semester.rolls(site)
            rolls += its
            for day, text in semester.logs(site, its):
                name = f"{semester.ORG.lower()}-{site.name}-events-{day}.log.gz.gpg"
                packed = gzip.compress(b"".join(text), 6, mtime=0)
                (making / _LOGS / name).write_bytes(encrypted(packed))
                lines += len(text)
        package.write(
            making / _PACKAGE,
            rolls,
            encrypt=lambda chunks: iter([encrypted(b"".join(chunks))]),
            folder=Path(_PACKAGE).stem,
        )
    made = [*sorted((folder / _LOGS).iterdir()), folder / _PACKAGE]
    return Demo(
        folder,
        folder / _LOGS,
        made[-1],
        (folder / _KEY_RING).absolute(),
        len(made) - 1,
        lines,
        sum(path.stat().st_size for path in made),
    )


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """Yield a place inside a folder. At the end, its content moves up, or all of it is removed.

    The logs come last, so a folder with logs is complete, even after a crash.
    """
    is_new = _begin(folder)
    making, moved = folder / _MAKING, list[Path]()
    try:
        making.mkdir()
        with _locked(making):
            yield making
            for path in sorted(making.iterdir(), key=lambda path: path.name == _LOGS):
                moved.append(path.rename(folder / path.name))
            making.rmdir()
    except BaseException as error:
        for path in (*moved, making):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if is_new:
            with suppress(OSError):  # somebody else may have put something there
                folder.rmdir()
        if isinstance(error, OSError) and not isinstance(error, EdxlogsError):
            raise cannot_write(str(folder), error) from error
        raise


def _begin(folder: Path) -> bool:
    """Make the folder if it does not exist. Returns whether it was made.

    Raises:
        ConfigError: the folder is not empty, or not a folder.
        OutputError: the folder cannot be made.
    """
    try:
        folder.mkdir()
        return True
    except FileExistsError:
        if not folder.is_dir():
            raise ConfigError(f"cannot make: {folder}: it is not a folder") from None
        _clear(folder)
        if any(folder.iterdir()):
            raise ConfigError(
                f"cannot make: {folder}: the folder is not empty; name another one"
            ) from None
        return False
    except OSError as error:
        raise cannot_write(str(folder), error) from error


def _clear(folder: Path) -> None:
    """Remove what a run left that was killed; nothing if there is anything else in the folder."""
    making = folder / _MAKING
    left = {path.name for path in folder.iterdir()}
    if _MAKING not in left or not left <= {_MAKING, _KEY_RING, _PACKAGE}:
        return
    with suppress(BlockingIOError), _locked(making):  # somebody is at work there
        for name in left - {_MAKING, _KEY_RING}:
            (folder / name).unlink()
        for name in left & {_KEY_RING, _MAKING}:
            shutil.rmtree(folder / name)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder. The system frees it if this process is killed.

    Raises:
        BlockingIOError: somebody else holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _gpg_of(folder: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        told = str(error).strip().splitlines()
        raise EdxlogsError(
            f"cannot make: {folder}: {told[-1] if told else 'gpg failed'}"
        ) from error


def _keep(home: Path, ring: Path) -> None:
    """Copy a key ring to its final place."""
    keys.kill_agents(home)
    left = shutil.ignore_patterns(*_DISPOSABLE)
    for folder, _, names in os.walk(home):
        place = ring / Path(folder).relative_to(home)
        place.mkdir(mode=0o700)
        for name in {*names} - left(folder, names):
            shutil.copy2(Path(folder, name), place)


def _use(ring: Path, message: bytes) -> None:
    """Decrypt with a key ring. Its agent needs a socket, which does not fit into a long path.

    Raises:
        EdxlogsError: decryption fails.
    """
    try:
        keys.gpg(ring, "--decrypt", data=message)
    except RuntimeError as error:
        folder = ring.parents[1]
        raise EdxlogsError(
            f"cannot make: {folder}: gpg cannot use a key there; name a folder with a shorter path"
        ) from error
    finally:
        keys.kill_agents(ring)
        for path in ring.glob("S.*"):
            with suppress(OSError):
                path.unlink()
