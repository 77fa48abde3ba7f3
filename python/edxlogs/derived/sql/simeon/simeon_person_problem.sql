-- table: simeon_person_problem
-- about: How each learner did on each problem, with the column names of simeon and edx2bigquery.
-- inputs: problem_events db_courseware_studentmodule db_course_structure
-- needs: person_problem simeon_course_item
-- order: user_id problem_nid
-- columns:
--   user_id int64 [role: person id]: User id of the learner.
--   course_id string: Course id.
--   problem_nid int64: Number of the problem in the course; null if no answer to it is known.
--   problem_raw_score float64 [points]: Points for the problem.
--   problem_pct_score float64 [%]: These points as a percentage of the most possible.
--   grade float64 [points]: Points for the problem, once more.
--   n_attempts int64: Attempts.
--   date timestamp: Time of the last check in the logs, else of the last change of the state.
-- differs: problem_nid problem_raw_score problem_pct_score n_attempts date
select
    user_id, course_id, problem_nid, grade as problem_raw_score,
    round(score * 100, 12) as problem_pct_score, grade, n_attempts,
    coalesce(last_time, modified) as date
from person_problem
left join (select distinct problem_id as block_id, problem_nid from simeon_course_item)
    using (block_id)
