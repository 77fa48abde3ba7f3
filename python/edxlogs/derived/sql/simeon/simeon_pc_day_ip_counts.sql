-- table: simeon_pc_day_ip_counts
-- about: The addresses that learners used on each day, with the column names of simeon and
--   edx2bigquery.
-- inputs: problem_events video_events forum_events navigation_events requests ora_events
--   completion_events exam_events content_events block_events study_events textbook_events
--   other_events
-- needs: learner_events persons
-- order: username date ip
-- columns:
--   username string [role: username]: Username of the learner.
--   ip string [role: address]: The address.
--   date date: Day in the time zone `tz`.
--   ipcount int64: Events of the learner from this address on the day.
--   course_id string: Course id.
-- differs: ipcount
select
    persons.username, ip, day as date, count(*) as ipcount, getvariable('course_id') as course_id
from learner_events
left join persons using (site, user_id)
where ip <> ''
group by all
