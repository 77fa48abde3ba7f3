-- table: simeon_show_answer_stats_by_user
-- about: For how many problems each learner asked for the answer, with the column names of simeon
--   and edx2bigquery.
-- inputs: problem_events! db_courseware_studentmodule
-- needs: person_problem person_course
-- order: user_id
-- columns:
--   user_id int64 [role: person id]: User id of the learner.
--   explored bool: Whether at least half of the chapters were opened.
--   certified bool: Whether there is a certificate.
--   verified bool: Whether the mode is verified.
--   pct_show_answer_problem_seen float64 [%]: Problems whose answer was shown, as a percentage of
--     problems seen.
--   pct_show_answer_not_attempted float64 [%]: The same, of problems seen but not attempted.
--   pct_show_answer_attempted float64 [%]: The same, of problems attempted.
--   pct_show_answer_perfect float64 [%]: The same, of problems with all points.
--   pct_show_answer_partial float64 [%]: The same, of problems with any points.
--   n_show_answer_problem_seen int64: Problems seen whose answer was shown.
--   n_problems_seen int64: Problems seen.
--   n_show_answer_not_attempted int64: Problems not attempted whose answer was shown.
--   n_not_attempted int64: Problems seen, but not attempted.
--   n_show_answer_attempted int64: Problems attempted whose answer was shown.
--   n_attempted int64: Problems attempted.
--   n_show_answer_perfect int64: Problems with all points whose answer was shown.
--   n_perfect int64: Problems with all points.
--   n_show_answer_partial int64: Problems with any points whose answer was shown.
--   n_partial int64: Problems with any points.
-- differs: explored certified verified n_problems_seen n_not_attempted n_attempted
with
problems as (
    select
        site, user_id,
        coalesce(n_answers_shown > 0, false) as is_shown,
        coalesce(n_attempts > 0, false) as is_attempted,
        coalesce(grade = max_grade, false) as is_perfect,
        coalesce(grade > 0, false) as is_partial
    from person_problem
),
counts as (
    select
        site, user_id,
        count(*) as n_problems_seen,
        count(*) filter (where is_shown) as n_shown,
        count(*) filter (where not is_attempted) as n_not_attempted,
        count(*) filter (where not is_attempted and is_shown) as n_shown_not_attempted,
        count(*) filter (where is_attempted) as n_attempted,
        count(*) filter (where is_attempted and is_shown) as n_shown_attempted,
        count(*) filter (where is_perfect) as n_perfect,
        count(*) filter (where is_perfect and is_shown) as n_shown_perfect,
        count(*) filter (where is_partial) as n_partial,
        count(*) filter (where is_partial and is_shown) as n_shown_partial
    from problems
    group by all
)
select
    user_id, explored, certified, mode = 'verified' as verified,
    round(100.0::double * n_shown / nullif(n_problems_seen, 0), 12)
    as pct_show_answer_problem_seen,
    round(100.0::double * n_shown_not_attempted / nullif(n_not_attempted, 0), 12)
    as pct_show_answer_not_attempted,
    round(100.0::double * n_shown_attempted / nullif(n_attempted, 0), 12)
    as pct_show_answer_attempted,
    round(100.0::double * n_shown_perfect / nullif(n_perfect, 0), 12)
    as pct_show_answer_perfect,
    round(100.0::double * n_shown_partial / nullif(n_partial, 0), 12)
    as pct_show_answer_partial,
    n_shown as n_show_answer_problem_seen, n_problems_seen,
    n_shown_not_attempted as n_show_answer_not_attempted, n_not_attempted,
    n_shown_attempted as n_show_answer_attempted, n_attempted,
    n_shown_perfect as n_show_answer_perfect, n_perfect,
    n_shown_partial as n_show_answer_partial, n_partial
from counts
left join person_course using (site, user_id)
