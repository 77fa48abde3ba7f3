"""Chooses among weekly snapshots, of which the newest counts, and among copies of a table.

For a table of one course and site, the file of the newest package counts if it is good. If that
package lacks it, the one before counts. Courses are certain only when everything has been read.
Until then, names tell which files need not be read: files with a newer one of the same course, site
and table wait, and are read only if the newer one turns out to be bad. If every snapshot is kept,
the same is true within each day.

A package may contain one table twice, as `X.sql` and `X.sql.gz`. Both are read, and one is
delivered.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import TypeVar

from edxlogs.account import Outcome
from edxlogs.database.account import MemberAccount, RowCounts, Task
from edxlogs.database.courses import TableChoice
from edxlogs.database.folder import day_folder, is_there, replaced_inputs
from edxlogs.database.package import Member
from edxlogs.database.tars import is_of_research, stem_of
from edxlogs.edx.members import MemberName, describe_member, plain_name
from edxlogs.edx.packages import SNAPSHOTS, Package, PackageKind, describe_folder, describe_key
from edxlogs.edx.tables import JOINED, tables
from edxlogs.formats import format_by_ending
from edxlogs.store.manifest import Segment, now
from edxlogs.store.segments import REPLACED
from edxlogs.store.store import Store

_CUT = 100  # letters of names that may have been cut, so that courses share them

Unit = tuple[Hashable, ...]
"""A table of a course and site, in one format."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A file as one of the snapshots of its table.

    Attributes:
        by_name: its unit, as far as names tell.
        by_course: its unit, by its real course; None if that is not known.
        day: day of the snapshot.
        release: identifies the package, whatever its day.
        order: position of the package in the run; a later one counts if days are equal.
        courses: the courses in it that are wanted, for a file of several; empty means all.
        kept: separates it from other snapshots of its unit, or None.
    """

    by_name: Unit
    by_course: Unit | None
    day: datetime.date | None
    release: Hashable
    order: int
    courses: frozenset[str] = frozenset()
    kept: Hashable = None

    @property
    def names(self) -> Unit:
        """Its unit, as far as names tell; with its day, if every day is kept."""
        return (self.by_name, self.kept)

    def covers(self, other: Snapshot) -> bool:
        """Whether it has the rows of all courses that another one has."""
        return not self.courses or bool(other.courses and other.courses <= self.courses)

    @property
    def rank(self) -> tuple[datetime.date, int]:
        """The newest ranks highest. One without a day is older than any other."""
        return self.day or datetime.date.min, self.order


def package_of(account: MemberAccount) -> Package | None:
    """What the names of a file's package, and of the folders in it, say."""
    base = account.package.rpartition("/")[2]
    said = describe_key(account.package)
    if said is None or said.kind not in (*SNAPSHOTS, PackageKind.RESEARCH):
        said = describe_folder(base)
    if said is None or not base.endswith(".zip"):
        folders = map(describe_folder, reversed(account.member.split("/")[:-1]))
        said = next((one for one in folders if one is not None), said)
    return said


def snapshot_of(
    account: MemberAccount, form: str, release: Hashable, order: int, *, keep_all: bool = False
) -> Snapshot:
    """A file as a snapshot, by its account and its output format.

    With `keep_all`, each day is a unit of its own.
    """
    package = package_of(account)
    stem = describe_member(account.member).stem or ""
    table = tables().get(account.table or "")
    if table is not None and not table.is_of_course:
        stem = stem or (package and package.partner) or ""
        # The courses chosen from such a file are in the next one, too.
        release = (release, *account.courses)
    place = f"{account.package}/{account.member}"
    what = (account.table, account.site, form, is_of_research(place))
    plain = re.sub(r"[^a-z0-9]+", "-", stem.lower())
    by_course = None if account.course is None else (*what, "course", account.course)
    day = None if package is None else package.day
    courses = frozenset(account.courses)
    # Without a day, the names of the packages tell which are the same.
    kept = (day or stem_of(account.package)) if keep_all else None
    return Snapshot((*what, plain), by_course, day, release, order, courses, kept)


