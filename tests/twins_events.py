"""Learners' events once more in plain Python, by the definitions that all derived tables share.

It never reads the SQL. An event is the row of its table, with what was found out about it: `person`
(site and user), `at`, `day`, `table`, `act` (whether it is one), `kind` and `nth`, its place in the
order of all events of one moment.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]
Inputs = Mapping[str, Sequence[Row]]
Person = tuple[str, int]

OF_LEARNERS = ("problem", "video", "forum", "navigation", "ora", "completion", "exam", "content")
ALL_TABLES = [
    *(f"{name}_events" for name in (*OF_LEARNERS, "block", "study", "textbook", "other")),
    "requests",
]
"""Tables of events that learners cause."""
PAGES = ("courseware", "xblock_view", "wiki", "pdfbook", "htmlbook", "book")
OTHER_PAGES = ("course_home", "info", "progress", "syllabus")
LEARNERS_SOURCES = ("browser", "mobile", "server")
KINDS = ("video", "problem", "forum", "ora", "text", "other")


def micros(span: timedelta) -> int:
    """A span in whole microseconds."""
    return span // timedelta(microseconds=1)


def day_of(moment: datetime, parameters: Mapping[str, Any]) -> date:
    return moment.astimezone(ZoneInfo(parameters["tz"])).date()


def order(event: Row) -> tuple[Any, ...]:
    """Where an event stands among others."""
    return (event["at"], event["source"], event["line"], event["line_item"])


def accounts(inputs: Inputs) -> dict[tuple[str, str], int]:
    """User by site and username."""
    found: dict[tuple[str, str], int] = {}
    for row in inputs.get("db_auth_user", ()):
        if row.get("username") and row.get("id") is not None:
            key = (row.get("site") or "", row["username"])
            found[key] = min(row["id"], found.get(key, row["id"]))
    return found


def site_of(row: Row, inputs: Inputs) -> str:
    """The site of an event, or the only one of the package's people."""
    if row.get("site") is not None:
        return str(row["site"])
    tables = ("db_auth_user", "db_student_courseenrollment")
    sites = {one.get("site") or "" for name in tables for one in inputs.get(name, ())}
    return sites.pop() if len(sites) == 1 else ""


def opened(inputs: Inputs) -> datetime:
    """A day before the course was made, as far as enrolments tell."""
    rows = inputs.get("db_student_courseenrollment", ())
    edx = datetime(2012, 1, 1, tzinfo=UTC)
    first = max(edx, min((row["created"] for row in rows if row.get("created")), default=edx))
    return first - timedelta(days=1)


def moment_of(row: Row, first: datetime) -> tuple[datetime | None, bool]:
    """When an event happened, and whether its clock was wrong."""
    its, received = row.get("time"), row.get("received_at")
    if row.get("event_source") == "mobile" and its and received:
        late = its > received + timedelta(minutes=5)
        if late or its < first:
            return received, True
    return its or received, False


def _shown_at_load(inputs: Inputs) -> Callable[[Row], bool]:
    who = ("user_id", "username", "site", "block_id")
    loads = defaultdict(list)
    for row in inputs.get("video_events", ()):
        if row["action"] == "load" and row.get("time") and row.get("block_id") is not None:
            loads[tuple(row.get(one) for one in who)].append(row["time"])

    def decide(row: Row) -> bool:
        its = row.get("time")
        return bool(its) and any(
            timedelta(0) <= its - load <= timedelta(seconds=5)
            for load in loads[tuple(row.get(one) for one in who)]
        )

    return decide


def learner_events(inputs: Inputs, parameters: Mapping[str, Any]) -> list[Row]:
    """All events of learners, in order."""
    names, first = accounts(inputs), opened(inputs)
    at_load = _shown_at_load(inputs)
    views = [
        row["time"]
        for row in inputs.get("forum_events", ())
        if row["action"] == "view" and row.get("time")
    ]
    first_view = day_of(min(views), parameters) if views else None

    def judge(table: str, row: Row) -> tuple[bool, str]:
        action = row.get("action")
        if table == "problem_events":
            return action in ("check", "save", "reset", "answer_shown", "hint"), "problem"
        if table == "video_events":
            if action == "transcript_show" and at_load(row):
                return False, "video"
            return action not in ("load", "bumper_load"), "video"
        if table == "forum_events":
            return True, "forum"
        if table == "ora_events":
            return True, "ora"
        if table == "textbook_events":
            return True, "text"
        if table in ("block_events", "study_events"):
            return True, "other"
        if table == "navigation_events":
            return action != "close", "other"
        if table == "requests":
            if row.get("route") == "discussion":
                if row.get("forum_action") not in ("read", "read_inline"):
                    return False, "forum"
                if first_view is None or row.get("time") is None:
                    return True, "forum"
                return day_of(row["time"], parameters) < first_view, "forum"
            if row.get("route") in PAGES:
                return True, "text"
            return row.get("route") in OTHER_PAGES, "other"
        return False, "other"

    found = []
    for table in ALL_TABLES:
        for row in inputs.get(table, ()):
            site = site_of(row, inputs)
            user = row.get("user_id")
            if user is None:
                user = names.get((site, row.get("username") or ""))
            at, clock = moment_of(row, first)
            flags = (row.get("flags") or "").split()
            source = row.get("event_source")
            if user is None or at is None or "worker" in flags:
                continue
            if source not in LEARNERS_SOURCES:
                continue
            act, kind = judge(table, row)
            word = row.get("route") if table == "requests" else table.removesuffix("_events")
            found.append(
                {
                    **row,
                    "person": (site, user),
                    "at": at,
                    "day": day_of(at, parameters),
                    "clock": clock,
                    "table": table,
                    "act": act,
                    "kind": kind if act else None,
                    "post_kind": row.get("kind"),
                    "word": word,
                    "is_mobile": source == "mobile",
                }
            )
    return sorted(found, key=order)


