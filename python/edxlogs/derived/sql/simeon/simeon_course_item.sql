-- table: simeon_course_item
-- about: The inputs of a course's problems in order, with the column names of simeon and
--   edx2bigquery. Theirs leaves out inputs that fewer than six people answered, and problems that
--   are not in the course structure; ours does not.
-- inputs: db_course_structure problem_events problem_inputs db_courseware_studentmodule olx_policy
-- needs: person_item course_items? simeon_course_axis?
-- order: item_nid
-- columns:
--   course_id string: Course id.
--   item_id string: Id of the input.
--   problem_id string: Block id of the problem.
--   problem_nid int64: Number of the problem in the course, from 1.
--   assignment_short_id string: Null: labels of assignments are not offered.
--   item_weight float64: Null.
--   n_user_responses int64: Learners whose last answer has points.
--   chapter_name string: Title of the chapter.
--   section_name string: Title of the subsection.
--   vertical_name string: Title of the unit.
--   problem_name string: Title of the problem.
--   assignment_id string: Null.
--   n_problems_in_assignment int64: Null.
--   assignment_type string: Assignment type.
--   assignment_type_weight float64: Weight of the assignment type; known only from the course
--     content (OLX).
--   n_assignments_of_type int64: Null.
--   assignment_seq_num int64: Null.
--   chapter_number int64: Number of the chapter in the course, from 1.
--   content_index int64: Position of the problem in the course, from 0.
--   section_number int64: Number of the subsection in the chapter, from 1.
--   problem_number int64: Null.
--   problem_weight float64 [points]: Weight of the problem; null means the number of its points.
--   item_points_possible float64 [points]: Most points that an answer gave, at least 1.
--   problem_points_possible float64 [points]: Sum of that over the problem's inputs.
--   emperical_item_points_possible float64 [points]: Most points possible for the problem, divided
--     by its inputs.
--   emperical_problem_points_possible float64 [points]: Most points possible for the problem.
--   item_number int64: Number of the input in the problem, from 1.
--   n_items int64: Number of inputs of the problem.
--   start_date timestamp: When it opens.
--   due_date timestamp: When it is due.
--   is_split bool: Whether it is part of an experiment.
--   split_name string: Title of the experiment.
--   problem_path string: As in `simeon_course_axis`.
--   problem_short_id string: Null.
--   item_short_id string: Null.
--   item_nid int64: Number of the input in the course, from 1.
--   cumulative_item_weight float64: Null.
-- differs: problem_nid n_user_responses chapter_number content_index section_number
--   problem_weight item_points_possible problem_points_possible item_nid
with
inputs as (
    select
        block_id, input_id, min(block_key) as block_key, max(max_points) as max_points,
        max(max_grade) as max_grade, count(item_score) as n_user_responses
    from person_item
    where input_id is not null
    group by all
),
-- The same block on two sites counts as one.
problems as (
    select
        * exclude (block_key, max_points, n_inputs), block_key as problem_key,
        max_points as checked_points
    from course_items
    where block_type = 'problem' and index is not null
    qualify row_number() over (partition by block_id order by index, site) = 1
),
placed as (
    select
        inputs.*, problems.* exclude (block_id),
        greatest(
            max(inputs.max_grade) over (partition by inputs.block_id), checked_points
        ) as most,
        sum(inputs.max_points) over (partition by inputs.block_id) as of_problem,
        count(*) over (partition by inputs.block_id) as n_items,
        row_number() over (partition by inputs.block_id order by input_id) as item_number,
        dense_rank() over (order by index nulls last, inputs.block_id) as problem_nid,
        row_number() over (order by index nulls last, inputs.block_id, input_id) as item_nid
    from inputs
    left join problems using (block_id)
)
select
    getvariable('course_id') as course_id, input_id as item_id, block_id as problem_id,
    problem_nid, null as assignment_short_id, null as item_weight, n_user_responses,
    chapter_name, sequential_name as section_name, vertical_name, display_name as problem_name,
    null as assignment_id, null as n_problems_in_assignment, format as assignment_type,
    format_weight as assignment_type_weight, null as n_assignments_of_type,
    null as assignment_seq_num, chapter_number, placed.index as content_index,
    sequential_number as section_number, null as problem_number, weight as problem_weight,
    max_points as item_points_possible, of_problem as problem_points_possible,
    most / n_items as emperical_item_points_possible,
    most as emperical_problem_points_possible,
    item_number, n_items, placed.start as start_date, placed.due as due_date,
    case when placed.index is not null then split_name is not null end as is_split, split_name,
    problem_path, null as problem_short_id, null as item_short_id, item_nid,
    null as cumulative_item_weight
from placed
left join (
    select module_id as problem_key, min(path) as problem_path from simeon_course_axis group by all
) using (problem_key)
