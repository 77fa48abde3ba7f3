"""Video: players of browsers and apps in their spellings, and clips before a video."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from families.scene import Act, Scene

_BUMPER = (
    "loaded",
    "played",
    "stopped",
    "skipped",
    "dismissed",
    "transcript.shown",
    "transcript.hidden",
    "transcript.menu.shown",
    "transcript.menu.hidden",
)
_APPS = (
    ("load_video", "edx.video.loaded"),
    ("play_video", "edx.video.played"),
    ("pause_video", "edx.video.paused"),
    ("stop_video", "edx.video.stopped"),
    ("show_transcript", "edx.video.transcript.shown"),
    ("hide_transcript", "edx.video.transcript.hidden"),
    ("video_show_cc_menu", "edx.video.language_menu.shown"),
    ("video_hide_cc_menu", "edx.video.language_menu.hidden"),
    ("edx.video.closed_captions.shown", "edx.video.closed_captions.shown"),
    ("edx.video.closed_captions.hidden", "edx.video.closed_captions.hidden"),
)


def video(scene: Scene) -> Iterator[Act]:
    """The players of browsers: names, keys of the place and forms of numbers as they changed."""
    for kind, payload in (
        ("load_video", {"duration": 0}),
        ("play_video", {"currentTime": 1, "speed": "1.50"}),
        ("pause_video", {"currentTime": 12.5, "duration": "null"}),
        ("stop_video", {"current_time": "194.2", "duration": 195}),
        ("seek_video", {"old_time": 2.5, "new_time": 141, "type": "onCaptionSeek"}),
        ("seek_video", {"old_time": 30.25, "new_time": 30.25, "type": "onSlideSeek"}),
        ("edx.video.position.changed", {"currentTime": 194, "new_time": 195, "duration": 195}),
        ("edx.video.seeked", {"old_time": 60, "new_time": 30, "type": "onSkipSeek"}),
        ("speed_change_video", {"current_time": 3.1, "old_speed": "1.0", "new_speed": "1.25"}),
        ("speed_change_video", {"currentTime": 9, "old_speed": 1, "new_speed": "NaN"}),
        ("complete_video", {"duration": 195}),
        ("edx.video.completed", {"currentTime": 190, "duration": 195}),
        ("show_transcript", {"currentTime": 0}),
        ("hide_transcript", {"current_time": 16.6}),
        ("edx.video.transcript.shown", {"current_time": 2}),
        ("edx.video.transcript.hidden", {"current_time": 4}),
        ("edx.video.closed_captions.shown", {"current_time": 19.1}),
        ("edx.video.closed_captions.hidden", {"current_time": 21.1}),
        ("video_show_cc_menu", {}),
        ("video_hide_cc_menu", {"language": "de"}),
        ("edx.video.language_menu.shown", {}),
        ("edx.video.language_menu.hidden", {"language": "zh"}),
        ("edx.video.loaded", {"duration": 600}),
        ("edx.video.played", {"currentTime": 600_000}),
        ("edx.video.paused", {"currentTime": -1}),
        ("edx.video.stopped", {"currentTime": None}),
        ("skip_video", {"currentTime": 5}),
        ("do_not_show_again_video", {"currentTime": 5}),
        ("auto_advance_change_video", {"enabled": True}),
    ):
        yield Act(kind, _of(scene) | payload, "browser", kind, "text")
    yield Act("play_video", _of(scene) | {"currentTime": 3}, "browser", "", "text in text")
    yield Act("pause_video", _of(scene) | {"currentTime": 4.25}, "browser", "play_video")
    for kind in _BUMPER:
        payload = {
            "host_component_id": scene.course.videos.draw().part,
            "bumper_id": "https://video.example/welcome.webm",
            "code": "html5",
            "duration": 10,
            "currentTime": scene.below(10),
        }
        yield Act(f"edx.video.bumper.{kind}", payload, "browser", "", "text")


def apps(scene: Scene) -> Iterator[Act]:
    """The apps: the old name as type, the new one as name; and screens."""
    for number, (kind, name) in enumerate(_APPS):
        place = "current_time" if number % 3 else "currentTime"
        payload = {"code": "mobile", place: scene.seconds(), "id": _of(scene)["id"]}
        yield Act(kind, payload, "mobile", name, "text" if number % 2 else "object")
    old = {"module_id": scene.course.videos.draw().usage_key, "code": "html5", "current_time": 0}
    yield Act("play_video", old, "mobile", "edx.video.played")
    skip = {"old_time": 60, "new_time": 30, "requested_skip_interval": -30, "type": "skip"}
    seek = _of(scene) | {"code": "mobile"} | skip
    yield Act("seek_video", seek, "mobile", "edx.video.position.changed", "text")
    yield Act("edx.video.seeked", seek, "mobile", "edx.video.seeked", "text")
    yield Act("edx.video.completed", _of(scene), "mobile", "edx.video.completed", "text")
    screen = {"screen_name": "Course Outline", "category": "screen"}
    kind = "edx.bi.app.navigation.screen"
    yield Act(kind, screen, "mobile", kind, "text")


def _of(scene: Scene) -> dict[str, Any]:
    block = scene.course.videos.draw()
    return {"id": block.part, "code": block.part[-11:]}
