-- table: course_day
-- about: What happened in a course on each day: learners, actions, enrollments. Staff are left out,
--   except from the counts of enrollments.
-- inputs: problem_events video_events forum_events requests enrollment_events
--   db_student_courseenrollment
-- needs: person_course_day enrollment_day
-- order: site day
-- columns:
--   site string: Site of the learners.
--   course_id string: Course id.
--   day date: Day in the time zone `tz`.
--   n_learners int64: Learners with at least one action.
--   n_events int64: Their actions.
--   n_sessions_started int64: Sessions that began on the day.
--   time_s float64 [s]: Time on task.
--   n_video_learners int64: Learners who played a video.
--   n_play int64: How often a video was played.
--   n_problem_learners int64: Learners with at least one problem check.
--   n_checks int64: Problem checks.
--   n_forum_posts int64: Forum posts written.
--   n_forum_reads int64: How often a forum thread was read.
--   n_new int64: Rows of enrollment_spells that began on the day.
--   n_left int64: Rows of enrollment_spells that ended on the day.
--   n_enrolled int64: People enrolled at the end of the day.
with
acts as (
    select
        site, day,
        count(*) as n_learners,
        sum(n_events) as n_events,
        sum(n_sessions_started) as n_sessions_started,
        sum(round(time_s * 1000000)::bigint) as us,
        count(*) filter (where n_play > 0) as n_video_learners,
        sum(n_play) as n_play,
        count(*) filter (where n_checks > 0) as n_problem_learners,
        sum(n_checks) as n_checks,
        sum(n_forum_posts) as n_forum_posts,
        sum(n_forum_reads) as n_forum_reads
    from person_course_day
    where is_staff is not true
    group by all
),
enrollments as (
    select
        site, day, sum(n_new) as n_new, sum(n_left) as n_left, sum(n_active) as n_enrolled
    from enrollment_day
    group by all
)
select
    site,
    getvariable('course_id') as course_id,
    day,
    case when getvariable('has_events') then coalesce(n_learners, 0) end as n_learners,
    case when getvariable('has_events') then coalesce(n_events, 0) end as n_events,
    case when getvariable('has_events') then coalesce(n_sessions_started, 0) end
    as n_sessions_started,
    case when getvariable('has_events') then coalesce(us, 0) / 1000000.0::double end as time_s,
    case when getvariable('has_video_events') then coalesce(n_video_learners, 0) end
    as n_video_learners,
    case when getvariable('has_video_events') then coalesce(n_play, 0) end as n_play,
    case when getvariable('has_problem_events') then coalesce(n_problem_learners, 0) end
    as n_problem_learners,
    case when getvariable('has_problem_events') then coalesce(n_checks, 0) end as n_checks,
    case when has_forum then coalesce(n_forum_posts, 0) end as n_forum_posts,
    case when has_forum then coalesce(n_forum_reads, 0) end as n_forum_reads,
    -- On days outside the range of enrollment_day, nobody came or left. Before it, nobody is
    -- counted as enrolled; after it, the last number stays.
    case when has_enrollments then coalesce(n_new, 0) end as n_new,
    case when has_enrollments then coalesce(n_left, 0) end as n_left,
    case
        when has_enrollments
        then coalesce(
            n_enrolled,
            last_value(n_enrolled ignore nulls) over (
                partition by site order by day rows between unbounded preceding and current row
            ),
            0
        )
    end as n_enrolled
from acts
full join enrollments using (site, day)
cross join (
    select
        getvariable('has_forum_events') or getvariable('has_requests') as has_forum,
        getvariable('has_enrollment_events') or getvariable('has_db_student_courseenrollment')
        as has_enrollments
)