def subject_events(inputs: Inputs, parameters: Mapping[str, Any]) -> list[Row]:
    """Events about people who need not have caused them, in order."""
    names = accounts(inputs)
    found = []
    for table in ("enrollment_events", "grade_events", "completion_events"):
        for row in inputs.get(table, ()):
            user, name = row.get("subject_user_id"), row.get("subject_username")
            if table == "completion_events" and user is None and name is None:
                user, name = row.get("user_id"), row.get("username")
            site = site_of(row, inputs)
            user = names.get((site, name or "")) if user is None else user
            at = row.get("time") or row.get("received_at")
            if user is not None and at is not None:
                its = {"person": (site, user), "at": at, "day": day_of(at, parameters)}
                found.append({**row, **its, "table": table})
    return sorted(found, key=order)


def by_person(events: Iterable[Row]) -> dict[Person, list[Row]]:
    found: dict[Person, list[Row]] = defaultdict(list)
    for event in events:
        found[event["person"]].append(event)
    return found


def persons(inputs: Inputs, parameters: Mapping[str, Any]) -> dict[Person, Row]:
    """Everybody whom a table of the package or an event names."""
    names: dict[Person, list[str]] = defaultdict(list)
    for row in inputs.get("db_auth_user", ()):
        if row.get("id") is not None:
            its = names[(row.get("site") or "", row["id"])]
            its.extend([row["username"]] if row.get("username") else [])
    roles: dict[Person, set[str]] = defaultdict(set)
    for row in inputs.get("db_student_courseaccessrole", ()):
        roles[(row.get("site") or "", row["user_id"])].add(row["role"])
    forum: dict[Person, set[str]] = defaultdict(set)
    for row in inputs.get("db_django_comment_client_role_users", ()):
        forum[(row.get("site") or "", row["user_id"])].add(row["name"])
    events = by_person(learner_events(inputs, parameters))
    named = {one["person"] for one in subject_events(inputs, parameters)}
    for row in inputs.get("db_student_courseenrollment", ()):
        if row.get("user_id") is not None:
            named.add((row.get("site") or "", row["user_id"]))
    is_known = bool(
        {"db_student_courseaccessrole", "db_django_comment_client_role_users"} & set(inputs)
    )
    found = {}
    for person in {*names, *roles, *forum, *events, *named}:
        last = [one["username"] for one in events.get(person, ()) if one.get("username")]
        staff = person in roles or bool(forum.get(person, set()) - {"Student"})
        if person in names:
            username = min(names[person], default=None)
        else:
            username = last[-1] if last else None
        found[person] = {
            "site": person[0],
            "user_id": person[1],
            "username": username,
            "in_auth_user": person in names if "db_auth_user" in inputs else None,
            "roles": ", ".join(sorted(roles[person])) if person in roles else None,
            "forum_roles": ", ".join(sorted(forum[person])) if person in forum else None,
            "is_staff": True if staff else False if is_known else None,
        }
    return found


def head(person: Person, everybody: Mapping[Person, Row], parameters: Mapping[str, Any]) -> Row:
    """The first columns of a row about a person."""
    its = everybody.get(person, {})
    return {
        "site": person[0],
        "course_id": parameters["course_id"],
        "user_id": person[1],
        "username": its.get("username"),
        "is_staff": its.get("is_staff"),
    }


def if_there(inputs: Inputs, tables: str, value: Any) -> Any:
    """A value that one of some tables tells; None where all of them are missing."""
    return value if set(tables.split()) & set(inputs) else None


def events_account(inputs: Inputs, parameters: Mapping[str, Any]) -> dict[str, int]:
    """How many events are left out and why, and how many clocks were wrong."""
    known = learner_events(inputs, parameters)
    counts: Counter[str] = Counter(
        f"wrong clocks in {one['table']}" for one in known if one["clock"]
    )
    there = {(one["table"], one["source"], one["line"], one["line_item"]) for one in known}
    for table in ALL_TABLES:
        for row in inputs.get(table, ()):
            if (table, row["source"], row["line"], row["line_item"]) in there:
                continue
            source = row.get("event_source")
            if "worker" in (row.get("flags") or "").split() or source not in LEARNERS_SOURCES:
                why = "events without a person"
            elif not (row.get("time") or row.get("received_at")):
                why = "events without a time"
            elif row.get("user_id") is None and not row.get("username"):
                why = "events of visitors"
            else:
                why = "events of usernames without an account"
            counts[f"{why} in {table}"] += 1
    return dict(counts)
