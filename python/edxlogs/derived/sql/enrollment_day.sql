-- table: enrollment_day
-- about: How many people came, left and were enrolled, by day and mode. Spells with an unknown end
--   are left out. Spells that began before the logs count from the first day.
-- inputs: enrollment_events db_student_courseenrollment
-- needs: enrollment_spells
-- order: site day mode
-- columns:
--   site string: Site of the people.
--   course_id string: Course id.
--   day date: Day in the time zone `tz`.
--   mode string: Enrollment mode.
--   n_new int64: Rows of enrollment_spells that began on the day.
--   n_left int64: Rows of enrollment_spells that ended on the day.
--   n_active int64: Rows of enrollment_spells that were open at the end of the day.
with
spells as (
    select
        site, mode,
        timezone(getvariable('tz'), start)::date as first_day,
        timezone(getvariable('tz'), "end")::date as last_day
    from enrollment_spells
    where coalesce(end_source, '') <> 'unknown'
),
-- From the first day with a change to the last.
span as (
    select
        site,
        least(min(first_day), min(last_day)) as first_day,
        greatest(max(first_day), max(last_day)) as last_day
    from spells
    group by all
),
moves as (
    select site, mode, coalesce(spells.first_day, span.first_day) as day,
        (spells.first_day is not null)::int as came, 0 as gone, 1 as change
    from spells
    join span using (site)
    union all
    select site, mode, last_day, 0, 1, -1 from spells where last_day is not null
),
-- Broken dates may name years without edX. Of those years, only the days with a change count.
days as (
    select
        site,
        unnest(generate_series(
            greatest(first_day, date '2010-01-01')::timestamp,
            least(last_day, date '2099-12-31')::timestamp,
            interval 1 day
        ))::date as day
    from span
    union
    select site, day from moves
),
sums as (
    select site, mode, day, sum(came) as n_new, sum(gone) as n_left, sum(change) as change
    from moves
    group by all
)
select
    days.site,
    getvariable('course_id') as course_id,
    days.day, modes.mode,
    coalesce(n_new, 0) as n_new,
    coalesce(n_left, 0) as n_left,
    sum(coalesce(change, 0)) over (
        partition by days.site, modes.mode order by days.day rows unbounded preceding
    ) as n_active
from days
join (select distinct site, mode from spells) as modes on modes.site = days.site
left join sums
    on sums.site = days.site and sums.mode is not distinct from modes.mode and sums.day = days.day
