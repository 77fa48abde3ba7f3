"""Requests: what the server wrote of each page and call, by all routes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from families.scene import Act, Scene

Fields = Mapping[str, Sequence[str]]
_HANDLERS = (
    ("problem", "xmodule_handler/problem_get"),
    ("problem", "xmodule_handler/problem_show"),
    ("problem", "xmodule_handler/input_ajax"),
    ("video", "transcript/translation/en"),
    ("video", "publish_completion"),
    ("sequential", "xmodule_handler/goto_position"),
    ("sequential", "xmodule_handler/get_completion"),
    ("openassessment", "render_submission"),
    ("openassessment", "submit"),
    ("poll", "vote"),
    ("drag-and-drop-v2", "drop_item"),
    ("html", "publish_completion"),
)
_COURSE_PAGES = (
    "",
    "info",
    "syllabus",
    "progress",
    "about",
    "wiki/",
    "course_wiki",
    "wiki/CS101/notes/_edit/",
    "pdfbook/0/",
    "pdfbook/0/chapter/2/7",
    "htmlbook/0/",
    "courseware",
    "courseware/",
    "courseware/Week_1/",
    "courseware/Week_1/Part_2/",
    "courseware/Week_1/Part_2/3",
    "courseware/Week_1/Part_2/3?activate_block_id=x",
    "course/",
    "jump_to_id/9cee77a6",
    "instructor",
    "instructor/api/list_instructor_tasks",
    "edxnotes/",
    "edxnotes/notes",
    "teams/",
    "bookmarks/",
    "search/",
    "news",
    "verify_student/start-flow",
    "submission_history/amy/i4x:;_;_X;_Y;_problem;_p",
    "lti_rest_endpoints/",
)
_SITE_PAGES = (
    "/",
    "/dashboard",
    "/courses",
    "/login",
    "/login_ajax",
    "/logout",
    "/register",
    "/signin",
    "/create_account",
    "/accounts/login",
    "/account/settings",
    "/account/finish_auth",
    "/user_api/v1/account/registration/",
    "/search/course_discovery/",
    "/i18n.js",
    "/jsi18n/",
    "/jsi18n/djangojs/",
    "/heartbeat",
    "/event",
    "/api/bookmarks/v1/bookmarks/",
    "/api/mobile/v0.5/my_user_info",
    "/api/courses/v1/courses/",
    "/api/edx_proctoring/v1/proctored_exam/attempt",
    "/api/enrollment/v1/enrollment",
    "/edxnotes/api/v1/annotations/",
    "/notification_prefs/status/",
    "/asset-v1:X+Y+Z+type@asset+block/a.png",
    "/xmodule/xmodule.js",
    "/odd//path/%FF",
)


def course_requests(scene: Scene) -> Iterator[Act]:
    """Requests whose path names the course."""
    start = f"/courses/{scene.course.key}"
    for page in _COURSE_PAGES:
        yield _get(f"{start}/{page}")
    for kind, handler in _HANDLERS:
        key = scene.key(kind).replace("/", ";_")
        yield _get(f"{start}/xblock/{key}/handler/{handler}", _timed(scene))
    sequence = scene.course.sequences.draw()
    position = {"position": [str(1 + scene.below(9))]}
    yield _post(f"{start}/modx/{sequence.usage_key}/goto_position", position)
    yield _get(f"{start}/modx/{scene.course.problems.draw().usage_key}/problem_get")
    yield _get(f"{start}/jump_to/{scene.key('vertical')}")
    yield _get(f"/xblock/{scene.key('vertical')}", {"show_title": ["0"]})
    yield _get(f"{start}/xblock/{scene.key('html')}/view/student_view")
    yield _get(f"{start}/progress/{scene.other_id()}/")
    yield _get(f"/certificates/user/{scene.other_id()}/course/{scene.course.key}")
    yield _get(f"/api/courses/v1/blocks/{scene.key('course')}", {"depth": ["all"]})
    yield _get(f"/api/courses/v1/courses/{scene.course.key}")
    yield _get(f"/api/mobile/v0.5/course_info/{scene.course.key}/updates")
    yield _get(f"/api/course_home/v1/outline/{scene.course.key}")
    yield _get(f"/api/edx_proctoring/v1/proctored_exam/attempt/course_id/{scene.course.key}")
    yield _get(f"/api/team/v0/teams/?course_id={scene.course.key}")
    yield from _discussion(scene, f"{start}/discussion")
    # Old logs end such a payload at 512 characters.
    essay = {f"input_{scene.key('problem')}_2_1": [scene.words(200)]}
    cut = _post(
        f"{start}/xblock/{scene.key('problem')}/handler/xmodule_handler/problem_check", essay
    )
    yield Act(cut.event_type, cut.payload, "request", layout="text", cut=512)
    body = json.dumps({"course_id": scene.course.key, "usage_id": scene.key("vertical")})
    yield _post(f"{start}/xblock/{scene.key('html')}/handler/publish_completion", {body: [""]})


def site_requests(scene: Scene) -> Iterator[Act]:
    """Requests of no course: no path names one."""
    for page in _SITE_PAGES:
        yield _get(page)
    yield _get(f"/u/{scene.other_name()}")
    yield _get(f"/api/user/v1/accounts/{scene.other_name()}")
    yield _get(f"/api/mobile/v0.5/users/{scene.other_name()}/course_enrollments/")
    yield _get(f"/certificates/{scene.uuid()}")
    yield _post("/search/course_discovery/", {"search_string": [scene.words(2)]})
    yield _get("/courses", {"q": [scene.words(1)]})
    sign_up = {"username": [scene.other_name()], "password": ["********"], "email": ["a@b.example"]}
    yield _post("/create_account", sign_up)
    yield _post("/segmentio/event", {str(number): ["x"] for number in range(40)})


def _discussion(scene: Scene, start: str) -> Iterator[Act]:
    thread, comment, topic = scene.hex24(), scene.hex24(), scene.key("discussion")[-32:]
    ajax = {"ajax": ["1"]}
    yield _get(f"{start}/forum", ajax | {"sort_key": ["date"]})
    yield _get(f"{start}/forum/", ajax | {"page": ["2"]})
    yield _get(f"{start}/forum/search", ajax | {"text": [scene.words(2)]})
    yield _get(f"{start}/forum/{topic}/inline", ajax | {"page": ["1"]})
    yield _get(f"{start}/forum/{topic}/threads/{thread}", ajax | {"resp_skip": ["0"]})
    yield _get(f"{start}/forum/users/{scene.other_id()}")
    yield _get(f"{start}/forum/users/{scene.other_id()}/followed")
    post = {"title": [scene.words(2)], "body": [scene.words(8)], "anonymous": ["false"]}
    yield _post(f"{start}/{topic}/threads/create", post)
    for act in ("reply", "update", "delete", "upvote", "unvote", "close", "pin", "unpin"):
        yield _post(f"{start}/threads/{thread}/{act}", {"body": [scene.words(3)]}, ajax)
    for act in ("follow", "unfollow", "flagAbuse", "unFlagAbuse", "endorse"):
        yield _post(f"{start}/threads/{thread}/{act}", {}, ajax)
    for act in ("reply", "update", "delete", "upvote", "unvote", "endorse", "flagAbuse"):
        yield _post(f"{start}/comments/{comment}/{act}", {"body": [scene.words(3)]}, ajax)


def _timed(scene: Scene) -> Fields:
    return {"_": [str(1_412_000_000_000 + scene.below(10**9))]}


def _get(path: str, fields: Fields | None = None) -> Act:
    return _post(path, {}, fields)


def _post(path: str, fields: Fields, query: Fields | None = None) -> Act:
    return Act(path, {"POST": fields, "GET": query or {}}, "request", layout="text")
