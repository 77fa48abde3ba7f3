-- table: simeon_pc_nchapters
-- about: How many chapters each learner opened, with the column names of simeon and edx2bigquery.
-- inputs: db_courseware_studentmodule! db_course_structure!
-- needs: simeon_person_course
-- order: user_id
-- columns:
--   user_id int64 [role: person id]: User id of the learner.
--   nchapters int64: Chapters in which a block was opened.
-- differs: nchapters
select user_id, nchapters from simeon_person_course where nchapters > 0
