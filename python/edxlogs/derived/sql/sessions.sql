-- table: sessions
-- about: Sessions of learners: actions in a row, with no pause longer than the gap between them.
-- inputs: problem_events video_events forum_events navigation_events requests ora_events
--   block_events study_events textbook_events
-- needs: learner_events persons
-- order: site user_id session_no
-- columns:
--   site string: Site of the learner.
--   course_id string: Course id.
--   user_id int64 [role: person id]: User id of the learner.
--   username string [role: username]: Username of the learner.
--   is_staff bool: Whether the person has a staff role.
--   session_no int64: Number of the learner's session in the course, from 1.
--   start timestamp: Time of the first action.
--   end timestamp: Time of the last action.
--   duration_s float64 [s]: Time from the first action to the last; 0 for a single action.
--   n_events int64: Actions.
--   n_video int64: Video actions.
--   n_problem int64: Problem actions.
--   n_forum int64: Forum actions.
--   n_ora int64: Actions in open response assessments.
--   n_text int64: Pages and textbooks read.
--   n_other int64: Other actions.
--   first_route string: What the first action was: the route of a request, else the table.
--   last_route string: The same for the last action.
--   login_sessions int64: Number of login sessions it spans.
--   agents int64: Number of browsers and apps used.
--   is_mobile bool: Whether any action was in an app.
--   ended_by string: How it ended: `close`, the page was closed after it; `gap`, another session
--     follows; `last`, no other session follows.
with
-- Closing a page neither opens nor extends a session: it only matters for `ended_by`.
steps as (
    select
        site, user_id, moment, source_no, line, line_item, kind, route, session, agent, is_mobile,
        is_activity,
        max(case when is_activity then moment end) over before as before_at
    from learner_events
    where is_activity or (event_table = 'navigation_events' and action = 'close')
    window before as (
        partition by site, user_id
        order by moment, source_no, line, line_item
        rows between unbounded preceding and 1 preceding
    )
),
-- A session begins after a pause longer than the gap. Events of the same moment are ordered by
-- source and line.
numbered as (
    select
        *,
        row_number() over upto as nth,
        sum(
            case
                when
                    is_activity
                    and coalesce(
                        epoch_us(moment) - epoch_us(before_at) > getvariable('gap'), true
                    )
                then 1
                else 0
            end
        ) over upto::bigint as session_no
    from steps
    window upto as (
        partition by site, user_id
        order by moment, source_no, line, line_item
        rows between unbounded preceding and current row
    )
),
found as (
    select
        site, user_id, session_no,
        min(moment) filter (where is_activity) as start,
        max(moment) filter (where is_activity) as "end",
        max(moment) filter (where not is_activity) as closed_at,
        count(*) filter (where is_activity) as n_events,
        count(*) filter (where kind = 'video') as n_video,
        count(*) filter (where kind = 'problem') as n_problem,
        count(*) filter (where kind = 'forum') as n_forum,
        count(*) filter (where kind = 'ora') as n_ora,
        count(*) filter (where kind = 'text') as n_text,
        count(*) filter (where kind = 'other') as n_other,
        arg_min(route, nth) filter (where is_activity) as first_route,
        arg_max(route, nth) filter (where is_activity) as last_route,
        count(distinct session) filter (where is_activity and session <> '') as login_sessions,
        count(distinct agent) filter (where is_activity and agent <> '') as agents,
        bool_or(is_mobile) filter (where is_activity) as is_mobile
    from numbered
    where session_no > 0
        and (is_activity or epoch_us(moment) - epoch_us(before_at) <= getvariable('gap'))
    group by all
)
select
    site,
    getvariable('course_id') as course_id,
    user_id, username, is_staff, session_no, start, "end",
    (epoch_us("end") - epoch_us(start)) / 1000000.0::double as duration_s,
    n_events,
    case when getvariable('has_video_events') then n_video end as n_video,
    case when getvariable('has_problem_events') then n_problem end as n_problem,
    case when getvariable('has_forum_events') or getvariable('has_requests') then n_forum end
    as n_forum,
    case when getvariable('has_ora_events') then n_ora end as n_ora,
    case when getvariable('has_requests') or getvariable('has_textbook_events') then n_text end
    as n_text,
    n_other,
    first_route, last_route, login_sessions, agents, is_mobile,
    case
        when closed_at >= "end" then 'close'
        when lead(session_no) over (partition by site, user_id order by session_no) is null
        then 'last'
        else 'gap'
    end as ended_by
from found
left join persons using (site, user_id)