def older(items: Iterable[T], snapshot_of: Callable[[T], Snapshot]) -> list[tuple[T, T]]:
    """Snapshots that a newer one of the same unit replaces, each with the newer one."""
    snapshots = [(item, snapshot_of(item)) for item in items]
    known = {one.by_name: one.by_course for _, one in snapshots if one.by_course is not None}
    units: dict[Unit, list[tuple[T, Snapshot]]] = {}
    for item, one in snapshots:
        unit = one.by_course or known.get(one.by_name) or one.by_name
        units.setdefault((unit, one.kept), []).append((item, one))
    lost: list[tuple[T, T]] = []
    for its in units.values():
        newest, best = max(its, key=lambda one: one[1].rank)
        lost += [
            (item, newest) for item, one in its if one.release != best.release and best.covers(one)
        ]
    return lost


@dataclass(frozen=True, slots=True)
class Standing:
    """A file of a package that earlier runs published.

    Attributes:
        name: key of its input.
        number: number of the input.
        path: the place of its rows.
        account: its account in the run that read it.
        release: identifies its package; None if an old version of edxlogs made it.
    """

    name: str
    number: int
    path: str
    account: MemberAccount
    release: str | None


def standing(store: Store, days: Collection[object] | None = None) -> list[Standing]:
    """What earlier runs published and is still there.

    Args:
        store: the store.
        days: look only in the folders of these days; None means all.
    """
    manifest = store.manifest
    folders = None if days is None else {day_folder(one) for one in days}
    held = (
        file
        for file in manifest.files()
        if file.holds_rows and (folders is None or not folders.isdisjoint(file.path.split("/")))
    )
    files = {number: file for file in held for number, _ in file.runs}
    found = []
    for one in manifest.inputs() if files else ():
        told, file = one.account, files.get(one.number)
        if one.status == REPLACED or file is None or "member" not in told:
            continue
        if is_there(store.place, file, one):
            account, release = MemberAccount.of(told["member"]), told.get("release")
            found.append(Standing(one.identity.key, one.number, file.path, account, release))
    return found


def drop_older(store: Store, *, keep_all: bool) -> None:
    """Remove what other snapshots replace, after shards were merged.

    Args:
        store: the store with everything that they held.
        keep_all: whether each day's snapshot is kept.

    Raises:
        OutputError: the store cannot be written.
    """
    there = standing(store)
    lost = older(there, partial(_standing_snapshot, keep_all=keep_all))
    numbers = {one.number for one, _ in lost}
    if numbers:
        added, removed = store.without(numbers)
        inputs = [one for one in store.manifest.inputs() if one.number in numbers]
        renewed = replaced_inputs(inputs, store.manifest.next_number)
        store.commit(Segment(now(), inputs=renewed, added=added, removed=removed))


def _standing_snapshot(one: Standing, *, keep_all: bool) -> Snapshot:
    form = "" if one.path.endswith("/") else format_by_ending(one.path) or ""
    release = one.release or one.account.package
    return snapshot_of(one.account, form, release, -1, keep_all=keep_all)


def copies(tasks: Iterable[Task]) -> list[list[Task]]:
    """Groups of two or more files of one package whose names differ only in packing."""
    groups: dict[Hashable, list[Task]] = {}
    for task in tasks:
        account, (stem, site) = task.account, task.key
        if account.table != JOINED and not task.table.is_content:
            name = copy_name(account.package, account.member, MemberName(task.table, stem, site))
            groups.setdefault((task.release, name), []).append(task)
    return [group for group in groups.values() if len(group) > 1]


def copy_name(package: str, member: str, name: MemberName) -> Hashable:
    """A value that is equal for files of a package that are copies of each other."""
    folder, _, base = member.rpartition("/")
    return package, name.table and name.table.name, name.key, name.stem or folder, plain_name(base)


def newest_copy(group: Sequence[Task]) -> Task:
    """The copy that counts if they differ: in a folder, the one changed last; else the last one."""

    def age(at: int) -> tuple[int, int]:
        origin = group[at].origin
        return origin[1].checksum if origin is not None and group[at].is_loose else 0, at

    return group[max(range(len(group)), key=age)]


