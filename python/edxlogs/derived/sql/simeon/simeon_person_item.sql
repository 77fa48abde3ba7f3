-- table: simeon_person_item
-- about: How learners stand with each input of each problem, by the names of simeon and
--   edx2bigquery. Theirs know the state in the package alone, ours checks in the logs as well.
-- inputs: problem_events problem_inputs db_courseware_studentmodule db_course_structure
-- needs: person_item simeon_course_item
-- order: user_id item_nid
-- columns:
--   user_id int64 [role: person id]: The learner.
--   course_id string: The course.
--   item_short_id string: Null, as in `simeon_course_item`.
--   item_nid int64: Number of the input in the course.
--   item_grade float64: What the last answer gave, from 0 to 1.
--   grade float64 [points]: What the problem gave.
--   n_attempts int64: Attempts at the problem.
--   date timestamp: Last check in the logs, else when the state changed last.
-- differs: item_nid item_grade n_attempts date
select
    user_id, course_id, null as item_short_id, item_nid, item_score as item_grade, grade,
    n_attempts, coalesce(last_time, modified) as date
from person_item
join (select problem_id as block_id, item_id as input_id, item_nid from simeon_course_item)
    using (block_id, input_id)
