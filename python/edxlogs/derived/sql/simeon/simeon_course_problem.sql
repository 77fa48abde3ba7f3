-- table: simeon_course_problem
-- about: How hard the problems of a course are, with the column names of simeon and edx2bigquery.
--   Staff are left out. Statistics over fewer than `min_n` learners are null.
-- inputs: problem_events db_courseware_studentmodule db_course_structure
-- needs: person_problem simeon_course_item
-- order: problem_nid
-- columns:
--   course_id string: Course id.
--   problem_nid int64: Number of the problem in the course.
--   problem_id string: Block id of the problem.
--   problem_short_id string: Null, as in `simeon_course_item`.
--   avg_problem_raw_score float64 [points]: Mean points for the problem.
--   sdv_problem_raw_score float64 [points]: Standard deviation of these points.
--   max_possible_raw_score float64 [points]: Most points possible.
--   avg_problem_pct_score float64 [%]: Mean of the scores, each as a percentage of the points
--     possible.
--   n_unique_users_attempted int64: Learners whose score is known.
--   problem_name string: Title of the problem.
--   is_split bool: Whether it is part of an experiment.
--   split_name string: Title of the experiment.
-- differs: problem_nid avg_problem_raw_score sdv_problem_raw_score max_possible_raw_score
--   avg_problem_pct_score n_unique_users_attempted
with
problems as (
    select distinct
        problem_id, problem_nid, problem_name, is_split, split_name
    from simeon_course_item
),
-- Exact sums, as in item_stats.
scores as (
    select
        block_id as problem_id, max_grade,
        round(grade * 720720000)::hugeint as points,
        round(score * 720720000)::hugeint as share
    from person_problem
    where abs(grade) <= 100000 and abs(score) <= 1000 and is_staff is not true
),
sums as (
    select
        problem_id,
        count(*)::hugeint as n,
        sum(points)::hugeint as x, sum(points * points)::hugeint as xx,
        sum(share)::hugeint as share,
        max(max_grade) as max_grade
    from scores
    group by all
)
select
    getvariable('course_id') as course_id, problem_nid, problem_id, null as problem_short_id,
    case
        when n >= getvariable('min_n') then round(x::double / n::double / 720720000, 12)
    end as avg_problem_raw_score,
    case
        when n >= getvariable('min_n') and n > 1
        then round(
            sqrt((n * xx - x * x)::double / (n * (n - 1))::double) / 720720000, 12
        )
    end as sdv_problem_raw_score,
    max_grade as max_possible_raw_score,
    case
        when n >= getvariable('min_n') then round(share::double / n::double / 7207200, 12)
    end as avg_problem_pct_score,
    n as n_unique_users_attempted, problem_name, is_split, split_name
from problems
join sums using (problem_id)
