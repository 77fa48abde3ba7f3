-- table: simeon_person_problem
-- about: How learners stand with each problem, by the names of simeon and edx2bigquery.
-- inputs: problem_events db_courseware_studentmodule db_course_structure
-- needs: person_problem simeon_course_item
-- order: user_id problem_nid
-- columns:
--   user_id int64 [role: person id]: The learner.
--   course_id string: The course.
--   problem_nid int64: Number of the problem in the course; null where no answer is known.
--   problem_raw_score float64 [points]: What it gave.
--   problem_pct_score float64 [%]: That by the most it can give.
--   grade float64 [points]: What it gave, once more.
--   n_attempts int64: Attempts.
--   date timestamp: Last check in the logs, else when the state changed last.
-- differs: problem_nid problem_raw_score problem_pct_score n_attempts date
select
    user_id, course_id, problem_nid, grade as problem_raw_score,
    round(score * 100, 12) as problem_pct_score, grade, n_attempts,
    coalesce(last_time, modified) as date
from person_problem
left join (select distinct problem_id as block_id, problem_nid from simeon_course_item)
    using (block_id)
