-- account: problem_account
-- about: Problem checks that are not attempts.
-- inputs: problem_events problem_inputs
-- needs: learner_events event_blocks problem_attempts
with
checks as (
    select
        count(*) as n,
        count(*) filter (where item_id is null) as n_no_block,
        count(*) filter (where item_id is not null and inputs.source is null) as n_no_input
    from learner_events as events
    left join event_blocks using (block_key)
    left join (
        select distinct source, line, line_item from problem_inputs where action = 'check'
    ) as inputs
        on inputs.source = events.source
        and inputs.line = events.line
        and inputs.line_item = events.line_item
    where event_table = 'problem_events' and action = 'check'
),
attempts as (
    select count(distinct (site, user_id, block_id, attempt_rank)) as n from problem_attempts
)
select 'checks without a problem' as what, n_no_block as n from checks
union all
select 'checks without an input', n_no_input from checks
union all
select
    'checks that were sent twice', checks.n - n_no_block - n_no_input - attempts.n
from checks, attempts
