-- table: event_blocks
-- as: internal table
-- about: Which block of the course each key in the events means. Events spell the key of a block in
--   several ways: in full, as pages wrote it, or by its last part alone.
-- inputs: problem_events video_events navigation_events requests ora_events completion_events
--   exam_events content_events block_events study_events grade_events
-- needs: course_items?
-- order: block_key
-- columns:
--   block_key string: The key, as the events have it.
--   item_key string: Key of the block in course_items; null if it is not found there.
--   item_id string: Last part of that key; if it is not found, that of the event's own key.
--   item_type string: Type of the block; if it is not found, that in the event.
with
keys as (
    select block_key, min(block_type) as block_type, min(block_id) as block_id
    from (
        select block_key, block_type, block_id from problem_events
        union select block_key, block_type, block_id from video_events
        union select block_key, block_type, block_id from navigation_events
        union select block_key, block_type, block_id from requests
        union select block_key, block_type, block_id from ora_events
        union select block_key, block_type, block_id from completion_events
        union select block_key, block_type, block_id from exam_events
        union select block_key, block_type, block_id from content_events
        union select block_key, block_type, block_id from block_events
        union select block_key, block_type, block_id from study_events
        union select block_key, block_type, block_id from grade_events
    )
    where block_key is not null
    group by all
),
-- By the full key, then as pages wrote it, then by its last part if only one block has it.
items as (
    select block_key as spelled, 1 as rank, block_key, block_id, block_type
    from course_items
    union all
    select html_id, 2, min(block_key), min(block_id), min(block_type)
    from course_items
    group by all
    having count(distinct block_key) = 1
    union all
    select block_id, 3, min(block_key), min(block_id), min(block_type)
    from course_items
    group by all
    having count(distinct block_key) = 1
    union all
    select block_type || ' ' || block_id, 4, min(block_key), min(block_id), min(block_type)
    from course_items
    group by all
    having count(distinct block_key) = 1
),
spellings as (
    select block_key, 1 as rank, block_key as spelled from keys
    union all select block_key, 2, block_key from keys where starts_with(block_key, 'i4x-')
    union all select block_key, 3, block_id from keys where block_type is null
    union all select block_key, 4, block_type || ' ' || block_id from keys
),
found as (
    select
        spellings.block_key,
        arg_min(items.block_key, rank) as item_key,
        arg_min(items.block_id, rank) as item_id,
        arg_min(items.block_type, rank) as item_type
    from spellings
    join items using (rank, spelled)
    group by all
)
select
    keys.block_key,
    item_key,
    coalesce(item_id, keys.block_id) as item_id,
    coalesce(item_type, keys.block_type) as item_type
from keys
left join found using (block_key)
