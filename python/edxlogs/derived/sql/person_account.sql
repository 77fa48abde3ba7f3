-- account: person_account
-- about: What is odd about the people in the package, and events about people who are not known.
-- inputs: db_auth_userprofile enrollment_events grade_events completion_events
-- needs: person_course subject_events
with
subjects as (select event_table, count(*) as n from subject_events group by all)
select
    'years of birth before 1900, or less than five years ago' as what,
    count(*) as n
from person_course
join (
    select coalesce(site, '') as site, user_id, min(year_of_birth) as year_of_birth
    from db_auth_userprofile
    where year_of_birth is not null
    group by all
) as profiles using (site, user_id)
where "YoB" is null
union all
select 'people with events who are not enrolled', count(*) from person_course where not enrolled
union all
select
    'events about unknown people in ' || event_table,
    tables.n - coalesce(subjects.n, 0)
from (
    select 'enrollment_events' as event_table, count(*) as n from enrollment_events
    union all
    select 'grade_events', count(*) from grade_events
    union all
    select 'completion_events', count(*) from completion_events
) as tables
left join subjects using (event_table)
union all
select 'enrollments in another course', count(*)
from subject_events
where event_table = 'enrollment_events' and payload_course_id <> getvariable('course_id')
