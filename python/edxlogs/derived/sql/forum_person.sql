-- table: forum_person
-- about: What each learner wrote, read and did in the forum. Posts are those in the package and
--   those deleted before it was made. Anonymous posts count for their author.
-- inputs: db_forum forum_events requests
-- needs: forum_posts forum_acts persons
-- order: site user_id
-- columns:
--   site string: Site of the learner.
--   course_id string: Course id.
--   user_id int64 [role: person id]: User id of the learner.
--   username string [role: username]: Username of the learner.
--   is_staff bool: Whether the person has a staff role.
--   n_threads int64: Threads written.
--   n_responses int64: Responses written.
--   n_comments int64: Comments on responses written.
--   n_chars int64: Characters written.
--   n_votes_got int64: Votes for the learner's posts, according to the package.
--   n_endorsed int64: Endorsed posts.
--   n_pinned int64: Pinned threads.
--   n_anonymous int64: Posts whose author is not shown to everyone.
--   n_deleted int64: Posts deleted before the package was made.
--   first_post timestamp: Time of the first post.
--   last_post timestamp: Time of the last post.
--   n_reads int64: How often the learner read a thread.
--   n_threads_read int64: Threads read, as far as events name them.
--   n_votes_given int64: Votes given, minus those taken back.
--   n_follows int64: How often the learner followed a thread or topic.
--   n_searches int64: Searches.
--   read_source string: Where the reads come from: `view` (events), `url` (requests) or `mixed`.
with
written as (
    select
        site, user_id,
        count(*) filter (where kind = 'thread') as n_threads,
        count(*) filter (where kind = 'response') as n_responses,
        count(*) filter (where kind = 'comment') as n_comments,
        coalesce(sum(n_chars), 0) as n_chars,
        coalesce(sum(n_votes), 0) as n_votes_got,
        count(*) filter (where endorsed) as n_endorsed,
        count(*) filter (where pinned) as n_pinned,
        count(*) filter (where is_anonymous) as n_anonymous,
        count(*) filter (where deleted) as n_deleted,
        min(created_at) as first_post,
        max(created_at) as last_post
    from forum_posts
    where user_id is not null and getvariable('has_db_forum')
    group by all
),
done as (
    select
        site, user_id,
        count(*) filter (where act = 'view') as n_reads,
        count(distinct thread_id) filter (where act = 'view') as n_threads_read,
        coalesce(sum(votes), 0) as n_votes_given,
        count(*) filter (where act = 'follow') as n_follows,
        count(*) filter (where act = 'search') as n_searches,
        case
            when min(told_by) filter (where act = 'view')
                <> max(told_by) filter (where act = 'view')
            then 'mixed'
            else min(told_by) filter (where act = 'view')
        end as read_source
    from forum_acts
    group by all
),
everybody as (
    select site, user_id from written
    union
    select site, user_id from done
)
select
    site,
    getvariable('course_id') as course_id,
    user_id, username, is_staff,
    case when getvariable('has_db_forum') then coalesce(n_threads, 0) end as n_threads,
    case when getvariable('has_db_forum') then coalesce(n_responses, 0) end as n_responses,
    case when getvariable('has_db_forum') then coalesce(n_comments, 0) end as n_comments,
    case when getvariable('has_db_forum') then coalesce(n_chars, 0) end as n_chars,
    case when getvariable('has_db_forum') then coalesce(n_votes_got, 0) end as n_votes_got,
    case when getvariable('has_db_forum') then coalesce(n_endorsed, 0) end as n_endorsed,
    case when getvariable('has_db_forum') then coalesce(n_pinned, 0) end as n_pinned,
    case when getvariable('has_db_forum') then coalesce(n_anonymous, 0) end as n_anonymous,
    case
        when getvariable('has_db_forum') and getvariable('has_forum_events')
        then coalesce(n_deleted, 0)
    end as n_deleted,
    first_post, last_post,
    case when has_acts then coalesce(n_reads, 0) end as n_reads,
    case when has_acts then coalesce(n_threads_read, 0) end as n_threads_read,
    case when has_acts then coalesce(n_votes_given, 0) end as n_votes_given,
    case when has_acts then coalesce(n_follows, 0) end as n_follows,
    case when has_acts then coalesce(n_searches, 0) end as n_searches,
    read_source
from everybody
left join persons using (site, user_id)
left join written using (site, user_id)
left join done using (site, user_id)
cross join (
    select getvariable('has_forum_events') or getvariable('has_requests') as has_acts
)
