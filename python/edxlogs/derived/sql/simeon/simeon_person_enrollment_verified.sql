-- table: simeon_person_enrollment_verified
-- about: When people became verified, and ceased to be, by the names of simeon and edx2bigquery.
-- inputs: enrollment_events db_student_courseenrollment
-- needs: simeon_person_course
-- order: user_id
-- columns:
--   course_id string: The course.
--   user_id int64 [role: person id]: The person.
--   verified_enroll_time timestamp: When the mode became verified first.
--   verified_unenroll_time timestamp: When it ceased to be; null while it is.
-- differs: verified_enroll_time verified_unenroll_time
select course_id, user_id, verified_enroll_time, verified_unenroll_time
from simeon_person_course
where verified_enroll_time is not null or verified_unenroll_time is not null
