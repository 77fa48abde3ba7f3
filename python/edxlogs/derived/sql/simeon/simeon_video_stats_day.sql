-- table: simeon_video_stats_day
-- about: How far each learner came in each video on each day, with the column names of simeon and
--   edx2bigquery.
-- inputs: video_events!
-- needs: learner_events event_blocks persons
-- order: username date video_id
-- columns:
--   date date: Day in the time zone `tz`.
--   username string [role: username]: Username of the learner.
--   video_id string: Block id of the video.
--   position float64 [s]: Furthest position at which it was played, paused or stopped.
-- differs: position
select day as date, persons.username, item_id as video_id, max(position) as position
from learner_events
join event_blocks using (block_key)
left join persons using (site, user_id)
where event_table = 'video_events'
    and action in ('play', 'pause', 'stop')
    and item_id is not null
group by all
