-- table: learner_events
-- as: internal view
-- about: What learners did: the events of people, each with the person, the moment and the kind of
--   action by which all other definitions count. Grades, enrollments, certificates, groups, and
--   events of staff and of accounts are left out, because they are written for people who did
--   nothing.
-- inputs: problem_events video_events forum_events navigation_events requests ora_events
--   completion_events exam_events content_events block_events study_events textbook_events
--   other_events db_auth_user db_student_courseenrollment
-- needs: event_sources
-- order: source_no line line_item
-- columns:
--   site string: Site of the person. User ids on two sites are different people.
--   user_id int64 [role: person id]: Who acted; looked up in auth_user if the event has only a
--     username.
--   username string [role: username]: The username in the event.
--   moment timestamp: When it happened: the event's own time, or the time of receipt if the clock
--     of the app was wrong.
--   day date: Day of `moment` in the time zone `tz`.
--   source_no int64: Number of the source, in the order of names.
--   line int64: Line in the source.
--   line_item int64: Event in the line.
--   clock bool: Whether the clock was wrong, so that the time of receipt is used.
--   event_table string: Event table.
--   action string: What was done, in the words of that table.
--   is_activity bool: Whether it is an action of the learner; each action counts once.
--   kind string: Kind of action: video, problem, forum, ora, text or other.
--   route string: Route of a request; for other events, the name of their table.
--   is_mobile bool: Whether an app wrote it.
--   session string [role: person id]: Login session.
--   agent string [role: free text]: Browser.
--   ip string [role: address]: Address of the device.
--   source string: Name of the source.
--   block_key string: Key of the block, as the event has it.
--   block_type string: Type of the block.
--   block_id string: Id of the block.
--   code string: Code of the video.
--   position float64 [s]: Position in the video where the action began.
--   position_to float64 [s]: Position in the video where a jump ended.
--   duration float64 [s]: Length of the video, according to the player.
--   speed_to float64 [×]: Speed of the video from then on.
--   player string: Player of the video: mobile or browser.
--   attempts int64: For a check, the number of the attempt.
--   success string: For a check, correct or incorrect.
--   grade float64 [points]: For a check, the points that it gave.
--   max_grade float64 [points]: For a check, the most points possible.
--   seed int64: For a check, the variant of the problem.
--   post_kind string: In the forum, the kind of post: thread, response or comment.
--   post_id string: In the forum, the id of the post.
--   thread_id string: In the forum, the id of the thread.
--   undo_vote bool: In the forum, whether a vote was taken back.
--   followed bool: For a new thread, whether its author follows it.
--   response_id string: In the forum, the id of the response.
--   comment_id string: In a request to the forum, the id of the response or comment.
--   commentable_id string: In the forum, the topic.
--   thread_type string: In the forum, the type of thread: discussion or question.
--   is_anonymous bool: In the forum, whether the author is not shown to everyone.
--   body_chars int64: For a post, its length.
--   forum_action string: In a request to the forum, what was asked for.
--   submission_uuid string: For an open response, the id of the submission.
--   submitted_at timestamp: For an open response, when it was submitted.
with
-- Identity: on one site, a username belongs to one account.
accounts as not materialized (
    select coalesce(site, '') as site, username as account, min(id) as account_id
    from db_auth_user
    where username <> '' and id is not null
    group by all
),
-- A source without a site in its name belongs to the course's site, if the course's other data name
-- only one.
home as not materialized (
    select case when count(distinct site) = 1 then min(site) end as home_site
    from (
        select coalesce(site, '') as site from db_auth_user
        union all
        select coalesce(site, '') as site from db_student_courseenrollment
    )
),
-- Late events and wrong clocks: no device was in a course more than a day before the first
-- enrollment in it, or before edX had courses.
opened as not materialized (
    select
        greatest(min(created), timestamptz '2012-01-01 00:00:00+00') - interval 1 day as opened_at
    from db_student_courseenrollment
),
-- Reads of threads come from forum_events from the day on which the platform first wrote them, and
-- from requests before: never from both.
reading as not materialized (
    select min(time) as views_since from forum_events where action = 'view'
),
-- A transcript that the player shows by itself while it loads a video is not an action of the
-- learner.
shown_at_load as not materialized (
    select distinct shown.source, shown.line, shown.line_item
    from video_events as shown
    join video_events as load
        on load.user_id is not distinct from shown.user_id
        and load.username is not distinct from shown.username
        and load.site is not distinct from shown.site
        and load.block_id = shown.block_id
        and load.time between shown.time - interval 5 second and shown.time
    where shown.action = 'transcript_show' and load.action = 'load'
),
acts as not materialized (
    select
        'problem_events' as event_table,
        action in ('check', 'save', 'reset', 'answer_shown', 'hint') as is_activity,
        'problem' as kind, 'problem' as route,
        source, line, line_item, time, received_at, site, user_id, username, event_source, flags,
        session, agent, ip, action, block_key, block_type, block_id,
        attempts, success, grade, max_grade, seed
    from problem_events
    union all by name
    select
        'video_events' as event_table,
        action not in ('load', 'bumper_load') and shown_at_load.source is null as is_activity,
        'video' as kind, 'video' as route,
        video_events.source, video_events.line, video_events.line_item, time, received_at, site,
        user_id, username, event_source, flags, session, agent, ip, action, block_key, block_type,
        block_id, code, position, position_to, duration, speed_to, player
    from video_events
    left join shown_at_load
        on video_events.action = 'transcript_show'
        and shown_at_load.source = video_events.source
        and shown_at_load.line = video_events.line
        and shown_at_load.line_item = video_events.line_item
    union all by name
    select
        'forum_events' as event_table, true as is_activity, 'forum' as kind, 'forum' as route,
        source, line, line_item, time, received_at, site, user_id, username, event_source, flags,
        session, agent, ip, action, forum_events.kind as post_kind, post_id, thread_id, response_id,
        commentable_id, thread_type, body_chars, undo_vote, followed,
        coalesce(anonymous, false) or coalesce(anonymous_to_peers, false) as is_anonymous
    from forum_events
    union all by name
    select
        'navigation_events' as event_table, action <> 'close' as is_activity,
        'other' as kind, 'navigation' as route,
        source, line, line_item, time, received_at, site, user_id, username, event_source, flags,
        session, agent, ip, action, block_key, block_type, block_id
    from navigation_events
    union all by name
    select
        'requests' as event_table,
        case route
            when 'discussion' then
                coalesce(forum_action in ('read', 'read_inline'), false)
                and coalesce(
                    timezone(getvariable('tz'), time)::date
                    < timezone(getvariable('tz'), views_since)::date,
                    true
                )
            else route in (
                'courseware', 'xblock_view', 'course_home', 'info', 'progress', 'wiki', 'pdfbook',
                'htmlbook', 'book', 'syllabus'
            )
        end as is_activity,
        case
            when route = 'discussion' then 'forum'
            when route in ('courseware', 'xblock_view', 'wiki', 'pdfbook', 'htmlbook', 'book')
            then 'text'
            else 'other'
        end as kind,
        route,
        source, line, line_item, time, received_at, site, user_id, username, event_source, flags,
        session, agent, ip, action, block_key, block_type, block_id, forum_action, thread_id,
        comment_id, commentable_id
    from requests, reading
    union all by name
    select
        'ora_events' as event_table, true as is_activity, 'ora' as kind, 'ora' as route,
        source, line, line_item, time, received_at, site, user_id, username, event_source, flags,
        session, agent, ip, action, block_key, block_type, block_id, submission_uuid, submitted_at
    from ora_events
    union all by name
    select
        'block_events' as event_table, true as is_activity, 'other' as kind, 'block' as route,
        source, line, line_item, time, received_at, site, user_id, username, event_source, flags,
        session, agent, ip, action, block_key, block_type, block_id
    from block_events
    union all by name
    select
        'study_events' as event_table, true as is_activity, 'other' as kind, 'study' as route,
        source, line, line_item, time, received_at, site, user_id, username, event_source, flags,
        session, agent, ip, action, block_key, block_type, block_id
    from study_events
    union all by name
    select
        'textbook_events' as event_table, true as is_activity, 'text' as kind,
        'textbook' as route,
        source, line, line_item, time, received_at, site, user_id, username, event_source, flags,
        session, agent, ip, action
    from textbook_events
    union all by name
    select
        'completion_events' as event_table, false as is_activity, 'other' as kind,
        'completion' as route,
        source, line, line_item, time, received_at, site, user_id, username, event_source, flags,
        session, agent, ip, action, block_key, block_type, block_id
    from completion_events
    union all by name
    select
        'exam_events' as event_table, false as is_activity, 'other' as kind, 'exam' as route,
        source, line, line_item, time, received_at, site, user_id, username, event_source, flags,
        session, agent, ip, action, block_key, block_type, block_id
    from exam_events
    union all by name
    select
        'content_events' as event_table, false as is_activity, 'other' as kind,
        'content' as route,
        source, line, line_item, time, received_at, site, user_id, username, event_source, flags,
        session, agent, ip, action, block_key, block_type, block_id
    from content_events
    union all by name
    select
        'other_events' as event_table, false as is_activity, 'other' as kind, 'other' as route,
        source, line, line_item, time, received_at, site, user_id, username, event_source, flags,
        session, agent, ip, action
    from other_events
),
placed as not materialized (
    select
        acts.* replace (coalesce(acts.site, home_site, '') as site),
        coalesce(
            event_source = 'mobile'
            and received_at is not null
            and (time > received_at + interval 5 minute or time < opened_at),
            false
        ) as clock,
        case when clock then received_at else coalesce(time, received_at) end as moment
    from acts, home, opened
)
select
    placed.site,
    coalesce(placed.user_id, account_id) as user_id,
    placed.username,
    moment,
    timezone(getvariable('tz'), moment)::date as day,
    source_no, line, line_item, clock,
    event_table, action,
    coalesce(is_activity, false) as is_activity,
    case when is_activity then kind end as kind,
    route,
    event_source = 'mobile' as is_mobile,
    session, agent, ip, placed.source,
    block_key, block_type, block_id,
    code, position, position_to, duration, speed_to, player,
    attempts, success, grade, max_grade, seed,
    post_kind, post_id, thread_id, undo_vote, followed, response_id, comment_id, commentable_id,
    thread_type, is_anonymous, body_chars, forum_action,
    submission_uuid, submitted_at
from placed
join event_sources on event_sources.source = placed.source
left join accounts
    on placed.user_id is null
    and accounts.site = placed.site
    and account = placed.username
where event_source in ('browser', 'mobile', 'server')
    and coalesce(placed.user_id, account_id) is not null
    and not contains(' ' || coalesce(flags, '') || ' ', ' worker ')
    and moment is not null