def without_copies(members: Iterable[Member], tasks: Sequence[Task]) -> list[Member]:
    """Files of a package, with only the one that counts of those that are copies of each other."""
    lesser = {
        one.account.member
        for group in copies(tasks)
        for one in group
        if one is not newest_copy(group)
    }
    return [one for one in members if one.path not in lesser]


def compare(group: Sequence[Task]) -> list[MemberAccount]:
    """Deliver one of the copies that were read, and leave out the others.

    Returns:
        Accounts of the copies that differ from it, which are withheld.
    """
    good = [task for task in group if task.account.status is Outcome.DELIVERED]
    if len(good) < 2:
        return []
    newest = newest_copy(good)
    # Among equal ones, a file that is in its place already stays.
    same = [task for task in good if task.text == newest.text]
    kept = min(same, key=lambda one: (one.known is None, len(one.account.member)))
    its, told = kept.account, []
    for task in good:
        one, is_same = task.account, task.text == kept.text
        if task is kept:
            continue
        if not is_same and one.member == its.member:  # as in a tar that was added to
            _leave(task)
            one.warnings.append(f"{one.member}: is in {one.package} twice: the last one counts")
            continue
        leave_copy(one, its, is_same=is_same)
        told += [one] if one.error is not None else []
    return told


def leave_copy(one: MemberAccount, original: MemberAccount, *, is_same: bool) -> None:
    """Record that another file of the same package is delivered in place of this one."""
    if is_same:
        counts, one.status, one.output = one.counts, Outcome.COPY, None
        one.counts = RowCounts(bytes_read=counts.bytes_read, bytes_expanded=counts.bytes_expanded)
        one.warnings.append(f"{one.member}: a copy of {original.member}: delivered once")
    else:
        why = f"differs from {original.member}, which is newer and is delivered"
        what = "remove the one that is wrong, and run again"
        one.withhold(f"{one.package}: {one.member}: {why}; {what}")


