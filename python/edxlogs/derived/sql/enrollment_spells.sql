-- table: enrollment_spells
-- about: When each person was enrolled, and in which mode: one row for each mode of each spell. A
--   spell lasts from an enrollment to its end. People with an enrollment in the package but no
--   event have a spell, too.
-- inputs: enrollment_events db_student_courseenrollment
-- needs: subject_events persons
-- order: site user_id spell_no mode_no
-- columns:
--   site string: Site of the person.
--   course_id string: Course id.
--   user_id int64 [role: person id]: User id of the person.
--   username string [role: username]: Username of the person.
--   is_staff bool: Whether the person has a staff role.
--   spell_no int64: Number of the person's spell in the course, from 1.
--   mode_no int64: Number of the mode in the spell, from 1.
--   start timestamp: When this mode began; null if that was before the logs.
--   end timestamp: When this mode ended; null while it is open, and if the end is unknown.
--   is_open bool: Whether this mode is still open at the end of the data.
--   mode string: Enrollment mode, such as `audit`, `honor` or `verified`; null if no event names
--     it.
--   start_source string: Where the start comes from: `event`, `snapshot` (the package) or
--     `unknown`.
--   end_source string: What ended this mode: `event`, another mode (`mode_change`) or `unknown`;
--     null while it is open.
--   actor_is_other bool: Whether somebody else enrolled the person.
--   upgraded_at timestamp: When an upgrade was recorded during this mode, whether or not the mode
--     changed.
--   n_duplicates int64: Events during this mode, or after its end, that changed nothing.
--   agrees bool: Whether the package and the last spell agree on whether the person is enrolled;
--     null if the package does not list the person.
with
events as (
    select
        site, user_id, moment, action, mode, by_other,
        row_number() over person as nth,
        -- What earlier events say: enrolled or not. A mode change means enrolled.
        coalesce(
            last_value(
                case action when 'activate' then 'active' when 'deactivate' then 'inactive' end
                ignore nulls
            ) over (person rows between unbounded preceding and 1 preceding),
            case when row_number() over person > 1 then 'active' else 'unknown' end
        ) as before
    from subject_events
    where event_table = 'enrollment_events'
        and action in ('activate', 'deactivate', 'mode_change')
        and coalesce(payload_course_id, getvariable('course_id')) = getvariable('course_id')
    window person as (partition by site, user_id order by moment, source_no, line, line_item)
),
possible as (
    select
        *,
        case action when 'activate' then before <> 'active' else before <> 'inactive' end
        as is_possible
    from events
),
-- A change to the current mode changes nothing.
told as (
    select
        *,
        is_possible and not (
            action = 'mode_change'
            and before <> 'unknown'
            and mode is not distinct from last_mode
        ) as is_change
    from (
        select
            *,
            lag(mode) over (partition by site, user_id, is_possible order by nth) as last_mode
        from possible
    )
),
changes as (
    select
        *,
        lead(nth) over person as next_nth,
        lead(moment) over person as next_moment,
        lead(action) over person as next_action
    from told
    where is_change
    window person as (partition by site, user_id order by nth)
),
-- Every change except an end begins a row. If the first change is not an enrollment, a row with an
-- unknown start comes before it.
begun as (
    select
        site, user_id, nth, 1 as place, moment as start, mode, action = 'activate' as is_spell,
        by_other, next_nth, next_moment, next_action
    from changes
    where action <> 'deactivate'
    union all
    select
        site, user_id, nth, 0, null, case when action = 'deactivate' then mode end, true,
        null, nth, moment, action
    from changes
    where before = 'unknown' and action <> 'activate'
),
snapshot as (
    select
        coalesce(site, '') as site, user_id,
        min(created) as created, bool_or(is_active) as is_active, min(mode) as mode
    from db_student_courseenrollment
    where user_id is not null
    group by all
),
numbered as (
    select
        *,
        sum(is_spell::int) over (
            partition by site, user_id order by nth, place rows unbounded preceding
        )::bigint as spell_no
    from begun
),
counted as (
    select
        site, user_id, spell_no, nth, place, start, mode, by_other, next_moment, next_action,
        row_number() over (partition by site, user_id, spell_no order by nth, place) as mode_no,
        lead(nth) over (partition by site, user_id order by nth, place) as until_nth
    from numbered
),
idle as (
    select
        counted.site, counted.user_id, counted.nth, place,
        count(*) as n_duplicates
    from told
    join counted
        on counted.site = told.site
        and counted.user_id = told.user_id
        and told.nth >= counted.nth
        and told.nth < coalesce(until_nth, told.nth + 1)
    where not is_change
    group by all
),
upgrades as (
    select
        counted.site, counted.user_id, counted.nth, place, min(moment) as upgraded_at
    from subject_events as events
    join counted
        on counted.site = events.site
        and counted.user_id = events.user_id
        and (start is null or moment >= start)
        and (next_moment is null or moment < next_moment)
    where event_table = 'enrollment_events'
        and action = 'upgrade_done'
        and coalesce(payload_course_id, getvariable('course_id')) = getvariable('course_id')
    group by all
),
of_events as (
    select
        counted.site, counted.user_id, spell_no, mode_no,
        case
            when spell_no = 1 and mode_no = 1 and start is null and is_active and not has_enrollment
            then created
            else start
        end as start,
        next_moment as "end",
        next_action is null as is_open,
        counted.mode,
        case
            when start is not null then 'event'
            when
                spell_no = 1 and mode_no = 1 and is_active and not has_enrollment
                and created is not null
            then 'snapshot'
            else 'unknown'
        end as start_source,
        case next_action when 'deactivate' then 'event' else next_action end as end_source,
        by_other as actor_is_other,
        upgraded_at,
        coalesce(n_duplicates, 0) as n_duplicates
    from counted
    left join idle using (site, user_id, nth, place)
    left join upgrades using (site, user_id, nth, place)
    left join snapshot using (site, user_id)
    left join (
        select site, user_id, bool_or(action = 'activate') as has_enrollment
        from events
        group by all
    ) using (site, user_id)
),
-- In the package, but without an event.
of_snapshot as (
    select
        site, user_id, 1 as spell_no, 1 as mode_no, created as start,
        null::timestamptz as "end", is_active as is_open, mode, 'snapshot' as start_source,
        case when not is_active then 'unknown' end as end_source,
        null::bool as actor_is_other, null::timestamptz as upgraded_at, 0 as n_duplicates
    from snapshot
    anti join of_events using (site, user_id)
),
spells as (
    select * from of_events
    union all by name
    select * from of_snapshot
),
last_ones as (
    select site, user_id, bool_or(is_open) as is_open from spells group by all
)
select
    spells.site,
    getvariable('course_id') as course_id,
    spells.user_id, username, is_staff, spell_no, mode_no, start, "end", spells.is_open,
    spells.mode, start_source, end_source, actor_is_other, upgraded_at,
    case when getvariable('has_enrollment_events') then n_duplicates end as n_duplicates,
    case when getvariable('has_enrollment_events') then snapshot.is_active = last_ones.is_open end
    as agrees
from spells
join last_ones using (site, user_id)
left join persons using (site, user_id)
left join snapshot using (site, user_id)
