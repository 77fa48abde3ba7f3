-- table: person_video
-- about: How much of each video a learner watched, and how.
-- inputs: video_events!
-- needs: video_viewings learner_events event_blocks persons
-- order: site user_id block_id
-- columns:
--   site string: Site of the learner.
--   course_id string: Course id.
--   user_id int64 [role: person id]: User id of the learner.
--   username string [role: username]: Username of the learner.
--   is_staff bool: Whether the person has a staff role.
--   block_id string: Block id of the video.
--   block_key string: Usage key of the video, if course_items has it.
--   unique_s float64 [s]: Seconds of the video that were seen at least once, exactly.
--   total_s float64 [s]: Seconds seen in all, including repeats.
--   n_viewings int64: Viewings.
--   n_plays int64: How often the video began to play.
--   n_pauses int64: How often it was paused.
--   n_seeks_back int64: Jumps back.
--   n_seeks_forward int64: Jumps forward.
--   max_pos float64 [s]: Furthest position that a viewing reached.
--   duration float64 [s]: Length of the video; of several codes, the longest that was viewed.
--   share float64: Share of the video that was seen, from 0 to 1; null if its length is unknown.
--   completed bool: Whether a viewing reached the end, of which the last 30 s or 5 %, whichever is
--     less, may be missing; null if the length is unknown.
--   first timestamp: Time of the first action with the video.
--   last timestamp: Time of the last action with the video.
with
acts as (
    select
        site, user_id, item_id as block_id,
        count(*) filter (where action = 'play') as n_plays,
        count(*) filter (where action = 'pause') as n_pauses,
        count(*) filter (where action = 'seek' and position_to < position) as n_seeks_back,
        count(*) filter (where action = 'seek' and position_to > position) as n_seeks_forward,
        min(moment) as first,
        max(moment) as last
    from learner_events
    join event_blocks using (block_key)
    where event_table = 'video_events' and is_activity and item_id is not null
    group by all
),
-- The union of intervals: of each viewing, the part that no viewing with an earlier start has
-- reached.
spans as (
    select
        *,
        round(start_pos * 1000000)::bigint as start_us,
        round(end_pos * 1000000)::bigint as end_us
    from video_viewings
),
parts as (
    select
        *,
        max(end_us) over (
            partition by site, user_id, block_id
            order by start_us, end_us, viewing_no
            rows between unbounded preceding and 1 preceding
        ) as reached_us
    from spans
),
seen as (
    select
        site, user_id, block_id,
        sum(
            greatest(end_us - greatest(start_us, coalesce(reached_us, start_us)), 0)
        ) / 1000000.0::double as unique_s,
        sum(end_us - start_us) / 1000000.0::double as total_s,
        count(*) as n_viewings,
        max(end_pos) as max_pos,
        max(duration) as duration,
        bool_or(end_pos >= greatest(duration - 30, duration * 0.95)) as completed
    from parts
    group by all
),
items as (select item_id as block_id, min(item_key) as block_key from event_blocks group by all)
select
    site,
    getvariable('course_id') as course_id,
    user_id, username, is_staff, block_id, block_key,
    coalesce(unique_s, 0) as unique_s,
    coalesce(total_s, 0) as total_s,
    coalesce(n_viewings, 0) as n_viewings,
    n_plays, n_pauses, n_seeks_back, n_seeks_forward,
    max_pos, duration,
    case when unique_s > duration then 1 else unique_s / duration end as share,
    completed, first, last
from acts
left join seen using (site, user_id, block_id)
left join persons using (site, user_id)
left join items using (block_id)
