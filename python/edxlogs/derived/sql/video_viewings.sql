-- table: video_viewings
-- about: Which part of a video a learner watched, from a play to the act that ended it. Seconds are
--   those of the video; how long it took is `end_time` − `start_time`.
-- inputs: video_events!
-- needs: video_runs event_blocks persons
-- order: site user_id block_id viewing_no
-- columns:
--   site string: Site of the learner.
--   course_id string: The course.
--   user_id int64 [role: person id]: The learner.
--   username string [role: username]: Name of the learner.
--   is_staff bool: Whether the person has a staff role.
--   block_id string: The video.
--   block_key string: Its usage key, where course_items has it.
--   viewing_no int64: Which viewing of the video by the learner it is, from 1.
--   code string: YouTube's id of the video, or `html5`, `hls` or `mobile`.
--   day date: The day on which it began.
--   start_time timestamp: When it began.
--   end_time timestamp: When it ended.
--   start_pos float64 [s]: Where in the video it began.
--   end_pos float64 [s]: Where it ended.
--   seconds float64 [s]: How much of the video it is.
--   ended_by string: `pause`, `stop` or `seek`.
--   speed float64 [×]: The speed, where an event of the login session told it.
--   duration float64 [s]: How long the video is: its length in the content (OLX), else what most
--     events of the video and code tell.
--   player string: `mobile` or `browser`.
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
