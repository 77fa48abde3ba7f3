-- table: person_problem
-- about: How each learner did on each problem.
-- inputs: problem_events db_courseware_studentmodule
-- needs: learner_events event_blocks problem_states persons course_items?
-- order: site user_id block_id
-- columns:
--   site string: Site of the learner.
--   course_id string: Course id.
--   user_id int64 [role: person id]: User id of the learner.
--   username string [role: username]: Username of the learner.
--   is_staff bool: Whether the person has a staff role.
--   block_key string: Usage key of the problem.
--   block_id string: Block id of the problem.
--   score float64: Score from 0 to 1: grade divided by max_grade.
--   grade float64 [points]: Points for the problem, not weighted: from the state, else from the
--     last check.
--   max_grade float64 [points]: Most points possible for the problem.
--   score_source string: Where the score comes from: `state` or `events`.
--   weight float64 [points]: Weight of the problem.
--   first_score float64: Score of the first attempt, from 0 to 1; null if that is not in the logs.
--   first_correct bool: Whether the first attempt was fully correct; null if it is not in the logs.
--   n_attempts int64: Attempts: the greater of the next two columns.
--   n_attempts_state int64: Attempts according to the state.
--   n_attempts_events int64: Attempts according to the checks in the logs.
--   ladder_gap int64: Attempts missing from the logs.
--   n_checks int64: Checks in the logs.
--   n_answers_shown int64: How often the answer was shown.
--   n_hints int64: How many hints were shown.
--   n_saves int64: How often answers were saved.
--   first_seen timestamp: When the learner first saw the problem, according to the package.
--   first_time timestamp: Time of the first check in the logs.
--   last_time timestamp: Time of the last check in the logs.
--   modified timestamp: When the state last changed.
--   state_bad bool: Whether the state cannot be read.
with
acts as (
    select
        site, user_id, moment, source_no, line, line_item, action, attempts, success, grade,
        max_grade, item_id as block_id, coalesce(item_key, block_key) as block_key
    from learner_events
    join event_blocks using (block_key)
    where event_table = 'problem_events' and is_activity and item_id is not null
),
ranked as (
    select
        *,
        row_number() over (
            partition by site, user_id, block_id order by moment, source_no, line, line_item
        ) as nth
    from acts
),
of_events as (
    select
        site, user_id, block_id, min(block_key) as block_key,
        count(*) filter (where action = 'check') as n_checks,
        count(*) filter (where action = 'answer_shown') as n_answers_shown,
        count(*) filter (where action = 'hint') as n_hints,
        count(*) filter (where action = 'save') as n_saves,
        arg_max({'grade': grade, 'max_grade': max_grade}, nth) filter (
            where action = 'check' and grade is not null and max_grade > 0
        ) as last,
        arg_min({'grade': grade, 'max_grade': max_grade, 'success': success}, nth) filter (
            where action = 'check' and attempts = 1
        ) as first,
        coalesce(
            max(attempts) filter (where action = 'check'),
            nullif(count(*) filter (where action = 'check'), 0)
        ) as n_attempts_events,
        count(distinct attempts) filter (where action = 'check' and attempts >= 1) as n_rungs,
        min(moment) filter (where action = 'check') as first_time,
        max(moment) filter (where action = 'check') as last_time
    from ranked
    group by all
),
of_state as (
    select
        site, user_id, block_id, min(block_key) as block_key,
        max(attempts) as n_attempts_state, max(grade) as grade, max(max_grade) as max_grade,
        min(created) as created, max(modified) as modified, bool_or(state_bad) as state_bad
    from problem_states
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
        site, user_id, block_id,
        coalesce(of_events.block_key, of_state.block_key) as block_key,
        case
            when of_state.grade is not null and of_state.max_grade > 0 then 'state'
            when last is not null then 'events'
        end as score_source,
        of_state.grade as state_grade, of_state.max_grade as state_max_grade,
        first, last, n_attempts_state, n_attempts_events, n_rungs, n_checks, n_answers_shown,
        n_hints, n_saves, created, first_time, last_time, modified, state_bad
    from of_events
    full join of_state using (site, user_id, block_id)
)
select
    site,
    getvariable('course_id') as course_id,
    user_id, username, is_staff, block_key, block_id,
    case score_source
        when 'state' then state_grade / state_max_grade
        when 'events' then last.grade / last.max_grade
    end as score,
    case score_source when 'state' then state_grade when 'events' then last.grade end as grade,
    case score_source when 'state' then state_max_grade when 'events' then last.max_grade end
    as max_grade,
    score_source, weight,
    case when first.max_grade > 0 then first.grade / first.max_grade end as first_score,
    case when first is not null then coalesce(first.success = 'correct', false) end
    as first_correct,
    greatest(n_attempts_state, n_attempts_events) as n_attempts,
    n_attempts_state, n_attempts_events,
    case
        when getvariable('has_problem_events')
        then greatest(n_attempts_state, n_attempts_events) - coalesce(n_rungs, 0)
    end as ladder_gap,
    case when getvariable('has_problem_events') then coalesce(n_checks, 0) end as n_checks,
    case when getvariable('has_problem_events') then coalesce(n_answers_shown, 0) end
    as n_answers_shown,
    case when getvariable('has_problem_events') then coalesce(n_hints, 0) end as n_hints,
    case when getvariable('has_problem_events') then coalesce(n_saves, 0) end as n_saves,
    created as first_seen, first_time, last_time, modified,
    case
        when getvariable('has_db_courseware_studentmodule') then coalesce(state_bad, false)
    end as state_bad
from joined
left join items using (block_id)
left join persons using (site, user_id)
