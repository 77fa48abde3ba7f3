-- table: persons
-- as: internal table
-- about: The people of a course: those who have an account, a role or an enrollment, and those who
--   did something in it; with their names, and whether they are staff.
-- inputs: db_auth_user db_student_courseenrollment db_student_courseaccessrole
--   db_django_comment_client_role_users
-- needs: learner_events subject_events
-- order: site user_id
-- columns:
--   site string: Site of the person.
--   user_id int64 [role: person id]: User id of the person.
--   username string [role: username]: Username in auth_user, else in the person's last event.
--   in_auth_user bool: Whether the person is in auth_user.
--   roles string: Course access roles, sorted.
--   forum_roles string: Forum roles, sorted.
--   is_staff bool: Whether the person has a course access role, or a forum role above Student.
with
accounts as (
    select coalesce(site, '') as site, id as user_id, min(nullif(username, '')) as username
    from db_auth_user
    where id is not null
    group by all
),
-- People who acted but have no account in the package: the name in their last event.
strangers as (
    select
        events.site, events.user_id,
        arg_max(
            nullif(events.username, ''), row(moment, -source_no, -line, -line_item)
        ) filter (where events.username <> '') as username
    from learner_events as events
    anti join accounts using (site, user_id)
    group by all
),
access as (
    select coalesce(site, '') as site, user_id, string_agg(distinct role, ', ' order by role) as roles
    from db_student_courseaccessrole
    where user_id is not null
    group by all
),
forum as (
    select
        coalesce(site, '') as site, user_id,
        string_agg(distinct name, ', ' order by name) as forum_roles,
        bool_or(name <> 'Student') as is_above
    from db_django_comment_client_role_users
    where user_id is not null
    group by all
),
everybody as (
    select site, user_id from accounts
    union select site, user_id from strangers
    union select site, user_id from subject_events
    union select site, user_id from access
    union select site, user_id from forum
    union select coalesce(site, ''), user_id from db_student_courseenrollment
)
select
    site, user_id,
    coalesce(accounts.username, strangers.username) as username,
    case when getvariable('has_db_auth_user') then accounts.user_id is not null end as in_auth_user,
    roles, forum_roles,
    -- A learner is an enrolled person without a staff role. Without either table, that is unknown.
    case
        when roles is not null or is_above then true
        when
            getvariable('has_db_student_courseaccessrole')
            or getvariable('has_db_django_comment_client_role_users')
        then false
    end as is_staff
from everybody
left join accounts using (site, user_id)
left join strangers using (site, user_id)
left join access using (site, user_id)
left join forum using (site, user_id)
where user_id is not null
