-- table: video_segments
-- about: How many learners watched each five seconds of a video: where they leave it, and what they
--   watch again. Staff are left out.
-- needs: video_viewings course_items?
-- order: site block_id segment
-- columns:
--   site string: Site of the learners.
--   course_id string: Course id.
--   block_id string: Block id of the video.
--   block_key string: Usage key of the video.
--   display_name string: Title of the video.
--   segment int64: Number of the segment, from 0: it covers seconds 5 × segment to 5 × segment + 5.
--   start_s float64 [s]: Position in the video where the segment begins.
--   users int64: Learners with a viewing that touches the segment.
--   views int64: Viewings that touch the segment.
--   users_at_start int64: Learners with a viewing that touches the first segment.
--   drop_off float64: `users` divided by the most `users` that any segment of the video has.
--   duration float64 [s]: Length of the video; the longest, if several are known.
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
