-- table: sessions
-- about: What learners did without a longer break.
-- inputs: video_events problem_events navigation_events
-- order: site, user_id, session_no
-- columns:
--   site string: `prod` or `edge`.
--   course_id string: Id of the course.
--   user_id int64 [role: person id]: Whose session.
--   session_no int64: Number of the session, from 1.
--   start timestamp: When it began.
--   end timestamp: When it ended.
--   n_events int64: How many events are in it.
with acts as (
    select site, course_id, user_id, time from video_events
    union all select site, course_id, user_id, time from problem_events
    union all select site, course_id, user_id, time from navigation_events
),
begun as (
    select *, coalesce(
        epoch_us(time) - epoch_us(lag(time) over person) > getvariable('gap'), true
    )::int as begins
    from acts
    where user_id is not null and time is not null
    window person as (partition by site, user_id order by time)
),
numbered as (
    select *, sum(begins) over (partition by site, user_id order by time) as session_no
    from begun
)
select
    site, course_id, user_id, session_no, min(time) as start, max(time) as "end",
    count(*) as n_events
from numbered
group by all
