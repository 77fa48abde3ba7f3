-- table: simeon_video_axis
-- about: The videos that learners can see, in order, with the column names of simeon and
--   edx2bigquery.
-- inputs: db_course_structure! olx_blocks
-- needs: course_items
-- order: index_video video_id
-- columns:
--   index_chapter int64: Position of the chapter in the course.
--   index_video int64: Position of the video.
--   category string: `video`.
--   course_id string: Course id.
--   name string: Title of the video.
--   video_id string: Block id of the video.
--   youtube_id string: YouTube id of the video.
--   chapter_name string: Title of the chapter.
--   video_length float64 [s]: Length of the video; known only from the course content (OLX).
-- differs: index_chapter index_video
select
    chapters.index as index_chapter, videos.index as index_video,
    videos.block_type as category, videos.course_id, videos.display_name as name,
    videos.block_id as video_id, videos.youtube_id, videos.chapter_name,
    videos.length_s as video_length
from course_items as videos
left join course_items as chapters
    on chapters.site = videos.site and chapters.block_key = videos.chapter_key
where videos.block_type = 'video'
    and videos.index is not null
    and videos.visible_to_staff_only is not true
