-- table: grades
-- about: Grades of subsections and of the course over time: the last one of each day in the events,
--   and the one in the package.
-- inputs: grade_events db_grades_persistentsubsectiongrade db_grades_persistentcoursegrade
-- needs: subject_events event_blocks persons course_items?
-- order: site user_id level block_key source day
-- columns:
--   site string: Site of the learner.
--   course_id string: Course id.
--   user_id int64 [role: person id]: User id of the learner.
--   username string [role: username]: Username of the learner.
--   is_staff bool: Whether the person has a staff role.
--   level string: `subsection` or `course`.
--   block_key string: Usage key of the subsection; null for the course.
--   display_name string: Title of the subsection.
--   source string: `event`, or `snapshot` for the package.
--   day date: Day in the time zone `tz`.
--   time timestamp: When the grade was calculated or last changed.
--   earned float64 [points]: Points earned, weighted.
--   possible float64 [points]: Points possible, weighted.
--   graded_earned float64 [points]: Points earned that count toward the grade.
--   graded_possible float64 [points]: Points possible that count toward the grade.
--   percent float64: The grade, from 0 to 1; for a subsection, earned divided by possible.
--   letter_grade string: Letter grade; null if not passed.
--   transaction_id string: Links the grades that one action caused: problem, subsection and course.
with
told as (
    select
        site, user_id, level,
        case level when 'subsection' then coalesce(item_key, block_key) end as block_key,
        'event' as source, day, moment as time, earned, possible, graded_earned, graded_possible,
        percent, letter_grade, transaction_id,
        row_number() over (
            partition by site, user_id, level, coalesce(item_key, block_key), day
            order by moment desc, source_no desc, line desc, line_item desc
        ) as nth
    from subject_events
    left join event_blocks using (block_key)
    where event_table = 'grade_events'
        and level in ('subsection', 'course')
        and action in ('calculated', 'overridden')
),
kept as (
    select
        coalesce(site, '') as site, user_id, 'subsection' as level, usage_key as block_key,
        'snapshot' as source, modified as time, earned_all as earned, possible_all as possible,
        earned_graded as graded_earned, possible_graded as graded_possible
    from db_grades_persistentsubsectiongrade
    union all by name
    select
        coalesce(site, '') as site, user_id, 'course' as level, 'snapshot' as source,
        modified as time, percent_grade as percent, nullif(letter_grade, '') as letter_grade
    from db_grades_persistentcoursegrade
),
together as (
    select * exclude (nth) from told where nth = 1
    union all by name
    select *, timezone(getvariable('tz'), time)::date as day from kept where user_id is not null
)
select
    site,
    getvariable('course_id') as course_id,
    user_id, username, is_staff, level, block_key, display_name, source, day, time, earned,
    possible, graded_earned, graded_possible,
    case when level = 'course' then percent when possible > 0 then earned / possible end as percent,
    letter_grade, transaction_id
from together
left join persons using (site, user_id)
left join (
    select block_key, min(display_name) as display_name from course_items group by all
) as titles using (block_key)
