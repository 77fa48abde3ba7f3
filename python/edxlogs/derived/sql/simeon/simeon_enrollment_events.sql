-- table: simeon_enrollment_events
-- about: Enrollment events with the column names of simeon. The person is the one who is enrolled.
--   If the event has no user id of that person, theirs takes whoever acted.
-- inputs: enrollment_events!
-- needs: subject_events
-- order: time user_id event_type
-- columns:
--   course_id string: Course id.
--   time timestamp: When it happened.
--   user_id int64 [role: person id]: User id of the person who is enrolled.
--   mode string: Enrollment mode.
--   activated bool: Whether the person was enrolled.
--   deactivated bool: Whether the enrollment ended.
--   mode_changed bool: Whether the mode changed.
--   upgraded bool: Whether an upgrade was paid for.
--   event_type string: Event type; null for types other than these four.
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
