-- table: forum_acts
-- as: internal table
-- about: What learners did in the forum. Each kind of action is taken from forum_events from the
--   first day on which the course has it there, and from requests before that day: never from both.
-- inputs: forum_events requests
-- needs: learner_events
-- order: source_no line line_item
-- columns:
--   site string: Site of the learner.
--   user_id int64 [role: person id]: User id of the learner.
--   moment timestamp: When it happened.
--   day date: Day of `moment`.
--   source_no int64: Number of the event's source, in the order of names.
--   line int64: Line in the source.
--   line_item int64: Event in the line.
--   act string: What was done: `view`, `create`, `vote`, `edit`, `delete`, `report`, `search`,
--     `follow` or another word of the platform.
--   told_by string: Where it comes from: `view` for forum_events, `url` for requests.
--   post_kind string: Kind of post: thread, response or comment.
--   post_id string: Id of the post.
--   thread_id string: Id of the thread.
--   response_id string: Id of the response.
--   commentable_id string: Topic.
--   thread_type string: Type of thread: discussion or question.
--   is_anonymous bool: Whether the author is not shown to everyone.
--   body_chars int64: Length of the post.
--   votes int64: For a vote, 1, or −1 if it was taken back.
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
