-- table: time_on_task
-- about: How much time learners spent, and on what. The time from each action to the next, up to a
--   cap, counts for the kind of the earlier one.
-- inputs: problem_events video_events forum_events navigation_events requests ora_events
--   block_events study_events textbook_events
-- needs: learner_events persons
-- order: site user_id day
-- columns:
--   site string: Site of the learner.
--   course_id string: Course id.
--   user_id int64 [role: person id]: User id of the learner.
--   username string [role: username]: Username of the learner.
--   is_staff bool: Whether the person has a staff role.
--   day date: Day on which the gaps begin.
--   time_s float64 [s]: Total time: the sum of the kinds below.
--   time_video_s float64 [s]: Time after video actions.
--   time_problem_s float64 [s]: Time after problem actions.
--   time_forum_s float64 [s]: Time after forum actions.
--   time_ora_s float64 [s]: Time after actions in open response assessments.
--   time_text_s float64 [s]: Time after pages and textbooks were opened.
--   time_other_s float64 [s]: Time after other actions.
--   n_gaps int64: Gaps that begin on the day.
--   n_capped int64: Gaps longer than the cap, which count as the cap.
with
gaps as (
    select
        site, user_id, day, kind,
        epoch_us(lead(moment) over next) - epoch_us(moment) as gap_us,
        case when kind in ('video', 'text') then getvariable('cap_long') else getvariable('cap') end
        as cap_us
    from learner_events
    where is_activity
    window next as (partition by site, user_id order by moment, source_no, line, line_item)
),
-- A gap belongs to the kind of the action before it, so kinds never overlap. A gap longer than the
-- cap counts as the cap. There is no gap after a learner's last action.
credited as (
    select *, case when gap_us > cap_us then cap_us else gap_us end as us from gaps
),
days as (
    select
        site, user_id, day,
        coalesce(sum(us), 0) as all_us,
        coalesce(sum(us) filter (where kind = 'video'), 0) as video_us,
        coalesce(sum(us) filter (where kind = 'problem'), 0) as problem_us,
        coalesce(sum(us) filter (where kind = 'forum'), 0) as forum_us,
        coalesce(sum(us) filter (where kind = 'ora'), 0) as ora_us,
        coalesce(sum(us) filter (where kind = 'text'), 0) as text_us,
        coalesce(sum(us) filter (where kind = 'other'), 0) as other_us,
        count(gap_us) as n_gaps,
        count(*) filter (where gap_us > cap_us) as n_capped
    from credited
    group by all
)
select
    site,
    getvariable('course_id') as course_id,
    user_id, username, is_staff, day,
    all_us / 1000000.0::double as time_s,
    case when getvariable('has_video_events') then video_us / 1000000.0::double end as time_video_s,
    case when getvariable('has_problem_events') then problem_us / 1000000.0::double end
    as time_problem_s,
    case
        when getvariable('has_forum_events') or getvariable('has_requests')
        then forum_us / 1000000.0::double
    end as time_forum_s,
    case when getvariable('has_ora_events') then ora_us / 1000000.0::double end as time_ora_s,
    case
        when getvariable('has_requests') or getvariable('has_textbook_events')
        then text_us / 1000000.0::double
    end as time_text_s,
    other_us / 1000000.0::double as time_other_s,
    n_gaps, n_capped
from days
left join persons using (site, user_id)
