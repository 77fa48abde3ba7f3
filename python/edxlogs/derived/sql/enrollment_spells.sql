-- table: enrollment_spells
-- about: When learners were enrolled, and in which mode.
-- inputs: enrollment_events db_student_courseenrollment
-- order: site, user_id, spell_no
-- columns:
--   site string: `prod` or `edge`.
--   course_id string: Id of the course.
--   user_id int64 [role: person id]: Who was enrolled.
--   spell_no int64: Number of the spell, from 1.
--   start timestamp: When it began.
--   mode string: The mode.
select
    coalesce(site, '') as site, course_id, user_id, 1 as spell_no, min(created) as start,
    max(mode) as mode
from db_student_courseenrollment
group by all
