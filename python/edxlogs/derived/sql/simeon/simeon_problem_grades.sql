-- table: simeon_problem_grades
-- about: How each learner did on each problem, with the column names of simeon and edx2bigquery.
--   Theirs comes only from the package; ours also uses the last check, if the package has no grade.
-- inputs: problem_events db_courseware_studentmodule
-- needs: person_problem
-- order: user_id module_id
-- columns:
--   user_id int64 [role: person id]: User id of the learner.
--   module_id string: Usage key of the problem.
--   grade float64 [points]: Points for the problem, not weighted.
--   max_grade float64 [points]: Most points possible for the problem.
--   perfect bool: Whether all points were earned.
--   attempted bool: Whether there was an attempt.
-- differs: module_id grade max_grade attempted
select
    user_id, block_key as module_id, grade, max_grade,
    coalesce(grade = max_grade, false) as perfect, coalesce(n_attempts > 0, false) as attempted
from person_problem
