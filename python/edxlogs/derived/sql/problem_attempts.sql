-- table: problem_attempts
-- about: What learners answered: one row for each input of each problem check. A check that was
--   sent twice, with the same answers within five seconds, counts once.
-- inputs: problem_events! problem_inputs!
-- needs: learner_events event_blocks persons
-- order: site user_id block_id attempt_rank input_id
-- columns:
--   site string: Site of the learner.
--   course_id string: Course id.
--   user_id int64 [role: person id]: User id of the learner.
--   username string [role: username]: Username of the learner.
--   is_staff bool: Whether the person has a staff role.
--   block_key string: Usage key of the problem, from course_items, else from the event.
--   block_id string: Block id of the problem.
--   input_id string: Id of the input.
--   part int64: Number of the part of the problem that the input is in, from 2.
--   input int64: Number of the input in the part, from 1.
--   attempt int64: Number of the attempt, as the platform counts; it starts again after a reset.
--   attempt_rank int64: Number of the learner's check of the problem, from 1, as far as the logs go
--     back.
--   time timestamp: When it was checked.
--   answer string [role: free text]: The answer as it was sent.
--   answer_text string [role: free text]: The answer as the learner saw it.
--   correctness string: `correct`, `incorrect` or `partially-correct`.
--   points float64 [points]: Points for the answer; null if it was left to a grader, or if part of
--     the points was given without saying how many.
--   max_points float64 [points]: Most points that an answer gave, at least 1.
--   response_type string: Response type, such as `choiceresponse`.
--   variant string: Variant of a randomized problem.
--   seed int64: Seed of that variant.
--   is_first bool: Whether it is the first check of the problem in the logs.
--   is_last bool: Whether it is the last check of the problem in the logs.
--   s_since_previous float64 [s]: Time since the previous check; null for the first.
--   answer_seen_before bool: Whether the answer had been shown before.
--   hints_before int64: How many hints had been shown before.
--   saved_before bool: Whether answers had been saved before.
with
acts as (
    select
        site, user_id, moment, source_no, line, line_item, source, action, attempts, seed,
        item_id as block_id, coalesce(item_key, block_key) as block_key
    from learner_events
    join event_blocks using (block_key)
    where event_table = 'problem_events'
        and action in ('check', 'answer_shown', 'hint', 'save')
        and item_id is not null
),
-- All answers of a check, as one number.
answered as (
    select
        source, line, line_item,
        md5_number(to_json(list([input_id, answer] order by input_id))::varchar) as answers
    from problem_inputs
    where action = 'check'
    group by all
),
compared as (
    select
        acts.*,
        epoch_us(moment) - epoch_us(
            lag(moment) over (
                partition by site, user_id, block_id, action, attempts, answers
                order by moment, source_no, line, line_item
            )
        ) as since_same_us
    from acts
    left join answered using (source, line, line_item)
),
-- Duplicates: the same learner, problem, attempt and answers within 5 s are one check.
counted as (
    select
        *,
        count(*) filter (where action = 'check') over upto as attempt_rank,
        count(*) filter (where action = 'answer_shown') over upto as answers_before,
        count(*) filter (where action = 'hint') over upto as hints_before,
        count(*) filter (where action = 'save') over upto as saves_before
    from compared
    where action <> 'check' or since_same_us is null or since_same_us > 5000000
    window upto as (
        partition by site, user_id, block_id
        order by moment, source_no, line, line_item
        rows between unbounded preceding and current row
    )
),
checks as (
    select
        *,
        max(attempt_rank) over (partition by site, user_id, block_id) as last_rank,
        epoch_us(moment) - epoch_us(
            lag(moment) over (partition by site, user_id, block_id order by attempt_rank)
        ) as since_us
    from counted
    where action = 'check'
),
given as (
    select
        source, line, line_item, input_id, part, input, answer, answer_text, correctness,
        response_type, variant,
        case
            when queued then null
            when npoints is not null then npoints
            when correctness = 'correct' then 1
            when correctness = 'incorrect' then 0
        end as points
    from problem_inputs
    where action = 'check'
)
select
    site,
    getvariable('course_id') as course_id,
    user_id, username, is_staff, block_key, block_id, input_id, part, input,
    attempts as attempt, attempt_rank, moment as time, answer, answer_text, correctness, points,
    greatest(max(points) over (partition by site, block_id, input_id), 1) as max_points,
    response_type, variant, seed,
    attempt_rank = 1 as is_first,
    attempt_rank = last_rank as is_last,
    since_us / 1000000.0::double as s_since_previous,
    answers_before > 0 as answer_seen_before,
    hints_before,
    saves_before > 0 as saved_before
from checks
join given using (source, line, line_item)
left join persons using (site, user_id)
