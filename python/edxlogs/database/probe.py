"""The course that the first bytes of a table tell."""

from __future__ import annotations

import json
import re

from edxlogs.edx.tables import Dialect, Table

PROBED = (
    "student_courseenrollment",
    "course_structure",
    "forum",
    "certificates_generatedcertificate",
    "grades_persistentcoursegrade",
    "student_anonymoususerid",
    "courseware_studentmodule",
)
"""Tables to look into, the likeliest to hold a row first."""

_KEY = re.compile(rb'"(?:(?:ccx-)?block-v1:|i4x://)(?:[^"\\]|\\.)*"')
_NEW_BLOCK = re.compile(r"(?P<ccx>ccx-)?block-v1:(?P<body>.+?)\+type@.*", re.DOTALL)
_OLD_ROOT = re.compile(r"i4x://([^/]+)/([^/]+)/course/([^/]+)")
_IN_POST = re.compile(rb'"course_id"\s*:\s*("(?:[^"\\]|\\.)*")')


def course_in_structure(text: bytes) -> str | None:
    """The course of the usage keys that a course structure begins with."""
    for match in _KEY.finditer(text):
        key = _decoded(match[0]) or ""
        if new := _NEW_BLOCK.fullmatch(key):
            return f"{'ccx-v1' if new['ccx'] else 'course-v1'}:{new['body']}"
        if old := _OLD_ROOT.fullmatch(key):
            return "/".join(old.groups())
    return None


def _decoded(string: bytes) -> str | None:
    try:
        text: str = json.loads(string)
    except ValueError:
        return None
    return text


def course_in_head(table: Table, head: bytes) -> str | None:
    """The course that the first bytes of a file, decrypted, tell; None if they do not."""
    if table.dialect is Dialect.STRUCTURE:
        return course_in_structure(head)
    if table.dialect is Dialect.FORUM:
        match = _IN_POST.search(head)
        return _decoded(match[1]) if match else None
    header, *rows = head.split(b"\n", 2)
    names = header.split(b"\t")
    if b"course_id" not in names or not rows:
        return None
    fields = rows[0].split(b"\t")
    if len(fields) != len(names):
        return None
    course = fields[names.index(b"course_id")].decode(errors="replace")
    return course if course not in ("", "NULL") and "\\" not in course else None
