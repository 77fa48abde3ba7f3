-- table: subject_events
-- as: internal view
-- about: Events about people who need not have caused them: enrollments, grades, completions. The
--   person is the subject of the event; if a completion names none, the person who acted.
-- inputs: enrollment_events grade_events completion_events db_auth_user
--   db_student_courseenrollment
-- needs: event_sources
-- order: source_no line line_item
-- columns:
--   site string: Site of the person.
--   user_id int64 [role: person id]: User id of the person whom it is about.
--   moment timestamp: When it happened.
--   day date: Day of `moment` in the time zone `tz`.
--   source_no int64: Number of the source, in the order of names.
--   line int64: Line in the source.
--   line_item int64: Event in the line.
--   event_table string: Event table.
--   action string: What was done, in the words of that table.
--   mode string: For an enrollment, the mode.
--   payload_course_id string: For an enrollment, the course in the payload.
--   by_other bool: For an enrollment, whether somebody else acted.
--   block_key string: Key of the block, as the event has it.
--   block_id string: Id of the block.
--   level string: For a grade: problem, subsection or course.
--   earned float64 [points]: For a grade, points earned.
--   possible float64 [points]: For a grade, points possible.
--   graded_earned float64 [points]: For a grade, points earned that count toward the course grade.
--   graded_possible float64 [points]: For a grade, points possible that count toward the course
--     grade.
--   percent float64: For a course grade, from 0 to 1.
--   letter_grade string: For a course grade, the letter.
--   transaction_id string: For a grade, what links the grades that one action caused.
--   completion float64: How far a block is completed, from 0 to 1.
with
accounts as not materialized (
    select coalesce(site, '') as site, username as account, min(id) as account_id
    from db_auth_user
    where username <> '' and id is not null
    group by all
),
home as not materialized (
    select case when count(distinct site) = 1 then min(site) end as home_site
    from (
        select coalesce(site, '') as site from db_auth_user
        union all
        select coalesce(site, '') as site from db_student_courseenrollment
    )
),
events as not materialized (
    select
        'enrollment_events' as event_table, source, line, line_item, time, received_at, site,
        subject_user_id as subject_id, subject_username as subject, action, mode,
        payload_course_id, by_other
    from enrollment_events
    union all by name
    select
        'grade_events' as event_table, source, line, line_item, time, received_at, site,
        subject_user_id as subject_id, subject_username as subject, action,
        block_key, block_id, level, earned, possible, graded_earned, graded_possible, percent,
        letter_grade, transaction_id
    from grade_events
    union all by name
    select
        'completion_events' as event_table, source, line, line_item, time, received_at, site,
        case
            when subject_user_id is null and subject_username is null then user_id
            else subject_user_id
        end as subject_id,
        case
            when subject_user_id is null and subject_username is null then username
            else subject_username
        end as subject,
        action, block_key, block_id, completion
    from completion_events
),
placed as not materialized (
    select
        events.* replace (coalesce(events.site, home_site, '') as site),
        coalesce(time, received_at) as moment
    from events, home
)
select
    placed.site,
    coalesce(subject_id, account_id) as user_id,
    moment,
    timezone(getvariable('tz'), moment)::date as day,
    source_no, line, line_item, event_table, action, mode, payload_course_id, by_other,
    block_key, block_id, level, earned, possible, graded_earned, graded_possible, percent,
    letter_grade, transaction_id, completion
from placed
join event_sources on event_sources.source = placed.source
left join accounts
    on subject_id is null
    and accounts.site = placed.site
    and account = subject
where coalesce(subject_id, account_id) is not null and moment is not null
