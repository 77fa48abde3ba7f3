-- table: subject_events
-- as: internal view
-- about: Events about people who need not have caused them: enrolments, grades, completions. The
--   person is the subject; of a completion that names none, who acted.
-- inputs: enrollment_events grade_events completion_events db_auth_user
--   db_student_courseenrollment
-- needs: event_sources
-- order: source_no line line_item
-- columns:
--   site string: Site of the person.
--   user_id int64 [role: person id]: Whom it is about.
--   moment timestamp: When.
--   day date: The day of `moment`, in the time zone asked for.
--   source_no int64: The source, in the order of names.
--   line int64: The line in it.
--   line_item int64: The event in the line.
--   event_table string: The table that the event is of.
--   action string: The act, in the words of that table.
--   mode string: Of an enrolment, the mode.
--   payload_course_id string: Of an enrolment, the course as the payload has it.
--   by_other bool: Of an enrolment, whether somebody else acted.
--   block_key string: The block, as the event has it.
--   block_id string: Its id.
--   level string: Of a grade, problem, subsection or course.
--   earned float64 [points]: Of a grade, points earned.
--   possible float64 [points]: Of a grade, points possible.
--   graded_earned float64 [points]: Of a grade, points earned that count.
--   graded_possible float64 [points]: Of a grade, points possible that count.
--   percent float64: Of a grade of the course, from 0 to 1.
--   letter_grade string: Of a grade of the course.
--   transaction_id string: Of a grade, what links those of one act.
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
