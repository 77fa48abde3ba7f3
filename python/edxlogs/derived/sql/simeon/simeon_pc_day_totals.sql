-- table: simeon_pc_day_totals
-- about: What learners did in all, by the names of simeon and edx2bigquery.
-- inputs: problem_events video_events forum_events navigation_events requests
-- needs: simeon_person_course
-- order: username
-- columns:
--   username string [role: username]: Name of the learner.
--   course_id string: The course.
--   ndays_act int64: Days with an act.
--   nevents int64: Events of the learner.
--   nprogcheck int64: How often the page of progress was opened.
--   nshow_answer int64: How often an answer was shown.
--   nvideo int64: Acts with videos.
--   nproblem_check int64: Checks of problems.
--   nforum int64: Requests to the forum.
--   ntranscript int64: How often a transcript was shown or hidden.
--   nseq_goto int64: How often a unit was picked by its tab.
--   nseek_video int64: Jumps in videos.
--   npause_video int64: How often a video was paused.
--   first_event timestamp: First act.
--   last_event timestamp: Last act.
--   avg_dt float64 [s]: Mean time from an event to the next, of those of five minutes at most.
--   sdv_dt float64 [s]: Its standard deviation.
--   max_dt float64 [s]: The longest.
--   n_dt int64: How many there are.
--   sum_dt float64 [s]: Their sum.
-- differs: ndays_act nevents nvideo nproblem_check ntranscript first_event last_event avg_dt sdv_dt
select
    username, course_id, ndays_act, nevents, nprogcheck, nshow_answer, nvideo, nproblem_check,
    nforum_events as nforum, ntranscript, nseq_goto, nseek_video, npause_video,
    first_event, last_event, avg_dt, sdv_dt, max_dt, n_dt, sum_dt
from simeon_person_course
where ndays_act > 0
