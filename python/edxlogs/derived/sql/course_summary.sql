-- table: course_summary
-- about: A course in one row: how many learners came, took part and passed, and what the middle one of
--   those who took part did. Staff is not counted.
-- inputs: db_course_structure db_student_courseenrollment db_certificates_generatedcertificate
--   db_grades_persistentcoursegrade db_courseware_studentmodule
-- needs: person_course course_items? learner_events
-- order: site
-- columns:
--   site string: Site of the course.
--   course_id string: The course.
--   display_name string: Its title.
--   start timestamp: When it starts, by its structure.
--   end timestamp: When it ends, by its structure.
--   n_persons int64: Rows of person_course that are no staff.
--   n_enrolled int64: Those whom the package has as enrolled, now or before.
--   n_active int64: Those who are enrolled.
--   n_by_mode string: How many of n_enrolled have which mode, as JSON.
--   n_verified int64: Learners whose mode ever was verified.
--   n_viewed int64: Learners who opened a block.
--   n_explored int64: Learners who opened half of the chapters.
--   n_completed int64: Learners who passed.
--   n_certified int64: Learners with a certificate.
--   n_acting int64: Learners with an act.
--   n_events int64: Their acts.
--   n_events_before_start int64: Acts before the start.
--   n_events_after_end int64: Acts after the end.
--   first_event timestamp: First act.
--   last_event timestamp: Last act.
--   n_sessions int64: Sessions.
--   time_s float64 [s]: Time on task.
--   n_forum_posts int64: Posts in the forum.
--   n_videos int64: Videos in the course.
--   n_problems int64: Problems in the course.
--   days_median float64: Days with an act, of learners with one.
--   time_s_median float64 [s]: Time on task of those learners.
--   videos_median float64: Videos watched by those learners.
--   problems_median float64: Problems checked by those learners.
--   grade_median float64: Grade of learners who have one above 0.
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
    case when has_enrolment then n_enrolled end as n_enrolled,
    case when has_enrolment then n_active end as n_active,
    case when has_enrolment then coalesce(n_by_mode, '{}') end as n_by_mode,
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
    -- What is not known of every learner is not known of the course.
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
cross join (select getvariable('has_db_student_courseenrollment') as has_enrolment)
