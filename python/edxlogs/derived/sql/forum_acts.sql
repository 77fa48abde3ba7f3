-- table: forum_acts
-- as: internal table
-- about: What learners did in the forum. Each act is told by forum_events from the first day on which
--   they tell acts of its kind in the course, and before by requests: never by both.
-- inputs: forum_events requests
-- needs: learner_events
-- order: source_no line line_item
-- columns:
--   site string: Site of the learner.
--   user_id int64 [role: person id]: The learner.
--   moment timestamp: When.
--   day date: The day of that.
--   source_no int64: The source of the event, in the order of names.
--   line int64: The line in it.
--   line_item int64: The event in the line.
--   act string: `view`, `create`, `vote`, `edit`, `delete`, `report`, `search`, `follow` or another
--     word of the platform.
--   told_by string: `view` for forum_events, `url` for requests.
--   post_kind string: thread, response or comment.
--   post_id string: The post.
--   thread_id string: The thread.
--   response_id string: The response.
--   commentable_id string: The topic.
--   thread_type string: discussion or question.
--   is_anonymous bool: Whether the author is not shown to all.
--   body_chars int64: Length of the post.
--   votes int64: Of a vote, 1, or −1 where it is taken back.
with
acts as (
    select
        *,
        case
            when event_table = 'forum_events' then action
            when forum_action in ('read', 'read_inline') then 'view'
            when forum_action in ('create', 'reply') then 'create'
            when forum_action in ('upvote', 'unvote') then 'vote'
            when forum_action = 'update' then 'edit'
            when forum_action = 'flag' then 'report'
            when forum_action = 'unflag' then 'unreport'
            else forum_action
        end as act
    from learner_events
    where event_table = 'forum_events'
        or (event_table = 'requests' and route = 'discussion' and forum_action is not null)
),
since as (
    select act, min(day) as first_day from acts where event_table = 'forum_events' group by all
)
select
    site, user_id, moment, day, source_no, line, line_item, act,
    case event_table when 'forum_events' then 'view' else 'url' end as told_by,
    post_kind,
    case event_table when 'forum_events' then post_id else coalesce(comment_id, thread_id) end
    as post_id,
    thread_id, response_id, commentable_id, thread_type, is_anonymous, body_chars,
    case
        when act = 'vote' and (undo_vote or forum_action = 'unvote') then -1
        when act = 'vote' then 1
    end as votes
from acts
left join since using (act)
where event_table = 'forum_events'
    or (act = 'view' and is_activity)
    or (act <> 'view' and (first_day is null or day < first_day))
