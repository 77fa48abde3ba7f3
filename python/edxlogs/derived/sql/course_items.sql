-- table: course_items
-- about: The blocks of a course, in the order in which learners meet them.
-- inputs: db_course_structure!
-- order: site, block_key
-- columns:
--   site string: `prod` or `edge`.
--   course_id string: Id of the course.
--   block_key string: Usage key of the block.
--   block_type string: Such as `video` or `problem`.
--   display_name string: Title of the block.
--   depth int64: Steps from the course to the block.
select site, course_id, usage_key as block_key, block_type, display_name, depth
from db_course_structure
