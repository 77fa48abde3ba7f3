-- table: simeon_enrollday_all
-- about: Who came and who left, by mode, with the column names of simeon and edx2bigquery. Running
--   sums give how many people are enrolled. Theirs has a row for each event, including those that
--   change nothing; ours has the starts and ends in `enrollment_spells`.
-- inputs: enrollment_events db_student_courseenrollment
-- needs: enrollment_spells
-- order: time user_id
-- columns:
--   course_id string: Course id.
--   time timestamp: When it happened.
--   user_id int64 [role: person id]: User id of the person.
--   diff_enrollment_honor int64: 1 if the person entered the mode honor, −1 if the person left it.
--   diff_enrollment_verified int64: The same for verified.
--   diff_enrollment_audit int64: The same for audit.
-- differs: time diff_enrollment_honor diff_enrollment_verified diff_enrollment_audit
with
changes as (
    select site, user_id, start as time, mode, 1 as diff
    from enrollment_spells
    where start is not null
    union all
    select site, user_id, "end", mode, -1
    from enrollment_spells
    where "end" is not null
)
select
    getvariable('course_id') as course_id, time, user_id,
    coalesce(sum(diff) filter (where mode = 'honor'), 0) as diff_enrollment_honor,
    coalesce(sum(diff) filter (where mode = 'verified'), 0) as diff_enrollment_verified,
    coalesce(sum(diff) filter (where mode = 'audit'), 0) as diff_enrollment_audit
from changes
group by site, time, user_id
