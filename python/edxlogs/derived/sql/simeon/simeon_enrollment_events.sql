-- table: simeon_enrollment_events
-- about: The events of enrolments by the names of simeon. The person is the one who is enrolled:
--   theirs takes who acted where the event does not tell a number.
-- inputs: enrollment_events!
-- needs: subject_events
-- order: time user_id event_type
-- columns:
--   course_id string: The course.
--   time timestamp: When.
--   user_id int64 [role: person id]: Who is enrolled.
--   mode string: The mode.
--   activated bool: Whether the person was enrolled.
--   deactivated bool: Whether the enrolment ended.
--   mode_changed bool: Whether the mode changed.
--   upgraded bool: Whether an upgrade was paid for.
--   event_type string: Type of the event; null for others than these four.
-- differs: user_id event_type
select
    getvariable('course_id') as course_id, moment as time, user_id, mode,
    action = 'activate' as activated, action = 'deactivate' as deactivated,
    action = 'mode_change' as mode_changed, action = 'upgrade_done' as upgraded,
    case action
        when 'activate' then 'edx.course.enrollment.activated'
        when 'deactivate' then 'edx.course.enrollment.deactivated'
        when 'mode_change' then 'edx.course.enrollment.mode_changed'
        when 'upgrade_done' then 'edx.course.enrollment.upgrade.succeeded'
    end as event_type
from subject_events
where event_table = 'enrollment_events'
