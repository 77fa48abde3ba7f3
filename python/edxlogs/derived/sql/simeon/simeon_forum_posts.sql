-- table: simeon_forum_posts
-- about: The posts of the forum, with the column names of simeon and edx2bigquery.
-- inputs: db_forum! forum_events
-- needs: forum_posts persons
-- order: slug_id
-- columns:
--   username string [role: username]: Username of the author, if others can see who it is.
--   course_id string: Course id.
--   slug_id string: Id of the post.
--   slug_type string: `initial_post`, `response_post` or `comment`.
--   thread_id string: Id of the thread.
--   parent_id string: Id of the response that a comment belongs to.
--   original_poster string [role: username]: Username of the thread's author.
--   responded_to string [role: username]: Username of the author of the post that this one responds
--     to.
--   title string [role: free text]: Title of the thread.
--   first_time timestamp: When the post was written.
--   body_preview string [role: free text]: First hundred characters of the post.
-- differs: username original_poster responded_to thread_id
with
texts as (
    select
        coalesce(site, '') as site, _id as post_id, any_value(title) as title,
        any_value(body) as body
    from db_forum
    where _id is not null
    group by all
),
posts as (
    select
        forum_posts.*, title, body,
        case when not is_anonymous then persons.username end as username
    from forum_posts
    left join persons using (site, user_id)
    left join texts using (site, post_id)
)
select
    posts.username, getvariable('course_id') as course_id, posts.post_id as slug_id,
    case posts.kind
        when 'thread' then 'initial_post' when 'response' then 'response_post' else posts.kind
    end as slug_type,
    posts.thread_id, posts.response_id as parent_id,
    threads.username as original_poster,
    case posts.kind
        when 'response' then threads.username
        when 'comment' then parents.username
    end as responded_to,
    threads.title, posts.created_at as first_time, substr(posts.body, 1, 100) as body_preview
from posts
left join posts as threads
    on threads.site = posts.site and threads.post_id = posts.thread_id
left join posts as parents
    on parents.site = posts.site and parents.post_id = posts.response_id
