"""Two tables of events by DuckDB, with the JSON paths written by hand, as a notebook has them.

`event_table_peers.py TABLE OUT FILE...` writes `video_events` or `problem_inputs` to a Parquet
file. It reads what is spelled as most of the logs spell it: payloads that are an object or JSON
text of one, in the keys of browsers and apps; no forms, no text in text, no flags.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

VIDEO_ACTS = {
    "load": ("load_video", "edx.video.loaded"),
    "play": ("play_video", "edx.video.played"),
    "pause": ("pause_video", "edx.video.paused"),
    "stop": ("stop_video", "edx.video.stopped"),
    "seek": ("seek_video", "edx.video.position.changed", "edx.video.seeked"),
    "speed": ("speed_change_video",),
    "complete": ("complete_video", "edx.video.completed"),
    "transcript_show": ("show_transcript", "edx.video.transcript.shown"),
    "transcript_hide": ("hide_transcript", "edx.video.transcript.hidden"),
    "captions_show": ("edx.video.closed_captions.shown",),
    "captions_hide": ("edx.video.closed_captions.hidden",),
    "menu_show": ("video_show_cc_menu", "edx.video.language_menu.shown"),
    "menu_hide": ("video_hide_cc_menu", "edx.video.language_menu.hidden"),
    "skip": ("skip_video",),
    "skip_forever": ("do_not_show_again_video",),
    "auto_advance": ("auto_advance_change_video",),
    **{
        f"bumper_{action}": (f"edx.video.bumper.{word}",)
        for action, word in (
            ("load", "loaded"),
            ("play", "played"),
            ("stop", "stopped"),
            ("skip", "skipped"),
            ("dismiss", "dismissed"),
            ("transcript_show", "transcript.shown"),
            ("transcript_hide", "transcript.hidden"),
            ("menu_show", "transcript.menu.shown"),
            ("menu_hide", "transcript.menu.hidden"),
        )
    },
}
CHECKS = (
    *("problem_check", "save_problem_check", "problem_check_fail", "save_problem_check_fail"),
    *("save_problem_success", "save_problem_fail", "problem_rescore"),
)
LINES = """
    SELECT *, CASE WHEN json_type(event) = 'VARCHAR' THEN TRY_CAST(event->>'$' AS JSON)
        ELSE event END AS payload
    FROM read_json({files!r}, format = 'newline_delimited', columns = {columns!r})
"""
SPINE = """
    TRY_CAST(time AS TIMESTAMPTZ) AS time, context->>'course_id' AS course_id,
    TRY_CAST(context->>'user_id' AS BIGINT) AS user_id, username, session, ip, agent,
    event_source, event_type, name
"""
VIDEO = """
    SELECT {spine}, CASE {acts} END AS action,
        coalesce(payload->>'id', payload->>'module_id', payload->>'host_component_id') AS block_key,
        payload->>'code' AS code,
        TRY_CAST(CASE WHEN action = 'seek' AND payload->>'old_time' IS NOT NULL
            THEN payload->>'old_time'
            ELSE coalesce(payload->>'currentTime', payload->>'current_time') END AS DOUBLE)
            AS position,
        TRY_CAST(payload->>'new_time' AS DOUBLE) AS position_to,
        payload->>'type' AS seek_kind,
        TRY_CAST(payload->>'duration' AS DOUBLE) AS duration,
        TRY_CAST(payload->>'old_speed' AS DOUBLE) AS speed_from,
        TRY_CAST(coalesce(payload->>'new_speed', payload->>'speed') AS DOUBLE) AS speed_to,
        payload->>'language' AS language
    FROM lines WHERE event_type IN {types} OR name IN {types}
"""
PROBLEM = """
    SELECT {spine}, payload->>'problem_id' AS block_key,
        TRY_CAST(payload->>'attempts' AS BIGINT) AS attempts, input_id,
        TRY_CAST(regexp_extract(input_id, '_([0-9]+)_[0-9]+$', 1) AS BIGINT) AS part,
        answers->>('$."' || input_id || '"') AS answer,
        payload->'submission'->('$."' || input_id || '"')->>'answer' AS answer_text,
        payload->'submission'->('$."' || input_id || '"')->>'response_type' AS response_type,
        payload->'correct_map'->('$."' || input_id || '"')->>'correctness' AS correctness,
        TRY_CAST(payload->'correct_map'->('$."' || input_id || '"')->>'npoints' AS DOUBLE)
            AS npoints
    FROM (
        SELECT *, payload->'answers' AS answers, unnest(list_distinct(list_concat(
            json_keys(payload->'answers'), json_keys(payload->'correct_map')))) AS input_id
        FROM lines
        WHERE event_type IN {checks} AND event_source <> 'browser'
    )
    WHERE NOT regexp_matches(input_id, '_(dynamath|comment|comment_value)$')
"""
TEXTS = ("time", "username", "session", "ip", "agent", "event_source", "event_type", "name")


def table(name: str, out: str, files: Sequence[str]) -> None:
    """Write one table of the events of files."""
    import duckdb

    columns = dict.fromkeys(TEXTS, "VARCHAR") | dict.fromkeys(("context", "event"), "JSON")
    acts = " ".join(
        f"WHEN event_type IN {_list(types)} OR name IN {_list(types)} THEN '{action}'"
        for action, types in VIDEO_ACTS.items()
    )
    types = _list([one for its in VIDEO_ACTS.values() for one in its])
    query = {"video_events": VIDEO, "problem_inputs": PROBLEM}[name]
    select = query.format(spine=SPINE, acts=acts, types=types, checks=_list(CHECKS))
    duckdb.sql("SET TimeZone = 'UTC'")
    duckdb.sql(f"""
        COPY (WITH lines AS ({LINES.format(files=list(files), columns=columns)}) {select})
        TO '{out}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)
    """)


def _list(words: Sequence[str]) -> str:
    """Words as a list of SQL."""
    return f"({', '.join(repr(word) for word in words)})"


if __name__ == "__main__":
    table(sys.argv[1], sys.argv[2], sys.argv[3:])
