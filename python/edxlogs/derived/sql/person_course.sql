-- table: person_course
-- about: Everybody in a course, in one row each: enrollment, grades, profile and activity. People
--   who were active without being enrolled are included.
-- inputs: db_student_courseenrollment db_auth_user db_auth_userprofile
--   db_certificates_generatedcertificate db_grades_persistentcoursegrade
--   db_courseware_studentmodule db_student_courseaccessrole db_django_comment_client_role_users
--   db_forum problem_events video_events forum_events navigation_events requests ora_events
--   textbook_events completion_events enrollment_events grade_events olx_cutoffs
-- needs: person_course_day learner_events subject_events event_blocks persons sessions person_video?
--   forum_person enrollment_spells course_items?
-- order: site user_id
-- columns:
--   site string: Site of the person.
--   course_id string: Course id.
--   user_id int64 [role: person id]: User id of the person.
--   username string [role: username]: Username of the person.
--   enrolled bool: Whether the package lists the person as enrolled, now or before.
--   registered_at timestamp: When the person first enrolled, according to the package.
--   mode string: Enrollment mode, according to the package.
--   is_active bool: Whether the person is still enrolled, according to the package.
--   first_enrolled_at timestamp: Start of the first spell.
--   last_unenrolled_at timestamp: End of the last spell that ended.
--   ever_verified bool: Whether the mode was ever verified.
--   verified_at timestamp: When the mode first became verified.
--   unverified_at timestamp: When the mode ceased to be verified; null while it still is.
--   viewed bool: Whether the person ever opened a block of the course.
--   n_chapters int64: Chapters in which the person opened a block.
--   chapter_share float64: Share of chapters opened, of those that have begun and that learners can
--     see.
--   explored bool: Whether that share is at least half.
--   certified bool: Whether the person has a certificate.
--   cert_status string: Status of the certificate.
--   cert_created timestamp: When the certificate's row was made.
--   cert_modified timestamp: When the certificate's row last changed.
--   cert_mode string: Mode of the certificate.
--   grade float64: Course grade, from 0 to 1.
--   letter_grade string: Letter grade; null if not passed.
--   grade_source string: Where the grade comes from: `grades`, or `certificates` in older courses.
--   passed_at timestamp: When the person first passed the course.
--   passing_grade float64: Lowest passing grade; known only from the course content (OLX).
--   completed bool: Whether the grade passes; without the course content, whether the platform says
--     so.
--   YoB int64: Year of birth; null if before 1900 or less than five years ago.
--   gender string: Gender in the profile: `f`, `m`, `o`.
--   LoE string: Level of education in the profile.
--   profile_country string: Country in the profile.
--   profile_language string [role: free text]: Language in the profile.
--   email_domain string: Domain of the e-mail address; null unless `with_email_domain` is set.
--   roles string: Course access roles.
--   forum_roles string: Forum roles.
--   is_staff bool: Whether one of these is a staff role.
--   first_event timestamp: Time of the first action.
--   last_event timestamp: Time of the last action.
--   n_events int64: Actions.
--   n_all_events int64: All events of the person, including those that are not actions.
--   n_days int64: Days with an action.
--   n_video int64: Video actions, except menus.
--   n_play int64: How often a video began to play.
--   n_pause int64: How often a video was paused.
--   n_seek int64: Jumps in videos.
--   n_speed int64: Speed changes.
--   n_transcript int64: How often a transcript was shown or hidden.
--   n_videos int64: Videos of which at least five seconds were seen.
--   video_seconds float64 [s]: Seconds of video seen, each part counted once.
--   video_share float64: Share that was seen of all videos whose length is known.
--   n_checks int64: Problem checks.
--   n_problems int64: Problems checked.
--   n_problems_correct int64: Problems with a fully correct check.
--   n_answers_shown int64: How often an answer was shown.
--   n_forum_posts int64: Forum posts.
--   n_threads int64: Threads among these posts.
--   n_responses int64: Responses among these posts.
--   n_comments int64: Comments among these posts.
--   n_votes_given int64: Votes given, minus those taken back.
--   n_votes_got int64: Votes for the person's posts.
--   n_endorsed int64: Endorsed posts.
--   n_pinned int64: Pinned threads.
--   n_forum_reads int64: How often the person read a thread.
--   n_progress int64: How often the progress page was opened.
--   n_goto int64: How often a unit was chosen by its tab.
--   n_ora int64: Open responses submitted.
--   n_blocks_completed int64: Blocks completed.
--   n_sessions int64: Sessions.
--   time_s float64 [s]: Time on task: the sum of the kinds below.
--   time_video_s float64 [s]: Time after video actions.
--   time_problem_s float64 [s]: Time after problem actions.
--   time_forum_s float64 [s]: Time after forum actions.
--   time_ora_s float64 [s]: Time after actions in open response assessments.
--   time_text_s float64 [s]: Time after pages and textbooks were opened.
--   time_other_s float64 [s]: Time after other actions.
--   dt_mean float64 [s]: Mean time between successive events, over gaps of at most five minutes.
--   dt_sd float64 [s]: Standard deviation of these gaps.
--   dt_max float64 [s]: Longest of these gaps.
--   dt_n int64: Number of these gaps.
--   grade_events_last timestamp: Time of the last event about the course grade.
--   is_anomalous bool: Whether the person has events, but no account in the package; or a
--     certificate, but no event after it.
with
enrollment as (
    select
        coalesce(site, '') as site, user_id,
        min(created) as registered_at, min(mode) as mode, bool_or(is_active) as is_active
    from db_student_courseenrollment
    where user_id is not null
    group by all
),
everybody as (
    select site, user_id from enrollment
    union
    select site, user_id from person_course_day
),
spells as (
    select
        site, user_id,
        min(start) filter (where spell_no = 1) as first_enrolled_at,
        max("end") filter (where end_source = 'event') as last_unenrolled_at,
        bool_or(coalesce(mode = 'verified', false)) as ever_verified,
        min(start) filter (where mode = 'verified') as verified_at,
        case
            when not bool_or(mode = 'verified' and is_open)
            then max("end") filter (where mode = 'verified')
        end as unverified_at
    from enrollment_spells
    group by all
),
-- Which chapters count, and which were opened: those with a row for the chapter or for a block in
-- it.
chapters as (
    select
        site, block_key as chapter_key,
        not visible_to_staff_only
        and (start is null or getvariable('as_of') is null or start < getvariable('as_of'))
        as counts
    from course_items
    where block_type = 'chapter' and index is not null
),
modules as (
    select
        coalesce(site, '') as site, student_id as user_id, module_id as block_key,
        module_type in (
            'chapter', 'course', 'sequential', 'vertical', 'problem', 'video', 'html'
        ) as is_view
    from db_courseware_studentmodule
    where student_id is not null
),
opened as (
    select
        site, user_id,
        count(distinct chapter_key) as n_chapters,
        count(distinct chapter_key) filter (where counts) as n_counting
    from modules
    join course_items using (site, block_key)
    join chapters using (site, chapter_key)
    group by all
),
chapter_total as (
    select site, count(*) filter (where counts) as n_chapters_there from chapters group by all
),
looked as (
    select site, user_id, bool_or(is_view) as viewed from modules group by all
),
clicked as (
    select distinct site, user_id
    from learner_events
    where event_table = 'requests' and route in ('courseware', 'xblock_view')
),
certificates as (
    select
        coalesce(site, '') as site, user_id,
        arg_max(
            {
                'status': status, 'created': created_date, 'modified': modified_date,
                'mode': mode, 'grade': try_cast(grade as double)
            },
            row(coalesce(modified_date, created_date, timestamptz '1970-01-01 00:00:00+00'), id)
        ) as cert
    from db_certificates_generatedcertificate
    where user_id is not null
    group by all
),
grades as (
    select
        coalesce(site, '') as site, user_id,
        max(percent_grade) as percent_grade, min(nullif(letter_grade, '')) as letter_grade,
        min(passed_timestamp) as passed_at
    from db_grades_persistentcoursegrade
    where user_id is not null
    group by all
),
cutoff as (select min(cutoff) as passing_grade from olx_cutoffs),
profiles as (
    select
        coalesce(site, '') as site, user_id,
        min(year_of_birth) as year_of_birth, min(nullif(gender, '')) as gender,
        min(nullif(level_of_education, '')) as level_of_education,
        min(nullif(country, '')) as country, min(nullif(language, '')) as language
    from db_auth_userprofile
    where user_id is not null
    group by all
),
mails as (
    select
        coalesce(site, '') as site, id as user_id,
        min(lower(regexp_extract(email, '@([^@]+)$', 1))) as email_domain
    from db_auth_user
    where getvariable('with_email_domain') and contains(email, '@')
    group by all
),
days as (
    select
        site, user_id,
        min(first_event) as first_event, max(last_event) as last_event,
        sum(n_events) as n_events, count(*) as n_days,
        sum(n_video) as n_video, sum(n_play) as n_play, sum(n_pause) as n_pause,
        sum(n_seek) as n_seek, sum(n_speed) as n_speed, sum(n_transcript) as n_transcript,
        sum(n_checks) as n_checks, sum(n_answers_shown) as n_answers_shown,
        sum(n_progress) as n_progress, sum(n_goto) as n_goto, sum(n_ora) as n_ora,
        -- Times are whole microseconds, so their sums are exact.
        sum(round(time_s * 1000000)::bigint) as us,
        sum(round(time_video_s * 1000000)::bigint) as video_us,
        sum(round(time_problem_s * 1000000)::bigint) as problem_us,
        sum(round(time_forum_s * 1000000)::bigint) as forum_us,
        sum(round(time_ora_s * 1000000)::bigint) as ora_us,
        sum(round(time_text_s * 1000000)::bigint) as text_us,
        sum(round(time_other_s * 1000000)::bigint) as other_us
    from person_course_day
    group by all
),
-- Gaps of at most five minutes, between all events of the person.
gaps as (
    select
        site, user_id, moment,
        epoch_us(moment) - epoch_us(
            lag(moment) over (partition by site, user_id order by moment)
        ) as gap_us
    from learner_events
),
steps as (
    select
        site, user_id,
        count(*) as n_all_events,
        max(moment) as last_any_event,
        count(*) filter (where gap_us <= 300000000) as dt_n,
        sum(gap_us) filter (where gap_us <= 300000000) as dt_us,
        sum(gap_us::hugeint * gap_us) filter (where gap_us <= 300000000) as dt_us2,
        max(gap_us) filter (where gap_us <= 300000000) as dt_max_us
    from gaps
    group by all
),
checked as (
    select
        site, user_id,
        count(distinct item_id) as n_problems,
        count(distinct item_id) filter (where success = 'correct') as n_problems_correct
    from learner_events
    join event_blocks using (block_key)
    where event_table = 'problem_events' and action = 'check'
    group by all
),
-- Lengths of the course's videos, as far as they are known.
lengths as (
    select site, block_id, max(length_s) as length_s
    from (
        select site, block_id, length_s from course_items where block_type = 'video'
        union all
        select site, block_id, duration from person_video
    )
    group by all
    having max(length_s) > 0
),
all_lengths as (
    select site, sum(round(length_s * 1000000)::bigint) as all_us from lengths group by all
),
watched as (
    select
        site, user_id,
        count(*) filter (where unique_s >= 5) as n_videos,
        sum(round(unique_s * 1000000)::bigint) as seen_us,
        sum(
            case
                when length_s is not null then round(least(unique_s, length_s) * 1000000)::bigint
            end
        ) as seen_of_known_us
    from person_video
    left join lengths using (site, block_id)
    group by all
),
completed as (
    select site, user_id, count(distinct coalesce(item_id, block_key)) as n_blocks_completed
    from subject_events
    left join event_blocks using (block_key)
    where event_table = 'completion_events' and action = 'block' and completion = 1
    group by all
),
graded as (
    select site, user_id, max(moment) as grade_events_last
    from subject_events
    where event_table = 'grade_events' and level = 'course'
    group by all
),
sat as (select site, user_id, count(*) as n_sessions from sessions group by all),
joined as (
    select
        *,
        coalesce(cert.status = 'downloadable', false)
        -- Old certificates are still there; one that was taken back has lost its grade.
        or coalesce(cert.status = 'unavailable' and cert.grade is not null, false) as has_certificate
    from everybody
    left join certificates using (site, user_id)
)
select
    site,
    getvariable('course_id') as course_id,
    user_id, persons.username,
    case
        when getvariable('has_db_student_courseenrollment') then enrollment.user_id is not null
    end as enrolled,
    registered_at, mode, is_active,
    first_enrolled_at, last_unenrolled_at,
    case
        when getvariable('has_enrollment_events') or getvariable('has_db_student_courseenrollment')
        then coalesce(ever_verified, false)
    end as ever_verified,
    verified_at, unverified_at,
    case
        when looked.viewed or clicked.user_id is not null then true
        when getvariable('has_db_courseware_studentmodule') and getvariable('has_requests')
        then false
    end as viewed,
    case when has_chapters then coalesce(n_chapters, 0) end as n_chapters,
    case
        when has_chapters and n_chapters_there > 0
        then round(coalesce(n_counting, 0) / n_chapters_there::double, 12)
    end as chapter_share,
    case
        when has_chapters and n_chapters_there > 0
        then coalesce(n_counting, 0) * 2 >= n_chapters_there
    end as explored,
    case when getvariable('has_db_certificates_generatedcertificate') then has_certificate end
    as certified,
    cert.status as cert_status, cert.created as cert_created, cert.modified as cert_modified,
    cert.mode as cert_mode,
    coalesce(percent_grade, cert.grade) as grade,
    letter_grade,
    case
        when percent_grade is not null then 'grades'
        when cert.grade is not null then 'certificates'
    end as grade_source,
    passed_at, passing_grade,
    case
        when passing_grade is not null and coalesce(percent_grade, cert.grade) is not null
        then coalesce(percent_grade, cert.grade) >= passing_grade
        when passed_at is not null or has_certificate then true
        when
            getvariable('has_db_grades_persistentcoursegrade')
            or getvariable('has_db_certificates_generatedcertificate')
        then false
    end as completed,
    case
        when
            year_of_birth >= 1900
            and coalesce(year_of_birth <= date_part('year', read_at) - 5, true)
        then year_of_birth
    end as "YoB",
    gender, level_of_education as "LoE", country as profile_country,
    language as profile_language, email_domain,
    roles, forum_roles, persons.is_staff,
    first_event, last_event,
    case when getvariable('has_events') then coalesce(n_events, 0) end as n_events,
    case when getvariable('has_events') then coalesce(n_all_events, 0) end as n_all_events,
    case when getvariable('has_events') then coalesce(n_days, 0) end as n_days,
    case when getvariable('has_video_events') then coalesce(n_video, 0) end as n_video,
    case when getvariable('has_video_events') then coalesce(n_play, 0) end as n_play,
    case when getvariable('has_video_events') then coalesce(n_pause, 0) end as n_pause,
    case when getvariable('has_video_events') then coalesce(n_seek, 0) end as n_seek,
    case when getvariable('has_video_events') then coalesce(n_speed, 0) end as n_speed,
    case when getvariable('has_video_events') then coalesce(n_transcript, 0) end as n_transcript,
    case when getvariable('has_video_events') then coalesce(n_videos, 0) end as n_videos,
    case when getvariable('has_video_events') then coalesce(seen_us, 0) / 1000000.0::double end
    as video_seconds,
    case
        when getvariable('has_video_events') and all_us > 0
        then round(coalesce(seen_of_known_us, 0)::double / all_us, 12)
    end as video_share,
    case when getvariable('has_problem_events') then coalesce(n_checks, 0) end as n_checks,
    case when getvariable('has_problem_events') then coalesce(n_problems, 0) end as n_problems,
    case when getvariable('has_problem_events') then coalesce(n_problems_correct, 0) end
    as n_problems_correct,
    case when getvariable('has_problem_events') then coalesce(n_answers_shown, 0) end
    as n_answers_shown,
    case
        when getvariable('has_db_forum')
        then coalesce(n_threads, 0) + coalesce(n_responses, 0) + coalesce(n_comments, 0)
    end as n_forum_posts,
    case when getvariable('has_db_forum') then coalesce(n_threads, 0) end as n_threads,
    case when getvariable('has_db_forum') then coalesce(n_responses, 0) end as n_responses,
    case when getvariable('has_db_forum') then coalesce(n_comments, 0) end as n_comments,
    case when has_forum then coalesce(n_votes_given, 0) end as n_votes_given,
    case when getvariable('has_db_forum') then coalesce(n_votes_got, 0) end as n_votes_got,
    case when getvariable('has_db_forum') then coalesce(n_endorsed, 0) end as n_endorsed,
    case when getvariable('has_db_forum') then coalesce(n_pinned, 0) end as n_pinned,
    case when has_forum then coalesce(n_reads, 0) end as n_forum_reads,
    case when getvariable('has_requests') then coalesce(n_progress, 0) end as n_progress,
    case when getvariable('has_navigation_events') then coalesce(n_goto, 0) end as n_goto,
    case when getvariable('has_ora_events') then coalesce(n_ora, 0) end as n_ora,
    case when getvariable('has_completion_events') then coalesce(n_blocks_completed, 0) end
    as n_blocks_completed,
    case when getvariable('has_events') then coalesce(n_sessions, 0) end as n_sessions,
    case when getvariable('has_events') then coalesce(us, 0) / 1000000.0::double end as time_s,
    case when getvariable('has_video_events') then coalesce(video_us, 0) / 1000000.0::double end
    as time_video_s,
    case
        when getvariable('has_problem_events') then coalesce(problem_us, 0) / 1000000.0::double
    end as time_problem_s,
    case when has_forum then coalesce(forum_us, 0) / 1000000.0::double end as time_forum_s,
    case when getvariable('has_ora_events') then coalesce(ora_us, 0) / 1000000.0::double end
    as time_ora_s,
    case
        when getvariable('has_requests') or getvariable('has_textbook_events')
        then coalesce(text_us, 0) / 1000000.0::double
    end as time_text_s,
    case when getvariable('has_events') then coalesce(other_us, 0) / 1000000.0::double end
    as time_other_s,
    case when dt_n > 0 then round(dt_us::double / dt_n / 1e6, 12) end as dt_mean,
    case
        when dt_n > 1
        then round(
            sqrt((dt_n * dt_us2 - dt_us * dt_us)::double / (dt_n * (dt_n - 1))::double) / 1e6, 12
        )
    end as dt_sd,
    dt_max_us / 1e6 as dt_max,
    case when getvariable('has_events') then coalesce(dt_n, 0) end as dt_n,
    grade_events_last,
    case
        when
            (n_all_events > 0 and not in_auth_user)
            or (
                getvariable('has_events')
                and enrollment.user_id is not null
                and has_certificate
                and coalesce(last_any_event < cert.created, true)
            )
        then true
        when
            getvariable('has_events')
            and getvariable('has_db_auth_user')
            and getvariable('has_db_certificates_generatedcertificate')
        then false
    end as is_anomalous
from joined
left join persons using (site, user_id)
left join enrollment using (site, user_id)
left join spells using (site, user_id)
left join looked using (site, user_id)
left join clicked using (site, user_id)
left join opened using (site, user_id)
left join chapter_total using (site)
left join grades using (site, user_id)
left join profiles using (site, user_id)
left join mails using (site, user_id)
left join days using (site, user_id)
left join steps using (site, user_id)
left join checked using (site, user_id)
left join watched using (site, user_id)
left join all_lengths using (site)
left join completed using (site, user_id)
left join graded using (site, user_id)
left join sat using (site, user_id)
left join forum_person using (site, user_id)
cross join cutoff
cross join (
    select
        getvariable('has_forum_events') or getvariable('has_requests') as has_forum,
        getvariable('has_db_courseware_studentmodule') and getvariable('has_course_items')
        as has_chapters,
        -- When the package was made, as far as that is known.
        coalesce(
            getvariable('as_of'), (select max(created) from db_student_courseenrollment)
        ) as read_at
)
