-- table: ora_person
-- about: What became of each learner's open response: when it was submitted, who assessed it, and
--   its score.
-- inputs: ora_events db_submissions_submission db_submissions_studentitem db_submissions_score
--   db_assessment_assessment db_student_anonymoususerid
-- needs: learner_events event_blocks persons course_items?
-- order: site user_id block_id
-- columns:
--   site string: Site of the learner.
--   course_id string: Course id.
--   user_id int64 [role: person id]: User id of the learner.
--   username string [role: username]: Username of the learner.
--   is_staff bool: Whether the person has a staff role.
--   block_key string: Usage key of the assessment.
--   block_id string: Block id of the assessment.
--   display_name string: Title of the assessment.
--   submitted_at timestamp: When the first response was submitted: from the package, else from the
--     events.
--   n_submissions int64: Responses submitted: from the package, else from the events.
--   n_saves int64: How often a draft was saved.
--   n_peer_given int64: Responses of others that the learner assessed: from the package, else from
--     the events.
--   n_peer_got int64: Assessments of the response by other learners.
--   n_self int64: Assessments of the learner's own response by the learner: from the package, else
--     from the events.
--   n_staff int64: Assessments by staff.
--   points_earned int64 [points]: The score that counts: the newest that was not reset.
--   points_possible int64 [points]: The highest score possible.
--   scored_at timestamp: When the score was given.
--   s_to_submit float64 [s]: Time from the first action with the assessment in the logs to the
--     first response submitted in the events.
with
people as (
    select
        coalesce(site, '') as site, anonymous_user_id as anonymous, min(user_id) as user_id
    from db_student_anonymoususerid
    where user_id is not null
    group by all
),
items as (
    select
        coalesce(items.site, '') as site, id as student_item_id, people.user_id,
        item_id as block_key,
        case
            when contains(item_id, '+block@') then regexp_extract(item_id, '\+block@(.*)$', 1)
            else regexp_extract(item_id, '^i4x://[^/]*/[^/]*/[^/]*/([^@]*)', 1)
        end as block_id
    from db_submissions_studentitem as items
    join people
        on people.site = coalesce(items.site, '') and people.anonymous = items.student_id
),
-- Ids have hyphens in one table and none in another.
handed_in as (
    select
        items.site, items.user_id, items.block_key, items.block_id,
        replace(uuid, '-', '') as uuid, submitted_at
    from db_submissions_submission as submissions
    join items
        on items.site = coalesce(submissions.site, '')
        and items.student_item_id = submissions.student_item_id
),
assessed as (
    select
        coalesce(assessments.site, '') as site, score_type,
        people.user_id as scorer_id, author.user_id as author_id,
        author.block_key, author.block_id
    from db_assessment_assessment as assessments
    join handed_in as author
        on author.site = coalesce(assessments.site, '')
        and author.uuid = replace(assessments.submission_uuid, '-', '')
    left join people
        on people.site = coalesce(assessments.site, '')
        and people.anonymous = assessments.scorer_id
),
scores as (
    select
        site, user_id, block_id,
        arg_max(
            {'earned': points_earned, 'possible': points_possible, 'at': created_at},
            row(created_at, id)
        ) as score
    from (
        select
            items.site, items.user_id, items.block_id, points_earned, points_possible, created_at,
            id, coalesce(reset, false) as is_reset,
            max(case when reset then id end) over (
                partition by items.site, items.student_item_id
            ) as last_reset
        from db_submissions_score as scores
        join items
            on items.site = coalesce(scores.site, '')
            and items.student_item_id = scores.student_item_id
    )
    where not is_reset and id > coalesce(last_reset, -1)
    group by all
),
-- What the package says: one row for each thing that is counted.
counts as (
    select site, user_id, block_key, block_id, 'submission' as what, submitted_at as time
    from handed_in
    union all by name
    select site, author_id as user_id, block_key, block_id, score_type as what from assessed
    union all by name
    select site, scorer_id as user_id, block_key, block_id, 'given' as what
    from assessed
    where score_type = 'PE' and scorer_id is not null
),
of_package as (
    select
        site, user_id, block_id, min(block_key) as block_key,
        min(time) as submitted_at,
        count(*) filter (where what = 'submission') as n_submissions,
        count(*) filter (where what = 'PE') as n_peer_got,
        count(*) filter (where what = 'SE') as n_self,
        count(*) filter (where what = 'ST') as n_staff,
        count(*) filter (where what = 'given') as n_peer_given
    from counts
    group by all
),
of_events as (
    select
        site, user_id, item_id as block_id, min(coalesce(item_key, block_key)) as block_key,
        min(moment) as first_act,
        min(moment) filter (where action in ('submit', 'team_submit')) as submitted_at,
        count(*) filter (where action in ('submit', 'team_submit')) as n_submissions,
        count(*) filter (where action = 'save') as n_saves,
        count(*) filter (where action = 'peer_assess') as n_peer_given,
        count(*) filter (where action = 'self_assess') as n_self
    from learner_events
    join event_blocks using (block_key)
    where event_table = 'ora_events' and item_id is not null
    group by all
),
has as (
    select
        getvariable('has_db_submissions_submission')
        and getvariable('has_db_submissions_studentitem')
        and getvariable('has_db_student_anonymoususerid') as submissions,
        submissions and getvariable('has_db_assessment_assessment') as assessments,
        getvariable('has_ora_events') as events
)
select
    site,
    getvariable('course_id') as course_id,
    user_id, username, is_staff,
    coalesce(of_package.block_key, of_events.block_key) as block_key,
    block_id, display_name,
    coalesce(of_package.submitted_at, of_events.submitted_at) as submitted_at,
    case
        when has.submissions then coalesce(of_package.n_submissions, 0)
        when has.events then coalesce(of_events.n_submissions, 0)
    end as n_submissions,
    case when has.events then coalesce(n_saves, 0) end as n_saves,
    case
        when has.assessments then coalesce(of_package.n_peer_given, 0)
        when has.events then coalesce(of_events.n_peer_given, 0)
    end as n_peer_given,
    case when has.assessments then coalesce(n_peer_got, 0) end as n_peer_got,
    case
        when has.assessments then coalesce(of_package.n_self, 0)
        when has.events then coalesce(of_events.n_self, 0)
    end as n_self,
    case when has.assessments then coalesce(n_staff, 0) end as n_staff,
    score.earned as points_earned, score.possible as points_possible, score.at as scored_at,
    (epoch_us(of_events.submitted_at) - epoch_us(first_act)) / 1000000.0::double as s_to_submit
from of_package
full join of_events using (site, user_id, block_id)
left join scores using (site, user_id, block_id)
left join persons using (site, user_id)
left join (
    select block_id, min(display_name) as display_name
    from course_items
    where block_type = 'openassessment'
    group by all
) as titles using (block_id)
cross join has
