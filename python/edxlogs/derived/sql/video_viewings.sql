-- table: video_viewings
-- about: Which part of a video a learner watched, from a play to the action that ended it. Seconds
--   are those of the video; the time that went by is `end_time` − `start_time`.
-- inputs: video_events!
-- needs: video_runs event_blocks persons
-- order: site user_id block_id viewing_no
-- columns:
--   site string: Site of the learner.
--   course_id string: Course id.
--   user_id int64 [role: person id]: User id of the learner.
--   username string [role: username]: Username of the learner.
--   is_staff bool: Whether the person has a staff role.
--   block_id string: Block id of the video.
--   block_key string: Usage key of the video, if course_items has it.
--   viewing_no int64: Number of the learner's viewing of the video, from 1.
--   code string: YouTube id of the video, or `html5`, `hls` or `mobile`.
--   day date: Day on which the viewing began.
--   start_time timestamp: When it began.
--   end_time timestamp: When it ended.
--   start_pos float64 [s]: Position in the video where it began.
--   end_pos float64 [s]: Position in the video where it ended.
--   seconds float64 [s]: Seconds of the video that it covers.
--   ended_by string: What ended it: `pause`, `stop` or `seek`.
--   speed float64 [×]: Speed, if an event of the login session states it.
--   duration float64 [s]: Length of the video in the course content (OLX), else what most events of
--     the video and code state.
--   player string: Player: `mobile` or `browser`.
with items as (select item_id, min(item_key) as item_key from event_blocks group by all)
select
    site,
    getvariable('course_id') as course_id,
    user_id, username, is_staff, block_id,
    item_key as block_key,
    row_number() over (
        partition by site, user_id, block_id order by start_time, source_no, line, line_item
    ) as viewing_no,
    code,
    timezone(getvariable('tz'), start_time)::date as day,
    start_time, end_time, start_pos, end_pos,
    (end_us - start_us) / 1000000.0::double as seconds,
    ended_by, speed, duration, player
from video_runs
left join persons using (site, user_id)
left join items on item_id = block_id
where dropped is null
