-- table: simeon_pc_forum
-- about: What people wrote in the forum, by the names of simeon.
-- inputs: db_forum! forum_events
-- needs: forum_person
-- order: user_id
-- columns:
--   user_id int64 [role: person id]: Who wrote it.
--   nforum int64: Posts, those that were deleted before the package among them.
--   nvotes int64: Votes for them.
--   npinned int64: Threads that are pinned.
--   nendorsed int64: Posts that are endorsed.
--   nthread int64: Threads.
--   ncomment int64: Responses and comments.
-- differs: nforum nthread ncomment
select
    user_id, n_threads + n_responses + n_comments as nforum, n_votes_got as nvotes,
    n_pinned as npinned, n_endorsed as nendorsed, n_threads as nthread,
    n_responses + n_comments as ncomment
from forum_person
where n_threads + n_responses + n_comments > 0
