-- table: simeon_time_on_task_totals
-- about: Time on task over all days, with the column names of simeon and edx2bigquery.
-- inputs: problem_events video_events forum_events navigation_events requests ora_events
--   block_events study_events textbook_events
-- needs: simeon_time_on_task
-- order: username
-- columns:
--   course_id string: Course id.
--   username string [role: username]: Username of the learner.
--   total_time_5 float64 [s]: Null, as in `simeon_time_on_task`.
--   total_time_30 float64 [s]: Total time.
--   total_video_time_5 float64 [s]: Null.
--   total_video_time_30 float64 [s]: Time after video actions.
--   serial_video_time_30 float64 [s]: Null.
--   total_problem_time_5 float64 [s]: Time after problem actions.
--   total_problem_time_30 float64 [s]: Null.
--   serial_problem_time_30 float64 [s]: Null.
--   total_forum_time_5 float64 [s]: Time after forum actions.
--   total_forum_time_30 float64 [s]: Null.
--   serial_forum_time_30 float64 [s]: Null.
--   total_text_time_5 float64 [s]: Null.
--   total_text_time_30 float64 [s]: Time after pages and textbooks were opened.
--   serial_text_time_30 float64 [s]: Null.
-- differs: total_time_30 total_video_time_30 total_problem_time_5 total_forum_time_5
--   total_text_time_30
select
    course_id, username,
    null as total_time_5, us / 1e6 as total_time_30,
    null as total_video_time_5, video_us / 1e6 as total_video_time_30,
    null as serial_video_time_30,
    problem_us / 1e6 as total_problem_time_5, null as total_problem_time_30,
    null as serial_problem_time_30,
    forum_us / 1e6 as total_forum_time_5, null as total_forum_time_30,
    null as serial_forum_time_30,
    null as total_text_time_5, text_us / 1e6 as total_text_time_30,
    null as serial_text_time_30
from (
    select
        course_id, username,
        -- Times are whole microseconds, so their sums are exact.
        sum(round(total_time_30 * 1000000)::bigint) as us,
        sum(round(total_video_time_30 * 1000000)::bigint) as video_us,
        sum(round(total_problem_time_5 * 1000000)::bigint) as problem_us,
        sum(round(total_forum_time_5 * 1000000)::bigint) as forum_us,
        sum(round(total_text_time_30 * 1000000)::bigint) as text_us
    from simeon_time_on_task
    group by all
)
