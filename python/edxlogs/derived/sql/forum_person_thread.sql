-- table: forum_person_thread
-- about: Who took part in which thread of the forum, and who read it.
-- inputs: db_forum forum_events requests
-- needs: forum_posts forum_acts persons
-- order: site user_id thread_id
-- columns:
--   site string: Site of the learner.
--   course_id string: Course id.
--   user_id int64 [role: person id]: User id of the learner.
--   username string [role: username]: Username of the learner.
--   is_staff bool: Whether the person has a staff role.
--   thread_id string: Id of the thread.
--   thread_type string: Type of the thread: `discussion` or `question`.
--   topic string: Topic of the thread: the `discussion_id` of a block.
--   role string: `author` of the thread, else `responder`, else `commenter`; null for learners who
--     only read it.
--   n_posts int64: Posts by the learner in the thread.
--   answered_to string [role: person id]: Whom the learner answered in the thread: user ids, in
--     order.
--   n_reads int64: How often the learner read it.
--   first_read timestamp: When the learner first read it.
--   last_read timestamp: When the learner last read it.
with
posts as (
    select
        post.*,
        -- A response answers the author of the thread; a comment, the author of the response.
        case post.kind when 'response' then thread.user_id when 'comment' then response.user_id end
        as to_user_id
    from forum_posts as post
    left join forum_posts as thread
        on thread.site = post.site and thread.post_id = post.thread_id
    left join forum_posts as response
        on response.site = post.site and response.post_id = post.response_id
    where post.user_id is not null and post.thread_id is not null
),
written as (
    select
        site, user_id, thread_id,
        case
            when bool_or(kind = 'thread') then 'author'
            when bool_or(kind = 'response') then 'responder'
            else 'commenter'
        end as role,
        count(*) as n_posts,
        array_to_string(
            list_sort(list_distinct(list(to_user_id) filter (where to_user_id <> user_id))), ', '
        ) as answered_to
    from posts
    group by all
),
read as (
    select
        site, user_id, thread_id,
        count(*) as n_reads, min(moment) as first_read, max(moment) as last_read
    from forum_acts
    where act = 'view' and thread_id is not null
    group by all
),
threads as (
    select site, post_id as thread_id, topic, thread_type from forum_posts where kind = 'thread'
)
select
    site,
    getvariable('course_id') as course_id,
    user_id, username, is_staff, thread_id, thread_type, topic, role,
    case
        when getvariable('has_db_forum') or getvariable('has_forum_events')
        then coalesce(n_posts, 0)
    end as n_posts,
    nullif(answered_to, '') as answered_to,
    case
        when getvariable('has_forum_events') or getvariable('has_requests')
        then coalesce(n_reads, 0)
    end as n_reads,
    first_read, last_read
from written
full join read using (site, user_id, thread_id)
left join persons using (site, user_id)
left join threads using (site, thread_id)
