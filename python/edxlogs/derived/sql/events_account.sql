-- account: events_account
-- about: Events that belong to no learner, with the reason; and clocks that were wrong.
-- inputs: problem_events video_events forum_events navigation_events requests ora_events
--   completion_events exam_events content_events block_events study_events textbook_events
--   other_events
-- needs: learner_events
with
events as not materialized (
    select
        'problem_events' as event_table, site, user_id, username, event_source, flags, time, received_at
    from problem_events
    union all
    select
        'video_events' as event_table, site, user_id, username, event_source, flags, time, received_at
    from video_events
    union all
    select
        'forum_events' as event_table, site, user_id, username, event_source, flags, time, received_at
    from forum_events
    union all
    select
        'navigation_events' as event_table, site, user_id, username, event_source, flags, time, received_at
    from navigation_events
    union all
    select
        'requests' as event_table, site, user_id, username, event_source, flags, time, received_at
    from requests
    union all
    select
        'ora_events' as event_table, site, user_id, username, event_source, flags, time, received_at
    from ora_events
    union all
    select
        'completion_events' as event_table, site, user_id, username, event_source, flags, time, received_at
    from completion_events
    union all
    select
        'exam_events' as event_table, site, user_id, username, event_source, flags, time, received_at
    from exam_events
    union all
    select
        'content_events' as event_table, site, user_id, username, event_source, flags, time, received_at
    from content_events
    union all
    select
        'block_events' as event_table, site, user_id, username, event_source, flags, time, received_at
    from block_events
    union all
    select
        'study_events' as event_table, site, user_id, username, event_source, flags, time, received_at
    from study_events
    union all
    select
        'textbook_events' as event_table, site, user_id, username, event_source, flags, time, received_at
    from textbook_events
    union all
    select
        'other_events' as event_table, site, user_id, username, event_source, flags, time, received_at
    from other_events
),
-- Identity: events with neither a user id nor the username of an account in the package are left
-- out.
known as (
    select event_table, count(*) as n, count(*) filter (where clock) as n_clock
    from learner_events
    group by all
),
left_out as (
    select
        event_table,
        case
            when contains(' ' || coalesce(flags, '') || ' ', ' worker ')
                or coalesce(event_source not in ('browser', 'mobile', 'server'), true)
            then 'events without a person'
            when coalesce(time, received_at) is null then 'events without a time'
            when user_id is null and coalesce(username, '') = '' then 'events of visitors'
            else 'events of usernames without an account'
        end as why,
        count(*) as n
    from events
    where user_id is null
        or coalesce(time, received_at) is null
        or coalesce(event_source not in ('browser', 'mobile', 'server'), true)
        or contains(' ' || coalesce(flags, '') || ' ', ' worker ')
    group by all
),
totals as (select event_table, count(*) as n from events group by all),
-- Events of usernames without an account are the rest: neither found above nor left out for another
-- reason.
found as (
    select
        totals.event_table,
        totals.n - coalesce(known.n, 0)
        - coalesce(sum(left_out.n) filter (where why <> 'events of usernames without an account'), 0)
        as n
    from totals
    left join known using (event_table)
    left join left_out using (event_table)
    group by totals.event_table, totals.n, known.n
)
select why || ' in ' || event_table as what, n
from left_out
where why <> 'events of usernames without an account'
union all
select 'events of usernames without an account in ' || event_table, n from found
union all
select 'wrong clocks in ' || event_table, n_clock from known
