-- table: simeon_time_on_task
-- about: Time on task, with the column names of simeon and edx2bigquery. Theirs leaves out gaps
--   longer than the cap, ours counts them as the cap. Kinds of time overlap in theirs, but not in
--   ours.
-- inputs: problem_events video_events forum_events navigation_events requests ora_events
--   block_events study_events textbook_events
-- needs: time_on_task
-- order: username date
-- columns:
--   course_id string: Course id.
--   date date: Day on which the gaps begin.
--   username string [role: username]: Username of the learner.
--   total_time_5 float64 [s]: Null: there is one measure, with a cap for each kind.
--   total_time_30 float64 [s]: Total time.
--   total_video_time_5 float64 [s]: Null.
--   total_video_time_30 float64 [s]: Time after video actions.
--   serial_video_time_30 float64 [s]: Null: no time is of two kinds.
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
    course_id, day as date, username,
    null as total_time_5, time_s as total_time_30,
    null as total_video_time_5, time_video_s as total_video_time_30,
    null as serial_video_time_30,
    time_problem_s as total_problem_time_5, null as total_problem_time_30,
    null as serial_problem_time_30,
    time_forum_s as total_forum_time_5, null as total_forum_time_30,
    null as serial_forum_time_30,
    null as total_text_time_5, time_text_s as total_text_time_30,
    null as serial_text_time_30
from time_on_task