class Snapshots:
    """The files of a run, compared with those that exist already.

    Args:
        standing: files of earlier runs, in their places.
        form: output format of the files.
        keep_all: whether each day's snapshot is kept.
    """

    def __init__(self, standing: Sequence[Standing], form: str, *, keep_all: bool) -> None:
        self._standing = standing
        self._keep_all = keep_all
        self._form = format_by_ending(f".{form}") or form
        self._orders: dict[str, int] = {}  # of packages, as they are met
        self._alike: dict[str, list[str]] = {}  # their places, by their releases
        self._loose: set[str] = set()  # releases of folders, whose files may have changed
        self._waiting: list[tuple[list[Task], list[list[Task]]]] = []

    def _of(self, one: Task | Standing) -> Snapshot:
        if isinstance(one, Standing):
            snapshot = _standing_snapshot(one, keep_all=self._keep_all)
            if one.release in self._loose:
                return replace(snapshot, release=(snapshot.release, "before"))
            return snapshot
        order = self._orders.setdefault(one.account.package, len(self._orders))
        # Packages with the same name may be in several folders.
        alike = self._alike.setdefault(one.release, [])
        if one.account.package not in alike:
            alike.append(one.account.package)
        number = alike.index(one.account.package)
        release = (one.release, number) if number else one.release
        form = "" if one.table.is_content else self._form
        return snapshot_of(one.account, form, release, order, keep_all=self._keep_all)

    def chosen(self, account: MemberAccount, release: str) -> list[str]:
        """Courses whose rows are wanted from a file of several, including existing ones."""
        unit, asked = self._unread(account), set(account.courses)
        there = [one for one in self._standing if self._of(one).names == unit]
        if not all(one.account.courses for one in there):
            return []
        for one in there if all(one.release == release for one in there) else ():
            if asked.issubset(one.account.courses):  # nothing has to be read anew
                return one.account.courses
        return sorted(asked.union(*(one.account.courses for one in there)))

    def others(self, task: Task) -> set[int]:
        """Numbers of existing inputs from other packages, which may be replaced."""
        may_be_own = task.is_loose or task.sum is not None  # of which there is another copy
        return {one.number for one in self._standing if may_be_own or one.release != task.release}

    def _unread(self, account: MemberAccount) -> Unit:
        return snapshot_of(account, self._form, "", 0, keep_all=self._keep_all).names

    def put_off(self, tasks: Iterable[Task]) -> None:
        """Let files wait that have a newer one; leave them out if the newer one exists already."""
        names = {task.name for task in tasks}
        there: dict[Unit, datetime.date] = {}
        for standing in self._standing:
            one = self._of(standing)
            if standing.name not in names and one.day is not None:
                there[one.names] = max(one.day, there.get(one.names, one.day))
        units: dict[Unit, list[tuple[Snapshot, Task]]] = {}
        for task in tasks:
            if len(task.key[0] or "") <= _CUT:
                units.setdefault(self._of(task).names, []).append((self._of(task), task))
        for unit, its in units.items():
            its.sort(key=lambda one: one[0].rank, reverse=True)
            releases = [
                [task for _, task in same] for _, same in groupby(its, lambda one: one[0].release)
            ]
            newest = its[0][0].day
            if unit in there and (newest is None or newest < there[unit]):
                releases.insert(0, [])
            for waiting in releases[1:]:
                for task in waiting:
                    _leave(task)
            if releases[0]:
                self._waiting.append((releases[0], releases[1:]))

    def turns(self) -> Iterator[Task]:
        """Files whose turn has come, because the newer ones are bad."""
        left = []
        for tried, waiting in self._waiting:
            while waiting and any(one.account.status is Outcome.WITHHELD for one in tried):
                tried = waiting.pop(0)
                for task in tried:
                    _take_up(task)
                    if task.known is None:
                        yield task
            if waiting:
                left.append((tried, waiting))
        self._waiting = left

    def settle(self, tasks: Sequence[Task], copied: Collection[str]) -> set[int]:
        """Leave out delivered files that a newer one replaces.

        Args:
            tasks: tasks that are delivered.
            copied: names of files of which another copy counts.

        Returns:
            Numbers of existing inputs that are replaced.
        """
        names = {task.name for task in tasks}
        self._loose = {task.release for task in tasks if task.is_loose}
        rest = [one for one in self._standing if one.name not in names]
        gone = {one.number for one in rest if one.name in copied}
        every: list[Task | Standing] = [*tasks, *rest]
        for one, newest in older(every, self._of):
            if isinstance(one, Standing):
                # Snapshots that an old version kept stay until there is a newer one.
                if not isinstance(newest, Standing):
                    gone.add(one.number)
            else:
                if one.known is not None and one.known.is_published:
                    gone.add(one.known.number)
                _leave(one)
        self._standing = [one for one in rest if one.number not in gone]
        return gone

    def stay(
        self, tasks: Iterable[Task], days: Iterable[MemberAccount], choice: TableChoice
    ) -> list[str]:
        """Say which tables are older than the newest package of their organisation.

        Args:
            tasks: tasks that are delivered.
            days: accounts of the files of all packages.
            choice: what was asked for.
        """
        newest: dict[tuple[str, PackageKind], datetime.date] = {}
        there = [one.account for one in self._standing] + [task.account for task in tasks]
        for account in (*days, *there):
            if (package := package_of(account)) is not None and package.day and package.partner:
                key = package.partner.lower(), package.kind
                newest[key] = max(package.day, newest.get(key, package.day))
        told = []
        for account in there:
            package, name = package_of(account), describe_member(account.member)
            if package is None or package.day is None or package.partner is None:
                continue
            last = newest[package.partner.lower(), package.kind]
            is_meant = choice.wants(name) or account.table not in tables()
            if package.day < last and is_meant and choice.wants_course(account.course, name.stem):
                of = " ".join(filter(None, (account.course or name.stem, account.site)))
                told.append(
                    f"{account.table} of {of}: stays as of {package.day}: the package of {last}"
                    " has no good copy"
                )
        return sorted(told)


def _leave(task: Task) -> None:
    task.account.status, task.account.counts = Outcome.OLDER, RowCounts()
    task.account.output = None


def _take_up(task: Task) -> None:
    task.account.status = Outcome.LEFT
    if task.known is not None:
        task.account.status = Outcome.DELIVERED
        task.account.counts = task.known.account.counts
