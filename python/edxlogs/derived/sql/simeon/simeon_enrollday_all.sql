-- table: simeon_enrollday_all
-- about: Who came and who left, mode by mode, by the names of simeon and edx2bigquery: sums tell how
--   many are enrolled. Theirs are events, of which some change nothing; ours are the begins and ends
--   of `enrollment_spells`.
-- inputs: enrollment_events db_student_courseenrollment
-- needs: enrollment_spells
-- order: time user_id
-- columns:
--   course_id string: The course.
--   time timestamp: When.
--   user_id int64 [role: person id]: The person.
--   diff_enrollment_honor int64: 1 where the person came to the mode, −1 where the person
--     left it.
--   diff_enrollment_verified int64: Likewise.
--   diff_enrollment_audit int64: Likewise.
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
