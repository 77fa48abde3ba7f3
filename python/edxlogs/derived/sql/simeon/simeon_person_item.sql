-- table: simeon_person_item
-- about: How each learner did on each input of each problem, with the column names of simeon and
--   edx2bigquery. Theirs uses only the state in the package; ours also uses checks in the logs.
-- inputs: problem_events problem_inputs db_courseware_studentmodule db_course_structure
-- needs: person_item simeon_course_item
-- order: user_id item_nid
-- columns:
--   user_id int64 [role: person id]: User id of the learner.
--   course_id string: Course id.
--   item_short_id string: Null, as in `simeon_course_item`.
--   item_nid int64: Number of the input in the course.
--   item_grade float64: Score of the last answer, from 0 to 1.
--   grade float64 [points]: Points for the problem.
--   n_attempts int64: Attempts at the problem.
--   date timestamp: Time of the last check in the logs, else of the last change of the state.
-- differs: item_nid item_grade n_attempts date
select
    user_id, course_id, null as item_short_id, item_nid, item_score as item_grade, grade,
    n_attempts, coalesce(last_time, modified) as date
from person_item
join (select problem_id as block_id, item_id as input_id, item_nid from simeon_course_item)
    using (block_id, input_id)
