-- table: simeon_problem_grades
-- about: How learners stand with each problem, by the names of simeon and edx2bigquery. Theirs come
--   of the package alone; ours of the last check, too, where the package does not tell.
-- inputs: problem_events db_courseware_studentmodule
-- needs: person_problem
-- order: user_id module_id
-- columns:
--   user_id int64 [role: person id]: The learner.
--   module_id string: Usage key of the problem.
--   grade float64 [points]: What it gave, not weighted.
--   max_grade float64 [points]: The most it can give.
--   perfect bool: Whether that was reached.
--   attempted bool: Whether there was an attempt.
-- differs: module_id grade max_grade attempted
select
    user_id, block_key as module_id, grade, max_grade,
    coalesce(grade = max_grade, false) as perfect, coalesce(n_attempts > 0, false) as attempted
from person_problem
