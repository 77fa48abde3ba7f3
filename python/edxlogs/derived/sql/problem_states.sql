-- table: problem_states
-- as: internal table
-- about: What the package says about learners' problems: one row for each input in the state, or
--   one without an input if the state has none.
-- inputs: db_courseware_studentmodule
-- needs: course_items?
-- order: site user_id block_id input_id
-- columns:
--   site string: Site of the learner.
--   user_id int64 [role: person id]: User id of the learner.
--   block_key string: Usage key of the problem.
--   block_id string: Block id of the problem.
--   input_id string: Id of the input.
--   correctness string: Correctness of the last answer.
--   points float64 [points]: Points for that answer.
--   attempts int64: Number of attempts.
--   grade float64 [points]: Points for the problem, not weighted.
--   max_grade float64 [points]: Most points possible for the problem.
--   created timestamp: When the learner first saw the problem.
--   modified timestamp: When the row last changed.
--   state_bad bool: Whether the state cannot be read.
with
rows_of_problems as (
    select
        coalesce(site, '') as site,
        student_id as user_id,
        module_id as block_key,
        case
            when contains(module_id, '+block@') then regexp_extract(module_id, '\+block@(.*)$', 1)
            else regexp_extract(module_id, '^i4x://[^/]*/[^/]*/[^/]*/([^@]*)', 1)
        end as block_id,
        case when is_object then state end as state,
        -- The converter keeps what is not JSON in `misfits`.
        not is_object and (
            coalesce(state, '') <> ''
            or coalesce(case when json_valid(misfits) then misfits ->> 'state' end, '') <> ''
        ) as state_bad,
        grade, max_grade, created, modified
    from (
        select
            *,
            coalesce(case when json_valid(state) then json_type(state) end = 'OBJECT', false)
            as is_object
        from db_courseware_studentmodule
    )
    where module_type = 'problem' and student_id is not null
),
parsed as (
    select
        * exclude (state),
        try_cast(state ->> 'attempts' as bigint) as attempts,
        -- Old rows have the correctness itself where newer ones have an object.
        map_entries(from_json(state -> 'correct_map', '"MAP(VARCHAR, JSON)"')) as inputs
    from rows_of_problems
),
told as (
    select * exclude (inputs), unnest(inputs) as entry from parsed
    union all by name
    select * exclude (inputs) from parsed where coalesce(len(inputs), 0) = 0
),
read as (
    select
        * exclude (entry),
        entry.key as input_id,
        case
            when json_type(entry.value) = 'VARCHAR' then entry.value ->> '$'
            else entry.value ->> 'correctness'
        end as correctness,
        case
            when json_type(entry.value) = 'OBJECT'
            then try_cast(entry.value ->> 'npoints' as double)
        end as npoints,
        case
            when json_type(entry.value) = 'OBJECT'
            then coalesce(json_type(entry.value -> 'queuestate') <> 'NULL', false)
        end as queued
    from told
    where entry is null
        or not regexp_matches(entry.key, '(_dynamath|_comment|_comment_value)$')
)
select
    site, user_id, block_key, block_id, input_id, correctness,
    case
        when queued then null
        when npoints is not null then npoints
        when correctness = 'correct' then 1
        when correctness = 'incorrect' then 0
    end as points,
    attempts, grade, max_grade, created, modified, state_bad
from read
