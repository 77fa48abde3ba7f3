-- table: forum_edges
-- about: Who answered whom in the forum: one row for each response or comment to somebody else's
--   post.
-- inputs: db_forum forum_events
-- needs: forum_posts
-- order: site time post_id
-- columns:
--   site string: Site of the forum.
--   course_id string: Course id.
--   from_user_id int64 [role: person id]: User id of the person who answered.
--   to_user_id int64 [role: person id]: User id of the person answered.
--   thread_id string: Id of the thread.
--   post_id string: Id of the answer.
--   kind string: `response` to the thread, or `comment` on a response.
--   time timestamp: When the answer was written.
select
    post.site,
    getvariable('course_id') as course_id,
    post.user_id as from_user_id,
    above.user_id as to_user_id,
    post.thread_id, post.post_id, post.kind,
    post.created_at as time
from forum_posts as post
join forum_posts as above
    on above.site = post.site
    and above.post_id = case post.kind when 'response' then post.thread_id
    when 'comment' then post.response_id end
where post.user_id <> above.user_id
