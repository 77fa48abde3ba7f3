-- table: persons
-- as: internal table
-- about: The people of a course: those who have an account, a role or an enrolment, and those who
--   did something in it; with their names, and whether they are learners.
-- inputs: db_auth_user db_student_courseenrollment db_student_courseaccessrole
--   db_django_comment_client_role_users
-- needs: learner_events subject_events
-- order: site user_id
-- columns:
--   site string: Site of the person.
--   user_id int64 [role: person id]: The person.
--   username string [role: username]: As in auth_user, else as in the person's last event.
--   in_auth_user bool: Whether auth_user has the person.
--   roles string: Roles of access, sorted.
--   forum_roles string: Roles in the forum, sorted.
--   is_staff bool: Whether the person has a role of access, or one in the forum above Student.
with
accounts as (
    select coalesce(site, '') as site, id as user_id, min(nullif(username, '')) as username
    from db_auth_user
    where id is not null
    group by all
),
-- Who acted and has no account in the package: the name in the last event.
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
    -- Learner: an enrolled person without staff role. Neither table there: not known.
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
