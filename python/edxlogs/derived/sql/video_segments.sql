-- table: video_segments
-- about: How many learners watched which five seconds of a video: where videos are left, and what
--   is watched again. Staff is not counted.
-- needs: video_viewings course_items?
-- order: site block_id segment
-- columns:
--   site string: Site of the learners.
--   course_id string: The course.
--   block_id string: The video.
--   block_key string: Its usage key.
--   display_name string: Its title.
--   segment int64: Number of the segment, from 0: seconds 5 × segment to 5 × segment + 5.
--   start_s float64 [s]: Where it begins.
--   users int64: Learners with a viewing that touches it.
--   views int64: Viewings that touch it.
--   users_at_start int64: Learners with a viewing that touches the first segment.
--   drop_off float64: Its users by those of the segment that has most.
--   duration float64 [s]: How long the video is, at most.
with
touched as (
    select
        site, block_id, block_key, user_id,
        max(duration) over (partition by site, block_id) as duration,
        unnest(range(floor(start_pos / 5)::bigint, floor(end_pos / 5)::bigint + 1)) as segment
    from video_viewings
    where is_staff is not true
),
counted as (
    select
        site, block_id, block_key, segment, duration,
        count(distinct user_id) as users, count(*) as views
    from touched
    group by all
)
select
    counted.site,
    getvariable('course_id') as course_id,
    counted.block_id, counted.block_key, display_name,
    segment, segment * 5.0::double as start_s, users, views,
    coalesce(
        max(case when segment = 0 then users end) over (partition by counted.site, counted.block_id),
        0
    ) as users_at_start,
    users / (max(users) over (partition by counted.site, counted.block_id))::double as drop_off,
    duration
from counted
left join (
    select block_key, min(display_name) as display_name from course_items group by all
) as titles using (block_key)
