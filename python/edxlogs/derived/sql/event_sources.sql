-- table: event_sources
-- as: internal table
-- about: The sources of a course's events, numbered in the order of their names. Events of the same
--   moment are ordered by source, line and line_item.
-- inputs: problem_events video_events forum_events navigation_events requests ora_events
--   completion_events exam_events content_events block_events study_events textbook_events
--   other_events enrollment_events grade_events
-- order: source
-- columns:
--   source string: Name of the source.
--   source_no int64: Number of the source, from 1.
select source, row_number() over (order by source) as source_no
from (
    select source from problem_events
    union select source from video_events
    union select source from forum_events
    union select source from navigation_events
    union select source from requests
    union select source from ora_events
    union select source from completion_events
    union select source from exam_events
    union select source from content_events
    union select source from block_events
    union select source from study_events
    union select source from textbook_events
    union select source from other_events
    union select source from enrollment_events
    union select source from grade_events
)
