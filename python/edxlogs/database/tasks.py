"""What a conversion has to do: files of packages on their way to files of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edxlogs.database.account import MemberAccount
from edxlogs.database.courses import Key
from edxlogs.database.journal import Record
from edxlogs.database.research import ResearchPackage
from edxlogs.edx.tables import Table


@dataclass(slots=True)
class Task:
    """Rows on their way to a file: those of a file of a package, or what follows from them.

    Attributes:
        name: of its hidden files; the key of its record.
        table: whose rows.
        key: what its name says of the course, which files of one course share.
        file_stem: of the name it will get.
        account: what became of it.
        read: reads it with so many threads.
        size: bytes in the package.
        courses: that its rows tell, with how many are of each.
        rows: its hidden file; None before it is read.
        rejects: the hidden file of rejected rows, which is there if there are any.
        record: what an earlier run has done of it.
        on_disk: whether its hidden files outlive a power cut.
    """

    name: str
    table: Table
    key: Key
    file_stem: str
    account: MemberAccount
    read: Callable[[int], None] = lambda _: None
    size: int = 0
    courses: dict[str, int] = field(default_factory=dict)
    rows: Path | None = None
    rejects: Path | None = None
    record: Record | None = None
    on_disk: bool = False

    @property
    def is_published(self) -> bool:
        """Whether an earlier run has done it, and its file is there."""
        return self.record is not None and "output" in self.record

    @property
    def output(self) -> Path:
        """Its file, below the folder of the tables; known when its course is."""
        assert self.account.output is not None
        return Path(self.account.output)

    def left(self) -> Iterator[Path]:
        """Hidden files that an earlier run has left, and this one takes."""
        if self.record is not None and not self.is_published:
            yield from (path for path in (self.rows, self.rejects) if path is not None)


@dataclass(slots=True)
class Release:
    """A package of the research exchange that is read.

    Attributes:
        package: it.
        identity: what tells it from others and from other releases of it.
        tasks: its files, as they came by.
        is_whole: whether it was read to its end, and passed its checks.
    """

    package: ResearchPackage
    identity: tuple[object, ...]
    tasks: list[Task] = field(default_factory=list)
    is_whole: bool = False
