-- table: simeon_pc_video_watched
-- about: How many videos each learner watched, with the column names of simeon and edx2bigquery.
-- inputs: video_events! db_course_structure
-- needs: simeon_person_course
-- order: user_id
-- columns:
--   user_id int64 [role: person id]: User id of the learner.
--   course_id string: Course id.
--   n_unique_videos_watched int64: Videos of which at least five seconds were seen.
--   fract_total_videos_watched float64: Share watched of the videos that learners can see.
--   certified bool: Whether there is a certificate.
--   verified bool: Whether the mode is verified.
-- differs: n_unique_videos_watched fract_total_videos_watched certified
select
    user_id, course_id,
    nvideos_unique_viewed as n_unique_videos_watched,
    nvideos_total_watched as fract_total_videos_watched,
    certified, mode = 'verified' as verified
from simeon_person_course
where nvideos_unique_viewed > 0
