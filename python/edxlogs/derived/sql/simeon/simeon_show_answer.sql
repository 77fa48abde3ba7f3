-- table: simeon_show_answer
-- about: Who asked for the answer to a problem, with the column names of simeon and edx2bigquery.
-- inputs: problem_events!
-- needs: learner_events event_blocks persons
-- order: time username module_id
-- columns:
--   time timestamp: When it happened.
--   username string [role: username]: Username of the learner.
--   course_id string: Course id.
--   module_id string: Usage key of the problem.
-- differs: module_id
select
    moment as time, persons.username, getvariable('course_id') as course_id,
    coalesce(item_key, block_key) as module_id
from learner_events
left join event_blocks using (block_key)
left join persons using (site, user_id)
where event_table = 'problem_events' and action = 'answer_shown'
