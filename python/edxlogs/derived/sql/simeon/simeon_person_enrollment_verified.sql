-- table: simeon_person_enrollment_verified
-- about: When each person became verified, and when that ended, with the column names of simeon and
--   edx2bigquery.
-- inputs: enrollment_events db_student_courseenrollment
-- needs: simeon_person_course
-- order: user_id
-- columns:
--   course_id string: Course id.
--   user_id int64 [role: person id]: User id of the person.
--   verified_enroll_time timestamp: When the mode first became verified.
--   verified_unenroll_time timestamp: When the mode ceased to be verified; null while it still is.
-- differs: verified_enroll_time verified_unenroll_time
select course_id, user_id, verified_enroll_time, verified_unenroll_time
from simeon_person_course
where verified_enroll_time is not null or verified_unenroll_time is not null
