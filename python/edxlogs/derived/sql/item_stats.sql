-- table: item_stats
-- about: How hard each input of each problem is, how well it tells strong learners from weak ones,
--   and how learners attempt it. Staff are left out. A statistic over fewer than `min_n` learners
--   is null.
-- inputs: problem_events problem_inputs db_courseware_studentmodule
-- needs: person_item person_problem problem_attempts? course_items?
-- order: site block_id input_id
-- columns:
--   site string: Site of the learners.
--   course_id string: Course id.
--   block_key string: Usage key of the problem.
--   block_id string: Block id of the problem.
--   input_id string: Id of the input.
--   display_name string: Title of the problem.
--   assignment_key string: Key of the subsection that the problem is in, which is its assignment.
--   format string: Assignment type.
--   n int64: Learners with at least one attempt.
--   n_first int64: Learners whose first attempt is in the logs.
--   p_first float64: Difficulty: mean score of first attempts, from 0 to 1.
--   p_last float64: Mean score of last answers.
--   discrimination_assignment float64: Correlation of the score with that on the other inputs of
--     the assignment, over learners who answered at least half of the assignment.
--   n_assignment int64: Learners in that correlation.
--   discrimination_course float64: The same with the other inputs of the course.
--   n_course int64: Learners in that correlation.
--   alpha float64: Cronbach's α of the assignment.
--   n_alpha int64: Learners who answered the whole assignment.
--   attempts_mean float64: Mean number of attempts at the problem.
--   attempts_median float64: Median number of attempts at the problem.
--   max_attempts_share float64: Share of learners who used all their attempts; null if there is no
--     limit.
--   s_to_first_median float64 [s]: Median time from first seeing the problem to the first check.
--   answer_seen_share float64: Share of learners who saw the answer before their last check.
with
-- Sums must be exact, so scores are whole multiples of 1/720,720,000. That is exact for 1 to 16,
-- 20, 25, 50 and 100 points. A score beyond 1000 is damaged, and left out.
scores as (
    select
        site, user_id, block_key, block_id, input_id,
        case when abs(item_score) <= 1000 then round(item_score * 720720000)::hugeint end as score,
        case when abs(first_score) <= 1000 then round(first_score * 720720000)::hugeint end
        as first_score,
        n_attempts
    from person_item
    where is_staff is not true and input_id is not null
),
blocks as (
    select
        block_id,
        min(display_name) as display_name, min(sequential_key) as assignment_key,
        min(format) as format, min(max_attempts) as max_attempts
    from course_items
    where block_type = 'problem'
    group by all
),
answered as (
    select scores.*, assignment_key
    from scores
    left join blocks using (block_id)
    where score is not null
),
-- Rest scores: those on the other inputs of the assignment, and of the course.
sizes as (
    select
        site, assignment_key,
        count(distinct (block_id, input_id)) as n_items
    from answered
    group by all
),
course_sizes as (
    select site, count(distinct (block_id, input_id)) as n_items from answered group by all
),
sums as (
    select
        *,
        sum(score) over (partition by site, user_id, assignment_key) as of_assignment,
        count(*) over (partition by site, user_id, assignment_key) as n_of_assignment,
        sum(score) over (partition by site, user_id) as of_course,
        count(*) over (partition by site, user_id) as n_of_course
    from answered
),
rests as (
    select
        site, block_id, input_id, 'assignment' as scope, score, of_assignment - score as rest
    from sums
    join sizes using (site, assignment_key)
    where n_of_assignment * 2 >= n_items and n_items > 1
    union all
    select site, block_id, input_id, 'course', score, of_course - score
    from sums
    join course_sizes using (site)
    where n_of_course * 2 >= n_items and n_items > 1
),
moments as (
    select
        site, block_id, input_id, scope,
        count(*)::hugeint as n,
        sum(score)::hugeint as x, sum(rest)::hugeint as y,
        sum(score * score)::hugeint as xx, sum(rest * rest)::hugeint as yy,
        sum(score * rest)::hugeint as xy
    from rests
    group by all
),
correlations as (
    select
        site, block_id, input_id, scope, n,
        case
            when n * xx > x * x and n * yy > y * y
            then round(
                (n * xy - x * y)::double
                / (sqrt((n * xx - x * x)::double) * sqrt((n * yy - y * y)::double)),
                12
            )
        end as r
    from moments
),
-- Cronbach's α, over learners who answered the whole assignment.
whole as (
    select answered.*, n_items
    from answered
    join sizes using (site, assignment_key)
    join (
        select site, user_id, assignment_key, count(*) as n_answered
        from answered
        group by all
    ) using (site, user_id, assignment_key)
    where n_answered = n_items and n_items > 1
),
spreads as (
    select
        site, assignment_key, n_items,
        count(*)::hugeint as n, sum(score)::hugeint as x, sum(score * score)::hugeint as xx
    from whole
    group by site, assignment_key, n_items, block_id, input_id
),
totals as (
    select
        site, assignment_key,
        count(*)::hugeint as n, sum(total)::hugeint as x, sum(total * total)::hugeint as xx
    from (
        select site, assignment_key, user_id, sum(score) as total from whole group by all
    )
    group by all
),
alphas as (
    select
        site, assignment_key, totals.n,
        case
            when totals.n * totals.xx > totals.x * totals.x
            then round(
                n_items / (n_items - 1)::double
                * (
                    1 - of_items::double
                    / (totals.n * totals.xx - totals.x * totals.x)::double
                ),
                12
            )
        end as alpha
    from totals
    join (
        select site, assignment_key, n_items, sum(n * xx - x * x)::hugeint as of_items
        from spreads
        group by all
    ) using (site, assignment_key)
),
problems as (
    select
        site, user_id, block_id,
        epoch_us(first_time) - epoch_us(first_seen) as us_to_first,
        first_correct is not null as has_first
    from person_problem
    where is_staff is not true
),
times as (
    select
        site, block_id,
        count(us_to_first) as n,
        median(us_to_first) as us_to_first
    from problems
    where has_first and us_to_first >= 0
    group by all
),
shown as (
    select
        site, block_id, input_id,
        count(distinct user_id) as n,
        count(distinct user_id) filter (where answer_seen_before) as n_seen
    from problem_attempts
    where is_staff is not true and is_last
    group by all
),
found as (
    select
        site, block_id, input_id, min(block_key) as block_key,
        count(*) as n,
        count(first_score) as n_first,
        sum(first_score) as first_sum,
        count(score) as n_last,
        sum(score) as last_sum,
        count(n_attempts) as n_counted,
        sum(n_attempts) as attempts_sum,
        median(n_attempts) as attempts_median,
        count(*) filter (where n_attempts >= max_attempts) as n_used_up,
        max(max_attempts) as max_attempts
    from scores
    left join blocks using (block_id)
    where n_attempts >= 1 or score is not null
    group by all
)
select
    found.site,
    getvariable('course_id') as course_id,
    found.block_key, found.block_id, found.input_id, display_name, blocks.assignment_key, format,
    found.n, n_first,
    case
        when n_first >= getvariable('min_n') then round(first_sum::double / n_first / 720720000, 12)
    end as p_first,
    case
        when n_last >= getvariable('min_n')
        then round(last_sum::double / n_last / 720720000, 12)
    end as p_last,
    case when in_assignment.n >= getvariable('min_n') then in_assignment.r end
    as discrimination_assignment,
    in_assignment.n as n_assignment,
    case when in_course.n >= getvariable('min_n') then in_course.r end as discrimination_course,
    in_course.n as n_course,
    case when alphas.n >= getvariable('min_n') then alpha end as alpha,
    alphas.n as n_alpha,
    case
        when n_counted >= getvariable('min_n') then round(attempts_sum::double / n_counted, 12)
    end as attempts_mean,
    case when n_counted >= getvariable('min_n') then attempts_median end as attempts_median,
    case
        when n_counted >= getvariable('min_n') and found.max_attempts is not null
        then round(n_used_up / n_counted::double, 12)
    end as max_attempts_share,
    case when times.n >= getvariable('min_n') then round(us_to_first / 1e6, 12) end
    as s_to_first_median,
    case when shown.n >= getvariable('min_n') then round(n_seen / shown.n::double, 12) end
    as answer_seen_share
from found
left join blocks using (block_id)
left join correlations as in_assignment
    on in_assignment.scope = 'assignment'
    and in_assignment.site = found.site
    and in_assignment.block_id = found.block_id
    and in_assignment.input_id = found.input_id
left join correlations as in_course
    on in_course.scope = 'course'
    and in_course.site = found.site
    and in_course.block_id = found.block_id
    and in_course.input_id = found.input_id
left join alphas
    on alphas.site = found.site and alphas.assignment_key = blocks.assignment_key
left join times on times.site = found.site and times.block_id = found.block_id
left join shown
    on shown.site = found.site
    and shown.block_id = found.block_id
    and shown.input_id = found.input_id
