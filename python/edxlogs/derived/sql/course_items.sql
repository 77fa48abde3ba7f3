-- table: course_items
-- about: The blocks of a course, in the order in which learners meet them: the course structure is
--   walked from the top, each block before its children. Blocks that no path leads to, such as
--   drafts, have no index.
-- inputs: db_course_structure! problem_events problem_inputs olx_blocks olx_policy
-- order: site index block_key
-- columns:
--   site string: Site of the course structure.
--   course_id string: Course id.
--   index int64: Position in that order, from 0; null if no path leads to the block.
--   block_key string: Usage key of the block.
--   block_id string: Last part of the usage key.
--   html_id string: The key as pages wrote it: `i4x-…`, with `_` for characters other than letters,
--     digits, `_` and `-`.
--   block_type string: Type of the block, such as `video` or `problem`.
--   display_name string: Title of the block.
--   parent_key string: Key of the parent block; of several, the first.
--   multi_parent bool: Whether several blocks contain it.
--   depth int64: Levels below the course.
--   chapter_key string: Key of its chapter.
--   chapter_name string: Title of the chapter.
--   chapter_number int64: Number of the chapter in the course, from 1.
--   sequential_key string: Key of its subsection.
--   sequential_name string: Title of the subsection.
--   sequential_number int64: Number of the subsection in the chapter, from 1.
--   vertical_key string: Key of its unit.
--   vertical_name string: Title of the unit.
--   vertical_number int64: Number of the unit in the subsection, from 1.
--   path string: Keys from the course down, as JSON.
--   format string: Assignment type; inherited.
--   graded bool: Whether it counts toward the grade; inherited.
--   start timestamp: When it opens; inherited.
--   due timestamp: When it is due; inherited.
--   visible_to_staff_only bool: Whether it is hidden from learners; inherited.
--   hide_from_toc bool: Whether it is left out of the course outline.
--   group_access string: Which groups can see it, as JSON.
--   split_name string: Title of the experiment (split_test) that it is part of.
--   weight float64 [points]: Weight of a problem; null means the number of its points.
--   max_attempts int64: Attempts allowed at a problem; null means no limit.
--   youtube_id string: YouTube id of a video.
--   discussion_id string: Topic of a discussion.
--   n_children int64: Number of blocks directly below.
--   is_leaf bool: Whether it has no children.
--   n_inputs int64: For a problem, the most inputs that a check had.
--   max_points float64 [points]: For a problem, the most points that a check could give.
--   is_empirical bool: Whether there are checks to take these two from.
--   length_s float64 [s]: Length of a video; known only from the course content (OLX).
--   labels string: Labels of a problem's inputs, one per line; known only from the course content.
--   format_weight float64: Weight of the assignment type; known only from the course content.
--   format_min_count int64: How many assignments of this type there should be; known only from the
--     course content.
--   format_drop_count int64: How many of these are dropped; known only from the course content.
with recursive
blocks as (
    select
        coalesce(site, '') as site,
        usage_key as block_key,
        case
            when contains(usage_key, '+block@') then regexp_extract(usage_key, '\+block@(.*)$', 1)
            else regexp_extract(usage_key, '^i4x://[^/]*/[^/]*/[^/]*/([^@]*)', 1)
        end as block_id,
        regexp_extract(usage_key, '^(?:(?:ccx-)?block-v1:|i4x://)([^+/]*)[+/]([^+/]*)', 1) as org,
        regexp_extract(usage_key, '^(?:(?:ccx-)?block-v1:|i4x://)([^+/]*)[+/]([^+/]*)', 2) as number,
        block_type, display_name, parent, position, depth, chapter, sequential, vertical, path,
        format, graded, start, due, children,
        metadata ->> 'visible_to_staff_only' = 'true' as is_for_staff,
        metadata ->> 'hide_from_toc' = 'true' as hide_from_toc,
        metadata ->> 'group_access' as group_access,
        try_cast(metadata ->> 'weight' as double) as weight,
        try_cast(metadata ->> 'max_attempts' as bigint) as max_attempts,
        nullif(metadata ->> 'youtube_id_1_0', '') as youtube_id,
        nullif(metadata ->> 'discussion_id', '') as discussion_id
    from db_course_structure
),
-- The walk: a block inherits from its parent what it does not set itself.
walk as (
    select
        site, block_key, [0::bigint] as place,
        format, graded, start, due,
        coalesce(is_for_staff, false) as is_for_staff,
        case when block_type = 'split_test' then coalesce(display_name, block_id) end as split_name
    from blocks
    where depth = 0
    union all
    select
        below.site, below.block_key, list_append(place, position),
        coalesce(below.format, walk.format),
        coalesce(below.graded, walk.graded),
        coalesce(below.start, walk.start),
        coalesce(below.due, walk.due),
        coalesce(below.is_for_staff, false) or walk.is_for_staff,
        case
            when block_type = 'split_test' then coalesce(display_name, block_id)
            else walk.split_name
        end
    from blocks as below
    join walk on below.site = walk.site and below.parent = walk.block_key
    where below.depth > 0
),
numbered as (
    select *, row_number() over (partition by site order by place) - 1 as index from walk
),
held as (
    select site, child as block_key, count(distinct parent_key) > 1 as multi_parent
    from (
        select
            site, block_key as parent_key,
            unnest(from_json(children, '["VARCHAR"]')) as child
        from blocks
    )
    group by all
),
-- Chapters are numbered in the course, subsections in their chapter, units in their subsection.
ranked as (
    select
        site, block_key, display_name,
        row_number() over (
            partition by
                site, block_type, case block_type when 'sequential' then chapter
                when 'vertical' then sequential end
            order by index
        ) as nth
    from blocks
    join numbered using (site, block_key)
    where block_type in ('chapter', 'sequential', 'vertical')
),
-- Empirical: how many inputs the checks had, and how many points they could give.
checked as (
    select
        checks.block_id, max(rows_of_check) as n_inputs, max(max_grade) as max_points
    from (
        select source, line, line_item, any_value(block_id) as block_id, count(*) as rows_of_check
        from problem_inputs
        where action = 'check'
        group by all
    ) as checks
    join problem_events using (source, line, line_item)
    group by all
),
content as (
    select block_key, max(video_s) as length_s, max(labels) as labels from olx_blocks group by all
),
policy as (
    select
        assignment_type as format, max(weight) as format_weight,
        max(min_count) as format_min_count, max(drop_count) as format_drop_count
    from olx_policy
    group by all
)
select
    blocks.site,
    getvariable('course_id') as course_id,
    numbered.index,
    blocks.block_key, blocks.block_id,
    regexp_replace(
        'i4x-' || org || '-' || number || '-' || blocks.block_type || '-' || blocks.block_id,
        '[^\pL\pN_-]', '_', 'g'
    ) as html_id,
    blocks.block_type, blocks.display_name,
    parent as parent_key,
    coalesce(multi_parent, false) as multi_parent,
    depth,
    chapter as chapter_key, chapters.display_name as chapter_name, chapters.nth as chapter_number,
    sequential as sequential_key, sequentials.display_name as sequential_name,
    sequentials.nth as sequential_number,
    vertical as vertical_key, verticals.display_name as vertical_name,
    verticals.nth as vertical_number,
    path,
    coalesce(numbered.format, blocks.format) as format,
    coalesce(numbered.graded, blocks.graded) as graded,
    coalesce(numbered.start, blocks.start) as start,
    coalesce(numbered.due, blocks.due) as due,
    coalesce(numbered.is_for_staff, blocks.is_for_staff, false) as visible_to_staff_only,
    coalesce(hide_from_toc, false) as hide_from_toc,
    group_access, numbered.split_name, weight, max_attempts, youtube_id, discussion_id,
    coalesce(json_array_length(children), 0)::bigint as n_children,
    coalesce(json_array_length(children), 0) = 0 as is_leaf,
    checked.n_inputs, checked.max_points,
    checked.n_inputs is not null as is_empirical,
    length_s, labels, format_weight, format_min_count, format_drop_count
from blocks
left join numbered using (site, block_key)
left join held using (site, block_key)
left join ranked as chapters
    on chapters.site = blocks.site and chapters.block_key = blocks.chapter
left join ranked as sequentials
    on sequentials.site = blocks.site and sequentials.block_key = blocks.sequential
left join ranked as verticals
    on verticals.site = blocks.site and verticals.block_key = blocks.vertical
left join checked on checked.block_id = blocks.block_id and blocks.block_type = 'problem'
left join content on content.block_key = blocks.block_key
left join policy on policy.format = coalesce(numbered.format, blocks.format)
