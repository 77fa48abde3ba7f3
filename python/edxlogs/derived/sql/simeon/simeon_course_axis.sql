-- table: simeon_course_axis
-- about: The blocks of a course in order, with the column names of simeon and edx2bigquery.
-- inputs: db_course_structure!
-- needs: course_items
-- order: index module_id
-- columns:
--   category string: Type of the block.
--   index int64: Position in the course, from 0.
--   url_name string: Last part of the usage key.
--   name string: Title of the block.
--   gformat string: Assignment type; inherited.
--   due timestamp: When it is due; inherited.
--   start timestamp: When it opens; inherited.
--   module_id string: Usage key of the block.
--   course_id string: Course id.
--   path string: Last parts of the keys from below the course down, each after a slash.
--   data string: Null: what theirs holds is in columns of `course_items`.
--   chapter_mid string: Usage key of its chapter.
--   graded bool: Whether it counts toward the grade; inherited.
--   visible_to_staff_only bool: Whether it is hidden from learners; inherited.
--   parent string: Last part of the parent block's key.
--   is_split bool: Whether it is part of an experiment.
--   split_url_name string: Title of the experiment.
-- differs: index module_id course_id chapter_mid split_url_name
with
parents as (select site, block_key as parent_key, block_id as parent from course_items),
steps as (
    select site, block_key, unnest(from_json(path, '["VARCHAR"]')) as step_key,
        generate_subscripts(from_json(path, '["VARCHAR"]'), 1) as step
    from course_items
),
paths as (
    select steps.site, steps.block_key,
        string_agg('/' || blocks.block_id, '' order by step) as path
    from steps
    join course_items as blocks on blocks.site = steps.site and blocks.block_key = step_key
    where step > 1
    group by all
)
select
    block_type as category, index, block_id as url_name, display_name as name,
    format as gformat, due, start, block_key as module_id, course_id,
    paths.path, null as data, chapter_key as chapter_mid, graded, visible_to_staff_only, parent,
    split_name is not null as is_split, split_name as split_url_name
from course_items
left join parents using (site, parent_key)
left join paths using (site, block_key)
where index is not null
