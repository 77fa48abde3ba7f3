-- table: person_block
-- about: Which blocks of the course each learner used, when, and how often.
-- inputs: problem_events video_events forum_events navigation_events requests ora_events block_events
--   study_events
-- needs: learner_events event_blocks forum_acts persons course_items?
-- order: site user_id block_id block_type
-- columns:
--   site string: Site of the learner.
--   course_id string: Course id.
--   user_id int64 [role: person id]: User id of the learner.
--   username string [role: username]: Username of the learner.
--   is_staff bool: Whether the person has a staff role.
--   block_key string: Usage key of the block, from course_items, else from the events.
--   block_id string: Block id.
--   block_type string: Type of the block.
--   display_name string: Title of the block.
--   n_events int64: Actions.
--   n_days int64: Days with an action.
--   first timestamp: Time of the first action.
--   last timestamp: Time of the last action.
--   n_attempted int64: For a problem, checks.
--   n_completed int64: For a problem, fully correct checks.
--   n_viewed int64: For a video, how often it began to play.
--   n_contributed int64: For a discussion, posts in its topic.
with
topics as (
    select
        discussion_id as commentable_id, min(block_key) as block_key, min(block_id) as block_id
    from course_items
    where discussion_id is not null
    group by all
    having count(distinct block_key) = 1
),
acts as (
    select
        site, user_id, moment, day, event_table, action, success,
        coalesce(item_key, block_key) as block_key, item_id as block_id, item_type as block_type
    from learner_events
    join event_blocks using (block_key)
    where is_activity and item_id is not null
    union all by name
    select
        site, user_id, moment, day, 'forum_events' as event_table, act as action,
        block_key, block_id, 'discussion' as block_type
    from forum_acts
    join topics using (commentable_id)
    where act = 'create'
)
select
    site,
    getvariable('course_id') as course_id,
    user_id, any_value(username) as username, any_value(is_staff) as is_staff,
    min(acts.block_key) as block_key, block_id, block_type,
    any_value(display_name) as display_name,
    count(*) as n_events,
    count(distinct day) as n_days,
    min(moment) as first,
    max(moment) as last,
    count(*) filter (where event_table = 'problem_events' and action = 'check') as n_attempted,
    count(*) filter (
        where event_table = 'problem_events' and action = 'check' and success = 'correct'
    ) as n_completed,
    count(*) filter (where event_table = 'video_events' and action = 'play') as n_viewed,
    count(*) filter (where event_table = 'forum_events') as n_contributed
from acts
left join persons using (site, user_id)
left join (
    select block_key, min(display_name) as display_name from course_items group by all
) as titles on titles.block_key = acts.block_key
group by site, user_id, block_id, block_type
