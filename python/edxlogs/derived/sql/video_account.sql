-- account: video_account
-- about: Plays of videos that are not viewings.
-- inputs: video_events
-- needs: video_runs
select 'not a viewing: ' || dropped as what, count(*) as n
from video_runs
where dropped is not null
group by all
