-- table: person_course_day
-- about: What each learner did on each day: one row for each day with an action.
-- inputs: problem_events problem_inputs video_events forum_events navigation_events requests
--   ora_events completion_events
-- needs: learner_events subject_events event_blocks forum_acts video_runs sessions time_on_task
--   persons
-- order: site user_id day
-- columns:
--   site string: Site of the learner.
--   course_id string: Course id.
--   user_id int64 [role: person id]: User id of the learner.
--   username string [role: username]: Username of the learner.
--   is_staff bool: Whether the person has a staff role.
--   day date: Day in the time zone `tz`.
--   n_events int64: Actions.
--   n_all_events int64: All events of the learner, including those that are not actions.
--   first_event timestamp: Time of the first action.
--   last_event timestamp: Time of the last action.
--   n_sessions_started int64: Sessions that began on the day.
--   time_s float64 [s]: Time on task: the sum of the kinds below.
--   time_video_s float64 [s]: Time after video actions.
--   time_problem_s float64 [s]: Time after problem actions.
--   time_forum_s float64 [s]: Time after forum actions.
--   time_ora_s float64 [s]: Time after actions in open response assessments.
--   time_text_s float64 [s]: Time after pages and textbooks were opened.
--   time_other_s float64 [s]: Time after other actions.
--   n_video int64: Video actions, except menus.
--   n_play int64: How often a video began to play.
--   n_pause int64: How often a video was paused.
--   n_seek int64: Jumps in videos.
--   n_speed int64: Speed changes.
--   n_transcript int64: How often a transcript was shown or hidden.
--   n_videos int64: Videos of which at least five seconds were seen, in viewings that began on the
--     day.
--   video_seconds float64 [s]: Seconds of video seen in these viewings, each part counted once.
--   n_checks int64: Problem checks.
--   n_problems int64: Problems checked.
--   n_checks_correct int64: Fully correct checks.
--   n_inputs_by_type string: Number of inputs checked, by response type, as JSON.
--   n_answers_shown int64: How often an answer was shown.
--   n_forum_posts int64: Posts written, according to events, or to requests from before there were
--     such events.
--   n_forum_reads int64: How often the learner read a thread.
--   n_threads_touched int64: Threads in which the learner did anything.
--   n_progress int64: How often the progress page was opened.
--   n_goto int64: How often a unit was chosen by its tab.
--   n_ora int64: Open responses submitted.
--   n_blocks_completed int64: Blocks completed.
--   n_agents int64: Number of browsers and apps used.
--   is_mobile bool: Whether any action was in an app.
with
acts as (
    select
        site, user_id, day,
        count(*) filter (where is_activity) as n_events,
        count(*) as n_all_events,
        min(moment) filter (where is_activity) as first_event,
        max(moment) filter (where is_activity) as last_event,
        count(*) filter (where kind = 'video' and not contains(action, 'menu')) as n_video,
        count(*) filter (where kind = 'video' and action = 'play') as n_play,
        count(*) filter (where kind = 'video' and action = 'pause') as n_pause,
        count(*) filter (where kind = 'video' and action = 'seek') as n_seek,
        count(*) filter (where kind = 'video' and action = 'speed') as n_speed,
        count(*) filter (
            where kind = 'video' and action in ('transcript_show', 'transcript_hide')
        ) as n_transcript,
        count(*) filter (where kind = 'problem' and action = 'check') as n_checks,
        count(*) filter (
            where kind = 'problem' and action = 'check' and success = 'correct'
        ) as n_checks_correct,
        count(*) filter (where kind = 'problem' and action = 'answer_shown') as n_answers_shown,
        count(*) filter (where event_table = 'requests' and route = 'progress') as n_progress,
        count(*) filter (where event_table = 'navigation_events' and action = 'goto') as n_goto,
        count(*) filter (where kind = 'ora' and action in ('submit', 'team_submit')) as n_ora,
        count(distinct agent) filter (where is_activity and agent <> '') as n_agents,
        bool_or(is_mobile) filter (where is_activity) as is_mobile
    from learner_events
    group by all
    having n_events > 0
),
checked as (
    select
        site, user_id, day,
        count(distinct item_id) as n_problems
    from learner_events
    join event_blocks using (block_key)
    where event_table = 'problem_events' and action = 'check'
    group by all
),
answered as (
    select
        site, user_id, day,
        to_json(map_from_entries(list((response_type, n) order by response_type)))::varchar
        as n_inputs_by_type
    from (
        select checks.site, checks.user_id, day, inputs.response_type, count(*) as n
        from learner_events as checks
        join problem_inputs as inputs
            on inputs.source = checks.source
            and inputs.line = checks.line
            and inputs.line_item = checks.line_item
        where event_table = 'problem_events'
            and checks.action = 'check'
            and inputs.response_type is not null
        group by all
    )
    group by all
),
-- For each video, the union of the viewings that began on the day.
viewed as (
    select
        site, user_id, day,
        count(*) filter (where us >= 5000000) as n_videos,
        sum(us) as us
    from (
        select site, user_id, day, block_id, sum(part_us) as us
        from (
            select
                site, user_id, block_id, day,
                greatest(
                    end_us - greatest(
                        start_us,
                        coalesce(
                            max(end_us) over (
                                partition by site, user_id, block_id, day
                                order by start_us, end_us, source_no, line, line_item
                                rows between unbounded preceding and 1 preceding
                            ),
                            start_us
                        )
                    ),
                    0
                ) as part_us
            from (
                select *, timezone(getvariable('tz'), start_time)::date as day
                from video_runs
                where dropped is null
            )
        )
        group by all
    )
    group by all
),
forum as (
    select
        site, user_id, day,
        count(*) filter (where act = 'create') as n_forum_posts,
        count(*) filter (where act = 'view') as n_forum_reads,
        count(distinct thread_id) as n_threads_touched
    from forum_acts
    group by all
),
completed as (
    select site, user_id, day, count(distinct coalesce(item_id, block_key)) as n_blocks_completed
    from subject_events
    left join event_blocks using (block_key)
    where event_table = 'completion_events' and action = 'block' and completion = 1
    group by all
),
started as (
    select
        site, user_id, timezone(getvariable('tz'), start)::date as day,
        count(*) as n_sessions_started
    from sessions
    group by all
)
select
    site,
    getvariable('course_id') as course_id,
    user_id, persons.username, persons.is_staff, day,
    n_events, n_all_events, first_event, last_event,
    coalesce(n_sessions_started, 0) as n_sessions_started,
    time_s, time_video_s, time_problem_s, time_forum_s, time_ora_s, time_text_s, time_other_s,
    case when getvariable('has_video_events') then n_video end as n_video,
    case when getvariable('has_video_events') then n_play end as n_play,
    case when getvariable('has_video_events') then n_pause end as n_pause,
    case when getvariable('has_video_events') then n_seek end as n_seek,
    case when getvariable('has_video_events') then n_speed end as n_speed,
    case when getvariable('has_video_events') then n_transcript end as n_transcript,
    case when getvariable('has_video_events') then coalesce(n_videos, 0) end as n_videos,
    case when getvariable('has_video_events') then coalesce(us, 0) / 1000000.0::double end
    as video_seconds,
    case when getvariable('has_problem_events') then n_checks end as n_checks,
    case when getvariable('has_problem_events') then coalesce(n_problems, 0) end as n_problems,
    case when getvariable('has_problem_events') then n_checks_correct end as n_checks_correct,
    case when getvariable('has_problem_inputs') then coalesce(n_inputs_by_type, '{}') end
    as n_inputs_by_type,
    case when getvariable('has_problem_events') then n_answers_shown end as n_answers_shown,
    case when has_forum then coalesce(n_forum_posts, 0) end as n_forum_posts,
    case when has_forum then coalesce(n_forum_reads, 0) end as n_forum_reads,
    case when has_forum then coalesce(n_threads_touched, 0) end as n_threads_touched,
    case when getvariable('has_requests') then n_progress end as n_progress,
    case when getvariable('has_navigation_events') then n_goto end as n_goto,
    case when getvariable('has_ora_events') then n_ora end as n_ora,
    case when getvariable('has_completion_events') then coalesce(n_blocks_completed, 0) end
    as n_blocks_completed,
    n_agents, is_mobile
from acts
left join persons using (site, user_id)
left join time_on_task using (site, user_id, day)
left join started using (site, user_id, day)
left join checked using (site, user_id, day)
left join answered using (site, user_id, day)
left join viewed using (site, user_id, day)
left join forum using (site, user_id, day)
left join completed using (site, user_id, day)
cross join (
    select getvariable('has_forum_events') or getvariable('has_requests') as has_forum
)
