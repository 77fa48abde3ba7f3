-- table: forum_posts
-- as: internal table
-- about: The posts of the forum: those in the package, and those known only from an event, which
--   were deleted before the package was made or written after it.
-- inputs: db_forum forum_events
-- needs: forum_acts
-- order: site post_id
-- columns:
--   site string: Site of the forum.
--   post_id string: Id of the post.
--   kind string: Kind of post: `thread`, `response` or `comment`.
--   thread_id string: Id of the thread.
--   response_id string: Id of the response that a comment belongs to.
--   user_id int64 [role: person id]: User id of the author.
--   created_at timestamp: When the post was written.
--   n_chars int64: Length of its text.
--   topic string: Topic of a thread.
--   thread_type string: Type of a thread: `discussion` or `question`.
--   n_votes int64: Votes for the post.
--   endorsed bool: Whether it is endorsed.
--   pinned bool: Whether it is pinned.
--   is_anonymous bool: Whether its author is not shown to everyone.
--   deleted bool: Whether it was deleted before the package was made.
with
kept as (
    select
        coalesce(site, '') as site,
        _id as post_id,
        kind,
        case kind when 'thread' then _id else comment_thread_id end as thread_id,
        case kind when 'comment' then parent_id end as response_id,
        try_cast(author_id as bigint) as user_id,
        created_at,
        length(body) as n_chars,
        case kind when 'thread' then commentable_id end as topic,
        case kind when 'thread' then thread_type end as thread_type,
        votes_up_count as n_votes,
        coalesce(endorsed, false) as endorsed,
        coalesce(pinned, false) as pinned,
        coalesce(anonymous, false) or coalesce(anonymous_to_peers, false) as is_anonymous
    from db_forum
    where _id is not null
),
-- When the package was made: the day in its name, else the time of its newest post.
made as (
    select
        coalesce(
            timezone('UTC', max(snapshot_date)::timestamp), max(created_at)
        ) as made_at
    from db_forum
),
told as (
    select
        site, post_id, post_kind as kind,
        case post_kind when 'thread' then post_id else thread_id end as thread_id,
        case post_kind when 'comment' then response_id end as response_id,
        user_id, moment as created_at, body_chars as n_chars,
        case post_kind when 'thread' then commentable_id end as topic,
        case post_kind when 'thread' then thread_type end as thread_type,
        is_anonymous,
        row_number() over (
            partition by site, post_id order by moment, source_no, line, line_item
        ) as nth
    from forum_acts
    where act = 'create' and told_by = 'view' and post_id is not null and post_kind is not null
)
select *, false as deleted from kept
union all by name
select told.* exclude (nth), coalesce(created_at < made_at, false) as deleted
from told
cross join made
anti join kept using (site, post_id)
where nth = 1
