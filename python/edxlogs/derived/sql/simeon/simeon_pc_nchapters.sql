-- table: simeon_pc_nchapters
-- about: How many chapters learners opened, by the names of simeon and edx2bigquery.
-- inputs: db_courseware_studentmodule! db_course_structure!
-- needs: simeon_person_course
-- order: user_id
-- columns:
--   user_id int64 [role: person id]: The learner.
--   nchapters int64: Chapters of which a block was opened.
-- differs: nchapters
select user_id, nchapters from simeon_person_course where nchapters > 0
