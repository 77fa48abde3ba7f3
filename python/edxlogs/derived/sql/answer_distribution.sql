-- table: answer_distribution
-- about: How often each answer was given. Choices, numbers, texts and formulas are shown as they
--   were given, other responses only by their correctness. Staff are left out. Answers that fewer
--   than `min_n` learners gave are combined as `(other)`.
-- inputs: problem_events! problem_inputs!
-- needs: problem_attempts course_items?
-- order: site block_id input_id variant answer answer_text correctness
-- columns:
--   site string: Site of the learners.
--   course_id string: Course id.
--   block_key string: Usage key of the problem.
--   block_id string: Block id of the problem.
--   display_name string: Title of the problem.
--   input_id string: Id of the input.
--   response_type string: Response type, such as `choiceresponse`.
--   variant string: Variant of a randomized problem.
--   answer string [role: free text]: The answer as it was sent; null if nothing was answered, and
--     for responses that are shown only by their correctness.
--   answer_text string [role: free text]: The answer as learners saw it.
--   correctness string: Correctness as last judged; null for `(other)`.
--   n_learners int64: Learners who gave this answer; null for `(other)`.
--   n_first int64: How often it was a learner's first answer.
--   n_last int64: How often it was a learner's last answer.
--   n_all int64: How often it was given in all.
with
-- Older checks do not name the response type, but newer checks of the same input do.
types as (
    select site, block_id, input_id, max(response_type) as response_type
    from problem_attempts
    group by all
),
told as (
    select
        site, user_id, block_key, block_id, input_id, types.response_type, variant, time,
        attempt_rank, correctness, is_first, is_last,
        types.response_type in (
            'choiceresponse', 'multiplechoiceresponse', 'optionresponse', 'numericalresponse',
            'stringresponse', 'formularesponse'
        ) as is_told,
        case when is_told then answer end as answer,
        case when is_told then answer_text end as answer_text,
        case when coalesce(is_told, false) then null else correctness end as judged
    from problem_attempts
    join types using (site, block_id, input_id)
    where is_staff is not true
),
cells as (
    select
        site, block_id, input_id, response_type, variant, answer, answer_text, judged,
        min(block_key) as block_key,
        arg_max(correctness, row(time, user_id, attempt_rank)) as correctness,
        count(distinct user_id) as n_learners,
        count(*) filter (where is_first) as n_first,
        count(*) filter (where is_last) as n_last,
        count(*) as n_all
    from told
    group by all
),
merged as (
    select
        site, block_id, input_id, response_type, variant,
        min(block_key) as block_key,
        case when is_rare then '(other)' else answer end as answer,
        case when not is_rare then answer_text end as answer_text,
        case when not is_rare then correctness end as correctness,
        case when not is_rare then n_learners end as n_learners,
        sum(n_first)::bigint as n_first, sum(n_last)::bigint as n_last, sum(n_all)::bigint as n_all
    from (select *, n_learners < getvariable('min_n') as is_rare from cells)
    group by all
)
select
    site,
    getvariable('course_id') as course_id,
    merged.block_key, block_id, display_name, input_id, response_type, variant, answer,
    answer_text, correctness, n_learners, n_first, n_last, n_all
from merged
left join (
    select block_id, min(display_name) as display_name
    from course_items
    where block_type = 'problem'
    group by all
) using (block_id)
