-- table: simeon_forum_events
-- about: What learners did in the forum, with the column names of simeon and edx2bigquery. If both
--   an event and a request record an action, theirs has it twice; ours has it once.
-- inputs: forum_events requests
-- needs: forum_acts persons
-- order: time username forum_action
-- columns:
--   time timestamp: When it happened.
--   username string [role: username]: Username of the learner.
--   course_id string: Course id.
--   forum_action string: `read`, `created_thread`, `created_response`, `created_comment`, `upvote`,
--     `unvote`, `searched`, or another word of ours.
--   thread_id string: Id of the thread.
--   subject string: Null: what was written is in `simeon_forum_posts`.
--   target_user_id string: Null.
--   search_query string: Null.
--   event_GET string: Null.
-- differs: forum_action thread_id
select
    moment as time, persons.username, getvariable('course_id') as course_id,
    case
        when act = 'view' then 'read'
        when act = 'create' and post_kind is not null then 'created_' || post_kind
        when act = 'vote' and votes < 0 then 'unvote'
        when act = 'vote' then 'upvote'
        when act = 'search' then 'searched'
        else act
    end as forum_action,
    thread_id, null as subject, null as target_user_id, null as search_query,
    null as "event_GET"
from forum_acts
left join persons using (site, user_id)
