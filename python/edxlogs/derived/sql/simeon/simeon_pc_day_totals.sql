-- table: simeon_pc_day_totals
-- about: What each learner did in all, with the column names of simeon and edx2bigquery.
-- inputs: problem_events video_events forum_events navigation_events requests
-- needs: simeon_person_course
-- order: username
-- columns:
--   username string [role: username]: Username of the learner.
--   course_id string: Course id.
--   ndays_act int64: Days with an action.
--   nevents int64: Events of the learner.
--   nprogcheck int64: How often the progress page was opened.
--   nshow_answer int64: How often an answer was shown.
--   nvideo int64: Video actions.
--   nproblem_check int64: Problem checks.
--   nforum int64: Requests to the forum.
--   ntranscript int64: How often a transcript was shown or hidden.
--   nseq_goto int64: How often a unit was chosen by its tab.
--   nseek_video int64: Jumps in videos.
--   npause_video int64: How often a video was paused.
--   first_event timestamp: Time of the first action.
--   last_event timestamp: Time of the last action.
--   avg_dt float64 [s]: Mean time between successive events, over gaps of at most five minutes.
--   sdv_dt float64 [s]: Standard deviation of these gaps.
--   max_dt float64 [s]: Longest of these gaps.
--   n_dt int64: Number of these gaps.
--   sum_dt float64 [s]: Sum of these gaps.
-- differs: ndays_act nevents nvideo nproblem_check ntranscript first_event last_event avg_dt sdv_dt
select
    username, course_id, ndays_act, nevents, nprogcheck, nshow_answer, nvideo, nproblem_check,
    nforum_events as nforum, ntranscript, nseq_goto, nseek_video, npause_video,
    first_event, last_event, avg_dt, sdv_dt, max_dt, n_dt, sum_dt
from simeon_person_course
where ndays_act > 0
