-- table: person_item
-- about: How each learner did on each input of each problem. The score comes from the state in the
--   package if it has one, else from the last check in the logs.
-- inputs: problem_events problem_inputs db_courseware_studentmodule
-- needs: problem_attempts? problem_states persons course_items?
-- order: site user_id block_id input_id
-- columns:
--   site string: Site of the learner.
--   course_id string: Course id.
--   user_id int64 [role: person id]: User id of the learner.
--   username string [role: username]: Username of the learner.
--   is_staff bool: Whether the person has a staff role.
--   block_key string: Usage key of the problem.
--   block_id string: Block id of the problem.
--   input_id string: Id of the input; null if the state cannot be read.
--   item_score float64: Score of the last answer, from 0 to 1.
--   score_source string: Where the score comes from: `state` or `events`.
--   correctness string: Correctness of the last answer.
--   first_score float64: Score of the first attempt; null if that is not in the logs.
--   best_score float64: Score of the best attempt; null if the first attempt is not in the logs.
--   first_correct bool: Whether the first attempt was correct; null if it is not in the logs.
--   max_points float64 [points]: Most points that an answer gave, at least 1.
--   n_attempts int64: Attempts at the problem: the greater of the next two columns.
--   n_attempts_state int64: Attempts according to the state.
--   n_attempts_events int64: Attempts according to the checks in the logs.
--   ladder_gap int64: Attempts missing from the logs.
--   first_time timestamp: Time of the first check in the logs.
--   last_time timestamp: Time of the last check in the logs.
--   modified timestamp: When the state last changed.
--   grade float64 [points]: Points for the problem, not weighted.
--   max_grade float64 [points]: Most points possible for the problem.
--   weight float64 [points]: Weight of the problem.
--   state_bad bool: Whether the state cannot be read.
with
of_events as (
    select
        site, user_id, block_id, input_id,
        min(block_key) as block_key,
        max(attempt_rank) as last_rank,
        max(points) as best_points,
        min(time) as first_time,
        max(time) as last_time
    from problem_attempts
    group by all
),
last_ones as (
    select
        site, user_id, block_id, input_id, attempt_rank as last_rank, points as last_points,
        correctness as last_correctness
    from problem_attempts
),
-- The first attempt, by the platform's own number; after a reset there may be several, and the
-- earliest counts.
first_ones as (
    select
        site, user_id, block_id, input_id,
        arg_min({'points': points, 'correctness': correctness}, attempt_rank) as first
    from problem_attempts
    where attempt = 1
    group by all
),
rungs as (
    select
        site, user_id, block_id,
        coalesce(max(attempt), max(attempt_rank)) as n_attempts_events,
        count(distinct attempt) filter (where attempt >= 1) as n_rungs
    from problem_attempts
    group by all
),
of_state as (
    select * from problem_states where input_id is not null or state_bad
),
of_problem as (
    select
        site, user_id, block_id,
        max(attempts) as n_attempts_state, max(modified) as modified, max(created) as created,
        max(grade) as grade, max(max_grade) as max_grade
    from problem_states
    group by all
),
most as (
    select block_id, input_id, greatest(max(points), 1) as max_points
    from (
        select block_id, input_id, points from problem_attempts
        union all
        select block_id, input_id, points from problem_states
    )
    group by all
),
items as (
    select block_id, min(weight) as weight
    from course_items
    where block_type = 'problem'
    group by all
),
joined as (
    select
        site, user_id, block_id, input_id,
        coalesce(of_events.block_key, of_state.block_key) as block_key,
        case when of_state.input_id is not null then of_state.points else last_points end as points,
        case
            when of_state.input_id is not null then of_state.correctness
            else last_correctness
        end as correctness,
        case
            when of_state.input_id is not null then 'state'
            when last_rank is not null then 'events'
        end as score_source,
        first, best_points, first_time, last_time, state_bad
    from of_events
    full join of_state using (site, user_id, block_id, input_id)
    left join last_ones using (site, user_id, block_id, input_id, last_rank)
    left join first_ones using (site, user_id, block_id, input_id)
)
select
    site,
    getvariable('course_id') as course_id,
    user_id, username, is_staff, block_key, block_id, joined.input_id,
    points / max_points as item_score,
    score_source, correctness,
    first.points / max_points as first_score,
    case when first is not null then best_points / max_points end as best_score,
    case when first is not null then coalesce(first.correctness = 'correct', false) end
    as first_correct,
    max_points,
    greatest(n_attempts_state, n_attempts_events) as n_attempts,
    n_attempts_state, n_attempts_events,
    case
        when getvariable('has_problem_attempts')
        then greatest(n_attempts_state, n_attempts_events) - coalesce(n_rungs, 0)
    end as ladder_gap,
    first_time, last_time, modified, grade, max_grade, weight,
    case
        when getvariable('has_db_courseware_studentmodule') then coalesce(state_bad, false)
    end as state_bad
from joined
left join rungs using (site, user_id, block_id)
left join of_problem using (site, user_id, block_id)
left join most
    on most.block_id = joined.block_id and most.input_id is not distinct from joined.input_id
left join items using (block_id)
left join persons using (site, user_id)
