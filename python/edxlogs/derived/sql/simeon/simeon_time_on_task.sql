-- table: simeon_time_on_task
-- about: Time on task by the names of simeon and edx2bigquery. Theirs leave a longer gap out, ours
--   counts it as the cap; theirs overlap, ours does not.
-- inputs: problem_events video_events forum_events navigation_events requests ora_events
--   block_events study_events textbook_events
-- needs: time_on_task
-- order: username date
-- columns:
--   course_id string: The course.
--   date date: The day on which the gaps begin.
--   username string [role: username]: The learner.
--   total_time_5 float64 [s]: Null: there is one measure, with a cap for each kind.
--   total_time_30 float64 [s]: Time in all.
--   total_video_time_5 float64 [s]: Null.
--   total_video_time_30 float64 [s]: Time after acts with videos.
--   serial_video_time_30 float64 [s]: Null: no time is of two kinds.
--   total_problem_time_5 float64 [s]: Time after acts with problems.
--   total_problem_time_30 float64 [s]: Null.
--   serial_problem_time_30 float64 [s]: Null.
--   total_forum_time_5 float64 [s]: Time after acts in the forum.
--   total_forum_time_30 float64 [s]: Null.
--   serial_forum_time_30 float64 [s]: Null.
--   total_text_time_5 float64 [s]: Null.
--   total_text_time_30 float64 [s]: Time after pages and textbooks.
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
