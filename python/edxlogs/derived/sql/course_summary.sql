-- table: course_summary
-- about: A course in one row: how many learners enrolled, took part and passed, and medians over
--   those who took part. Staff are left out.
-- inputs: db_course_structure db_student_courseenrollment db_certificates_generatedcertificate
--   db_grades_persistentcoursegrade db_courseware_studentmodule
-- needs: person_course course_items? learner_events
-- order: site
-- columns:
--   site string: Site of the course.
--   course_id string: Course id.
--   display_name string: Title of the course.
--   start timestamp: Start of the course, according to its structure.
--   end timestamp: End of the course, according to its structure.
--   n_persons int64: Rows of person_course that are not staff.
--   n_enrolled int64: Learners whom the package lists as enrolled, now or before.
--   n_active int64: Learners who are still enrolled, according to the package.
--   n_by_mode string: `n_enrolled` by mode, as JSON.
--   n_verified int64: Learners whose mode was ever verified.
--   n_viewed int64: Learners who opened a block.
--   n_explored int64: Learners who opened at least half of the chapters.
--   n_completed int64: Learners who passed.
--   n_certified int64: Learners with a certificate.
--   n_acting int64: Learners with at least one action.
--   n_events int64: Their actions.
--   n_events_before_start int64: Actions before the start of the course.
--   n_events_after_end int64: Actions after the end of the course.
--   first_event timestamp: Time of the first action.
--   last_event timestamp: Time of the last action.
--   n_sessions int64: Sessions.
--   time_s float64 [s]: Time on task.
--   n_forum_posts int64: Forum posts.
--   n_videos int64: Videos in the course.
--   n_problems int64: Problems in the course.
--   days_median float64: Median number of days with an action, over learners with at least one.
--   time_s_median float64 [s]: Median time on task, over the same learners.
--   videos_median float64: Median number of videos watched, over the same learners.
--   problems_median float64: Median number of problems checked, over the same learners.
--   grade_median float64: Median grade, over learners whose grade is above 0.
with
learners as (select * from person_course where is_staff is not true),
modes as (
    select
        site, to_json(map_from_entries(list((mode, n) order by mode)))::varchar as n_by_mode
    from (
        select site, mode, count(*) as n
        from learners
        where enrolled and mode is not null
        group by all
    )
    group by all
),
roots as (
    select
        coalesce(site, '') as site,
        min(display_name) as display_name, min(start) as start,
        min(try_cast(metadata ->> 'end' as timestamptz)) as "end"
    from db_course_structure
    where depth = 0
    group by all
),
blocks as (
    select
        site,
        count(*) filter (where block_type = 'video') as n_videos,
        count(*) filter (where block_type = 'problem') as n_problems
    from course_items
    where index is not null
    group by all
),
outside as (
    select
        site,
        count(*) filter (where moment < start) as n_before,
        count(*) filter (where moment > "end") as n_after
    from learner_events
    join roots using (site)
    anti join (select site, user_id from person_course where is_staff) as staff
        using (site, user_id)
    where is_activity and (moment < start or moment > "end")
    group by all
),
summed as (
    select
        site,
        count(*) as n_persons,
        count(*) filter (where enrolled) as n_enrolled,
        count(*) filter (where is_active) as n_active,
        count(*) filter (where ever_verified) as n_verified,
        count(*) filter (where viewed) as n_viewed,
        count(*) filter (where explored) as n_explored,
        count(*) filter (where completed) as n_completed,
        count(*) filter (where certified) as n_certified,
        count(*) filter (where n_events > 0) as n_acting,
        sum(n_events) as n_events,
        min(first_event) as first_event,
        max(last_event) as last_event,
        sum(n_sessions) as n_sessions,
        sum(round(time_s * 1000000)::bigint) as us,
        sum(n_forum_posts) as n_forum_posts,
        median(n_days) filter (where n_events > 0) as days_median,
        median(round(time_s * 1000000)::bigint) filter (where n_events > 0) as us_median,
        median(n_videos) filter (where n_events > 0) as videos_median,
        median(n_problems) filter (where n_events > 0) as problems_median,
        median(grade) filter (where grade > 0) as grade_median
    from learners
    group by all
)
select
    site,
    getvariable('course_id') as course_id,
    display_name, start, "end", n_persons,
    case when has_enrollment then n_enrolled end as n_enrolled,
    case when has_enrollment then n_active end as n_active,
    case when has_enrollment then coalesce(n_by_mode, '{}') end as n_by_mode,
    case when is_known.verified then n_verified end as n_verified,
    case when is_known.viewed then n_viewed end as n_viewed,
    case when is_known.explored then n_explored end as n_explored,
    case when is_known.completed then n_completed end as n_completed,
    case when is_known.certified then n_certified end as n_certified,
    case when getvariable('has_events') then n_acting end as n_acting,
    n_events,
    case when getvariable('has_events') and start is not null then coalesce(n_before, 0) end
    as n_events_before_start,
    case when getvariable('has_events') and "end" is not null then coalesce(n_after, 0) end
    as n_events_after_end,
    first_event, last_event, n_sessions,
    us / 1000000.0::double as time_s,
    n_forum_posts, n_videos, n_problems,
    days_median,
    round(us_median / 1e6, 6) as time_s_median,
    videos_median, problems_median,
    round(grade_median, 12) as grade_median
from summed
join (
    -- A value that is not known for every learner is not known for the course.
    select
        site,
        count(ever_verified) = count(*) as verified,
        count(viewed) = count(*) as viewed,
        count(explored) = count(*) as explored,
        count(completed) = count(*) as completed,
        count(certified) = count(*) as certified
    from learners
    group by all
) as is_known using (site)
left join modes using (site)
left join roots using (site)
left join blocks using (site)
left join outside using (site)
cross join (select getvariable('has_db_student_courseenrollment') as has_enrollment)
