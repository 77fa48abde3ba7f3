-- table: simeon_pc_forum
-- about: What each person wrote in the forum, with the column names of simeon.
-- inputs: db_forum! forum_events
-- needs: forum_person
-- order: user_id
-- columns:
--   user_id int64 [role: person id]: User id of the author.
--   nforum int64: Posts, including those deleted before the package was made.
--   nvotes int64: Votes for these posts.
--   npinned int64: Pinned threads.
--   nendorsed int64: Endorsed posts.
--   nthread int64: Threads.
--   ncomment int64: Responses and comments.
-- differs: nforum nthread ncomment
select
    user_id, n_threads + n_responses + n_comments as nforum, n_votes_got as nvotes,
    n_pinned as npinned, n_endorsed as nendorsed, n_threads as nthread,
    n_responses + n_comments as ncomment
from forum_person
where n_threads + n_responses + n_comments > 0
