-- table: video_runs
-- as: internal table
-- about: Each time that a video began to play, how that ended, and, if it is not a viewing, why
--   not.
-- inputs: video_events
-- needs: learner_events event_blocks course_items?
-- order: site user_id block_id start_time source_no line line_item
-- columns:
--   site string: Site of the learner.
--   user_id int64 [role: person id]: User id of the learner.
--   block_id string: Block id of the video.
--   source_no int64: Number of the source of the play event.
--   line int64: Line of the play event.
--   line_item int64: Item in that line.
--   code string: Code of the video.
--   player string: Player: `mobile` or `browser`.
--   speed float64 [×]: Speed, if an event of the login session states it.
--   duration float64 [s]: Length of the video.
--   start_time timestamp: When it began.
--   end_time timestamp: When it ended.
--   start_pos float64 [s]: Position in the video where it began.
--   end_pos float64 [s]: Position in the video where it ended.
--   start_us int64 [µs]: Position in the video where it began.
--   end_us int64 [µs]: Position in the video where it ended.
--   ended_by string: Action that ended it.
--   dropped string: Why it is not a viewing; null for viewings.
with
acts as (
    select
        events.*, item_id as video,
        last_value(speed_to ignore nulls) over (
            partition by site, user_id, session
            order by moment, source_no, line, line_item
            rows between unbounded preceding and current row
        ) as speed
    from learner_events as events
    join event_blocks using (block_key)
    where event_table = 'video_events'
        and action in ('play', 'pause', 'stop', 'seek', 'speed')
        and item_id is not null
),
-- Each play begins a run; the next pause, stop or seek ends it, unless another play comes first.
marked as (
    select
        *,
        lag(action) over (
            partition by site, user_id, video order by moment, source_no, line, line_item
        ) as before
    from acts
    where action <> 'speed'
),
runs as (
    select
        *,
        lead(action) over one as next_action,
        lead(moment) over one as next_moment,
        lead(position) over one as next_position,
        lag(action) over one as last_end,
        lag(position_to) over one as last_position_to
    from marked
    where action = 'play' or before = 'play'
    window one as (
        partition by site, user_id, video order by moment, source_no, line, line_item
    )
),
-- For each video and code, the duration that most events state; if several do, the longest.
durations as (
    select video, code, arg_max(duration, (n, duration)) as duration
    from (
        select item_id as video, code, duration, count(*) as n
        from learner_events
        join event_blocks using (block_key)
        where event_table = 'video_events' and duration between 1 and 36000
        group by all
    )
    group by all
),
lengths as (
    select block_id as video, max(length_s) as length_s
    from course_items
    where block_type = 'video' and length_s > 0
    group by all
),
placed as (
    select
        site, user_id, video as block_id, source_no, line, line_item, runs.code, player, speed,
        coalesce(length_s, durations.duration) as duration,
        moment as start_time,
        case when next_action <> 'play' then next_moment end as end_time,
        -- After a jump the player may still report the old position, so the end of the jump is
        -- used.
        case when last_end = 'seek' then coalesce(last_position_to, position) else position end
        as start_pos,
        case when next_action <> 'play' then next_position end as end_pos,
        case when next_action <> 'play' then next_action end as ended_by
    from runs
    left join lengths using (video)
    left join durations
        on durations.video = runs.video and durations.code is not distinct from runs.code
    where action = 'play'
),
counted as (
    select
        *,
        try_cast(round(start_pos * 1000000) as bigint) as start_us,
        try_cast(round(end_pos * 1000000) as bigint) as end_us
    from placed
)
select
    site, user_id, block_id, source_no, line, line_item, code, player, speed, duration,
    start_time, end_time, start_pos, end_pos, start_us, end_us, ended_by,
    case
        when ended_by is null then 'no end'
        when start_pos is null or end_pos is null then 'no position'
        when start_pos < 0 or start_pos > 36000 or end_pos < 0 or end_pos > 36000
        then 'position out of range'
        when end_us < start_us then 'end before start'
        when end_us - start_us < 250000 then 'shorter than 0.25 s'
        when end_pos > duration + 1 then 'end past the end of the video'
    end as dropped
from counted
